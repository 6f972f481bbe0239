//! Records to measure with: 200 bytes each, event time a millisecond apart with some disorder, as
//! the workload of windows over observations has them. The same from run to run.

use pawl_core::record::{LogBatch, Record};
use std::fmt::Write;

/// Bytes of a record's value.
pub const VALUE_BYTES: usize = 200;

/// Rows of one batch.
pub const ROWS: usize = 1024;

/// How far, in milliseconds, a record lies behind the newest one at most.
pub const DISORDER_MS: i64 = 500;

/// Makes batches of one partition, one after the other.
#[derive(Default)]
pub struct Source {
    next: u64,
    text: String,
}

impl Source {
    /// `ROWS` observations, keyed by cell. They bring no id of their own: it is a field.
    pub fn observations(&mut self) -> LogBatch {
        let mut batch = LogBatch { base: self.next, ..LogBatch::default() };
        for _ in 0..ROWS {
            let random = scramble(self.next);
            let (cell, time) = (random % 250 * 4, self.time(random));
            self.text.clear();
            let (sensor, object) = ((random >> 8) % 32, (random >> 16) % 10_000);
            let place = |shift: u32| f64::from((random >> shift) as u16) / 8.0 - 4000.0;
            let (x, y, z) = (place(20), place(32), place(48));
            let written = write!(
                self.text,
                r#"{{"observation_id":"{random:016x}","sensor_id":"S{sensor}","object_id":"{object}","cell":"{cell}","t_ms":{time},"x":{x},"y":{y},"z":{z},"pad":""#
            );
            written.expect("writing into a string does not fail");
            let pad = VALUE_BYTES.saturating_sub(self.text.len() + 2);
            self.text.extend(std::iter::repeat_n('p', pad));
            self.text.push_str("\"}");
            let key = cell.to_string();
            push(&mut batch, key.as_bytes(), self.text.as_bytes(), None, time);
            self.next += 1;
        }
        batch
    }

    /// `ROWS` records that nobody reads, each with an id of its own.
    pub fn plain(&mut self) -> LogBatch {
        let mut batch = LogBatch { base: self.next, ..LogBatch::default() };
        let value = [b'x'; VALUE_BYTES];
        for _ in 0..ROWS {
            let random = scramble(self.next);
            let id = format!("{random:016x}");
            let (key, time) = (&id.as_bytes()[..8], self.time(random));
            push(&mut batch, key, &value, Some(id.as_bytes()), time);
            self.next += 1;
        }
        batch
    }

    /// How many records it has made.
    pub fn made(&self) -> u64 {
        self.next
    }

    fn time(&self, random: u64) -> i64 {
        self.next as i64 - (random >> 3) as i64 % DISORDER_MS.min(self.next as i64 + 1)
    }
}

fn push(batch: &mut LogBatch, key: &[u8], value: &[u8], id: Option<&[u8]>, event_time: i64) {
    batch.records.push(Record {
        key: Some(key),
        value: Some(value),
        id,
        event_time,
        timestamp: i64::MAX / 2,
        ..Record::default()
    });
}

/// One number out of each other one, without repetition.
pub fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observations_have_the_size_and_the_disorder_that_they_should() {
        let mut source = Source::default();
        let batch = source.observations();
        let records = &batch.records;
        let values: Vec<_> = (0..ROWS).filter_map(|row| records.values.get(row)).collect();
        assert!(values.iter().all(|value| value.len() == VALUE_BYTES), "{:?}", values[0].len());
        let json: serde_json::Value = serde_json::from_slice(values[7]).unwrap();
        assert_eq!(json["t_ms"], records.event_times[7]);
        let behind = (0..ROWS).map(|row| row as i64 - records.event_times[row]);
        assert!(behind.clone().all(|behind| (0..DISORDER_MS).contains(&behind)));
        assert!(behind.max() > Some(400));
    }
}
