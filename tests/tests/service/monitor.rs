//! What a run shows of itself is what it did: metrics and status against the log, across kills; and
//! whoever asks, however badly, harms nothing.

use pawl_tests::{Folder, Running, Stored, input, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PIPELINE: &str = r#"
pawl = 1
name = "watched"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
partitions = 2
[topics.out]
[topics.side]
[commit]
interval_ms = 20
[supervisor]
backoff_ms = 1
failures_max = 2
[[stage]]
name = "copy"
input = "in"
output = "out"
[[stage.operator]]
name = "guest"
plugin = "misbehaving"
config = { mode = "MODE" }
outputs = { side = "side" }
limits = { time_per_call_ms = 100 }
[[sink]]
name = "files"
input = "out"
file = { folder = "written" }
"#;

const LIMIT: Duration = Duration::from_secs(60);

/// A run that is watched.
pub struct Watched {
    pub running: Running,
    address: SocketAddr,
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Watched {
    /// Starts the folder's pipeline with these further arguments and environment.
    pub fn start(folder: &Folder, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command =
            folder.command(&[&["run", "p.toml", "--listen", "127.0.0.1:0"], arguments].concat());
        command.envs(environment.iter().copied());
        let mut running = folder.start_command(command);
        running.wait_until_it_says("serving metrics");
        let address = wait_for("the address", LIMIT, || {
            let said = running.err();
            let line = said.lines().find(|line| line.contains("serving metrics"))?.to_owned();
            let from = line.find("127.0.0.1:")?;
            let text = line.get(from..)?;
            let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'));
            text.get(..end.unwrap_or(text.len()))?.parse().ok()
        });
        Self { running, address }
    }

    /// Sends bytes and reads to the end.
    fn send(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        // Who is refused early may not take all of it.
        let _sent = stream.write_all(bytes);
        let mut text = Vec::new();
        let _read = stream.read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
    }

    pub fn get(&self, path: &str) -> Answer {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        self.send(request.as_bytes()).expect("the monitor answers")
    }

    pub fn status(&self) -> Value {
        let answer = self.get("/api/status");
        assert_eq!(answer.status, 200, "{}", answer.head);
        serde_json::from_str(&answer.body).expect("the status is JSON")
    }

    /// All samples, as name with labels.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200);
        samples(&answer.body)
    }

    /// Waits until a metric is a number.
    pub fn wait_for_metric(&self, name: &str, value: f64) -> BTreeMap<String, f64> {
        wait_for(&format!("{name} = {value}"), LIMIT, || {
            let metrics = self.metrics();
            (metrics.get(name) == Some(&value)).then_some(metrics)
        })
    }
}

pub fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.rsplit_once(' '));
    pairs.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

fn folder(name: &str, mode: &str) -> Folder {
    Folder::new(name, &PIPELINE.replace("MODE", mode))
}

/// The sum of all samples of a name whose labels hold this.
fn sum(metrics: &BTreeMap<String, f64>, name: &str, holds: &str) -> f64 {
    let of = metrics
        .iter()
        .filter(|(sample, _)| sample.split('{').next() == Some(name) && sample.contains(holds));
    of.map(|(_, value)| value).sum()
}

fn compare_with_log(metrics: &BTreeMap<String, f64>, stored: &Stored) {
    let out = stored.texts("out").len() as f64;
    assert_eq!(sum(metrics, "pawl_records_out_total", "topic=\"out\""), out);
    assert_eq!(sum(metrics, "pawl_records_total", "stage=\"files\""), out);
    let letters = stored.letters();
    assert_eq!(metrics["pawl_dlq_records"], letters.len() as f64);
    let refused = sum(metrics, "pawl_records_total", "outcome=\"dead-lettered\"");
    assert_eq!(refused, letters.len() as f64);
    for kind in ["trap", "timeout"] {
        let of_kind = letters.iter().filter(|letter| letter.kind == kind).count() as f64;
        let label = format!("error_kind=\"{kind}\"");
        assert_eq!(sum(metrics, "pawl_dlq_entries_total", &label), of_kind, "{kind}");
    }
    let counters = stored.counters();
    for (task, counters) in counters {
        let (stage, partition) = task.split_once('/').expect("a task has both");
        let labels = format!("{{stage=\"{stage}\",partition=\"{partition}\"}}");
        let taken = metrics[&format!("pawl_records_in_total{labels}")];
        assert_eq!(taken, counters.records_in as f64, "{task}");
        assert_eq!(metrics[&format!("pawl_lag_records{labels}")], 0.0, "{task}");
    }
}

