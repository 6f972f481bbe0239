//! From a stage's table to its checked form: operators, edges and limits, each with defaults.
//!
//! The defaults of an edge depend on who writes the topic that it reads: the rest of the file is
//! only asked for that, in `written_topics`.

use crate::edge::{Dedup, Edge, IdSource, TimeSource, TimeUnit, Watermark};
use crate::fields::{Fields, describe, quote};
use crate::json;
use crate::mistake::Report;
use crate::pipeline::{Breaker, Late, Limits, Operator, Stage};
use crate::read::{RECORDS_MAX, TIME_MS_MAX, pointer};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

const OPERATORS_MAX: usize = 64;
const BATCH_MAX: u32 = 65_536;

/// A guest's memory has 32-bit addresses.
const MEMORY_BYTES_MAX: u64 = 1 << 32;

/// A column's rows end at 32-bit positions.
const COLUMN_BYTES_MAX: u64 = (1 << 32) - 1;

const ID: &str = "should be \"position\", \"key\", \"content\", \"content-json\", \"own\", \
    { header = \"name\" } or { field = \"/json/pointer\" }";
const EVENT_TIME: &str = "should be \"none\", \"timestamp\", \"own\", { header = \"name\" } or \
    { field = \"/json/pointer\" }";
const LATE: &str = "should be \"drop\", \"dead-letter\" or { topic = \"name\" }";

/// Names of all topics that any stage writes, as far as can be told from the raw list of stages.
pub(crate) fn written_topics(stages: Option<&Value>) -> BTreeSet<&str> {
    let mut topics = BTreeSet::new();
    for stage in stages.and_then(Value::as_array).into_iter().flatten() {
        topics.extend(stage.get("output").and_then(Value::as_str));
        let late = stage.get("late").and_then(|late| late.get("topic"));
        topics.extend(late.and_then(Value::as_str));
        let operators = stage.get("operator").and_then(Value::as_array);
        for operator in operators.into_iter().flatten() {
            let outputs = operator.get("outputs").and_then(Value::as_table);
            topics.extend(outputs.into_iter().flat_map(Table::values).filter_map(Value::as_str));
        }
    }
    topics
}

/// Reads one stage.
pub(crate) fn stage(mut fields: Fields<'_>, written: &BTreeSet<&str>, report: &Report) -> Stage {
    let name = fields.name("a name such as \"observe\"");
    let input = fields.text_needed("input", "the topic that the stage reads");
    let output = fields.text("output");
    let late = late(&mut fields, report);
    let idle_after_ms = fields.whole("idle_after_ms", 10_000, 1..=TIME_MS_MAX);
    let batch_records_max = fields.whole_u32("batch_records_max", 1_024, 1..=BATCH_MAX);
    let in_flight_records_max = fields.whole("in_flight_records_max", 20_000, 1..=RECORDS_MAX);
    let in_flight_bytes_max = fields.whole("in_flight_bytes_max", 64 << 20, 1..=COLUMN_BYTES_MAX);
    let breaker = breaker(fields.table("breaker"), 1_000);
    let internal = written.contains(input.as_str());
    let mut operators = Vec::new();
    for operator_fields in fields.tables("operator", "stage.operator", OPERATORS_MAX) {
        let first = operators.is_empty();
        operators.push(operator(operator_fields, first && !internal, report));
    }
    fields.finish();
    Stage {
        name,
        input,
        output,
        late,
        idle_after_ms,
        batch_records_max,
        in_flight_records_max,
        in_flight_bytes_max,
        breaker,
        operators,
        sink: None,
        replay: String::new(), // its name needs the pipeline's
    }
}

fn late(stage: &mut Fields<'_>, report: &Report) -> Late {
    match stage.value("late") {
        None => Late::Drop,
        Some(Value::String(word)) if word == "drop" => Late::Drop,
        Some(Value::String(word)) if word == "dead-letter" => Late::DeadLetter,
        Some(Value::Table(table)) => {
            let mut fields = Fields::new(stage.at("late"), table, report);
            let topic = fields.text_needed("topic", "the topic for late records");
            fields.finish();
            if topic.is_empty() { Late::Drop } else { Late::Topic(topic) }
        }
        Some(other) => {
            stage.mistake("late", format!("is {}; {LATE}", describe(other)));
            Late::Drop
        }
    }
}

pub(crate) fn breaker(mut fields: Fields<'_>, records: u64) -> Breaker {
    let breaker = Breaker {
        records: fields.whole("records", records, 1..=1_000_000),
        failed_share_max: fields.share("failed_share_max", 0.5),
    };
    fields.finish();
    breaker
}

fn operator(mut fields: Fields<'_>, from_outside: bool, report: &Report) -> Operator {
    let name = fields.name("a name such as \"normalize\"");
    let plugin = fields.text_needed("plugin", "a plugin's name or the path of a .wasm file");
    let config_json = config(&mut fields, report);
    let mut outputs = BTreeMap::new();
    for (path, output, topic) in fields.entries("outputs") {
        match topic.as_str().filter(|topic| !topic.is_empty()) {
            Some(topic) => drop(outputs.insert(output.to_owned(), topic.to_owned())),
            None => {
                report.mistake(path, format!("is {}; should be a topic", describe(topic)));
            }
        }
    }
    let limits = limits(fields.table("limits"));
    let edge = edge(fields.table("edge"), from_outside, report);
    fields.finish();
    Operator { name, plugin, config_json, outputs, limits, edge }
}

fn config(fields: &mut Fields<'_>, report: &Report) -> String {
    let path = fields.at("config");
    match fields.value("config") {
        None => "{}".to_owned(),
        Some(value) => {
            if !value.is_table() {
                fields.mistake("config", format!("is {}; should be a table", describe(value)));
            }
            let mut wrong = |path: &str, what: &str| report.mistake(path, what);
            json::canonical(&json::from_toml(value, &path, &mut wrong))
        }
    }
}

