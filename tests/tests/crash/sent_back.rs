//! Dead letters that are sent back while the host is killed: each has one outcome, once.

use crate::workload::{PIPELINE, Results, is_same, prepared, results};
use pawl_service::crash::CrashPoint;
use pawl_tests::{Folder, wait_for};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

/// The guest refuses some records; and then, as the pipeline file has it, no more.
const FAULTY: [&str; 3] =
    ["--until-idle", "--set", "stage.window.operator.guest.config={ mode = \"refuses-some\" }"];
const MENDED: [&str; 1] = ["--until-idle"];

/// As much as the first run left, and all its dead letters sent back.
static PREPARED: LazyLock<Folder> = LazyLock::new(|| {
    let folder = prepared("sent-back");
    // Time has passed some of those that come back, and not others.
    folder.write_pipeline(&PIPELINE.replace("disorder_ms = 500", "disorder_ms = 20000"));
    folder.run(&FAULTY).success();
    assert!(folder.send_back(|_| true) > 100);
    folder
});

/// What comes of them without a kill.
static UNDISTURBED: LazyLock<Results> = LazyLock::new(|| {
    let folder = PREPARED.copy("sent-back-undisturbed");
    let before = results(&folder);
    folder.run(&MENDED).success();
    let found = results(&folder);
    let sent = before.letters.len();
    let readmitted: u64 = found.counters.values().map(|counters| counters.readmitted).sum();
    assert_eq!(readmitted, sent as u64);
    let rows = folder.stored().rows("crash.dlq");
    let count = |row: &pawl_tests::stored::Row| row.headers["pawl-replay-count"].clone();
    let again = rows.iter().filter(|row| count(row) == b"1").count();
    assert!(again > 10 && again < sent, "{again} of {sent} failed again");
    assert!(again + before.letters.len() == found.letters.len());
    found
});

/// Points that these runs never come to: what is sent back here closes no window.
const NOT_REACHED: [CrashPoint; 2] = [CrashPoint::BeforeDelivery, CrashPoint::AfterDelivery];

#[test]
fn killed_at_every_crash_point_each_dead_letter_that_was_sent_back_has_one_outcome() {
    let wanted = &*UNDISTURBED;
    let left = Mutex::new(CrashPoint::ALL.to_vec());
    let next = || left.lock().unwrap().pop();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(point) = next() {
                    // Whether a checkpoint leaves anything to replay is a matter of time.
                    let tries = if point == CrashPoint::MidReplay { 10 } else { 1 };
                    let mut kills = (0..tries).map(|_| killed_at(point, wanted));
                    let killed = kills.find(|killed| *killed > 0).unwrap_or(0);
                    let is_reached = !NOT_REACHED.contains(&point);
                    assert_eq!(killed > 0, is_reached, "{}: killed {killed} times", point.name());
                }
            });
        }
    });
}

/// Kills a run at this point, some times, and looks at what came of it in the end. Returns how
/// often it was killed.
fn killed_at(point: CrashPoint, wanted: &Results) -> u64 {
    let folder = PREPARED.copy(&format!("sent-back-{}", point.name()));
    if point == CrashPoint::MidReplay {
        // There must be something to replay, and no checkpoint makes it short.
        let set = "checkpoint.recovery_time_max_ms=60000";
        let far_apart = [&MENDED[..], &["--set", set]].concat();
        let died = folder.run_to_crash("commit-durable:3", &far_apart);
        assert!(died.was_killed(), "{}", died.err);
    }
    let mut killed = 0;
    for hit in [1, 2, 5] {
        let ended = folder.run_to_crash(&format!("{}:{hit}", point.name()), &MENDED);
        assert!(ended.was_killed() || ended.code == Some(0), "{}", ended.err);
        killed += u64::from(ended.was_killed());
    }
    folder.run(&MENDED).success();
    is_same(&results(&folder), wanted, point.name());
    killed
}

#[test]
fn sent_back_while_the_pipeline_runs_they_are_taken_in_and_a_second_failure_is_a_second_attempt() {
    let folder = prepared("sent-back-running");
    folder.run(&["--until-idle"]).success();
    let running = folder.start(&["run", "p.toml"]);
    let sent = folder.send_back(|row| row.headers["pawl-error-kind"] == b"trap");
    assert!(sent > 0);
    wait_for("all to be taken in", Duration::from_secs(30), || {
        let counters = folder.stored().counters();
        let readmitted: u64 = counters.values().map(|counters| counters.readmitted).sum();
        (readmitted == sent as u64).then_some(())
    });
    running.signal("TERM");
    running.wait().success();
    let rows = folder.stored().rows("crash.dlq");
    let again = rows.iter().filter(|row| row.headers["pawl-replay-count"] == b"1");
    let again: Vec<_> = again.collect();
    assert_eq!(again.len(), sent, "what traps goes on to trap");
    let first = |row: &&pawl_tests::stored::Row| row.headers["pawl-replay-count"] == b"0";
    for row in again {
        let origin = ["pawl-topic", "pawl-partition", "pawl-offset", "pawl-first-timestamp"];
        let same = |other: &&pawl_tests::stored::Row| {
            origin.iter().all(|name| other.headers.get(*name) == row.headers.get(*name))
                && other.value == row.value
        };
        let before: Vec<_> = rows.iter().filter(first).filter(same).collect();
        assert_eq!(before.len(), 1, "{row:?}");
        assert_ne!(before[0].id, row.id);
    }
}

#[test]
fn one_that_kills_the_host_is_convicted_and_those_beside_it_get_through() {
    let folder = prepared("sent-back-culprit");
    folder.run(&FAULTY).success();
    let before = folder.stored().letters();
    let victim = before.iter().find(|letter| letter.kind == "as-ordered").expect("some are");
    let value = String::from_utf8_lossy(&victim.payload).into_owned();
    let sent = folder.send_back(|row| row.headers["pawl-error-kind"] == b"as-ordered");
    assert!(sent > 100, "{sent}");
    let mut lives = 0;
    loop {
        let mut command = folder.command(&[&["run", "p.toml"][..], &MENDED].concat());
        command.env("PAWL_CRASH_AT", "mid-call").env("PAWL_CRASH_ON_VALUE", &value);
        let ended = folder.start_command(command).wait();
        if !ended.was_killed() {
            ended.success();
            break;
        }
        lives += 1;
        assert!(lives < 30, "it kills the host for ever");
    }
    assert!(lives >= 3, "convicted after {lives} ends");
    let rows = folder.stored().rows("crash.dlq");
    let crashed: Vec<_> =
        rows.iter().filter(|row| row.headers["pawl-error-kind"] == b"host-crash").collect();
    let same = before.iter().filter(|letter| letter.payload == victim.payload).count();
    assert!((1..=same).contains(&crashed.len()), "{crashed:?}");
    assert!(crashed.iter().all(|row| row.headers["pawl-replay-count"] == b"1"));
    let counters = folder.stored().counters();
    let readmitted = counters.values().map(|counters| counters.readmitted).sum::<u64>();
    assert_eq!(readmitted, sent as u64);
}
