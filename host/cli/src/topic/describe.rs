//! `pawl topic describe`: all about one topic.

use super::facts::{self, Facts};
use super::floor::{self, Floor};
use super::ls::retention;
use crate::data;
use crate::out::{Out, bytes, json_line};
use crate::table::{Column, Table};
use crate::terminal::{self, Paint};
use anyhow::Result;
use pawl_pipeline::Pipeline;
use serde::Serialize;

/// The topic, and what of it may go.
#[derive(Serialize)]
struct Description<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    /// One for each partition.
    floors: &'a [Floor],
}

/// Shows it.
pub fn describe(pipeline: &Pipeline, topic: &str, json: bool) -> Result<()> {
    let transport = data::transport_if_there(pipeline)?;
    let facts = facts::of(pipeline, transport.as_ref(), topic)?;
    if !facts.declared && !facts.made {
        let known = facts::all(pipeline, transport.as_ref())?;
        let known: Vec<&str> = known.iter().map(|facts| facts.topic.as_str()).collect();
        return Err(data::unknown_topic(topic, &known));
    }
    let floors = floor::all(pipeline, &facts);
    let mut out = Out::new();
    match json {
        true => out.line(json_line(&Description { facts: &facts, floors: &floors })?)?,
        false => show(&facts, &floors, &mut out)?,
    }
    out.flush()
}

fn show(facts: &Facts, floors: &[Floor], out: &mut Out) -> Result<()> {
    out.line(terminal::paint(Paint::Bold, &format!("topic {}", facts.topic)))?;
    let made = if facts.made { "" } else { "; not made yet: the first run or produce makes it" };
    let role = facts.role.unwrap_or(if facts.declared { "-" } else { "not in the pipeline file" });
    out.line(format!("  role: {role}{made}"))?;
    out.line(format!("  kept: {} records, {}", facts.records, bytes(facts.bytes)))?;
    out.line(format!("  retention: {}", retention(facts)))?;
    out.line(format!("  key: {}", facts.key.as_deref().unwrap_or("-")))?;
    let writers = match facts.writers.as_slice() {
        [] => "only what comes from outside".to_owned(),
        writers => writers.join(", "),
    };
    out.line(format!("  written by: {writers}"))?;
    out.line("")?;
    let columns = [
        Column::right("partition"),
        Column::right("first"),
        Column::right("end"),
        Column::right("rows"),
        Column::left("may go"),
    ];
    let mut table = Table::indented(&columns, "  ");
    for (partition, floor) in facts.partitions.iter().zip(floors) {
        let may_go = match floor {
            Floor { below: Some(below), why: None, .. } => format!("rows below {below}"),
            Floor { why, .. } => format!("nothing: {}", why.as_deref().unwrap_or("unknown")),
        };
        table.row(vec![
            partition.partition.to_string(),
            partition.first.to_string(),
            partition.end.to_string(),
            partition.end.saturating_sub(partition.first).to_string(),
            may_go,
        ]);
    }
    table.print(out)?;
    if facts.readers.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let columns = [Column::left("reader"), Column::right("position"), Column::right("lag")];
    let mut table = Table::indented(&columns, "  ");
    for reader in &facts.readers {
        let position = reader.position.map_or("-".to_owned(), |position| position.to_string());
        table.row(vec![reader.task.clone(), position, reader.lag.to_string()]);
    }
    table.print(out)
}
