//! What is new since somebody last looked, kind by kind. That somebody looked, and up to where, is
//! one commit of a task of its own, `dlq.review`: a row in the topic `<pipeline>.reviews` whose
//! value is JSON, a `Mark`. Only the last rows are kept.

use crate::error::Error;
use crate::letter::{Letter, Meta};
use crate::scan::Scan;
use crate::text::shown;
use pawl_core::commit::{Append, CommitBatch, TaskId};
use pawl_core::record::{LogBatch, NO_TIME, Offset, PRIORITY_DEFAULT, Record, Records, Timestamp};
use pawl_pipeline::Pipeline;
use pawl_transport::{ReadMax, Transport};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

/// The task whose commits the marks are. No stage can have this name.
const TASK: &str = "dlq.review";

/// Marks that are kept.
const MARKS_KEPT: u64 = 100;

/// Kinds that are told apart, in a review and in a mark; all further ones are one.
const KINDS_MAX: usize = 10_000;
const OTHERS: &str = "others";

const CHARACTERS_MAX: usize = 200;

/// Where somebody looked last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub time_ms: Timestamp,
    /// When the first dead letter ever seen failed.
    pub first_ms: Timestamp,
    /// For each partition the offset behind the last one seen.
    pub seen: Vec<Offset>,
    /// How many were seen in all, by `stage/operator kind`.
    pub kinds: BTreeMap<String, u64>,
}

/// A kind and what is new of it.
#[derive(Clone, Debug)]
pub struct Kind {
    /// `stage/operator kind`.
    pub name: String,
    /// New ones.
    pub new: u64,
    /// How many were seen before, in all reviews.
    pub before: u64,
    /// How many times more there are for each hour than before; none: the kind is new.
    pub times: Option<f64>,
    /// When the first and the last new one failed.
    pub span: (Timestamp, Timestamp),
    /// Of the first new one: where it lies, and its message.
    pub example: (String, String),
}

/// What is new.
#[derive(Clone, Debug)]
pub struct Review {
    /// The last time somebody looked.
    pub last: Option<Mark>,
    /// New kinds first, then by growth.
    pub kinds: Vec<Kind>,
    /// What `done` makes of it.
    next: Mark,
}

/// What is new since the last mark. Changes nothing.
pub fn review(
    transport: &dyn Transport,
    pipeline: &Pipeline,
    now_ms: Timestamp,
) -> Result<Review, Error> {
    let last = last_mark(transport, pipeline)?;
    let mark = last.clone().unwrap_or_default();
    let mut next = Mark { time_ms: now_ms, ..mark.clone() };
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    if let Some(scan) = Scan::open(transport, &pipeline.dead_letters.topic)? {
        next.seen = scan.ranges().iter().map(|(_, end)| *end).collect();
        // A crash may write a dead letter twice.
        let mut ids = HashSet::new();
        scan.from(&mark.seen).each(|letter| {
            if letter.id().is_none_or(|id| ids.insert(id)) {
                take_in(&mut kinds, letter);
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    let first = kinds.values().map(|kind| kind.span.0).min();
    if mark.kinds.is_empty() {
        next.first_ms = first.unwrap_or(now_ms);
    }
    let mut kinds: Vec<Kind> = kinds.into_values().collect();
    for kind in &mut kinds {
        kind.before = mark.kinds.get(&kind.name).copied().unwrap_or(0);
        kind.times = times(kind, &mark, now_ms);
        let is_known = next.kinds.contains_key(&kind.name) || next.kinds.len() < KINDS_MAX;
        let name = if is_known { kind.name.as_str() } else { OTHERS };
        *next.kinds.entry(name.to_owned()).or_default() += kind.new;
    }
    kinds.sort_by(|one, two| {
        let growth = |kind: &Kind| kind.times.unwrap_or(f64::INFINITY);
        growth(two).total_cmp(&growth(one)).then(two.new.cmp(&one.new))
    });
    Ok(Review { last, kinds, next })
}

/// Takes note that all of this was looked at.
pub fn done(transport: &dyn Transport, pipeline: &Pipeline, review: &Review) -> Result<(), Error> {
    let topic = pipeline.reviews_topic();
    transport.create_topic(&topic, 1)?;
    let task = TaskId { stage: TASK.to_owned(), partition: 0 };
    let epoch = transport.claim(&task, 0)?;
    let mut commit = transport.recovery(&task)?.commit.unwrap_or_default();
    commit.epoch = epoch;
    commit.semantics = pawl_core::SEMANTICS;
    commit.progress.position += 1;
    let value = serde_json::to_vec(&review.next).expect("texts and numbers are JSON");
    let mut records = Records::default();
    records.push(Record {
        value: Some(&value),
        event_time: NO_TIME,
        priority: PRIORITY_DEFAULT,
        ..Record::default()
    });
    let batch = LogBatch { records, ..LogBatch::default() };
    let appends = vec![Append { topic: topic.clone(), partition: 0, batch }];
    let batch = CommitBatch { task, commit, decisions: Vec::new(), appends };
    transport.submit(batch, review.next.time_ms).wait()?;
    let (_, end) = transport.range(&topic, 0)?;
    while transport.trim(&topic, 0, end.saturating_sub(MARKS_KEPT))?.more {}
    Ok(())
}

fn last_mark(transport: &dyn Transport, pipeline: &Pipeline) -> Result<Option<Mark>, Error> {
    let topic = pipeline.reviews_topic();
    let end = match transport.range(&topic, 0) {
        Ok((first, end)) if first < end => end,
        Ok(_) | Err(pawl_transport::Error::UnknownTopic { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let batches = transport.read(&topic, 0, end - 1, ReadMax { records: 1, bytes: 1 })?;
    let value = batches
        .last()
        .and_then(|batch| batch.records.values.get(batch.records.len().checked_sub(1)?));
    let mark = serde_json::from_slice(value.unwrap_or_default());
    mark.map(Some).map_err(|error| Error::Damaged {
        topic,
        offset: end - 1,
        what: error.to_string(),
    })
}

fn take_in(kinds: &mut BTreeMap<String, Kind>, letter: &Letter<'_>) {
    let shown = |text: &str| shown(text.as_bytes(), CHARACTERS_MAX);
    let (stage, operator) = (letter.text(Meta::Stage), letter.text(Meta::Operator));
    let mut name = shown(&format!("{stage}/{operator} {}", letter.text(Meta::Kind)));
    let at = letter.failed_at();
    if kinds.len() >= KINDS_MAX && !kinds.contains_key(&name) {
        name = OTHERS.to_owned();
    }
    let kind = kinds.entry(name).or_insert_with_key(|name| Kind {
        name: name.clone(),
        new: 0,
        before: 0,
        times: None,
        span: (at, at),
        example: (letter.place(), shown(letter.text(Meta::Message))),
    });
    kind.new += 1;
    kind.span = (kind.span.0.min(at), kind.span.1.max(at));
}

/// How many times more there are for each hour than before.
fn times(kind: &Kind, mark: &Mark, now_ms: Timestamp) -> Option<f64> {
    let before = mark.time_ms.saturating_sub(mark.first_ms).max(1) as f64;
    let since = now_ms.saturating_sub(mark.time_ms).max(1) as f64;
    (kind.before > 0).then(|| kind.new as f64 / since / (kind.before as f64 / before))
}
