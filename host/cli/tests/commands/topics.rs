//! `pawl topic`: what it shows is what is there, and what a checkpoint needs stays.

use crate::support::Folder;
use pawl_checkpoint::{Draft, Header, OperatorRecord, Store};
use pawl_core::commit::{Progress, TaskId};
use pawl_core::decision::{CheckpointName, OperatorDigest};
use pawl_core::record::{LogBatch, Record, Records};
use pawl_transport::Transport;
use serde_json::Value;

/// Appends batches of two records each.
fn append(folder: &Folder, topic: &str, partition: u32, batches: u32) {
    let transport = folder.transport();
    for _ in 0..batches {
        let mut records = Records::default();
        for value in [b"a", b"b"] {
            records.push(Record { value: Some(value), ..Record::default() });
        }
        let batch = LogBatch { records, ..LogBatch::default() };
        transport.produce(topic, partition, batch, 1).unwrap();
    }
}

/// Writes a checkpoint of task `copy/PARTITION` at each of these positions.
fn checkpoints(folder: &Folder, partition: u32, positions: &[u64]) {
    let store = pawl_service::store_of(&folder.pipeline());
    let task = TaskId { stage: "copy".to_owned(), partition };
    store.take_over(&task).unwrap();
    let component = store.put_object(b"component").unwrap();
    let configuration = store.put_object(b"{}").unwrap();
    let operator = OperatorRecord {
        digest: OperatorDigest { operator: "id".to_owned(), component, configuration },
        state_version: 1,
        operator_version: "1".to_owned(),
    };
    for (at, position) in positions.iter().enumerate() {
        let header = Header {
            pipeline: "test".to_owned(),
            task: task.clone(),
            name: CheckpointName { epoch: 1, sequence: at as u64 + 1 },
            progress: Progress { position: *position, ..Progress::default() },
            semantics: 1,
            input_sum: 0,
            output_sum: 0,
            operators: vec![operator.clone()],
            created_ms: 0,
            log: String::new(),
        };
        store.write(&Draft { header, core: vec![1], base: None, parts: Vec::new() }).unwrap();
    }
}

fn described(folder: &Folder, topic: &str) -> Value {
    let arguments = ["topic", "describe", "-p", "p.toml", topic, "--json"];
    folder.pawl(&arguments, b"").json().remove(0)
}

#[test]
fn topics_are_listed_before_and_after_they_are_made() {
    let folder = Folder::new("topic-ls");
    let before = folder.pawl(&["topic", "ls", "-p", "p.toml", "--json"], b"");
    assert_eq!(before.code, 0, "{before:?}");
    let names: Vec<String> =
        before.json().iter().map(|topic| topic["topic"].as_str().unwrap().to_owned()).collect();
    let sent_back = ["content", "copy", "position"].map(|stage| format!("test.{stage}.replay"));
    let (own, others): (Vec<String>, _) =
        names.into_iter().partition(|name| sent_back.contains(name));
    assert_eq!(own, sent_back);
    assert_eq!(others, ["by-content", "by-position", "in", "out", "test.dlq"]);
    assert!(before.json().iter().all(|topic| topic["made"] == false));
    append(&folder, "in", 1, 3);
    folder.transport().create_topic("by.hand", 2).unwrap();
    let after = folder.pawl(&["topic", "ls", "-p", "p.toml", "--json"], b"").json();
    assert_eq!(after.len(), 9);
    let input = after.iter().find(|topic| topic["topic"] == "in").unwrap();
    assert_eq!((&input["records"], &input["made"]), (&6.into(), &true.into()));
    assert_eq!(input["partitions"][1]["end"], 6);
    let lags = input["readers"].as_array().unwrap().iter();
    let lags: Vec<(&Value, &Value)> = lags.map(|r| (&r["task"], &r["lag"])).collect();
    let (none, six) = (Value::from(0), Value::from(6));
    let tasks = ["copy/0", "copy/1", "copy/2"].map(Value::from);
    assert_eq!(lags, [(&tasks[0], &none), (&tasks[1], &six), (&tasks[2], &none)]);
    let text = folder.pawl(&["topic", "ls", "-p", "p.toml"], b"").text();
    let line = text.lines().find(|line| line.starts_with("by.hand")).unwrap();
    assert!(line.ends_with("not in the file"), "{text}");
    let line = text.lines().find(|line| line.starts_with("in ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..3], ["in", "3", "6"], "{text}");
    assert_eq!(words[words.len() - 2..], ["6", "copy"], "{text}");
}

#[test]
fn topics_are_made_as_the_file_says_and_others_beside_them() {
    let folder = Folder::new("topic-create");
    let made = folder.pawl(&["topic", "create", "-p", "p.toml"], b"");
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.err.contains("made topic in with 3 partitions"), "{made:?}");
    let again = folder.pawl(&["topic", "create", "-p", "p.toml"], b"");
    assert!(again.err.contains("all topics are there already"), "{again:?}");
    let create =
        |rest: &[&str]| folder.pawl(&[&["topic", "create", "-p", "p.toml"], rest].concat(), b"");
    let other = create(&["other", "--partitions", "2"]);
    assert!(other.err.contains("made topic other with 2 partitions"), "{other:?}");
    let grown = create(&["other", "--partitions", "5"]);
    assert!(grown.err.contains("has 5 partitions now, 2 before"), "{grown:?}");
    for (arguments, says) in [
        (&["other", "--partitions", "3"][..], "cannot be cut to 3"),
        (&["in"], "is in the pipeline file"),
        (&["a b"], "a topic's name should be"),
        (&["x", "--partitions", "0"], "--partitions"),
        (&["--partitions", "2"], "TOPIC"),
    ] {
        let refused = create(arguments);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.err.contains(says), "{refused:?}");
    }
    assert_eq!(folder.transport().partitions("other").unwrap(), 5);
}

