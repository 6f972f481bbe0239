//! How a host lives and ends: one per folder, asked to stop, asked twice, with a slow operator.

use pawl_core::commit::TaskId;
use pawl_tests::{Folder, input, wait_for};
use std::time::{Duration, Instant};

const PIPELINE: &str = r#"
pawl = 1
name = "life"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[topics.side]
[[stage]]
name = "copy"
input = "in"
output = "out"
[[stage.operator]]
name = "guest"
plugin = "misbehaving"
config = { mode = "by-value" }
outputs = { side = "side" }
"#;

fn committed(folder: &Folder) -> u64 {
    let task = TaskId { stage: "copy".to_owned(), partition: 0 };
    folder.stored().commit(&task).map_or(0, |commit| commit.progress.position)
}

#[test]
fn a_second_host_of_a_pipeline_is_refused_naming_the_first_which_goes_on() {
    let folder = Folder::new("two-hosts", PIPELINE);
    folder.produce("in", &input::joined(&input::numbered(0, 10)));
    let mut first = folder.start(&["run", "p.toml"]);
    first.wait_until_it_says("recovering from a checkpoint");
    let pid = format!("process {}", first.pid());
    folder.run(&["--until-idle"]).fails(1, &[&pid]);
    folder.run(&["--fresh"]).fails(1, &[&pid]);
    folder.produce("in", &input::joined(&input::numbered(10, 20)));
    wait_for("the first to go on", Duration::from_secs(20), || {
        (committed(&folder) == 20).then_some(())
    });
    assert!(!first.has_ended());
    first.signal("TERM");
    first.wait().success();
    // A host that was killed does not keep the next one out.
    let mut third = folder.start(&["run", "p.toml"]);
    third.wait_until_it_says("recovering from a checkpoint");
    third.kill();
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().texts("out"), input::numbered(0, 20));
}

#[test]
fn asked_to_stop_it_finishes_what_is_in_hand_and_the_next_run_goes_on_exactly_there() {
    for signal in ["TERM", "INT"] {
        let folder = Folder::new("drain", PIPELINE);
        let lines = input::numbered(0, 200_000);
        folder.produce("in", &input::joined(&lines));
        let slow = ["run", "p.toml", "--set", "stage.copy.in_flight_records_max=50"];
        let running = folder.start(&slow);
        wait_for("a first commit", Duration::from_secs(20), || {
            (committed(&folder) > 0).then_some(())
        });
        running.signal(signal);
        let ended = running.wait().success();
        assert!(ended.err.contains("finishing what is in hand"), "{}", ended.err);
        assert!(ended.text().contains("copy/0: "), "it says what it did: {}", ended.text());
        let so_far = committed(&folder);
        assert!(so_far > 0 && so_far < 200_000, "{so_far}");
        assert_eq!(folder.stored().texts("out").len() as u64, so_far);
        let again = folder.run(&["--until-idle"]).success();
        assert!(!again.err.contains("without a word"), "it ended in good order: {}", again.err);
        assert!(folder.stored().texts("out") == lines, "once each, in order");
    }
}

#[test]
fn asked_twice_it_stops_at_once_though_a_guest_holds_the_thread() {
    let folder = Folder::new("twice", PIPELINE);
    let mut lines = input::numbered(0, 100);
    lines[50] = "loop".to_owned();
    folder.produce("in", &input::joined(&lines));
    let patient = "stage.copy.operator.guest.limits.time_per_call_ms=600000";
    let mut running = folder.start(&["run", "p.toml", "--set", patient]);
    running.wait_until_it_says("recovering from a checkpoint");
    running.signal("TERM");
    running.wait_until_it_says("once more to stop at once");
    let asked = Instant::now();
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code, Some(128 + 15), "{}", ended.err);
    assert!(asked.elapsed() < Duration::from_secs(5));
    let short = "stage.copy.operator.guest.limits.time_per_call_ms=60";
    folder.run(&["--until-idle", "--set", short]).success();
    assert_eq!(folder.stored().refused(), [("loop".to_owned(), "timeout".to_owned())]);
    lines.remove(50);
    assert_eq!(folder.stored().texts("out"), lines);
}

#[test]
fn a_slow_consumer_with_little_credit_keeps_memory_flat_however_much_waits() {
    let mut peaks = Vec::new();
    for megabytes in [1, 60] {
        let folder = Folder::new("flat", PIPELINE);
        let padding = "x".repeat(1000);
        let count = megabytes * 1000;
        let lines: Vec<_> = (0..count).map(|number| format!("{number} {padding}")).collect();
        folder.produce("in", &input::joined(&lines));
        let slow = [
            "run",
            "p.toml",
            "--set",
            "stage.copy.in_flight_records_max=200",
            "--set",
            "stage.copy.in_flight_bytes_max=1000000",
        ];
        let running = folder.start(&slow);
        wait_for("all to be through", Duration::from_secs(60), || {
            (committed(&folder) == count as u64).then_some(())
        });
        peaks.push(running.memory_peak_bytes() >> 20);
        running.signal("TERM");
        running.wait().success();
    }
    println!("peaks: {peaks:?} MiB");
    assert!(peaks[1] < peaks[0] + 60, "60 MB waited, and the peaks are {peaks:?} MiB");
}

#[test]
fn killed_at_the_end_of_its_input_with_little_credit_it_takes_up_what_comes_later() {
    let folder = Folder::new("credit-back", PIPELINE);
    let little = ["--set", "stage.copy.in_flight_records_max=10"];
    folder.produce("in", &input::joined(&input::numbered(0, 100)));
    let first = folder.start(&["run", "p.toml", little[0], little[1]]);
    wait_for("all to be committed", Duration::from_secs(20), || {
        (committed(&folder) == 100).then_some(())
    });
    first.signal("KILL");
    assert!(first.wait().was_killed());
    let mut second = folder.start(&["run", "p.toml", little[0], little[1]]);
    second.wait_until_it_says("recovering from a checkpoint");
    folder.produce("in", &input::joined(&input::numbered(100, 200)));
    wait_for("the rest to be committed", Duration::from_secs(20), || {
        (committed(&folder) == 200).then_some(())
    });
    second.signal("TERM");
    second.wait().success();
    assert_eq!(folder.stored().texts("out"), input::numbered(0, 200));
}
