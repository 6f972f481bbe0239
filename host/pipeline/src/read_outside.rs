//! From the tables of sinks and sources, and of the remote tier of checkpoints, to their checked
//! forms. A sink becomes a stage of its own with one operator: what delivers.

use crate::edge::{Dedup, Edge, TimeSource};
use crate::fields::{Fields, describe, quote};
use crate::mistake::Report;
use crate::outside::{
    AtRetriesMax, ColumnSource, FileFormat, FileSink, FileSource, HttpMode, HttpSink, HttpSource,
    LineFormat, Secret, Sink, SinkKind, Source, SourceKind, SqlSink,
};
use crate::pipeline::{Late, Operator, RecoveryMode, Remote, Stage};
use crate::read::{BYTES_MAX, RECORDS_MAX, TIME_MS_MAX};
use crate::read_stage;
use crate::secret::{has_credentials, is_secret_name};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use toml::Value;

const RETRIES_MAX: u32 = 1_000_000_000;
const CONCURRENCY_MAX: u32 = 1_024;
const SINK_BATCH_MAX: u32 = 10_000;

/// Ids that a sink remembers unless told otherwise.
const SINK_IDS_MAX: u64 = 100_000;

/// Records of which half may fail before a sink's task stops: a wrong token refuses all alike.
const SINK_BREAKER_RECORDS: u64 = 100;

const COLUMN: &str = "should be \"id\", \"key\", \"value\", \"event-time\", a JSON pointer such as \
    \"/alert_id\", or { header = \"name\" }";

/// Reads one sink, as a stage.
pub(crate) fn sink(
    mut fields: Fields<'_>,
    base: &Path,
    written: &BTreeSet<&str>,
    report: &Report,
) -> Stage {
    let name = fields.name("a name such as \"alerts-db\"");
    let input = fields.text_needed("input", "the topic that the sink reads");
    let retries_max = fields.whole_u32("retries_max", 100_000, 0..=RETRIES_MAX);
    let at_retries_max = match fields.text("at_retries_max").as_deref() {
        None | Some("stop") => AtRetriesMax::Stop,
        Some("dead-letter") => AtRetriesMax::DeadLetter,
        Some(other) => {
            let should = "should be \"stop\" or \"dead-letter\"";
            fields.mistake("at_retries_max", format!("is {}; {should}", quote(other)));
            AtRetriesMax::Stop
        }
    };
    let backoff_ms = fields.whole("backoff_ms", 100, 1..=TIME_MS_MAX);
    let backoff_max_ms = fields.whole("backoff_max_ms", 30_000, 1..=TIME_MS_MAX);
    let batch = fields.whole_u32("batch_records_max", 500, 1..=SINK_BATCH_MAX);
    let breaker = read_stage::breaker(fields.table("breaker"), SINK_BREAKER_RECORDS);
    let kind = kind(&mut fields, base, report);
    if fields.value("edge").is_some_and(|edge| edge.get("event_time").is_some()) {
        let why = "a sink has no event time: nothing is late for it";
        report.mistake(format!("{}.edge.event_time", fields.path), why);
    }
    let mut edge = read_stage::edge(fields.table("edge"), !written.contains(&*input), report);
    edge.dedup.get_or_insert(Dedup { horizon_ms: TIME_MS_MAX, ids_max: SINK_IDS_MAX });
    if edge.watermark.take().is_some() {
        let why = "a sink has no event time: nothing is late for it";
        report.mistake(format!("{}.edge.watermark", fields.path), why);
    }
    fields.finish();
    let batch_records_max = match &kind {
        // What is under way is what a kill may send again.
        Some(SinkKind::Http(http)) => http.concurrency_max,
        _ => batch,
    };
    let sink =
        kind.map(|kind| Sink { kind, retries_max, at_retries_max, backoff_ms, backoff_max_ms });
    let limits = read_stage::limits(Fields::none(report));
    let operator = Operator {
        name: name.clone(),
        plugin: String::new(),
        config_json: "{}".to_owned(),
        outputs: BTreeMap::new(),
        limits,
        edge: Edge { event_time: TimeSource::None, ..edge },
    };
    Stage {
        name,
        input,
        output: None,
        late: Late::Drop,
        idle_after_ms: TIME_MS_MAX,
        batch_records_max,
        in_flight_records_max: 10_000,
        in_flight_bytes_max: 64 << 20,
        breaker,
        operators: vec![operator],
        sink,
        replay: String::new(), // its name needs the pipeline's
    }
}

