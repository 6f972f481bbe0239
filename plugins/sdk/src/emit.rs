//! Emitting: records go straight into flat columns, one append per field.
//!
//! A row passed on unchanged is not even copied: it is remembered as a stretch of the input, and
//! neighbouring stretches become one copy, or none if they are all of the input. Nothing here may
//! leave columns of unequal length behind.

use crate::Rejection;
use crate::batch::{Batch, ByteColumn};
use serde::Serialize;
use std::ops::Range;

/// The cause that says: still owed to the last row of the call before.
pub(crate) const CAUSE_OWED: u32 = u32::MAX;

/// What each emission counts towards the size of a call beside its bytes.
const ROW_OVERHEAD: usize = 24;

/// Bytes that can be a key, a value, an id or a header; `None` is absent (a Kafka null).
pub trait Row {
    /// The bytes.
    fn row(&self) -> Option<&[u8]>;
}

macro_rules! row {
    ($([$($generic:tt)*] $type:ty,)*) => {$(
        impl<$($generic)*> Row for $type {
            #[inline]
            fn row(&self) -> Option<&[u8]> {
                Some(self.as_ref())
            }
        }
    )*};
}
row!([] [u8], [] Vec<u8>, [] str, [] String, [const N: usize] [u8; N],);

impl<T: Row + ?Sized> Row for &T {
    #[inline]
    fn row(&self) -> Option<&[u8]> {
        (**self).row()
    }
}

impl<T: Row> Row for Option<T> {
    #[inline]
    fn row(&self) -> Option<&[u8]> {
        self.as_ref().and_then(Row::row)
    }
}

/// Records to send on, column by column, in the order they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emissions {
    /// Index into the wiring's outputs. Empty: all to output 0.
    pub outputs: Vec<u8>,
    /// Keys.
    pub keys: ByteColumn,
    /// Values.
    pub values: ByteColumn,
    /// Event times, one per emission.
    pub event_times: Vec<i64>,
    /// The row during whose turn each was made; empty after `advance`.
    pub causes: Vec<u32>,
    /// Ids; no rows, or an absent row: the host derives one.
    pub ids: ByteColumn,
    /// Empty: as the cause.
    pub priorities: Vec<u8>,
    /// One column for each header that the wiring sets.
    pub headers: Vec<ByteColumn>,
}

impl Emissions {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.event_times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.event_times.is_empty()
    }

    /// The first row at which those from `from` on come to `bytes_max`; else the number of all.
    pub(crate) fn cut(&self, from: usize, bytes_max: usize) -> usize {
        let base = self.size(from);
        let (mut low, mut high) = (from, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.size(middle).saturating_sub(base) >= bytes_max {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        low
    }

    /// A copy of `from..to`.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Self {
        let some = |bytes: &[u8]| bytes.get(from..to).unwrap_or_default().to_vec();
        Self {
            outputs: some(&self.outputs),
            keys: self.keys.slice(from, to),
            values: self.values.slice(from, to),
            event_times: self.event_times.get(from..to).unwrap_or_default().to_vec(),
            causes: self.causes.get(from..to).unwrap_or_default().to_vec(),
            ids: self.ids.slice(from, to),
            priorities: some(&self.priorities),
            headers: self.headers.iter().map(|column| column.slice(from, to)).collect(),
        }
    }

    /// Removes those from `rows` on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.outputs.truncate(rows);
        self.keys.truncate(rows);
        self.values.truncate(rows);
        self.event_times.truncate(rows);
        self.causes.truncate(rows);
        self.ids.truncate(rows);
        self.priorities.truncate(rows);
        self.headers.iter_mut().for_each(|column| column.truncate(rows));
    }

    /// What the first `rows` count.
    fn size(&self, rows: usize) -> usize {
        let headers: usize = self.headers.iter().map(|column| column.start(rows)).sum();
        let bytes = self.keys.start(rows) + self.values.start(rows) + self.ids.start(rows);
        bytes + headers + rows * ROW_OVERHEAD
    }
}

/// A column being written, whose newest bytes may still lie in the input.
#[derive(Default)]
struct Writer {
    data: Vec<u8>,
    ends: Vec<u32>,
    nulls: Vec<u32>,
    /// The stretch of the input that belongs behind `data`.
    owed: Range<usize>,
}

impl Writer {
    #[inline]
    fn length(&self) -> usize {
        self.data.len() + self.owed.len()
    }

