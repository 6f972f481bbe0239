//! The built `pawl` on folders of its own: what needs no plugin. Each test is one story of a user.

#[cfg(test)]
#[path = "commands/comfort.rs"]
mod comfort;
#[cfg(test)]
#[path = "commands/deploy.rs"]
mod deploy;
#[cfg(test)]
mod support;
#[cfg(test)]
#[path = "commands/topics.rs"]
mod topics;

use pawl_checkpoint::{Draft, DraftPart, Header, OperatorRecord, Owner, PartKey, Store, bytes};
use pawl_core::commit::{Progress, TaskId};
use pawl_core::decision::{CheckpointName, OperatorDigest};
use pawl_core::record::{LogBatch, Record, Records};
use pawl_transport::Transport;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::Folder;

/// Nothing here takes so long unless it never comes.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn what_is_produced_is_consumed_byte_for_byte() {
    let folder = Folder::new("bytes");
    let input = b"{\"k\":\"a\"}\n\xff\x00\xfe\r\n\nrubbish\nlast".as_slice();
    let produced = folder.pawl(&["produce", "-p", "p.toml", "in"], input);
    assert_eq!(produced.code, 0, "{produced:?}");
    assert!(produced.err.contains("produced 4 records to in"), "{produced:?}");
    assert!(produced.err.contains("left out 1 empty line ("), "{produced:?}");
    let consumed = folder.pawl(&["consume", "-p", "p.toml", "in", "--from-start"], b"");
    let mut lines: Vec<&[u8]> = consumed.out.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    let expected: [&[u8]; 5] = [b"", b"last", b"rubbish", b"{\"k\":\"a\"}", b"\xff\x00\xfe\r"];
    assert_eq!(lines, expected);
}

#[test]
fn records_are_shown_from_an_offset_on() {
    let folder = Folder::new("offset");
    let produced = folder.pawl(&["produce", "-p", "p.toml", "out", "--summary-json"], b"a\nb\nc\n");
    let summary = serde_json::json!(
        [{ "topic": "out", "records": 3, "partitions": [3], "empty_lines": 0 }]
    );
    assert_eq!(serde_json::json!(produced.json()), summary);
    let from = |more: &[&str]| {
        let arguments = ["consume", "-p", "p.toml", "out", "--partition", "0"];
        folder.pawl(&[&arguments[..], more].concat(), b"").text()
    };
    assert_eq!(from(&["--offset", "1"]), "b\nc\n");
    assert_eq!(from(&["--offset", "1", "--max", "1"]), "b\n");
    assert_eq!(from(&["--offset", "3"]), "");
}

#[test]
fn an_empty_line_is_a_record_only_if_asked_for() {
    let folder = Folder::new("empty");
    folder.pawl(&["produce", "-p", "p.toml", "out", "--keep-empty"], b"\n\na\n");
    let consumed = folder.pawl(&["consume", "-p", "p.toml", "out"], b"");
    assert_eq!(consumed.text(), "\n\na\n");
}

#[test]
fn keys_send_records_to_partitions_and_the_same_input_lies_the_same_way() {
    let folder = Folder::new("keys");
    let input: String =
        (0..3000).map(|n| format!("{{\"k\":\"k{}\",\"n\":{n}}}\n", n % 7)).collect();
    folder.pawl(&["produce", "-p", "p.toml", "in"], input.as_bytes());
    let again = Folder::new("keys-again");
    again.pawl(&["produce", "-p", "p.toml", "in"], input.as_bytes());
    let mut seen = 0;
    for partition in ["0", "1", "2"] {
        let arguments = ["consume", "-p", "p.toml", "in", "--partition", partition];
        let consumed = folder.pawl(&arguments, b"");
        assert_eq!(consumed.out, again.pawl(&arguments, b"").out);
        let numbers: Vec<u64> = consumed.json().iter().map(|v| v["n"].as_u64().unwrap()).collect();
        assert!(numbers.is_sorted(), "order within a partition is kept");
        seen += numbers.len();
        for record in consumed.json() {
            let key = record["k"].as_str().unwrap();
            let at = pawl_core::partition::of(Some(key.as_bytes()), 0, 3);
            assert_eq!(at.to_string(), partition);
        }
    }
    assert_eq!(seen, 3000);
}

