//! Ids and event times: where an edge takes them from, how ids are derived, what is hashed.
//!
//! Ids are 128-bit hashes inside the host. Every function here is part of the host's `SEMANTICS`:
//! change one and the number must change, or replays will not match what is published.

use crate::pick::pick;
use crate::record::{NO_TIME, Offset, Records, Timestamp};
use std::fmt::Write;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128, xxh3_128_with_seed};

/// The id of a record, or of anything made from one.
pub type Id = u128;

/// Where an edge takes the id of a record from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IdSource {
    /// The id that the record brings; where it brings none, one derived by the host.
    #[default]
    Own,
    /// The key; a record without key has no id.
    Key,
    /// Topic, partition and offset.
    Position,
    /// The bytes of the value.
    Content,
    /// The value as JSON with sorted keys, so that order and spaces do not matter.
    ContentJson,
    /// A header.
    Header(String),
    /// A JSON pointer into the value.
    Field(String),
}

/// Where an edge takes the event time of a record from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TimeSource {
    /// There is none.
    #[default]
    None,
    /// The event time that the record brings.
    Own,
    /// The log's own clock.
    Timestamp,
    /// A header: milliseconds as decimal text, or RFC 3339.
    Header(String),
    /// A JSON pointer into the value: milliseconds as a number, or RFC 3339 as text.
    Field(String),
}

/// Hash of bytes as an id.
pub fn hash(bytes: &[u8]) -> Id {
    xxh3_128(bytes)
}

/// The id of the row at a position, used where a record has none of its own.
pub fn of_position(topic: &str, partition: u32, offset: Offset) -> Id {
    let seed = xxh3_64_with_seed(topic.as_bytes(), u64::from(partition));
    xxh3_128_with_seed(&offset.to_le_bytes(), seed)
}

/// The id of an emission that names none: from its cause, the operator and its index within the
/// cause (never within the call, which would depend on where a batch was cut).
pub fn derived(cause: Id, operator_seed: u64, index: u32) -> Id {
    let mut bytes = [0; 20];
    bytes[..16].copy_from_slice(&cause.to_le_bytes());
    bytes[16..].copy_from_slice(&index.to_le_bytes());
    xxh3_128_with_seed(&bytes, operator_seed)
}

/// The cause that stands for a tick: stage, partition and watermark.
pub fn of_tick(stage: &str, partition: u32, watermark: Timestamp) -> Id {
    let seed = xxh3_64_with_seed(stage.as_bytes(), u64::from(partition));
    xxh3_128_with_seed(&watermark.to_le_bytes(), seed ^ 0x7469_636b)
}

/// What a dedup window holds in place of the id of a record that is dead and of which a copy may
/// come: the copy must not get through, the record itself may if it is sent back.
pub fn of_dead(id: Id) -> Id {
    xxh3_128_with_seed(&id.to_le_bytes(), 0x6465_6164)
}

/// The seed that stands for an operator in derived ids.
pub fn operator_seed(stage: &str, operator: &str) -> u64 {
    xxh3_64_with_seed(operator.as_bytes(), xxh3_64_with_seed(stage.as_bytes(), 1))
}

