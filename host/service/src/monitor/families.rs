//! From what is known to metrics. Names begin with `pawl_`, units are base units, and every label
//! has a bounded set of values: stages, partitions, operators and topics are those of the pipeline
//! file, kinds of errors at most 65 of each operator (the core counts the rest as `other`).

use super::facts::{Facts, TaskFacts};
use super::outside;
use pawl_core::SEMANTICS;
use pawl_core::record::NO_TIME;
use pawl_monitor::status::{RunState, TaskState};
use pawl_monitor::text::Family;

const TASK: &[&str] = &["stage", "partition"];
const OPERATOR: &[&str] = &["stage", "partition", "operator"];

/// All metrics.
pub(super) fn of(
    facts: &Facts,
    recoveries: impl Iterator<Item = (&'static str, u64)>,
) -> Vec<Family> {
    let mut families = run(facts);
    families.extend(records(facts));
    families.extend(progress(facts));
    families.extend(checkpoints(facts, recoveries));
    families.extend(use_of(facts));
    families.extend(sinks(facts));
    families.extend(outside::dead_letters(facts));
    families.extend(outside::inputs(facts));
    families
}

/// A family with one sample for each task that has a value.
fn each(facts: &Facts, mut family: Family, value: impl Fn(&TaskFacts) -> Option<f64>) -> Family {
    for task in &facts.tasks {
        let partition = task.id.partition.to_string();
        family.add_known(&[&task.id.stage, &partition], value(task));
    }
    family
}

/// What is known of a run before anything is known of its tasks.
pub(super) fn process(name: &str, state: RunState, started_ms: i64) -> Vec<Family> {
    let mut up = Family::gauge("pawl_up", &[], "1 while the pipeline runs, 0 once it has ended.");
    up.add(&[], f64::from(u8::from(state != RunState::Stopped)));
    let mut info = Family::gauge(
        "pawl_build_info",
        &["version", "semantics", "pipeline"],
        "Always 1: version of the program, its semantics number, and the pipeline's name.",
    );
    let semantics = SEMANTICS.to_string();
    info.add(&[env!("CARGO_PKG_VERSION"), &semantics, name], 1.0);
    let mut started = Family::gauge(
        "pawl_start_time_seconds",
        &[],
        "When this run began, in seconds since 1970.",
    );
    started.add(&[], started_ms as f64 / 1000.0);
    vec![up, info, started]
}

fn run(facts: &Facts) -> Vec<Family> {
    let mut families = process(&facts.pipeline.name, facts.state, facts.started_ms);
    let mut unclean = Family::gauge(
        "pawl_unclean_ends",
        &[],
        "Runs that ended without a word right before this one. 0 once this one has lasted.",
    );
    unclean.add(&[], facts.unclean_ends as f64);
    let mut free =
        Family::gauge("pawl_data_free_bytes", &[], "Bytes that the disk of the data folder has.");
    free.add_known(&[], facts.data_free_bytes.map(|bytes| bytes as f64));
    let mut log = Family::gauge("pawl_log_bytes", &[], "Bytes that the log takes.");
    log.add_known(&[], facts.log_bytes.map(|bytes| bytes as f64));
    let mut state = Family::gauge(
        "pawl_task_state",
        &["stage", "partition", "state"],
        "1 for the state that the task is in, 0 for the others.",
    );
    let mut stopped = Family::gauge(
        "pawl_task_stopped",
        &["stage", "partition", "code"],
        "1 for each task that was given up, with the code of its error.",
    );
    for task in &facts.tasks {
        let partition = task.id.partition.to_string();
        for one in TaskState::ALL {
            let is = f64::from(u8::from(task.state() == one));
            state.add(&[&task.id.stage, &partition, one.name()], is);
        }
        if let Some(Err(_)) = &task.standing.ended {
            let code = task.standing.failure.as_ref().map_or("", |(code, _)| code);
            stopped.add(&[&task.id.stage, &partition, code], 1.0);
        }
    }
    families.extend([unclean, free, log, state, stopped]);
    families
}

fn records(facts: &Facts) -> Vec<Family> {
    let mut outcomes = Family::counter(
        "pawl_records_total",
        &["stage", "partition", "operator", "outcome"],
        "Records that came to an operator, each by its one outcome. Durable.",
    );
    let mut evicted = Family::counter(
        "pawl_dedup_evicted_early_total",
        OPERATOR,
        "Ids that a dedup window let go before its horizon, for want of room. Durable.",
    );
    let mut out = Family::counter(
        "pawl_records_out_total",
        &["stage", "partition", "topic"],
        "Records written to a topic, dead letters and late records included. Durable.",
    );
    for task in &facts.tasks {
        let Some(counters) = task.counters() else { continue };
        let (stage, partition) = (&task.id.stage, task.id.partition.to_string());
        let operators = facts.pipeline.stage(stage).map_or(&[][..], |stage| &stage.operators);
        for (at, operator) in operators.iter().enumerate() {
            // Before the first commit there is no entry, and nothing has come.
            let edge = counters.edges.get(at).copied().unwrap_or_default();
            for (outcome, count) in [
                ("absorbed", edge.absorbed),
                ("dead-lettered", edge.dead_lettered),
                ("discarded", edge.discarded),
                ("duplicate", edge.duplicate),
                ("late", edge.late),
            ] {
                outcomes.add(&[stage, &partition, &operator.name, outcome], count as f64);
            }
            evicted.add(&[stage, &partition, &operator.name], edge.evicted_early as f64);
        }
        for (topic, count) in &counters.records_out {
            out.add(&[stage, &partition, topic], *count as f64);
        }
    }
    let taken = Family::counter(
        "pawl_records_in_total",
        TASK,
        "Records that a task took from its input. Durable.",
    );
    let taken = each(facts, taken, |task| Some(task.counters()?.records_in as f64));
    vec![outcomes, taken, out, evicted]
}

fn progress(facts: &Facts) -> Vec<Family> {
    let position = Family::gauge(
        "pawl_position",
        TASK,
        "The next row of its input that a task has not committed.",
    );
    let lag =
        Family::gauge("pawl_lag_records", TASK, "Rows of its input that a task has not committed.");
    let watermark = Family::gauge(
        "pawl_watermark_timestamp_seconds",
        TASK,
        "A task's watermark, event time in seconds since 1970. Absent before there is one.",
    );
    let timed = Family::gauge(
        "pawl_watermark_known",
        TASK,
        "1 if a task that has event time has a watermark, 0 before it has one.",
    );
    let behind = Family::gauge(
        "pawl_watermark_lag_seconds",
        TASK,
        "How far a task's watermark lies behind the clock of the machine.",
    );
    let commits =
        Family::counter("pawl_commits_total", TASK, "Commits made durable since the start.");
    let headroom = Family::gauge(
        "pawl_replay_headroom_seconds",
        TASK,
        "How long input that a replay needs is still kept. +Inf: until no checkpoint needs it.",
    );
    let seen = |task: &TaskFacts| task.standing.watermark.filter(|time| *time != NO_TIME);
    let (known, now_ms) = (|task: &TaskFacts| task.standing.known, facts.now_ms);
    vec![
        each(facts, position, |task| {
            known(task).then_some(task.standing.committed.position as f64)
        }),
        each(facts, lag, |task| task.lag().map(|lag| lag as f64)),
        each(facts, watermark, |task| seen(task).map(|time| time as f64 / 1000.0)),
        each(facts, timed, |task| task.has_watermark().map(|has| f64::from(u8::from(has)))),
        each(facts, behind, |task| {
            seen(task).map(|time| now_ms.saturating_sub(time) as f64 / 1000.0)
        }),
        each(facts, commits, |task| Some(task.used.commits as f64)),
        // The embedded transport trims nothing that a kept checkpoint needs (AL-2).
        each(facts, headroom, |task| known(task).then_some(f64::INFINITY)),
    ]
}

fn checkpoints(
    facts: &Facts,
    recoveries: impl Iterator<Item = (&'static str, u64)>,
) -> Vec<Family> {
    let age = Family::gauge(
        "pawl_checkpoint_age_seconds",
        TASK,
        "Since a task's newest durable checkpoint was made.",
    );
    let bytes = Family::gauge(
        "pawl_checkpoint_bytes",
        TASK,
        "Bytes that the newest checkpoint takes itself, unchanged parts not counted.",
    );
    let seconds = Family::gauge(
        "pawl_checkpoint_seconds",
        TASK,
        "How long the newest checkpoint took, from its begin until it was durable.",
    );
    let count = Family::counter(
        "pawl_checkpoints_total",
        TASK,
        "Checkpoints made durable since the start.",
    );
    let failed = Family::gauge(
        "pawl_checkpoint_failed",
        TASK,
        "1 if a task's last attempt to take a checkpoint failed, else 0.",
    );
    let mut paths = Family::counter(
        "pawl_recovery_path_total",
        &["path"],
        "Recoveries of tasks since the start, by where their state came from.",
    );
    recoveries.for_each(|(path, count)| paths.add(&[path], count as f64));
    let mut lag = Family::gauge(
        "pawl_checkpoint_remote_lag_seconds",
        TASK,
        "For how long a newer checkpoint has been on this machine only. 0: none is.",
    );
    let mut failures = Family::counter(
        "pawl_checkpoint_remote_failures_total",
        TASK,
        "Copies of checkpoints to the remote tier that failed since the start.",
    );
    for copied in facts.replication.iter().flatten() {
        let partition = copied.task.partition.to_string();
        let labels = [copied.task.stage.as_str(), &partition];
        lag.add(&labels, copied.lag_ms as f64 / 1000.0);
        failures.add(&labels, copied.failures_total as f64);
    }
    let cost = |task: &TaskFacts| task.standing.checkpoint.and_then(|checkpoint| checkpoint.cost);
    let now_ms = facts.now_ms;
    vec![
        each(facts, age, |task| {
            let created = task.standing.checkpoint?.created_ms;
            Some((now_ms.saturating_sub(created) as f64 / 1000.0).max(0.0))
        }),
        each(facts, bytes, |task| cost(task).map(|(bytes, _)| bytes as f64)),
        each(facts, seconds, |task| cost(task).map(|(_, seconds)| seconds)),
        each(facts, count, |task| Some(task.used.checkpoints as f64)),
        each(facts, failed, |task| {
            Some(f64::from(u8::from(task.standing.checkpoint_failure.is_some())))
        }),
        paths,
        lag,
        failures,
    ]
}

fn use_of(facts: &Facts) -> Vec<Family> {
    let in_flight = Family::gauge(
        "pawl_in_flight_records",
        TASK,
        "Records taken whose outcome is not durable.",
    );
    let max =
        Family::gauge("pawl_in_flight_records_max", TASK, "The bound of pawl_in_flight_records.");
    let withheld = Family::counter(
        "pawl_credit_withheld_seconds_total",
        TASK,
        "Time in which a task took no input: for commits, a checkpoint, or a receiver's retry.",
    );
    let restarts =
        Family::counter("pawl_task_restarts_total", TASK, "Starts of a task after a failure.");
    let mut seconds = Family::counter(
        "pawl_guest_seconds_total",
        OPERATOR,
        "Time in calls of an operator, by the clock on the wall.",
    );
    let mut memory =
        Family::gauge("pawl_guest_memory_bytes", OPERATOR, "Linear memory that an operator holds.");
    let mut failures = Family::counter(
        "pawl_guest_failures_total",
        &["stage", "partition", "operator", "kind"],
        "Guest calls that failed since the start: trap, timeout, memory, bad-return.",
    );
    for task in &facts.tasks {
        let (stage, partition) = (task.id.stage.as_str(), task.id.partition.to_string());
        for operator in &task.used.operators {
            let labels = [stage, &partition, &operator.name];
            seconds.add(&labels, operator.seconds);
            memory.add(&labels, operator.memory_bytes as f64);
            for (kind, count) in operator.failures {
                failures.add(&[stage, &partition, &operator.name, kind], count as f64);
            }
        }
    }
    vec![
        each(facts, in_flight, |task| Some(task.standing.in_flight as f64)),
        each(facts, max, |task| Some(task.in_flight_max as f64)),
        each(facts, withheld, |task| Some(task.used.withheld_seconds)),
        each(facts, restarts, |task| Some(task.used.restarts as f64)),
        seconds,
        memory,
        failures,
    ]
}

fn sinks(facts: &Facts) -> Vec<Family> {
    let is_sink = |task: &TaskFacts| {
        facts.pipeline.stage(&task.id.stage).is_some_and(pawl_pipeline::Stage::is_sink)
    };
    let delivering = Family::counter(
        "pawl_delivery_seconds_total",
        TASK,
        "Time in which the receiver of a sink was at work.",
    );
    let failing = Family::gauge(
        "pawl_sink_failing_seconds",
        TASK,
        "For how long the receiver of a sink has not taken what it is given. 0: it takes it.",
    );
    let mut failures = Family::counter(
        "pawl_sink_failures_total",
        &["stage", "partition", "kind"],
        "Attempts to deliver that failed and are made again, since the start.",
    );
    for task in &facts.tasks {
        let partition = task.id.partition.to_string();
        for (kind, count) in &task.used.receiver.failures {
            failures.add(&[&task.id.stage, &partition, kind], *count as f64);
        }
    }
    let now_ms = facts.now_ms;
    vec![
        each(facts, delivering, |task| is_sink(task).then_some(task.used.delivering_seconds)),
        each(facts, failing, |task| {
            let since = task.used.receiver.failing.as_ref().map(|failing| failing.since_ms);
            let seconds = since.map_or(0, |since| now_ms.saturating_sub(since)) as f64 / 1000.0;
            is_sink(task).then_some(seconds.max(0.0))
        }),
        failures,
    ]
}
