//! What a pipeline keeps in its data folder, as commands open it. Commands that only look open it
//! for reading and change nothing.

use crate::failure::usage;
use anyhow::{Error, Result};
use pawl_checkpoint::RemoteStore;
use pawl_pipeline::Pipeline;
use pawl_transport::{Embedded, Transport};

pub use pawl_service::store_of as store;

/// The remote tier of the pipeline's checkpoints.
pub fn remote_store(pipeline: &Pipeline) -> Result<RemoteStore> {
    let Some(remote) = &pipeline.checkpoint.remote else {
        return Err(usage("the pipeline has no [checkpoint.remote]"));
    };
    Ok(pawl_service::remote_store_of(pipeline, remote)?)
}

/// The transport, to look into.
pub fn transport_to_read(pipeline: &Pipeline) -> Result<Embedded> {
    Ok(pawl_service::open_transport(pipeline, true)?)
}

/// As `transport_to_read`; none if there is no database yet.
pub fn transport_if_there(pipeline: &Pipeline) -> Result<Option<Embedded>> {
    match pawl_service::open_transport(pipeline, true) {
        Ok(transport) => Ok(Some(transport)),
        Err(pawl_service::Error::Transport(pawl_transport::Error::Missing { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The transport with all declared topics, to produce.
pub fn transport_to_write(pipeline: &Pipeline) -> Result<Embedded> {
    Ok(pawl_service::open_transport(pipeline, false)?)
}

/// The transport and the number of a topic's partitions. None if the topic is declared and nothing
/// has made it yet.
pub fn topic_to_read(pipeline: &Pipeline, topic: &str) -> Result<Option<(Embedded, u32)>> {
    let declared = pipeline.topics.contains_key(topic);
    let mut known: Vec<&str> = pipeline.topics.keys().map(String::as_str).collect();
    let transport = match transport_to_read(pipeline) {
        Err(_) if !declared => return Err(unknown_topic(topic, &known)),
        opened => opened?,
    };
    match transport.partitions(topic) {
        Ok(partitions) => Ok(Some((transport, partitions))),
        Err(pawl_transport::Error::UnknownTopic { .. }) if declared => Ok(None),
        Err(pawl_transport::Error::UnknownTopic { .. }) => {
            let stored = transport.topics()?;
            known.extend(stored.iter().map(|stored| stored.name.as_str()));
            known.sort_unstable();
            known.dedup();
            Err(unknown_topic(topic, &known))
        }
        Err(error) => Err(error.into()),
    }
}

/// The error for a topic that is not there.
pub fn unknown_topic(topic: &str, known: &[&str]) -> Error {
    usage(format!("no topic is named {}; {}", crate::out::shown(topic), meant(topic, known)))
}

/// What was probably meant, or what there is.
pub fn meant(name: &str, known: &[&str]) -> String {
    match pawl_pipeline::closest(name, known) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("there are {}", known.join(", ")),
    }
}
