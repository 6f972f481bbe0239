//! Rows of a partition in order, for commands that look: short reads, and what is no longer kept
//! is passed over with a word about it.

use crate::out::note;
use anyhow::Result;
use pawl_core::record::{Control, LogBatch, Offset, Records};
use pawl_transport::{Error, ReadMax, Transport};

/// One read brings no more than this, but for its first batch.
const READ_MAX: ReadMax = ReadMax { records: 1000, bytes: 1 << 20 };

/// Where to read on.
pub struct Cursor<'a> {
    transport: &'a dyn Transport,
    topic: &'a str,
    partition: u32,
    next: Offset,
}

/// One row.
pub enum Row<'a> {
    /// A record: the columns and its row there.
    Data(&'a Records, usize),
    /// A control row.
    Control(&'a Control),
}

impl<'a> Cursor<'a> {
    /// At the first row kept; says so if there were rows before.
    pub fn at_start(transport: &'a dyn Transport, topic: &'a str, partition: u32) -> Result<Self> {
        let (first, _) = transport.range(topic, partition)?;
        let cursor = Self { transport, topic, partition, next: 0 };
        Ok(cursor.advanced_to(first))
    }

    /// At the end.
    pub fn at_end(transport: &'a dyn Transport, topic: &'a str, partition: u32) -> Result<Self> {
        let (_, next) = transport.range(topic, partition)?;
        Ok(Self { transport, topic, partition, next })
    }

    /// At a row.
    pub fn at(transport: &'a dyn Transport, topic: &'a str, partition: u32, next: Offset) -> Self {
        Self { transport, topic, partition, next }
    }

    /// The partition.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The offset of the next row.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// Some batches from here on, the first one perhaps with rows from before: `rows` leaves them
    /// out. None at the end.
    pub fn read(&mut self) -> Result<(Offset, Vec<LogBatch>)> {
        loop {
            let from = self.next;
            match self.transport.read(self.topic, self.partition, from, READ_MAX) {
                Ok(batches) => {
                    self.next = batches.last().map_or(from, LogBatch::end);
                    return Ok((from, batches));
                }
                Err(Error::Trimmed { first, .. }) if first > from => {
                    let Self { transport, topic, partition, next } = *self;
                    *self = Self { transport, topic, partition, next }.advanced_to(first);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn advanced_to(mut self, first: Offset) -> Self {
        if first > self.next {
            let (topic, partition, next) = (self.topic, self.partition, self.next);
            note(&format!("{topic}/{partition}: rows {next} to {} are no longer kept", first - 1));
        }
        self.next = first;
        self
    }
}

/// The rows of a batch from `from` on, with their offsets.
pub fn rows(batch: &LogBatch, from: Offset) -> impl Iterator<Item = (Offset, Row<'_>)> {
    let mut controls = batch.controls.iter().peekable();
    let mut data_row = 0;
    let all = (0..batch.rows()).map(move |place| {
        let row = match controls.next_if(|(at, _)| *at as usize == place) {
            Some((_, control)) => Row::Control(control),
            None => {
                data_row += 1;
                Row::Data(&batch.records, data_row - 1)
            }
        };
        (batch.base + place as u64, row)
    });
    all.filter(move |(offset, _)| *offset >= from)
}
