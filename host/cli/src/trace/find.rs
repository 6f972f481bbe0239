//! Finds the record that is asked for.

use crate::rows::{Cursor, Row, rows};
use anyhow::Result;
use pawl_core::identity::text_of_time;
use pawl_core::record::{LogBatch, NO_TIME, Offset, Records};
use pawl_pipeline::Pipeline;
use pawl_transport::{Embedded, Transport};
use serde::Serialize;

/// The header in which operators say what a record rests on.
const LINEAGE: &str = "lineage";

/// A record and where it lies.
#[derive(Serialize)]
pub struct Found {
    /// Its id as it goes out, else its key.
    pub id: String,
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: Offset,
    /// The three as text.
    pub place: String,
    /// RFC 3339.
    pub event_time: Option<String>,
    /// The task that wrote it; none for a record from outside.
    pub written_by: Option<String>,
    /// Its value, as text.
    pub value: String,
    #[serde(skip)]
    pub lineage: Option<Vec<u8>>,
    /// The stage that refused it, if it is a dead letter.
    pub refused_by: Option<String>,
}

/// The first record with this id or key: the most downstream topic first, dead letters last.
pub fn find(pipeline: &Pipeline, transport: &Embedded, wanted: &str) -> Result<Option<Found>> {
    let mut topics: Vec<&str> = Vec::new();
    for stage in pipeline.upstream_first().into_iter().rev() {
        topics.extend(stage.writes());
    }
    topics.extend(pipeline.external_topics());
    topics.push(&pipeline.dead_letters.topic);
    let there: Vec<String> = transport.topics()?.into_iter().map(|topic| topic.name).collect();
    for topic in topics.into_iter().filter(|topic| there.iter().any(|name| name == topic)) {
        for partition in 0..transport.partitions(topic)? {
            let (first, _) = transport.range(topic, partition)?;
            let mut cursor = Cursor::at(transport, topic, partition, first);
            if let Some(found) = in_partition(&mut cursor, topic, wanted)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

fn in_partition(cursor: &mut Cursor<'_>, topic: &str, wanted: &str) -> Result<Option<Found>> {
    loop {
        let (from, batches) = cursor.read()?;
        if batches.is_empty() {
            return Ok(None);
        }
        for batch in &batches {
            for (offset, row) in rows(batch, from) {
                let Row::Data(records, at) = row else { continue };
                if is_it(records, at, wanted) {
                    let place = (topic, cursor.partition(), offset);
                    return Ok(Some(found(batch, records, at, place)));
                }
            }
        }
    }
}

fn is_it(records: &Records, at: usize, wanted: &str) -> bool {
    let header = |name: &str| records.header(name).and_then(|column| column.get(at));
    let names = [records.ids.get(at), records.keys.get(at), header("pawl-record-id")];
    names.contains(&Some(wanted.as_bytes()))
}

fn found(batch: &LogBatch, records: &Records, at: usize, place: (&str, u32, Offset)) -> Found {
    let (topic, partition, offset) = place;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let header = |name: &str| records.header(name).and_then(|column| column.get(at));
    let id = records.ids.get(at).or(records.keys.get(at));
    let time = records.event_times.get(at).copied().filter(|time| *time != NO_TIME);
    let producer = batch.producer.as_ref();
    Found {
        id: text(id.unwrap_or_default()),
        topic: topic.to_owned(),
        partition,
        offset,
        place: format!("{topic}/{partition}/{offset}"),
        event_time: time.map(text_of_time),
        written_by: producer.map(|task| format!("{}/{}", task.stage, task.partition)),
        value: text(records.values.get(at).unwrap_or_default()),
        lineage: header(LINEAGE).map(<[u8]>::to_vec),
        refused_by: header("pawl-stage").map(text),
    }
}
