//! What must hold between the fields of a pipeline: topics are known, stages form no circle, time
//! has one origin. Reports, and never stops at the first; a field that is itself a mistake (then
//! it is empty) is passed over, so that one mistake is not told twice.

use crate::edge::{IdSource, TimeSource};
use crate::fields::{closest, join};
use crate::mistake::Report;
use crate::pipeline::{KeySource, Late, Pipeline, Stage};
use crate::time;
use std::collections::{BTreeMap, BTreeSet};

/// Checks all rules.
pub(crate) fn check(pipeline: &Pipeline, report: &Report) {
    let paths = stage_paths(pipeline);
    for (stage, path) in pipeline.stages.iter().zip(&paths) {
        topics(pipeline, stage, path, report);
    }
    sources(pipeline, report);
    unused_topics(pipeline, report);
    if let Some(circle) = circle(pipeline) {
        // Time has no origin in a circle; to ask for it would only mislead.
        report.mistake("stage", format!("stages form a circle: {circle}"));
        return;
    }
    let writers = time::of_topics(&pipeline.stages);
    for (stage, path) in pipeline.stages.iter().zip(&paths) {
        let input = writers.get(stage.input.as_str()).map(Vec::as_slice).unwrap_or_default();
        stage_time(stage, path, input, report);
        dedup(pipeline, stage, path, report);
    }
}

/// Where each stage stands in the file.
fn stage_paths(pipeline: &Pipeline) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for (number, stage) in pipeline.stages.iter().enumerate() {
        let list = if stage.is_sink() { "sink" } else { "stage" };
        let path = element(list, &stage.name, number);
        let twice = paths.contains(&path);
        paths.push(if twice { element(list, "", number) } else { path });
    }
    paths
}

fn element(list: &str, name: &str, number: usize) -> String {
    match name {
        "" => join(list, &number.to_string()),
        name => join(list, name),
    }
}

fn topics(pipeline: &Pipeline, stage: &Stage, path: &str, report: &Report) {
    let dead = pipeline.dead_letters.topic.as_str();
    let mut named = vec![(join(path, "input"), stage.input.as_str())];
    named.extend(stage.output.as_deref().map(|topic| (join(path, "output"), topic)));
    named.extend(stage.late.topic().map(|topic| (join(&join(path, "late"), "topic"), topic)));
    for (number, operator) in stage.operators.iter().enumerate() {
        let operator_path = element(&join(path, "operator"), &operator.name, number);
        for (output, topic) in &operator.outputs {
            named.push((join(&join(&operator_path, "outputs"), output), topic));
        }
    }
    for (at, (path, topic)) in named.into_iter().enumerate() {
        if topic == dead && at == 0 {
            let why = "its own dead letters go there, so it would never end";
            report.mistake(path, format!("`{topic}` is the topic of the dead letters; {why}"));
        } else if topic == dead {
            let should = "should be a topic of its own (late records: \"dead-letter\")";
            report.mistake(path, format!("`{topic}` is the topic of the dead letters; {should}"));
        } else if pipeline.is_own(topic) {
            let what = format!("`{topic}` is a topic in which dead letters are sent back");
            report.mistake(path, what);
        } else if !topic.is_empty() && !pipeline.topics.contains_key(topic) {
            report.mistake(path, undeclared(pipeline, topic));
        }
    }
}

/// A source feeds a topic that is declared, and that nobody's rules make another's.
fn sources(pipeline: &Pipeline, report: &Report) {
    for (number, source) in pipeline.sources.iter().enumerate() {
        let path = join(&element("source", &source.name, number), "topic");
        let topic = source.topic.as_str();
        if pipeline.is_own(topic) {
            let what = format!("`{topic}` is a topic of dead letters; should be another");
            report.mistake(path, what);
        } else if let Some(stage) = pipeline.writers(topic).first() {
            let should = "should be a topic of its own: its ids and times are others";
            report.mistake(path, format!("stage {} writes `{topic}`, too; {should}", stage.name));
        } else if !topic.is_empty() && !pipeline.topics.contains_key(topic) {
            report.mistake(path, undeclared(pipeline, topic));
        }
    }
}

fn undeclared(pipeline: &Pipeline, topic: &str) -> String {
    let known: Vec<&str> = pipeline.topics.keys().map(String::as_str).collect();
    match closest(topic, &known) {
        Some(meant) => format!("topic `{topic}` is not declared; did you mean `{meant}`?"),
        None => {
            let header = join("topics", topic);
            format!("topic `{topic}` is not declared; should stand in the file as [{header}]")
        }
    }
}

