//! Records that become durable together: a few for each partition, so that a sync is paid for many
//! and the log's batches are of a good size. Never holds much, and never for long.

use super::plain;
use crate::record_json::Given;
use anyhow::{Context, Result};
use pawl_core::identity::{self, IdSource};
use pawl_core::partition;
use pawl_core::record::{LogBatch, Record, Records};
use pawl_pipeline::{KeySource, Pipeline};
use pawl_service::clock::{Clock, SystemClock};
use pawl_transport::Transport;
use std::time::{Duration, Instant};

/// A group is full with so many records of one partition, or so many bytes in all.
const RECORDS_MAX: usize = 1000;
const BYTES_MAX: usize = 4 << 20;

/// And it waits no longer than this for more.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// The records of one topic on their way.
pub struct Group<'a> {
    transport: &'a dyn Transport,
    topic: &'a str,
    clock: SystemClock,
    key: Option<&'a KeySource>,
    id: IdSource,
    partitions: Vec<Records>,
    counts: Vec<u64>,
    bytes: usize,
    fullest: usize,
    since: Option<Instant>,
    durable_lines: u64,
    failed: bool,
}

impl<'a> Group<'a> {
    /// For a topic that is there.
    pub fn new(
        transport: &'a dyn Transport,
        pipeline: &'a Pipeline,
        topic: &'a str,
    ) -> Result<Self> {
        let declared = pipeline.topics.get(topic);
        let count = transport.partitions(topic)?;
        Ok(Self {
            transport,
            topic,
            clock: SystemClock::default(),
            key: declared.and_then(|declared| declared.key.as_ref()),
            id: reader_id(pipeline, topic),
            partitions: (0..count).map(|_| Records::default()).collect(),
            counts: vec![0; count as usize],
            bytes: 0,
            fullest: 0,
            since: None,
            durable_lines: 0,
            failed: false,
        })
    }

    /// Adds a line as a value.
    pub fn add_value(&mut self, value: &[u8], line: u64) {
        let key = match self.key {
            Some(KeySource::Field(pointer)) => key_in(value, pointer),
            Some(KeySource::Header(_)) | None => None,
        };
        let record = Record { key: key.as_deref(), ..plain(value) };
        self.add(key.as_deref(), line, Some(value), |records| records.push(record));
    }

    /// Adds a whole record; its own key comes before the one that the topic's setting names.
    pub fn add_given(&mut self, given: &Given, line: u64) {
        let set = || match self.key? {
            KeySource::Field(pointer) => key_in(given.value.as_deref()?, pointer),
            KeySource::Header(name) => given.header(name).map(<[u8]>::to_vec),
        };
        let key = given.key.clone().or_else(set);
        self.add(key.as_deref(), line, given.value.as_deref(), |records| {
            given.push_to(records, key.as_deref());
        });
    }

    /// Puts a record where its key sends it, or else its id as the reading stage will see it, so
    /// that copies meet in one dedup window. Without either it goes by value and line: equal lines
    /// spread, and the same input always lies the same way.
    fn add(
        &mut self,
        key: Option<&[u8]>,
        line: u64,
        value: Option<&[u8]>,
        push: impl Fn(&mut Records),
    ) {
        let id = match (key, self.partitions.len()) {
            // The id does not matter.
            (Some(_), _) | (None, 1) => 0,
            (None, _) => {
                let mut alone = Records::default();
                push(&mut alone);
                let by_line = || {
                    let value = identity::hash(value.unwrap_or_default());
                    value.wrapping_add(u128::from(line))
                };
                self.id.read(&alone, 0).unwrap_or_else(by_line)
            }
        };
        let at = partition::of(key, id, self.partitions.len() as u32) as usize;
        let Some(records) = self.partitions.get_mut(at) else { return };
        let before = records.bytes();
        push(records);
        self.bytes += records.bytes() - before;
        self.fullest = self.fullest.max(records.len());
        self.since.get_or_insert_with(Instant::now);
    }

    /// When what is here must be made durable; none if nothing is.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + WAIT_MAX)
    }

    /// Whether it is time to make it durable.
    pub fn is_full(&self) -> bool {
        self.fullest >= RECORDS_MAX || self.bytes >= BYTES_MAX
    }

    /// Makes all that is here durable, which is everything up to line `lines`. After an error a
    /// part of it is, and nothing may be flushed any more.
    pub fn flush(&mut self, lines: u64) -> Result<()> {
        self.since = None;
        self.failed = true;
        for (at, (records, count)) in self.partitions.iter_mut().zip(&mut self.counts).enumerate() {
            if records.is_empty() {
                continue;
            }
            let records = std::mem::take(records);
            let added = records.len() as u64;
            let batch = LogBatch { records, ..LogBatch::default() };
            let now_ms = self.clock.now_ms();
            self.transport
                .produce(self.topic, at as u32, batch, now_ms)
                .with_context(|| format!("could not produce to {}/{at}", self.topic))?;
            *count += added;
        }
        (self.bytes, self.fullest) = (0, 0);
        self.durable_lines = lines;
        self.failed = false;
        Ok(())
    }

    /// Whether a flush has failed.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// How many lines from the first on are surely durable.
    pub fn durable_lines(&self) -> u64 {
        self.durable_lines
    }

    /// Durable records of each partition.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }
}

/// The key that a JSON value names: the bytes of a text, other values as JSON.
fn key_in(value: &[u8], pointer: &str) -> Option<Vec<u8>> {
    let json: serde_json::Value = serde_json::from_slice(value).ok()?;
    match json.pointer(pointer)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone().into_bytes()),
        other => Some(other.to_string().into_bytes()),
    }
}

/// Where the first edge that reads the topic takes ids from.
fn reader_id(pipeline: &Pipeline, topic: &str) -> IdSource {
    use pawl_pipeline::IdSource as Declared;
    let reader = pipeline.readers(topic).into_iter().find_map(|stage| stage.operators.first());
    match reader.map(|operator| &operator.edge.id) {
        Some(Declared::Content) => IdSource::Content,
        Some(Declared::ContentJson) => IdSource::ContentJson,
        Some(Declared::Header(name)) => IdSource::Header(name.clone()),
        Some(Declared::Field(pointer)) => IdSource::Field(pointer.clone()),
        // A record without key and id of its own has none; one of its position is not known yet.
        Some(Declared::Key | Declared::Own | Declared::Position) | None => IdSource::Own,
    }
}
