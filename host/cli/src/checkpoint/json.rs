//! Checkpoints and commits as scripts read them.

use pawl_checkpoint::{Checkpoint, Error, Owner};
use pawl_core::commit::{Progress, TaskId};
use pawl_core::decision::CheckpointName;
use pawl_core::identity::text_of_time;
use pawl_transport::Recovery;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One checkpoint, or why it cannot be used.
pub fn checkpoint(task: &TaskId, name: CheckpointName, read: &Result<Checkpoint, Error>) -> Value {
    let mut value = json!({
        "task": task.to_string(),
        "checkpoint": super::text_of_name(name),
        "epoch": name.epoch,
        "sequence": name.sequence,
        "valid": read.is_ok(),
    });
    let more = match read {
        Err(error) => json!({ "why": error.to_string() }),
        Ok(checkpoint) => contents(checkpoint),
    };
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

/// A task: its last commit and its checkpoints, newest first.
pub fn task(task: &TaskId, recovery: Option<&Recovery>, checkpoints: Vec<Value>) -> Value {
    let commit = recovery.and_then(|recovery| recovery.commit.as_ref());
    let commit = commit.map(|commit| {
        json!({
            "epoch": commit.epoch,
            "progress": progress(&commit.progress),
            "newest_checkpoint": commit.witness.map(super::text_of_name),
        })
    });
    json!({
        "task": task.to_string(),
        "commit": commit,
        "decisions_kept": recovery.map(|recovery| recovery.decisions.len()),
        "checkpoints": checkpoints,
    })
}

fn contents(checkpoint: &Checkpoint) -> Value {
    let header = &checkpoint.header;
    let mut owners: BTreeMap<Owner, (usize, usize)> = BTreeMap::new();
    for (key, bytes) in &checkpoint.parts {
        let (parts, sum) = owners.entry(key.owner).or_default();
        *parts += 1;
        *sum += bytes.len();
    }
    let parts = owners.into_iter().map(|(owner, (parts, bytes))| {
        let (what, number) = match owner {
            Owner::Window(edge) => ("dedup_window", edge),
            Owner::Operator(operator) => ("operator", operator),
        };
        json!({ "of": what, "number": number, "parts": parts, "bytes": bytes })
    });
    let operators = header.operators.iter().map(|operator| {
        json!({
            "operator": operator.digest.operator,
            "version": operator.operator_version,
            "component": operator.digest.component,
            "configuration": operator.digest.configuration,
            "state_version": operator.state_version,
        })
    });
    json!({
        "created": text_of_time(header.created_ms),
        "log": header.log,
        "progress": progress(&header.progress),
        "semantics": header.semantics,
        "input_sum": format!("{:032x}", header.input_sum),
        "output_sum": format!("{:032x}", header.output_sum),
        "bytes": super::bytes_of(checkpoint),
        "parts": parts.collect::<Vec<_>>(),
        "operators": operators.collect::<Vec<_>>(),
    })
}

fn progress(progress: &Progress) -> Value {
    let Progress { position, ticks, decisions, admitted } = progress;
    json!({
        "position": position, "ticks": ticks, "decisions": decisions, "admitted": admitted,
    })
}
