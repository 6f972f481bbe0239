//! The machine of one task: `step` takes the next thing that the input sequence holds (a decision,
//! a control row, data rows) and carries it through the chain; `seal` gives what to commit.
//!
//! The same rows and decisions give the same outputs, whatever the batches, clocks and kills. A
//! step that fails leaves the task unusable: drop it, start again from a checkpoint. It must never
//! do IO, ask for the time, or make a decision while it replays.

mod events;

mod rows;
mod edge;
mod chain;
mod call;
mod emit;
mod deliver;
mod refusals;
mod sent_back;
mod tick;

mod decide;
mod replay;
mod seal;

mod effects;
mod sheet;
mod work;

#[cfg(test)]
mod tests;

pub use deliver::DELIVERY_UNKNOWN;
pub use events::{FailedCall, Isolation, Recovery, Step, Stop, Wish};

use crate::commit::{Append, Commit, Progress};
use crate::decision::{Decision, DecisionKind};
use crate::identity;
use crate::laws::{Law, Violation};
use crate::mutant::{Mutant, planted};
use crate::operator::{Batch, Operator};
use crate::outbox::{self, Outbox};
use crate::record::{Control, LogBatch, NO_TIME, Offset, Producer, Timestamp};
use crate::spec::{Spec, TimeOrigin};
use crate::state::State;
use std::collections::VecDeque;
use std::sync::Arc;

/// Rows of the first run where operators work ahead of the edge that judges time; what it makes
/// tells how long the next one may be.
const HEAD_ROWS_FIRST: usize = 128;

/// One stage on one partition.
pub struct Task {
    spec: Arc<Spec>,
    state: State,
    commit: Commit,
    replaying: bool,
    tolerant: bool,
    intent: u64,
    /// Rows below, behind the commit, may have been sent by a sink that sends at most once.
    unknown_until: Offset,
    stored: VecDeque<Decision>,
    fresh: Vec<Decision>,
    epoch: u64,
    outbox: Outbox,
    sealed: Vec<Append>,
    sealed_decisions: Vec<Decision>,
    sealed_commit: Option<Commit>,
    sealed_root: u64,
    isolation: Option<Isolation>,
    now: Timestamp,
    scratch: Batch,
    /// Rows of a run at most, where operators work ahead of the edge that judges time.
    head_rows: usize,
    /// A name under which something is counted, kept to save its memory.
    counted: String,
}

impl Task {
    /// A task at `state`, which lies at or behind the commit.
    pub fn new(spec: Arc<Spec>, state: State, recovery: Recovery) -> Result<Self, Violation> {
        let progress = state.plain.progress;
        let commit = &recovery.commit;
        let same_root = progress.root() == commit.progress.root();
        let other = same_root
            && !recovery.tolerant
            && (progress != commit.progress
                || state.plain.input_sum != commit.input_sum
                || state.plain.output_sum != commit.output_sum);
        if other {
            let what = "the checkpoint and the commit lie at one root and are not the same";
            return Err(Violation::of(Law::Ck4, what));
        }
        if progress.root() > recovery.commit.progress.root() {
            let (at, commit) = (progress.root(), recovery.commit.progress.root());
            let what = format!("the checkpoint is at root {at}, the commit at {commit}");
            return Err(Violation::of(Law::Ck4, what));
        }
        let due = progress.decisions..;
        for (number, decision) in due.zip(&recovery.decisions) {
            if decision.number != number {
                let what = format!("decision {number} is missing, {} follows", decision.number);
                return Err(Violation::of(Law::Al2, what));
            }
        }
        let missing = recovery.commit.progress.decisions.saturating_sub(progress.decisions);
        if (recovery.decisions.len() as u64) < missing && !recovery.tolerant {
            let what = format!("{missing} decisions are committed, fewer are retained");
            return Err(Violation::of(Law::Al2, what));
        }
        let task = &spec.task;
        let producer = Producer { stage: task.stage.clone(), partition: task.partition };
        Ok(Self {
            outbox: Outbox::new(producer, &spec.topics),
            replaying: match recovery.tolerant {
                true => progress != recovery.commit.progress,
                false => progress.root() < recovery.commit.progress.root(),
            },
            sealed_root: recovery.commit.progress.root(),
            commit: recovery.commit,
            tolerant: recovery.tolerant,
            intent: recovery.intent.root(),
            unknown_until: match planted(Mutant::AttemptForgotten) {
                true => 0,
                false => recovery.attempted,
            },
            stored: match planted(Mutant::Remade) {
                true => VecDeque::new(),
                false => recovery.decisions.into(),
            },
            epoch: recovery.epoch,
            spec,
            state,
            fresh: Vec::new(),
            sealed: Vec::new(),
            sealed_decisions: Vec::new(),
            sealed_commit: None,
            isolation: None,
            now: 0,
            scratch: Batch::default(),
            head_rows: HEAD_ROWS_FIRST,
            counted: String::new(),
        })
    }

