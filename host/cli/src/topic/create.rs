//! `pawl topic create`: makes topics without running anything.

use crate::data;
use crate::failure::usage;
use crate::out::{Out, json_line, note, shown};
use anyhow::Result;
use pawl_pipeline::Pipeline;
use pawl_transport::Transport;
use serde::Serialize;
use std::collections::BTreeMap;

/// A topic that was made or grew.
#[derive(Serialize)]
struct Made<'a> {
    topic: &'a str,
    partitions: u32,
    /// None if it was not there.
    partitions_before: Option<u32>,
}

/// Makes the topics of the file, or `topic` beside them.
pub fn create(pipeline: &Pipeline, topic: Option<&str>, partitions: u32, json: bool) -> Result<()> {
    if let Some(topic) = topic {
        check(pipeline, topic)?;
    }
    let before: BTreeMap<String, u32> = match data::transport_if_there(pipeline)? {
        Some(transport) => by_name(&transport)?,
        None => BTreeMap::new(),
    };
    let transport = data::transport_to_write(pipeline)?;
    if let Some(topic) = topic {
        transport.create_topic(topic, partitions)?;
    }
    let (mut changed, mut out) = (0, Out::new());
    for (name, count) in by_name(&transport)? {
        let had = before.get(&name);
        if json && had != Some(&count) {
            let made = Made { topic: &name, partitions: count, partitions_before: had.copied() };
            out.line(json_line(&made)?)?;
            changed += 1;
            continue;
        }
        match had {
            Some(had) if *had == count => continue,
            Some(had) => note(&format!("topic {name} has {count} partitions now, {had} before")),
            None => note(&format!("made topic {name} with {count} partitions")),
        }
        changed += 1;
    }
    if changed == 0 && !json {
        note("all topics are there already");
    }
    out.flush()
}

/// What the file declares is made as it declares it.
fn check(pipeline: &Pipeline, topic: &str) -> Result<()> {
    if pipeline.topics.contains_key(topic) {
        return Err(usage(format!(
            "topic {topic} is in the pipeline file, which says how it is made: change it there, \
             and leave the name out here"
        )));
    }
    if let Some(own) = pipeline.own_topic(topic) {
        let own = own.words();
        return Err(usage(format!(
            "topic {topic} is one of the host's own ({own}), which makes it when it needs it"
        )));
    }
    match pawl_pipeline::is_topic_name(topic) {
        true => Ok(()),
        false => Err(usage(format!("{}: {}", shown(topic), pawl_pipeline::TOPIC_NAME))),
    }
}

fn by_name(transport: &impl Transport) -> Result<BTreeMap<String, u32>> {
    let topics = transport.topics()?.into_iter();
    Ok(topics.map(|topic| (topic.name, topic.partitions)).collect())
}
