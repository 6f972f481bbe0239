//! Killed anywhere, two at once, beside a host that runs: every chosen letter lies exactly once in
//! the replay topic, and never is one there that the ledger does not know.

use crate::world::{PIPELINE, json, replay, reprocess, sent, text};
use pawl_tests::{Draft, Folder, Random, input};
use std::collections::BTreeSet;
use std::time::Duration;

/// Points at which the tool can kill itself.
const POINTS: [&str; 4] =
    ["replay-claimed", "replay-gathered", "replay-submitted", "replay-durable"];

fn letters(folder: &Folder, count: u64) -> BTreeSet<String> {
    let drafts: Vec<Draft> = (0..count).map(Draft::new).collect();
    folder.write_letters(&drafts);
    drafts.iter().map(Draft::id).collect()
}

/// What was sent is a part of `all`, each once, and just that stands in the ledger.
#[track_caller]
fn assert_once(folder: &Folder, all: &BTreeSet<String>) -> usize {
    let sent = sent(folder, "pass");
    assert!(sent.values().all(|count| *count == 1), "one is there twice");
    assert!(sent.keys().all(|id| all.contains(id)), "one is there that nobody chose");
    let ledger: Vec<String> = folder
        .stored()
        .rows("t.replayed")
        .into_iter()
        .map(|row| String::from_utf8(row.key.unwrap_or_default()).expect("a key is an id"))
        .collect();
    let noted: BTreeSet<String> = ledger.iter().cloned().collect();
    assert_eq!(noted.len(), ledger.len(), "the ledger has one twice");
    assert_eq!(noted, sent.keys().cloned().collect(), "ledger and topic differ");
    sent.len()
}

#[test]
fn killed_at_every_point_and_run_again_it_sends_each_once() {
    for point in POINTS {
        let folder = Folder::new("points", PIPELINE);
        let all = letters(&folder, 300);
        let mut before = 0;
        for hit in [1, 2, 3, 1] {
            // Commits of ten, so that there are many.
            let mut command = reprocess(&folder, &["--rate", "100", "--max", "100"]);
            command.env("PAWL_CRASH_AT", format!("{point}:{hit}"));
            let ended = folder.start_command(command).wait();
            let once = point == "replay-claimed" && hit > 1;
            assert_eq!(ended.was_killed(), !once, "{point}:{hit}: {}", ended.err);
            let now = assert_once(&folder, &all);
            assert!(now >= before);
            before = now;
        }
        replay(&folder, &[]);
        assert_eq!(assert_once(&folder, &all), 300, "{point}");
    }
}

#[test]
fn killed_at_random_moments_and_run_again_it_sends_each_once() {
    let mut random = Random::from_environment();
    let folder = Folder::new("moments", PIPELINE);
    let all = letters(&folder, 3000);
    for _ in 0..12 {
        let running = folder.start_command(reprocess(&folder, &["--rate", "2000"]));
        running.kill_after(Duration::from_millis(random.below(300)));
        assert_once(&folder, &all);
    }
    let last = replay(&folder, &["--json"]);
    assert!([Some(0), Some(3)].contains(&last.code), "{}", last.err);
    assert_eq!(assert_once(&folder, &all), 3000);
}

#[test]
fn a_run_that_was_cut_short_keeps_its_name_and_its_bound() {
    let folder = Folder::new("cut-short", PIPELINE);
    let all = letters(&folder, 300);
    let mut command = reprocess(&folder, &["--rate", "100", "--max", "100"]);
    command.env("PAWL_CRASH_AT", "replay-durable:3");
    let ended = folder.start_command(command).wait();
    assert!(ended.was_killed());
    let before = assert_once(&folder, &all);
    assert!((1..100).contains(&before), "{before}");
    let run = text(&folder.stored().rows("t.pass.replay")[0], "pawl-replay-id");
    assert!(ended.err.contains(&format!("--run {run}")), "{}", ended.err);
    let again = replay(&folder, &["--max", "100", "--run", &run, "--json"]).success();
    assert_eq!(json(&again)["run"], run.as_str());
    assert_eq!(assert_once(&folder, &all), 100);
    let rows = folder.stored().rows("t.pass.replay");
    assert!(rows.iter().all(|row| text(row, "pawl-replay-id") == run));
}

#[test]
fn of_two_at_once_one_is_fenced_and_says_so() {
    let folder = Folder::new("two", PIPELINE);
    let all = letters(&folder, 600);
    let mut first = folder.start_command(reprocess(&folder, &["--rate", "100"]));
    first.wait_until_it_says("run ");
    let second = replay(&folder, &["--json"]).success();
    first.wait().fails(1, &["another replay", "ledger", "run this again"]);
    assert_eq!(assert_once(&folder, &all), 600);
    assert!(json(&second)["sent"].as_u64().unwrap() > 0);
}

#[test]
fn many_that_take_each_other_over_send_each_once() {
    let mut random = Random::from_environment();
    let folder = Folder::new("many", PIPELINE);
    let all = letters(&folder, 2000);
    for _ in 0..6 {
        let tools: Vec<_> =
            (0..3).map(|_| folder.start_command(reprocess(&folder, &["--rate", "3000"]))).collect();
        for tool in tools {
            tool.kill_after(Duration::from_millis(random.below(200)));
        }
        assert_once(&folder, &all);
    }
    replay(&folder, &[]);
    assert_eq!(assert_once(&folder, &all), 2000);
}

#[test]
fn beside_a_host_that_writes_to_the_same_database_each_is_sent_once() {
    let folder = Folder::new("beside", PIPELINE);
    let all = letters(&folder, 2000);
    let mut host = folder.start(&["run", "p.toml"]);
    let lines = input::joined(&input::numbered(0, 20_000));
    let mut feeder = folder.start(&["produce", "-p", "p.toml", "orders"]);
    std::io::Write::write_all(&mut feeder.stdin(), lines.as_bytes()).unwrap();
    replay(&folder, &["--stage", "pass", "--rate", "4000"]).success();
    feeder.wait().success();
    assert!(!host.has_ended(), "{}", host.err());
    host.signal("TERM");
    host.wait().success();
    assert_eq!(assert_once(&folder, &all), 2000);
}