/// An id as 32 lower-case hex digits: the form in which it leaves the host.
pub fn hex(id: Id) -> [u8; 32] {
    // Eight digits at a time: one in each byte, the first in the highest.
    let mut text = [0; 32];
    for (place, part) in text.chunks_exact_mut(8).zip([96, 64, 32, 0]) {
        let digits = spread((id >> part) as u32);
        let above_nine = (digits + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
        let letters = digits + 0x3030_3030_3030_3030 + above_nine * 0x27;
        place.copy_from_slice(&letters.to_be_bytes());
    }
    text
}

/// The eight hexadecimal digits of a word, each in a byte of its own.
fn spread(word: u32) -> u64 {
    let wide = u64::from(word);
    let wide = (wide | wide << 16) & 0x0000_ffff_0000_ffff;
    let wide = (wide | wide << 8) & 0x00ff_00ff_00ff_00ff;
    (wide | wide << 4) & 0x0f0f_0f0f_0f0f_0f0f
}

/// Hash of one row of a partition, input or output: all that determines what is made of it.
/// Added up, such hashes tell whether two runs saw or made the same rows, in whatever order.
pub fn row_hash(seed: u64, records: &Records, row: usize, id: Option<&[u8]>) -> u128 {
    let time = records.event_times.get(row).copied().unwrap_or(NO_TIME);
    let mut seed = seed ^ (time as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    seed = chain(seed, records.keys.get(row));
    seed = chain(seed, id);
    for header in &records.headers {
        if let Some(value) = header.column.get(row) {
            // Added, since the order of the columns depends on which record came first.
            let name = xxh3_64_with_seed(header.name.as_bytes(), 3);
            seed = seed.wrapping_add(xxh3_64_with_seed(value, name));
        }
    }
    match records.values.get(row) {
        Some(value) => xxh3_128_with_seed(value, seed),
        None => xxh3_128_with_seed(b"", !seed),
    }
}

fn chain(seed: u64, bytes: Option<&[u8]>) -> u64 {
    match bytes {
        Some(bytes) => xxh3_64_with_seed(bytes, seed),
        None => seed.rotate_left(17) ^ 0x6e75_6c6c,
    }
}

impl IdSource {
    /// The id of a record as this source gives it; `Own` and `Position` are for the edge itself.
    pub fn read(&self, records: &Records, row: usize) -> Option<Id> {
        match self {
            IdSource::Own | IdSource::Position => records.ids.get(row).map(hash),
            IdSource::Key => records.keys.get(row).map(hash),
            IdSource::Content => records.values.get(row).map(hash),
            IdSource::ContentJson => canonical_json(records.values.get(row)?).map(|t| hash(&t)),
            IdSource::Header(name) => records.header(name)?.get(row).map(hash),
            IdSource::Field(pointer) => {
                let [id, _] = pick(records.values.get(row)?, [pointer, pointer]);
                id_of(&id?)
            }
        }
    }
}

impl TimeSource {
    /// The event time of a record, or `NO_TIME` if it has none that can be read.
    pub fn read(&self, records: &Records, row: usize) -> Timestamp {
        let time = match self {
            TimeSource::None => None,
            TimeSource::Own => records.event_times.get(row).copied(),
            TimeSource::Timestamp => records.timestamps.get(row).copied(),
            TimeSource::Header(name) => records
                .header(name)
                .and_then(|column| column.get(row))
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .and_then(time_of_text),
            TimeSource::Field(pointer) => {
                let picked = records.values.get(row).map(|json| pick(json, [pointer, pointer]));
                picked.and_then(|[time, _]| time_of(&time?))
            }
        };
        time.unwrap_or(NO_TIME)
    }
}

/// Milliseconds from decimal text or RFC 3339, rounded down.
pub fn time_of_text(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(number);
    }
    let time = text.parse::<jiff::Timestamp>().ok()?;
    i64::try_from(time.as_nanosecond().div_euclid(1_000_000)).ok()
}

/// RFC 3339 with milliseconds; a time that calendars do not know stays a number.
pub fn text_of_time(time: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => time.to_string(),
    }
}

impl std::fmt::Display for IdSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            IdSource::Own => f.write_str("the record's own id"),
            IdSource::Key => f.write_str("the key"),
            IdSource::Position => f.write_str("the position"),
            IdSource::Content => f.write_str("the value"),
            IdSource::ContentJson => f.write_str("the value as JSON"),
            IdSource::Header(name) => write!(f, "header {name}"),
            IdSource::Field(pointer) => write!(f, "field {pointer} of the value"),
        }
    }
}

impl std::fmt::Display for TimeSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TimeSource::None => f.write_str("nowhere"),
            TimeSource::Own => f.write_str("the record's own event time"),
            TimeSource::Timestamp => f.write_str("the log's timestamp"),
            TimeSource::Header(name) => write!(f, "header {name}"),
            TimeSource::Field(pointer) => write!(f, "field {pointer} of the value"),
        }
    }
}

