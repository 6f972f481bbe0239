//! Records, control rows and the batches in which a log holds them. Plain values, no behaviour of
//! the stream: what becomes of a record is decided elsewhere.

use crate::column::ByteColumn;
use serde::{Deserialize, Serialize};

/// The next offset to read or write in a partition, never the last one read.
pub type Offset = u64;

/// Milliseconds since the Unix epoch.
pub type Timestamp = i64;

/// The event time of a record that has none, and a watermark that was never set.
pub const NO_TIME: Timestamp = i64::MIN;

/// The priority of a record that names none. 0 is shed first, 255 last.
pub const PRIORITY_DEFAULT: u8 = 128;

/// Records of one partition, column by column; every column has one row per record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// Keys; absent is a Kafka null.
    pub keys: ByteColumn,
    /// Values; absent is a Kafka null.
    pub values: ByteColumn,
    /// The id that the record brings along as bytes, if it brings one.
    pub ids: ByteColumn,
    /// Event times, `NO_TIME` where there is none.
    pub event_times: Vec<Timestamp>,
    /// The log's own clock when the record was appended; the transport sets it.
    pub timestamps: Vec<Timestamp>,
    /// 0 is shed first, 255 last.
    pub priorities: Vec<u8>,
    /// One column for each header name that any of the records has.
    pub headers: Vec<Header>,
}

/// One header of all records of a batch; a record without it has an absent row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The header's name.
    pub name: String,
    /// One row per record.
    pub column: ByteColumn,
}

/// One record by reference, to be added to `Records`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Id, if it brings one.
    pub id: Option<&'a [u8]>,
    /// Event time or `NO_TIME`.
    pub event_time: Timestamp,
    /// The log's clock.
    pub timestamp: Timestamp,
    /// 0 to 255.
    pub priority: u8,
    /// Headers in ascending order of names; a name twice keeps the last value.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl Records {
    /// No records, with room for as many as `like` has.
    pub fn with_room_of(like: &Records) -> Self {
        let column = |of: &ByteColumn| ByteColumn::with_capacity(of.len(), of.data.len());
        Self {
            keys: column(&like.keys),
            values: column(&like.values),
            ids: column(&like.ids),
            event_times: Vec::with_capacity(like.len()),
            timestamps: Vec::with_capacity(like.len()),
            priorities: Vec::with_capacity(like.len()),
            headers: Vec::new(),
        }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.event_times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.event_times.is_empty()
    }

    /// Bytes of keys, values, ids and headers together: what credit in bytes counts.
    pub fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|header| header.column.data.len()).sum();
        self.keys.data.len() + self.values.data.len() + self.ids.data.len() + headers
    }

    /// Adds one record.
    pub fn push(&mut self, record: Record<'_>) {
        let row = self.len();
        self.keys.push(record.key);
        self.values.push(record.value);
        self.ids.push(record.id);
        self.event_times.push(record.event_time);
        self.timestamps.push(record.timestamp);
        self.priorities.push(record.priority);
        for (name, value) in record.headers {
            let column = self.header_mut(name, row);
            if column.len() == row {
                column.push(Some(value));
            }
        }
        self.pad_headers();
    }

    /// The column of a header, if any record here has it.
    pub fn header(&self, name: &str) -> Option<&ByteColumn> {
        self.headers.iter().find(|header| header.name == name).map(|header| &header.column)
    }

    /// The column of a header, made (absent in all `rows` rows so far) if it is not there yet.
    pub fn header_mut(&mut self, name: &str, rows: usize) -> &mut ByteColumn {
        let at = match self.headers.iter().position(|header| header.name == name) {
            Some(at) => at,
            None => {
                let mut column = ByteColumn::default();
                column.push_nulls(rows);
                self.headers.push(Header { name: name.to_owned(), column });
                self.headers.len() - 1
            }
        };
        &mut self.headers[at].column
    }

    /// Brings every header column to one row per record.
    pub fn pad_headers(&mut self) {
        let rows = self.event_times.len();
        for header in &mut self.headers {
            let missing = rows.saturating_sub(header.column.len());
            header.column.push_nulls(missing);
        }
    }

    /// Whether every column is well formed and has one row per record. Says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let rows = self.len();
        self.keys.check(rows).map_err(|what| format!("keys: {what}"))?;
        self.values.check(rows).map_err(|what| format!("values: {what}"))?;
        self.ids.check(rows).map_err(|what| format!("ids: {what}"))?;
        if self.timestamps.len() != rows || self.priorities.len() != rows {
            return Err("timestamps or priorities: not one per record".to_owned());
        }
        for header in &self.headers {
            header.column.check(rows).map_err(|what| format!("header {}: {what}", header.name))?;
        }
        Ok(())
    }
}

/// Who wrote a row of an internal topic: one task of a stage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Producer {
    /// Name of the stage.
    pub stage: String,
    /// Partition that the task works on.
    pub partition: u32,
}

/// A row that carries a watermark through a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// Which set of producers writes the topic; a higher one replaces all lower ones.
    pub generation: u64,
    /// Who wrote the row.
    pub producer: Producer,
    /// All producers of this generation, ascending.
    pub producers: Vec<Producer>,
    /// Gapless per producer, from 1.
    pub number: u64,
    /// The producer's watermark less what its operators hold back, or `NO_TIME`.
    pub watermark: Timestamp,
    /// False: the producer is idle and holds time back for nobody.
    pub active: bool,
}

/// Consecutive rows of one partition as the log holds them: data rows, and control rows between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBatch {
    /// Offset of the first row.
    pub base: Offset,
    /// The task that wrote it; none for what came from outside.
    pub producer: Option<Producer>,
    /// The data rows, in order.
    pub records: Records,
    /// Control rows, each with its row in the batch (data and control rows counted), ascending.
    pub controls: Vec<(u32, Control)>,
}

impl LogBatch {
    /// How many rows it has, data and control rows together.
    pub fn rows(&self) -> usize {
        self.records.len() + self.controls.len()
    }

    /// The offset behind its last row.
    pub fn end(&self) -> Offset {
        self.base + self.rows() as u64
    }

    /// Whether the columns are well formed and the control rows ascend and lie inside.
    pub fn check(&self) -> Result<(), String> {
        self.records.check()?;
        let mut next = 0;
        for (row, _) in &self.controls {
            if *row < next || *row as usize >= self.rows() {
                return Err(format!("control row {row} is out of order or outside"));
            }
            next = row + 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_comes_late_is_absent_in_the_records_before() {
        let mut records = Records::default();
        records.push(Record { value: Some(b"1"), headers: &[("a", b"x")], ..Record::default() });
        records.push(Record { value: Some(b"2"), headers: &[("b", b"y")], ..Record::default() });
        records.push(Record { value: Some(b"3"), ..Record::default() });
        assert_eq!(records.header("a").and_then(|c| c.get(0)), Some(&b"x"[..]));
        assert_eq!(records.header("a").and_then(|c| c.get(1)), None);
        assert_eq!(records.header("b").and_then(|c| c.get(1)), Some(&b"y"[..]));
        records.check().unwrap();
    }
}
