//! Topic partitions as the transport would hold them, and beside the one between the stages what
//! its reader's watermark must be at each position: the rule of control rows told a second time.

use super::random::Random;
use crate::column::ByteColumn;
use crate::record::{Control, Header, LogBatch, NO_TIME, Offset, Records, Timestamp};
use std::collections::BTreeMap;

/// One partition of a topic.
#[derive(Default)]
pub struct Log {
    /// Ascending, without gaps.
    pub batches: Vec<LogBatch>,
}

impl Log {
    /// The offset behind the last row.
    pub fn end(&self) -> Offset {
        self.batches.last().map_or(0, LogBatch::end)
    }

    /// Appends rows.
    pub fn append(&mut self, mut batch: LogBatch) {
        batch.base = self.end();
        self.batches.push(batch);
    }

    /// The batch that holds `position`.
    pub fn read(&self, position: Offset) -> Option<&LogBatch> {
        let at = self.batches.partition_point(|batch| batch.end() <= position);
        self.batches.get(at)
    }
}

/// The batch cut anywhere around `position`, as a transport might hand it over.
pub fn cut(batch: &LogBatch, position: Offset, random: &mut Random) -> LogBatch {
    let row = (position - batch.base) as usize;
    let from = random.below(row + 1);
    let to = row + 1 + random.below(batch.rows() - row);
    slice(batch, from, to)
}

/// The rows `from..to` of a batch.
pub fn slice(batch: &LogBatch, from: usize, to: usize) -> LogBatch {
    let below = |row: usize| batch.controls.partition_point(|(at, _)| (*at as usize) < row);
    let (low, high) = (below(from), below(to));
    let (start, end) = (from - low, to - high);
    let part = |column: &ByteColumn| {
        let mut part = ByteColumn::default();
        part.extend_rows(column, start, end);
        part
    };
    let all = &batch.records;
    let headers = all.headers.iter();
    let headers = headers.map(|h| Header { name: h.name.clone(), column: part(&h.column) });
    LogBatch {
        base: batch.base + from as u64,
        producer: batch.producer.clone(),
        records: Records {
            keys: part(&all.keys),
            values: part(&all.values),
            ids: part(&all.ids),
            event_times: all.event_times[start..end].to_vec(),
            timestamps: all.timestamps[start..end].to_vec(),
            priorities: all.priorities[start..end].to_vec(),
            headers: headers.collect(),
        },
        controls: batch.controls[low..high]
            .iter()
            .map(|(at, control)| (at - from as u32, control.clone()))
            .collect(),
    }
}

/// What a reader of the topic between the stages must believe, from all that stands in it.
#[derive(Default)]
pub struct Truth {
    generation: u64,
    last: BTreeMap<u32, Control>,
    members: Vec<u32>,
    watermark: Option<Timestamp>,
    /// The watermark before the row at each position.
    pub watermarks: Vec<Timestamp>,
}

impl Truth {
    /// Takes up rows that were appended.
    pub fn take(&mut self, batch: &LogBatch) {
        if self.watermarks.is_empty() {
            self.watermarks.push(NO_TIME);
        }
        let mut controls = batch.controls.iter().peekable();
        for row in 0..batch.rows() as u32 {
            if let Some((_, control)) = controls.next_if(|(at, _)| *at == row) {
                self.control(control);
            }
            self.watermarks.push(self.watermark.unwrap_or(NO_TIME));
        }
    }

    fn control(&mut self, control: &Control) {
        if control.generation > self.generation {
            self.generation = control.generation;
            self.members = control.producers.iter().map(|producer| producer.partition).collect();
        }
        let partition = control.producer.partition;
        if self.last.get(&partition).is_none_or(|last| last.number < control.number) {
            self.last.insert(partition, control.clone());
        }
        let mut least = None;
        for member in &self.members {
            match self.last.get(member) {
                Some(last) if last.generation == self.generation => {
                    if last.active && least.is_none_or(|least| last.watermark < least) {
                        least = Some(last.watermark);
                    }
                }
                _ => return,
            }
        }
        if let Some(least) = least {
            self.watermark = self.watermark.max(Some(least));
        }
    }
}