#[test]
fn metrics_and_status_say_what_the_log_holds_and_go_on_after_a_kill() {
    let folder = folder("told", "by-value");
    let mut lines = input::numbered(0, 1000);
    lines.insert(100, "trap".to_owned());
    lines.insert(500, "loop".to_owned());
    folder.produce("in", &input::joined(&lines));
    let first = Watched::start(&folder, &[], &[]);
    let through = "pawl_records_in_total{stage=\"files\",partition=\"0\"}";
    let metrics = first.wait_for_metric(through, 1000.0);
    compare_with_log(&metrics, &folder.stored());
    assert_eq!(sum(&metrics, "pawl_recovery_path_total", "fresh"), 3.0);
    assert!(sum(&metrics, "pawl_guest_failures_total", "kind=\"trap\"") >= 1.0);
    assert!(sum(&metrics, "pawl_guest_failures_total", "kind=\"timeout\"") >= 1.0);
    assert!(sum(&metrics, "pawl_guest_seconds_total", "") > 0.1, "the loop alone took that");
    assert!(sum(&metrics, "pawl_guest_memory_bytes", "") > 65536.0);
    let status = wait_for("the last letters", LIMIT, || {
        let status = first.status();
        (status["dead_letters"]["last"].as_array()?.len() == 2).then_some(status)
    });
    assert_eq!(status["dead_letters"]["total"], 2);
    let payloads: Vec<_> =
        status["dead_letters"]["last"].as_array().unwrap().iter().map(|l| &l["payload"]).collect();
    assert!(payloads.contains(&&Value::from("trap")) && payloads.contains(&&Value::from("loop")));
    assert!(first.running.kill().was_killed());

    folder.produce("in", &input::joined(&input::numbered(1000, 1500)));
    let second = Watched::start(&folder, &[], &[]);
    // No sample ever shows fewer than were durable.
    wait_for("the rest to be through", LIMIT, || {
        let metrics = second.metrics();
        for (name, before) in [(through, 1000.0), ("pawl_dlq_records", 2.0)] {
            assert!(metrics.get(name).is_none_or(|now| *now >= before), "{name} went back");
        }
        (metrics.get(through) == Some(&1500.0)).then_some(())
    });
    let metrics = second.metrics();
    compare_with_log(&metrics, &folder.stored());
    assert_eq!(sum(&metrics, "pawl_recovery_path_total", "local"), 3.0);
    second.running.signal("TERM");
    second.running.wait().success();
    let text = std::fs::read_to_string(folder.data().join("metrics.prom")).unwrap();
    let file = samples(&text);
    assert_eq!(file["pawl_up"], 0.0);
    compare_with_log(&file, &folder.stored());
}