    #[inline]
    fn push(&mut self, row: Option<&[u8]>, source: &[u8]) {
        match row {
            Some(bytes) => self.append(bytes, source),
            None => self.nulls.push(self.ends.len() as u32),
        }
        self.ends.push(self.length() as u32);
    }

    #[inline]
    fn append(&mut self, bytes: &[u8], source: &[u8]) {
        match position(bytes, source) {
            _ if bytes.is_empty() => {}
            Some(at) if at == self.owed.end && !self.owed.is_empty() => {
                self.owed.end += bytes.len();
            }
            Some(at) => {
                self.settle(source);
                self.owed = at..at + bytes.len();
            }
            None => {
                self.settle(source);
                self.data.extend_from_slice(bytes);
            }
        }
    }

    /// Copies what is owed.
    #[inline]
    fn settle(&mut self, source: &[u8]) {
        if !self.owed.is_empty() {
            let stretch = std::mem::take(&mut self.owed);
            self.data.extend_from_slice(source.get(stretch).unwrap_or_default());
        }
    }

    fn truncate(&mut self, rows: usize) {
        if rows >= self.ends.len() {
            return;
        }
        let length = rows.checked_sub(1).and_then(|row| self.ends.get(row)).map_or(0, |end| *end);
        self.ends.truncate(rows);
        while self.nulls.last().is_some_and(|null| *null as usize >= rows) {
            self.nulls.pop();
        }
        match (length as usize).checked_sub(self.data.len()) {
            Some(owed) => self.owed.end = self.owed.start + owed,
            None => {
                self.owed = 0..0;
                self.data.truncate(length as usize);
            }
        }
    }

    /// The column, for which the input is taken over whole if it was passed on whole.
    fn finish(mut self, source: &mut Vec<u8>) -> ByteColumn {
        if self.data.is_empty() && self.owed == (0..source.len()) {
            self.data = std::mem::take(source);
        } else {
            self.settle(source);
        }
        ByteColumn { data: self.data, ends: self.ends, nulls: self.nulls }
    }
}

/// Where `bytes` lie in `source`, if they are a part of it.
#[inline]
fn position(bytes: &[u8], source: &[u8]) -> Option<usize> {
    let at = (bytes.as_ptr() as usize).checked_sub(source.as_ptr() as usize)?;
    (at.checked_add(bytes.len())? <= source.len()).then_some(at)
}

/// The emissions of one call while they are being made.
#[derive(Default)]
pub(crate) struct Columns {
    keys: Writer,
    values: Writer,
    event_times: Vec<i64>,
    causes: Vec<u32>,
    // These have rows only once an emission set them, and are filled up at the end.
    outputs: Vec<u8>,
    priorities: Vec<u8>,
    ids: ByteColumn,
    headers: Vec<ByteColumn>,
}

impl Columns {
    /// Empty columns with room for `rows` emissions.
    pub fn with_capacity(rows: usize) -> Self {
        let mut columns = Self::default();
        columns.keys.ends.reserve(rows);
        columns.values.ends.reserve(rows);
        columns.event_times.reserve(rows);
        columns.causes.reserve(rows);
        columns
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.event_times.len()
    }

    /// What all emissions so far count towards the size of a call.
    #[inline]
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|column| column.data.len()).sum();
        let bytes = self.keys.length() + self.values.length() + self.ids.data.len();
        bytes + headers + self.len() * ROW_OVERHEAD
    }

    /// Takes back the emissions from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.keys.truncate(rows);
        self.values.truncate(rows);
        self.event_times.truncate(rows);
        self.causes.truncate(rows);
        self.outputs.truncate(rows);
        self.priorities.truncate(rows);
        self.ids.truncate(rows);
        self.headers.iter_mut().for_each(|column| column.truncate(rows));
    }

    /// The emissions; `input` is the batch that they came from, `sets` the number of headers.
    pub fn finish(mut self, input: &mut Batch, sets: usize) -> Emissions {
        let rows = self.len();
        if !self.outputs.is_empty() {
            self.outputs.resize(rows, 0);
        }
        if !self.priorities.is_empty() {
            self.priorities.resize(rows, crate::PRIORITY_DEFAULT);
        }
        if !self.ids.is_empty() {
            self.ids.pad(rows);
        }
        if self.headers.len() < sets {
            self.headers.resize_with(sets, ByteColumn::default);
        }
        self.headers.iter_mut().for_each(|column| column.pad(rows));
        Emissions {
            outputs: self.outputs,
            keys: self.keys.finish(&mut input.keys.data),
            values: self.values.finish(&mut input.values.data),
            event_times: self.event_times,
            causes: self.causes,
            ids: self.ids,
            priorities: self.priorities,
            headers: self.headers,
        }
    }
}