    /// Gives operators one item per call up to a position.
    pub fn isolate(&mut self, isolation: Option<Isolation>) {
        self.isolation = isolation;
    }

    /// Does the next thing: rows that were sent back, while some are admitted; else a stored
    /// decision; else, if it may, what the host wishes; else up to `rows_max` rows of `input`.
    /// `input` is of the topic that `admitting` says, and begins at or below its next row. `now` is
    /// the time that dead letters bear. Everything that a row brings about, its tick included, is
    /// done with it.
    pub fn step<O: Operator>(
        &mut self,
        input: Option<&LogBatch>,
        rows_max: usize,
        wish: Option<&Wish>,
        operators: &mut [O],
        now: Timestamp,
    ) -> Result<Step, Stop> {
        self.now = now;
        self.end_tolerant_replay();
        if self.admitting().is_some() {
            return match input {
                Some(sent_back) => self.take_in(sent_back, rows_max, operators),
                None => Ok(Step::Nothing),
            };
        }
        if let Some(decision) = self.next_stored_before()? {
            return self.apply(decision, operators);
        }
        if let Some(wish) = wish
            && self.may_decide()
            && let Some(kind) = self.decide(wish)
        {
            let decision = self.make(kind);
            return self.apply(decision, operators);
        }
        let Some(input) = input.filter(|input| self.holds_next(input)) else {
            return Ok(Step::Nothing);
        };
        let tripped = self.state.plain.breaker.tripped(&self.spec.breaker);
        if let Some((failed, seen)) = tripped
            && self.may_decide()
        {
            return Err(Stop::Breaker { failed, seen });
        }
        if self.state.plain.idle {
            if !self.may_decide() {
                let what = "the task was idle, and no decision makes it active";
                return Err(Stop::Law(Violation::of(Law::Dt1, what)));
            }
            let decision = self.make(DecisionKind::Active);
            return self.apply(decision, operators);
        }
        let row = (self.position() - input.base) as usize;
        let control = input.controls.binary_search_by_key(&(row as u32), |(at, _)| *at);
        match control {
            Ok(at) => {
                if let Some((_, control)) = input.controls.get(at) {
                    self.control(control, operators)?;
                }
                Ok(Step::Rows(1))
            }
            Err(at) => {
                let to_control =
                    input.controls.get(at).map_or(input.rows(), |(at, _)| *at as usize);
                let rows = rows_max.clamp(1, to_control - row).min(self.rows_to_commit());
                // A dead item lies within the run; any other decision ends it, though dead items
                // may stand before it in the list.
                let bound = self.stored.iter().find(|next| !decide::is_dead(next));
                let bound = match planted(Mutant::RunOverDecision) {
                    true => self.stored.front().filter(|next| !decide::is_dead(next)),
                    false => bound,
                };
                let rows = match bound {
                    Some(next) => rows.min((next.position - self.position()) as usize),
                    None => rows,
                };
                Ok(Step::Rows(self.rows(input, row - at, rows, operators)?))
            }
        }
    }

    /// The next row to read.
    pub fn position(&self) -> Offset {
        self.state.plain.progress.position
    }

    /// How far the task has come.
    pub fn progress(&self) -> Progress {
        self.state.plain.progress
    }

    /// The state, to look at and to take an image of. Between two steps only.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The specification.
    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// Other operators run from here on: their edges, outputs and topics. Between two steps only.
    pub fn rewire(&mut self, spec: Arc<Spec>) {
        self.outbox.count(&mut self.state.plain.counters);
        outbox::merge(&mut self.sealed, self.outbox.drain());
        let task = &spec.task;
        let producer = Producer { stage: task.stage.clone(), partition: task.partition };
        self.outbox = Outbox::new(producer, &spec.topics);
        self.state.fit(&spec);
        self.spec = spec;
    }

    fn holds_next(&self, input: &LogBatch) -> bool {
        input.base <= self.position() && self.position() < input.end()
    }

    fn time_edge(&self) -> usize {
        self.spec.time_edge
    }

    fn control<O: Operator>(&mut self, control: &Control, operators: &mut [O]) -> Result<(), Stop> {
        let plain = &mut self.state.plain;
        let mut facts = Vec::with_capacity(64);
        facts.extend_from_slice(control.producer.stage.as_bytes());
        for word in [
            u64::from(control.producer.partition),
            control.generation,
            control.number,
            control.watermark as u64,
            u64::from(control.active),
        ] {
            facts.extend_from_slice(&word.to_le_bytes());
        }
        plain.input_sum = plain.input_sum.wrapping_add(identity::hash(&facts));
        plain.counters.controls_in += 1;
        let heard = plain.heard.hear(control);
        plain.progress.position += 1;
        self.root_done()?;
        if self.spec.time == TimeOrigin::Producers && heard != NO_TIME {
            self.tick_to(heard, operators)?;
        }
        Ok(())
    }
}