fn kind(fields: &mut Fields<'_>, base: &Path, report: &Report) -> Option<SinkKind> {
    let sql = fields.table_maybe("sql").map(|fields| SinkKind::Sql(sql(fields, base, report)));
    let http = fields.table_maybe("http").map(|fields| SinkKind::Http(http(fields, report)));
    let file = fields.table_maybe("file").map(|fields| SinkKind::File(file(fields, base, report)));
    let mut kinds = [sql, http, file].into_iter().flatten();
    let kind = kinds.next();
    if kinds.next().is_some() || kind.is_none() {
        let should = "should have one of [sink.sql], [sink.http] and [sink.file]";
        report.mistake(&fields.path, should);
    }
    kind
}

fn sql(mut fields: Fields<'_>, base: &Path, report: &Report) -> SqlSink {
    let url = secret_needed(&mut fields, "url", "url_env", "\"postgres://...\" or \"sqlite:FILE\"");
    if let Secret::Text(text) = &url
        && !["postgres://", "postgresql://", "sqlite:", ""].iter().any(|scheme| match *scheme {
            "" => text.is_empty(),
            scheme => text.starts_with(scheme),
        })
    {
        fields.mistake("url", "should begin with \"postgres://\" or \"sqlite:\"");
    }
    let url = match url {
        // Relative to the pipeline file, as all paths are.
        Secret::Text(text) => Secret::Text(match text.strip_prefix("sqlite:") {
            Some(path) => format!("sqlite:{}", base.join(path).display()),
            None => text,
        }),
        variable => variable,
    };
    let table = fields.text_needed("table", "the table's name");
    let mut columns = BTreeMap::new();
    for (path, column, value) in fields.entries("columns") {
        columns.insert(column.to_owned(), column_source(&path, value, report));
    }
    if columns.is_empty() {
        let example = "should be such as { alert_id = \"/alert_id\", alert = \"value\" }";
        fields.mistake("columns", format!("is missing; {example}"));
    }
    let key = texts(&mut fields, "key");
    if key.is_empty() || key.iter().any(|column| !columns.contains_key(column)) {
        let should = "should be a list of one or more of the columns: those that name a record";
        fields.mistake("key", should);
    }
    let timeout_ms = fields.whole("timeout_ms", 30_000, 1..=TIME_MS_MAX);
    fields.finish();
    SqlSink { url, table, columns, key, timeout_ms }
}

fn http(mut fields: Fields<'_>, report: &Report) -> HttpSink {
    let url = secret_needed(&mut fields, "url", "url_env", "\"https://...\"");
    if let Secret::Text(text) = &url
        && !text.is_empty()
        && !text.starts_with("http://")
        && !text.starts_with("https://")
    {
        fields.mistake("url", "should begin with \"http://\" or \"https://\"");
    }
    let mode = match fields.text("mode").as_deref() {
        None | Some("at-least-once") => HttpMode::AtLeastOnce,
        Some("at-most-once") => HttpMode::AtMostOnce,
        Some(other) => {
            let should = "should be \"at-least-once\" or \"at-most-once\"";
            fields.mistake("mode", format!("is {}; {should}", quote(other)));
            HttpMode::AtLeastOnce
        }
    };
    let idempotency_key = fields.truth("idempotency_key", true);
    let mut headers = BTreeMap::new();
    for (path, name, value) in fields.entries("headers") {
        match header_value(value, &path, report) {
            Some(secret) => drop(headers.insert(name.to_owned(), secret)),
            None => report.mistake(path, "should be a text or { env = \"VARIABLE\" }"),
        }
    }
    let signature = fields.text("signature_secret_env").map(Secret::Environment);
    let http = HttpSink {
        url,
        mode,
        idempotency_key,
        headers,
        signature,
        concurrency_max: fields.whole_u32("concurrency_max", 4, 1..=CONCURRENCY_MAX),
        timeout_ms: fields.whole("timeout_ms", 10_000, 1..=TIME_MS_MAX),
    };
    fields.finish();
    http
}

