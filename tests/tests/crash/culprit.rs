//! A record that kills the host itself: it goes to the dead letters, and no other does.

use pawl_tests::{Ended, Folder, input};

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

/// Runs until the host outlives it. Returns how often it died.
fn run_until_it_lives(folder: &Folder, value: &str) -> usize {
    for died in 0..20 {
        let ended = run_with_killer(folder, value);
        if !ended.was_killed() {
            ended.success();
            return died;
        }
    }
    panic!("the host still dies of {value} after 20 lives");
}

#[test]
fn a_record_that_kills_the_host_is_dead_after_three_ends_alone_and_all_others_go_through() {
    let folder = Folder::new("culprit", PIPELINE);
    let mut lines = input::numbered(0, 1000);
    lines[500] = "poison".to_owned();
    folder.produce("in", &input::joined(&lines));
    // The first end tells nothing yet: many rows were in hand. Nor does the second if the task
    // had got on before the first.
    assert!((4..=5).contains(&run_until_it_lives(&folder, "poison")));
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
fn two_records_that_kill_the_host_in_two_partitions_are_both_found() {
    let folder = Folder::new("culprits", PIPELINE);
    let mut lines = input::numbered(0, 400);
    for place in [100, 101, 250] {
        lines[place] = format!("poison {place}");
    }
    folder.produce("in", &input::joined(&lines));
    let died = run_until_it_lives(&folder, "poison");
    assert!(died <= 13, "died {died} times");
    let kinds = folder.stored().refused();
    let all = [100, 101, 250].map(|place| (format!("poison {place}"), "host-crash".to_owned()));
    assert_eq!(kinds, all);
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
