//! Kills from outside, at moments that nobody chose, while records keep coming.

use crate::workload::{LINES, PIPELINE, ends_as_undisturbed, prepared};
use pawl_tests::{Folder, Random, input, within};
use std::io::Write;
use std::time::{Duration, Instant};

#[test]
fn killed_at_random_moments_while_records_keep_coming_it_ends_as_if_undisturbed() {
    // A night of them: `PAWL_KILLS=10000`.
    let kills = std::env::var("PAWL_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(25);
    let mut random = Random::from_environment();
    let folder = Folder::new("random", PIPELINE);
    let mut producer = folder.start(&["produce", "-p", "p.toml", "observations"]);
    let mut stdin = producer.stdin();
    let mut killed = 0;
    for lines in chunks_of(kills) {
        let mut running = folder.start(&["run", "p.toml"]);
        // Most of the time goes by before the tasks begin, and kills there are of little use.
        let early = random.chance(200);
        let moment = Duration::from_millis(random.below(if early { 400 } else { 150 }));
        if !early {
            running.wait_until_it_says("recovering from a checkpoint");
        }
        stdin.write_all(input::joined(lines).as_bytes()).unwrap();
        killed += usize::from(running.kill_after(moment).was_killed());
    }
    drop(stdin);
    producer.wait().success();
    assert_eq!(killed, kills);
    ends_as_undisturbed(&folder, "random kills");
}

/// The lines in so many parts; some are empty if there are fewer lines.
fn chunks_of(count: usize) -> impl Iterator<Item = &'static [String]> {
    let place = move |part: usize| part * LINES.len() / count;
    (0..count).map(move |part| &LINES[place(part)..place(part + 1)])
}

/// Kills each life `interval` after its start, but leaves its tasks `working` at least, until one
/// comes to its end. Only `in_flight` rows are read before those before are durable, so it takes
/// several. Returns how many died.
fn killed_until_done(
    folder: &Folder,
    interval: Duration,
    working: Duration,
    in_flight: u32,
) -> usize {
    let window = format!("stage.window.in_flight_records_max={in_flight}");
    let sets = ["--set", &window, "--set", "commit.records_max=1"];
    for killed in 0..200 {
        let start = Instant::now();
        let mut running = folder.start(&[&["run", "p.toml", "--until-idle"], &sets[..]].concat());
        // How long a start takes is the machine's matter; the law speaks of what comes after it.
        running.wait_until_it_says("recovering from a checkpoint");
        let ended = running.kill_after(working.max(interval.saturating_sub(start.elapsed())));
        if !ended.was_killed() {
            ended.success();
            return killed;
        }
    }
    panic!("no end after 200 lives of {interval:?}");
}

/// As `killed_until_done`, on a folder of its own each time, and more often each time until it was
/// killed more than twice: a fast machine is done before the second kill.
fn killed_often(name: &str, interval: Duration, working: Duration, in_flight: u32) {
    let (mut interval, mut working) = (interval, working);
    loop {
        let folder = prepared(name);
        let killed = killed_until_done(&folder, interval, working, in_flight);
        println!("killed {killed} times, every {interval:?}, {working:?} after each start");
        ends_as_undisturbed(&folder, name);
        if killed > 2 {
            return;
        }
        (interval, working) = (interval / 2, working / 2);
        assert!(working > Duration::from_millis(5), "{killed} kills prove nothing");
    }
}

#[test]
fn killed_every_second_it_gets_to_the_end_and_blames_nobody() {
    killed_often("every-second", Duration::from_secs(1), Duration::from_millis(300), 1);
}

#[test]
fn killed_150_ms_after_each_start_of_its_tasks_it_gets_to_the_end_and_blames_nobody() {
    killed_often("every-150-ms", Duration::ZERO, Duration::from_millis(150), 2);
}

#[test]
fn killed_while_it_is_asked_to_drain_it_loses_nothing() {
    let mut random = Random::from_environment();
    let folder = prepared("drain");
    for _ in 0..8 {
        let mut running = folder.start(&["run", "p.toml"]);
        running.wait_until_it_says("recovering from a checkpoint");
        let moment = Duration::from_millis(random.below(40));
        assert!(within(moment, || running.has_ended().then_some(())).is_none());
        running.signal("TERM");
        running.kill_after(Duration::from_millis(random.below(15)));
    }
    ends_as_undisturbed(&folder, "killed while draining");
}