fn file(mut fields: Fields<'_>, base: &Path, report: &Report) -> FileSink {
    let folder = base.join(fields.text_needed("folder", "the folder of the files"));
    let columns = fields.value("columns");
    let format = match fields.text("format").as_deref() {
        None | Some("json-lines") => FileFormat::JsonLines,
        Some("csv") => FileFormat::Csv(csv_columns(&fields, columns, report)),
        Some(other) => {
            let should = "should be \"json-lines\" or \"csv\"";
            fields.mistake("format", format!("is {}; {should}", quote(other)));
            FileFormat::JsonLines
        }
    };
    if columns.is_some() && format == FileFormat::JsonLines {
        fields.mistake("columns", "belongs to format = \"csv\" alone");
    }
    let file = FileSink {
        folder,
        format,
        file_bytes_max: fields.whole("file_bytes_max", 64 << 20, 1..=BYTES_MAX),
        file_age_max_ms: fields.whole("file_age_max_ms", 3_600_000, 1..=TIME_MS_MAX),
    };
    fields.finish();
    file
}

/// Columns in order: a list of `[name, source]`.
fn csv_columns(
    fields: &Fields<'_>,
    value: Option<&Value>,
    report: &Report,
) -> Vec<(String, ColumnSource)> {
    let path = fields.at("columns");
    let pairs = value.and_then(Value::as_array).map(|list| {
        let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
            Some([Value::String(name), source]) => {
                Some((name.clone(), column_source(&path, source, report)))
            }
            _ => None,
        };
        list.iter().map(pair).collect::<Option<Vec<_>>>()
    });
    match pairs {
        Some(Some(pairs)) if !pairs.is_empty() => pairs,
        _ => {
            let example = "[[\"alert_id\", \"/alert_id\"], [\"seen\", \"event-time\"]]";
            report.mistake(&path, format!("should be a list such as {example}"));
            Vec::new()
        }
    }
}

fn column_source(path: &str, value: &Value, report: &Report) -> ColumnSource {
    match value {
        Value::String(word) => match word.as_str() {
            "id" => return ColumnSource::Id,
            "key" => return ColumnSource::Key,
            "value" => return ColumnSource::Value,
            "event-time" => return ColumnSource::EventTime,
            pointer if pointer.starts_with('/') => return ColumnSource::Field(pointer.to_owned()),
            _ => {}
        },
        Value::Table(table) => {
            if let (1, Some(Value::String(name))) = (table.len(), table.get("header")) {
                return ColumnSource::Header(name.clone());
            }
        }
        _ => {}
    }
    report.mistake(path, format!("is {}; {COLUMN}", describe(value)));
    ColumnSource::Value
}

fn header_value(value: &Value, path: &str, report: &Report) -> Option<Secret> {
    if let Value::String(text) = value {
        return Some(Secret::Text(text.clone()));
    }
    let mut fields = Fields::new(path.to_owned(), value.as_table()?, report);
    let name = fields.text("env")?;
    fields.finish();
    Some(Secret::Environment(name))
}

fn secret_needed(
    fields: &mut Fields<'_>,
    name: &'static str,
    env: &'static str,
    example: &str,
) -> Secret {
    if let Some(variable) = fields.text(env) {
        if fields.value(name).is_some() {
            fields.mistake(env, format!("stands beside {name}; should be one of the two"));
        }
        return Secret::Environment(variable);
    }
    Secret::Text(fields.text_needed(name, example))
}