/// Time has one origin in a stage: the watermark of one edge, or the control rows of its input.
fn stage_time(stage: &Stage, path: &str, input: &[time::Writer], report: &Report) {
    let (timed, untimed): (Vec<_>, Vec<_>) = input.iter().partition(|writer| writer.has_time);
    let operators = join(path, "operator");
    let mut before: Option<&str> = None;
    for (number, operator) in stage.operators.iter().enumerate() {
        if operator.edge.watermark.is_none() {
            continue;
        }
        let edge = join(&element(&operators, &operator.name, number), "edge");
        let at = join(&edge, "watermark");
        if let Some(first) = before {
            let what = "a stage has at most one";
            report.mistake(&at, format!("is the second watermark, after that of {first}; {what}"));
        } else if let (Some(writer), true) = (timed.first(), untimed.is_empty()) {
            let (topic, stage) = (&stage.input, &writer.stage);
            report.mistake(
                &at,
                format!("topic `{topic}` brings the watermark of stage {stage}; leave it out"),
            );
        }
        if operator.edge.event_time == TimeSource::None {
            let should = "should be \"timestamp\", \"own\", { header = .. } or { field = .. }";
            let why = "the watermark beside it needs event times";
            report.mistake(join(&edge, "event_time"), format!("is \"none\"; {why}: {should}"));
        }
        before = before.or(Some(&operator.name));
    }
    if let (Some(with), Some(without)) = (timed.first(), untimed.first()) {
        let topic = &stage.input;
        let one = format!("{} of stage {}", with.part, with.stage);
        let other = format!("{} of stage {}", without.part, without.stage);
        let what =
            format!("topic `{topic}` is written with event time by {one}, without by {other}");
        report.mistake(join(path, "input"), format!("{what}; should be all or none"));
    }
    let has_time = before.is_some() || !timed.is_empty();
    if stage.late != Late::Drop && !has_time {
        let why = "without a watermark in the stage or before it no record is late";
        report.warn(join(path, "late"), why);
    }
}

fn dedup(pipeline: &Pipeline, stage: &Stage, path: &str, report: &Report) {
    let from = pipeline.time_from(stage);
    for (number, operator) in stage.operators.iter().enumerate() {
        let Some(dedup) = &operator.edge.dedup else { continue };
        let operator_path = element(&join(path, "operator"), &operator.name, number);
        let at = join(&join(&operator_path, "edge"), "dedup");
        if stage.is_sink() {
            continue; // its window is bounded by count, and it has one unasked
        }
        let timed = from.is_some_and(|from| number >= from);
        if !timed || operator.edge.event_time == TimeSource::None {
            let ids = dedup.ids_max;
            report.warn(
                &at,
                format!("no watermark on this edge, so only ids_max ({ids}) bounds it, not time"),
            );
        }
        if operator.edge.id == IdSource::Position && number == 0 {
            report.warn(&at, "ids are positions, which never repeat: no copy is ever found");
            continue;
        }
        if let Some(topic) = pipeline.topics.get(&stage.input) {
            let key = topic.key.as_ref();
            if topic.partitions > 1 && !same_partition(&operator.edge.id, key) {
                let (id, count, input) =
                    (operator.edge.id.describe(), topic.partitions, &stage.input);
                report.warn(
                    &at,
                    format!(
                        "dedup is per partition, and `{input}` has {count}, by key: two records \
                         with one id ({id}) count as copies only if their keys are equal too"
                    ),
                );
            }
        }
    }
}

/// Whether equal ids surely lie on one partition. Records go to partitions by their key.
fn same_partition(id: &IdSource, key: Option<&KeySource>) -> bool {
    match (id, key) {
        (IdSource::Key, _) => true,
        (IdSource::Field(id), Some(KeySource::Field(key))) => id == key,
        (IdSource::Header(id), Some(KeySource::Header(key))) => id == key,
        (IdSource::Content | IdSource::ContentJson, Some(KeySource::Field(_))) => true,
        _ => false,
    }
}

/// Stages that read, at last, what they write; they would wait for themselves.
fn circle(pipeline: &Pipeline) -> Option<String> {
    let known: BTreeSet<&str> = pipeline.stages.iter().map(|stage| stage.input.as_str()).collect();
    // From a topic to all topics that the stages reading it write, with the stage's name.
    let mut onward: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for stage in &pipeline.stages {
        let writes = stage.writes().into_iter().filter(|topic| known.contains(topic));
        let steps = writes.map(|topic| (stage.name.as_str(), topic));
        onward.entry(stage.input.as_str()).or_default().extend(steps);
    }
    // Topics that lead nowhere are taken away until none is left, or only circles.
    loop {
        let live: BTreeSet<&str> = onward.keys().copied().collect();
        for steps in onward.values_mut() {
            steps.retain(|(_, topic)| live.contains(topic));
        }
        let before = onward.len();
        onward.retain(|_, steps| !steps.is_empty());
        if onward.len() == before {
            break;
        }
    }
    let mut topic = onward.keys().next().copied()?;
    let mut way: Vec<(&str, &str)> = Vec::new();
    while let Some((stage, next)) = onward.get(topic).and_then(|steps| steps.first()) {
        if let Some(start) = way.iter().position(|(from, _)| from == &topic) {
            way.drain(..start);
            break;
        }
        way.push((topic, stage));
        topic = next;
    }
    let steps: Vec<String> = way.iter().map(|(from, by)| format!("{from} -({by})-> ")).collect();
    Some(format!("{}{topic}", steps.concat()))
}

fn unused_topics(pipeline: &Pipeline, report: &Report) {
    let read = pipeline.stages.iter().map(|stage| stage.input.as_str());
    let fed = pipeline.sources.iter().map(|source| source.topic.as_str());
    let used: BTreeSet<&str> = read.chain(pipeline.internal_topics()).chain(fed).collect();
    for topic in pipeline.topics.keys() {
        if !used.contains(topic.as_str()) && !pipeline.is_own(topic) {
            report.warn(join("topics", topic), "no stage reads or writes this topic");
        }
    }
}
