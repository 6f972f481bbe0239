//! Whole records as lines of JSON: what `consume --json` prints and `produce --json` takes.
//!
//! ```text
//! {"topic":"t","partition":0,"offset":7,"timestamp":1,"event_time":null,"id":null,"key":"k",
//!  "value":"v","headers":{"name":"value"},"priority":128}
//! ```
//!
//! Times are milliseconds since the Unix epoch. Bytes that are no UTF-8 stand in `id_base64`,
//! `key_base64`, `value_base64` and `headers_base64` instead: no byte is ever replaced.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pawl_core::identity;
use pawl_core::record::{
    Control, NO_TIME, Offset, PRIORITY_DEFAULT, Producer, Record, Records, Timestamp,
};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A record as it is printed.
#[derive(Debug, Serialize)]
pub struct Printed<'a> {
    topic: &'a str,
    partition: u32,
    offset: Offset,
    timestamp: Timestamp,
    event_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    headers: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers_base64: BTreeMap<&'a str, String>,
    priority: u8,
}

/// A control row as it is printed.
#[derive(Debug, Serialize)]
pub struct PrintedControl<'a> {
    topic: &'a str,
    partition: u32,
    offset: Offset,
    control: ControlFields,
}

#[derive(Debug, Serialize)]
struct ControlFields {
    generation: u64,
    producer: String,
    producers: Vec<String>,
    number: u64,
    watermark: Option<Timestamp>,
    active: bool,
}

impl<'a> Printed<'a> {
    /// The record in this row, which lies at this place.
    pub fn new(at: (&'a str, u32, Offset), records: &'a Records, row: usize) -> Self {
        let (topic, partition, offset) = at;
        let (id, id_base64) = split(records.ids.get(row));
        let (key, key_base64) = split(records.keys.get(row));
        let (value, value_base64) = split(records.values.get(row));
        let (mut headers, mut headers_base64) = (BTreeMap::new(), BTreeMap::new());
        for header in &records.headers {
            let Some(bytes) = header.column.get(row) else { continue };
            match std::str::from_utf8(bytes) {
                Ok(text) => drop(headers.insert(header.name.as_str(), text)),
                Err(_) => drop(headers_base64.insert(header.name.as_str(), STANDARD.encode(bytes))),
            }
        }
        Self {
            topic,
            partition,
            offset,
            timestamp: records.timestamps.get(row).copied().unwrap_or_default(),
            event_time: records.event_times.get(row).copied().and_then(known),
            id,
            id_base64,
            key,
            key_base64,
            value,
            value_base64,
            headers,
            headers_base64,
            priority: records.priorities.get(row).copied().unwrap_or(PRIORITY_DEFAULT),
        }
    }
}

impl<'a> PrintedControl<'a> {
    /// The control row that lies at this place.
    pub fn new(at: (&'a str, u32, Offset), control: &Control) -> Self {
        let (topic, partition, offset) = at;
        let producer = |producer: &Producer| format!("{}/{}", producer.stage, producer.partition);
        let control = ControlFields {
            generation: control.generation,
            producer: producer(&control.producer),
            producers: control.producers.iter().map(producer).collect(),
            number: control.number,
            watermark: known(control.watermark),
            active: control.active,
        };
        Self { topic, partition, offset, control }
    }
}

/// Bytes as text, or in base64 if they are none; absent bytes are a text that is null.
fn split(bytes: Option<&[u8]>) -> (Option<Option<&str>>, Option<String>) {
    match bytes.map(std::str::from_utf8) {
        None => (Some(None), None),
        Some(Ok(text)) => (Some(Some(text)), None),
        Some(Err(_)) => (None, bytes.map(|bytes| STANDARD.encode(bytes))),
    }
}

fn known(time: Timestamp) -> Option<Timestamp> {
    (time != NO_TIME).then_some(time)
}

/// A record as it is taken. Where it came from (topic, partition, offset, timestamp) may be told
/// and does not matter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default, rename = "topic")]
    _topic: IgnoredAny,
    #[serde(default, rename = "partition")]
    _partition: IgnoredAny,
    #[serde(default, rename = "offset")]
    _offset: IgnoredAny,
    #[serde(default, rename = "timestamp")]
    _timestamp: IgnoredAny,
    event_time: Option<Time>,
    id: Option<String>,
    id_base64: Option<String>,
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    headers_base64: Option<BTreeMap<String, String>>,
    priority: Option<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "event_time should be milliseconds, or text in RFC 3339")]
