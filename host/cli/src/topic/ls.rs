//! `pawl topic ls`: one line per topic.

use super::facts::{self, Facts};
use crate::data;
use crate::out::{Out, bytes, duration_ms, json_line, note};
use crate::table::{Column, Table};
use anyhow::Result;
use pawl_pipeline::Pipeline;

/// Lists them.
pub fn ls(pipeline: &Pipeline, json: bool) -> Result<()> {
    let transport = data::transport_if_there(pipeline)?;
    let facts = facts::all(pipeline, transport.as_ref())?;
    let mut out = Out::new();
    if json {
        for facts in &facts {
            out.line(json_line(facts)?)?;
        }
        return out.flush();
    }
    let mut table = Table::new(&[
        Column::left("topic"),
        Column::right("partitions"),
        Column::right("records"),
        Column::right("bytes"),
        Column::left("retention"),
        Column::right("lag"),
        Column::left("readers"),
        Column::left(""),
    ]);
    for facts in &facts {
        table.row(row(facts));
    }
    table.print(&mut out)?;
    out.flush()?;
    if transport.is_none() {
        note("nothing is there yet: the first run or produce on the pipeline makes the topics");
    }
    Ok(())
}

fn row(facts: &Facts) -> Vec<String> {
    let mut readers: Vec<&str> = Vec::new();
    for reader in &facts.readers {
        let stage = reader.task.rsplit_once('/').map_or("", |(stage, _)| stage);
        if !readers.contains(&stage) {
            readers.push(stage);
        }
    }
    // Every stage reads at its own pace: that of the slowest counts.
    let lag_of = |stage: &&str| {
        let of_stage = facts
            .readers
            .iter()
            .filter(|reader| reader.task.rsplit_once('/').is_some_and(|(name, _)| name == *stage));
        of_stage.map(|reader| reader.lag).sum::<u64>()
    };
    let lag = readers.iter().map(lag_of).max();
    let mut words: Vec<&str> = facts.role.into_iter().collect();
    if !facts.declared && facts.role.is_none() {
        words.push("not in the file");
    }
    if !facts.made {
        words.push("not made yet");
    }
    vec![
        facts.topic.clone(),
        facts.partitions.len().to_string(),
        facts.records.to_string(),
        bytes(facts.bytes),
        retention(facts),
        lag.map_or("-".to_owned(), |lag| lag.to_string()),
        if readers.is_empty() { "-".to_owned() } else { readers.join(", ") },
        words.join(", "),
    ]
}

/// For how long records stay though nobody needs them.
pub fn retention(facts: &Facts) -> String {
    match facts.retention_ms {
        0 => "-".to_owned(),
        retention => duration_ms(retention),
    }
}
