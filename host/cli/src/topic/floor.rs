//! Up to where rows of a topic may go (AL-2): none that a kept checkpoint of any reader, in either
//! tier, would have to be replayed from. The same rule by which a run lets go of input, for
//! somebody who only looks; where it is not known what a reader needs, nothing may go.

use super::facts::{Facts, next, reading};
use crate::data;
use anyhow::{Context, Result};
use pawl_checkpoint::Store;
use pawl_core::commit::{Progress, TaskId};
use pawl_core::record::Offset;
use pawl_pipeline::{OwnTopic, Pipeline};
use serde::Serialize;

/// What of a partition may go.
#[derive(Debug, Serialize)]
pub struct Floor {
    pub partition: u32,
    /// Rows below may go; none: none may.
    pub below: Option<Offset>,
    /// The reader that needs what lies from there on; none if there is no reader.
    pub reader: Option<String>,
    /// Why none may go.
    pub why: Option<String>,
}

/// For each partition of a topic.
pub fn all(pipeline: &Pipeline, facts: &Facts) -> Vec<Floor> {
    let partitions = facts.partitions.iter();
    partitions.map(|of| one(pipeline, &facts.topic, of.partition, of.end)).collect()
}

/// For a partition that ends at `end`.
pub fn one(pipeline: &Pipeline, topic: &str, partition: u32, end: Offset) -> Floor {
    if let Some(why) = kept_whole(pipeline, topic) {
        return Floor { partition, below: None, reader: None, why: Some(why) };
    }
    let mut floor = Floor { partition, below: Some(end), reader: None, why: None };
    for task in reading(pipeline, topic, partition) {
        match needed_from(pipeline, topic, &task) {
            Ok(position) => {
                if floor.reader.is_none() || floor.below.is_some_and(|below| position < below) {
                    floor.below = Some(position);
                    floor.reader = Some(task.to_string());
                }
            }
            Err(error) => {
                let (reader, why) = (Some(task.to_string()), Some(format!("{error:#}")));
                return Floor { partition, below: None, reader, why };
            }
        }
    }
    floor
}

/// Why no person may let go of any row of a topic, if it is one that the host keeps small itself.
pub fn kept_whole(pipeline: &Pipeline, topic: &str) -> Option<String> {
    let own = pipeline.own_topic(topic)?;
    let without = match own {
        OwnTopic::DeadLetters | OwnTopic::SentBack => return None,
        OwnTopic::Place => "its input would be read again from the start",
        OwnTopic::Ledger => "dead letters would be sent back a second time",
        OwnTopic::Reviews => "the next review would show all dead letters as new",
    };
    Some(format!("{topic} is the host's own ({}): without it {without}", own.words()))
}

/// The first row that a task may need again. An error: that cannot be told, or all of them.
fn needed_from(pipeline: &Pipeline, topic: &str, task: &TaskId) -> Result<Offset> {
    let mut needed = in_store(pipeline, &data::store(pipeline), topic, task)?;
    if pipeline.checkpoint.remote.is_some() {
        let remote = data::remote_store(pipeline)?;
        let far = in_store(pipeline, &remote, topic, task);
        needed = needed.min(far.context("the remote tier of checkpoints")?);
    }
    Ok(needed)
}

fn in_store(pipeline: &Pipeline, store: &dyn Store, topic: &str, task: &TaskId) -> Result<Offset> {
    let kept_min = pipeline.checkpoint.kept_min.max(3) as usize;
    let mut headers = Vec::new();
    for name in store.names(task)? {
        match store.header(task, name) {
            Ok(header) => headers.push(header),
            // Nobody restores from that one.
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let count = headers.len();
    match pawl_checkpoint::Floor::of(headers.iter()) {
        Some(floor) if count >= kept_min => {
            let pawl_checkpoint::Floor { position, decisions, admitted } = floor;
            let least = Progress { position, decisions, admitted, ticks: 0 };
            Ok(next(pipeline, topic, &least))
        }
        _ => anyhow::bail!(
            "{task} has {count} of its {kept_min} checkpoints yet, and may need all rows"
        ),
    }
}
