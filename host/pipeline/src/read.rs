//! From the file's table to the checked form: every field with its default and its bounds.
//!
//! Looks at one field at a time; what must hold between fields is in `rules`. Defaults stand
//! here and nowhere else.

use crate::fields::{Fields, describe, quote};
use crate::mistake::Report;
use crate::own::{self, OwnTopic};
use crate::pipeline::{
    AtMax, Checkpoint, Commit, DeadLetters, KeySource, Pipeline, Supervisor, Topic, Transport,
};
use crate::read_outside;
use crate::read_stage;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::{Table, Value};

/// The format of pipeline files that this version reads.
const FORMAT: i64 = 1;

/// A hundred years in milliseconds: longer is a mistake in the unit.
pub(crate) const TIME_MS_MAX: u64 = 3_155_760_000_000;

/// The largest bound for anything counted in records.
pub(crate) const RECORDS_MAX: u64 = 1_000_000_000_000;

pub(crate) const BYTES_MAX: u64 = 1 << 50;

/// Partitions of a topic.
pub const PARTITIONS_MAX: u32 = 1024;

const TOPICS_MAX: usize = 1000;
const STAGES_MAX: usize = 100;

/// Reads the whole table. With mistakes in `report` the result is only good for finding more.
pub(crate) fn pipeline(table: &Table, base: &Path, report: &Report) -> Pipeline {
    let mut top = Fields::new(String::new(), table, report);
    match top.value("pawl") {
        Some(Value::Integer(FORMAT)) => {}
        Some(other) => {
            top.mistake("pawl", format!("is {}; should be {FORMAT}, the format", describe(other)));
        }
        None => top.mistake("pawl", format!("is missing; should be {FORMAT}, the format")),
    }
    let name = top.name("a name such as \"conjunctions\"");
    let data = top.text("data").unwrap_or_else(|| format!("data/{name}"));
    let (transport, log) = transport(&mut top, report);
    let plugin_folders = folders(&mut top).into_iter().map(|folder| base.join(folder)).collect();
    let mut topics = topics(&mut top, report);
    let commit = commit(top.table("commit"));
    let checkpoint = checkpoint(top.table("checkpoint"), report);
    let dead_letters = dead_letters(top.table("dead_letters"), &name);
    let supervisor = supervisor(top.table("supervisor"));
    let written = read_stage::written_topics(table.get("stage"));
    let stages = top.tables("stage", "stage", STAGES_MAX);
    let mut stages: Vec<_> =
        stages.into_iter().map(|fields| read_stage::stage(fields, &written, report)).collect();
    for fields in top.tables_maybe("sink", "sink", STAGES_MAX) {
        let sink = read_outside::sink(fields, base, &written, report);
        if stages.iter().any(|stage| stage.name == sink.name && !stage.is_sink()) {
            let what = "a stage has this name too; should be another";
            report.mistake(format!("sink.{}.name", sink.name), what);
        }
        stages.push(sink);
    }
    let sources = top.tables_maybe("source", "source", STAGES_MAX);
    let sources: Vec<_> =
        sources.into_iter().map(|fields| read_outside::source(fields, base, report)).collect();
    top.finish();

    own_topics(&name, &dead_letters, &mut stages, &mut topics, report);
    let (base, data) = (base.to_owned(), base.join(data));
    let log = log.map_or_else(|| data.join("pawl.db"), |path| base.join(path));
    Pipeline {
        name,
        base,
        data,
        transport,
        log,
        plugin_folders,
        topics,
        commit,
        checkpoint,
        dead_letters,
        supervisor,
        stages,
        sources,
    }
}

