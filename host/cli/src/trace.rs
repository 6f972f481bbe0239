//! `pawl trace`: where a record came from: which records of which topics, partitions and offsets,
//! through which stages and operators, and which sinks have dealt with it. Only looks.

mod find;
mod lineage;
mod way;

use crate::data;
use crate::failure::usage;
use crate::file::FileOption;
use crate::out::{Out, counted, json_line, shown, shown_bytes};
use anyhow::Result;
use clap::Args;
use find::Found;
use lineage::Origin;
use serde::Serialize;
use way::{Delivered, Passed};

/// Characters of a value that are shown.
const SHOWN_MAX: usize = 200;

/// Show from which records one came, and through which operators
///
/// The record is found by its id, or by its key, in the topics that stages write (the last one
/// first) and among the dead letters. What it came from stands in its header `lineage`, which its
/// operators write; the records themselves are shown as far as they are still kept.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: FileOption,
    /// Id or key of the record, such as an alert's `alert_id`
    #[arg(value_name = "ID")]
    id: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// All that is known of where a record came from.
#[derive(Serialize)]
struct Trace {
    record: Found,
    /// Upstream first.
    way: Vec<Passed>,
    /// In the order of the lineage.
    origins: Vec<Origin>,
    sinks: Vec<Delivered>,
}

/// Runs the command.
pub fn trace(arguments: &Arguments) -> Result<()> {
    let pipeline = arguments.file.load()?;
    let transport = data::transport_to_read(&pipeline)?;
    let Some(record) = find::find(&pipeline, &transport, &arguments.id)? else {
        let id = shown(&arguments.id);
        return Err(usage(format!("no record that is still kept has the id or key {id}")));
    };
    let trace = Trace {
        way: way::way(&pipeline, &record)?,
        origins: lineage::origins(&transport, &record)?,
        sinks: way::sinks(&pipeline, &transport, &record)?,
        record,
    };
    let mut out = Out::new();
    match arguments.json {
        true => out.line(json_line(&trace)?)?,
        false => print(&trace, &mut out)?,
    }
    out.flush()
}

fn print(trace: &Trace, out: &mut Out) -> Result<()> {
    let record = &trace.record;
    out.line(format!("record {}", shown(&record.id)))?;
    out.line(format!("  at {}", record.place))?;
    if let Some(time) = &record.event_time {
        out.line(format!("  event time {time}"))?;
    }
    if let Some(task) = &record.written_by {
        out.line(format!("  written by task {}", shown(task)))?;
    }
    out.line(format!("  value {}", shown_bytes(record.value.as_bytes(), SHOWN_MAX)))?;
    out.line("through")?;
    for Passed { topic, stage, operators } in &trace.way {
        out.line(format!("  topic {topic} -> stage {stage}"))?;
        for operator in operators {
            let (name, plugin) = (&operator.name, &operator.plugin);
            let (version, component) = (shown(&operator.version), &operator.component);
            out.line(format!("    {name}: {plugin} {version}, component {component}"))?;
        }
    }
    out.line(format!("from {}", counted(trace.origins.len() as u64, "record")))?;
    if trace.origins.is_empty() {
        out.line("  unknown: the record brings no header `lineage`")?;
    }
    for origin in &trace.origins {
        let (place, id) = (shown(&origin.place), shown(&origin.id));
        out.line(match &origin.value {
            Some(value) => format!("  {id}  {place}  {}", shown_bytes(value.as_bytes(), SHOWN_MAX)),
            None if place.starts_with('(') => format!("  {id}  {place}"),
            None => format!("  {id}  {place}  (no longer kept)"),
        })?;
    }
    for Delivered { sink, state } in &trace.sinks {
        out.line(format!("sink {sink}: {state}"))?;
    }
    Ok(())
}
