//! From end to end: a bad component makes dead letters, a good one replaces it, and what is sent
//! back comes out as if it had never been refused, whoever is killed meanwhile.

use crate::world::{json, replay, reprocess, sent, text};
use pawl_tests::stored::Row;
use pawl_tests::{Folder, Random, wait_for};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// Everything that `sda-normalize` gets here is no observation; `identity` takes it.
fn pipeline(plugin: &str) -> String {
    format!(
        r#"
pawl = 1
name = "t"
data = "data"
plugins = ["PLUGINS"]
checkpoint = {{ interval_ms = 300 }}
[topics.in]
partitions = 3
[topics.passed]
[[stage]]
name = "pass"
input = "in"
output = "passed"
breaker = {{ records = 100, failed_share_max = 1.0 }}
[[stage.operator]]
name = "pass"
plugin = "{plugin}"
[stage.operator.edge]
id = "content"
event_time = "own"
dedup = {{ horizon_ms = 1000000, ids_max = 100000 }}
"#
    )
}

const BAD: &str = "sda-normalize";
const GOOD: &str = "identity";

/// A folder in which `count` lines are dead letters, and what should have become of them.
fn refused(name: &str, count: usize) -> (Folder, Vec<String>) {
    // With a time of their own, so that both folders make the same of them.
    let line = |n| format!("{{\"value\":\"record {n}\",\"event_time\":{n}}}\n");
    let lines: String = (0..count).map(line).collect();
    let reference = Folder::new(&format!("{name}-reference"), &pipeline(GOOD));
    reference.produce_json("in", &lines);
    reference.run(&["--until-idle"]).success();
    let folder = Folder::new(name, &pipeline(BAD));
    folder.produce_json("in", &lines);
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().letters().len(), count);
    (folder, reference.stored().outputs("passed"))
}

fn letters_by_count(folder: &Folder) -> BTreeMap<String, Vec<Row>> {
    let mut by_count: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in folder.stored().rows("t.dlq") {
        by_count.entry(text(&row, "pawl-replay-count")).or_default().push(row);
    }
    by_count
}

#[test]
fn what_a_good_component_takes_comes_out_once_under_the_right_ids_while_the_host_runs() {
    let (folder, wanted) = refused("mended", 600);
    folder.write_pipeline(&pipeline(GOOD));
    let host = folder.start(&["run", "p.toml"]);
    replay(&folder, &["--rate", "1000"]).success();
    wait_for("all to come out", LONG, || {
        (folder.stored().outputs("passed").len() >= wanted.len()).then_some(())
    });
    host.signal("TERM");
    host.wait().success();
    assert_eq!(folder.stored().outputs("passed"), wanted);
    assert_eq!(folder.stored().letters().len(), 600, "and none failed again");
    replay(&folder, &[]).fails(3, &[]);
}

#[test]
fn what_was_sent_while_no_host_ran_is_taken_by_the_next_one() {
    let (folder, wanted) = refused("later", 200);
    folder.write_pipeline(&pipeline(GOOD));
    replay(&folder, &[]).success();
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().outputs("passed"), wanted);
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().outputs("passed"), wanted, "once");
}

#[test]
fn with_host_and_tool_killed_at_random_each_comes_out_once() {
    let mut random = Random::from_environment();
    let (folder, wanted) = refused("killed", 2000);
    folder.write_pipeline(&pipeline(GOOD));
    for _ in 0..10 {
        let host = folder.start(&["run", "p.toml"]);
        let tool = folder.start_command(reprocess(&folder, &["--rate", "1500"]));
        if random.chance(500) {
            tool.kill_after(Duration::from_millis(random.below(600)));
            host.kill_after(Duration::from_millis(random.below(600)));
        } else {
            host.kill_after(Duration::from_millis(random.below(600)));
            tool.kill_after(Duration::from_millis(random.below(600)));
        }
        let outputs = folder.stored().outputs("passed");
        let different: BTreeSet<&String> = outputs.iter().collect();
        assert_eq!(different.len(), outputs.len(), "one came out twice");
    }
    replay(&folder, &[]);
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().outputs("passed"), wanted);
    assert!(sent(&folder, "pass").values().all(|count| *count == 1));
    assert_eq!(folder.stored().letters().len(), 2000);
}

#[test]
fn what_fails_again_is_the_next_attempt_and_in_the_end_parked() {
    let (folder, _) = refused("again", 30);
    for attempt in 1..=3 {
        let said = json(&replay(&folder, &["--json"]).success());
        assert_eq!((&said["sent"], &said["matched"]), (&30.into(), &30.into()));
        folder.run(&["--until-idle"]).success();
        let letters = letters_by_count(&folder);
        let again = &letters[&attempt.to_string()];
        assert_eq!(again.len(), 30, "attempt {attempt}");
        let run = said["run"].as_str().unwrap();
        assert!(again.iter().all(|row| text(row, "pawl-replay-id") == run));
    }
    let letters = folder.stored().rows("t.dlq");
    let ids: BTreeSet<String> = letters.iter().map(|row| text(row, "pawl-id")).collect();
    assert_eq!((letters.len(), ids.len()), (120, 120), "each attempt is a letter of its own");
    let firsts: BTreeSet<String> =
        letters.iter().map(|row| text(row, "pawl-first-timestamp")).collect();
    let origins: BTreeSet<String> = letters
        .iter()
        .map(|row| ["pawl-topic", "pawl-partition", "pawl-offset"].map(|h| text(row, h)).join("/"))
        .collect();
    assert_eq!(origins.len(), 30, "the origin is that of the root");
    assert!(firsts.len() <= 30, "when it first failed is kept");
    let ended = replay(&folder, &["--json"]);
    assert_eq!(ended.code, Some(4), "{}", ended.err);
    assert_eq!(json(&ended)["not_sent"][0]["why"], "parked");
    assert_eq!(json(&ended)["not_sent"][0]["count"], 30);
    assert_eq!(folder.stored().rows("t.replayed").len(), 90);
}

#[test]
fn what_fails_again_while_the_tool_sends_is_for_the_next_run() {
    let (folder, _) = refused("meanwhile", 40);
    let host = folder.start(&["run", "p.toml"]);
    let said = json(&replay(&folder, &["--rate", "20", "--json"]).success());
    assert_eq!(said["sent"], 40);
    wait_for("all to fail again", LONG, || (folder.stored().letters().len() == 80).then_some(()));
    host.signal("TERM");
    host.wait().success();
    assert_eq!(folder.stored().rows("t.replayed").len(), 40);
}

#[test]
fn a_dry_run_tells_what_then_comes() {
    let (folder, wanted) = refused("foretold", 50);
    let said = json(&replay(&folder, &["--dry-run", "--json"]).success());
    assert_eq!(said["tried"]["succeed"], 0, "the bad one still runs");
    assert_eq!(said["tried"]["failed"][0]["count"], 50);
    folder.write_pipeline(&pipeline(GOOD));
    let said = json(&replay(&folder, &["--dry-run", "--json"]).success());
    assert_eq!(said["tried"]["succeed"], 50);
    replay(&folder, &[]).success();
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().outputs("passed"), wanted);
}
