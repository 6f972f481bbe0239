//! From what is known to what `/api/status` and `/readyz` say.

use super::facts::{Facts, SourceFacts, TaskFacts};
use super::outside::headroom_seconds;
use super::path_name;
use pawl_core::record::NO_TIME;
use pawl_monitor::status::{
    Checkpoint, Credit, DeadLetters, Delivery, Edge, Guest, Kind, Reason, Records, RunState,
    Source, Stage, Status, Task, TaskState,
};
use pawl_pipeline::{AtMax, Pipeline};
use std::collections::BTreeMap;
use std::path::Path;

/// Before anything is known: the pipeline as its file says.
pub(super) fn starting(pipeline: &Pipeline, file: Option<&Path>, now_ms: i64) -> Status {
    Status {
        pawl: env!("CARGO_PKG_VERSION").to_owned(),
        pipeline: pipeline.name.clone(),
        file: file.map(|file| file.display().to_string()),
        state: RunState::Starting,
        now_ms,
        started_ms: now_ms,
        pid: std::process::id(),
        stages: pipeline.upstream_first().into_iter().map(|stage| plain(pipeline, stage)).collect(),
        edges: edges(pipeline, &[]),
        dead_letters: bounds(pipeline),
        ..Status::default()
    }
}

/// What is known.
pub(super) fn of(facts: &Facts) -> Status {
    let pipeline = &facts.pipeline;
    let sources: Vec<Source> = facts.sources.iter().map(source).collect();
    let stages = pipeline.upstream_first().into_iter().map(|stage| {
        let tasks = facts.tasks.iter().filter(|task| task.id.stage == stage.name);
        Stage {
            operators: facts.operators.get(&stage.name).cloned().unwrap_or_default(),
            tasks: tasks.map(|task| of_task(facts, task)).collect(),
            ..plain(pipeline, stage)
        }
    });
    let by_kind = kinds(facts);
    let mut status = Status {
        state: facts.state,
        now_ms: facts.now_ms,
        started_ms: facts.started_ms,
        unclean_ends: facts.unclean_ends,
        data_free_bytes: facts.data_free_bytes,
        log_bytes: facts.log_bytes,
        topics: facts.topics.clone(),
        stages: stages.collect(),
        edges: edges(pipeline, &facts.tasks),
        dead_letters: DeadLetters {
            total: by_kind.iter().map(|kind| kind.count).sum(),
            records: facts.retained.map(|retained| retained.records),
            bytes: facts.retained.map(|retained| retained.bytes),
            headroom_seconds: headroom_seconds(facts).filter(|seconds| seconds.is_finite()),
            by_kind,
            last: facts.letters.clone(),
            ..bounds(pipeline)
        },
        sources,
        ..starting(pipeline, facts.file.as_deref(), facts.started_ms)
    };
    status.ready = status.state == RunState::Running
        && sick(&status).is_empty()
        && status.stages.iter().all(|stage| !stage.tasks.is_empty());
    status
}

/// What `/readyz` says: ready, or what is not and why.
pub(super) fn readiness(status: &Status) -> String {
    let mut reasons = sick(status);
    reasons.extend(troubled(status));
    if status.state != RunState::Running {
        reasons.insert(0, serde_json::json!({ "what": "run", "state": status.state }));
    } else if sick(status).is_empty() && !status.ready {
        reasons.push(serde_json::json!({ "what": "run", "state": "starting" }));
    }
    format!("{}\n", serde_json::json!({ "ready": status.ready, "reasons": reasons }))
}

/// Tasks and sources that neither run nor wait for their input.
fn sick(status: &Status) -> Vec<serde_json::Value> {
    let one = |what: String, state: TaskState, reason: &Option<Reason>| {
        let (code, message) = match reason {
            Some(reason) => (Some(&reason.code), Some(&reason.message)),
            None => (None, None),
        };
        (!state.is_well()).then(|| {
            serde_json::json!({
                "what": what, "state": state.name(), "code": code, "message": message
            })
        })
    };
    let tasks = status.stages.iter().flat_map(|stage| {
        stage.tasks.iter().filter_map(move |task| {
            let what = format!("task {}/{}", stage.name, task.partition);
            one(what, task.state, &task.reason)
        })
    });
    let sources = status
        .sources
        .iter()
        .filter_map(|source| one(format!("source {}", source.name), source.state, &source.reason));
    tasks.chain(sources).collect()
}