/// Adds the topic of the dead letters and those in which they are sent back.
fn own_topics(
    name: &str,
    dead_letters: &DeadLetters,
    stages: &mut [crate::Stage],
    topics: &mut BTreeMap<String, Topic>,
    report: &Report,
) {
    let declared: BTreeSet<String> = topics.keys().cloned().collect();
    for topic in &declared {
        if let Some(own) = own::reserved(name, topic) {
            let what = format!("is a topic of the host ({}); should be another name", own.words());
            report.mistake(crate::fields::join("topics", topic), what);
        }
    }
    // A dead letter lies in the partition with its root's number, so there are as many of them.
    let partitions = |topic: &String| topics.get(topic).map(|topic: &Topic| topic.partitions);
    let most = stages.iter().filter_map(|stage| partitions(&stage.input)).max();
    topics.entry(dead_letters.topic.clone()).or_insert(Topic {
        partitions: most.unwrap_or(1),
        key: None,
        retention_ms: 0,
    });

    let mut taken = own::reserved(name, &dead_letters.topic);
    // What is sent back lies in the partition with its root's number, too.
    for stage in stages {
        stage.replay = format!("{name}.{}.replay", stage.name);
        if stage.replay == dead_letters.topic {
            taken = Some(OwnTopic::SentBack);
        }
        let partitions = topics.get(&stage.input).map_or(1, |input| input.partitions);
        let replay = Topic { partitions, key: None, retention_ms: 0 };
        topics.insert(stage.replay.clone(), replay);
        if declared.contains(&stage.replay) {
            let what = "is the topic in which dead letters are sent back; should not be declared";
            report.mistake(crate::fields::join("topics", &stage.replay), what);
        }
    }
    if let Some(own) = taken {
        let topic = quote(&dead_letters.topic);
        let what = format!("is {topic}, a topic of the host ({}); should be another", own.words());
        report.mistake("dead_letters.topic", what);
    }
}

/// Says so if the file is of a newer format; looking at its fields would only mislead.
pub(crate) fn newer_format(table: &Table) -> Option<String> {
    let format = table.get("pawl").and_then(Value::as_integer)?;
    let newer = format > FORMAT;
    newer.then(|| {
        format!("the file has format {format}, this version reads {FORMAT}; use a newer pawl")
    })
}

/// The transport, and the path of its file where the pipeline file says one.
fn transport(top: &mut Fields<'_>, report: &Report) -> (Transport, Option<String>) {
    let Some(value) = top.value("transport") else { return (Transport::Embedded, None) };
    let mut path = None;
    let kind = match value {
        Value::Table(table) => {
            let mut fields = Fields::new(top.at("transport"), table, report);
            let kind = fields.text_needed("kind", "\"embedded\"");
            path = fields.text("path");
            fields.finish();
            kind
        }
        Value::String(kind) => kind.clone(),
        other => describe(other),
    };
    if kind != "embedded" && !kind.is_empty() {
        let found = quote(&kind);
        top.mistake("transport", format!("is {found}; should be \"embedded\""));
    }
    (Transport::Embedded, path)
}

fn folders(top: &mut Fields<'_>) -> Vec<String> {
    let Some(value) = top.value("plugins") else { return vec!["plugins".to_owned()] };
    let texts = value.as_array().map(|list| list.iter().map(Value::as_str).collect());
    match texts {
        Some(Some(texts)) => Vec::<&str>::into_iter(texts).map(str::to_owned).collect(),
        _ => {
            top.mistake("plugins", "should be a list of folders such as [\"plugins\"]");
            Vec::new()
        }
    }
}

fn topics(top: &mut Fields<'_>, report: &Report) -> BTreeMap<String, Topic> {
    let mut topics = BTreeMap::new();
    let entries = top.entries("topics");
    if entries.len() > TOPICS_MAX {
        top.mistake("topics", format!("are {}; should be at most {TOPICS_MAX}", entries.len()));
    }
    for (path, name, value) in entries.into_iter().take(TOPICS_MAX) {
        if !is_topic_name(name) {
            report.mistake(&path, TOPIC_NAME);
        }
        let mut fields = Fields::of(path, value, report);
        let partitions = fields.whole_u32("partitions", 1, 1..=PARTITIONS_MAX);
        let key = fields.value("key").and_then(|value| key(&fields.at("key"), value, report));
        let retention_ms = fields.whole("retention_ms", 0, 0..=TIME_MS_MAX);
        fields.finish();
        topics.insert(name.to_owned(), Topic { partitions, key, retention_ms });
    }
    topics
}

/// What a topic's name should be.
pub const TOPIC_NAME: &str = "a topic's name should be 1 to 249 of a-z, A-Z, 0-9, `.`, `_` and `-`";

/// Whether a topic may have this name.
pub fn is_topic_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=249).contains(&name.len()) && name.chars().all(fits) && name != "." && name != ".."
}

