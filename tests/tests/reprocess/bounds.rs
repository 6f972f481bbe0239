//! Dead letters are bounded by count, bytes and age; at a bound the task stops, or the oldest go.

use crate::world::PIPELINE;
use pawl_tests::{Folder, input, wait_for};
use std::time::Duration;

/// Small commits, so that a bound is met in the middle.
const SMALL: [&str; 4] = [
    "--set",
    "stage.window.in_flight_records_max=10",
    "--set",
    "stage.window.batch_records_max=10",
];

fn run(folder: &Folder, sets: &[&str]) -> pawl_tests::Ended {
    let mut arguments = vec!["--until-idle"];
    arguments.extend(SMALL);
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    folder.run(&arguments)
}

/// Lines without an id, to be refused, from `from` to below `to`.
fn refused(folder: &Folder, from: usize, to: usize) {
    let lines: Vec<String> = (from..to).map(|number| format!("reject {number}")).collect();
    folder.produce("times", &input::joined(&lines));
}

fn letters(folder: &Folder) -> usize {
    folder.stored().letters().len()
}

#[test]
fn too_many_or_too_large_ones_stop_the_task_and_with_room_it_goes_on() {
    for (bound, small) in
        [("records_max=50", "records_max = 50"), ("bytes_max=30000", "bytes_max = 30000")]
    {
        let folder = Folder::new("full", PIPELINE);
        refused(&folder, 0, 200);
        let bound = format!("dead_letters.{bound}");
        run(&folder, &[&bound]).fails(1, &["dead-letters-full", small, "drop-oldest"]);
        let kept = letters(&folder);
        assert!((1..=60).contains(&kept), "{bound}: {kept}");
        run(&folder, &[]).success();
        assert_eq!(letters(&folder), 200, "{bound}: none is lost");
    }
}

#[test]
fn too_many_or_too_large_ones_push_the_oldest_out_where_the_pipeline_says_so() {
    for bound in ["records_max=50", "bytes_max=30000"] {
        let folder = Folder::new("oldest", PIPELINE);
        refused(&folder, 0, 200);
        let bound = format!("dead_letters.{bound}");
        run(&folder, &[&bound, "dead_letters.at_max=drop-oldest"]).success();
        let kept = folder.stored().letters();
        assert!((1..=60).contains(&kept.len()), "{bound}: {}", kept.len());
        assert!(kept.iter().any(|letter| letter.payload == b"reject 199"), "{bound}");
        assert!(!kept.iter().any(|letter| letter.payload == b"reject 0"), "{bound}");
    }
}

#[test]
fn one_that_lies_too_long_stops_the_task_that_would_write_another() {
    let folder = Folder::new("old", PIPELINE);
    refused(&folder, 0, 20);
    run(&folder, &["dead_letters.age_max_ms=3600000"]).success();
    assert_eq!(letters(&folder), 20);
    refused(&folder, 20, 40);
    run(&folder, &["dead_letters.age_max_ms=1"]).fails(1, &["dead-letters-full", "age_max_ms = 1"]);
    assert_eq!(letters(&folder), 20);
    run(&folder, &["dead_letters.age_max_ms=3600000"]).success();
    assert_eq!(letters(&folder), 40);
}

#[test]
fn old_ones_go_though_nothing_fails_any_more() {
    let folder = Folder::new("aged", PIPELINE);
    refused(&folder, 0, 20);
    run(&folder, &[]).success();
    assert_eq!(letters(&folder), 20);
    let sets = ["--set", "dead_letters.age_max_ms=100", "--set", "dead_letters.at_max=drop-oldest"];
    let host = folder.start(&[&["run", "p.toml"], &sets[..]].concat());
    wait_for("the old ones to go", Duration::from_secs(60), || {
        (letters(&folder) == 0).then_some(())
    });
    host.signal("TERM");
    host.wait().success();
}

/// Eight tasks that refuse all they get.
const WIDE: &str = r#"
pawl = 1
name = "t"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
partitions = 8
[topics.passed]
[[stage]]
name = "pass"
input = "in"
output = "passed"
breaker = { records = 100, failed_share_max = 1.0 }
[[stage.operator]]
name = "pass"
plugin = "sda-normalize"
"#;

fn wide(name: &str, count: usize) -> Folder {
    let folder = Folder::new(name, WIDE);
    let lines: Vec<String> = (0..count).map(|number| format!("no observation {number}")).collect();
    folder.produce("in", &input::joined(&lines));
    folder
}

#[test]
fn many_tasks_together_write_no_more_than_the_bound() {
    for bound in [300, 1000] {
        let folder = wide("together", 4000);
        let set = format!("dead_letters.records_max={bound}");
        folder.run(&["--until-idle", "--set", &set]).fails(1, &["dead-letters-full"]);
        let kept = letters(&folder);
        assert!((1..=bound).contains(&kept), "{kept} of {bound}");
        folder.run(&["--until-idle"]).success();
        assert_eq!(letters(&folder), 4000, "none is lost");
    }
}

#[test]
fn where_the_oldest_go_some_are_kept_however_small_the_bound() {
    for (count, bound) in [(200, "records_max=10"), (4000, "records_max=100"), (200, "bytes_max=1")]
    {
        let folder = wide("some", count);
        let bound = format!("dead_letters.{bound}");
        let sets = ["--set", &bound, "--set", "dead_letters.at_max=drop-oldest"];
        folder.run(&[&["--until-idle"], &sets[..]].concat()).success();
        let kept = letters(&folder);
        // By bytes the newest batch stays, however large it is.
        let most = if bound.contains("bytes") { count } else { count / 20 };
        assert!((1..=most.max(10)).contains(&kept), "{kept} with {bound}");
    }
}

#[test]
fn a_bound_that_is_smaller_than_a_commit_is_filled_before_the_task_stops() {
    let folder = Folder::new("smaller", PIPELINE);
    refused(&folder, 0, 209);
    let bound = ["--until-idle", "--set", "dead_letters.records_max=20"];
    folder.run(&bound).fails(1, &["dead-letters-full", "--sent-back"]);
    assert!((1..=20).contains(&letters(&folder)), "{}", letters(&folder));
    let trim = ["topic", "trim", "-p", "p.toml", "t.dlq", "--unneeded", "--dead-letters"];
    for _ in 0..3 {
        folder.pawl(&trim, b"").success();
        folder.run(&bound).fails(1, &["dead-letters-full"]);
        assert!((1..=20).contains(&letters(&folder)), "with room it goes on");
    }
}
