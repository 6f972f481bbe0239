//! What a task has made and not yet committed: rows for each topic partition, and the sum of the
//! hashes of everything it ever made. What lies below the last commit is muted: hashed, counted,
//! not published again.

use crate::commit::Append;
use crate::counters::Counters;
use crate::identity::{self, Id};
use crate::partition;
use crate::record::{Control, LogBatch, NO_TIME, PRIORITY_DEFAULT, Producer, Records};
use crate::spec::TopicSpec;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

/// One row to go out, by reference.
pub(crate) struct Row<'a> {
    pub records: &'a Records,
    pub row: usize,
    pub id: Id,
    pub topic: usize,
    /// Where it goes, if not by key or id.
    pub partition: Option<u32>,
}

/// Rows made by roots that are not committed yet.
pub(crate) struct Outbox {
    producer: Producer,
    topics: Vec<Topic>,
    bytes: usize,
    rows: usize,
}

struct Topic {
    name: String,
    seed: u64,
    partitions: Vec<LogBatch>,
    /// Counted here and carried into the counters by name at a seal, not per record.
    written: u64,
}

impl Outbox {
    pub fn new(producer: Producer, topics: &[TopicSpec]) -> Self {
        let topics = topics
            .iter()
            .map(|topic| Topic {
                name: topic.name.clone(),
                seed: xxh3_64_with_seed(topic.name.as_bytes(), 2),
                partitions: vec![LogBatch::default(); topic.partitions.max(1) as usize],
                written: 0,
            })
            .collect();
        Self { producer, topics, bytes: 0, rows: 0 }
    }

    /// Adds a row; returns its hash. A muted row is only hashed and counted.
    pub fn add(&mut self, row: &Row<'_>, muted: bool) -> u128 {
        let Some(topic) = self.topics.get_mut(row.topic) else { return 0 };
        topic.written += 1;
        let hex;
        let id = match row.records.ids.get(row.row) {
            Some(own) => own,
            None => {
                hex = identity::hex(row.id);
                &hex[..]
            }
        };
        let key = row.records.keys.get(row.row);
        let count = topic.partitions.len() as u32;
        let target = row.partition.map_or_else(|| partition::of(key, row.id, count), |p| p % count);
        let seed = topic.seed ^ u64::from(target).wrapping_mul(0x9e37_79b9);
        let hash = match row.partition {
            // Dead letters and late records carry clock times beside the payload.
            Some(_) => hash_of_side(seed, row, id),
            None => identity::row_hash(seed, row.records, row.row, Some(id)),
        };
        if !muted && let Some(batch) = topic.partitions.get_mut(target as usize) {
            self.rows += 1;
            self.bytes += push(&mut batch.records, row, key, id);
        }
        hash
    }

    /// Adds a control row to every partition of a topic; returns the sum of their hashes.
    pub fn add_control(&mut self, topic: usize, control: &Control, muted: bool) -> u128 {
        let Some(topic) = self.topics.get_mut(topic) else { return 0 };
        let mut sum = 0u128;
        let facts = [
            topic.seed,
            control.generation,
            control.number,
            control.watermark as u64,
            u64::from(control.active),
        ];
        for (partition, batch) in topic.partitions.iter_mut().enumerate() {
            let mut bytes = [0u8; 48];
            let words = facts.iter().copied().chain([partition as u64]);
            for (slot, word) in bytes.chunks_exact_mut(8).zip(words) {
                slot.copy_from_slice(&word.to_le_bytes());
            }
            sum = sum.wrapping_add(xxh3_128(&bytes));
            if !muted {
                let at = batch.rows() as u32;
                batch.controls.push((at, control.clone()));
                self.rows += 1;
                self.bytes += 64;
            }
        }
        sum
    }

    /// Bytes and rows that wait for a commit.
    pub fn waiting(&self) -> (usize, usize) {
        (self.bytes, self.rows)
    }

    /// Carries the rows counted since the last call into the durable counters.
    pub fn count(&mut self, counters: &mut Counters) {
        for topic in &mut self.topics {
            let written = std::mem::take(&mut topic.written);
            if written > 0 {
                match counters.records_out.get_mut(&topic.name) {
                    Some(count) => *count += written,
                    None => _ = counters.records_out.insert(topic.name.clone(), written),
                }
            }
        }
    }

    /// Moves everything out, in the order of topics and partitions.
    pub fn drain(&mut self) -> Vec<Append> {
        let mut appends = Vec::new();
        for topic in &mut self.topics {
            for (partition, batch) in topic.partitions.iter_mut().enumerate() {
                if batch.rows() == 0 {
                    continue;
                }
                // The next commit will be about as large: so that it need not grow step by step.
                let records = Records::with_room_of(&batch.records);
                let next = LogBatch { records, ..LogBatch::default() };
                let mut batch = std::mem::replace(batch, next);
                batch.producer = Some(self.producer.clone());
                batch.records.pad_headers();
                let partition = partition as u32;
                appends.push(Append { topic: topic.name.clone(), partition, batch });
            }
        }
        self.bytes = 0;
        self.rows = 0;
        appends
    }
}

/// Adds the rows of `later` behind those of `earlier`, partition by partition.
pub fn merge(earlier: &mut Vec<Append>, later: Vec<Append>) {
    for append in later {
        let same = earlier
            .iter_mut()
            .find(|other| other.topic == append.topic && other.partition == append.partition);
        let Some(same) = same else {
            earlier.push(append);
            continue;
        };
        let rows = same.batch.rows() as u32;
        let controls = append.batch.controls.into_iter();
        same.batch.controls.extend(controls.map(|(at, control)| (at + rows, control)));
        let Records { keys, values, ids, event_times, timestamps, priorities, headers } =
            append.batch.records;
        let into = &mut same.batch.records;
        let before = into.len();
        into.keys.extend_rows(&keys, 0, keys.len());
        into.values.extend_rows(&values, 0, values.len());
        into.ids.extend_rows(&ids, 0, ids.len());
        into.event_times.extend(event_times);
        into.timestamps.extend(timestamps);
        into.priorities.extend(priorities);
        for header in headers {
            let column = into.header_mut(&header.name, before);
            column.extend_rows(&header.column, 0, header.column.len());
        }
        into.pad_headers();
    }
}

/// What is compared of a dead letter or late record: its id and its payload.
fn hash_of_side(seed: u64, row: &Row<'_>, id: &[u8]) -> u128 {
    let value = row.records.values.get(row.row).map_or(0, identity::hash);
    let id = u128::from(xxh3_64_with_seed(id, seed));
    value.rotate_left(31).wrapping_add(id.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn push(out: &mut Records, row: &Row<'_>, key: Option<&[u8]>, id: &[u8]) -> usize {
    let at = out.len();
    let value = row.records.values.get(row.row);
    out.keys.push(key);
    out.values.push(value);
    out.ids.push(Some(id));
    out.event_times.push(row.records.event_times.get(row.row).copied().unwrap_or(NO_TIME));
    out.timestamps.push(0);
    out.priorities.push(row.records.priorities.get(row.row).copied().unwrap_or(PRIORITY_DEFAULT));
    let mut bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + id.len();
    for header in &row.records.headers {
        if let Some(value) = header.column.get(row.row) {
            bytes += value.len();
            let column = out.header_mut(&header.name, at);
            let missing = at.saturating_sub(column.len());
            column.push_nulls(missing);
            column.push(Some(value));
        }
    }
    bytes
}