pub(crate) fn limits(mut fields: Fields<'_>) -> Limits {
    let usual = Limits::default();
    let limits = Limits {
        memory_bytes_max: fields.whole(
            "memory_bytes_max",
            usual.memory_bytes_max,
            65_536..=MEMORY_BYTES_MAX,
        ),
        table_elements_max: fields.whole(
            "table_elements_max",
            usual.table_elements_max,
            1..=10_000_000,
        ),
        time_per_call_ms: fields.whole("time_per_call_ms", usual.time_per_call_ms, 1..=TIME_MS_MAX),
        time_per_record_us: fields.whole(
            "time_per_record_us",
            usual.time_per_record_us,
            1..=TIME_MS_MAX,
        ),
        output_bytes_max: fields.whole(
            "output_bytes_max",
            usual.output_bytes_max,
            1..=COLUMN_BYTES_MAX,
        ),
        state_bytes_max: fields.whole(
            "state_bytes_max",
            usual.state_bytes_max,
            1..=MEMORY_BYTES_MAX,
        ),
        component_bytes_max: fields.whole(
            "component_bytes_max",
            usual.component_bytes_max,
            1..=MEMORY_BYTES_MAX,
        ),
        compile_time_max_ms: fields.whole(
            "compile_time_max_ms",
            usual.compile_time_max_ms,
            1..=TIME_MS_MAX,
        ),
        fuel_per_record: fields.whole_maybe("fuel_per_record", 1..=1 << 40),
    };
    fields.finish();
    limits
}

pub(crate) fn edge(mut fields: Fields<'_>, from_outside: bool, report: &Report) -> Edge {
    let id = id(&mut fields, report);
    let event_time = event_time(&mut fields, report);
    let watermark = fields.table_maybe("watermark").map(watermark);
    let dedup = fields.table_maybe("dedup").map(dedup);
    fields.finish();
    let (id_default, time_default) = match from_outside {
        true => (IdSource::Position, TimeSource::None),
        false => (IdSource::Own, TimeSource::Own),
    };
    Edge {
        id: id.unwrap_or(id_default),
        event_time: event_time.unwrap_or(time_default),
        watermark,
        dedup,
    }
}

fn id(edge: &mut Fields<'_>, report: &Report) -> Option<IdSource> {
    let value = edge.value("id")?;
    match value {
        Value::String(word) => match word.as_str() {
            "position" => return Some(IdSource::Position),
            "key" => return Some(IdSource::Key),
            "content" => return Some(IdSource::Content),
            "content-json" => return Some(IdSource::ContentJson),
            "own" => return Some(IdSource::Own),
            _ => {}
        },
        Value::Table(table) if table.contains_key("header") != table.contains_key("field") => {
            let mut fields = Fields::new(edge.at("id"), table, report);
            let header = fields.text("header").map(IdSource::Header);
            let field = pointer(&mut fields).map(IdSource::Field);
            fields.finish();
            return header.or(field);
        }
        _ => {}
    }
    edge.mistake("id", format!("is {}; {ID}", describe(value)));
    None
}

fn event_time(edge: &mut Fields<'_>, report: &Report) -> Option<TimeSource> {
    let value = edge.value("event_time")?;
    match value {
        Value::String(word) => match word.as_str() {
            "none" => return Some(TimeSource::None),
            "timestamp" => return Some(TimeSource::Timestamp),
            "own" => return Some(TimeSource::Own),
            _ => {}
        },
        Value::Table(table) if table.contains_key("header") != table.contains_key("field") => {
            let mut fields = Fields::new(edge.at("event_time"), table, report);
            let unit = unit(&mut fields);
            let header = fields.text("header").map(|name| TimeSource::Header(name, unit));
            let field = pointer(&mut fields).map(|field| TimeSource::Field(field, unit));
            fields.finish();
            return header.or(field);
        }
        _ => {}
    }
    edge.mistake("event_time", format!("is {}; {EVENT_TIME}", describe(value)));
    // Meant to be one: a rule that asks for event times should not tell it again.
    Some(TimeSource::Own)
}

fn unit(fields: &mut Fields<'_>) -> TimeUnit {
    match fields.text("unit").as_deref() {
        None => TimeUnit::Either,
        Some("ms") => TimeUnit::Milliseconds,
        Some("rfc3339") => TimeUnit::Rfc3339,
        Some(other) => {
            let should = "should be \"ms\" or \"rfc3339\"";
            fields.mistake("unit", format!("is {}; {should}", quote(other)));
            TimeUnit::Either
        }
    }
}

fn watermark(mut fields: Fields<'_>) -> Watermark {
    let disorder = fields.whole_maybe("disorder_ms", 0..=TIME_MS_MAX);
    if disorder.is_none() && !fields.has("disorder_ms") {
        fields.mistake("disorder_ms", "is missing; should be the disorder of the input in ms");
    }
    let watermark = Watermark {
        disorder_ms: disorder.unwrap_or(0),
        step_ms: fields.whole("step_ms", 100, 1..=TIME_MS_MAX),
        jump_max_ms: fields.whole("jump_max_ms", 3_600_000, 1..=TIME_MS_MAX),
        agree: fields.whole_u32("agree", 3, 1..=1_000),
    };
    fields.finish();
    watermark
}

fn dedup(mut fields: Fields<'_>) -> Dedup {
    let dedup = Dedup {
        horizon_ms: fields.whole("horizon_ms", 3_600_000, 1..=TIME_MS_MAX),
        ids_max: fields.whole("ids_max", 1_000_000, 1..=1_000_000_000),
    };
    fields.finish();
    dedup
}
