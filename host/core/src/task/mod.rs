//! The machine of one task: `step` takes the next thing that the input sequence holds (a decision,
//! a control row, data rows) and carries it through the chain; `seal` gives what to commit.
//!
//! The same rows and decisions give the same outputs, whatever the batches, clocks and kills. A
//! step that fails leaves the task unusable: drop it, start again from a checkpoint. It must never
//! do IO, ask for the time, or make a decision while it replays.

mod call;
mod decide;
mod edge;
mod effects;
mod rows;
mod sheet;
mod tick;

#[cfg(test)]
mod tests;

use crate::commit::{Append, Commit, CommitBatch, Progress};
use crate::decision::{CheckpointName, Decision, DecisionKind, OperatorDigest, PathStep};
use crate::identity;
use crate::laws::{Law, Violation};
use crate::mutant::{Mutant, planted};
use crate::operator::{Batch, Failure, Operator};
use crate::outbox::{self, Outbox};
use crate::record::{Control, LogBatch, NO_TIME, Offset, Producer, Timestamp};
use crate::spec::{Spec, TimeOrigin};
use crate::state::State;
use std::collections::VecDeque;
use std::sync::Arc;

/// What the host would decide now. The task takes it up only where a decision may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The task runs in this generation of producers.
    Generation {
        /// Number.
        number: u64,
        /// All producers, ascending.
        producers: Vec<Producer>,
    },
    /// The task reached its input's end `idle_after` ago.
    Idle,
    /// Close windows up to this event time.
    Close {
        /// The event time.
        time: Timestamp,
    },
    /// A person resumes a task that the breaker stopped.
    Resume,
    /// Run other operators from here on.
    Switch {
        /// One per operator.
        operators: Vec<OperatorDigest>,
        /// Whether they took over at a checkpoint instead.
        at_checkpoint: Option<CheckpointName>,
    },
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is to be done.
    Nothing,
    /// So many rows of the input are dealt with.
    Rows(u64),
    /// A decision was applied.
    Decided,
    /// A decision was applied that the caller must carry out now: run these operators.
    Switch {
        /// One per operator.
        operators: Vec<OperatorDigest>,
        /// Whether they took over at a checkpoint already.
        at_checkpoint: Option<CheckpointName>,
    },
}

/// Why a task stopped. It is unusable from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A guest call failed.
    Call(Box<FailedCall>),
    /// Too large a share of recent records failed.
    Breaker {
        /// So many failed.
        failed: u32,
        /// Of so many.
        seen: u32,
    },
    /// The input is not the one from which the commit was made.
    InputChanged {
        /// Where it was noticed.
        position: Offset,
    },
    /// The input is the same, the outputs are not: an operator is not deterministic.
    OutputChanged {
        /// Where it was noticed.
        position: Offset,
    },
    /// A law does not hold.
    Law(Violation),
}

/// A guest call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// Index of the operator.
    pub operator: usize,
    /// Why.
    pub failure: Failure,
    /// It was `advance`, for which no record can be blamed.
    pub advance: bool,
    /// The call held one item alone: it is the culprit.
    pub alone: bool,
    /// No decision may be made here: what failed now has passed before.
    pub quiet: bool,
    /// Position of the first item's root.
    pub position: Offset,
    /// The tick that is its root, if it is one.
    pub tick: Option<u64>,
    /// From the root to the first item.
    pub path: Vec<PathStep>,
    /// Position behind the last row of the step: isolate up to here.
    pub until: Offset,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Call(call) => {
                let what = if call.advance { "advance" } else { "process" };
                let (kind, text) = (call.failure.kind(), call.failure.message());
                let (operator, position) = (call.operator, call.position);
                write!(f, "operator {operator} failed in {what} at {position}: {kind}: {text}")
            }
            Stop::Breaker { failed, seen } => {
                write!(f, "circuit breaker: {failed} of the last {seen} records failed")
            }
            Stop::InputChanged { position } => {
                write!(f, "input-changed: rows below {position} are not those committed from")
            }
            Stop::OutputChanged { position } => write!(
                f,
                "output-changed: the replay up to {position} made other outputs than those committed"
            ),
            Stop::Law(violation) => violation.fmt(f),
        }
    }
}

/// What a task starts from, beside its state.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// The last durable commit: up to here everything is published.
    pub commit: Commit,
    /// Durable decisions from the state's count on, ascending.
    pub decisions: Vec<Decision>,
    /// On a transport without transactions: up to where the task was about to publish.
    pub intent: Progress,
    /// The epoch that the owner claimed.
    pub epoch: u64,
    /// Outputs may differ from those committed, since other operators replay.
    pub tolerant: bool,
}

/// One operator, and all behind it, get one item per call up to a position, to find the one that
/// fails. All behind it, since else two that fail would take turns in hiding each other's culprit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// Index of the first operator.
    pub operator: usize,
    /// Up to this position.
    pub until: Offset,
}

