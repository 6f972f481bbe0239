//! A dead letter, format 1: the refused operator's input byte for byte, and beside it in headers
//! that begin with `pawl-` why, where and when.
//!
//! | header | meaning |
//! |---|---|
//! | `pawl-dlq` | format version, `1` |
//! | `pawl-id` | hash of the root's id, the refused value, the path and the attempt |
//! | `pawl-timestamp`, `pawl-first-timestamp` | when it failed last and first |
//! | `pawl-pipeline`, `pawl-stage`, `pawl-operator`, `pawl-entry` | where; where to re-enter |
//! | `pawl-operator-version`, `pawl-component`, `pawl-abi` | what refused it |
//! | `pawl-class`, `pawl-disposition` | permanent, transient, late; rejected, trap, ... |
//! | `pawl-error-kind`, `pawl-error-message` | why |
//! | `pawl-retry-count`, `pawl-replay-count` | attempts in place; times sent back |
//! | `pawl-replay-id` | which run of the tool sent it back last |
//! | `pawl-topic`, `pawl-partition`, `pawl-offset`, `pawl-record-timestamp` | the root record |
//! | `pawl-root` | the root's value, base64, where it differs from the value and fits |
//! | `pawl-event-time`, `pawl-record-id`, `pawl-schema-version`, `pawl-epoch` | of the record |
//! | `pawl-item-id` | the id by which the edge before the operator knew it, in hexadecimal |
//! | `pawl-trace-parent` | the record's `traceparent`, if it brings one |
//!
//! Of a record that was sent back and fails again, what tells of its root stays as it was.

use crate::decision::PathStep;
use crate::identity::{self, Id};
use crate::record::{NO_TIME, Record, Records, Timestamp};
use crate::sent_back::SentBack;
use crate::spec::{OperatorSpec, Spec};

/// Version of the contract between host and operators that a dead letter names.
pub const ABI: &str = "pawl:operator@0.1.0";

/// Bytes of an error message at most.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// Bytes of a root's value that is carried along at most.
pub const ROOT_BYTES_MAX: usize = 64 * 1024;

/// Why a record became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `permanent`, `transient` or `late`.
    pub class: &'static str,
    /// `rejected`, `trap`, `timeout`, `memory`, `host-crash`, `sink-rejected`,
    /// `retries-exhausted`, `delivery-unknown`.
    pub disposition: String,
    /// Short stable name.
    pub kind: String,
    /// For a person.
    pub message: String,
    /// Attempts made in place before giving up, the first aside.
    pub retries: u64,
}

/// The refused record and what it came from.
pub struct Refused<'a> {
    /// Columns of the refused record.
    pub records: &'a Records,
    /// Its row there.
    pub row: usize,
    /// Its id.
    pub id: Id,
    /// Its event time or `NO_TIME`.
    pub event_time: Timestamp,
    /// From the root down to it.
    pub path: &'a [PathStep],
    /// Index of the operator that refused it or before whose edge it failed.
    pub operator: usize,
    /// Id of the root: of its position, or of what it brings where it may be a copy; of the tick.
    pub root_id: Id,
    /// Offset of the root row; for a tick, the offset behind the row before it.
    pub offset: u64,
    /// The root row, if the root is one: its columns and its row there.
    pub root: Option<(&'a Records, usize)>,
    /// What is told of the root row, if it was sent back.
    pub sent_back: Option<&'a SentBack>,
}

/// Adds the dead letter to `out`. Returns its id: the same however often the host crashes.
pub fn write(
    out: &mut Records,
    refused: &Refused<'_>,
    cause: &Cause,
    spec: &Spec,
    epoch: u64,
    now: Timestamp,
) -> Id {
    let value = refused.records.values.get(refused.row);
    let id = id_of(refused, value);
    let id_text = identity::hex_text(id);
    let now = identity::text_of_time(now);
    let (operator, name) = operator_of(refused, spec);
    let event_time = text_of(refused.event_time);
    let logged = refused.root.and_then(|(records, row)| records.timestamps.get(row));
    let record_timestamp = logged.map(|time| text_of(*time)).unwrap_or_default();
    let root = root_of(refused, value, spec);
    let schema = schema_version(value);
    let numbers = [refused.offset, u64::from(spec.task.partition), epoch].map(|n| n.to_string());
    let retries = cause.retries.to_string();
    let replays = refused.sent_back.map_or(0, |letter| letter.attempt).to_string();
    let item_id = identity::hex(refused.id);
    let mut headers: Vec<(&str, &[u8])> = own_headers(refused);
    let parent = headers.iter().find(|(name, _)| *name == "traceparent").map(|(_, value)| *value);
    let metadata = [
        ("pawl-dlq", "1"),
        ("pawl-id", &id_text),
        ("pawl-timestamp", &now),
        ("pawl-first-timestamp", &now),
        ("pawl-pipeline", &spec.pipeline),
        ("pawl-stage", &spec.task.stage),
        ("pawl-operator", name),
        ("pawl-entry", name),
        ("pawl-operator-version", operator.map_or("", |operator| operator.version.as_str())),
        ("pawl-component", operator.map_or("", |operator| operator.component.as_str())),
        ("pawl-abi", ABI),
        ("pawl-class", cause.class),
        ("pawl-disposition", &cause.disposition),
        ("pawl-error-kind", &cause.kind),
        ("pawl-error-message", bounded(&cause.message)),
        ("pawl-retry-count", &retries),
        ("pawl-replay-count", &replays),
        ("pawl-topic", &spec.input),
        ("pawl-partition", &numbers[1]),
        ("pawl-offset", &numbers[0]),
        ("pawl-record-timestamp", &record_timestamp),
        ("pawl-event-time", &event_time),
        ("pawl-schema-version", &schema),
        ("pawl-epoch", &numbers[2]),
    ];
    let kept = |name: &str| refused.sent_back.and_then(|letter| letter.kept(name));
    let metadata = metadata.iter();
    headers.extend(metadata.map(|(name, own)| (*name, kept(name).unwrap_or(own.as_bytes()))));
    // Bytes as they are: what is sent back must bear the id that it had.
    let own_id = refused.records.ids.get(refused.row).unwrap_or(&item_id);
    headers.push(("pawl-record-id", own_id));
    headers.push(("pawl-item-id", &item_id));
    for (name, value) in [
        ("pawl-trace-parent", parent),
        ("pawl-root", root.as_ref().map(|root| root.as_bytes())),
        ("pawl-replay-id", kept("pawl-replay-id")),
    ] {
        headers.extend(value.map(|value| (name, value)));
    }
    push(out, refused, &id_text, &headers);
    id
}

