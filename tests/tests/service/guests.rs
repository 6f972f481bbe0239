//! Guests that misbehave, each with what must happen: a dead letter, or a task that stops with its
//! reason, and never any harm to the rest.

use pawl_tests::{Folder, input};
use std::collections::BTreeSet;

const PIPELINE: &str = r#"
pawl = 1
name = "guests"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[topics.side]
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
[stage.operator.limits]
time_per_call_ms = 60
memory_bytes_max = 33554432
output_bytes_max = 1048576
state_bytes_max = 4194304
"#;

fn folder(mode: &str) -> Folder {
    Folder::new(mode, &PIPELINE.replace("MODE", mode))
}

#[test]
fn what_a_guest_does_at_one_record_is_that_records_dead_letter_and_the_rest_goes_through() {
    let orders = [
        ("trap", "trap", "trap"),
        ("loop", "timeout", "timeout"),
        ("recurse", "trap", "trap"),
        ("hoard", "memory", "memory"),
        ("flood", "memory", "memory"),
        // Each call is short, and there is no end to them.
        ("more", "timeout", "timeout"),
    ];
    let folder = folder("by-value");
    let mut lines = input::numbered(0, 600);
    for (number, (order, ..)) in orders.iter().enumerate() {
        lines.insert(100 * number + 50, (*order).to_owned());
    }
    folder.produce("in", &input::joined(&lines));
    folder.run(&["--until-idle"]).success();
    let stored = folder.stored();
    assert_eq!(stored.texts("out"), input::numbered(0, 600), "once each, in order");
    let letters: BTreeSet<_> = stored
        .letters()
        .into_iter()
        .map(|letter| {
            let payload = String::from_utf8_lossy(&letter.payload).into_owned();
            (payload, letter.disposition, letter.kind)
        })
        .collect();
    let wanted = orders.map(|(order, how, kind)| (order.into(), how.into(), kind.into()));
    assert_eq!(letters, BTreeSet::from(wanted));
}

/// Every lie that the guest can tell about an outcome, read from its own source: a new one cannot
/// be forgotten here. The second part: what is odd and no lie.
fn lies() -> (Vec<&'static str>, Vec<&'static str>) {
    let source = include_str!("../../../plugins/misbehaving/guest/src/lies.rs");
    let names = source.lines().filter_map(|line| {
        let (name, _) = line.trim().strip_prefix('"')?.split_once("\" =>")?;
        Some(name)
    });
    names.partition(|name| !["message-endless", "half-a-batch"].contains(name))
}

#[test]
fn each_lie_about_an_outcome_costs_the_record_and_harms_nobody_else() {
    let (lies, odd) = lies();
    assert!(lies.len() >= 25, "{lies:?}");
    let head = PIPELINE.split("[[stage]]").next().unwrap();
    let stage = PIPELINE.split_once("[[stage]]").unwrap().1;
    let mut text = head.to_owned();
    // One stage for each lie, all reading the same topic; honest ones among them.
    for name in lies.iter().chain(&odd).chain(&["plain", "honest"]) {
        text.push_str(&format!("[topics.of-{name}]\n"));
    }
    for name in lies.iter().chain(&odd).chain(&["plain", "honest"]) {
        let stage = stage.replace("\"copy\"", &format!("\"{name}\"")).replace("MODE", name);
        text.push_str("[[stage]]");
        text.push_str(&stage.replace("\"out\"", &format!("\"of-{name}\"")));
    }
    let folder = Folder::new("lies", &text);
    let lines = input::numbered(0, 10);
    folder.produce("in", &input::joined(&lines));
    folder.run(&["--until-idle"]).success();
    let stored = folder.stored();
    let mut told = 0;
    for lie in lies {
        let operator = format!("{lie}/guest");
        let letters = stored.letters().into_iter().filter(|letter| letter.operator == operator);
        let letters: Vec<_> = letters.collect();
        for letter in &letters {
            assert_eq!(letter.disposition, "trap", "{lie}: {letter:?}");
            // A lie that needs two rows may come out as a panic where there is one.
            assert!(["bad-return", "trap"].contains(&letter.kind.as_str()), "{lie}: {letter:?}");
        }
        // Others are none where there is one row, and alone each record goes through.
        let refused = letters.iter().map(|letter| String::from_utf8_lossy(&letter.payload));
        let mut all: Vec<String> = refused.map(|text| text.into_owned()).collect();
        all.extend(stored.texts(&format!("of-{lie}")));
        all.sort();
        assert_eq!(all, lines, "{lie}: refused or passed, and each once");
        told += usize::from(letters.len() == lines.len());
    }
    assert!(told >= 20, "{told} lies were told of one row");
    for honest in ["plain", "honest", "half-a-batch"] {
        assert_eq!(stored.texts(&format!("of-{honest}")), lines, "{honest}");
    }
    let kinds = stored.letters().into_iter().filter(|l| l.operator == "message-endless/guest");
    assert!(kinds.map(|letter| letter.kind).eq(["kind"]), "one refused, with a message cut short");
    assert_eq!(stored.texts("of-message-endless"), [""; 0]);
}