fn key(path: &str, value: &Value, report: &Report) -> Option<KeySource> {
    let table = value.as_table();
    let Some(table) = table.filter(|t| t.contains_key("field") != t.contains_key("header")) else {
        let should = "should be { field = \"/json/pointer\" } or { header = \"name\" }";
        report.mistake(path, format!("is {}; {should}", describe(value)));
        return None;
    };
    let mut fields = Fields::new(path.to_owned(), table, report);
    let header = fields.text("header").map(KeySource::Header);
    let field = pointer(&mut fields).map(KeySource::Field);
    fields.finish();
    header.or(field)
}

/// The field `field`, a JSON pointer.
pub(crate) fn pointer(fields: &mut Fields<'_>) -> Option<String> {
    let pointer = fields.text("field")?;
    let steps = pointer.split('~').skip(1);
    let escapes_fit = steps.into_iter().all(|rest| rest.starts_with(['0', '1']));
    if !pointer.starts_with('/') || !escapes_fit {
        let found = quote(&pointer);
        let should = "should be a JSON pointer such as \"/object_id\"";
        fields.mistake("field", format!("is {found}; {should}"));
    }
    Some(pointer)
}

fn commit(mut fields: Fields<'_>) -> Commit {
    let commit = Commit {
        interval_ms: fields.whole("interval_ms", 100, 1..=TIME_MS_MAX),
        records_max: fields.whole("records_max", 10_000, 1..=RECORDS_MAX),
    };
    fields.finish();
    commit
}

fn checkpoint(mut fields: Fields<'_>, report: &Report) -> Checkpoint {
    let remote = fields.table_maybe("remote");
    let checkpoint = Checkpoint {
        interval_ms: fields.whole("interval_ms", 30_000, 1..=TIME_MS_MAX),
        recovery_time_max_ms: fields.whole("recovery_time_max_ms", 1_000, 1..=TIME_MS_MAX),
        kept_min: fields.whole_u32("kept_min", 3, 3..=1_000),
        remote: remote.map(|fields| read_outside::remote(fields, report)),
    };
    fields.finish();
    checkpoint
}

fn dead_letters(mut fields: Fields<'_>, name: &str) -> DeadLetters {
    let topic = fields.text("topic").unwrap_or_else(|| format!("{name}.dlq"));
    if fields.has("topic") && !topic.is_empty() && !is_topic_name(&topic) {
        fields.mistake("topic", TOPIC_NAME);
    }
    let dead_letters = DeadLetters {
        topic,
        records_max: fields.whole("records_max", 1_000_000, 1..=RECORDS_MAX),
        bytes_max: fields.whole("bytes_max", 1 << 30, 1..=BYTES_MAX),
        age_max_ms: fields.whole_maybe("age_max_ms", 1..=TIME_MS_MAX),
        at_max: match fields.text("at_max").as_deref() {
            None | Some("stop") => AtMax::Stop,
            Some("drop-oldest") => AtMax::DropOldest,
            Some(other) => {
                let should = "should be \"stop\" or \"drop-oldest\"";
                fields.mistake("at_max", format!("is {}; {should}", quote(other)));
                AtMax::Stop
            }
        },
        replays_max: fields.whole_u32("replays_max", 3, 1..=1_000_000),
    };
    fields.finish();
    dead_letters
}

fn supervisor(mut fields: Fields<'_>) -> Supervisor {
    let supervisor = Supervisor {
        failures_max: fields.whole_u32("failures_max", 10, 1..=1_000_000),
        failures_window_ms: fields.whole("failures_window_ms", 600_000, 1..=TIME_MS_MAX),
        backoff_ms: fields.whole("backoff_ms", 100, 1..=TIME_MS_MAX),
        backoff_max_ms: fields.whole("backoff_max_ms", 30_000, 1..=TIME_MS_MAX),
        host_kills_max: fields.whole_u32("host_kills_max", 3, 1..=1_000),
    };
    if supervisor.backoff_ms > supervisor.backoff_max_ms {
        let (low, high) = (supervisor.backoff_ms, supervisor.backoff_max_ms);
        fields
            .mistake("backoff_max_ms", format!("is {high}; should be {low} (backoff_ms) or more"));
    }
    fields.finish();
    supervisor
}
