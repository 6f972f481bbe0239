//! Statuses as a host could tell them, for the stand-in: a healthy pipeline, and what goes wrong.

use serde_json::{Value, json};

/// The stand-in's clock when it starts: far from that of any machine that runs this test.
pub const START_MS: i64 = 1_795_000_000_000;

/// A pipeline like the reference one: so many partitions, two sources, three stages, two sinks.
pub fn healthy(seconds: f64, partitions: u32) -> Value {
    let now_ms = START_MS + (seconds * 1000.0) as i64;
    let stages = [
        stage("observe", None, "observations", &["cells"], partitions, seconds, 1200.0),
        stage("correlate", None, "cells", &["candidates"], partitions, seconds, 3000.0),
        stage("encounter", None, "candidates", &["alerts"], partitions, seconds, 40.0),
        stage("database", Some("sql"), "alerts", &[], 1, seconds, 2.0),
        stage("archive", Some("file"), "alerts", &[], 1, seconds, 2.0),
    ];
    let mut edges = vec![
        json!({ "from": "source:sensors", "to": "topic:observations" }),
        json!({ "from": "source:drop", "to": "topic:observations" }),
    ];
    for stage in &stages {
        let name = format!("stage:{}", stage["name"].as_str().expect("a name"));
        let input = format!("topic:{}", stage["input"].as_str().expect("a name"));
        edges.push(json!({ "from": input, "to": name, "lag_records": 0,
            "credit_withheld_seconds": 0.0 }));
        for output in stage["outputs"].as_array().expect("a list") {
            let output = format!("topic:{}", output.as_str().expect("a name"));
            edges.push(json!({ "from": name, "to": output }));
        }
    }
    let topic = |name: &str, per: f64| {
        let end = (1e6 + per * seconds) as u64;
        json!({ "name": name, "partitions": [{ "partition": 0, "begin": 0, "end": end }] })
    };
    let source = |name: &str, kind: &str, state: &str, per: f64| {
        json!({ "name": name, "kind": kind, "topic": "observations", "state": state,
            "records": (1e6 + per * seconds) as u64, "dead_letters": 0, "reason": null })
    };
    json!({
        "pawl": "0.1.0", "pipeline": "conjunctions", "state": "running", "ready": true,
        "now_ms": now_ms, "started_ms": START_MS - 7_200_000, "pid": 4711,
        "sources": [source("sensors", "http", "running", 1000.0),
            source("drop", "file", "waiting", 0.0)],
        "topics": [topic("observations", 1200.0), topic("cells", 3000.0),
            topic("candidates", 40.0), topic("alerts", 2.0), topic("conjunctions.dlq", 0.1)],
        "stages": stages, "edges": edges,
        "dead_letters": { "topic": "conjunctions.dlq", "total": 1000 + (seconds * 0.2) as u64,
            "records": 900, "records_max": 100_000, "bytes": 200_000, "bytes_max": 1_000_000_000, "at_max": "stop",
            "by_kind": [{ "stage": "observe", "operator": "normalize", "kind": "bad-json",
                "count": 1000 + (seconds * 0.2) as u64 }],
            "last": [letter(1, now_ms - 2_000, "expected `,` at line 1 column 40",
                "{\"id\":12345678901234567890,\"cut\":{\"off\":[1,2]}}")] },
    })
}

fn stage(
    name: &str,
    sink: Option<&str>,
    input: &str,
    outputs: &[&str],
    partitions: u32,
    seconds: f64,
    per: f64,
) -> Value {
    let has_time = name != "encounter" && sink.is_none();
    let tasks: Vec<Value> = (0..partitions)
        .map(|partition| {
            let part = (1e6 + per * seconds) / f64::from(partitions);
            let behind = 2.4 + f64::from(partition) * 0.1;
            let now_ms = START_MS as f64 + seconds * 1000.0;
            json!({
                "partition": partition, "state": "running", "epoch": 3,
                "records": { "in": part as u64, "out": part as u64, "late": 0, "duplicate": 7,
                    "dead": if name == "observe" { (seconds * 0.2) as u64 } else { 0 } },
                "lag_records": 0,
                "watermark_ms": has_time.then_some((now_ms - behind * 1000.0) as i64),
                "watermark_lag_seconds": has_time.then_some(behind),
                "checkpoint": { "epoch": 3, "sequence": 7, "bytes": 31_000, "seconds": 0.01,
                    "age_seconds": (seconds + f64::from(partition)) % 30.0 },
                "delivery": sink.map(|_| json!({ "seconds": seconds * 0.05, "failures": 0,
                    "failing_since_ms": null })),
                "credit": { "in_flight": 12, "max": 10_000, "withheld_seconds": 0.0 },
                "restarts": 0, "traps": 0, "recovery_path": "local",
                "guest": { "seconds": seconds * 0.03, "memory_bytes": 9_000_000 }, "reason": null,
            })
        })
        .collect();
    let operator = json!([{ "name": name, "plugin": format!("sda-{name}"), "version": "0.1.0",
        "component": "ab".repeat(32) }]);
    json!({ "name": name, "sink": sink, "input": input, "outputs": outputs, "time": has_time,
        "operators": if sink.is_none() { operator } else { json!([]) }, "tasks": tasks })
}

