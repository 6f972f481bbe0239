//! A dead letter that was sent back: what its headers say of the record that enters again, and
//! what is carried along if it fails once more. The counterpart of `dead_letter::write`.
//!
//! Whatever lies in the topic is read; what makes no sense becomes a dead letter, never an error.

use crate::column::ByteColumn;
use crate::identity::{self, Id};
use crate::record::{NO_TIME, Records, Timestamp};

/// Headers that a later dead letter of the same record bears as they are.
const KEPT: [&str; 7] = [
    "pawl-first-timestamp",
    "pawl-replay-id",
    "pawl-topic",
    "pawl-partition",
    "pawl-offset",
    "pawl-record-timestamp",
    "pawl-root",
];

/// A row that was sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentBack {
    /// Name of the operator before which it enters; empty if it is no dead letter.
    pub entry: String,
    /// The id that it had at the edge before that operator.
    pub item: Option<Id>,
    /// The id that the record brings.
    pub own_id: Option<Vec<u8>>,
    /// Its event time or `NO_TIME`.
    pub event_time: Timestamp,
    /// What the log said of its root, or 0.
    pub timestamp: Timestamp,
    /// Hash of the id of the dead letter that it was.
    pub letter: Id,
    /// How often it was sent back, this time included.
    pub attempt: u64,
    kept: Vec<(&'static str, Vec<u8>)>,
}

impl SentBack {
    /// Reads the row at `row`, which stands at `offset` of partition `partition` of `topic`.
    pub fn read(records: &Records, row: usize, place: (&str, u32, u64)) -> Self {
        let bytes = |name: &str| records.header(name).and_then(|column| column.get(row));
        let text = |name: &str| {
            bytes(name).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
        };
        let (topic, partition, offset) = place;
        let Some(letter) = bytes("pawl-id").filter(|_| bytes("pawl-dlq") == Some(b"1")) else {
            let [partition, offset] = [u64::from(partition), offset].map(|n| n.to_string());
            let places = [("pawl-topic", topic), ("pawl-partition", &partition)];
            let places = places.into_iter().chain([("pawl-offset", offset.as_str())]);
            return Self {
                entry: String::new(),
                item: None,
                own_id: None,
                event_time: NO_TIME,
                timestamp: 0,
                letter: identity::hash(format!("{topic}/{partition}/{offset}").as_bytes()),
                attempt: 0,
                kept: places.map(|(name, text)| (name, text.as_bytes().to_vec())).collect(),
            };
        };
        let item = text("pawl-item-id");
        let own_id = bytes("pawl-record-id").filter(|own| *own != item.as_bytes());
        let time = |name: &str| identity::time_of_text(text(name));
        Self {
            entry: text("pawl-entry").to_owned(),
            item: id_of(item),
            own_id: own_id.filter(|own| !own.is_empty()).map(<[u8]>::to_vec),
            event_time: time("pawl-event-time").unwrap_or(NO_TIME),
            timestamp: time("pawl-record-timestamp").unwrap_or(0),
            letter: identity::hash(letter),
            // It has been sent back at least once: here it is.
            attempt: text("pawl-replay-count").parse().unwrap_or(1).max(1),
            kept: KEPT.iter().filter_map(|name| Some((*name, bytes(name)?.to_vec()))).collect(),
        }
    }

    /// A header that a later dead letter bears as it is.
    pub fn kept(&self, name: &str) -> Option<&[u8]> {
        let found = self.kept.iter().find(|(kept, _)| *kept == name);
        found.map(|(_, value)| value.as_slice())
    }

    /// Where its root stands, `topic/partition/offset`.
    pub fn origin(&self, column: &mut ByteColumn) {
        let part = |name| self.kept(name).unwrap_or_default();
        let parts = [part("pawl-topic"), part("pawl-partition"), part("pawl-offset")];
        column.push(Some(&parts.join(&b'/')));
    }
}

/// An id from 32 hexadecimal digits.
fn id_of(text: &str) -> Option<Id> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    fn read(headers: &[(&str, &[u8])]) -> SentBack {
        let mut records = Records::default();
        records.push(Record { value: Some(b"v"), headers, ..Record::default() });
        SentBack::read(&records, 0, ("back", 3, 7))
    }

    #[test]
    fn what_is_no_dead_letter_comes_from_where_it_lies() {
        let id = ("pawl-id", &b"x"[..]);
        for headers in [vec![], vec![id], vec![id, ("pawl-dlq", b"2")]] {
            let stray = read(&headers);
            assert_eq!((stray.entry.as_str(), stray.attempt), ("", 0));
            let mut origin = ByteColumn::default();
            stray.origin(&mut origin);
            assert_eq!(origin.get(0), Some(&b"back/3/7"[..]));
        }
    }

    #[test]
    fn headers_that_make_no_sense_count_as_absent() {
        let letter = read(&[
            ("pawl-dlq", b"1"),
            ("pawl-id", b"\xff"),
            ("pawl-entry", b"\xff\xfe"),
            ("pawl-item-id", b"+123456789abcdef0123456789abcdef"),
            ("pawl-event-time", b"yesterday"),
            ("pawl-replay-count", b"-5"),
        ]);
        assert_eq!((letter.entry.as_str(), letter.item, letter.attempt), ("", None, 1));
        assert_eq!((letter.event_time, letter.timestamp), (NO_TIME, 0));
        let lost = read(&[("pawl-dlq", b"1"), ("pawl-id", b"a"), ("pawl-record-id", b"")]);
        assert_eq!(lost.own_id, None);
    }

    #[test]
    fn an_id_of_its_own_is_told_from_the_one_that_the_edge_gave() {
        let hex = b"000000000000000000000000000000ff";
        let given = [("pawl-dlq", &b"1"[..]), ("pawl-id", b"a"), ("pawl-item-id", hex)];
        let with = |own: &'static [u8]| read(&[&given[..], &[("pawl-record-id", own)]].concat());
        assert_eq!((with(hex).own_id, with(hex).item), (None, Some(255)));
        assert_eq!((with(b"n7").own_id, with(b"n7").item), (Some(b"n7".to_vec()), Some(255)));
    }
}
