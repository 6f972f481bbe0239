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
