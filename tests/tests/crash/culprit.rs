//! A record that kills the host itself: it goes to the dead letters, and no other does.

use pawl_tests::{Ended, Folder, input};
use std::collections::BTreeSet;

const PIPELINE: &str = r#"
pawl = 1
name = "culprit"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
partitions = 2
[topics.out]
[[stage]]
name = "copy"
input = "in"
output = "out"
batch_records_max = 64
[[stage.operator]]
name = "first"
plugin = "identity"
[[stage.operator]]
name = "second"
plugin = "identity"
"#;

/// Runs with a host that dies in each guest call over this value.
fn run_with_killer(folder: &Folder, value: &str) -> Ended {
    let mut command = folder.command(&["run", "p.toml", "--until-idle"]);
    command.env("PAWL_CRASH_AT", "mid-call").env("PAWL_CRASH_ON_VALUE", value);
    folder.start_command(command).wait()
}

/// Where the tasks stood when they began in the run that died.
fn begins(folder: &Folder) -> BTreeSet<String> {
    let text = std::fs::read_to_string(folder.data().join("running")).expect("left by the dead");
    // What does not begin with the name of the stage counts ends.
    let tasks = text.lines().filter(|line| line.starts_with("copy "));
    tasks.map(str::to_owned).collect()
}

/// Runs until the host outlives it. Returns how often in a row it died though no task had got on
/// since the death before: how often one may get on is a matter of time, how often none is not.
fn run_until_it_lives(folder: &Folder, value: &str) -> usize {
    let (mut stuck, mut most, mut before) = (0, 0, BTreeSet::new());
    for _ in 0..40 {
        let ended = run_with_killer(folder, value);
        if !ended.was_killed() {
            ended.success();
            return most;
        }
        // Killed before all tasks began, it got on for none of those that did.
        let now = begins(folder);
        stuck = if now.is_subset(&before) { stuck + 1 } else { 0 };
        most = most.max(stuck);
        before = now;
    }
    panic!("the host still dies of {value} after 40 lives");
}

#[test]
fn a_record_that_kills_the_host_is_dead_after_three_ends_alone_and_all_others_go_through() {
    let folder = Folder::new("culprit", PIPELINE);
    let mut lines = input::numbered(0, 1000);
    lines[500] = "poison".to_owned();
    folder.produce("in", &input::joined(&lines));
    // An end after which tasks got on tells nothing. (One more tells it, unseen here, if the first
    // task killed the host before the second one began.)
    let stuck = run_until_it_lives(&folder, "poison");
    assert!((2..=3).contains(&stuck), "{stuck} ends in a row without progress");
    let stored = folder.stored();
    let letters = stored.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    assert_eq!((letter.payload.as_slice(), letter.kind.as_str()), (&b"poison"[..], "host-crash"));
    assert_eq!(letter.disposition, "host-crash");
    let mut out = stored.texts("out");
    out.sort();
    lines.retain(|line| line != "poison");
    lines.sort();
    assert_eq!(out, lines);
}

#[test]
fn records_that_kill_the_host_in_two_partitions_are_all_found() {
    let folder = Folder::new("culprits", PIPELINE);
    let mut lines = input::numbered(0, 400);
    const PLACES: [usize; 3] = [100, 101, 203];
    for place in PLACES {
        lines[place] = format!("poison {place}");
    }
    folder.produce("in", &input::joined(&lines));
    let stuck = run_until_it_lives(&folder, "poison");
    assert!(stuck <= 3 * PLACES.len(), "{stuck} ends in a row without progress");
    let letters = folder.stored().letters();
    let of_first = letters.iter().filter(|letter| letter.origin.starts_with("in/0")).count();
    assert!((1..=2).contains(&of_first), "not what this test needs: {letters:?}");
    let mut kinds = folder.stored().refused();
    kinds.sort();
    assert_eq!(kinds, PLACES.map(|place| (format!("poison {place}"), "host-crash".to_owned())));
    assert_eq!(folder.stored().texts("out").len(), 397);
}

#[test]
fn a_record_in_hand_at_one_end_after_another_is_innocent_if_the_task_gets_on_between() {
    let folder = Folder::new("innocent", PIPELINE);
    folder.produce("in", &input::joined(&input::numbered(0, 300)));
    // Another record is in hand each time, and what lies before it has been committed.
    for value in ["record 20", "record 40", "record 60", "record 80", "record 100", "record 120"] {
        assert!(run_with_killer(&folder, value).was_killed());
    }
    folder.run(&["--until-idle"]).success();
    assert_eq!(folder.stored().letters(), []);
    assert_eq!(folder.stored().texts("out").len(), 300);
}

const WINDOWED: &str = r#"
pawl = 1
name = "windowed"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[[stage]]
name = "window"
input = "in"
output = "out"
[[stage.operator]]
name = "window"
plugin = "count-window"
config = { window_ms = 1000, min_sensors = 1 }
[stage.operator.edge]
event_time = { field = "/t_ms", unit = "ms" }
watermark = { disorder_ms = 0 }
[[stage.operator]]
name = "copy"
plugin = "identity"
"#;

#[test]
fn for_what_a_tick_makes_no_record_is_blamed_however_often_the_host_dies() {
    let folder = Folder::new("ticks", WINDOWED);
    let lines: Vec<String> = (0..200)
        .map(|n| {
            let time = 1_700_000_000_000u64 + n * 100;
            format!(
                r#"{{"observation_id":"{n:016x}","sensor_id":"S1","object_id":"1","cell":"{}","t_ms":{time},"x":1.0,"y":1.0,"z":1.0}}"#,
                n % 5
            )
        })
        .collect();
    folder.produce("in", &input::joined(&lines));
    // The second operator dies of what the first one emits when a window closes.
    for _ in 0..6 {
        let ended = run_with_killer(&folder, "\"window_start\":1700000005000");
        assert!(ended.was_killed(), "{}", ended.err);
    }
    folder.run(&["--close-windows"]).success();
    assert_eq!(folder.stored().letters().len(), 0);
    assert_eq!(folder.stored().texts("out").len(), 100, "20 windows of 5 cells");
}
