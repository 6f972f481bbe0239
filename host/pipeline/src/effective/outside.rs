//! The part of the effective configuration that looks outside: sources and sinks, and what of
//! them may be shown.

use super::{Writer, breaker, edge, one, relative};
use crate::outside::{
    AtRetriesMax, ColumnSource, FileFormat, FileSink, HttpMode, HttpSink, LineFormat, Secret, Sink,
    SinkKind, Source, SourceKind, SqlSink,
};
use crate::pipeline::Stage;
use crate::secret::{HIDDEN, without_secrets};
use std::path::Path;
use toml::Value;

impl Writer<'_> {
    fn secret(&mut self, name: &str, secret: &Secret, shown: impl Fn(&str) -> String) {
        match secret {
            Secret::Environment(variable) => self.field(&format!("{name}_env"), variable.as_str()),
            Secret::Text(text) => self.field(name, shown(text)),
        }
    }
}

fn line_format(format: LineFormat) -> &'static str {
    match format {
        LineFormat::JsonLines => "json-lines",
        LineFormat::Csv => "csv",
    }
}

/// Writes one source.
pub(super) fn source(source: &Source, writer: &mut Writer<'_>) {
    writer.header("[[source]]");
    writer.field("name", source.name.as_str());
    writer.field("topic", source.topic.as_str());
    writer.whole("record_bytes_max", source.record_bytes_max);
    writer.whole("backlog_records_max", source.backlog_records_max);
    writer.header(&format!("[source.{}]", source.kind.word()));
    match &source.kind {
        SourceKind::File(file) => {
            writer.path("path", &file.path);
            writer.field("format", line_format(file.format));
            writer.field("follow", file.follow);
            writer.whole("look_ms", file.look_ms);
        }
        SourceKind::Stdin(format) => writer.field("format", line_format(*format)),
        SourceKind::Http(http) => {
            writer.field("listen", http.listen.to_string());
            writer.field("path", http.path.as_str());
            writer.whole("body_bytes_max", http.body_bytes_max);
            writer.field("requests_max", http.requests_max);
            writer.whole("keys_max", http.keys_max);
            if let Some(token) = &http.token {
                writer.secret("token", token, |_| HIDDEN.to_owned());
            }
        }
    }
}

/// Writes one sink.
pub(super) fn sink(stage: &Stage, sink: &Sink, writer: &mut Writer<'_>) {
    writer.header("[[sink]]");
    writer.field("name", stage.name.as_str());
    writer.field("input", stage.input.as_str());
    writer.field("retries_max", sink.retries_max);
    writer.field(
        "at_retries_max",
        match sink.at_retries_max {
            AtRetriesMax::Stop => "stop",
            AtRetriesMax::DeadLetter => "dead-letter",
        },
    );
    writer.whole("backoff_ms", sink.backoff_ms);
    writer.whole("backoff_max_ms", sink.backoff_max_ms);
    if !matches!(sink.kind, SinkKind::Http(_)) {
        writer.field("batch_records_max", stage.batch_records_max);
    }
    writer.header("[sink.breaker]");
    breaker(&stage.breaker, writer);
    if let Some(operator) = stage.operators.first() {
        edge(&operator.edge, "sink.edge", false, writer);
    }
    writer.header(&format!("[sink.{}]", sink.kind.word()));
    match &sink.kind {
        SinkKind::Sql(sql) => write_sql(sql, writer),
        SinkKind::Http(http) => write_http(http, writer),
        SinkKind::File(file) => write_file(file, writer),
    }
}

fn column(source: &ColumnSource) -> Value {
    match source {
        ColumnSource::Id => Value::from("id"),
        ColumnSource::Key => Value::from("key"),
        ColumnSource::Value => Value::from("value"),
        ColumnSource::EventTime => Value::from("event-time"),
        ColumnSource::Header(name) => one("header", name),
        ColumnSource::Field(pointer) => Value::from(pointer.as_str()),
    }
}

fn write_sql(sql: &SqlSink, writer: &mut Writer<'_>) {
    let base = writer.base;
    writer.secret("url", &sql.url, |url| match url.strip_prefix("sqlite:") {
        Some(path) => format!("sqlite:{}", relative(base, Path::new(path))),
        None => without_secrets(url, true),
    });
    writer.field("table", sql.table.as_str());
    writer.field("key", sql.key.iter().map(|key| Value::from(key.as_str())).collect::<Vec<_>>());
    writer.whole("timeout_ms", sql.timeout_ms);
    writer.header("[sink.sql.columns]");
    for (name, source) in &sql.columns {
        writer.field(name, column(source));
    }
}

fn write_http(http: &HttpSink, writer: &mut Writer<'_>) {
    writer.secret("url", &http.url, |url| without_secrets(url, false));
    writer.field(
        "mode",
        match http.mode {
            HttpMode::AtLeastOnce => "at-least-once",
            HttpMode::AtMostOnce => "at-most-once",
        },
    );
    writer.field("idempotency_key", http.idempotency_key);
    if let Some(signature) = &http.signature {
        writer.secret("signature_secret", signature, |_| HIDDEN.to_owned());
    }
    writer.field("concurrency_max", http.concurrency_max);
    writer.whole("timeout_ms", http.timeout_ms);
    if !http.headers.is_empty() {
        writer.header("[sink.http.headers]");
    }
    for (name, value) in &http.headers {
        match value {
            Secret::Environment(variable) => writer.field(name, one("env", variable)),
            Secret::Text(_) => writer.field(name, HIDDEN),
        }
    }
}

fn write_file(file: &FileSink, writer: &mut Writer<'_>) {
    writer.path("folder", &file.folder);
    match &file.format {
        FileFormat::JsonLines => writer.field("format", "json-lines"),
        FileFormat::Csv(columns) => {
            writer.field("format", "csv");
            let pair = |(name, source): &(String, ColumnSource)| {
                Value::Array(vec![Value::from(name.as_str()), column(source)])
            };
            writer.field("columns", columns.iter().map(pair).collect::<Vec<_>>());
        }
    }
    writer.whole("file_bytes_max", file.file_bytes_max);
    writer.whole("file_age_max_ms", file.file_age_max_ms);
}
