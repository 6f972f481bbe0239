//! The dead letters in order: partition by partition, each from the first kept to the end as it
//! was when the scan was opened, so that what fails while they are sent back is not met again.
//! One thread reads ahead while another looks.

use crate::error::Error;
use crate::letter::{Columns, Letter};
use pawl_core::record::{LogBatch, Offset};
use pawl_transport::{ReadMax, Transport};
use std::ops::ControlFlow;
use std::sync::mpsc::{SyncSender, sync_channel};

/// One read brings no more than this, but for its first batch.
const READ_MAX: ReadMax = ReadMax { records: 20_000, bytes: 8 << 20 };

/// Reads that lie ready at most.
const AHEAD_MAX: usize = 2;

/// A stretch of a topic to be read.
pub struct Scan<'a> {
    transport: &'a dyn Transport,
    topic: &'a str,
    /// For each partition the first offset and the end.
    ranges: Vec<(Offset, Offset)>,
}

/// Some batches of a partition; rows below `from` do not count.
struct Piece {
    partition: u32,
    from: Offset,
    batches: Vec<LogBatch>,
}

impl<'a> Scan<'a> {
    /// All that lies in the topic now. None if there is no such topic yet.
    pub fn open(transport: &'a dyn Transport, topic: &'a str) -> Result<Option<Self>, Error> {
        let partitions = match transport.partitions(topic) {
            Ok(partitions) => partitions,
            Err(pawl_transport::Error::UnknownTopic { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let ranges: Result<Vec<_>, _> =
            (0..partitions).map(|partition| transport.range(topic, partition)).collect();
        Ok(Some(Self { transport, topic, ranges: ranges? }))
    }

    /// For each partition the first offset and the end.
    pub fn ranges(&self) -> &[(Offset, Offset)] {
        &self.ranges
    }

    /// Rows in the stretch.
    pub fn rows(&self) -> u64 {
        self.ranges.iter().map(|(first, end)| end - first).sum()
    }

    /// The same stretch without what lies below these offsets, one for each partition.
    pub fn from(mut self, offsets: &[Offset]) -> Self {
        for ((first, end), from) in self.ranges.iter_mut().zip(offsets) {
            *first = (*first).max(*from).min(*end);
        }
        self
    }

    /// One row of the stretch and nothing else. None if it is not kept.
    pub fn only(mut self, partition: u32, offset: Offset) -> Option<Self> {
        let (first, end) = *self.ranges.get(partition as usize)?;
        if !(first..end).contains(&offset) {
            return None;
        }
        for (number, range) in (0..).zip(&mut self.ranges) {
            *range = if number == partition { (offset, offset + 1) } else { (0, 0) };
        }
        Some(self)
    }

    /// Hands out the dead letters in order until `each` breaks.
    pub fn each(
        &self,
        each: impl FnMut(&Letter<'_>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        self.each_or(each)
    }

    /// As `each`, for those who fail in other ways.
    pub fn each_or<E: From<Error>>(
        &self,
        mut each: impl FnMut(&Letter<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(AHEAD_MAX);
            scope.spawn(move || {
                let read = self.read(&sender);
                // Nobody listens any more where `each` broke.
                drop(sender.send(read.map(|()| None)));
            });
            loop {
                let Some(piece) = receiver.recv().unwrap_or(Err(Error::Reader))? else {
                    return Ok(());
                };
                if self.look(&piece, &mut each)?.is_break() {
                    return Ok(());
                }
            }
        })
    }

    fn look<E>(
        &self,
        piece: &Piece,
        each: &mut impl FnMut(&Letter<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        let end = self.ranges.get(piece.partition as usize).map_or(0, |(_, end)| *end);
        for batch in &piece.batches {
            let columns = Columns::of(&batch.records);
            for row in 0..batch.records.len() {
                let offset = offset_of(batch, row);
                if offset < piece.from || offset >= end {
                    continue;
                }
                let letter = Letter { partition: piece.partition, offset, row, columns: &columns };
                if each(&letter)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn read(&self, sender: &SyncSender<Result<Option<Piece>, Error>>) -> Result<(), Error> {
        for (partition, (first, end)) in (0..).zip(&self.ranges) {
            let mut from = *first;
            while from < *end {
                let batches = match self.transport.read(self.topic, partition, from, READ_MAX) {
                    Ok(batches) => batches,
                    // The oldest went while we read.
                    Err(pawl_transport::Error::Trimmed { first, .. }) if first > from => {
                        from = first;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                let Some(next) = batches.last().map(LogBatch::end) else { break };
                if sender.send(Ok(Some(Piece { partition, from, batches }))).is_err() {
                    return Ok(());
                }
                from = next;
            }
        }
        Ok(())
    }
}

/// The offset of a data row: control rows lie between.
fn offset_of(batch: &LogBatch, row: usize) -> Offset {
    let mut place = row;
    for (control, _) in &batch.controls {
        if *control as usize > place {
            break;
        }
        place += 1;
    }
    batch.base + place as u64
}
