//! Samples from a file of lines. A line is a whole record if it is one as `pawl consume --json`
//! prints it, and else a value.

use crate::failure::usage;
use crate::record_json::Given;
use anyhow::Result;
use clap::ValueEnum;
use pawl_conformance::Sample;
use pawl_core::identity::time_of_text;
use pawl_core::record::NO_TIME;
use serde_json::Value;
use std::path::Path;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Unit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl Unit {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Unit::S => "s",
            Unit::Ms => "ms",
            Unit::Us => "us",
            Unit::Ns => "ns",
        }
    }

    fn to_ms(self, number: f64) -> i64 {
        let factor = match self {
            Unit::S => 1_000.0,
            Unit::Ms => 1.0,
            Unit::Us => 0.001,
            Unit::Ns => 0.000_001,
        };
        (number * factor).floor() as i64
    }
}

/// Where values hold what a record needs.
pub struct Fields {
    /// JSON pointer of the event time.
    pub time: Option<String>,
    /// What a number there counts.
    pub unit: Unit,
    /// JSON pointer of the key.
    pub key: Option<String>,
}

/// Reads all samples of a file; blank lines are none.
pub fn read(file: &Path, fields: &Fields) -> Result<Vec<Sample>> {
    for pointer in fields.time.iter().chain(&fields.key) {
        if !pointer.starts_with('/') {
            return Err(usage(format!("{pointer:?} is no JSON pointer: write /{pointer}")));
        }
    }
    let bytes = std::fs::read(file)
        .map_err(|error| usage(format!("could not read {}: {error}", file.display())))?;
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let samples: Vec<Sample> = lines
        .map(|(at, line)| (at + 1, line.strip_suffix(b"\r").unwrap_or(line)))
        .filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace))
        .map(|(number, line)| sample(number, line, fields))
        .collect();
    if samples.is_empty() {
        return Err(usage(format!("{} has no samples: one per line", file.display())));
    }
    let timeless = samples.iter().all(|sample| sample.event_time.is_none());
    match &fields.time {
        Some(pointer) if timeless => Err(usage(format!(
            "no sample of {} has a time at {pointer} (--time-field)",
            file.display()
        ))),
        _ => Ok(samples),
    }
}

fn sample(number: usize, line: &[u8], fields: &Fields) -> Sample {
    let json = serde_json::from_slice::<Value>(line).ok();
    let mut sample = match json.as_ref().filter(|json| is_record(json)) {
        Some(_) => whole(number, line),
        None => None,
    }
    .unwrap_or_else(|| Sample::of_value(number, line.to_vec()));
    let held = sample.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
    let Some(held): Option<Value> = held else { return sample };
    let at = |pointer: &Option<String>| held.pointer(pointer.as_deref()?).cloned();
    match at(&fields.time) {
        Some(Value::Number(time)) => {
            sample.event_time = match (time.as_i64(), fields.unit) {
                (Some(time), Unit::Ms) => Some(time),
                _ => time.as_f64().map(|time| fields.unit.to_ms(time)),
            };
        }
        Some(Value::String(text)) => sample.event_time = time_of_text(&text),
        _ => {}
    }
    match at(&fields.key) {
        Some(Value::String(text)) => sample.key = Some(text.into_bytes()),
        Some(Value::Null) | None => {}
        Some(other) => sample.key = Some(other.to_string().into_bytes()),
    }
    sample
}

/// Whether it says where it was read, as printed records do.
fn is_record(json: &Value) -> bool {
    ["topic", "partition", "offset"].iter().all(|name| json.get(name).is_some())
}

fn whole(number: usize, line: &[u8]) -> Option<Sample> {
    let given = Given::parse(line).ok()?;
    let headers = given.headers();
    let record = given.record(&headers);
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let of = headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec()));
    Some(Sample {
        name: format!("line {number}"),
        headers: of.collect(),
        event_time: Some(record.event_time).filter(|time| *time != NO_TIME),
        key: owned(record.key),
        value: owned(record.value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(time: Option<&str>, unit: Unit) -> Fields {
        Fields { time: time.map(str::to_owned), unit, key: Some("/k".to_owned()) }
    }

    #[test]
    fn a_line_is_a_record_if_it_says_where_it_was_read_and_else_a_value() {
        let line = br#"{"topic":"t","partition":0,"offset":7,"timestamp":1,"event_time":5,
            "key":"k","value":"v","headers":{"a":"b"},"priority":128}"#;
        let record = sample(3, line, &fields(None, Unit::Ms));
        assert_eq!(
            (record.key.as_deref(), record.value.as_deref()),
            (Some(&b"k"[..]), Some(&b"v"[..]))
        );
        assert_eq!((record.event_time, record.headers.len()), (Some(5), 1));
        let value = sample(4, br#"{"k":7,"t":1.5}"#, &fields(Some("/t"), Unit::S));
        assert_eq!(value.value.as_deref(), Some(&br#"{"k":7,"t":1.5}"#[..]));
        assert_eq!((value.key.as_deref(), value.event_time), (Some(&b"7"[..]), Some(1500)));
        let text =
            sample(5, br#"{"k":"x","t":"1970-01-01T00:00:02Z"}"#, &fields(Some("/t"), Unit::Ns));
        assert_eq!((text.key.as_deref(), text.event_time), (Some(&b"x"[..]), Some(2000)));
        let plain = sample(6, b"no JSON", &fields(Some("/t"), Unit::Ms));
        assert_eq!((plain.name.as_str(), plain.event_time), ("line 6", None));
    }
}
