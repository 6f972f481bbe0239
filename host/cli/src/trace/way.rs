//! The way that a record took: from the outside through stages to where it lies, and on to sinks.

use super::find::Found;
use crate::data;
use anyhow::Result;
use pawl_checkpoint::{Header, Store};
use pawl_core::commit::TaskId;
use pawl_pipeline::{Pipeline, Stage};
use pawl_transport::{Embedded, Transport};
use serde::Serialize;

/// Digits of a digest that are shown.
const DIGEST_DIGITS: usize = 12;

/// One stage on the way.
#[derive(Serialize)]
pub struct Passed {
    /// The topic that it reads.
    pub topic: String,
    /// Its name.
    pub stage: String,
    /// In the order in which records pass.
    pub operators: Vec<Ran>,
}

/// What ran an operator when the last checkpoint was taken.
#[derive(Serialize)]
pub struct Ran {
    /// Its name in the stage.
    pub name: String,
    /// The plugin as the pipeline file names it.
    pub plugin: String,
    /// As it told; `?` if there is no checkpoint.
    pub version: String,
    /// The beginning of the component's SHA-256.
    pub component: String,
}

/// What a sink has made of a record.
#[derive(Serialize)]
pub struct Delivered {
    /// The sink.
    pub sink: String,
    /// In words.
    pub state: String,
}

/// The stages that lead to the record, upstream first.
pub fn way(pipeline: &Pipeline, record: &Found) -> Result<Vec<Passed>> {
    let last = record.refused_by.as_deref().or(record.written_by.as_deref());
    let last = last.and_then(|task| pipeline.stage(task.split('/').next().unwrap_or(task)));
    let Some(last) = last else { return Ok(Vec::new()) };
    let mut way: Vec<&Stage> = Vec::new();
    let mut next = vec![last];
    while let Some(stage) = next.pop() {
        if way.iter().all(|passed| passed.name != stage.name) {
            way.push(stage);
            next.extend(pipeline.writers(&stage.input));
        }
    }
    let order = pipeline.upstream_first();
    let ordered = order.into_iter().filter(|stage| way.iter().any(|one| one.name == stage.name));
    ordered.map(|stage| passed(pipeline, stage)).collect()
}

fn passed(pipeline: &Pipeline, stage: &Stage) -> Result<Passed> {
    let header = newest(pipeline, stage)?;
    let ran = |operator: &pawl_pipeline::Operator| {
        let of_header = header.as_ref().and_then(|header| {
            header.operators.iter().find(|record| record.digest.operator == operator.name)
        });
        let component = of_header.map_or("?", |record| record.digest.component.as_str());
        Ran {
            name: operator.name.clone(),
            plugin: match &stage.sink {
                Some(sink) => sink.kind.word().to_owned(),
                None => operator.plugin.clone(),
            },
            version: of_header.map_or("?", |record| &*record.operator_version).to_owned(),
            component: component.chars().take(DIGEST_DIGITS).collect(),
        }
    };
    Ok(Passed {
        topic: stage.input.clone(),
        stage: stage.name.clone(),
        operators: stage.operators.iter().map(ran).collect(),
    })
}

/// The header of the newest checkpoint of the stage's first partition that can be read.
fn newest(pipeline: &Pipeline, stage: &Stage) -> Result<Option<Header>> {
    let store = data::store(pipeline);
    let task = TaskId { stage: stage.name.clone(), partition: 0 };
    let names = store.names(&task)?;
    Ok(names.into_iter().find_map(|name| store.header(&task, name).ok()))
}

/// What the sinks behind the record's topic have made of it.
pub fn sinks(pipeline: &Pipeline, transport: &Embedded, record: &Found) -> Result<Vec<Delivered>> {
    let mut all = Vec::new();
    for stage in pipeline.readers(&record.topic).into_iter().filter(|stage| stage.is_sink()) {
        let task = TaskId { stage: stage.name.clone(), partition: record.partition };
        let commit = transport.recovery(&task)?.commit;
        let position = commit.map_or(0, |commit| commit.progress.position);
        let state = match position > record.offset {
            true => "dealt with: delivered, or among the dead letters",
            false => "not yet",
        };
        all.push(Delivered { sink: stage.name.clone(), state: state.to_owned() });
    }
    Ok(all)
}