#[test]
fn a_guest_that_fails_in_snapshot_stops_its_task_and_what_it_did_before_stays_done() {
    for (mode, says) in [
        ("snapshot-traps", "trap"),
        ("snapshot-loops", "timeout"),
        ("snapshot-hoards", "memory"),
        ("snapshot-absent-never-given", "bad-return"),
        ("snapshot-endless", "bad-return"),
        ("snapshot-endless-and-empty", "bad-return"),
        ("snapshot-oversized", "bad-return"),
        ("snapshot-many-big-parts", "bad-return"),
        ("snapshot-grows-absent", "bad-return"),
    ] {
        let folder = folder(mode);
        folder.produce("in", &input::joined(&input::numbered(0, 100)));
        let mut ended = folder.run(&["--until-idle"]);
        if mode == "snapshot-grows-absent" {
            // The first one is honest.
            ended.success();
            folder.produce("in", &input::joined(&input::numbered(100, 200)));
            ended = folder.run(&["--until-idle"]);
        }
        ended.fails(1, &["copy/0", "operator guest", "snapshot", says]);
        let so_far = folder.stored().texts("out").len();
        assert!(so_far >= 100, "{mode}");
        folder.write_pipeline(&PIPELINE.replace("MODE", "plain"));
        folder.run(&["--until-idle", "--switch-at-checkpoint"]).success();
        assert_eq!(folder.stored().texts("out"), input::numbered(0, so_far), "{mode}");
    }
}

#[test]
fn a_guest_that_fails_in_advance_stops_its_task_which_says_that_nothing_is_lost() {
    let timed = PIPELINE.replace(
        "[stage.operator.limits]",
        "edge = { event_time = \"own\", watermark = { disorder_ms = 0, agree = 1 } }\n\
         [stage.operator.limits]",
    );
    for (mode, says) in [
        ("advance-traps", "trap"),
        ("advance-loops", "timeout"),
        ("advance-takes", "bad-return"),
        ("advance-with-cause", "bad-return"),
        ("advance-rejects", "bad-return"),
        ("advance-more-of-nothing", "bad-return"),
    ] {
        let folder = Folder::new(mode, &timed.replace("MODE", mode));
        let lines: String = (0..50)
            .map(|n| {
                format!("{{\"value\":\"v{n}\",\"event_time\":{}}}\n", input::START_MS + n * 100)
            })
            .collect();
        folder.produce_json("in", &lines);
        let ended = folder.run(&["--until-idle"]);
        ended.fails(1, &["advance", "copy/0", says, "nothing is lost", "given up after"]);
        folder.write_pipeline(&timed.replace("MODE", "honest"));
        let ended = folder.run(&["--until-idle"]);
        assert_eq!(ended.code, Some(0), "{mode}: {}", ended.err);
        let mut out = folder.stored().texts("out");
        out.retain(|text| text != "tick");
        assert_eq!(out, (0..50).map(|n| format!("v{n}")).collect::<Vec<_>>(), "{mode}");
    }
}

#[test]
fn what_cannot_be_an_operator_is_refused_before_anything_runs() {
    for (change, says) in [
        (("\"misbehaving\"", "\"misbehaving-smuggler\""), "contraband"),
        (("MODE", "configure-refuses"), "no such mode"),
        (("MODE", "configure-traps"), "trap"),
        (("MODE", "configure-loops"), "timeout"),
        (("MODE", "configure-hoards"), "memory"),
        (("MODE", "wiring-same-output-twice"), "out"),
        (("MODE", "wiring-too-many-outputs"), "outputs"),
    ] {
        let patient = PIPELINE.replace("time_per_call_ms = 60", "time_per_call_ms = 500");
        let folder = Folder::new("refused", &patient.replace(change.0, change.1));
        folder.produce("in", "a\nb\n");
        let where_it_stands = "stage.copy.operator.guest";
        folder.run(&["--until-idle"]).fails(2, &[where_it_stands, says]);
        folder.pawl(&["check", "p.toml"], b"").fails(2, &[where_it_stands, says]);
        folder.write_pipeline(&PIPELINE.replace("MODE", "plain"));
        folder.run(&["--until-idle"]).success();
        assert_eq!(folder.stored().texts("out"), ["a", "b"]);
    }
}