/// Takes what an operator emits in one turn.
pub struct Emitter<'a> {
    pub(crate) columns: &'a mut Columns,
    /// Bytes of the input's keys and values, to know a row that is passed on.
    pub(crate) key_source: &'a [u8],
    pub(crate) value_source: &'a [u8],
    /// Defaults of the turn: the cause's, or the watermark.
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) event_time: i64,
    /// The row whose turn it is; none in `advance`.
    pub(crate) cause: Option<u32>,
}

impl<'a> Emitter<'a> {
    /// Emits a record. Unless the emission says otherwise it has the key and the event time of
    /// its cause (after `advance`: no key, and the watermark), and goes to output 0.
    #[inline]
    pub fn emit(&mut self, value: impl Row) -> Emission<'_, 'a> {
        self.columns.values.push(value.row(), self.value_source);
        self.defaults()
    }

    /// Emits a record whose value is JSON, written straight into the column. Fails only if `value`
    /// cannot be JSON (a map whose keys are not text), and then emits nothing.
    pub fn emit_json<T: Serialize>(&mut self, value: &T) -> Result<Emission<'_, 'a>, Rejection> {
        let values = &mut self.columns.values;
        values.settle(self.value_source);
        let before = values.data.len();
        if let Err(error) = serde_json::to_writer(&mut values.data, value) {
            values.data.truncate(before);
            return Err(Rejection::permanent("serialization", error.to_string()));
        }
        values.ends.push(values.data.len() as u32);
        Ok(self.defaults())
    }

    #[inline]
    fn defaults(&mut self) -> Emission<'_, 'a> {
        self.columns.keys.push(self.key, self.key_source);
        self.columns.event_times.push(self.event_time);
        if let Some(cause) = self.cause {
            self.columns.causes.push(cause);
        }
        Emission { emitter: self }
    }
}

/// The record just emitted, to say more about it.
pub struct Emission<'e, 'a> {
    emitter: &'e mut Emitter<'a>,
}

impl Emission<'_, '_> {
    /// Its key; `None` for none.
    #[inline]
    pub fn key(self, key: impl Row) -> Self {
        let keys = &mut self.emitter.columns.keys;
        keys.truncate(keys.ends.len().saturating_sub(1));
        keys.push(key.row(), self.emitter.key_source);
        self
    }

    /// Its event time, milliseconds since the Unix epoch.
    #[inline]
    pub fn event_time(self, event_time: i64) -> Self {
        if let Some(last) = self.emitter.columns.event_times.last_mut() {
            *last = event_time;
        }
        self
    }

    /// Its idempotency key: the same effect always has the same id. Without one the host derives
    /// it from the cause's id.
    pub fn id(self, id: impl Row) -> Self {
        let row = self.row();
        set_bytes(&mut self.emitter.columns.ids, row, id.row());
        self
    }

    /// The output it goes to, as an index into the wiring's outputs.
    pub fn output(self, output: u8) -> Self {
        let row = self.row();
        self.emitter.columns.outputs.resize(row, 0);
        self.emitter.columns.outputs.push(output);
        self
    }

    /// Its priority: 0 is shed first, 255 last. Once one emission of a call sets it, the others
    /// of that call have 128.
    pub fn priority(self, priority: u8) -> Self {
        let row = self.row();
        self.emitter.columns.priorities.resize(row, crate::PRIORITY_DEFAULT);
        self.emitter.columns.priorities.push(priority);
        self
    }

    /// The header that the wiring sets at `index`. The host refuses one that it does not set.
    pub fn header(self, index: u8, value: impl Row) -> Self {
        let row = self.row();
        let headers = &mut self.emitter.columns.headers;
        if headers.len() <= index as usize {
            headers.resize_with(index as usize + 1, ByteColumn::default);
        }
        set_bytes(&mut headers[index as usize], row, value.row());
        self
    }

    fn row(&self) -> usize {
        self.emitter.columns.len().saturating_sub(1)
    }
}

fn set_bytes(column: &mut ByteColumn, row: usize, bytes: Option<&[u8]>) {
    column.truncate(row);
    column.pad(row);
    column.push(bytes);
}
