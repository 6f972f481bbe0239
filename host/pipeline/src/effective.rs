//! A checked pipeline as a pipeline file again, every default filled in: `pawl check --effective`.
//! It reads back as the same pipeline, read from the same folder.
//!
//! Never shows a secret: of one that stands in the file itself, `***` is written in its place, and
//! a file with these is not the same pipeline. Environment variables are told by name.

mod outside;

use crate::edge::{Edge, IdSource, TimeSource, TimeUnit};
use crate::pipeline::{
    AtMax, Breaker, Checkpoint, KeySource, Late, Limits, Operator, Pipeline, RecoveryMode, Remote,
    Stage, Transport,
};
use crate::secret::{has_credentials, shown_option, without_secrets};
use std::path::Path;
use toml::{Table, Value};

/// The text of a pipeline file that says all that holds.
pub fn effective(pipeline: &Pipeline) -> String {
    let mut writer = Writer { text: String::new(), base: &pipeline.base };
    top(pipeline, &mut writer);
    // Those in which dead letters are sent back are not for files to declare.
    let is_replay = |name: &String| pipeline.stages.iter().any(|stage| stage.replay == *name);
    for (name, topic) in pipeline.topics.iter().filter(|(name, _)| !is_replay(name)) {
        writer.header(&format!("[topics.{}]", key(name)));
        writer.field("partitions", topic.partitions);
        if let Some(key) = &topic.key {
            let (kind, name) = match key {
                KeySource::Field(pointer) => ("field", pointer),
                KeySource::Header(name) => ("header", name),
            };
            writer.field("key", one(kind, name));
        }
        writer.whole("retention_ms", topic.retention_ms);
    }
    for stage in pipeline.stages.iter().filter(|stage| !stage.is_sink()) {
        write_stage(stage, &mut writer);
    }
    for source in &pipeline.sources {
        outside::source(source, &mut writer);
    }
    for stage in &pipeline.stages {
        if let Some(sink) = &stage.sink {
            outside::sink(stage, sink, &mut writer);
        }
    }
    // What is written here is TOML, so that it can always be laid out.
    crate::format(&writer.text).unwrap_or(writer.text)
}

/// Writes fields one after the other.
struct Writer<'a> {
    text: String,
    base: &'a Path,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn header(&mut self, header: &str) {
        self.line("");
        self.line(header);
    }

    fn field(&mut self, name: &str, value: impl Into<Value>) {
        let (name, value) = (key(name), value.into());
        self.line(&format!("{name} = {value}"));
    }

    fn whole(&mut self, name: &str, number: u64) {
        // Whatever was read from TOML fits into its numbers.
        self.field(name, i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// A path, as one writes it in a file of the base folder.
    fn path(&mut self, name: &str, path: &Path) {
        let shown = relative(self.base, path);
        self.field(name, shown);
    }
}

/// A name as a key of TOML.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => Value::from(name).to_string(),
    }
}

fn relative(base: &Path, path: &Path) -> String {
    path.strip_prefix(base).unwrap_or(path).to_string_lossy().into_owned()
}

/// `{ name = "value" }`
fn one(name: &str, value: &str) -> Value {
    let mut table = Table::new();
    table.insert(name.to_owned(), Value::from(value));
    Value::Table(table)
}

fn top(pipeline: &Pipeline, writer: &mut Writer<'_>) {
    writer.field("pawl", 1);
    writer.field("name", pipeline.name.as_str());
    writer.path("data", &pipeline.data);
    let folders = pipeline.plugin_folders.iter();
    let folders: Vec<Value> =
        folders.map(|folder| Value::from(relative(writer.base, folder))).collect();
    writer.field("plugins", folders);
    let Transport::Embedded = pipeline.transport;
    writer.header("[transport]");
    writer.field("kind", "embedded");
    writer.path("path", &pipeline.log);
    writer.header("[commit]");
    writer.whole("interval_ms", pipeline.commit.interval_ms);
    writer.whole("records_max", pipeline.commit.records_max);
    checkpoint(&pipeline.checkpoint, writer);
    let dead_letters = &pipeline.dead_letters;
    writer.header("[dead_letters]");
    writer.field("topic", dead_letters.topic.as_str());
    writer.whole("records_max", dead_letters.records_max);
    writer.whole("bytes_max", dead_letters.bytes_max);
    if let Some(age_max_ms) = dead_letters.age_max_ms {
        writer.whole("age_max_ms", age_max_ms);
    }
    writer.field(
        "at_max",
        match dead_letters.at_max {
            AtMax::Stop => "stop",
            AtMax::DropOldest => "drop-oldest",
        },
    );
    writer.field("replays_max", dead_letters.replays_max);
    let supervisor = &pipeline.supervisor;
    writer.header("[supervisor]");
    writer.field("failures_max", supervisor.failures_max);
    writer.whole("failures_window_ms", supervisor.failures_window_ms);
    writer.whole("backoff_ms", supervisor.backoff_ms);
    writer.whole("backoff_max_ms", supervisor.backoff_max_ms);
    writer.field("host_kills_max", supervisor.host_kills_max);
}

