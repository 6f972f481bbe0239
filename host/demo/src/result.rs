//! What a run left: alerts and dead letters as sorted sets, and the durable counters. Two runs are
//! equal when these are, byte for byte.

use anyhow::Result;
use pawl_core::commit::TaskId;
use pawl_core::counters::Counters;
use pawl_pipeline::Pipeline;
use pawl_transport::{ReadMax, Transport};
use std::collections::BTreeMap;

/// What a run left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Values of the alerts, sorted.
    pub alerts: Vec<Vec<u8>>,
    /// Payload, kind and source of the dead letters, sorted.
    pub dead_letters: Vec<(Vec<u8>, String, String)>,
    /// Of the first stage, over its partitions.
    pub observe: Observed,
}

/// What became of the lines, by the durable counters of the stage that reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    pub lines: u64,
    pub duplicates: u64,
    pub late: u64,
    pub used: u64,
    pub dead_letters: BTreeMap<String, u64>,
}

/// Reads what a run of `pipeline` left.
pub(crate) fn read(pipeline: &Pipeline) -> Result<Outcome> {
    let transport = pawl_service::open_transport(pipeline, true)?;
    let mut outcome = Outcome::default();
    for (topic, letters) in [("alerts", false), (pipeline.dead_letters.topic.as_str(), true)] {
        for partition in 0..transport.partitions(topic)? {
            let (mut at, end) = transport.range(topic, partition)?;
            while at < end {
                let max = ReadMax { records: 1000, bytes: 1 << 20 };
                for batch in transport.read(topic, partition, at, max)? {
                    at = batch.end();
                    for row in 0..batch.records.len() {
                        let value = batch.records.values.get(row).unwrap_or_default().to_vec();
                        if !letters {
                            outcome.alerts.push(value);
                            continue;
                        }
                        let header = |name: &str| {
                            let column = batch.records.header(name);
                            let bytes = column.and_then(|column| column.get(row));
                            String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
                        };
                        let source = format!(
                            "{}/{}/{}",
                            header("pawl-topic"),
                            header("pawl-partition"),
                            header("pawl-offset")
                        );
                        outcome.dead_letters.push((value, header("pawl-error-kind"), source));
                    }
                }
            }
        }
    }
    outcome.alerts.sort();
    outcome.dead_letters.sort();
    if let Some(stage) = pipeline.stages.first() {
        for partition in 0..transport.partitions(&stage.input)? {
            let task = TaskId { stage: stage.name.clone(), partition };
            let recovery = transport.recovery(&task)?;
            outcome.observe.add(&recovery.commit.unwrap_or_default().counters);
        }
    }
    Ok(outcome)
}

impl Observed {
    fn add(&mut self, counters: &Counters) {
        self.lines += counters.records_in;
        self.duplicates += counters.edges.iter().map(|edge| edge.duplicate).sum::<u64>();
        self.late += counters.edges.iter().map(|edge| edge.late).sum::<u64>();
        self.used += counters.edges.last().map_or(0, |edge| edge.absorbed);
        for (kind, count) in &counters.dead_letters {
            *self.dead_letters.entry(kind.clone()).or_default() += count;
        }
    }
}