/// Sinks that run and whose receiver does not take what it is given. The run is ready all the same:
/// what comes in is taken.
fn troubled(status: &Status) -> impl Iterator<Item = serde_json::Value> {
    let tasks = status.stages.iter().flat_map(|stage| {
        stage
            .tasks
            .iter()
            .map(move |task| (format!("task {}/{}", stage.name, task.partition), task))
    });
    tasks.filter(|(_, task)| task.state.is_well()).filter_map(|(what, task)| {
        let reason = task.reason.as_ref()?;
        Some(serde_json::json!({
            "what": what, "state": task.state.name(), "code": reason.code,
            "message": reason.message
        }))
    })
}

fn plain(pipeline: &Pipeline, stage: &pawl_pipeline::Stage) -> Stage {
    Stage {
        name: stage.name.clone(),
        sink: stage.sink.as_ref().map(|sink| sink.kind.word().to_owned()),
        input: stage.input.clone(),
        outputs: stage.writes().into_iter().map(str::to_owned).collect(),
        time: pipeline.reads_time(&stage.name),
        ..Stage::default()
    }
}

fn of_task(facts: &Facts, task: &TaskFacts) -> Task {
    let standing = &task.standing;
    let age = |then: i64| facts.now_ms.saturating_sub(then) as f64 / 1000.0;
    let watermark = standing.watermark.filter(|watermark| *watermark != NO_TIME);
    let operators = &task.used.operators;
    let failures = operators.iter().flat_map(|operator| operator.failures);
    let given_up = match &standing.ended {
        Some(Err(message)) => Some(message),
        _ => None,
    };
    let told = |(code, message): &(String, String)| Reason {
        code: code.clone(),
        message: given_up.unwrap_or(message).clone(),
    };
    let failing = task.used.receiver.failing.as_ref();
    let of_receiver = failing
        .map(|failing| Reason { code: failing.kind.clone(), message: failing.message.clone() });
    let reason = standing.failure.as_ref().map(told).or(of_receiver);
    let is_sink = facts.pipeline.stage(&task.id.stage).is_some_and(pawl_pipeline::Stage::is_sink);
    Task {
        partition: task.id.partition,
        state: task.state(),
        epoch: standing.epoch,
        records: task.counters().map(|counters| records(counters, facts)),
        lag_records: task.lag(),
        watermark_ms: watermark,
        watermark_lag_seconds: watermark.map(age),
        held_by: holder(facts, task),
        checkpoint: standing.checkpoint.map(|checkpoint| Checkpoint {
            epoch: checkpoint.name.epoch,
            sequence: checkpoint.name.sequence,
            age_seconds: age(checkpoint.created_ms).max(0.0),
            bytes: checkpoint.cost.map(|(bytes, _)| bytes),
            seconds: checkpoint.cost.map(|(_, seconds)| seconds),
        }),
        credit: Credit {
            in_flight: standing.in_flight,
            max: task.in_flight_max,
            withheld_seconds: task.used.withheld_seconds,
        },
        delivery: is_sink.then(|| Delivery {
            seconds: task.used.delivering_seconds,
            failures: task.used.receiver.failures.values().sum(),
            failing_since_ms: failing.map(|failing| failing.since_ms),
        }),
        checkpoint_failure: standing.checkpoint_failure.as_ref().map(told),
        restarts: task.used.restarts,
        traps: failures.map(|(_, count)| count).sum(),
        recovery_path: path_name(standing.recovered),
        guest: Guest {
            seconds: operators.iter().fold(0.0, |sum, operator| sum + operator.seconds),
            memory_bytes: operators.iter().map(|operator| operator.memory_bytes).sum(),
        },
        reason,
    }
}

/// The task whose time a task waits for, where it hears time from others: one that has none yet,
/// else the one furthest behind.
fn holder(facts: &Facts, task: &TaskFacts) -> Option<String> {
    let (pipeline, standing) = (&facts.pipeline, &task.standing);
    let own = standing.watermark?;
    // Who makes its own time waits for nobody.
    if standing.clock.is_some() {
        return None;
    }
    let input = &pipeline.stage(&task.id.stage)?.input;
    let writes = |stage: &pawl_pipeline::Stage| stage.writes().contains(input.as_str());
    let upstream = facts.tasks.iter().filter(|other| {
        !other.standing.idle && pipeline.stage(&other.id.stage).is_some_and(writes)
    });
    let told = upstream.filter_map(|other| Some((other.standing.watermark?, &other.id)));
    let (least, id) = told.min_by_key(|(watermark, _)| *watermark)?;
    // Time that has not arrived yet is held by nobody.
    (least <= own || own == NO_TIME).then(|| id.to_string())
}

