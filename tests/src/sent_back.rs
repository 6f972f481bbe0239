//! Sending dead letters back by hand, as `pawl dlq replay` does it, to look at the receiving side
//! alone.

use crate::stored::{Row, Stored};
use pawl_core::record::{LogBatch, PRIORITY_DEFAULT, Record, Records};
use pawl_transport::Transport;
use std::path::Path;

/// When it is sent back: later than anything that tests make.
const NOW_MS: i64 = 4_000_000_000_000;

/// Appends each dead letter that `which` takes to the replay topic of its stage, counted once more.
pub(crate) fn send(file: &Path, which: impl Fn(&Row) -> bool) -> usize {
    let (pipeline, _) = pawl_pipeline::load(file, &[]).expect("the test's pipeline is right");
    let letters = Stored::open(file).rows(&pipeline.dead_letters.topic);
    let transport = pawl_service::open_transport(&pipeline, false).expect("it can be written");
    let mut sent = 0;
    for row in letters.iter().filter(|row| which(row)) {
        let text = |name: &str| String::from_utf8_lossy(&row.headers[name]).into_owned();
        let count: u64 = text("pawl-replay-count").parse().expect("a number");
        let count = (count + 1).to_string();
        let headers = row.headers.iter().map(|(name, value)| match name.as_str() {
            "pawl-replay-count" => (name.as_str(), count.as_bytes()),
            _ => (name.as_str(), value.as_slice()),
        });
        let headers: Vec<(&str, &[u8])> = headers.collect();
        let mut records = Records::default();
        records.push(Record {
            key: row.key.as_deref(),
            value: Some(&row.value),
            id: row.id.as_deref(),
            event_time: row.event_time,
            timestamp: 0,
            priority: PRIORITY_DEFAULT,
            headers: &headers,
        });
        let topic = format!("{}.{}.replay", pipeline.name, text("pawl-stage"));
        let partition = text("pawl-partition").parse().expect("a number");
        let batch = LogBatch { records, ..LogBatch::default() };
        transport.produce(&topic, partition, batch, NOW_MS).expect("it can be appended");
        sent += 1;
    }
    sent
}
