//! A run in which nothing runs any more: whoever can look at it sees why, and no restart goes past
//! it. And one of which nothing can be seen: it says so, and ends when it is asked to.

use crate::monitor::Watched;
use pawl_tests::{Folder, input, wait_for};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// One stage whose breaker trips at the first bad records.
const BREAKER: &str = r#"
pawl = 1
name = "given-up"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[[stage]]
name = "count"
input = "in"
output = "out"
breaker = { records = 20, failed_share_max = 0.5 }
[[stage.operator]]
name = "count"
plugin = "count-window"
config = { window_ms = 1000, min_sensors = 1 }
[stage.operator.edge]
id = { field = "/observation_id" }
event_time = { field = "/t_ms", unit = "ms" }
watermark = { disorder_ms = 500 }
dedup = { horizon_ms = 60000, ids_max = 1000 }
"#;

fn tripped(name: &str) -> Folder {
    let folder = Folder::new(name, BREAKER);
    folder.produce("in", &input::joined(&vec!["no observation"; 5000]));
    folder
}

#[test]
fn a_run_of_which_every_task_was_given_up_is_looked_at_until_it_is_asked_to_end() {
    let folder = tripped("stays");
    let watched = Watched::start(&folder, &[], &[]);
    let stopped = "pawl_task_stopped{stage=\"count\",partition=\"0\",code=\"circuit-breaker\"}";
    // From the first moment: a host that still makes its plugins ready is up.
    assert!(watched.get("/metrics").body.contains("\npawl_up 1\n"));
    watched.wait_for_metric(stopped, 1.0);
    // Long after: what ended the task was not to end the run.
    let mut answers = 0;
    wait_for("many answers", LIMIT, || {
        let answer = watched.get("/readyz");
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("circuit-breaker"), "{}", answer.body);
        assert_eq!(watched.get("/healthz").status, 200);
        answers += 1;
        (answers == 50).then_some(())
    });
    watched.running.signal("TERM");
    watched.running.wait().fails(1, &["count/0", "circuit breaker"]);
}

#[test]
fn a_run_that_nobody_can_look_at_ends_with_a_code_of_its_own() {
    let folder = tripped("alone");
    folder.run(&[]).fails(3, &["each waits for a person", "count/0", "circuit breaker"]);
    // Started again it does not go past it.
    folder.run(&[]).fails(3, &["circuit breaker"]);
    // Whoever waits for the end of the input is told as of any failure.
    folder.run(&["--until-idle"]).fails(1, &["count/0", "circuit breaker"]);
}

#[test]
fn where_the_disk_hangs_no_old_numbers_are_given_out_and_the_run_ends_when_asked() {
    let folder = Folder::new("hangs", &BREAKER.replace("given-up", "hangs"));
    let watched = Watched::start(&folder, &[], &[]);
    wait_for("the first numbers", LIMIT, || {
        watched.get("/metrics").body.contains("pawl_task_state").then_some(())
    });
    // Whoever opens a pipe that nobody reads waits for ever, as on a disk that does not answer.
    let pipe = folder.data().join("metrics.tmp");
    wait_for("a pipe in the way", LIMIT, || {
        let made = Command::new("mkfifo").arg(&pipe).output().expect("mkfifo is there");
        made.status.success().then_some(())
    });
    wait_for("no numbers", LIMIT, || (watched.get("/metrics").status == 503).then_some(()));
    let ready = watched.get("/readyz");
    assert!(ready.status == 503 && ready.body.contains("nothing is known"), "{}", ready.body);
    assert_eq!(watched.get("/healthz").status, 200, "the tasks are looked after");
    watched.running.signal("TERM");
    let ended = watched.running.wait().success();
    assert!(ended.err.contains("nothing was seen of the run for long"), "{}", ended.err);
}
