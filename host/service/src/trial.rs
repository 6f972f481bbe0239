//! Tries single records against the operators that would run now, from the state of the newest
//! checkpoint on this machine, within the operators' limits. Nothing that is stored is touched,
//! nothing leaves the instances, and a guest that fails is thrown away with what it held.
//!
//! What is not tried: `advance`, dedup, and what a sink would deliver.

use crate::check::{self, Ready};
use crate::error::Error;
use crate::guest::{Guest, GuestState};
use crate::plugins::{Plugins, Running};
use crate::tiers::store_of;
use pawl_checkpoint::{Checkpoint, Owner, Store};
use pawl_core::commit::TaskId;
use pawl_core::identity::{self, IdSource};
use pawl_core::operator::{Batch, Emissions, Failure, Operator, Verdict, Wiring};
use pawl_core::record::{NO_TIME, Record, Records, Timestamp};
use pawl_core::state::State;
use pawl_pipeline::{Pipeline, Stage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Calls that an operator may owe more for, and records that one record may become, at most.
const CALLS_MAX: usize = 10_000;
const MADE_MAX: usize = 100_000;

/// What the newest checkpoint of a task says of its event time.
#[derive(Clone, Debug)]
pub struct TaskTime {
    /// The watermark of the edge that judges time, or `NO_TIME`.
    pub watermark: Timestamp,
    /// The watermark last given to each operator, or `NO_TIME`.
    pub operator_watermarks: Vec<Timestamp>,
}

impl TaskTime {
    /// The watermark before operator `at` of a stage, or `NO_TIME`.
    pub fn watermark_at(&self, stage: &Stage, at: usize) -> Timestamp {
        match at > stage.watermark_at().unwrap_or(0) {
            true => self.operator_watermarks.get(at).copied().unwrap_or(NO_TIME),
            false => self.watermark,
        }
    }

    /// Whether a record with this event time that comes to the edge before operator `at` is late.
    fn is_late(&self, stage: &Stage, at: usize, time: Timestamp) -> bool {
        let judged = at >= stage.watermark_at().unwrap_or(0);
        judged && time != NO_TIME && time < self.watermark_at(stage, at)
    }
}

/// What an operator would say of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It would be taken, and what is made of it too.
    Passed,
    /// It would be dropped on purpose.
    Discarded,
    /// It would be a dead letter.
    Failed {
        /// The operator that would refuse it, or what was made of it.
        operator: String,
        /// Short stable name.
        kind: String,
        /// For a person.
        message: String,
    },
    /// What an operator makes of it would be late at an edge behind.
    Late,
    /// A sink would deliver it, which cannot be tried.
    Sink,
}

/// What a record is tried with.
pub struct Trial<'a> {
    pipeline: &'a Pipeline,
    ready: BTreeMap<String, Ready>,
    /// Of the tasks of one partition: instances take memory, and dead letters come by partition.
    chains: BTreeMap<TaskId, Chain>,
    /// Operators of all chains so far whose state was not taken up, and why.
    fresh: BTreeMap<String, String>,
}

/// The operators of a task, each with the state that it begins with.
struct Chain {
    running: Vec<Running>,
    states: Vec<GuestState>,
    /// Operators whose state was not taken up, and why.
    fresh: BTreeMap<String, String>,
    /// Whether the stage has event time at all.
    has_time: bool,
    /// None: there is no checkpoint.
    time: Option<TaskTime>,
    /// None: not made yet, or thrown away.
    guests: Vec<Option<Guest>>,
}

/// What the newest checkpoint on this machine says of a task's time. None if there is none.
pub fn task_time(pipeline: &Pipeline, task: &TaskId) -> Result<Option<TaskTime>, Error> {
    let found = store_of(pipeline).newest(task)?.checkpoint;
    found.map(|checkpoint| time_of(&checkpoint)).transpose()
}

fn time_of(checkpoint: &Checkpoint) -> Result<TaskTime, Error> {
    let task = &checkpoint.header.task;
    let image = pawl_codec::state::decode(&checkpoint.core).map_err(|error| Error::State {
        code: "state",
        what: format!("the state in the checkpoint of {task} cannot be read: {error}"),
    })?;
    let plain = State::plain_of(&image);
    Ok(TaskTime {
        watermark: plain.watermark,
        operator_watermarks: plain.operator_watermarks.clone(),
    })
}

impl<'a> Trial<'a> {
    /// Makes the pipeline's operators ready. All that is wrong with them is told at once.
    pub fn new(pipeline: &'a Pipeline) -> Result<Self, Error> {
        let plugins = Plugins::new(pipeline, false)?;
        let ready = check::ready(pipeline, &plugins)?;
        Ok(Self { pipeline, ready, chains: BTreeMap::new(), fresh: BTreeMap::new() })
    }

    /// Operators that begin without their state, and why.
    pub fn fresh(&self) -> &BTreeMap<String, String> {
        &self.fresh
    }