/// A dead letter; its id is the number in hex.
pub fn letter(number: u32, time_ms: i64, message: &str, payload: &str) -> Value {
    json!({
        "id": format!("{number:032x}"), "time_ms": time_ms, "stage": "observe",
        "operator": "normalize", "kind": "bad-json", "class": "permanent",
        "disposition": "rejected", "message": message, "topic": "observations", "partition": 2,
        "offset": 44_888_281_192_u64, "replay_count": 0, "payload": payload,
        "payload_bytes": payload.len(),
    })
}

/// A bad night: a task has stopped, one recovers, one fails again and again, a receiver is slow,
/// and an operator refuses forty times as much as before.
pub fn broken(seconds: f64) -> Value {
    let mut status = healthy(seconds, 4);
    status["ready"] = json!(false);
    status["sources"][1]["state"] = json!("stopped");
    status["sources"][1]["reason"] =
        json!({ "code": "file-shrunk", "message": "a.jsonl has fewer bytes than were read" });
    let stopped = &mut status["stages"][1]["tasks"][2];
    stopped["state"] = json!("stopped");
    stopped["reason"] = json!({ "code": "replay-limit",
        "message": "operator correlate: ten times 1,000 ms were not enough" });
    stopped["lag_records"] = json!(500_000);
    status["stages"][2]["tasks"][1]["state"] = json!("recovering");
    let failing = &mut status["stages"][4]["tasks"][0];
    failing["state"] = json!("recovering");
    failing["reason"] = json!({ "code": "file-io", "message": "Input/output error (os error 5)" });
    let slow = &mut status["stages"][3]["tasks"][0];
    slow["lag_records"] = json!((5000.0 + 40.0 * seconds) as u64);
    slow["delivery"]["seconds"] = json!(seconds * 0.97);
    status["dead_letters"]["by_kind"][0]["count"] = json!((1000.0 + seconds * 48.0) as u64);
    status["dead_letters"]["total"] = json!((1000.0 + seconds * 48.0) as u64);
    let now_ms = status["now_ms"].as_i64().expect("a time");
    let letters =
        (0..50).map(|number| letter(number, now_ms - i64::from(number) * 21, "too short", "{"));
    status["dead_letters"]["last"] = letters.collect();
    status
}

/// A status in which every text was written by somebody who means harm.
pub fn hostile(seconds: f64) -> Value {
    let script = "<script>window.harmed=1</script><img src=x onerror='window.harmed=2'>";
    let mut status = healthy(seconds, 2);
    status["pipeline"] = json!(format!("{script}{}", "n".repeat(200)));
    status["file"] = json!("my pipe's $(reboot).toml");
    status["stages"][0]["operators"][0]["name"] = json!(script);
    let stopped = &mut status["stages"][0]["tasks"][0];
    stopped["state"] = json!("stopped");
    stopped["reason"] =
        json!({ "code": "$(reboot)", "message": format!("{script}{}", "long ".repeat(2000)) });
    let now_ms = status["now_ms"].as_i64().expect("a time");
    let letters = &mut status["dead_letters"];
    letters["by_kind"][0]["kind"] = json!("\u{202e}dnik<b>");
    letters["by_kind"][0]["operator"] = json!(script);
    let mut last = vec![
        letter(1, now_ms, script, script),
        letter(2, now_ms, "turned \u{202e}gnp.exe\u{202c} \u{0} \u{7}", "\u{2066}\u{200b}hidden"),
        letter(3, now_ms, &"m".repeat(10_000), &"p".repeat(1024)),
        letter(4, now_ms, "no text", "\u{fffd}PNG\r\n\u{1a}\u{0}\u{fffd}"),
        letter(5, now_ms, "مرحبا بالعالم", ""),
    ];
    last[2]["payload_bytes"] = json!(200_000);
    last[3]["id"] = json!("'; reboot #");
    last[4]["kind"] = json!("k".repeat(300));
    letters["last"] = Value::Array(last);
    status
}

/// A host that has just been started: no rates, no checkpoints, no event time, nothing refused.
pub fn young(seconds: f64) -> Value {
    let mut status = healthy(seconds, 2);
    status["started_ms"] = json!(START_MS - 3_000);
    for stage in status["stages"].as_array_mut().expect("a list") {
        for task in stage["tasks"].as_array_mut().expect("a list") {
            task["checkpoint"] = Value::Null;
            task["watermark_ms"] = Value::Null;
            task["watermark_lag_seconds"] = Value::Null;
            task["records"] = Value::Null;
            task["lag_records"] = Value::Null;
            task["state"] = json!("starting");
        }
    }
    status["state"] = json!("starting");
    status["ready"] = json!(false);
    let letters = json!({ "topic": "conjunctions.dlq", "total": 0, "by_kind": [], "last": [] });
    status["dead_letters"] = letters;
    status
}
