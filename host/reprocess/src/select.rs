//! What becomes of each dead letter: not meant, sent before, not to be sent and why, or sent.
//! The same dead letters, ledger and pipeline give the same selection, in the same order.

use crate::error::Error;
use crate::filter::Filter;
use crate::horizon::Horizons;
use crate::ledger::Ledger;
use crate::letter::{Letter, Meta};
use crate::replay::Options;
use crate::text::shown;
use pawl_pipeline::Pipeline;
use std::collections::BTreeMap;

/// Samples that are kept.
const SAMPLES_MAX: usize = 5;

/// Examples of what is not sent, for each reason.
const EXAMPLES_MAX: usize = 10;

/// Characters of a payload that a sample shows.
const SAMPLE_CHARACTERS_MAX: usize = 120;

/// Different values that one histogram tells apart.
const VALUES_MAX: usize = 10_000;

/// Why a dead letter that is meant cannot be sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It was sent back `replays_max` times or more.
    Parked,
    /// The dedup window of its operator, bounded by event time and by count, may have forgotten a
    /// good copy.
    BeyondHorizon,
    /// A source refused it: there is no operator before which it could enter.
    Source,
    /// Its sink sends at most once.
    AtMostOnce,
    /// It does not say where to enter.
    NoEntry,
    /// The pipeline has no such stage.
    UnknownStage,
    /// The stage has no such operator.
    UnknownOperator,
    /// Its root's partition is unknown, or there is no such partition.
    UnknownPartition,
    /// It has no `pawl-id`: Pawl did not write it.
    NoId,
}

impl Why {
    /// Short stable name.
    pub fn name(self) -> &'static str {
        match self {
            Why::Parked => "parked",
            Why::BeyondHorizon => "beyond-horizon",
            Why::Source => "source",
            Why::AtMostOnce => "at-most-once",
            Why::NoEntry => "no-entry",
            Why::UnknownStage => "unknown-stage",
            Why::UnknownOperator => "unknown-operator",
            Why::UnknownPartition => "unknown-partition",
            Why::NoId => "no-id",
        }
    }

    /// What it means and what can be done, for a person.
    pub fn words(self) -> &'static str {
        match self {
            Why::Parked => {
                "parked: sent back dead_letters.replays_max times and failed again; --parked sends \
                 them all the same"
            }
            Why::BeyondHorizon => {
                "older than what their operator's dedup window surely remembers, by event time or by \
                 ids: if a good copy was taken meanwhile, they would take effect twice; \
                 --beyond-horizon sends them all the same"
            }
            Why::Source => {
                "refused by a source, before any operator: they are no records. Mend one with `pawl \
                 dlq show ID --payload` and give it to `pawl produce`"
            }
            Why::AtMostOnce => {
                "of a sink that sends at most once, which takes nothing back: see whether the \
                 receiver has them, and give what it lacks to `pawl produce`"
            }
            Why::NoEntry => {
                "do not say where to enter (pawl-entry): take the payload with `pawl dlq show ID \
                 --payload` and give it to `pawl produce`"
            }
            Why::UnknownStage => {
                "of a stage that the pipeline does not have (any more): take the payload with `pawl \
                 dlq show ID --payload` and give it to `pawl produce`"
            }
            Why::UnknownOperator => {
                "of an operator that its stage does not have (any more): take the payload with \
                 `pawl dlq show ID --payload` and give it to `pawl produce`"
            }
            Why::UnknownPartition => {
                "of a partition that the input of their stage does not have: take the payload with \
                 `pawl dlq show ID --payload` and give it to `pawl produce`"
            }
            Why::NoId => "no dead letters of Pawl's: without a pawl-id",
        }
    }
}

/// What was selected, and what was not.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    /// Dead letters that are meant and were not sent before, whether they can be sent or not.
    pub matched: u64,
    /// Those to be sent.
    pub to_send: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Those whose time has passed: they would come back as late, or be dropped as such.
    pub late: u64,
    /// Meant, and sent before.
    pub sent_before: u64,
    /// Meant and left for another time, since `--max` was reached.
    pub beyond_max: u64,
    /// What cannot be sent: how many, and the ids of the first.
    pub not_sent: BTreeMap<Why, (u64, Vec<String>)>,
    /// What is to be sent, by error kind, by operator (`stage/operator`) and by day.
    pub kinds: BTreeMap<String, u64>,
    /// See `kinds`.
    pub operators: BTreeMap<String, u64>,
    /// See `kinds`.
    pub days: BTreeMap<String, u64>,
    /// The first of what is to be sent.
    pub samples: Vec<Sample>,
}

/// One dead letter for a person to look at.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Where it lies.
    pub place: String,
    /// Its `pawl-id`.
    pub id: String,
    /// Its stage and operator.
    pub operator: String,
    /// Its error kind.
    pub kind: String,
    /// Its message.
    pub message: String,
    /// How its payload begins.
    pub payload: String,
}

/// Where a dead letter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Index of the stage in the pipeline.
    pub stage: usize,
    /// Index of the operator in the stage.
    pub entry: usize,
    /// Partition of the topic of what is sent back.
    pub partition: u32,
    /// Its time has passed.
    pub late: bool,
}

/// What becomes of a dead letter.
pub(crate) enum Verdict {
    /// It stays where it is.
    Stays,
    /// It is sent there.
    Send(Target),
}

/// Says what becomes of dead letters, and keeps count.
pub(crate) struct Selector<'a> {
    pipeline: &'a Pipeline,
    filter: &'a Filter,
    options: &'a Options,
    ledger: Ledger,
    /// Partitions of the input of each stage; 0: it is not there.
    partitions: Vec<u32>,
    horizons: Horizons<'a>,
    left: u64,
    pub selected: Selected,
}