#[test]
fn copies_without_key_meet_where_their_reader_drops_them_and_spread_where_none_does() {
    let folder = Folder::new("copies");
    let input = "same\n".repeat(50);
    let by_content = folder.pawl(&["produce", "-p", "p.toml", "by-content"], input.as_bytes());
    assert_eq!(by_content.err.matches(" to by-content/").count(), 1, "{by_content:?}");
    let by_position = folder.pawl(&["produce", "-p", "p.toml", "by-position"], input.as_bytes());
    assert_eq!(by_position.err.matches(" to by-position/").count(), 4, "{by_position:?}");
}

#[test]
fn whole_records_go_round_unchanged() {
    let folder = Folder::new("round");
    let record = concat!(
        r#"{"event_time":"2009-02-10T16:55:59.795Z","id":"i","key_base64":"/wA=","value":"v\n","#,
        r#""headers":{"a":"1"},"headers_base64":{"b":"gA=="},"priority":7}"#
    );
    let input = format!("{record}\n{{\"value\":null}}\n");
    let produced = folder.pawl(&["produce", "-p", "p.toml", "out", "--json"], input.as_bytes());
    assert_eq!(produced.code, 0, "{produced:?}");
    let first = folder.pawl(&["consume", "-p", "p.toml", "out", "--json"], b"");
    let records = first.json();
    assert_eq!(records[0]["event_time"], 1_234_284_959_795_i64);
    assert_eq!(records[0]["offset"], 0);
    assert!(records[1]["value"].is_null() && records[1]["event_time"].is_null());
    folder.pawl(&["produce", "-p", "p.toml", "out", "--json"], &first.out);
    let arguments = ["consume", "-p", "p.toml", "out", "--json"];
    let mut second = folder.pawl(&arguments, b"").json();
    for copy in &mut second {
        for field in ["offset", "timestamp"] {
            copy.as_object_mut().unwrap().remove(field);
        }
    }
    assert_eq!(second[0], second[2]);
    assert_eq!(second[1], second[3]);
}

#[test]
fn a_line_that_is_too_long_is_named_and_what_came_before_it_is_durable() {
    let folder = Folder::new("long");
    let input = format!("a\nb\n{}\nc\n", "x".repeat(2000));
    let arguments = ["produce", "-p", "p.toml", "out", "--record-bytes-max", "1999"];
    let refused = folder.pawl(&arguments, input.as_bytes());
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("line 3 has more than 1999 bytes"), "{refused:?}");
    assert!(refused.err.contains("the first 2 lines are durable"), "{refused:?}");
    let arguments = ["produce", "-p", "p.toml", "out", "--json"];
    let refused = folder.pawl(&arguments, b"{\"value\":\"c\"}\n{\"value\":");
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("line 2 is not a record"), "{refused:?}");
    assert_eq!(folder.pawl(&["consume", "-p", "p.toml", "out"], b"").text(), "a\nb\nc\n");
}