    /// Lets the record enter before operator `entry` of a task, with its own event time.
    pub fn try_record(
        &mut self,
        task: &TaskId,
        entry: usize,
        record: &Record<'_>,
    ) -> Result<Tried, Error> {
        let Some(stage) = self.pipeline.stage(&task.stage) else { return Ok(Tried::Sink) };
        if stage.is_sink() {
            return Ok(Tried::Sink);
        }
        if !self.chains.contains_key(task) {
            self.chains.retain(|other, _| other.partition == task.partition);
            let chain = self.chain(stage, task)?;
            self.chains.insert(task.clone(), chain);
        }
        let Some(chain) = self.chains.get_mut(task) else { return Ok(Tried::Sink) };
        let mut records = Records::default();
        records.push(*record);
        let tried = chain.enter(stage, entry, records);
        self.fresh.append(&mut chain.fresh);
        tried
    }

    fn chain(&self, stage: &Stage, task: &TaskId) -> Result<Chain, Error> {
        let ready = self.ready.get(&stage.name).ok_or_else(|| Error::State {
            code: "operators-changed",
            what: format!("stage {} has no operators", stage.name),
        })?;
        let found = store_of(self.pipeline).newest(task)?.checkpoint;
        let running = ready.running.clone();
        let mut states = Vec::with_capacity(running.len());
        let mut fresh = BTreeMap::new();
        for operator in &running {
            let state = found.as_ref().and_then(|found| state_of(found, &operator.name));
            if state.is_none() {
                let why = "no checkpoint on this machine holds it".to_owned();
                fresh.insert(format!("{}/{}", stage.name, operator.name), why);
            }
            states.push(state.unwrap_or_default());
        }
        let guests = running.iter().map(|_| None).collect();
        let time = found.as_ref().map(time_of).transpose()?;
        let has_time = self.pipeline.time_from(stage).is_some();
        Ok(Chain { running, states, fresh, has_time, time, guests })
    }
}

/// The state of an operator in a checkpoint.
fn state_of(checkpoint: &Checkpoint, name: &str) -> Option<GuestState> {
    let operators = &checkpoint.header.operators;
    let at = operators.iter().position(|operator| operator.digest.operator == name)?;
    let version = operators.get(at)?.state_version;
    let own = |owner: &Owner| *owner == Owner::Operator(at as u16);
    let parts = checkpoint.parts.iter().filter(|(key, _)| own(&key.owner));
    Some(GuestState { version, parts: parts.map(|(_, data)| data.as_slice().into()).collect() })
}

impl Chain {
    /// Lets records go from operator `at` on, one behind the other.
    fn enter(&mut self, stage: &Stage, at: usize, records: Records) -> Result<Tried, Error> {
        let (mut records, mut first) = (records, true);
        for at in at..self.running.len() {
            let mut next = Records::default();
            for row in 0..records.len() {
                let verdict = self.one(stage, at, (&records, row), &mut next)?;
                match verdict {
                    Tried::Passed => {}
                    Tried::Discarded if !first => {}
                    other => return Ok(other),
                }
            }
            (records, first) = (next, false);
            if records.is_empty() {
                break;
            }
        }
        Ok(Tried::Passed)
    }

    /// One record at one operator; what is made of it for the next one goes to `next`.
    fn one(
        &mut self,
        stage: &Stage,
        at: usize,
        (records, row): (&Records, usize),
        next: &mut Records,
    ) -> Result<Tried, Error> {
        let failed = |name: &str, kind: &str, message: String| Tried::Failed {
            operator: name.to_owned(),
            kind: kind.to_owned(),
            message,
        };
        self.make(stage, at)?;
        let (Some(running), Some(Some(guest))) = (self.running.get(at), self.guests.get_mut(at))
        else {
            return Ok(Tried::Passed);
        };
        let edge = &running.configuration.edge;
        let (id, time) = identity::read(&edge.id, &edge.time, records, row);
        if id.is_none() && !matches!(edge.id, IdSource::Own | IdSource::Position) {
            let message = format!("no id could be read from {}", edge.id);
            return Ok(failed(&running.name, "no-id", message));
        }
        let judges_time = self.has_time && at == stage.watermark_at().unwrap_or(0);
        if judges_time && time == NO_TIME {
            let message = format!("no event time could be read from {}", edge.time);
            return Ok(failed(&running.name, "no-event-time", message));
        }
        if self.time.as_ref().is_some_and(|told| told.is_late(stage, at, time)) {
            return Ok(Tried::Late);
        }
        let wiring = guest.told().wiring;
        let outcome = call(guest, &batch_of(records, row, time, &wiring));
        let (emissions, rejection) = match outcome {
            Ok(outcome) => outcome,
            Err(failure) => {
                let name = running.name.clone();
                if let Some(guest) = self.guests.get_mut(at) {
                    *guest = None;
                }
                return Ok(failed(&name, failure.kind(), failure.message().to_owned()));
            }
        };
        match rejection {
            Some((Verdict::Permanent, kind, message)) => {
                return Ok(failed(&running.name, &kind, message));
            }
            Some((Verdict::Discard, ..)) => return Ok(Tried::Discarded),
            None => {}
        }
        let goes_on = |output: usize| {
            let named = wiring.outputs.get(output);
            let elsewhere = stage.operators.get(at).zip(named);
            let elsewhere = elsewhere.is_some_and(|(own, name)| own.outputs.contains_key(name));
            output == 0 && at + 1 < self.running.len() && !elsewhere
        };
        for made in 0..emissions.len() {
            let output = emissions.outputs.get(made).map_or(0, |output| usize::from(*output));
            if goes_on(output) && next.len() < MADE_MAX {
                push_made(next, &emissions, made, &wiring, (records, row));
            }
        }
        Ok(Tried::Passed)
    }