impl<'a> Selector<'a> {
    pub fn new(
        transport: &'a dyn pawl_transport::Transport,
        pipeline: &'a Pipeline,
        options: &'a Options,
        ledger: Ledger,
    ) -> Self {
        let partitions = pipeline.stages.iter();
        let partitions = partitions.map(|stage| transport.partitions(&stage.input).unwrap_or(0));
        Self {
            pipeline,
            filter: &options.filter,
            options,
            left: options.max.unwrap_or(u64::MAX).saturating_sub(ledger.by_run()),
            ledger,
            partitions: partitions.collect(),
            horizons: Horizons::new(transport, pipeline),
            selected: Selected::default(),
        }
    }

    /// Which were sent, and which of those were met.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Partitions of the input of a stage.
    pub fn partitions(&self, stage: usize) -> u32 {
        self.partitions.get(stage).copied().unwrap_or(0)
    }

    /// What becomes of a dead letter. Asked about each once, in order.
    pub fn judge(&mut self, letter: &Letter<'_>) -> Result<Verdict, Error> {
        let id = letter.id();
        if let Some(id) = id {
            self.ledger.met(id);
        }
        if !self.filter.takes(letter) {
            return Ok(Verdict::Stays);
        }
        if id.is_some_and(|id| self.ledger.has(id)) {
            self.selected.sent_before += 1;
            return Ok(Verdict::Stays);
        }
        self.selected.matched += 1;
        let target = match id {
            Some(_) => self.target(letter)?,
            None => Err(Why::NoId),
        };
        let target = match target {
            Ok(target) => target,
            Err(why) => {
                let (count, examples) = self.selected.not_sent.entry(why).or_default();
                *count += 1;
                if examples.len() < EXAMPLES_MAX {
                    let id = letter.text(Meta::Id);
                    examples.push(if id.is_empty() { letter.place() } else { id.to_owned() });
                }
                return Ok(Verdict::Stays);
            }
        };
        if self.left == 0 {
            self.selected.beyond_max += 1;
            return Ok(Verdict::Stays);
        }
        self.left -= 1;
        if let Some(id) = id {
            self.ledger.add(id);
        }
        self.selected.take_in(letter, target.late);
        Ok(Verdict::Send(target))
    }

    fn target(&mut self, letter: &Letter<'_>) -> Result<Result<Target, Why>, Error> {
        let name = letter.text(Meta::Stage);
        if name.starts_with("source.") {
            return Ok(Err(Why::Source));
        }
        let stages = &self.pipeline.stages;
        let Some(stage) = stages.iter().position(|stage| stage.name == name) else {
            return Ok(Err(Why::UnknownStage));
        };
        let sink = stages.get(stage).and_then(|stage| stage.sink.as_ref());
        if sink.is_some_and(pawl_pipeline::Sink::is_at_most_once) {
            return Ok(Err(Why::AtMostOnce));
        }
        let entry = letter.text(Meta::Entry);
        if entry.is_empty() {
            return Ok(Err(Why::NoEntry));
        }
        let operators = stages.get(stage).map(|stage| stage.operators.as_slice());
        let at = operators.unwrap_or_default().iter().position(|own| own.name == entry);
        let Some(entry) = at else { return Ok(Err(Why::UnknownOperator)) };
        let partition = letter.number::<u32>(Meta::Partition);
        let Some(partition) = partition.filter(|own| *own < self.partitions(stage)) else {
            return Ok(Err(Why::UnknownPartition));
        };
        if letter.replays() >= self.options.replays_max && !self.options.parked {
            return Ok(Err(Why::Parked));
        }
        let judged = self.horizons.judge(letter, stage, entry, partition)?;
        if judged.beyond && !self.options.beyond_horizon {
            return Ok(Err(Why::BeyondHorizon));
        }
        Ok(Ok(Target { stage, entry, partition, late: judged.late }))
    }
}

impl Selected {
    fn take_in(&mut self, letter: &Letter<'_>, late: bool) {
        self.to_send += 1;
        self.late += u64::from(late);
        self.bytes += letter.payload().len() as u64;
        let (stage, operator) = (letter.text(Meta::Stage), letter.text(Meta::Operator));
        count(&mut self.kinds, letter.text(Meta::Kind));
        count(&mut self.days, letter.text(Meta::Timestamp).get(..10).unwrap_or("unknown"));
        count(&mut self.operators, &format!("{stage}/{operator}"));
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(Sample {
                place: letter.place(),
                id: letter.text(Meta::Id).to_owned(),
                operator: format!("{stage}/{operator}"),
                kind: letter.text(Meta::Kind).to_owned(),
                message: shown(letter.text(Meta::Message).as_bytes(), SAMPLE_CHARACTERS_MAX),
                payload: shown(letter.payload(), SAMPLE_CHARACTERS_MAX),
            });
        }
    }

    /// How many that are meant could not be sent.
    pub fn not_sent(&self) -> u64 {
        self.not_sent.values().map(|(count, _)| count).sum()
    }
}

/// Counts a value; what is too varied counts as `other`.
fn count(counts: &mut BTreeMap<String, u64>, value: &str) {
    if let Some(count) = counts.get_mut(value) {
        *count += 1;
        return;
    }
    let name = if counts.len() < VALUES_MAX { value } else { "other" };
    *counts.entry(name.to_owned()).or_default() += 1;
}
