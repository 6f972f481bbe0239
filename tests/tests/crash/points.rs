//! All crash points: a new one is looped over without anybody having to think of it, and one that
//! cannot be reached fails the test.

use crate::workload::{UNDISTURBED, ends_as_undisturbed, is_same, prepared, results};
use pawl_service::crash::CrashPoint;
use std::sync::Mutex;

/// The n-th time that the point is passed, one life after the other.
const HITS: [u64; 4] = [1, 2, 7, 30];

/// Kills the pipeline at one point, at each of these hits in a life of its own, and compares.
fn kill_at(point: CrashPoint, hits: &[u64]) {
    let folder = prepared(point.name());
    if point == CrashPoint::MidReplay {
        // There must be something to replay, and no checkpoint that makes it short.
        let far_apart = ["--until-idle", "--set", "checkpoint.recovery_time_max_ms=60000"];
        let died = folder.run_to_crash("commit-durable:12", &far_apart);
        assert!(died.was_killed(), "{}", died.err);
    }
    let mut killed = 0;
    for hit in hits {
        let at = format!("{}:{hit}", point.name());
        let ended = folder.run_to_crash(&at, &["--until-idle"]);
        assert!(ended.was_killed() || ended.code == Some(0), "{at}: {}", ended.err);
        killed += u64::from(ended.was_killed());
    }
    assert!(killed > 0, "no run came to {} at any of {hits:?}", point.name());
    println!("{}: killed {killed} times", point.name());
    ends_as_undisturbed(&folder, point.name());
}

#[test]
fn killed_at_every_crash_point_nothing_is_lost_and_nothing_comes_twice() {
    let left = Mutex::new(CrashPoint::ALL.to_vec());
    let next = || left.lock().unwrap().pop();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(point) = next() {
                    kill_at(point, &HITS);
                }
            });
        }
    });
}

#[test]
fn no_crash_point_is_left_out() {
    // Each stands once in the match that names it, which the compiler keeps whole.
    let source = include_str!("../../../host/service/src/crash.rs");
    assert_eq!(source.matches("=> \"").count(), CrashPoint::ALL.len());
}

#[test]
fn killed_mid_process_while_a_guest_call_is_on_the_stack() {
    kill_at(CrashPoint::MidCall, &[3, 11, 19]);
}

#[test]
fn killed_mid_checkpoint_with_the_temporary_file_written_and_not_renamed() {
    kill_at(CrashPoint::MidCheckpoint, &[3, 4, 5, 6]);
}

#[test]
fn killed_mid_emit_with_outputs_computed_and_not_committed() {
    kill_at(CrashPoint::MidEmit, &[3, 4, 5, 13]);
}

#[test]
fn killed_while_windows_are_closed_the_same_windows_are_closed_once() {
    for point in [CrashPoint::MidEmit, CrashPoint::CommitSubmitted, CrashPoint::CommitDurable] {
        let folder = prepared("closing");
        folder.run(&["--until-idle"]).success();
        for hit in 1..4 {
            let at = format!("{}:{hit}", point.name());
            let ended = folder.run_to_crash(&at, &["--close-windows"]);
            assert!(ended.was_killed() || hit > 1, "{at}: {}", ended.err);
        }
        folder.run(&["--close-windows"]).success();
        // Time may have been moved twice, which shows in nothing but the count of control rows.
        let mut found = results(&folder);
        found.counters.clone_from(&UNDISTURBED.closed.counters);
        is_same(&found, &UNDISTURBED.closed, &format!("closing, killed at {}", point.name()));
    }
}
