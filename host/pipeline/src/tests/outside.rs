//! Sinks, sources and the remote tier: what may be written, what is promised, what is refused.

use crate::*;
use std::path::Path;

const FILE: &str = r#"
pawl = 1
name = "p"
topics.in = {}
topics.alerts = { retention_ms = 5 }

[checkpoint.remote]
url = "s3://bucket/folder"
options = { aws_region = "x" }

[[source]]
name = "sensors"
topic = "in"
file = { path = "incoming/*.jsonl", follow = true }

[[stage]]
name = "a"
input = "in"
output = "alerts"
[[stage.operator]]
name = "first"
plugin = "x"

[[sink]]
name = "db"
input = "alerts"
at_retries_max = "dead-letter"
[sink.sql]
url_env = "DATABASE"
table = "alerts"
columns = { id = "id", tca = "/tca", at = "event-time", by = { header = "h" }, raw = "value" }
key = ["id"]

[[sink]]
name = "hook"
input = "alerts"
[sink.http]
url = "https://user:secret@receiver/hook"
headers = { authorization = { env = "TOKEN" } }
concurrency_max = 7

[[sink]]
name = "files"
input = "alerts"
[sink.file]
folder = "out"
format = "csv"
columns = [["id", "id"], ["tca", "/tca"]]
"#;

