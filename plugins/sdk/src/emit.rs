//! Emitting: records go straight into flat columns, one append per field.
//!
//! Records passed on unchanged are not even copied: neighbours are remembered as a range of rows
//! of the input and become one copy per column, or none if they are all of the input. Nothing
//! here may leave columns of unequal length behind.

use crate::Rejection;
use crate::batch::{Batch, ByteColumn, Record};
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

/// The emissions of one call while they are being made.
#[derive(Default)]
pub(crate) struct Columns {
    keys: ByteColumn,
    values: ByteColumn,
    event_times: Vec<i64>,
    causes: Vec<u32>,
    /// Rows of the input that are passed on as they are, behind all of the above.
    passed: Range<usize>,
    // These have rows only once an emission set them, and are filled up at the end.
    outputs: Vec<u8>,
    priorities: Vec<u8>,
    ids: ByteColumn,
    headers: Vec<ByteColumn>,
}

impl Columns {
    #[inline]
    pub fn len(&self) -> usize {
        self.event_times.len() + self.passed.len()
    }

    /// What all emissions so far count towards the size of a call, without the bytes that are
    /// passed on.
    #[inline]
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|column| column.data.len()).sum();
        let bytes = self.keys.data.len() + self.values.data.len() + self.ids.data.len();
        bytes + headers + self.len() * ROW_OVERHEAD
    }

    /// How many bytes are passed on.
    pub fn passed_size(&self, input: &Batch) -> usize {
        let size = |rows| input.keys.start(rows) + input.values.start(rows);
        size(self.passed.end).saturating_sub(size(self.passed.start))
    }

    /// Takes back the emissions from `rows` on.
    #[inline]
    pub fn truncate(&mut self, rows: usize) {
        if rows >= self.len() {
            return;
        }
        let passed = rows.saturating_sub(self.event_times.len());
        self.passed.end = self.passed.start + passed;
        self.keys.truncate(rows);
        self.values.truncate(rows);
        self.event_times.truncate(rows);
        self.causes.truncate(rows);
        self.outputs.truncate(rows);
        self.priorities.truncate(rows);
        self.ids.truncate(rows);
        self.headers.iter_mut().for_each(|column| column.truncate(rows));
    }

    /// Passes on row `row` of the input.
    #[inline]
    fn pass(&mut self, row: usize, input: &Batch) {
        if self.passed.end != row || self.passed.is_empty() {
            self.settle(input);
            self.passed = row..row;
        }
        self.passed.end += 1;
    }

    /// Copies what is passed on, so that other emissions can follow.
    #[inline]
    fn settle(&mut self, input: &Batch) {
        if !self.passed.is_empty() {
            self.copy_passed(input);
        }
    }

    #[inline(never)]
    fn copy_passed(&mut self, input: &Batch) {
        let rows = std::mem::take(&mut self.passed);
        self.keys.extend_rows(&input.keys, rows.clone());
        self.values.extend_rows(&input.values, rows.clone());
        let times = input.event_times.get(rows.clone()).unwrap_or_default();
        self.event_times.extend_from_slice(times);
        self.causes.extend(rows.start as u32..rows.end as u32);
    }

    /// The emissions; `input` is the batch that they came from, `sets` the number of headers.
    pub fn finish(mut self, mut input: Batch, sets: usize) -> Emissions {
        let rows = self.len();
        if self.passed == (0..input.len()) && self.event_times.is_empty() {
            self.keys = std::mem::take(&mut input.keys);
            self.values = std::mem::take(&mut input.values);
            self.event_times = std::mem::take(&mut input.event_times);
            self.causes = (0..rows as u32).collect();
        } else {
            self.settle(&input);
        }
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
            keys: self.keys,
            values: self.values,
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
    columns: &'a mut Columns,
    input: &'a Batch,
    /// The record whose turn it is, with its row; none in `advance`.
    cause: Option<(u32, Record<'a>)>,
    event_time: i64,
}

impl<'a> Emitter<'a> {
    /// For the turn of a record.
    #[inline]
    pub(crate) fn of(
        columns: &'a mut Columns,
        input: &'a Batch,
        row: u32,
        record: Record<'a>,
    ) -> Self {
        Self { columns, input, cause: Some((row, record)), event_time: record.event_time() }
    }

    /// For `advance`; the input is empty.
    pub(crate) fn at(columns: &'a mut Columns, input: &'a Batch, watermark: i64) -> Self {
        Self { columns, input, cause: None, event_time: watermark }
    }

    /// Emits a record. Unless the emission says otherwise it has the key and the event time of
    /// its cause (after `advance`: no key, and the watermark), and goes to output 0.
    #[inline]
    pub fn emit(&mut self, value: impl Row) -> Emission<'_, 'a> {
        let value = value.row();
        match &self.cause {
            Some((row, record)) if same(value, record.value()) => {
                self.columns.pass(*row as usize, self.input);
            }
            _ => {
                self.columns.settle(self.input);
                self.columns.values.push(value);
                self.defaults();
            }
        }
        Emission { emitter: self }
    }

    /// Emits a record whose value is JSON, written straight into the column. Fails only if `value`
    /// cannot be JSON (a map whose keys are not text), and then emits nothing.
    pub fn emit_json<T: Serialize>(&mut self, value: &T) -> Result<Emission<'_, 'a>, Rejection> {
        self.columns.settle(self.input);
        let values = &mut self.columns.values;
        let before = values.data.len();
        if let Err(error) = serde_json::to_writer(&mut values.data, value) {
            values.data.truncate(before);
            return Err(Rejection::permanent("serialization", error.to_string()));
        }
        values.ends.push(values.data.len() as u32);
        self.defaults();
        Ok(Emission { emitter: self })
    }

    /// Brings all columns to the length of the values.
    #[inline]
    fn defaults(&mut self) {
        self.columns.event_times.push(self.event_time);
        match &self.cause {
            Some((row, record)) => {
                self.columns.keys.push(record.key());
                self.columns.causes.push(*row);
            }
            None => self.columns.keys.push(None),
        }
    }
}

/// Whether both are the same bytes at the same place.
#[inline]
fn same(one: Option<&[u8]>, other: Option<&[u8]>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => std::ptr::eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// The record just emitted, to say more about it.
pub struct Emission<'e, 'a> {
    emitter: &'e mut Emitter<'a>,
}

impl Emission<'_, '_> {
    /// Its key; `None` for none.
    pub fn key(self, key: impl Row) -> Self {
        let Emitter { columns, input, .. } = &mut *self.emitter;
        columns.settle(input);
        columns.keys.truncate(columns.keys.len().saturating_sub(1));
        columns.keys.push(key.row());
        self
    }

    /// Its event time, milliseconds since the Unix epoch.
    pub fn event_time(self, event_time: i64) -> Self {
        let Emitter { columns, input, .. } = &mut *self.emitter;
        columns.settle(input);
        if let Some(last) = columns.event_times.last_mut() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// Emissions as plain rows.
    type Plain = Vec<(Option<Vec<u8>>, Option<Vec<u8>>, i64, u32)>;

    fn input(random: &mut Random) -> Batch {
        let mut batch = Batch::default();
        for row in 0..random.below(12) {
            let bytes = vec![row as u8; random.below(4)];
            batch.keys.push((random.below(4) > 0).then_some(&bytes[..]));
            batch.values.push((random.below(4) > 0).then_some(&bytes[..]));
            batch.event_times.push(row as i64);
        }
        batch
    }

    #[test]
    fn records_passed_on_equal_records_copied_whatever_is_taken_back() {
        for seed in 0..5000 {
            let mut random = Random::new(seed);
            let batch = input(&mut random);
            let (mut columns, mut model) = (Columns::default(), Plain::new());
            let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            for (row, record) in batch.rows().enumerate() {
                let before = model.len();
                let mut out = Emitter::of(&mut columns, &batch, row as u32, record);
                let (key, time) = (own(record.key()), record.event_time());
                for _ in 0..[0, 1, 1, 1, 2][random.below(5)] {
                    match random.below(8) {
                        0 => {
                            out.emit("new");
                            model.push((key.clone(), own(Some(b"new")), time, row as u32));
                        }
                        1 => {
                            out.emit(record.value()).key("k").event_time(-1);
                            model.push((own(Some(b"k")), own(record.value()), -1, row as u32));
                        }
                        _ => {
                            out.emit(record.value());
                            model.push((key.clone(), own(record.value()), time, row as u32));
                        }
                    }
                }
                if random.below(4) == 0 {
                    columns.truncate(before);
                    model.truncate(before);
                }
                assert_eq!(columns.len(), model.len(), "seed {seed}");
            }
            let emissions = columns.finish(batch, 0);
            let made: Plain = (0..emissions.len())
                .map(|row| {
                    let (key, value) = (emissions.keys.get(row), emissions.values.get(row));
                    (own(key), own(value), emissions.event_times[row], emissions.causes[row])
                })
                .collect();
            assert_eq!(made, model, "seed {seed}");
        }
    }

    #[test]
    fn an_input_passed_on_whole_is_moved() {
        let mut batch = Batch::default();
        for row in 0..9 {
            batch.keys.push(None);
            batch.values.push(Some(b"value"));
            batch.event_times.push(row);
        }
        let place = batch.values.data.as_ptr();
        let mut columns = Columns::default();
        for (row, record) in batch.rows().enumerate() {
            Emitter::of(&mut columns, &batch, row as u32, record).emit(record.value());
        }
        let emissions = columns.finish(batch, 1);
        assert_eq!(emissions.values.data.as_ptr(), place);
        assert!(emissions.causes.into_iter().eq(0..9));
        assert_eq!(emissions.headers[0].nulls.len(), 9);
    }
}