/// One stage on one partition.
pub struct Task {
    spec: Arc<Spec>,
    state: State,
    commit: Commit,
    replaying: bool,
    tolerant: bool,
    intent: u64,
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
            head_rows: usize::MAX,
            counted: String::new(),
        })
    }

    /// Gives operators one item per call up to a position.
    pub fn isolate(&mut self, isolation: Option<Isolation>) {
        self.isolation = isolation;
    }

    /// Does the next thing: a stored decision; else, if it may, what the host wishes; else up to
    /// `rows_max` rows of `input`, which begins at or below the position. `now` is the time that
    /// dead letters bear. Everything that a row brings about, its tick included, is done with it.
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

    /// Whether the commit is not reached yet, so that what is made is not published again.
    pub fn is_replaying(&self) -> bool {
        self.replaying
    }

    /// Whether no decision may be made yet: the commit or the intent is not reached, or a durable
    /// decision is not applied.
    pub fn is_quiet(&self) -> bool {
        if planted(Mutant::Remade) {
            return false;
        }
        let published = self.state.plain.progress.root() < self.intent;
        self.replaying || published || !self.stored.is_empty()
    }

    /// The decisions to make durable when a call failed with one item alone and not in quiet: those
    /// that this life made and never sealed (each may rest on the one before), and behind them the
    /// one that says that the item is dead. What was sealed must be durable first. Then the task is
    /// started again from a checkpoint and never shows the item to the guest.
    pub fn convict(&self, call: &FailedCall) -> Vec<Decision> {
        let progress = self.state.plain.progress;
        let number = self.stored.back().map_or(progress.decisions, |last| last.number + 1);
        let kind = DecisionKind::Dead {
            tick: call.tick,
            path: call.path.clone(),
            disposition: call.failure.disposition().to_owned(),
            error_kind: call.failure.kind().to_owned(),
            message: call.failure.message().to_owned(),
        };
        let dead = Decision { number, position: call.position, kind, epoch: self.epoch };
        self.fresh.iter().cloned().chain([dead]).collect()
    }

    /// Whether decisions were made that are not sealed yet.
    pub fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Bytes and rows made and not sealed.
    pub fn waiting(&self) -> (usize, usize) {
        self.outbox.waiting()
    }

    /// Roots since the last seal.
    pub fn unsealed(&self) -> u64 {
        self.state.plain.progress.root().saturating_sub(self.sealed_root)
    }

    /// Puts all that the finished steps made aside for the next commit, and does not send it yet:
    /// a step that fails later does not touch it.
    pub fn seal(&mut self, witness: Option<CheckpointName>) {
        if self.replaying || (self.unsealed() == 0 && self.fresh.is_empty()) {
            return;
        }
        let plain = &mut self.state.plain;
        self.outbox.count(&mut plain.counters);
        outbox::merge(&mut self.sealed, self.outbox.drain());
        self.sealed_decisions.append(&mut self.fresh);
        self.sealed_root = plain.progress.root();
        self.sealed_commit = Some(Commit {
            epoch: self.epoch,
            progress: plain.progress,
            semantics: crate::SEMANTICS,
            input_sum: plain.input_sum,
            output_sum: plain.output_sum,
            witness,
            counters: plain.counters.clone(),
        });
    }

    /// What was sealed and not taken yet.
    pub fn take_sealed(&mut self) -> Option<CommitBatch> {
        let commit = self.sealed_commit.take()?;
        Some(CommitBatch {
            task: self.spec.task.clone(),
            commit,
            decisions: std::mem::take(&mut self.sealed_decisions),
            appends: std::mem::take(&mut self.sealed),
        })
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

    /// Carries counts that are kept outside the counters into them, for a look or an image.
    pub fn settle_counters(&mut self) {
        self.outbox.count(&mut self.state.plain.counters);
    }

    fn holds_next(&self, input: &LogBatch) -> bool {
        input.base <= self.position() && self.position() < input.end()
    }

    fn time_edge(&self) -> usize {
        self.spec.time_edge
    }

    /// Below the commit nothing is published again.
    fn muted(&self) -> bool {
        if planted(Mutant::NotMuted) {
            return false;
        }
        if self.tolerant {
            return self.replaying;
        }
        let progress = self.state.plain.progress;
        self.replaying && progress.root() < self.commit.progress.root()
    }

    /// When other operators replay than those that committed, the roots are not the same, and only
    /// the position tells where the commit lies. A step never crosses it, so the tick and the
    /// decisions that belong to its last row are behind when the next step begins.
    fn end_tolerant_replay(&mut self) {
        let commit = &self.commit.progress;
        let plain = &mut self.state.plain;
        let here = plain.progress.position;
        let due = self
            .stored
            .front()
            .is_some_and(|next| next.number < commit.decisions && next.position <= here);
        if !self.tolerant || !self.replaying || here < commit.position || due {
            return;
        }
        self.replaying = false;
        plain.progress.ticks = plain.progress.ticks.max(commit.ticks);
        plain.progress.decisions = plain.progress.decisions.max(commit.decisions);
        // As high as any number that was ever written; readers pass over lower ones.
        plain.control_number = plain.control_number.max(commit.ticks + commit.decisions);
        self.sealed_root = commit.root();
    }

    /// How many rows a step may take so as not to cross the commit in a tolerant replay.
    fn rows_to_commit(&self) -> usize {
        let left = self.commit.progress.position.saturating_sub(self.position());
        match self.tolerant && self.replaying {
            true => usize::try_from(left.max(1)).unwrap_or(usize::MAX),
            false => usize::MAX,
        }
    }

    /// After a root: if this is the commit, the sums must be those of the commit.
    fn root_done(&mut self) -> Result<(), Stop> {
        if !self.replaying {
            return Ok(());
        }
        if self.tolerant {
            return Ok(());
        }
        let plain = &mut self.state.plain;
        let position = plain.progress.position;
        if plain.progress.root() < self.commit.progress.root() {
            return Ok(());
        }
        if plain.input_sum != self.commit.input_sum {
            return Err(Stop::InputChanged { position });
        }
        if plain.progress != self.commit.progress || plain.output_sum != self.commit.output_sum {
            return Err(Stop::OutputChanged { position });
        }
        self.replaying = false;
        Ok(())
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
