//! Which topics carry event time: who writes them, and whether the writer knows the time.
//! Works on stages that may still have mistakes, circles included, and never loops on them.

use crate::pipeline::Stage;
use std::collections::{BTreeMap, BTreeSet};

/// One who writes a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    /// Its stage.
    pub(crate) stage: String,
    /// What of the stage: `operator normalize` or `late records`.
    pub(crate) part: String,
    /// Whether a watermark stands behind what it writes.
    pub(crate) has_time: bool,
}

/// All topics that stages write, each with its writers.
pub(crate) fn of_topics(stages: &[Stage]) -> BTreeMap<&str, Vec<Writer>> {
    let mut timed = BTreeSet::new();
    loop {
        let writers = with_timed_topics(stages, &timed);
        let all = |list: &Vec<Writer>| list.iter().all(|writer| writer.has_time);
        let now: BTreeSet<&str> =
            writers.iter().filter(|(_, list)| all(list)).map(|(topic, _)| *topic).collect();
        // Time only spreads from round to round, so this ends after at most one per stage.
        if now == timed {
            return writers;
        }
        timed = now;
    }
}

fn with_timed_topics<'a>(
    stages: &'a [Stage],
    timed: &BTreeSet<&str>,
) -> BTreeMap<&'a str, Vec<Writer>> {
    let mut writers: BTreeMap<&str, Vec<Writer>> = BTreeMap::new();
    for stage in stages {
        let from = match stage.watermark_at() {
            Some(at) => at,
            None if timed.contains(stage.input.as_str()) => 0,
            None => usize::MAX,
        };
        let mut write = |topic: &'a str, part: String, has_time: bool| {
            let writer = Writer { stage: stage.name.clone(), part, has_time };
            writers.entry(topic).or_default().push(writer);
        };
        for (at, operator) in stage.operators.iter().enumerate() {
            let last = at + 1 == stage.operators.len();
            let output = stage.output.iter().filter(|_| last);
            for topic in operator.outputs.values().chain(output) {
                write(topic, format!("operator {}", operator.name), at >= from);
            }
        }
        if let Some(topic) = stage.late.topic() {
            // Late records lie behind the watermark by their nature.
            write(topic, "late records".to_owned(), false);
        }
    }
    writers
}
