//! `pawl topic trim`: lets rows go that nobody needs, because a person says so.

use super::TrimArguments;
use super::facts::Partition;
use super::floor::{self, Floor};
use crate::data;
use crate::failure::usage;
use crate::out::{Out, json_line, note};
use anyhow::{Result, anyhow};
use pawl_core::record::Offset;
use pawl_pipeline::{OwnTopic, Pipeline};
use pawl_transport::{Embedded, Transport};
use serde::Serialize;

/// What became of a partition.
#[derive(Serialize)]
struct Trimmed<'a> {
    topic: &'a str,
    partition: u32,
    /// The first row kept before.
    first_before: Offset,
    /// The first row kept now, or as it would be.
    first: Offset,
    dry_run: bool,
}

/// Trims it.
pub fn trim(pipeline: &Pipeline, arguments: &TrimArguments) -> Result<()> {
    let topic = arguments.topic.as_str();
    check(pipeline, arguments)?;
    let Some((transport, count)) = data::topic_to_read(pipeline, topic)? else {
        note(&format!("topic {topic} has no records yet"));
        return Ok(());
    };
    let partitions = match arguments.partition {
        Some(one) => vec![one],
        None => (0..count).collect(),
    };
    if arguments.below.is_some() && partitions.len() > 1 {
        return Err(usage(format!(
            "topic {topic} has {count} partitions, each with offsets of its own: say which \
             (--partition)"
        )));
    }
    let taken = match arguments.sent_back {
        true => pawl_reprocess::taken_below(&transport, pipeline)?,
        false => Vec::new(),
    };
    let mut plan = Vec::new();
    for partition in partitions {
        let (first, end) = transport.range(topic, partition)?;
        let of = Partition { partition, first, end };
        let mut floor = floor::one(pipeline, topic, partition, end);
        if arguments.sent_back {
            let taken = taken.get(partition as usize).copied().unwrap_or(first);
            floor.below = floor.below.map(|below| below.min(taken));
        }
        plan.push((of, below(arguments, of, floor)?));
    }
    // Only now is anything opened for writing, or changed.
    drop(transport);
    let transport = match arguments.dry_run {
        true => data::transport_to_read(pipeline)?,
        false => data::transport_to_write(pipeline)?,
    };
    let mut out = Out::new();
    for (of, below) in plan {
        let first = match arguments.dry_run {
            true => whole_batches(&transport, topic, of, below)?,
            false => carry_out(&transport, topic, of.partition, below)?,
        };
        tell(arguments, of, first, &mut out)?;
    }
    out.flush()
}

/// Refuses what would take the host's own notes from it, or dead letters unawares.
fn check(pipeline: &Pipeline, arguments: &TrimArguments) -> Result<()> {
    let topic = arguments.topic.as_str();
    if let Some(why) = floor::kept_whole(pipeline, topic) {
        return Err(usage(format!("nothing of it may go: {why}")));
    }
    let are_letters = pipeline.own_topic(topic) == Some(OwnTopic::DeadLetters);
    match (are_letters, arguments.sent_back || arguments.dead_letters) {
        (true, false) => Err(usage(format!(
            "{topic} holds dead letters: --sent-back lets go of those that were sent back and \
             taken in; --dead-letters beside --below or --unneeded says that others may be lost"
        ))),
        (false, true) => Err(usage(format!(
            "--sent-back and --dead-letters are for the topic of the dead letters, which is {}",
            pipeline.dead_letters.topic
        ))),
        _ => Ok(()),
    }
}

/// Up to where rows go; an error if a reader needs any of them.
fn below(arguments: &TrimArguments, of: Partition, floor: Floor) -> Result<Offset> {
    let place = format!("{}/{}", arguments.topic, of.partition);
    let reader = floor.reader.unwrap_or_default();
    let Some(allowed) = floor.below else {
        let why = format!("nothing of {place} may go: {}", floor.why.unwrap_or_default());
        if arguments.unneeded || arguments.sent_back {
            note(&why);
            return Ok(of.first);
        }
        return Err(anyhow!("{why}; run the pipeline first"));
    };
    match arguments.below {
        None => Ok(allowed),
        Some(below) if below > of.end => {
            Err(usage(format!("{place} ends at {}, before {below}", of.end)))
        }
        Some(below) if below > allowed => Err(anyhow!(
            "a kept checkpoint of task {reader} is replayed from row {allowed} of {place}: rows \
             below that may go (--below {allowed}), no others"
        )),
        Some(below) => Ok(below),
    }
}

fn carry_out(transport: &Embedded, topic: &str, partition: u32, below: Offset) -> Result<Offset> {
    loop {
        let trimmed = transport.trim(topic, partition, below)?;
        if !trimmed.more {
            return Ok(trimmed.first);
        }
    }
}

/// The end of the last batch that ends at or below `below`.
fn whole_batches(
    transport: &Embedded,
    topic: &str,
    of: Partition,
    below: Offset,
) -> Result<Offset> {
    if below <= of.first {
        return Ok(of.first);
    }
    if below == of.end {
        return Ok(of.end);
    }
    let one = pawl_transport::ReadMax { records: 1, bytes: 1 };
    let batches = transport.read(topic, of.partition, below, one)?;
    Ok(batches.first().map_or(below, |batch| batch.base.min(below)))
}

fn tell(arguments: &TrimArguments, of: Partition, first: Offset, out: &mut Out) -> Result<()> {
    let (topic, partition) = (arguments.topic.as_str(), of.partition);
    let (first_before, dry_run) = (of.first, arguments.dry_run);
    if arguments.json {
        return out.line(json_line(&Trimmed { topic, partition, first_before, first, dry_run })?);
    }
    let rows = first.saturating_sub(first_before);
    let (would, are) = if dry_run { ("would go", "would be") } else { ("are gone", "is") };
    out.line(format!("{topic}/{partition}: {rows} rows {would}; the first one kept {are} {first}"))
}
