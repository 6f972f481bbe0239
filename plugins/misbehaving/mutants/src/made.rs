//! Emissions on their way to the host, row by row into columns. Decides nothing.

use crate::{ByteColumn, Emissions, Outcome, Rejection};

/// What a call has made so far.
#[derive(Default)]
pub struct Made {
    outputs: Vec<u8>,
    keys: Column,
    values: Column,
    times: Vec<i64>,
    pub causes: Vec<u32>,
    ids: Column,
    traces: Column,
    pub rejections: Vec<Rejection>,
}

/// One emission.
pub struct One<'a> {
    pub output: u8,
    pub key: Option<&'a [u8]>,
    pub value: &'a str,
    pub time: i64,
    pub id: Option<&'a str>,
    pub trace: Option<&'a [u8]>,
}

#[derive(Default)]
struct Column {
    data: Vec<u8>,
    ends: Vec<u32>,
    nulls: Vec<u32>,
}

impl Column {
    fn push(&mut self, row: Option<&[u8]>) {
        match row {
            Some(bytes) => self.data.extend_from_slice(bytes),
            None => self.nulls.push(self.ends.len() as u32),
        }
        self.ends.push(self.data.len() as u32);
    }

    fn finish(self) -> ByteColumn {
        ByteColumn { data: self.data, ends: self.ends, nulls: self.nulls }
    }
}

impl Made {
    /// Adds an emission; `cause` is none in `advance`.
    pub fn push(&mut self, one: &One<'_>, cause: Option<u32>) {
        self.outputs.push(one.output);
        self.keys.push(one.key);
        self.values.push(Some(one.value.as_bytes()));
        self.times.push(one.time);
        self.ids.push(one.id.map(str::as_bytes));
        self.traces.push(one.trace);
        self.causes.extend(cause);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// The outcome of a call that took so many rows.
    pub fn finish(self, taken: u32) -> Outcome {
        Outcome {
            emissions: Emissions {
                outputs: self.outputs,
                keys: self.keys.finish(),
                values: self.values.finish(),
                event_times: self.times,
                causes: self.causes,
                ids: self.ids.finish(),
                priorities: Vec::new(),
                headers: vec![self.traces.finish()],
            },
            rejections: self.rejections,
            taken,
            more: false,
        }
    }
}

/// Row `row` of a column.
pub fn row(column: &ByteColumn, row: usize) -> Option<&[u8]> {
    if column.nulls.binary_search(&(row as u32)).is_ok() {
        return None;
    }
    let start = row.checked_sub(1).map_or(0, |before| column.ends[before]) as usize;
    column.data.get(start..column.ends[row] as usize)
}
