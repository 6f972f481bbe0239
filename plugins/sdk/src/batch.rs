//! Records as they come in: a batch of columns, read row by row through borrowed slices.
//!
//! Nothing here copies a record, and nothing here panics on columns that lie: a row that cannot
//! be read is empty.

use std::ops::Range;

/// Rows of bytes laid end to end, some of them absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteColumn {
    /// All rows, one behind the other.
    pub data: Vec<u8>,
    /// Where each row ends in `data`.
    pub ends: Vec<u32>,
    /// Rows that are absent rather than empty, ascending.
    pub nulls: Vec<u32>,
}

impl ByteColumn {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of row `row`; `None` if it is absent or past the end.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let end = *self.ends.get(row)? as usize;
        if !self.nulls.is_empty() && self.nulls.binary_search(&(row as u32)).is_ok() {
            return None;
        }
        Some(self.data.get(self.start(row)..end).unwrap_or_default())
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, row: Option<&[u8]>) {
        match row {
            Some(bytes) => self.data.extend_from_slice(bytes),
            None => self.nulls.push(self.ends.len() as u32),
        }
        self.ends.push(self.data.len() as u32);
    }

    /// Adds absent rows until there are `rows`.
    pub(crate) fn pad(&mut self, rows: usize) {
        while self.ends.len() < rows {
            self.push(None);
        }
    }

    /// Removes the rows from `rows` on.
    #[inline]
    pub(crate) fn truncate(&mut self, rows: usize) {
        if rows < self.ends.len() {
            self.data.truncate(self.start(rows));
            self.ends.truncate(rows);
            let nulls = self.nulls.partition_point(|null| (*null as usize) < rows);
            self.nulls.truncate(nulls);
        }
    }

    /// Adds rows of another column.
    pub(crate) fn extend_rows(&mut self, other: &Self, rows: Range<usize>) {
        let (start, end) = (other.start(rows.start), other.start(rows.end));
        let (base, first) = (self.data.len() as u32, self.ends.len() as u32);
        self.data.extend_from_slice(other.data.get(start..end).unwrap_or_default());
        let ends = other.ends.get(rows.clone()).unwrap_or_default();
        self.ends.extend(ends.iter().map(|end| end.wrapping_sub(start as u32).wrapping_add(base)));
        let from = other.nulls.partition_point(|null| (*null as usize) < rows.start);
        let to = other.nulls.partition_point(|null| (*null as usize) < rows.end);
        let nulls = other.nulls.get(from..to).unwrap_or_default();
        self.nulls.extend(nulls.iter().map(|null| null - rows.start as u32 + first));
    }

    /// A copy of the rows `from..to`; empty if the column has no rows.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Self {
        let mut column = Self::default();
        if !self.is_empty() {
            column.extend_rows(self, from..to);
        }
        column
    }

    /// Where row `row` starts.
    #[inline]
    pub(crate) fn start(&self, row: usize) -> usize {
        match row.checked_sub(1).and_then(|before| self.ends.get(before)) {
            Some(end) => *end as usize,
            None => 0,
        }
    }
}

/// Records of one partition, in order; every column has one row per record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Keys.
    pub keys: ByteColumn,
    /// Values.
    pub values: ByteColumn,
    /// Event times, milliseconds since the Unix epoch.
    pub event_times: Vec<i64>,
    /// One column for each header that the wiring wants, in that order.
    pub headers: Vec<ByteColumn>,
}

impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.event_times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.event_times.is_empty()
    }

    /// The records, one after the other.
    pub fn rows(&self) -> Rows<'_> {
        let (keys, values) = (Cursor::new(&self.keys), Cursor::new(&self.values));
        Rows { batch: self, row: 0, keys, values }
    }
}

/// The records of a batch, in order, as borrowed slices.
pub struct Rows<'a> {
    batch: &'a Batch,
    row: usize,
    keys: Cursor<'a>,
    values: Cursor<'a>,
}

impl<'a> Iterator for Rows<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let row = self.row;
        let event_time = *self.batch.event_times.get(row)?;
        self.row += 1;
        let (key, value) = (self.keys.next(row), self.values.next(row));
        Some(Record { key, value, event_time, row, batch: self.batch })
    }
}

/// Reads a column from its first row on, without searching for starts and nulls.
struct Cursor<'a> {
    column: &'a ByteColumn,
    start: usize,
    nulls: usize,
}

impl<'a> Cursor<'a> {
    fn new(column: &'a ByteColumn) -> Self {
        Self { column, start: 0, nulls: 0 }
    }

    #[inline]
    fn next(&mut self, row: usize) -> Option<&'a [u8]> {
        let end = *self.column.ends.get(row)? as usize;
        let start = std::mem::replace(&mut self.start, end);
        if self.column.nulls.get(self.nulls) == Some(&(row as u32)) {
            self.nulls += 1;
            return None;
        }
        Some(self.column.data.get(start..end).unwrap_or_default())
    }
}

/// One record, borrowed from its batch.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    event_time: i64,
    row: usize,
    batch: &'a Batch,
}

impl<'a> Record<'a> {
    /// The key; `None` is a Kafka null.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// The value; `None` is a Kafka null.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.value
    }

    /// Milliseconds since the Unix epoch; never behind the watermark last given to `advance`.
    #[inline]
    pub fn event_time(&self) -> i64 {
        self.event_time
    }

    /// The header that the wiring wants at `index`; `None` if the record does not have it.
    #[inline]
    pub fn header(&self, index: usize) -> Option<&'a [u8]> {
        self.batch.headers.get(index).and_then(|column| column.get(self.row))
    }

    /// The value read as JSON, borrowing from it where `T` does. An error (a null value is one)
    /// is the rejection `deserialization`.
    pub fn json<T: serde::Deserialize<'a>>(&self) -> Result<T, crate::Rejection> {
        Ok(serde_json::from_slice(self.value.unwrap_or_default())?)
    }
}