fn records(counters: &pawl_core::counters::Counters, facts: &Facts) -> Records {
    let letters = &facts.pipeline.dead_letters.topic;
    let out = counters.records_out.iter().filter(|(topic, _)| *topic != letters);
    let mut records = Records {
        taken: counters.records_in,
        out: out.map(|(_, count)| count).sum(),
        ..Records::default()
    };
    for edge in &counters.edges {
        records.late += edge.late;
        records.duplicate += edge.duplicate;
        records.dead += edge.dead_lettered;
    }
    records
}

fn source(facts: &SourceFacts) -> Source {
    let told = &facts.told;
    let known = facts.counters.is_some();
    let trouble = told.standing.troubles.first();
    let failure = told.failed.as_ref();
    Source {
        name: told.source.name.clone(),
        kind: told.source.kind.word().to_owned(),
        topic: told.source.topic.clone(),
        state: facts.state(),
        records: known.then_some(told.standing.records),
        dead_letters: known.then_some(told.standing.dead_letters),
        last_record_ms: facts.last_record_ms,
        goes_on: told.runs || told.waits_to_start,
        position: told.standing.position.clone(),
        reason: match (failure, trouble) {
            (Some((code, message)), _) => {
                Some(Reason { code: code.clone(), message: message.clone() })
            }
            (None, Some(trouble)) => Some(Reason {
                code: trouble.split(':').next().unwrap_or_default().to_owned(),
                message: trouble.clone(),
            }),
            (None, None) => None,
        },
    }
}

/// How many dead letters of which kind, tasks and sources together.
pub(super) fn kinds(facts: &Facts) -> Vec<Kind> {
    let mut counts: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    let of_tasks = facts.tasks.iter().filter_map(|task| Some((&task.id.stage, task.counters()?)));
    let of_tasks = of_tasks.map(|(stage, counters)| (stage.clone(), counters));
    let of_sources = facts.sources.iter().filter_map(|source| {
        Some((format!("source.{}", source.told.source.name), source.counters.as_ref()?))
    });
    for (stage, counters) in of_tasks.chain(of_sources) {
        for (name, count) in &counters.dead_letters {
            let (operator, kind) = name.split_once('/').unwrap_or(("", name));
            let key = (stage.clone(), operator.to_owned(), kind.to_owned());
            *counts.entry(key).or_default() += count;
        }
    }
    let kinds = counts.into_iter().map(|((stage, operator, kind), count)| Kind {
        stage,
        operator,
        kind,
        count,
    });
    kinds.collect()
}

fn bounds(pipeline: &Pipeline) -> DeadLetters {
    let rules = &pipeline.dead_letters;
    DeadLetters {
        topic: rules.topic.clone(),
        records_max: rules.records_max,
        bytes_max: rules.bytes_max,
        at_max: match rules.at_max {
            AtMax::Stop => "stop",
            AtMax::DropOldest => "drop-oldest",
        }
        .to_owned(),
        ..DeadLetters::default()
    }
}

fn edges(pipeline: &Pipeline, tasks: &[TaskFacts]) -> Vec<Edge> {
    let edge = |from: String, to: String| Edge { from, to, ..Edge::default() };
    let mut edges = Vec::new();
    for source in &pipeline.sources {
        edges.push(edge(format!("source:{}", source.name), format!("topic:{}", source.topic)));
    }
    for stage in pipeline.upstream_first() {
        let of_stage = || tasks.iter().filter(|task| task.id.stage == stage.name);
        let known = of_stage().next().is_some();
        let lag: Option<u64> = of_stage().map(TaskFacts::lag).sum();
        edges.push(Edge {
            lag_records: lag.filter(|_| known),
            credit_withheld_seconds: known
                .then(|| of_stage().map(|task| task.used.withheld_seconds).sum()),
            ..edge(format!("topic:{}", stage.input), format!("stage:{}", stage.name))
        });
        for topic in stage.writes() {
            edges.push(edge(format!("stage:{}", stage.name), format!("topic:{topic}")));
        }
    }
    edges
}