fn parsed(text: &str) -> (Pipeline, Vec<Warning>) {
    parse(text, Path::new("base"), &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn told(text: &str) -> String {
    parse(text, Path::new("base"), &[]).map(drop).unwrap_err().to_string()
}

#[test]
fn a_sink_is_a_stage_with_a_dedup_window_and_no_event_time() {
    let (pipeline, warnings) = parsed(FILE);
    assert_eq!(warnings, [], "{warnings:?}");
    let sinks: Vec<&Stage> = pipeline.stages.iter().filter(|stage| stage.is_sink()).collect();
    assert_eq!(sinks.len(), 3);
    for sink in sinks {
        let edge = &sink.operators[0].edge;
        assert_eq!(edge.id, IdSource::Own);
        assert_eq!(edge.dedup.as_ref().map(|dedup| dedup.ids_max), Some(100_000));
        assert_eq!(pipeline.time_from(sink), None);
    }
    assert!(!pipeline.carries_time("alerts"), "only sinks read it");
    assert_eq!(pipeline.stage("hook").unwrap().batch_records_max, 7, "what is under way");
    assert_eq!(pipeline.topics["alerts"].retention_ms, 5);
    let remote = pipeline.checkpoint.remote.as_ref().unwrap();
    assert_eq!(
        (remote.url.as_str(), remote.recovery),
        ("s3://bucket/folder", RecoveryMode::Hybrid)
    );
}

#[test]
fn each_sink_and_source_says_what_it_promises() {
    let text = delivery_text(&parsed(FILE).0);
    let line = |start: &str| {
        let found = text.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("{start} in\n{text}")).to_owned()
    };
    assert!(line("file sensors").contains("exactly once"));
    let alerts: Vec<&str> = text.lines().filter(|line| line.starts_with("topic alerts")).collect();
    assert!(alerts[0].contains("sql db") && alerts[0].contains("effectively once"));
    assert!(alerts[0].contains("UPSERT by id"));
    assert!(alerts[1].contains("http hook") && alerts[1].contains("honours Idempotency-Key"));
    assert!(alerts[2].contains("file files") && alerts[2].contains("exactly once"));
    let plain = FILE.replace("concurrency_max = 7", "idempotency_key = false");
    assert!(delivery_text(&parsed(&plain).0).contains("at most 4 records come twice"));
    let once = FILE.replace("concurrency_max = 7", "mode = \"at-most-once\"");
    assert!(delivery_text(&parsed(&once).0).contains("delivery-unknown"));
}

#[test]
fn what_is_wrong_with_a_sink_or_source_is_said_with_its_path() {
    for (from, to, path) in [
        ("url_env = \"DATABASE\"", "url = \"mysql://x\"", "sink.db.sql.url"),
        ("key = [\"id\"]", "key = [\"nobody\"]", "sink.db.sql.key"),
        ("raw = \"value\"", "raw = \"body\"", "sink.db.sql.columns.raw"),
        ("concurrency_max = 7", "concurrency_max = 0", "sink.hook.http.concurrency_max"),
        ("concurrency_max = 7", "mode = \"once\"", "sink.hook.http.mode"),
        ("concurrency_max = 7", "[sink.edge]\nevent_time = \"own\"", "sink.hook.edge.event_time"),
        ("https://user", "ftp://user", "sink.hook.http.url"),
        ("[sink.file]", "[sink.folder]", "sink.files"),
        ("topic = \"in\"", "topic = \"alerts\"", "source.sensors.topic"),
        ("topic = \"in\"", "topic = \"inn\"", "source.sensors.topic"),
        ("file = { path", "tail = { path", "source.sensors"),
        ("s3://bucket", "bucket", "checkpoint.remote.url"),
        ("name = \"hook\"", "name = \"a\"", "sink.a.name"),
    ] {
        assert!(FILE.contains(from), "{from}");
        let mistakes = told(&FILE.replace(from, to));
        assert!(mistakes.contains(path), "{from} -> {to}: {mistakes}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let shown = format!("{:?}", parsed(FILE).0);
    assert!(!shown.contains("secret"), "{shown}");
    let mistakes = told(&FILE.replace("https://user", "ftp://user"));
    assert!(!mistakes.contains("secret"), "{mistakes}");
}

#[test]
fn an_address_of_an_object_store_with_credentials_is_refused_without_showing_it() {
    for url in [
        "s3://me:hidden@bucket/folder",
        "s3://hidden@bucket",
        "gs://bucket/folder?key=hidden",
        "az://container/folder#hidden",
        "https://account.blob.core.windows.net/container?sv=1&sig=hidden",
        "hidden",
    ] {
        let mistakes = told(&FILE.replace("s3://bucket/folder", url));
        assert!(mistakes.contains("checkpoint.remote.url"), "{url}: {mistakes}");
        assert!(!mistakes.contains("hidden"), "{url}: {mistakes}");
    }
    parsed(&FILE.replace("s3://bucket/folder", "file:///a/folder@home"));
    let number = FILE.replace("aws_region = \"x\"", "aws_secret_access_key = 4711");
    assert!(!told(&number).contains("4711"), "{}", told(&number));
}

#[test]
fn topics_of_the_host_are_not_for_files_to_name() {
    let plain = |extra: &str| {
        let text = format!(
            "pawl = 1\nname = \"t\"\n{extra}\n[topics.in]\n[[stage]]\nname = \"s\"\ninput = \"in\"\n\
             [[stage.operator]]\nname = \"o\"\nplugin = \"x\"\n"
        );
        parse(&text, Path::new(""), &[]).map(|(pipeline, _)| pipeline)
    };
    for own in ["t.replayed", "t.reviews", "t.source.gone", "t.s.replay"] {
        let refused = plain(&format!("[topics.\"{own}\"]")).unwrap_err().to_string();
        assert!(refused.contains(own), "{refused}");
        let refused = plain(&format!("[dead_letters]\ntopic = \"{own}\"")).unwrap_err().to_string();
        assert!(refused.contains("dead_letters.topic") && refused.contains(own), "{refused}");
    }
    for (topic, own) in [
        ("t.replayed", OwnTopic::Ledger),
        ("t.reviews", OwnTopic::Reviews),
        ("t.source.gone", OwnTopic::Place),
        ("t.s.replay", OwnTopic::SentBack),
        ("t.dlq", OwnTopic::DeadLetters),
    ] {
        assert_eq!(plain("").unwrap().own_topic(topic), Some(own));
    }
    assert_eq!(plain("[topics.\"u.replayed\"]").unwrap().own_topic("u.replayed"), None);
}
