//! Bounds that are reached: the circuit breaker, dead letters without room, a disk without room.
//! The task stops with its reason, nothing is lost, and it goes on when there is room again.

use pawl_tests::{Folder, input};

const PIPELINE: &str = r#"
pawl = 1
name = "bounds"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.good]
[topics.out]
[topics.passed]
[[stage]]
name = "window"
input = "in"
output = "out"
breaker = { records = 100, failed_share_max = 0.5 }
[[stage.operator]]
name = "window"
plugin = "count-window"
config = { window_ms = 1000 }
[[stage]]
name = "pass"
input = "good"
output = "passed"
[[stage.operator]]
name = "pass"
plugin = "identity"
"#;

#[test]
fn the_breaker_stops_before_the_topic_drains_and_a_person_may_resume() {
    let folder = Folder::new("breaker", PIPELINE);
    let lines = input::numbered(0, 5000);
    folder.produce("in", &input::joined(&lines));
    folder.produce("good", &input::joined(&lines));
    folder.run(&["--until-idle"]).fails(1, &["window/0", "circuit breaker", "of the last 100"]);
    let first = folder.stored().letters().len();
    assert!((51..2000).contains(&first), "{first} of 5000 are dead");
    assert_eq!(folder.stored().texts("passed"), lines, "the other stage is not held up");
    folder.run(&["--until-idle"]).fails(1, &["circuit breaker"]);
    assert_eq!(folder.stored().letters().len(), first, "it does not start past it");
    folder.run(&["--until-idle", "--resume"]).fails(1, &["circuit breaker"]);
    let second = folder.stored().letters().len();
    assert!(second > first && second < 4000, "{second}");
    let off = "stage.window.breaker.failed_share_max=1";
    folder.run(&["--until-idle", "--resume", "--set", off]).success();
    let mut dead: Vec<String> =
        folder.stored().refused().into_iter().map(|(text, _)| text).collect();
    dead.sort();
    let mut wanted = lines;
    wanted.sort();
    assert_eq!(dead, wanted, "each once");
}

#[test]
fn dead_letters_at_their_bound_stop_the_task_and_none_is_lost() {
    let folder = Folder::new("full", PIPELINE);
    let lines = input::numbered(0, 300);
    folder.produce("in", &input::joined(&lines));
    folder.produce("good", &input::joined(&lines));
    let off = "stage.window.breaker.failed_share_max=1";
    let small = ["--until-idle", "--set", off, "--set", "dead_letters.records_max=50"];
    let small = [&small[..], &["--set", "commit.records_max=20"]].concat();
    let small = [&small[..], &["--set", "stage.window.batch_records_max=10"]].concat();
    folder.run(&small).fails(1, &["dead-letters-full", "records_max = 50", "drop-oldest"]);
    let kept = folder.stored().letters().len();
    assert!(kept <= 50, "{kept}");
    assert_eq!(folder.stored().texts("passed"), lines, "the other stage is not held up");
    folder.run(&["--until-idle", "--set", off]).success();
    assert_eq!(folder.stored().letters().len(), 300);
    let wanted = folder.stored().counters()["window/0"].clone();
    assert_eq!((wanted.records_in, wanted.edges[0].dead_lettered), (300, 300));
}

#[test]
fn at_their_bound_the_oldest_dead_letters_go_if_the_pipeline_says_so() {
    let folder = Folder::new("oldest", PIPELINE);
    folder.produce("in", &input::joined(&input::numbered(0, 300)));
    let sets = [
        "stage.window.breaker.failed_share_max=1",
        "dead_letters.records_max=50",
        "dead_letters.at_max=drop-oldest",
        // Batches go as a whole, so they must be smaller than the bound.
        "stage.window.in_flight_records_max=10",
    ];
    let mut arguments = vec!["--until-idle"];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    folder.run(&arguments).success();
    let dead = folder.stored().refused();
    assert!((1..=50).contains(&dead.len()), "{}", dead.len());
    assert!(dead.contains(&("record 299".to_owned(), "deserialization".to_owned())), "{dead:?}");
    assert_eq!(folder.stored().counters()["window/0"].edges[0].dead_lettered, 300);
}

#[test]
fn where_the_disk_has_no_room_it_ends_with_the_reason_and_goes_on_when_there_is() {
    let folder = Folder::new("no-room", PIPELINE);
    let lines: Vec<String> =
        (0..4000).map(|number| format!("{number} {}", "x".repeat(1000))).collect();
    folder.produce("good", &input::joined(&lines));
    // No file may be written beyond 2.5 MB: as a full disk, but only for this process.
    let pawl = folder.command(&["run", "p.toml", "--until-idle"]);
    let mut limited = std::process::Command::new("bash");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2500; exec \"$0\" \"$@\""]);
    limited.arg(pawl.get_program()).args(pawl.get_args()).current_dir(folder.path());
    let ended = folder.start_command(limited).wait();
    ended.fails(1, &["pawl: "]);
    let so_far = folder.stored().texts("passed").len();
    assert!(so_far < 4000, "{so_far}");
    folder.run(&["--until-idle"]).success();
    assert!(folder.stored().texts("passed") == lines, "once each, in order");
}
