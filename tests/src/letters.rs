//! Dead letters made by hand, in the form that the host writes: for tests that need many of them,
//! of certain kinds and times, and no pipeline that makes them.

use pawl_core::identity::{hash, hex_text, text_of_time};
use pawl_core::record::{LogBatch, NO_TIME, PRIORITY_DEFAULT, Record, Records, Timestamp};
use pawl_transport::Transport;

/// A digest as components have.
const COMPONENT: &str = "d884a1bfb25a5f7acfb89095c124c64ad54fbcf5d0cff23b6a396f6daac027d1";

/// One dead letter. What is not said here is as the host writes it for a refused record.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Different drafts of one number are the same dead letter.
    pub number: u64,
    /// `pawl-stage`.
    pub stage: String,
    /// `pawl-operator` and `pawl-entry`; no entry where it is empty.
    pub operator: String,
    /// `pawl-operator-version`.
    pub operator_version: String,
    /// `pawl-component`.
    pub component: String,
    /// `pawl-schema-version`.
    pub schema_version: String,
    /// `pawl-class`.
    pub class: String,
    /// `pawl-error-kind`.
    pub kind: String,
    /// `pawl-disposition`.
    pub disposition: String,
    /// `pawl-timestamp`.
    pub failed_ms: Timestamp,
    /// `pawl-event-time`, or `NO_TIME`.
    pub event_time: Timestamp,
    /// `pawl-topic`, `pawl-partition` and `pawl-offset`.
    pub origin: (String, u32, u64),
    /// `pawl-replay-count`.
    pub replays: u32,
    /// Headers of the record's own, ascending.
    pub headers: Vec<(String, String)>,
    /// The refused operator's input.
    pub payload: String,
}

impl Draft {
    /// A refused record of partition `number % 3` of topic `in`, stage `pass`, operator `pass`.
    pub fn new(number: u64) -> Self {
        Self {
            number,
            stage: "pass".to_owned(),
            operator: "pass".to_owned(),
            operator_version: "0.1.0".to_owned(),
            component: COMPONENT.to_owned(),
            schema_version: "1".to_owned(),
            class: "permanent".to_owned(),
            kind: "bad-json".to_owned(),
            disposition: "rejected".to_owned(),
            failed_ms: 1_795_000_000_000 + number as i64,
            event_time: NO_TIME,
            origin: ("in".to_owned(), (number % 3) as u32, number),
            replays: 0,
            headers: Vec::new(),
            payload: format!("{{\"n\":{number}}}"),
        }
    }

    /// Its `pawl-id`.
    pub fn id(&self) -> String {
        hex_text(hash(format!("{} {}", self.number, self.replays).as_bytes()))
    }

    /// Adds it as a row.
    pub fn push(&self, records: &mut Records) {
        let id = self.id();
        let text = |time| if time == NO_TIME { String::new() } else { text_of_time(time) };
        let (failed, event) = (text(self.failed_ms), text(self.event_time));
        let numbers = [u64::from(self.origin.1), self.origin.2, u64::from(self.replays)];
        let numbers = numbers.map(|number| number.to_string());
        let mut headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let metadata = [
            ("pawl-dlq", "1"),
            ("pawl-id", &id),
            ("pawl-timestamp", &failed),
            ("pawl-first-timestamp", &failed),
            ("pawl-pipeline", "t"),
            ("pawl-stage", &self.stage),
            ("pawl-operator", &self.operator),
            ("pawl-entry", &self.operator),
            ("pawl-operator-version", &self.operator_version),
            ("pawl-component", &self.component),
            ("pawl-abi", "pawl:operator@0.1.0"),
            ("pawl-class", &self.class),
            ("pawl-disposition", &self.disposition),
            ("pawl-error-kind", &self.kind),
            ("pawl-error-message", "expected value at line 1 column 1"),
            ("pawl-retry-count", "0"),
            ("pawl-replay-count", &numbers[2]),
            ("pawl-topic", &self.origin.0),
            ("pawl-partition", &numbers[0]),
            ("pawl-offset", &numbers[1]),
            ("pawl-record-timestamp", &failed),
            ("pawl-event-time", &event),
            ("pawl-record-id", &id),
            ("pawl-item-id", &id),
            ("pawl-schema-version", &self.schema_version),
            ("pawl-epoch", "1"),
        ];
        let metadata = metadata.iter().filter(|(_, value)| !value.is_empty());
        headers.extend(metadata.map(|(name, value)| (*name, value.as_bytes())));
        records.push(Record {
            key: Some(format!("k{}", self.number % 7).as_bytes()),
            value: Some(self.payload.as_bytes()),
            id: Some(id.as_bytes()),
            event_time: self.event_time,
            timestamp: 0,
            priority: PRIORITY_DEFAULT,
            headers: &headers,
        });
    }
}

/// Appends drafts to the topic, each to the partition of its origin, as many a batch as given.
pub fn write(transport: &dyn Transport, topic: &str, drafts: &[Draft], batch: usize) {
    let partitions = transport.partitions(topic).expect("the topic was made");
    let append = |records: Records, partition: u32, now: Timestamp| {
        let batch = LogBatch { records, ..LogBatch::default() };
        transport.produce(topic, partition, batch, now).expect("there is room");
    };
    for partition in 0..partitions {
        let mut records = Records::default();
        let mut now = 0;
        for draft in drafts.iter().filter(|draft| draft.origin.1 % partitions == partition) {
            draft.push(&mut records);
            now = draft.failed_ms;
            if records.len() >= batch {
                append(std::mem::take(&mut records), partition, now);
            }
        }
        if !records.is_empty() {
            append(records, partition, now);
        }
    }
}
