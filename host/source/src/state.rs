//! What a source must know after a crash: rows of an internal topic, `<pipeline>.source.<name>`,
//! one partition. Rows are written in the same commit as the records that they speak of; those
//! that later ones replace are trimmed. Never read by anybody else.

use crate::error::Error;
use crate::host::Host;
use pawl_core::commit::Append;
use pawl_core::record::{LogBatch, NO_TIME, Offset, PRIORITY_DEFAULT, Record, Records};
use pawl_transport::ReadMax;

/// How much is read at once.
const READ_MAX: ReadMax = ReadMax { records: 10_000, bytes: 4 << 20 };

/// A source's own rows.
pub(crate) struct State {
    topic: String,
    host: Host,
    /// The first offset kept, and the one behind the last row given out.
    first: Offset,
    end: Offset,
}

impl State {
    /// Opens the rows of a source; made if they are not there. Only whoever claimed the source's
    /// task may do so.
    pub fn open(source: &str, host: Host) -> Result<Self, Error> {
        let topic = format!("{}.source.{source}", host.pipeline.name);
        host.transport.create_topic(&topic, 1)?;
        let (first, end) = host.transport.range(&topic, 0)?;
        Ok(Self { topic, host, first, end })
    }

    /// Rows kept.
    pub fn rows(&self) -> u64 {
        self.end - self.first
    }

    /// Where the next row will lie.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Shows every row: key, and value unless the row takes an earlier one back.
    pub fn for_each(
        &self,
        mut take: impl FnMut(&[u8], Option<&[u8]>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut from = self.first;
        while from < self.end {
            let batches = self.host.transport.read(&self.topic, 0, from, READ_MAX)?;
            for batch in &batches {
                for row in 0..batch.records.len() {
                    let key = batch.records.keys.get(row).unwrap_or_default();
                    take(key, batch.records.values.get(row))?;
                }
            }
            match batches.last() {
                Some(last) => from = last.end(),
                None => break,
            }
        }
        Ok(())
    }

    /// Rows for the next commit; none if there are none.
    pub fn append<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        rows: impl IntoIterator<Item = (K, Option<V>)>,
    ) -> Option<Append> {
        let mut records = Records::default();
        for (key, value) in rows {
            records.push(Record {
                key: Some(key.as_ref()),
                value: value.as_ref().map(AsRef::as_ref),
                event_time: NO_TIME,
                priority: PRIORITY_DEFAULT,
                ..Record::default()
            });
        }
        if records.is_empty() {
            return None;
        }
        self.end += records.len() as u64;
        let batch = LogBatch { records, ..LogBatch::default() };
        Some(Append { topic: self.topic.clone(), partition: 0, batch })
    }

    /// Forgets rows below `below`, but for those that lie in one batch with later ones.
    pub fn trim(&mut self, below: Offset) -> Result<(), Error> {
        loop {
            let trimmed = self.host.transport.trim(&self.topic, 0, below)?;
            self.first = trimmed.first;
            if !trimmed.more {
                return Ok(());
            }
        }
    }
}