#[test]
fn a_run_is_ready_until_a_task_stops_and_then_says_which_and_why() {
    let folder = folder("ready", "snapshot-traps");
    let watched =
        Watched::start(&folder, &["--set", "checkpoint.interval_ms=10", "--log-format=json"], &[]);
    wait_for("the run to be ready", LIMIT, || (watched.get("/readyz").status == 200).then_some(()));
    assert_eq!(watched.status()["ready"], true);
    // A checkpoint is due only behind something new.
    let mut next = 0;
    let refused = wait_for("a task to stop", LIMIT, || {
        folder.produce("in", &input::joined(&input::numbered(next, next + 10)));
        next += 10;
        let answer = watched.get("/readyz");
        (answer.status == 503 && answer.body.contains("stopped")).then_some(answer.body)
    });
    let refused: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(refused["ready"], false);
    let reason = &refused["reasons"][0];
    let what = reason["what"].as_str().unwrap();
    assert!(what.starts_with("task copy/"), "{reason}");
    assert_eq!(reason["code"], "snapshot");
    assert!(reason["message"].as_str().unwrap().contains("given up after"), "{reason}");
    assert_eq!(watched.get("/healthz").status, 200, "the process itself is well");
    let stopped = sum(&watched.metrics(), "pawl_task_stopped", "code=\"snapshot\"");
    assert!(stopped >= 1.0);
    assert!(sum(&watched.metrics(), "pawl_task_restarts_total", "") >= 1.0);
    watched.running.signal("TERM");
    let ended = watched.running.wait().fails(1, &["copy/", "snapshot"]);
    let logged: Vec<Value> =
        ended.err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let failed = logged.iter().find(|line| line["message"] == "task failed").expect("is logged");
    assert_eq!(failed["code"], "snapshot");
    assert_eq!(failed["stage"], "copy");
    assert_eq!(failed["level"], "ERROR");
}

#[test]
fn garbage_and_crowds_of_slow_clients_stop_neither_the_stream_nor_a_scrape() {
    let folder = folder("garbage", "by-value");
    let watched = Watched::start(&folder, &[], &[]);
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(100_000));
    let post = b"POST /api/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\
        Connection: close\r\n\r\nhello";
    for (bytes, status) in [
        (&b"\x00\xff\xfe garbage \r\n\r\n"[..], 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421),
        (b"GET /%00%ff/../../etc/passwd HTTP/1.0\r\nHost: localhost\r\n\r\n", 404),
        (post, 405),
        (long.as_bytes(), 431),
        (b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200),
    ] {
        let answer = watched.send(bytes);
        let got = answer.as_ref().map(|answer| answer.status);
        let shown = String::from_utf8_lossy(bytes);
        // A head without end may be cut without a word.
        let cut = status == 431 && matches!(got, None | Some(414));
        assert!(got == Some(status) || cut, "{got:?} to {shown:.80}");
        if bytes.starts_with(b"HEAD") {
            assert_eq!(answer.expect("it was answered").body, "", "a head has no body");
        }
    }
    let mut crowd: Vec<TcpStream> = Vec::new();
    for number in 0..500 {
        let Ok(mut stream) = TcpStream::connect(watched.address) else { continue };
        let _sent = stream.write_all(match number % 3 {
            0 => b"GET /met".as_slice(),
            1 => b"".as_slice(),
            _ => b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n".as_slice(),
        });
        crowd.push(stream);
    }
    assert!(crowd.len() >= 400, "{} connections", crowd.len());
    folder.produce("in", &input::joined(&input::numbered(0, 2000)));
    let through = "pawl_records_in_total{stage=\"files\",partition=\"0\"}";
    watched.wait_for_metric(through, 2000.0);
    drop(crowd);
    assert_eq!(watched.get("/readyz").status, 200);
    watched.running.signal("TERM");
    let ended = watched.running.wait().success();
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    assert_eq!(folder.stored().texts("out").len(), 2000);
}

#[test]
fn a_port_in_use_is_said_before_any_task_starts() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = folder("taken", "by-value");
    folder.produce("in", "a\n");
    let ended = folder.run(&["--until-idle", "--listen", &address]);
    let ended = ended.fails(1, &["pawl: failed to listen on", &address, "choose another port"]);
    assert!(!ended.err.contains("recovering"), "{}", ended.err);
    assert!(folder.stored().texts("out").is_empty());
    folder.run(&["--listen", "nonsense"]).fails(2, &["nonsense"]);
}