/// The operator that refused it, and its name. A record that no operator knows stays addressed as
/// it was.
fn operator_of<'a>(refused: &Refused<'a>, spec: &'a Spec) -> (Option<&'a OperatorSpec>, &'a str) {
    let is_known = |letter: &SentBack| spec.operators.iter().any(|op| op.name == letter.entry);
    if let Some(letter) = refused.sent_back.filter(|letter| !is_known(letter)) {
        return (None, &letter.entry);
    }
    let operator = spec.operators.get(refused.operator);
    (operator, operator.map_or("", |operator| operator.name.as_str()))
}

fn push(out: &mut Records, refused: &Refused<'_>, id: &str, headers: &[(&str, &[u8])]) {
    out.push(Record {
        key: refused.records.keys.get(refused.row),
        value: refused.records.values.get(refused.row),
        id: Some(id.as_bytes()),
        event_time: refused.event_time,
        timestamp: 0,
        priority: refused.records.priorities.get(refused.row).copied().unwrap_or_default(),
        headers,
    });
}

/// The root's value where it is another and fits.
fn root_of(refused: &Refused<'_>, value: Option<&[u8]>, spec: &Spec) -> Option<String> {
    if let Some(letter) = refused.sent_back {
        if let Some(root) = letter.kept("pawl-root") {
            return std::str::from_utf8(root).ok().map(str::to_owned);
        }
        // Only before the first operator it was the root itself that was refused.
        if spec.operators.first().is_none_or(|first| first.name != letter.entry) {
            return None;
        }
    }
    let (records, row) = refused.root?;
    let root = records.values.get(row)?;
    (Some(root) != value && root.len() <= ROOT_BYTES_MAX).then(|| base64(root))
}

fn id_of(refused: &Refused<'_>, value: Option<&[u8]>) -> Id {
    let mut text = Vec::with_capacity(64);
    text.extend_from_slice(&refused.root_id.to_le_bytes());
    text.extend_from_slice(&value.map_or(0, identity::hash).to_le_bytes());
    for step in refused.path {
        text.extend_from_slice(&step.operator.to_le_bytes());
        text.extend_from_slice(&step.index.to_le_bytes());
    }
    text.extend_from_slice(&(refused.operator as u16).to_le_bytes());
    // The attempt: a record that was sent back and fails again is another dead letter.
    let attempt = refused.sent_back.map_or(0, |letter| letter.attempt as u32);
    text.extend_from_slice(&attempt.to_le_bytes());
    identity::hash(&text)
}

/// The record's own headers; those that look like ours would be mistaken for metadata.
fn own_headers<'a>(refused: &Refused<'a>) -> Vec<(&'a str, &'a [u8])> {
    let headers = refused.records.headers.iter();
    headers
        .filter(|header| !header.name.starts_with("pawl-"))
        .filter_map(|header| Some((header.name.as_str(), header.column.get(refused.row)?)))
        .collect()
}

fn text_of(time: Timestamp) -> String {
    if time == NO_TIME { String::new() } else { identity::text_of_time(time) }
}

/// `schema_version` at the top of a JSON payload, else empty. Looks at small payloads only.
fn schema_version(value: Option<&[u8]>) -> String {
    let Some(value) = value.filter(|value| value.len() <= ROOT_BYTES_MAX) else {
        return String::new();
    };
    let json: Option<serde_json::Value> = serde_json::from_slice(value).ok();
    match json.as_ref().and_then(|json| json.get("schema_version")) {
        Some(serde_json::Value::Number(number)) => number.to_string(),
        Some(serde_json::Value::String(text)) if text.len() <= 64 => text.clone(),
        _ => String::new(),
    }
}

pub(crate) fn bounded(text: &str) -> &str {
    let mut end = text.len().min(MESSAGE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_known_answers() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let text = "ä".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(bounded(&text).len(), MESSAGE_BYTES_MAX);
        let odd = format!("x{text}");
        assert_eq!(bounded(&odd).len(), MESSAGE_BYTES_MAX - 1);
    }
}