/// Id and event time of a record in one go: JSON is parsed once for both.
pub fn read(
    id: &IdSource,
    time: &TimeSource,
    records: &Records,
    row: usize,
) -> (Option<Id>, Timestamp) {
    let (IdSource::Field(id), TimeSource::Field(time)) = (id, time) else {
        return (id.read(records, row), time.read(records, row));
    };
    let Some(json) = records.values.get(row) else { return (None, NO_TIME) };
    let [id, time] = pick(json, [id, time]);
    (id.as_ref().and_then(id_of), time.as_ref().and_then(time_of).unwrap_or(NO_TIME))
}

fn id_of(json: &serde_json::Value) -> Option<Id> {
    match json {
        serde_json::Value::String(text) => Some(hash(text.as_bytes())),
        serde_json::Value::Null => None,
        other => Some(hash(other.to_string().as_bytes())),
    }
}

fn time_of(json: &serde_json::Value) -> Option<Timestamp> {
    match json {
        serde_json::Value::Number(number) => number.as_i64(),
        serde_json::Value::String(text) => time_of_text(text),
        _ => None,
    }
}

fn parse(bytes: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(bytes).ok()
}

/// JSON with sorted keys and without spaces; `None` if it is no JSON.
fn canonical_json(bytes: &[u8]) -> Option<Vec<u8>> {
    // The map of serde_json is sorted unless its feature `preserve_order` is on.
    serde_json::to_vec(&parse(bytes)?).ok()
}

/// The id as text for messages and metadata.
pub fn hex_text(id: Id) -> String {
    let mut text = String::with_capacity(32);
    write!(text, "{id:032x}").expect("writing to a String cannot fail");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    #[test]
    fn json_content_is_one_id_whatever_the_order_of_its_fields() {
        let mut records = Records::default();
        for value in [&br#"{"a":1,"b":[2,3]}"#[..], br#"{ "b" : [2, 3], "a" : 1 }"#, b"{\"a\":2}"] {
            records.push(Record { value: Some(value), ..Record::default() });
        }
        let id = |row| IdSource::ContentJson.read(&records, row);
        assert_eq!(id(0), id(1));
        assert_ne!(id(0), id(2));
    }

    #[test]
    fn a_time_is_read_from_number_and_from_text_and_rounded_down() {
        assert_eq!(time_of_text("1234"), Some(1234));
        assert_eq!(time_of_text("1970-01-01T00:00:00.0019Z"), Some(1));
        assert_eq!(time_of_text("1969-12-31T23:59:59.9999Z"), Some(-1));
        assert_eq!(time_of_text("yesterday"), None);
        assert_eq!(text_of_time(1), "1970-01-01T00:00:00.001Z");
    }

    #[test]
    fn the_row_hash_sees_every_field() {
        let base =
            Record { key: Some(b"k"), value: Some(b"v"), event_time: 5, ..Record::default() };
        let variants = [
            base,
            Record { key: None, ..base },
            Record { key: Some(b""), ..base },
            Record { value: None, ..base },
            Record { value: Some(b""), ..base },
            Record { event_time: 6, ..base },
            Record { headers: &[("h", b"x")], ..base },
            Record { headers: &[("h", b"y")], ..base },
        ];
        let mut records = Records::default();
        variants.iter().for_each(|record| records.push(*record));
        let hashes: std::collections::BTreeSet<u128> =
            (0..variants.len()).map(|row| row_hash(0, &records, row, None)).collect();
        assert_eq!(hashes.len(), variants.len());
        assert_ne!(row_hash(0, &records, 0, None), row_hash(0, &records, 0, Some(b"id")));
        for id in [0xab, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210, hash(b"x")] {
            assert_eq!(hex(id).as_slice(), hex_text(id).as_bytes());
        }
    }
}