#[test]
fn lines_of_a_slow_producer_are_seen_before_it_ends_and_by_who_follows() {
    let folder = Folder::new("follow");
    let mut producer = folder.command(&["produce", "-p", "p.toml", "in"]);
    let mut producer = producer.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = producer.stdin.take().unwrap();
    stdin.write_all(b"{\"k\":\"a\"}\n").unwrap();
    let start = Instant::now();
    // Until the database is there, there is nothing to follow.
    while folder.pawl(&["consume", "-p", "p.toml", "in"], b"").out.is_empty() {
        assert!(start.elapsed() < LONG, "a line waits until its producer ends");
    }
    let arguments = ["consume", "-p", "p.toml", "in", "--from-end", "--follow", "--max", "2"];
    let mut follower = folder.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut seen = BufReader::new(follower.stdout.take().unwrap());
    let mut line = String::new();
    let mut sent = 0;
    // What is sent before the follower has found the end is not for it, so more is sent.
    let reader = std::thread::spawn(move || {
        seen.read_line(&mut line).unwrap();
        seen.read_to_string(&mut line).unwrap();
        line
    });
    while !reader.is_finished() {
        assert!(start.elapsed() < LONG, "who follows sees nothing");
        stdin.write_all(format!("{{\"k\":\"{sent}\"}}\n").as_bytes()).unwrap();
        sent += 1;
        std::thread::yield_now();
    }
    assert_eq!(reader.join().unwrap().lines().count(), 2);
    assert!(follower.wait().unwrap().success());
    drop(stdin);
    assert!(producer.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_is_a_quiet_end() {
    let folder = Folder::new("pipe");
    let input: String = (0..200_000).map(|n| format!("{{\"k\":\"{n}\"}}\n")).collect();
    folder.pawl(&["produce", "-p", "p.toml", "in"], input.as_bytes());
    let mut consumer = folder.command(&["consume", "-p", "p.toml", "in"]);
    let consumer = consumer.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut consumer = consumer.spawn().unwrap();
    let mut first = [0; 1];
    consumer.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ended = consumer.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn rows_that_are_no_longer_kept_are_told_and_passed_over() {
    let folder = Folder::new("trimmed");
    folder.pawl(&["produce", "-p", "p.toml", "out"], b"a\nb\n");
    folder.pawl(&["produce", "-p", "p.toml", "out"], b"c\n");
    folder.transport().trim("out", 0, 2).unwrap();
    let consumed = folder.pawl(&["consume", "-p", "p.toml", "out"], b"");
    assert_eq!(consumed.text(), "c\n");
    assert!(consumed.err.contains("out/0: rows 0 to 1 are no longer kept"), "{consumed:?}");
}

#[test]
fn what_is_not_there_is_named_with_what_there_is_and_is_a_matter_of_usage() {
    let folder = Folder::new("usage");
    for (arguments, code, says) in [
        (&["consume", "-p", "p.toml", "nope"][..], 2, "no topic is named nope; there are"),
        (&["produce", "-p", "p.toml", "nope"], 2, "no topic is named nope; there are"),
        (&["produce", "-p", "p.toml", "test.dlq"], 2, "only tasks write it"),
        (&["consume", "-p", "p.toml", "in"], 1, "no database at"),
        (&["dlq", "ls", "-p", "p.toml"], 1, "no database at"),
        (&["consume", "-p", "none.toml", "in"], 2, "none.toml"),
        (&["consume", "-p", "p.toml", "in", "--from-end"], 2, "--follow"),
        (&["checkpoint", "ls", "-p", "p.toml"], 1, "no database at "),
        (&["checkpoint", "show", "-p", "p.toml", "copy/9"], 2, "no task is named copy/9"),
        (&["dlq", "show", "-p", "p.toml", "x"], 2, "neither PARTITION/OFFSET nor a pawl-id"),
        (&["nonsense"], 2, "nonsense"),
        (&[], 2, "Usage"),
    ] {
        let ended = folder.pawl(arguments, b"");
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(says), "{arguments:?}: {ended:?}");
        assert!(!ended.err.contains("panicked"), "{ended:?}");
    }
    folder.pawl(&["produce", "-p", "p.toml", "in"], b"x\n");
    for (arguments, code, says) in [
        (&["consume", "-p", "p.toml", "in", "--partition", "3"][..], 2, "has no partition 3"),
        (&["consume", "-p", "p.toml", "in", "--partition", "4294967295"], 2, "has no partition"),
        (&["consume", "-p", "p.toml", "in", "--offset", "0"], 2, "--partition"),
        (
            &["consume", "-p", "p.toml", "in", "--partition", "0", "--offset", "99"],
            2,
            "it has no offset 99 yet",
        ),
        (&["dlq", "show", "-p", "p.toml", "0/0"], 2, "there is no dead letter 0/0"),
        (&["dlq", "ls", "-p", "p.toml"], 0, "there are no dead letters"),
        (&["checkpoint", "ls", "-p", "p.toml"], 0, "there are no checkpoints"),
        (
            &["produce", "-p", "p.toml", "in", "--set", "topics.in.partitions=2"],
            2,
            "has 3 partitions and cannot be cut to 2",
        ),
    ] {
        let ended = folder.pawl(arguments, b"");
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(says), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn check_tells_all_mistakes_at_once_and_a_missing_plugin_with_where_it_was_looked_for() {
    let folder = Folder::new("check");
    let two = ["check", "p.toml", "--set", "stage.copy.input=zz", "--set", "plugns=1"];
    let refused = folder.pawl(&two, b"");
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("2 mistakes"), "{refused:?}");
    assert!(refused.err.contains("zz") && refused.err.contains("plugns"), "{refused:?}");
    let no_plugin = folder.pawl(&["check", "p.toml"], b"");
    assert_eq!(no_plugin.code, 2, "{no_plugin:?}");
    assert!(no_plugin.err.contains("no-such-plugin.wasm"), "{no_plugin:?}");
    assert!(no_plugin.err.contains("no_such_plugin.wasm"), "{no_plugin:?}");
    let shown = no_plugin.text();
    assert!(!shown.contains("exactly once"), "what cannot run promises nothing: {shown}");
    let run = folder.pawl(&["run", "p.toml", "--until-idle"], b"");
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.err.contains("no-such-plugin.wasm"), "{run:?}");
}

#[test]
fn dead_letters_are_listed_counted_once_per_id_and_shown_byte_for_byte() {
    let folder = Folder::new("dlq");
    folder.pawl(&["produce", "-p", "p.toml", "in"], b"x\n");
    let payload: &[u8] = b"\x00\xff broken \x1b[2J\nline";
    let mut records = Records::default();
    for id in ["000000000000000000000000000000ab", "000000000000000000000000000000cd"] {
        let headers: &[(&str, &[u8])] = &[
            ("own", b"mine"),
            ("pawl-class", b"permanent"),
            ("pawl-error-kind", b"malformed"),
            ("pawl-error-message", b"not \x1b[31mJSON"),
            ("pawl-id", id.as_bytes()),
            ("pawl-offset", b"17"),
            ("pawl-operator", b"normalize"),
            ("pawl-partition", b"2"),
            ("pawl-stage", b"copy"),
            ("pawl-topic", b"in"),
        ];
        records.push(Record { value: Some(payload), headers, ..Record::default() });
    }
    let batch = LogBatch { records, ..LogBatch::default() };
    let transport = folder.transport();
    transport.produce("test.dlq", 1, batch.clone(), 1).unwrap();
    transport.produce("test.dlq", 1, batch, 1).unwrap();
    drop(transport);

    let listed = folder.pawl(&["dlq", "ls", "-p", "p.toml"], b"");
    let text = listed.text();
    assert!(text.contains("2 dead letters and 2 repeated"), "{text}");
    assert!(text.contains("       2  permanent  malformed"), "{text}");
    assert!(text.contains("copy/normalize") && text.contains("in/2/17"), "{text}");
    assert!(!text.contains('\x1b'), "nothing that moves the cursor: {text}");
    let json = folder.pawl(&["dlq", "ls", "-p", "p.toml", "--json"], b"").json();
    assert_eq!(json.len(), 4);
    assert_eq!(json[3]["repeated"], true);
    assert_eq!(json[1]["pawl-id"], "000000000000000000000000000000cd");

    for which in ["1/1", "000000000000000000000000000000cd"] {
        let shown = folder.pawl(&["dlq", "show", "-p", "p.toml", which], b"");
        assert_eq!(shown.code, 0, "{shown:?}");
        assert!(shown.text().contains("pawl-id: 000000000000000000000000000000cd"), "{shown:?}");
        assert!(shown.text().contains("own: mine"), "{shown:?}");
        assert!(shown.out.ends_with(&[payload, b"\n"].concat()), "{shown:?}");
        let raw = folder.pawl(&["dlq", "show", "-p", "p.toml", which, "--payload"], b"");
        assert_eq!(raw.out, payload);
    }
    assert_eq!(folder.pawl(&["dlq", "show", "-p", "p.toml", "1/4"], b"").code, 2);
}

#[test]
fn checkpoints_are_listed_with_what_ran_and_a_damaged_one_with_why() {
    let folder = Folder::new("checkpoints");
    folder.pawl(&["produce", "-p", "p.toml", "in"], b"x\n");
    let store = pawl_service::store_of(&folder.pipeline());
    let task = TaskId { stage: "copy".to_owned(), partition: 1 };
    store.take_over(&task).unwrap();
    let component = store.put_object(b"component").unwrap();
    let configuration = store.put_object(b"{}").unwrap();
    let operator = OperatorRecord {
        digest: OperatorDigest { operator: "id".to_owned(), component, configuration },
        state_version: 4,
        operator_version: "0.9".to_owned(),
    };
    for sequence in [1, 2] {
        let header = Header {
            pipeline: "test".to_owned(),
            task: task.clone(),
            name: CheckpointName { epoch: 3, sequence },
            progress: Progress { position: 70 + sequence, ticks: 2, decisions: 1, admitted: 0 },
            semantics: 1,
            input_sum: 5,
            output_sum: 6,
            operators: vec![operator.clone()],
            created_ms: 0,
            log: String::new(),
        };
        let key = PartKey { owner: Owner::Operator(0), number: 9 };
        let parts = vec![DraftPart { key, data: Some(bytes(vec![1; 100])) }];
        store.write(&Draft { header, core: vec![2; 20], base: None, parts }).unwrap();
    }
    let newest = folder.find("00000000000000000003-00000000000000000002.ckpt");
    let length = std::fs::metadata(&newest).unwrap().len();
    std::fs::File::options().write(true).open(&newest).unwrap().set_len(length - 1).unwrap();

    let listed = folder.pawl(&["checkpoint", "ls", "-p", "p.toml"], b"");
    assert_eq!(listed.code, 0, "{listed:?}");
    let lines: Vec<String> = listed.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
    assert_eq!(words(0)[..3], ["task", "checkpoint", "created"]);
    assert_eq!(words(1)[..8], ["copy/1", "3-2", "-", "-", "-", "-", "-", "no"], "{lines:?}");
    let valid = ["copy/1", "3-1", "1970-01-01T00:00:00.000Z", "71", "2", "1", "120", "yes", "id"];
    assert_eq!(words(2)[..9], valid, "{lines:?}");
    let json = folder.pawl(&["checkpoint", "ls", "-p", "p.toml", "--json"], b"").json();
    assert_eq!((&json[0]["valid"], &json[1]["valid"]), (&false.into(), &true.into()));
    assert_eq!(json[1]["progress"]["position"], 71);
    assert_eq!(json[1]["operators"][0]["state_version"], 4);
    let whole = ["checkpoint", "show", "-p", "p.toml", "copy/1", "--json"];
    let whole = folder.pawl(&whole, b"").json().remove(0);
    assert_eq!(whole["commit"], serde_json::Value::Null);
    assert_eq!(whole["checkpoints"], serde_json::json!(json));
    let shown = folder.pawl(&["checkpoint", "show", "-p", "p.toml", "copy/1"], b"").text();
    assert!(shown.contains("state of operator 0: 1 parts, 100 bytes"), "{shown}");
    assert!(shown.contains(&operator.digest.component), "{shown}");
    assert!(shown.contains("commit: none"), "{shown}");
}
