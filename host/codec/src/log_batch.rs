//! The stored form of a batch of rows: arrays as they lie in memory, so that writing and reading
//! are copies in bulk. Decoding never believes a count before the bytes behind it are there.
//!
//! Payload of version 1, all numbers little-endian, in an envelope:
//!
//! ```text
//! size      what
//! 4         length of the small part, u32
//!           small part, by postcard: base offset, number of data rows (u32), producer,
//!           names of the headers, control rows with their places
//! rows * 8  event times, i64
//! rows * 8  timestamps, i64
//! rows      priorities, u8
//!           column of the keys, of the values, of the ids
//!           one column per header, in the order of their names above
//! ```
//!
//! A column begins with a byte that says which of two forms it has:
//!
//! ```text
//! 0  all rows are absent; nothing follows (not for headers: few bytes would claim much memory)
//! 1  4          bytes of data, u32
//!    4          number of absent rows, u32
//!    rows * 4   end of each row in the data, u32
//!    absent * 4 absent rows, ascending, u32
//!               data
//! ```
//!
//! Event times come first: they prove the number of rows before a column of form 0 relies on it.

use crate::envelope::{self, Format};
use crate::{Error, sealed};
use pawl_core::column::ByteColumn;
use pawl_core::record::{Control, Header, LogBatch, Offset, Producer, Records};
use serde::{Deserialize, Serialize};

/// Version 1: as described above.
pub const FORMAT: Format = Format { name: "log batch", magic: *b"PAWLLOGB", version: 1 };

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// What is neither an array nor large.
#[derive(Serialize)]
struct SmallRef<'a> {
    base: Offset,
    rows: u32,
    producer: &'a Option<Producer>,
    headers: Vec<&'a str>,
    controls: &'a [(u32, Control)],
}

#[derive(Deserialize)]
struct Small {
    base: Offset,
    rows: u32,
    producer: Option<Producer>,
    headers: Vec<String>,
    controls: Vec<(u32, Control)>,
}

/// The batch as bytes. A batch that does not pass its own `check` is refused: it could never be
/// read again.
pub fn encode(batch: &LogBatch) -> Result<Vec<u8>, Error> {
    check(batch)?;
    let records = &batch.records;
    let small = SmallRef {
        base: batch.base,
        rows: u32::try_from(records.len()).map_err(|_| malformed("too many rows"))?,
        producer: &batch.producer,
        headers: records.headers.iter().map(|header| header.name.as_str()).collect(),
        controls: &batch.controls,
    };
    let small = postcard::to_stdvec(&small).map_err(|error| malformed(error.to_string()))?;
    let small_bytes = u32::try_from(small.len()).map_err(|_| malformed("too many control rows"))?;

    let mut out = envelope::begin(bytes_about(records, small.len()));
    out.extend_from_slice(&small_bytes.to_le_bytes());
    out.extend_from_slice(&small);
    put_times(&mut out, &records.event_times);
    put_times(&mut out, &records.timestamps);
    out.extend_from_slice(&records.priorities);
    for column in [&records.keys, &records.values, &records.ids] {
        if column.nulls.len() == column.len() {
            out.push(ABSENT);
        } else {
            put_column(&mut out, column);
        }
    }
    for header in &records.headers {
        put_column(&mut out, &header.column);
    }
    Ok(envelope::finish(&FORMAT, out))
}

/// The batch out of bytes; it has passed `LogBatch::check`.
pub fn decode(bytes: &[u8]) -> Result<LogBatch, Error> {
    let opened = envelope::open(&FORMAT, bytes)?;
    let mut reader = Reader { bytes: opened.payload };
    let small_bytes = reader.count()?;
    let small: Small = sealed::from_payload(&FORMAT, reader.take(small_bytes, 1)?)?;
    let rows = small.rows as usize;
    let mut records = Records {
        event_times: reader.times(rows)?,
        timestamps: reader.times(rows)?,
        priorities: reader.take(rows, 1)?.to_vec(),
        keys: reader.column(rows, true)?,
        values: reader.column(rows, true)?,
        ids: reader.column(rows, true)?,
        headers: Vec::new(),
    };
    for name in small.headers {
        records.headers.push(Header { name, column: reader.column(rows, false)? });
    }
    if !reader.bytes.is_empty() {
        return Err(malformed(format!("{} bytes too many", reader.bytes.len())));
    }
    let batch =
        LogBatch { base: small.base, producer: small.producer, records, controls: small.controls };
    check(&batch)?;
    Ok(batch)
}