fn checkpoint(checkpoint: &Checkpoint, writer: &mut Writer<'_>) {
    writer.header("[checkpoint]");
    writer.whole("interval_ms", checkpoint.interval_ms);
    writer.whole("recovery_time_max_ms", checkpoint.recovery_time_max_ms);
    writer.field("kept_min", checkpoint.kept_min);
    let Some(Remote { url, options, recovery, timeout_ms, drain_time_max_ms }) = &checkpoint.remote
    else {
        return;
    };
    writer.header("[checkpoint.remote]");
    // What was read holds none; whoever made a pipeline otherwise shows none, either.
    let shown = if has_credentials(url) { without_secrets(url, true) } else { url.clone() };
    writer.field("url", shown);
    let recovery = match recovery {
        RecoveryMode::Hybrid => "hybrid",
        RecoveryMode::Local => "local",
        RecoveryMode::Remote => "remote",
    };
    writer.field("recovery", recovery);
    writer.whole("timeout_ms", *timeout_ms);
    writer.whole("drain_time_max_ms", *drain_time_max_ms);
    if !options.is_empty() {
        writer.header("[checkpoint.remote.options]");
    }
    for (name, value) in options {
        writer.field(name, shown_option(name, value));
    }
}

fn write_stage(stage: &Stage, writer: &mut Writer<'_>) {
    writer.header("[[stage]]");
    writer.field("name", stage.name.as_str());
    writer.field("input", stage.input.as_str());
    if let Some(output) = &stage.output {
        writer.field("output", output.as_str());
    }
    match &stage.late {
        Late::Topic(topic) => writer.field("late", one("topic", topic)),
        word => writer.field("late", word.word()),
    }
    writer.whole("idle_after_ms", stage.idle_after_ms);
    writer.field("batch_records_max", stage.batch_records_max);
    writer.whole("in_flight_records_max", stage.in_flight_records_max);
    writer.whole("in_flight_bytes_max", stage.in_flight_bytes_max);
    writer.header("[stage.breaker]");
    breaker(&stage.breaker, writer);
    for operator in &stage.operators {
        write_operator(operator, writer);
    }
}

fn breaker(breaker: &Breaker, writer: &mut Writer<'_>) {
    writer.whole("records", breaker.records);
    writer.field("failed_share_max", breaker.failed_share_max);
}

fn write_operator(operator: &Operator, writer: &mut Writer<'_>) {
    writer.header("[[stage.operator]]");
    writer.field("name", operator.name.as_str());
    writer.field("plugin", operator.plugin.as_str());
    if let Some(table) = crate::json::to_table(&operator.config_json) {
        writer.header("[stage.operator.config]");
        for (name, value) in table {
            writer.field(&name, value);
        }
    }
    if !operator.outputs.is_empty() {
        writer.header("[stage.operator.outputs]");
    }
    for (output, topic) in &operator.outputs {
        writer.field(output, topic.as_str());
    }
    writer.header("[stage.operator.limits]");
    let Limits {
        memory_bytes_max,
        table_elements_max,
        time_per_call_ms,
        time_per_record_us,
        output_bytes_max,
        state_bytes_max,
        component_bytes_max,
        compile_time_max_ms,
        fuel_per_record,
    } = operator.limits;
    for (name, number) in [
        ("memory_bytes_max", memory_bytes_max),
        ("table_elements_max", table_elements_max),
        ("time_per_call_ms", time_per_call_ms),
        ("time_per_record_us", time_per_record_us),
        ("output_bytes_max", output_bytes_max),
        ("state_bytes_max", state_bytes_max),
        ("component_bytes_max", component_bytes_max),
        ("compile_time_max_ms", compile_time_max_ms),
    ] {
        writer.whole(name, number);
    }
    if let Some(fuel) = fuel_per_record {
        writer.whole("fuel_per_record", fuel);
    }
    edge(&operator.edge, "stage.operator.edge", true, writer);
}

fn edge(edge: &Edge, path: &str, with_time: bool, writer: &mut Writer<'_>) {
    writer.header(&format!("[{path}]"));
    match &edge.id {
        IdSource::Header(name) => writer.field("id", one("header", name)),
        IdSource::Field(pointer) => writer.field("id", one("field", pointer)),
        word => writer.field("id", word.word()),
    }
    if with_time {
        let timed = |kind: &str, name: &str, unit: TimeUnit| {
            let mut value = one(kind, name);
            if let (Value::Table(table), TimeUnit::Milliseconds | TimeUnit::Rfc3339) =
                (&mut value, unit)
            {
                table.insert("unit".to_owned(), Value::from(unit.word()));
            }
            value
        };
        let time = match &edge.event_time {
            TimeSource::None => Value::from("none"),
            TimeSource::Timestamp => Value::from("timestamp"),
            TimeSource::Own => Value::from("own"),
            TimeSource::Header(name, unit) => timed("header", name, *unit),
            TimeSource::Field(pointer, unit) => timed("field", pointer, *unit),
        };
        writer.field("event_time", time);
    }
    if let Some(watermark) = &edge.watermark {
        writer.header(&format!("[{path}.watermark]"));
        writer.whole("disorder_ms", watermark.disorder_ms);
        writer.whole("step_ms", watermark.step_ms);
        writer.whole("jump_max_ms", watermark.jump_max_ms);
        writer.field("agree", watermark.agree);
    }
    if let Some(dedup) = &edge.dedup {
        writer.header(&format!("[{path}.dedup]"));
        writer.whole("horizon_ms", dedup.horizon_ms);
        writer.whole("ids_max", dedup.ids_max);
    }
}