#[test]
fn what_nobody_reads_may_be_trimmed_as_a_person_likes() {
    let folder = Folder::new("topic-nobody");
    append(&folder, "out", 0, 4);
    let trim = |rest: &[&str]| {
        folder.pawl(&[&["topic", "trim", "-p", "p.toml", "out"], rest].concat(), b"")
    };
    let dry = trim(&["--below", "5", "--dry-run", "--json"]).json();
    assert_eq!((&dry[0]["first"], &dry[0]["dry_run"]), (&4.into(), &true.into()), "whole batches");
    assert_eq!(described(&folder, "out")["partitions"][0]["first"], 0);
    let trimmed = trim(&["--below", "5", "--json"]).json();
    assert_eq!((&trimmed[0]["first_before"], &trimmed[0]["first"]), (&0.into(), &4.into()));
    assert_eq!(trim(&["--below", "9"]).code, 2, "behind the end");
    let all = trim(&["--unneeded"]);
    assert!(all.text().contains("out/0: 4 rows are gone; the first one kept is 8"), "{all:?}");
    assert_eq!(trim(&[]).code, 2);
}

#[test]
fn rows_that_a_kept_checkpoint_would_be_replayed_from_are_never_trimmed() {
    let folder = Folder::new("topic-needed");
    append(&folder, "in", 0, 4);
    append(&folder, "in", 1, 4);
    let trim = |rest: &[&str]| {
        folder.pawl(&[&["topic", "trim", "-p", "p.toml", "in"], rest].concat(), b"")
    };
    let refused = trim(&["--partition", "0", "--below", "2"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("copy/0 has 0 of its 3 checkpoints"), "{refused:?}");
    checkpoints(&folder, 0, &[4, 6]);
    assert_eq!(trim(&["--partition", "0", "--below", "2"]).code, 1, "too few are kept yet");
    // A later checkpoint may lie at an earlier place: the lowest counts, not the oldest.
    checkpoints(&folder, 1, &[6, 4, 8]);
    let refused = trim(&["--partition", "1", "--below", "5"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("is replayed from row 4 of in/1"), "{refused:?}");
    assert!(refused.err.contains("--below 4"), "{refused:?}");
    let ambiguous = trim(&["--below", "2"]);
    assert_eq!(ambiguous.code, 2, "{ambiguous:?}");
    assert!(ambiguous.err.contains("--partition"), "{ambiguous:?}");
    assert_eq!(described(&folder, "in")["partitions"][1]["first"], 0, "nothing is gone so far");

    let unneeded = trim(&["--unneeded"]);
    assert_eq!(unneeded.code, 0, "{unneeded:?}");
    assert!(unneeded.text().contains("in/1: 4 rows are gone"), "{unneeded:?}");
    let facts = described(&folder, "in");
    let first: Vec<&Value> =
        facts["partitions"].as_array().unwrap().iter().map(|p| &p["first"]).collect();
    assert_eq!(first, [&Value::from(0), &Value::from(4), &Value::from(0)]);
    assert_eq!(facts["floors"][1]["below"], 4);
    assert_eq!(facts["floors"][1]["reader"], "copy/1");
    assert_eq!(facts["floors"][0]["below"], Value::Null);
}

#[test]
fn a_topic_is_described_for_people_too() {
    let folder = Folder::new("topic-describe");
    append(&folder, "in", 0, 1);
    let text = folder.pawl(&["topic", "describe", "-p", "p.toml", "in"], b"").text();
    for said in ["topic in", "kept: 2 records", "key: field /k", "only what comes from outside"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(text.contains("copy/0"), "{text}");
    let unknown = folder.pawl(&["topic", "describe", "-p", "p.toml", "outt"], b"");
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("no topic is named outt; did you mean out?"), "{unknown:?}");
}