/// `LogBatch::check`, and that its end is an offset too.
fn check(batch: &LogBatch) -> Result<(), Error> {
    batch.check().map_err(malformed)?;
    match batch.base.checked_add(batch.rows() as u64) {
        Some(_) => Ok(()),
        None => Err(malformed(format!("{} rows from offset {}", batch.rows(), batch.base))),
    }
}

/// Enough room that the buffer does not grow while it is filled.
fn bytes_about(records: &Records, small: usize) -> usize {
    let columns = [&records.keys, &records.values, &records.ids].into_iter();
    let columns = columns.chain(records.headers.iter().map(|header| &header.column));
    let columns: usize =
        columns.map(|c| 9 + c.data.len() + 4 * (c.ends.len() + c.nulls.len())).sum();
    4 + small + 17 * records.len() + columns
}

fn put_column(out: &mut Vec<u8>, column: &ByteColumn) {
    out.push(PRESENT);
    // `check` has compared the last end, a u32, with the length of the data.
    out.extend_from_slice(&(column.data.len() as u32).to_le_bytes());
    out.extend_from_slice(&(column.nulls.len() as u32).to_le_bytes());
    put_numbers(out, &column.ends);
    put_numbers(out, &column.nulls);
    out.extend_from_slice(&column.data);
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[u32]) {
    let start = out.len();
    out.resize(start + numbers.len() * 4, 0);
    for (to, number) in out[start..].chunks_exact_mut(4).zip(numbers) {
        to.copy_from_slice(&number.to_le_bytes());
    }
}

fn put_times(out: &mut Vec<u8>, times: &[i64]) {
    let start = out.len();
    out.resize(start + times.len() * 8, 0);
    for (to, time) in out[start..].chunks_exact_mut(8).zip(times) {
        to.copy_from_slice(&time.to_le_bytes());
    }
}

/// Takes the payload apart from the front.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// `count` items of `size` bytes, or an error if they are not there.
    fn take(&mut self, count: usize, size: usize) -> Result<&'a [u8], Error> {
        let taken = count.checked_mul(size).and_then(|wanted| self.bytes.split_at_checked(wanted));
        let Some((taken, rest)) = taken else {
            let left = self.bytes.len();
            return Err(malformed(format!("{count} items of {size} bytes in {left} bytes")));
        };
        self.bytes = rest;
        Ok(taken)
    }

    fn count(&mut self) -> Result<usize, Error> {
        let bytes = self.take(1, 4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes were taken")) as usize)
    }

    fn numbers(&mut self, count: usize) -> Result<Vec<u32>, Error> {
        let (chunks, _) = self.take(count, 4)?.as_chunks();
        Ok(chunks.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect())
    }

    fn times(&mut self, count: usize) -> Result<Vec<i64>, Error> {
        let (chunks, _) = self.take(count, 8)?.as_chunks();
        Ok(chunks.iter().map(|chunk| i64::from_le_bytes(*chunk)).collect())
    }

    fn column(&mut self, rows: usize, may_be_absent: bool) -> Result<ByteColumn, Error> {
        match self.take(1, 1)? {
            [ABSENT] if may_be_absent => {
                let mut column = ByteColumn::default();
                column.push_nulls(rows);
                Ok(column)
            }
            [PRESENT] => {
                let data_bytes = self.count()?;
                let absent = self.count()?;
                let ends = self.numbers(rows)?;
                let nulls = self.numbers(absent)?;
                let data = self.take(data_bytes, 1)?.to_vec();
                Ok(ByteColumn { data, ends, nulls })
            }
            form => Err(malformed(format!("a column of form {form:?}"))),
        }
    }
}

fn malformed(what: impl Into<String>) -> Error {
    Error::Malformed { format: FORMAT.name, what: what.into() }
}