enum Time {
    Milliseconds(i64),
    Text(String),
}

/// A record that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Given {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
    event_time: Timestamp,
    priority: u8,
    headers: BTreeMap<String, Vec<u8>>,
}

impl Given {
    /// Reads a line. Says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let fields: Fields = serde_json::from_slice(line).map_err(|error| described(&error))?;
        let event_time = match fields.event_time {
            None => NO_TIME,
            Some(Time::Milliseconds(time)) => time,
            Some(Time::Text(text)) => identity::time_of_text(&text)
                .ok_or("event_time should be milliseconds, or text in RFC 3339")?,
        };
        let texts = fields.headers.unwrap_or_default().into_iter();
        let mut headers: BTreeMap<String, Vec<u8>> =
            texts.map(|(name, text)| (name, text.into_bytes())).collect();
        for (name, text) in fields.headers_base64.unwrap_or_default() {
            let bytes = decode("headers_base64", &text)?;
            headers.insert(name, bytes);
        }
        Ok(Self {
            id: join("id", fields.id, fields.id_base64)?,
            key: join("key", fields.key, fields.key_base64)?,
            value: join("value", fields.value, fields.value_base64)?,
            event_time,
            priority: fields.priority.unwrap_or(PRIORITY_DEFAULT),
            headers,
        })
    }

    /// Its headers, as a record borrows them.
    pub fn headers(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }

    /// The record, with what `headers` gave.
    pub fn record<'a>(&'a self, headers: &'a [(&'a str, &'a [u8])]) -> Record<'a> {
        Record {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            id: self.id.as_deref(),
            event_time: self.event_time,
            timestamp: 0,
            priority: self.priority,
            headers,
        }
    }
}

/// What the parser says, without its line: here that is always the first.
fn described(error: &serde_json::Error) -> String {
    let (text, column) = (error.to_string(), error.column());
    match text.strip_suffix(&format!(" at line {} column {column}", error.line())) {
        Some(what) => format!("{what} (column {column})"),
        None => text,
    }
}

fn join(
    name: &str,
    text: Option<String>,
    base64: Option<String>,
) -> Result<Option<Vec<u8>>, String> {
    match (text, base64) {
        (text, None) => Ok(text.map(String::into_bytes)),
        (None, Some(base64)) => decode(&format!("{name}_base64"), &base64).map(Some),
        (Some(_), Some(_)) => Err(format!("{name} and {name}_base64 are both given")),
    }
}

fn decode(name: &str, text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| format!("{name} is not base64: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_as_the_same_record() {
        let mut records = Records::default();
        let binary: &[u8] = &[0xff, 0, b'"', 0x80];
        let headers: &[(&str, &[u8])] = &[("a", b"x\n"), ("b", binary), ("c", b"")];
        let base = Record { event_time: NO_TIME, ..Record::default() };
        records.push(Record { key: Some(b""), value: Some(b"{\"x\":1}"), ..base });
        records.push(Record { value: Some(binary), headers, event_time: -5, ..base });
        records.push(Record { key: Some(binary), id: Some(binary), priority: 255, ..base });
        records.push(Record { id: Some(b"id"), headers, ..base });
        let mut again = Records::default();
        for row in 0..records.len() {
            let line = serde_json::to_vec(&Printed::new(("t", 1, 2), &records, row)).unwrap();
            let given = Given::parse(&line).unwrap();
            again.push(given.record(&given.headers()));
        }
        assert_eq!(again, records);
    }

    #[test]
    fn a_field_that_is_not_known_or_not_right_is_named() {
        for (line, named) in [
            (r#"{"vlaue":"x"}"#, "vlaue"),
            (r#"{"value":"x","value_base64":"eA=="}"#, "value_base64"),
            (r#"{"key_base64":"!"}"#, "key_base64"),
            (r#"{"event_time":"yesterday"}"#, "event_time"),
            (r#"{"event_time":[]}"#, "event_time"),
            (r#"{"priority":256}"#, "256"),
            ("[1]", "expected"),
        ] {
            let error = Given::parse(line.as_bytes()).unwrap_err();
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
