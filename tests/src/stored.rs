//! What a pipeline has stored, read back without changing it: records, dead letters, counters.

use pawl_core::commit::{Commit, TaskId};
use pawl_core::counters::Counters;
use pawl_core::decision::Decision;
use pawl_core::record::{LogBatch, Timestamp};
use pawl_pipeline::Pipeline;
use pawl_transport::{Embedded, ReadMax, Transport};
use std::collections::BTreeMap;
use std::path::Path;

/// A pipeline's transport, open for reading.
pub struct Stored {
    pipeline: Pipeline,
    transport: Embedded,
}

/// A record as tests look at it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value.
    pub value: Vec<u8>,
    /// Id, if it brings one.
    pub id: Option<Vec<u8>>,
    /// Event time.
    pub event_time: Timestamp,
    /// Headers.
    pub headers: BTreeMap<String, Vec<u8>>,
}

/// A dead letter without what differs from run to run: when, and by which owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Letter {
    /// Stage and operator.
    pub operator: String,
    /// `pawl-error-kind`.
    pub kind: String,
    /// `pawl-disposition`.
    pub disposition: String,
    /// `pawl-topic`, `pawl-partition` and `pawl-offset`.
    pub origin: String,
    /// `pawl-id`.
    pub id: String,
    /// The refused operator's input.
    pub payload: Vec<u8>,
}

/// An output as text: value, key, id, event time. Not where it lies: several fill partitions.
pub type Output = String;

impl Stored {
    /// Opens what the pipeline of this file has stored.
    pub fn open(file: &Path) -> Self {
        let (pipeline, _) = pawl_pipeline::load(file, &[]).expect("the test's pipeline is right");
        let transport = pawl_service::open_transport(&pipeline, true)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self { pipeline, transport }
    }

    /// All records of a topic, partition by partition, in order.
    pub fn rows(&self, topic: &str) -> Vec<Row> {
        let mut rows = Vec::new();
        for (partition, batch) in self.batches(topic) {
            let controls: Vec<u64> =
                batch.controls.iter().map(|(row, _)| u64::from(*row)).collect();
            let places = (0..batch.rows() as u64).filter(|row| !controls.contains(row));
            for (row, place) in places.enumerate() {
                let records = &batch.records;
                let headers = records.headers.iter().filter_map(|header| {
                    Some((header.name.clone(), header.column.get(row)?.to_vec()))
                });
                rows.push(Row {
                    partition,
                    offset: batch.base + place,
                    key: records.keys.get(row).map(<[u8]>::to_vec),
                    value: records.values.get(row).unwrap_or_default().to_vec(),
                    id: records.ids.get(row).map(<[u8]>::to_vec),
                    event_time: records.event_times[row],
                    headers: headers.collect(),
                });
            }
        }
        rows
    }

    /// Values of a topic as text, partition by partition, in order.
    pub fn texts(&self, topic: &str) -> Vec<String> {
        let rows = self.rows(topic).into_iter();
        rows.map(|row| String::from_utf8_lossy(&row.value).into_owned()).collect()
    }

    /// The sorted outputs in a topic. Two that are equal both count.
    pub fn outputs(&self, topic: &str) -> Vec<Output> {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let rows = self.rows(topic).into_iter();
        let mut outputs: Vec<Output> = rows
            .map(|row| {
                let (value, key) = (text(&row.value), row.key.as_deref().map(text));
                let (id, time) = (row.id.as_deref().map(text), row.event_time);
                format!("{value} key {key:?} id {id:?} at {time}")
            })
            .collect();
        outputs.sort();
        outputs
    }

    /// The sorted dead letters.
    pub fn letters(&self) -> Vec<Letter> {
        let mut letters: Vec<Letter> = self
            .rows(&self.pipeline.dead_letters.topic)
            .into_iter()
            .map(|row| {
                let text = |name: &str| {
                    let bytes = row.headers.get(name).map(Vec::as_slice).unwrap_or_default();
                    String::from_utf8_lossy(bytes).into_owned()
                };
                let origin = [text("pawl-topic"), text("pawl-partition"), text("pawl-offset")];
                Letter {
                    operator: format!("{}/{}", text("pawl-stage"), text("pawl-operator")),
                    kind: text("pawl-error-kind"),
                    disposition: text("pawl-disposition"),
                    origin: origin.join("/"),
                    id: text("pawl-id"),
                    payload: row.value.clone(),
                }
            })
            .collect();
        letters.sort();
        letters
    }

    /// Payload and kind of each dead letter, sorted.
    pub fn refused(&self) -> Vec<(String, String)> {
        let letters = self.letters().into_iter();
        let mut refused: Vec<_> = letters
            .map(|letter| (String::from_utf8_lossy(&letter.payload).into_owned(), letter.kind))
            .collect();
        refused.sort();
        refused
    }

    /// The durable counters of every task.
    pub fn counters(&self) -> BTreeMap<String, Counters> {
        let mut counters = BTreeMap::new();
        for stage in &self.pipeline.stages {
            for partition in 0..self.partitions(&stage.input) {
                let task = TaskId { stage: stage.name.clone(), partition };
                let commit = self.commit(&task).unwrap_or_default();
                counters.insert(task.to_string(), commit.counters);
            }
        }
        counters
    }

    /// What has become of records of a task (`stage/partition`) at the edge before an operator.
    pub fn edge(&self, task: &str, operator: usize) -> pawl_core::counters::EdgeCounters {
        self.counters()[task].edges.get(operator).copied().unwrap_or_default()
    }

    /// The last commit of a task.
    pub fn commit(&self, task: &TaskId) -> Option<Commit> {
        self.transport.recovery(task).expect("what is stored can be read").commit
    }

    /// All decisions that are kept of a task.
    pub fn decisions(&self, task: &TaskId) -> Vec<Decision> {
        self.transport.recovery(task).expect("what is stored can be read").decisions
    }

    fn partitions(&self, topic: &str) -> u32 {
        self.transport.partitions(topic).unwrap_or(0)
    }

    fn batches(&self, topic: &str) -> Vec<(u32, LogBatch)> {
        let max = ReadMax { records: 10_000, bytes: 8 << 20 };
        let mut found = Vec::new();
        for partition in 0..self.partitions(topic) {
            let (mut next, _) =
                self.transport.range(topic, partition).expect("a topic has a range");
            loop {
                let read = self.transport.read(topic, partition, next, max);
                let read = read.expect("what is kept can be read");
                let Some(last) = read.last() else { break };
                next = last.end();
                found.extend(read.into_iter().map(|batch| (partition, batch)));
            }
        }
        found
    }
}
