//! From what is known to metrics. Names begin with `pawl_`, units are base units, and every label
//! has a bounded set of values: stages, partitions, operators and topics are those of the pipeline
//! file, kinds of errors at most 65 of each operator (the core counts the rest as `other`).

use super::facts::{Facts, TaskFacts};
use super::status::kinds;
use pawl_core::SEMANTICS;
use pawl_core::record::NO_TIME;
use pawl_monitor::status::{RunState, TaskState};
use pawl_monitor::text::Family;
use pawl_pipeline::AtMax;

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
    families.extend(dead_letters(facts));
    families.extend(sources(facts));
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

fn run(facts: &Facts) -> Vec<Family> {
    let mut up = Family::gauge("pawl_up", &[], "1 while the pipeline runs, 0 once it has ended.");
    up.add(&[], f64::from(u8::from(facts.state != RunState::Stopped)));
    let mut info = Family::gauge(
        "pawl_build_info",
        &["version", "semantics", "pipeline"],
        "Always 1: version of the program, its semantics number, and the pipeline's name.",
    );
    let semantics = SEMANTICS.to_string();
    info.add(&[env!("CARGO_PKG_VERSION"), &semantics, &facts.pipeline.name], 1.0);
    let mut started = Family::gauge(
        "pawl_start_time_seconds",
        &[],
        "When this run began, in seconds since 1970.",
    );
    started.add(&[], facts.started_ms as f64 / 1000.0);
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
    vec![up, info, started, state, stopped]
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
    let delivering = Family::counter(
        "pawl_delivery_seconds_total",
        TASK,
        "Time in which the receiver of a sink was at work.",
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
    let is_sink = |task: &TaskFacts| {
        facts.pipeline.stage(&task.id.stage).is_some_and(pawl_pipeline::Stage::is_sink)
    };
    vec![
        each(facts, in_flight, |task| Some(task.standing.in_flight as f64)),
        each(facts, max, |task| Some(task.in_flight_max as f64)),
        each(facts, withheld, |task| Some(task.used.withheld_seconds)),
        each(facts, delivering, |task| is_sink(task).then_some(task.used.delivering_seconds)),
        each(facts, restarts, |task| Some(task.used.restarts as f64)),
        seconds,
        memory,
        failures,
    ]
}

fn dead_letters(facts: &Facts) -> Vec<Family> {
    let mut entries = Family::counter(
        "pawl_dlq_entries_total",
        &["stage", "operator", "error_kind"],
        "Dead letters written, by who refused them and why. Durable.",
    );
    for kind in kinds(facts) {
        entries.add(&[&kind.stage, &kind.operator, &kind.kind], kind.count as f64);
    }
    let rules = &facts.pipeline.dead_letters;
    let gauge = |name, help, value: Option<f64>| {
        let mut family = Family::gauge(name, &[], help);
        family.add_known(&[], value);
        family
    };
    let kept = facts.retained;
    let is_full =
        kept.is_some_and(|kept| kept.records >= rules.records_max || kept.bytes >= rules.bytes_max);
    let age_max = rules.age_max_ms.filter(|_| rules.at_max == AtMax::DropOldest);
    let until_old = age_max.zip(facts.oldest_letter_ms).map(|(age_max, oldest)| {
        let left = oldest.saturating_add_unsigned(age_max).saturating_sub(facts.now_ms);
        (left as f64 / 1000.0).max(0.0)
    });
    let headroom = match rules.at_max {
        AtMax::DropOldest if is_full => 0.0,
        AtMax::DropOldest => until_old.unwrap_or(f64::INFINITY),
        AtMax::Stop => f64::INFINITY,
    };
    vec![
        entries,
        gauge(
            "pawl_dlq_records",
            "Dead letters that lie in their topic.",
            kept.map(|kept| kept.records as f64),
        ),
        gauge(
            "pawl_dlq_records_max",
            "The bound of pawl_dlq_records.",
            Some(rules.records_max as f64),
        ),
        gauge(
            "pawl_dlq_bytes",
            "Bytes of the dead letters that lie in their topic.",
            kept.map(|kept| kept.bytes as f64),
        ),
        gauge("pawl_dlq_bytes_max", "The bound of pawl_dlq_bytes.", Some(rules.bytes_max as f64)),
        gauge(
            "pawl_dlq_headroom_seconds",
            "How long the oldest dead letter is still kept, to be sent back. +Inf: no age bound.",
            kept.map(|_| headroom),
        ),
    ]
}

fn sources(facts: &Facts) -> Vec<Family> {
    let mut records = Family::counter(
        "pawl_source_records_total",
        &["source", "topic"],
        "Records that a source made durable, its dead letters included. Durable.",
    );
    let mut letters = Family::counter(
        "pawl_source_dead_letters_total",
        &["source"],
        "Dead letters that a source wrote. Durable.",
    );
    let mut state = Family::gauge(
        "pawl_source_state",
        &["source", "state"],
        "1 for the state that the source is in, 0 for the others.",
    );
    for source in &facts.sources {
        let name = &source.told.source.name;
        let counters = source.counters.as_ref();
        let count = counters.map(|counters| counters.records_in as f64);
        records.add_known(&[name, &source.told.source.topic], count);
        let dead = counters.map(|counters| counters.dead_letters.values().sum::<u64>() as f64);
        letters.add_known(&[name], dead);
        for one in TaskState::ALL {
            state.add(&[name, one.name()], f64::from(u8::from(source.state() == one)));
        }
    }
    vec![records, letters, state]
}