fn texts(fields: &mut Fields<'_>, name: &'static str) -> Vec<String> {
    let list = fields.value(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Reads one source.
pub(crate) fn source(mut fields: Fields<'_>, base: &Path, report: &Report) -> Source {
    let name = fields.name("a name such as \"sensors\"");
    let topic = fields.text_needed("topic", "the topic that the source feeds");
    let file = fields.table_maybe("file").map(|fields| SourceKind::File(file_source(fields, base)));
    let stdin = fields.table_maybe("stdin").map(|mut fields| {
        let format = line_format(&mut fields);
        fields.finish();
        SourceKind::Stdin(format)
    });
    let http = fields.table_maybe("http").map(|fields| SourceKind::Http(http_source(fields)));
    let mut kinds = [file, stdin, http].into_iter().flatten();
    let kind = kinds.next();
    if kinds.next().is_some() || kind.is_none() {
        let should = "should have one of [source.file], [source.stdin] and [source.http]";
        report.mistake(&fields.path, should);
    }
    let source = Source {
        name,
        topic,
        kind: kind.unwrap_or(SourceKind::Stdin(LineFormat::JsonLines)),
        record_bytes_max: fields.whole("record_bytes_max", 1 << 20, 1..=64 << 20),
        backlog_records_max: fields.whole("backlog_records_max", 1_000_000, 1..=RECORDS_MAX),
    };
    fields.finish();
    source
}

fn file_source(mut fields: Fields<'_>, base: &Path) -> FileSource {
    let source = FileSource {
        path: base.join(fields.text_needed("path", "a path such as \"incoming/*.jsonl\"")),
        format: line_format(&mut fields),
        follow: fields.truth("follow", false),
        look_ms: fields.whole("look_ms", 200, 1..=TIME_MS_MAX),
    };
    fields.finish();
    source
}

fn http_source(mut fields: Fields<'_>) -> HttpSource {
    let listen = fields.text_needed("listen", "an address such as \"127.0.0.1:8080\"");
    let address = listen.parse::<SocketAddr>();
    if address.is_err() && !listen.is_empty() {
        let found = quote(&listen);
        fields.mistake("listen", format!("is {found}; should be an address and a port"));
    }
    let path = fields.text("path").unwrap_or_else(|| "/".to_owned());
    if !path.starts_with('/') {
        fields.mistake("path", format!("is {}; should begin with `/`", quote(&path)));
    }
    let source = HttpSource {
        listen: address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
        path,
        body_bytes_max: fields.whole("body_bytes_max", 8 << 20, 1..=1 << 30),
        requests_max: fields.whole_u32("requests_max", 64, 1..=10_000),
        keys_max: fields.whole("keys_max", 100_000, 1..=10_000_000),
        token: fields.text("token_env").map(Secret::Environment),
    };
    fields.finish();
    source
}

fn line_format(fields: &mut Fields<'_>) -> LineFormat {
    match fields.text("format").as_deref() {
        None | Some("json-lines") => LineFormat::JsonLines,
        Some("csv") => LineFormat::Csv,
        Some(other) => {
            let should = "should be \"json-lines\" or \"csv\"";
            fields.mistake("format", format!("is {}; {should}", quote(other)));
            LineFormat::JsonLines
        }
    }
}

/// The remote tier of checkpoints.
pub(crate) fn remote(mut fields: Fields<'_>, report: &Report) -> Remote {
    let url = fields.text_needed("url", "such as \"s3://bucket/folder\"");
    let schemes = ["s3://", "gs://", "az://", "file:///", "memory:///"];
    if !url.is_empty() && !schemes.iter().any(|scheme| url.starts_with(scheme)) {
        // What it is instead may be an address with a signature in it.
        fields.mistake("url", format!("should begin with one of {}", schemes.join(", ")));
    } else if has_credentials(&url) {
        let what = "holds a user, a password, a query or a fragment, and should be a bucket and a \
            folder alone; give credentials in the environment";
        fields.mistake("url", what);
    }
    let mut options = BTreeMap::new();
    for (path, name, value) in fields.entries("options") {
        match value.as_str() {
            Some(text) => drop(options.insert(name.to_owned(), text.to_owned())),
            None if is_secret_name(name) => report.mistake(path, "should be text"),
            None => report.mistake(path, format!("is {}; should be text", describe(value))),
        }
    }
    let recovery = match fields.text("recovery").as_deref() {
        None | Some("hybrid") => RecoveryMode::Hybrid,
        Some("local") => RecoveryMode::Local,
        Some("remote") => RecoveryMode::Remote,
        Some(other) => {
            let should = "should be \"hybrid\", \"local\" or \"remote\"";
            fields.mistake("recovery", format!("is {}; {should}", quote(other)));
            RecoveryMode::Hybrid
        }
    };
    let remote = Remote {
        url,
        options,
        recovery,
        timeout_ms: fields.whole("timeout_ms", 30_000, 1..=TIME_MS_MAX),
        drain_time_max_ms: fields.whole("drain_time_max_ms", 30_000, 0..=TIME_MS_MAX),
    };
    fields.finish();
    remote
}
