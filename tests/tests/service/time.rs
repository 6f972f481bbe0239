//! Event time through partitions and stages: who is stopped, empty, ahead or split into several
//! runs makes nothing late and changes no result.

use pawl_tests::input::{START_MS, observation};
use pawl_tests::{Folder, Random, input, wait_for};
use std::time::Duration;

/// One stage with windows, behind a guest that may misbehave.
pub const WINDOWS: &str = r#"
pawl = 1
name = "windows"
data = "data"
plugins = ["PLUGINS"]
[topics.observations]
[topics.alerts]
[topics.side]
[[stage]]
name = "window"
input = "observations"
output = "alerts"
[[stage.operator]]
name = "guest"
plugin = "misbehaving"
config = { mode = "MODE" }
outputs = { side = "side" }
[[stage.operator]]
name = "window"
plugin = "count-window"
config = { window_ms = 1000, min_sensors = 1 }
[stage.operator.edge]
id = { field = "/observation_id" }
event_time = { field = "/t_ms", unit = "ms" }
watermark = { disorder_ms = 500 }
dedup = { horizon_ms = 60000, ids_max = 10000 }
"#;

/// Two stages: time is made in four tasks of the first and heard in two of the second.
const TWO_STAGES: &str = r#"
pawl = 1
name = "two-stages"
data = "data"
plugins = ["PLUGINS"]
[topics.observations]
partitions = 4
key = { field = "/cell" }
[topics.between]
partitions = 2
[topics.alerts]
[topics.late]
[[stage]]
name = "observe"
input = "observations"
output = "between"
breaker = { records = 20, failed_share_max = 0.5 }
[[stage.operator]]
name = "first"
plugin = "identity"
[stage.operator.edge]
id = { field = "/observation_id" }
event_time = { field = "/t_ms", unit = "ms" }
watermark = { disorder_ms = 500 }
dedup = { horizon_ms = 60000, ids_max = 10000 }
[[stage]]
name = "window"
input = "between"
output = "alerts"
late = { topic = "late" }
[[stage.operator]]
name = "window"
plugin = "count-window"
config = { window_ms = 1000, min_sensors = 1 }
"#;

/// Good observations over 40 cells, and the partition that each cell's come to.
fn observations(from: u64, to: u64) -> Vec<String> {
    let mut random = Random::new(from + 77);
    let line = |number: u64| {
        let time = START_MS + number as i64 * 20 + random.below(400) as i64 - 200;
        observation(number, random.below(40), time)
    };
    (from..to).map(line).collect()
}

