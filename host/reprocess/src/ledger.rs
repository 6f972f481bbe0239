//! The ledger: which dead letters were sent back. One row each in the topic `<pipeline>.replayed`,
//! written in the same commit as what was sent, so that neither is ever there without the other.
//!
//! A row's key is the dead letter's `pawl-id`; its value is JSON:
//!
//! ```text
//! {"run":"<32 hex digits>","time":"<RFC 3339>","stage":"observe","entry":"normalize",
//!  "partition":3,"offset":17}
//! ```
//!
//! `partition` and `offset` say where the dead letter lay, or its first copy. Rows at the beginning
//! are let go if no copy of their dead letters is kept any more.

use crate::error::Error;
use crate::letter::{Letter, Meta};
use pawl_core::identity::text_of_time;
use pawl_core::record::{NO_TIME, Offset, PRIORITY_DEFAULT, Record, Records, Timestamp};
use pawl_pipeline::Pipeline;
use pawl_transport::{ReadMax, Transport};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;

/// One read brings no more than this, but for its first batch.
const READ_MAX: ReadMax = ReadMax { records: 50_000, bytes: 8 << 20 };

/// What a row says.
#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    run: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    stage: Cow<'a, str>,
    #[serde(borrow)]
    entry: Cow<'a, str>,
    partition: u32,
    offset: Offset,
}

/// Which dead letters were sent back.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Whether a dead letter of this id was met among those that are kept.
    sent: HashMap<u128, bool>,
    /// How many of them by the run that was asked for.
    by_run: u64,
}

impl Ledger {
    /// Reads it; empty if there is none. What the run `run` sent is counted.
    pub fn read(
        transport: &dyn Transport,
        pipeline: &Pipeline,
        run: Option<&str>,
    ) -> Result<Self, Error> {
        let topic = pipeline.ledger_topic();
        let mut ledger = Self::default();
        let (mut from, end) = match transport.range(&topic, 0) {
            Ok(range) => range,
            Err(pawl_transport::Error::UnknownTopic { .. }) => return Ok(ledger),
            Err(error) => return Err(error.into()),
        };
        while from < end {
            let batches = match transport.read(&topic, 0, from, READ_MAX) {
                Ok(batches) => batches,
                Err(pawl_transport::Error::Trimmed { first, .. }) if first > from => {
                    from = first;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for batch in &batches {
                for row in 0..batch.records.len() {
                    let id = id_of(&batch.records, row).ok_or_else(|| Error::Damaged {
                        topic: topic.clone(),
                        offset: batch.base + row as u64,
                        what: "its key is no pawl-id".to_owned(),
                    })?;
                    ledger.sent.insert(id, false);
                    if run.is_some()
                        && entry_of(&batch.records, row).map(|e| e.run).as_deref() == run
                    {
                        ledger.by_run += 1;
                    }
                }
                from = batch.end();
            }
        }
        Ok(ledger)
    }

    /// Whether the dead letter of this id was sent back.
    pub fn has(&self, id: u128) -> bool {
        self.sent.contains_key(&id)
    }

    /// Takes note that a dead letter of this id is kept.
    pub fn met(&mut self, id: u128) {
        if let Some(met) = self.sent.get_mut(&id) {
            *met = true;
        }
    }

    /// Takes note that it is sent. False: it was before.
    pub fn add(&mut self, id: u128) -> bool {
        self.sent.insert(id, true).is_none()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// How many the run that was asked for has sent.
    pub fn by_run(&self) -> u64 {
        self.by_run
    }
}

/// Adds the row of a dead letter.
pub(crate) fn push(rows: &mut Records, letter: &Letter<'_>, run: &str, now_ms: Timestamp) {
    let entry = Entry {
        run: run.into(),
        time: text_of_time(now_ms).into(),
        stage: letter.text(Meta::Stage).into(),
        entry: letter.text(Meta::Entry).into(),
        partition: letter.partition,
        offset: letter.offset,
    };
    let value = serde_json::to_vec(&entry).expect("texts and numbers are JSON");
    rows.push(Record {
        key: letter.meta(Meta::Id),
        value: Some(&value),
        event_time: NO_TIME,
        priority: PRIORITY_DEFAULT,
        ..Record::default()
    });
}

/// Lets go of leading rows whose dead letters are no longer kept: they lay below the first offset
/// kept of their partition, and `ledger` met no copy of them in a whole scan.
pub(crate) fn trim(
    transport: &dyn Transport,
    pipeline: &Pipeline,
    first: &[(Offset, Offset)],
    ledger: &Ledger,
) -> Result<(), Error> {
    let topic = pipeline.ledger_topic();
    let (start, end) = transport.range(&topic, 0)?;
    let mut below = start;
    'all: while below < end {
        for batch in transport.read(&topic, 0, below, READ_MAX)? {
            let gone = |row| {
                let id = id_of(&batch.records, row);
                let is_met = |id| ledger.sent.get(&id) == Some(&true);
                !id.is_some_and(is_met) && is_gone(&batch.records, row, first)
            };
            if !(0..batch.records.len()).all(gone) {
                break 'all;
            }
            below = batch.end();
        }
    }
    while below > start && transport.trim(&topic, 0, below)?.more {}
    Ok(())
}

/// Whether the dead letter of a row lay below the first offset kept.
fn is_gone(records: &Records, row: usize, first: &[(Offset, Offset)]) -> bool {
    entry_of(records, row).is_some_and(|entry| {
        let kept = first.get(entry.partition as usize);
        kept.is_none_or(|(first, _)| entry.offset < *first)
    })
}

fn id_of(records: &Records, row: usize) -> Option<u128> {
    let text = std::str::from_utf8(records.keys.get(row)?).ok()?;
    u128::from_str_radix(text, 16).ok()
}

fn entry_of(records: &Records, row: usize) -> Option<Entry<'_>> {
    serde_json::from_slice(records.values.get(row)?).ok()
}
