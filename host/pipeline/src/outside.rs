//! Sinks and sources in their checked form: where effects leave the system, and where records
//! come in from outside. Plain values; what they mean is done in `pawl-sink` and `pawl-source`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Where the effects of a stage leave the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Where to.
    pub kind: SinkKind,
    /// How often a record that fails for a transient reason is tried again.
    pub retries_max: u32,
    /// What becomes of it then.
    pub at_retries_max: AtRetriesMax,
    /// Milliseconds before the first retry; doubled for each further one, with full jitter.
    pub backoff_ms: u64,
    /// Milliseconds at which doubling ends.
    pub backoff_max_ms: u64,
}

impl Sink {
    /// Whether a record that may have been taken is never sent again.
    pub fn is_at_most_once(&self) -> bool {
        matches!(&self.kind, SinkKind::Http(http) if http.mode == HttpMode::AtMostOnce)
    }
}

/// Where effects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// A table of a database.
    Sql(SqlSink),
    /// An HTTP receiver.
    Http(HttpSink),
    /// Files in a folder.
    File(FileSink),
}

/// What becomes of a record that was tried `retries_max` times again in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtRetriesMax {
    /// The task stops, and a person must act.
    Stop,
    /// It goes to the dead letters, disposition `retries-exhausted`.
    DeadLetter,
}

/// A table into which each record is put once: UPSERT by its key columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlSink {
    /// `postgres://user:password@host:port/database` or `sqlite:PATH`. The value of the
    /// environment variable where the file says `url_env`.
    pub url: Secret,
    /// The table, with its schema where it needs one.
    pub table: String,
    /// Columns that are written, and from what.
    pub columns: BTreeMap<String, ColumnSource>,
    /// The columns that name a record: a unique constraint must cover exactly them.
    pub key: Vec<String>,
    /// Milliseconds that one transaction may take.
    pub timeout_ms: u64,
}

/// What a column is filled from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnSource {
    /// The record's id.
    Id,
    /// The record's key.
    Key,
    /// The record's value as it is.
    Value,
    /// The record's event time.
    EventTime,
    /// A header.
    Header(String),
    /// A JSON pointer into the value.
    Field(String),
}

/// A receiver that is sent one POST for each record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSink {
    /// `http://` or `https://`.
    pub url: Secret,
    /// What is promised to a receiver that knows no keys.
    pub mode: HttpMode,
    /// Whether the header `Idempotency-Key` is sent.
    pub idempotency_key: bool,
    /// Further headers.
    pub headers: BTreeMap<String, Secret>,
    /// The secret with which bodies are signed.
    pub signature: Option<Secret>,
    /// Requests under way at once; never two with equal keys.
    pub concurrency_max: u32,
    /// Milliseconds that one request may take.
    pub timeout_ms: u64,
}

/// What is promised to a receiver that knows no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMode {
    /// A record is sent again unless the receiver is known to have it.
    AtLeastOnce,
    /// That it is about to be sent is durable before it is; then it is never sent again.
    AtMostOnce,
}

/// Files of a folder, each record in one of them once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSink {
    /// The folder.
    pub folder: std::path::PathBuf,
    /// How records are written.
    pub format: FileFormat,
    /// Bytes of a file at which the next one begins.
    pub file_bytes_max: u64,
    /// Milliseconds after which the next file begins.
    pub file_age_max_ms: u64,
}

/// How a file sink writes records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// The value of each record on a line of its own.
    JsonLines,
    /// Comma-separated values with a header line; columns in this order.
    Csv(Vec<(String, ColumnSource)>),
}

/// Where records come from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Lower-case letters, digits and `-`: usable as a folder's name.
    pub name: String,
    /// The topic that it feeds, by the key that the topic's `key` names.
    pub topic: String,
    /// Where from.
    pub kind: SourceKind,
    /// Bytes of one record.
    pub record_bytes_max: u64,
    /// Records of the topic that its slowest reader has not dealt with: above, the source waits.
    pub backlog_records_max: u64,
}

/// Where a source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Files, once each, in the order of their names; they may grow.
    File(FileSource),
    /// Standard input.
    Stdin(LineFormat),
    /// Requests of HTTP clients.
    Http(HttpSource),
}

/// Files to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSource {
    /// A path in which `*` and `?` stand for parts of a file's name.
    pub path: std::path::PathBuf,
    /// What they hold; names that end in `.gz` are unpacked.
    pub format: LineFormat,
    /// Whether to wait at the end of the last file for more, and for new files.
    pub follow: bool,
    /// Milliseconds between two looks for more.
    pub look_ms: u64,
}

/// What a file or standard input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// Each line is the value of a record.
    JsonLines,
    /// A header line; each further line becomes a JSON object of texts by the header's names.
    Csv,
}

/// An endpoint that takes records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSource {
    /// Address and port; port 0: any.
    pub listen: SocketAddr,
    /// The path to POST to.
    pub path: String,
    /// Bytes of one request's body.
    pub body_bytes_max: u64,
    /// Requests dealt with at once; more are answered 429.
    pub requests_max: u32,
    /// Idempotency keys remembered.
    pub keys_max: u64,
    /// What `Authorization: Bearer` must hold.
    pub token: Option<Secret>,
}

/// A text that is never shown: told in the file, or taken from an environment variable.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// In the file.
    Text(String),
    /// In the environment variable of this name.
    Environment(String),
}

impl Secret {
    /// The text. Fails with the name of a variable that is not set.
    pub fn reveal(&self) -> Result<String, String> {
        match self {
            Secret::Text(text) => Ok(text.clone()),
            Secret::Environment(name) => std::env::var(name)
                .map_err(|_| format!("the environment variable {name} is not set")),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Secret::Text(_) => f.write_str("Secret(..)"),
            Secret::Environment(name) => write!(f, "Secret(${name})"),
        }
    }
}

impl SinkKind {
    /// As in the file: `sql`, `http`, `file`.
    pub fn word(&self) -> &'static str {
        match self {
            SinkKind::Sql(_) => "sql",
            SinkKind::Http(_) => "http",
            SinkKind::File(_) => "file",
        }
    }
}

impl SourceKind {
    /// As in the file: `file`, `stdin`, `http`.
    pub fn word(&self) -> &'static str {
        match self {
            SourceKind::File(_) => "file",
            SourceKind::Stdin(_) => "stdin",
            SourceKind::Http(_) => "http",
        }
    }
}