    /// Makes the guest of an operator with its state, if there is none.
    fn make(&mut self, stage: &Stage, at: usize) -> Result<(), Error> {
        let (Some(running), Some(place)) = (self.running.get(at), self.guests.get_mut(at)) else {
            return Ok(());
        };
        if place.is_some() {
            return Ok(());
        }
        let mut guest = Guest::new(running, 1, Arc::default())?;
        let state = self.states.get(at).cloned().unwrap_or_default();
        if let Err(error) = guest.restore(&state, &running.name) {
            let name = format!("{}/{}", stage.name, running.name);
            self.fresh.entry(name).or_insert_with(|| error.to_string());
            guest = Guest::new(running, 1, Arc::default())?;
        }
        *place = Some(guest);
        Ok(())
    }
}

/// What a guest made of one record: emissions, and whether it refused the record.
type Made = (Emissions, Option<(Verdict, String, String)>);

/// One record, with all that is owed to it.
fn call(guest: &mut Guest, batch: &Batch) -> Result<Made, Failure> {
    let first = guest.process(batch)?;
    let mut rejections = first.rejections.into_iter();
    let rejection = rejections.next().map(|r| (r.verdict, r.kind, r.message));
    let (mut emissions, mut more, mut taken) = (first.emissions, first.more, first.taken);
    let mut rejection = rejection;
    for _ in 0..CALLS_MAX {
        if taken >= 1 && !more {
            return Ok((emissions, rejection));
        }
        let empty =
            Batch { headers: vec![Default::default(); batch.headers.len()], ..Batch::default() };
        let rest = if taken >= 1 { &empty } else { batch };
        let outcome = guest.process(rest)?;
        (more, taken) = (outcome.more, taken.max(outcome.taken));
        let refused = outcome.rejections.into_iter().next();
        rejection = rejection.or(refused.map(|r| (r.verdict, r.kind, r.message)));
        append(&mut emissions, &outcome.emissions);
    }
    Err(Failure::BadReturn(format!("owes more after {CALLS_MAX} calls")))
}

/// Only what the next operator sees is carried over.
fn append(to: &mut Emissions, from: &Emissions) {
    let (before, count) = (to.len(), from.len());
    if !to.outputs.is_empty() || !from.outputs.is_empty() {
        to.outputs.resize(before, 0);
        to.outputs.extend_from_slice(&from.outputs);
        to.outputs.resize(before + count, 0);
    }
    to.keys.extend_rows(&from.keys, 0, count);
    to.values.extend_rows(&from.values, 0, count);
    to.event_times.extend_from_slice(&from.event_times);
    for (column, more) in to.headers.iter_mut().zip(&from.headers) {
        column.extend_rows(more, 0, count);
    }
}

fn batch_of(records: &Records, row: usize, time: Timestamp, wiring: &Wiring) -> Batch {
    let mut batch = Batch::default();
    batch.keys.push(records.keys.get(row));
    batch.values.push(records.values.get(row));
    batch.event_times.push(time);
    for name in &wiring.wants {
        let mut column = pawl_core::column::ByteColumn::default();
        column.push(records.header(name).and_then(|header| header.get(row)));
        batch.headers.push(column);
    }
    batch
}

/// Adds an emission as the next operator gets it.
fn push_made(
    next: &mut Records,
    emissions: &Emissions,
    made: usize,
    wiring: &Wiring,
    cause: (&Records, usize),
) {
    let mut headers: BTreeMap<&str, &[u8]> = BTreeMap::new();
    if wiring.inherits_headers {
        for header in &cause.0.headers {
            if let Some(value) = header.column.get(cause.1) {
                headers.insert(&header.name, value);
            }
        }
    }
    for (name, column) in wiring.sets.iter().zip(&emissions.headers) {
        match column.get(made) {
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name.as_str())),
        }
    }
    let headers: Vec<(&str, &[u8])> = headers.into_iter().collect();
    next.push(Record {
        key: emissions.keys.get(made),
        value: emissions.values.get(made),
        id: emissions.ids.get(made),
        event_time: emissions.event_times.get(made).copied().unwrap_or(NO_TIME),
        headers: &headers,
        ..Record::default()
    });
}
