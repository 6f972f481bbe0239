//! What is known of a topic: what the file declares, what the transport holds, who reads it and
//! how far each reader is. Only looks.

use anyhow::Result;
use pawl_core::commit::{Progress, TaskId};
use pawl_core::record::Offset;
use pawl_pipeline::{KeySource, OwnTopic, Pipeline};
use pawl_transport::{Embedded, Transport};
use serde::Serialize;

/// One topic.
#[derive(Debug, Serialize)]
pub struct Facts {
    pub topic: String,
    /// What the topic is for, in a word or two; none for an ordinary one.
    pub role: Option<&'static str>,
    /// Whether the pipeline file declares it; that of the dead letters counts.
    pub declared: bool,
    /// Whether it is there: topics are made by the first run or produce.
    pub made: bool,
    pub partitions: Vec<Partition>,
    /// Records kept.
    pub records: u64,
    /// Bytes kept, as stored.
    pub bytes: u64,
    /// For how long records stay though all readers are done with them.
    pub retention_ms: u64,
    /// Where `pawl produce` and sources take keys from.
    pub key: Option<String>,
    /// Stages and sources.
    pub writers: Vec<String>,
    pub readers: Vec<Reader>,
}

/// A partition: rows from `first` to below `end` are kept.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Partition {
    pub partition: u32,
    pub first: Offset,
    pub end: Offset,
}

/// A task that reads the topic.
#[derive(Debug, Serialize)]
pub struct Reader {
    pub task: String,
    pub partition: u32,
    /// The next row that it has no durable outcome of; none if it has committed nothing yet.
    pub position: Option<Offset>,
    /// Rows between there and the end.
    pub lag: u64,
}

/// All topics, those of the file first, in the order of their names.
pub fn all(pipeline: &Pipeline, transport: Option<&Embedded>) -> Result<Vec<Facts>> {
    let mut names: Vec<String> = pipeline.topics.keys().cloned().collect();
    if let Some(transport) = transport {
        let stored = transport.topics()?.into_iter().map(|stored| stored.name);
        names.extend(stored.filter(|name| !pipeline.topics.contains_key(name)));
    }
    names.iter().map(|name| of(pipeline, transport, name)).collect()
}

/// One topic, which the file declares or the transport has.
pub fn of(pipeline: &Pipeline, transport: Option<&Embedded>, topic: &str) -> Result<Facts> {
    let declared = pipeline.topics.get(topic);
    let mut facts = Facts {
        topic: topic.to_owned(),
        role: pipeline.own_topic(topic).map(OwnTopic::words),
        declared: declared.is_some(),
        made: false,
        partitions: Vec::new(),
        records: 0,
        bytes: 0,
        retention_ms: declared.map_or(0, |declared| declared.retention_ms),
        key: declared.and_then(|declared| declared.key.as_ref()).map(|key| match key {
            KeySource::Field(pointer) => format!("field {pointer}"),
            KeySource::Header(name) => format!("header {name}"),
        }),
        writers: writers(pipeline, topic),
        readers: Vec::new(),
    };
    if let Some(transport) = transport {
        stored(pipeline, transport, &mut facts)?;
    }
    if !facts.made {
        let partitions = declared.map_or(0, |declared| declared.partitions);
        let empty = |partition| Partition { partition, first: 0, end: 0 };
        facts.partitions = (0..partitions).map(empty).collect();
    }
    Ok(facts)
}

fn stored(pipeline: &Pipeline, transport: &Embedded, facts: &mut Facts) -> Result<()> {
    let topic = facts.topic.clone();
    let partitions = match transport.partitions(&topic) {
        Ok(partitions) => partitions,
        Err(pawl_transport::Error::UnknownTopic { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    facts.made = true;
    let retained = transport.retained(&topic)?;
    (facts.records, facts.bytes) = (retained.records, retained.bytes);
    for partition in 0..partitions {
        let (first, end) = transport.range(&topic, partition)?;
        facts.partitions.push(Partition { partition, first, end });
        for task in reading(pipeline, &topic, partition) {
            let commit = transport.recovery(&task)?.commit;
            let position = commit.map(|commit| next(pipeline, &topic, &commit.progress));
            let lag = end.saturating_sub(position.unwrap_or(first));
            facts.readers.push(Reader { task: task.to_string(), partition, position, lag });
        }
    }
    facts.readers.sort_by(|a, b| a.task.cmp(&b.task).then(a.partition.cmp(&b.partition)));
    Ok(())
}

/// The tasks that read a partition, as their input or as what was sent back to them.
pub fn reading(pipeline: &Pipeline, topic: &str, partition: u32) -> Vec<TaskId> {
    let sent_back = pipeline.stages.iter().filter(|stage| stage.replay == topic);
    let stages = pipeline.readers(topic).into_iter().chain(sent_back);
    stages.map(|stage| TaskId { stage: stage.name.clone(), partition }).collect()
}

/// The next row of a topic that a task at this place reads.
pub fn next(pipeline: &Pipeline, topic: &str, progress: &Progress) -> Offset {
    match pipeline.stages.iter().any(|stage| stage.replay == topic) {
        true => progress.admitted,
        false => progress.position,
    }
}

fn writers(pipeline: &Pipeline, topic: &str) -> Vec<String> {
    let sources = pipeline.sources.iter().filter(|source| source.topic == topic);
    let sources = sources.map(|source| format!("source.{}", source.name));
    let stages = pipeline.writers(topic).into_iter().map(|stage| stage.name.clone());
    stages.chain(sources).collect()
}
