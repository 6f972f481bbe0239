//! Records that become durable together: a few for each partition, so that a sync is paid for many
//! and the log's batches are of a good size. Never holds much, and never for long.

use super::plain;
use crate::record_json::Given;
use anyhow::{Context, Result};
use pawl_core::record::{LogBatch, Record, Records};
use pawl_pipeline::Pipeline;
use pawl_service::clock::{Clock, SystemClock};
use pawl_source::Placement;
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
    placement: Placement,
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
        let count = transport.partitions(topic)?;
        Ok(Self {
            transport,
            topic,
            clock: SystemClock::default(),
            placement: Placement::new(pipeline, topic, count),
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
        self.add(plain(value), line);
    }

    /// Adds a whole record; its own key comes before the one that the topic's setting names.
    pub fn add_given(&mut self, given: &Given, line: u64) {
        self.add(given.record(&given.headers()), line);
    }

    fn add(&mut self, record: Record<'_>, line: u64) {
        let named = match record.key {
            Some(_) => None,
            None => self.placement.key_of(&record),
        };
        let record = Record { key: record.key.or(named.as_deref()), ..record };
        let at = self.placement.partition_of(&record, line) as usize;
        let Some(records) = self.partitions.get_mut(at) else { return };
        let before = records.bytes();
        records.push(record);
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
