//! The effective configuration of an operator: the text of which a digest stands in every
//! checkpoint. A replay with an old configuration reads everything back from that text, so all
//! that determines results must be in it, and nothing is taken from anywhere else.

use crate::error::Error;
use pawl_core::clock::WatermarkRules;
use pawl_core::identity::{IdSource, TimeSource};
use pawl_core::spec::{DedupRules, EdgeSpec};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The effective configuration of one operator.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    /// SHA-256 of the canonical text, lower-case hex.
    pub digest: String,
    /// What the guest gets.
    pub guest: String,
    /// The edge before the operator.
    pub edge: EdgeSpec,
    /// If that edge makes a watermark: how.
    pub watermark: Option<WatermarkRules>,
    /// `drop`, `dead-letter` or the name of a topic.
    pub late: String,
    /// Where the first output of the last operator goes.
    pub output: Option<String>,
    /// Where further outputs go.
    pub outputs: BTreeMap<String, String>,
    /// What the stage as a whole is joined to.
    pub around: Around,
}

/// What a stage is joined to: the same for all its operators.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    /// The topic that it reads.
    pub input: String,
    /// Whether producers send their watermarks along in it.
    pub input_time: bool,
    /// The topic of the dead letters.
    pub dead_letters: String,
    /// Topics that it writes, by name.
    pub topics: BTreeMap<String, TopicFacts>,
}

/// What determines how a topic is written.
#[derive(Clone, Debug)]
pub(crate) struct TopicFacts {
    /// Partitions over which records are spread.
    pub partitions: u32,
    /// Whether watermarks go along.
    pub time: bool,
    /// Stages that write it.
    pub writers: Vec<String>,
}

impl Configuration {
    /// Reads the canonical text that the pipeline crate writes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let unreadable = |what: &str| Error::State {
            code: "configuration",
            what: format!("the stored configuration cannot be read: {what}"),
        };
        let json: Value = serde_json::from_str(text).map_err(|e| unreadable(&e.to_string()))?;
        let joined = json.get("joined").ok_or_else(|| unreadable("it has no field joined"))?;
        let edge = joined.get("edge").ok_or_else(|| unreadable("it has no edge"))?;
        let outputs = joined.get("outputs").and_then(Value::as_object);
        let outputs = outputs.into_iter().flatten();
        let id = id_source(edge.get("id")).ok_or_else(|| unreadable("the edge has no id"))?;
        let time = time_source(edge.get("event_time"))
            .ok_or_else(|| unreadable("the edge has no event_time"))?;
        Ok(Self {
            digest: digest(text.as_bytes()),
            guest: json.get("config").map_or_else(|| "{}".to_owned(), Value::to_string),
            edge: EdgeSpec { id, time, dedup: dedup(edge.get("dedup")) },
            watermark: watermark(edge.get("watermark")),
            late: joined.get("late").and_then(Value::as_str).unwrap_or("drop").to_owned(),
            output: joined.get("output").and_then(Value::as_str).map(str::to_owned),
            outputs: outputs
                .filter_map(|(name, topic)| Some((name.clone(), topic.as_str()?.to_owned())))
                .collect(),
            around: around(json.get("around"))
                .ok_or_else(|| unreadable("it does not say what the stage is joined to"))?,
        })
    }
}

fn around(value: Option<&Value>) -> Option<Around> {
    let value = value?;
    let mut topics = BTreeMap::new();
    for (name, facts) in value.get("topics")?.as_object()? {
        let writers = facts.get("writers")?.as_array()?.iter();
        topics.insert(
            name.clone(),
            TopicFacts {
                partitions: u32::try_from(facts.get("partitions")?.as_u64()?).ok()?,
                time: facts.get("time")?.as_bool()?,
                writers: writers.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
            },
        );
    }
    Some(Around {
        input: text(value, "input")?,
        input_time: value.get("input_time")?.as_bool()?,
        dead_letters: text(value, "dead_letters")?,
        topics,
    })
}

/// SHA-256, lower-case hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn id_source(value: Option<&Value>) -> Option<IdSource> {
    Some(match value? {
        Value::String(word) => match word.as_str() {
            "position" => IdSource::Position,
            "key" => IdSource::Key,
            "content" => IdSource::Content,
            "content-json" => IdSource::ContentJson,
            "own" => IdSource::Own,
            _ => return None,
        },
        other => match (text(other, "header"), text(other, "field")) {
            (Some(header), _) => IdSource::Header(header),
            (_, Some(field)) => IdSource::Field(field),
            _ => return None,
        },
    })
}

fn time_source(value: Option<&Value>) -> Option<TimeSource> {
    Some(match value? {
        Value::String(word) => match word.as_str() {
            "none" => TimeSource::None,
            "timestamp" => TimeSource::Timestamp,
            "own" => TimeSource::Own,
            _ => return None,
        },
        other => match (text(other, "header"), text(other, "field")) {
            (Some(header), _) => TimeSource::Header(header),
            (_, Some(field)) => TimeSource::Field(field),
            _ => return None,
        },
    })
}

fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}

fn watermark(value: Option<&Value>) -> Option<WatermarkRules> {
    let value = value?.as_object()?;
    let number = |field: &str| value.get(field).and_then(Value::as_i64);
    Some(WatermarkRules {
        disorder: number("disorder_ms")?,
        step: number("step_ms")?,
        jump_max: number("jump_max_ms")?,
        agree: usize::try_from(number("agree")?).ok()?,
    })
}

fn dedup(value: Option<&Value>) -> Option<DedupRules> {
    let value = value?.as_object()?;
    let horizon = value.get("horizon_ms").and_then(Value::as_i64)?;
    let ids_max = value.get("ids_max").and_then(Value::as_u64)?;
    Some(DedupRules { horizon, ids_max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_every_shipped_kind_of_edge_reads_back() {
        let text = r#"
            pawl = 1
            name = "t"
            [topics.a]
            [topics.b]
            [topics.c]
            [[stage]]
            name = "s"
            input = "a"
            output = "b"
            late = { topic = "c" }
            [[stage.operator]]
            name = "o"
            plugin = "p"
            config = { x = 1 }
            [stage.operator.edge]
            id = { field = "/id" }
            event_time = { field = "/t" }
            watermark = { disorder_ms = 5 }
            dedup = { horizon_ms = 7, ids_max = 9 }
        "#;
        let (pipeline, _) = pawl_pipeline::parse(text, std::path::Path::new("."), &[])
            .unwrap_or_else(|mistakes| panic!("{:?}", mistakes.list));
        let read =
            Configuration::parse(&pipeline.configuration_text(&pipeline.stages[0], 0)).unwrap();
        assert_eq!(read.guest, r#"{"x":1}"#);
        assert_eq!(read.edge.id, IdSource::Field("/id".into()));
        assert_eq!(read.edge.time, TimeSource::Field("/t".into()));
        assert_eq!(read.edge.dedup, Some(DedupRules { horizon: 7, ids_max: 9 }));
        assert_eq!(read.watermark.map(|w| (w.disorder, w.step, w.agree)), Some((5, 100, 3)));
        assert_eq!((read.late.as_str(), read.output.as_deref()), ("c", Some("b")));
        assert_eq!(read.digest.len(), 64);
        assert_eq!(read.around.input, "a");
        assert_eq!(read.around.topics.keys().collect::<Vec<_>>(), ["b", "c", "t.dlq"]);
    }
}