fn lies_in_partition(line: &str, partition: u32) -> bool {
    let cell = line.split("\"cell\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    pawl_core::partition::of(Some(cell.as_bytes()), 0, 4) == partition
}

/// What the two stages make of these lines undisturbed.
fn undisturbed(lines: &[String]) -> Vec<String> {
    let folder = Folder::new("two-undisturbed", TWO_STAGES);
    folder.produce("observations", &input::joined(lines));
    folder.run(&["--close-windows"]).success();
    assert_eq!(folder.stored().texts("late"), [""; 0]);
    let alerts = folder.stored().outputs("alerts");
    assert!(alerts.len() > 100, "{}", alerts.len());
    alerts
}

#[test]
fn while_one_of_four_upstream_tasks_is_stopped_nothing_becomes_late_because_of_it() {
    let lines = observations(0, 3000);
    let wanted = undisturbed(&lines);
    let folder = Folder::new("stopped", TWO_STAGES);
    // Records without id and time trip the breaker of one task before it has begun.
    let rubbish: Vec<String> =
        (0..20).map(|n| format!(r#"{{"cell":"{}"}}"#, cell_of(3, n))).collect();
    folder.produce("observations", &input::joined(&rubbish));
    folder.produce("observations", &input::joined(&lines[..1500]));
    folder.run(&["--until-idle"]).fails(1, &["observe/3", "circuit breaker"]);
    folder.produce("observations", &input::joined(&lines[1500..]));
    folder.run(&["--until-idle"]).fails(1, &["observe/3", "circuit breaker"]);
    let stored = folder.stored();
    assert_eq!(stored.texts("alerts"), [""; 0], "the stopped task holds time for all");
    let of_others = lines.iter().filter(|line| !lies_in_partition(line, 3)).count() as u64;
    let read: u64 = (0..2).map(|n| stored.counters()[&format!("window/{n}")].records_in).sum();
    assert_eq!(read, of_others, "and holds up nobody's records");
    drop(stored);
    folder.run(&["--until-idle", "--resume"]).success();
    folder.run(&["--close-windows"]).success();
    assert_eq!(folder.stored().texts("late"), [""; 0]);
    assert_eq!(folder.stored().outputs("alerts"), wanted);
}

/// The n-th of the numbers that come to this partition as a key.
fn cell_of(partition: u32, n: usize) -> u32 {
    let lies =
        |cell: &u32| pawl_core::partition::of(Some(cell.to_string().as_bytes()), 0, 4) == partition;
    (0..).filter(lies).nth(n % 3).unwrap()
}

#[test]
fn input_of_one_partition_that_comes_a_run_later_is_not_late() {
    let lines = observations(0, 2000);
    let wanted = undisturbed(&lines);
    let folder = Folder::new("delayed", TWO_STAGES);
    let (delayed, prompt): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| lies_in_partition(line, 1));
    assert!(delayed.len() > 200);
    folder.produce("observations", &input::joined(&prompt));
    folder.run(&["--until-idle"]).success();
    folder.produce("observations", &input::joined(&delayed));
    folder.run(&["--until-idle"]).success();
    folder.run(&["--close-windows"]).success();
    assert_eq!(folder.stored().texts("late"), [""; 0]);
    assert_eq!(folder.stored().outputs("alerts"), wanted);
}

#[test]
fn a_second_run_until_idle_with_new_input_gives_the_same_as_one_run() {
    let lines = input::observations(3, 2000);
    let halves = WINDOWS.replace("MODE", "by-value");
    let (one, two) = (Folder::new("one", &halves), Folder::new("two", &halves));
    one.produce("observations", &input::joined(&lines));
    one.run(&["--until-idle"]).success();
    for part in lines.chunks(700) {
        two.produce("observations", &input::joined(part));
        two.run(&["--until-idle"]).success();
    }
    let (one, two) = (one.stored(), two.stored());
    assert!(one.texts("alerts").len() > 100);
    assert_eq!(one.rows("alerts"), two.rows("alerts"), "in the same order, too");
    assert_eq!(one.letters(), two.letters());
    assert_eq!(one.counters(), two.counters());
}

#[test]
fn a_run_without_anything_new_changes_nothing() {
    let folder = Folder::new("nothing-new", TWO_STAGES);
    folder.run(&["--until-idle"]).success();
    folder.run(&["--close-windows"]).success();
    assert_eq!(folder.stored().texts("alerts"), [""; 0]);
    folder.produce("observations", &input::joined(&observations(0, 500)));
    folder.run(&["--close-windows"]).success();
    let before = folder.stored().rows("alerts");
    assert!(!before.is_empty());
    folder.run(&["--until-idle"]).success();
    folder.run(&["--close-windows"]).success();
    assert_eq!(folder.stored().rows("alerts"), before);
}

#[test]
fn an_empty_partition_holds_time_only_until_it_counts_as_idle() {
    let lines: Vec<_> =
        observations(0, 1500).into_iter().filter(|line| lies_in_partition(line, 2)).collect();
    let wanted = {
        let folder = Folder::new("empty-closed", TWO_STAGES);
        folder.produce("observations", &input::joined(&lines));
        folder.run(&["--close-windows"]).success();
        folder.stored().outputs("alerts")
    };
    assert!(wanted.len() > 50);
    let folder = Folder::new("empty", TWO_STAGES);
    let half = lines.len() / 2;
    folder.produce("observations", &input::joined(&lines[..half]));
    let running = folder.start(&["run", "p.toml", "--set", "stage.observe.idle_after_ms=300"]);
    let mut rest = lines[half..].chunks(3);
    // Were all idle, time would stand: so more comes to the one that has input.
    wait_for("alerts in spite of empty partitions", Duration::from_secs(20), || {
        rest.next().into_iter().for_each(|few| folder.produce("observations", &input::joined(few)));
        (folder.stored().texts("alerts").len() > wanted.len() / 3).then_some(())
    });
    rest.for_each(|few| folder.produce("observations", &input::joined(few)));
    running.signal("TERM");
    running.wait().success();
    folder.run(&["--close-windows"]).success();
    assert_eq!(folder.stored().outputs("alerts"), wanted);
    assert_eq!(folder.stored().texts("late"), [""; 0]);
}

#[test]
fn a_clock_90_years_ahead_is_refused_and_makes_nobody_late_also_as_the_very_first() {
    const NINETY_YEARS_MS: i64 = 90 * 365 * 86_400_000;
    let pipeline = WINDOWS.replace("MODE", "plain");
    let good: Vec<_> = (0..500).map(|n| observation(n, n % 3, START_MS + n as i64 * 20)).collect();
    let honest = Folder::new("honest", &pipeline);
    honest.produce("observations", &input::joined(&good));
    honest.run(&["--close-windows"]).success();
    for place in [0, 250, 500] {
        // Ahead of the log's clock: it can only be wrong.
        let ahead = observation("ahead", 1, 1_800_000_000_000 + NINETY_YEARS_MS);
        // Ahead of all others alone: it may be right, and moves time only with others.
        let jump = observation("jump", 1, START_MS + 86_400_000);
        let mut lines = good.clone();
        lines.splice(place..place, [ahead.clone(), jump]);
        let folder = Folder::new("ahead", &pipeline);
        folder.produce("observations", &input::joined(&lines));
        folder.run(&["--close-windows"]).success();
        let stored = folder.stored();
        assert_eq!(stored.refused(), [(ahead, "event-time-ahead".to_owned())], "at {place}");
        assert_eq!(stored.edge("window/0", 1).late, 0, "at {place}");
        let alerts = stored.texts("alerts");
        let wanted = honest.stored().texts("alerts");
        assert!(wanted.iter().all(|alert| alerts.contains(alert)), "at {place}");
    }
}

#[test]
fn a_good_redelivery_of_a_record_that_came_damaged_first_counts_and_a_second_one_does_not() {
    let folder = Folder::new("redelivered", &WINDOWS.replace("MODE", "plain"));
    let good = observation("the-one", 1, START_MS);
    let damaged = good.replace("sensor_id", "sens");
    let mut lines = vec![damaged.clone(), good.clone(), damaged.clone(), good];
    lines.extend((1..400).map(|n| observation(n, 2, START_MS + n * 20)));
    folder.produce("observations", &input::joined(&lines));
    folder.run(&["--close-windows"]).success();
    let stored = folder.stored();
    let edge = stored.edge("window/0", 1);
    assert_eq!((edge.absorbed, edge.dead_lettered, edge.duplicate), (400, 1, 2), "{edge:?}");
    assert_eq!(stored.refused(), [(damaged, "deserialization".to_owned())]);
    let of_cell = stored.texts("alerts").into_iter().filter(|a| a.contains(r#""cell":"1""#));
    let of_cell: Vec<_> = of_cell.collect();
    assert_eq!(of_cell.len(), 1, "{of_cell:?}");
    assert!(of_cell[0].contains(r#""count":1"#), "{of_cell:?}");
}
