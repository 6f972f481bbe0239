//! Sending dead letters back as the tool does: the same row, marked as sent once more.

use super::log::{Log, slice};
use crate::column::ByteColumn;
use crate::record::{Header, LogBatch};
use std::collections::BTreeSet;

/// How often a dead letter is sent back at most.
const ATTEMPTS_MAX: u64 = 2;

/// A row of a batch.
pub type Place<'a> = (&'a LogBatch, usize);

/// Dead letters that were not sent back, and not too often.
pub fn open<'a>(letters: &'a Log, sent: &BTreeSet<Vec<u8>>) -> Vec<Place<'a>> {
    let rows = letters.batches.iter().flat_map(|batch| (0..batch.rows()).map(move |r| (batch, r)));
    rows.filter(|place| attempts(*place) < ATTEMPTS_MAX && !sent.contains(id(*place))).collect()
}

/// How often a row was sent back.
pub fn attempts((batch, row): Place<'_>) -> u64 {
    let column = batch.records.header("pawl-replay-count");
    let text = column.and_then(|column| column.get(row)).unwrap_or(b"0");
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

/// The dead letter as it is sent back, and its id.
pub fn again(place: Place<'_>) -> (Vec<u8>, LogBatch) {
    let (batch, row) = place;
    let mut again = slice(batch, row, row + 1);
    let mut count = ByteColumn::default();
    count.push(Some((attempts(place) + 1).to_string().as_bytes()));
    again.records.headers.retain(|header| header.name != "pawl-replay-count");
    again.records.headers.push(Header { name: "pawl-replay-count".into(), column: count });
    (again.producer, again.controls) = (None, Vec::new());
    (id(place).to_vec(), again)
}

fn id((batch, row): Place<'_>) -> &[u8] {
    batch.records.ids.get(row).unwrap()
}
