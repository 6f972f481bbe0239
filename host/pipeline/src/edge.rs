//! Edges in their checked form: where ids and event times come from, dedup and watermark.
//! Their meaning is that of `time-order-replay.md`, sections 1 and 2; nothing is computed here.

use serde_json::{Value, json};

/// What joins a source or an operator to the next operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Where a record's id comes from.
    pub id: IdSource,
    /// Where a record's event time comes from.
    pub event_time: TimeSource,
    /// If this edge makes a watermark: how.
    pub watermark: Option<Watermark>,
    /// If this edge drops copies: how many ids it remembers.
    pub dedup: Option<Dedup>,
}

/// Where a record's id comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdSource {
    /// Topic, partition and offset.
    Position,
    /// The record's key.
    Key,
    /// Hash of the value's bytes.
    Content,
    /// Hash of the value as JSON with sorted keys.
    ContentJson,
    /// What the record brings; derived by the host where it brings none.
    Own,
    /// The header of this name.
    Header(String),
    /// A JSON pointer into the value.
    Field(String),
}

/// Where a record's event time comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// Records have none.
    None,
    /// The log's timestamp of the record.
    Timestamp,
    /// What the record brings.
    Own,
    /// The header of this name.
    Header(String, TimeUnit),
    /// A JSON pointer into the value.
    Field(String, TimeUnit),
}

/// How a header or a field tells the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Digits are milliseconds since the Unix epoch, other text is RFC 3339.
    Either,
    /// Milliseconds since the Unix epoch.
    Milliseconds,
    /// RFC 3339 text.
    Rfc3339,
}

/// How an edge makes its watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Milliseconds that a record may lie behind the largest event time so far.
    pub disorder_ms: u64,
    /// The watermark is a multiple of so many milliseconds.
    pub step_ms: u64,
    /// Milliseconds that a record may lie ahead of the log's clock, or of the watermark alone.
    pub jump_max_ms: u64,
    /// Records with different ids and keys that must agree before time jumps further.
    pub agree: u32,
}

/// How many ids an edge remembers; the smaller bound rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dedup {
    /// Milliseconds of event time.
    pub horizon_ms: u64,
    /// Ids, on each partition.
    pub ids_max: u64,
}

impl Edge {
    /// All that determines results, as JSON. The text goes into the digest of the effective
    /// configuration: a change here makes every running pipeline switch.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": match &self.id {
                IdSource::Header(name) => json!({ "header": name }),
                IdSource::Field(pointer) => json!({ "field": pointer }),
                other => json!(other.word()),
            },
            "event_time": match &self.event_time {
                TimeSource::None => json!("none"),
                TimeSource::Timestamp => json!("timestamp"),
                TimeSource::Own => json!("own"),
                TimeSource::Header(name, unit) => json!({ "header": name, "unit": unit.word() }),
                TimeSource::Field(field, unit) => json!({ "field": field, "unit": unit.word() }),
            },
            "watermark": self.watermark.as_ref().map(|watermark| json!({
                "disorder_ms": watermark.disorder_ms,
                "step_ms": watermark.step_ms,
                "jump_max_ms": watermark.jump_max_ms,
                "agree": watermark.agree,
            })),
            "dedup": self.dedup.as_ref().map(|dedup| json!({
                "horizon_ms": dedup.horizon_ms,
                "ids_max": dedup.ids_max,
            })),
        })
    }
}

impl IdSource {
    /// For messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            IdSource::Header(name) => format!("header {name}"),
            IdSource::Field(pointer) => format!("field {pointer}"),
            other => other.word().to_owned(),
        }
    }

    /// As in the file, where a word stands there.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            IdSource::Position => "position",
            IdSource::Key => "key",
            IdSource::Content => "content",
            IdSource::ContentJson => "content-json",
            IdSource::Own => "own",
            IdSource::Header(_) => "header",
            IdSource::Field(_) => "field",
        }
    }
}

impl TimeUnit {
    pub(crate) fn word(self) -> &'static str {
        match self {
            TimeUnit::Either => "either",
            TimeUnit::Milliseconds => "ms",
            TimeUnit::Rfc3339 => "rfc3339",
        }
    }
}
