//! The loop of one task: reads rows for which it has credit, lets the core take its steps, makes
//! commits and checkpoints when they are due, and ends when it is asked to drain.
//!
//! It decides nothing about records. What it must never do: commit past a failed step, or take a
//! checkpoint ahead of the durable commit.

mod checkpoints;
mod commits;
mod admission;
mod decisions;
mod failures;
mod sending;
mod spans;

use crate::checkpointer::Done;
use crate::crash::{self, CrashPoint};
use crate::error::Error;
use crate::life::Life;
use crate::recover::Incarnation;
use pawl_core::commit::Commit;
use pawl_core::credit::Credit;
use pawl_core::decision::CheckpointName;
use pawl_core::operator::Failure;
use pawl_core::record::{LogBatch, Offset, Timestamp};
use pawl_core::spec::TimeOrigin;
use pawl_core::task::{Step, Stop, Wish};
use pawl_transport::{ReadMax, Ticket};
use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How long an idle task waits for rows before it looks around again.
const IDLE_WAIT: Duration = Duration::from_millis(20);

/// Bytes made and not committed at which a commit is due at once.
const UNCOMMITTED_BYTES_MAX: usize = 32 << 20;

/// Limits are multiplied by this when they strike in a replay, where they are no verdict.
pub(crate) const PATIENCE: u32 = 10;

/// How an incarnation ended.
pub(crate) enum End {
    /// As asked for.
    Drained,
    /// A guest failed and it is known what to do: start again from a state.
    Again,
}

/// One incarnation at work.
pub(crate) struct Worker<'l, 'a> {
    life: &'l mut Life<'a>,
    it: Incarnation,
    input: VecDeque<LogBatch>,
    /// The next rows that were sent back, and when it was last looked for some.
    sent_back: VecDeque<LogBatch>,
    looked_us: Cell<Option<u64>>,
    /// Where the last ones were admitted.
    admitted_at: Cell<Option<Offset>>,
    credit: Credit,
    taken: (u64, u64),
    commit: Option<InFlight>,
    committed: Commit,
    /// When the oldest step began that is not committed, and the last one.
    commit_since_us: Option<u64>,
    step_began_us: u64,
    checkpoint: Option<Pending>,
    checkpointed_root: u64,
    /// Something was replayed that no checkpoint holds yet.
    replayed: bool,
    since_us: u64,
    busy_us: u64,
    cost_us: u64,
    at_end_since_us: Option<u64>,
    /// The pipeline file has other operators than those that run.
    switch_due: bool,
    /// The last checkpoint could not be written for want of what it refers to.
    refused: bool,
    /// Rows below may be sent by a sink that sends at most once.
    attempted: Offset,
    /// It was told that the replay is over.
    told_running: bool,
    /// It was told that nothing is to be done.
    told_quiescent: bool,
    /// Trace contexts of rows that are taken and not committed, where traces are made.
    traces: Vec<String>,
}

struct InFlight {
    ticket: Ticket,
    held: Held,
}

/// What a commit holds.
struct Held {
    /// When its first row was taken up.
    began_us: u64,
    traces: Vec<String>,
    commit: Commit,
    taken: (u64, u64),
    letters: u64,
    /// The room of its dead letters, until it is settled.
    _place: Option<pawl_transport::room::Place>,
}

struct Pending {
    name: CheckpointName,
    known: BTreeSet<(usize, u64)>,
    answer: Receiver<Result<Done, Error>>,
}

impl<'l, 'a> Worker<'l, 'a> {
    /// An incarnation about to replay.
    pub fn new(life: &'l mut Life<'a>, mut it: Incarnation) -> Self {
        it.task.isolate(life.isolation);
        let attempted = it.attempted;
        let stage = life.stage;
        let now_us = life.context.clock.elapsed_us();
        let worker = Self {
            credit: Credit::new(stage.in_flight_records_max, stage.in_flight_bytes_max),
            committed: it.commit.clone(),
            checkpointed_root: it.task.progress().root(),
            life,
            it,
            input: VecDeque::new(),
            sent_back: VecDeque::new(),
            looked_us: Cell::new(None),
            admitted_at: Cell::new(None),
            taken: (0, 0),
            commit: None,
            commit_since_us: None,
            step_began_us: now_us,
            checkpoint: None,
            replayed: false,
            since_us: now_us,
            busy_us: 0,
            cost_us: 0,
            at_end_since_us: None,
            switch_due: false,
            refused: false,
            attempted,
            told_running: false,
            told_quiescent: false,
            traces: Vec::new(),
        };
        let committed = worker.committed.clone();
        worker.life.board.tell(|standing| {
            standing.running = false;
            standing.quiescent = false;
            standing.committed = committed.progress;
            standing.counters = committed.counters;
            (standing.known, standing.in_flight) = (true, 0);
        });
        worker
    }

    /// Runs until drained or until something fails.
    pub fn run(mut self) -> Result<End, Error> {
        self.refuse_stranded()?;
        self.see_operators()?;
        loop {
            self.poll_commit(false)?;
            self.poll_checkpoint(false)?;
            // What was announced to be sent is sent before the end.
            let announced = self.it.task.position() < self.attempted;
            if self.life.context.stop.is_draining() && !announced {
                return self.drain();
            }
            let did = match self.turn()? {
                Turn::Did => true,
                Turn::Nothing => false,
                Turn::Again => return Ok(End::Again),
                Turn::Halted => return Ok(End::Drained),
            };
            self.keep_pace(did)?;
            if !did {
                self.rest()?;
            }
        }
    }

    /// One step of the core.
    fn turn(&mut self) -> Result<Turn, Error> {
        self.end_isolation()?;
        self.end_replay();
        self.fill()?;
        self.fill_sent_back()?;
        let wish = self.wish()?;
        let isolating = self.life.isolation.is_some();
        if isolating {
            self.it.task.seal(Some(self.it.durable));
        }
        let position = self.it.task.position();
        let replaying = self.it.task.is_replaying();
        let journaled = position < self.life.journal_until && !replaying;
        if journaled && self.it.task.has_fresh() {
            // A decision that the host's death would take back could never be made again.
            self.commit_now()?;
        }
        self.watch(position, replaying);
        let one_by_one = (isolating || journaled) && !replaying;
        let rows_max = if one_by_one { 1 } else { self.rows_max() };
        let rows_max = rows_max.min(self.rows_attempted());
        self.takes_up(rows_max, replaying);
        let clock = &self.life.context.clock;
        let (start, now) = (clock.elapsed_us(), clock.now_ms());
        self.step_began_us = start;
        let admitting = self.it.task.admitting().is_some();
        let input = if admitting { self.sent_back.front() } else { self.input.front() };
        let step = self.it.task.step(input, rows_max, wish.as_ref(), &mut self.it.guests, now);
        if replaying || !self.life.stage.is_sink() {
            // A replay does not wait for receivers.
            self.busy_us += clock.elapsed_us().saturating_sub(start);
        }
        self.stepped(step, wish.as_ref(), position, replaying)
    }

    /// What follows from a step.
    fn stepped(
        &mut self,
        step: Result<Step, Stop>,
        wish: Option<&Wish>,
        position: Offset,
        replaying: bool,
    ) -> Result<Turn, Error> {
        match step {
            Ok(Step::Nothing) => Ok(Turn::Nothing),
            Ok(Step::Rows(rows)) => {
                self.took(rows, replaying);
                self.trace(position, rows, replaying);
                if !replaying {
                    self.sent()?;
                }
                Ok(Turn::Did)
            }
            Ok(Step::SentBack(_)) => {
                if replaying {
                    self.replayed = true;
                    crash::at(CrashPoint::MidReplay);
                } else {
                    self.sent()?;
                }
                Ok(Turn::Did)
            }
            Ok(Step::Decided) => {
                self.attempted(wish)?;
                self.admitted(wish)?;
                if matches!(wish, Some(Wish::Resume)) {
                    self.life.board.resume_once();
                }
                Ok(Turn::Did)
            }
            Ok(Step::Switch { operators, at_checkpoint }) => {
                self.switch(&operators, at_checkpoint)?;
                Ok(Turn::Did)
            }
            Err(Stop::Call(call)) if matches!(call.failure, Failure::Halted(_)) => self.halted(),
            Err(Stop::Call(call)) => self.failed(*call),
            Err(stop) => {
                if matches!(stop, Stop::Breaker { .. }) {
                    // No row was touched: what failed before is for a person to see, and is done.
                    self.commit_now()?;
                }
                let names = self.it.running.iter().map(|r| r.name.as_str());
                let operators = names.collect::<Vec<_>>().join(", ");
                Err(Error::Stopped { operators, stop })
            }
        }
    }

    /// Reads ahead, as far as there is credit.
    fn fill(&mut self) -> Result<(), Error> {
        let position = self.it.task.position();
        while self.input.front().is_some_and(|batch| batch.end() <= position) {
            self.input.pop_front();
        }
        if !self.input.is_empty() || self.credit.is_spent() {
            return Ok(());
        }
        let (records, bytes) = self.credit.left();
        let size = |number: u64| usize::try_from(number.max(1)).unwrap_or(usize::MAX);
        let max = ReadMax { records: size(records), bytes: size(bytes) };
        let life = &self.life;
        let batches =
            life.context.transport.read(&life.stage.input, life.id.partition, position, max)?;
        self.input.extend(batches);
        if self.input.is_empty() {
            let now = life.context.clock.elapsed_us();
            self.at_end_since_us.get_or_insert(now);
        } else {
            self.at_end_since_us = None;
        }
        Ok(())
    }

    fn rows_max(&self) -> usize {
        let left = match self.it.task.is_replaying() {
            true => u64::MAX,
            false => self.credit.left().0.min(self.rows_left()).max(1),
        };
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        left.min(self.life.stage.batch_records_max as usize)
    }

    /// Rows of a replay take no credit, since no commit gives it back.
    fn took(&mut self, rows: u64, replaying: bool) {
        if replaying {
            self.replayed = true;
            crash::at(CrashPoint::MidReplay);
            return;
        }
        let bytes = self
            .input
            .front()
            .map_or(0, |batch| batch.records.bytes() as u64 * rows / (batch.rows() as u64).max(1));
        self.credit.take(rows, bytes);
        self.taken = (self.taken.0 + rows, self.taken.1 + bytes);
    }

    /// Nothing to do: tell so, and wait for rows.
    fn rest(&mut self) -> Result<(), Error> {
        self.rest_sinks()?;
        let task = &self.it.task;
        let running = !task.is_replaying();
        let quiescent = running
            && self.commit.is_none()
            && task.unsealed() == 0
            && self.input.is_empty()
            && self.waits_for_admission()?.is_none()
            && self.it.switched_at.is_none()
            && !self.switch_due;
        let state = &task.state().plain;
        let clock = match task.spec().time {
            TimeOrigin::Records(rules) => Some((state.clock.clone(), rules.jump_max)),
            _ => None,
        };
        let (watermark, in_flight) = (self.watermark(), self.in_flight());
        let idle = state.idle;
        self.told_quiescent = quiescent;
        self.life.board.tell(|standing| {
            standing.running = running;
            standing.quiescent = quiescent;
            standing.clock = clock;
            (standing.watermark, standing.idle) = (watermark, idle);
            standing.in_flight = in_flight;
        });
        if self.commit.is_some() && self.credit.is_spent() {
            return self.wait_for_credit();
        }
        let (topic, partition) = (&self.life.stage.input, self.life.id.partition);
        let position = task.position();
        self.life.context.transport.wait(topic, partition, position, IDLE_WAIT)?;
        Ok(())
    }

    /// The watermark, if the task has event time.
    fn watermark(&self) -> Option<Timestamp> {
        let task = &self.it.task;
        (task.spec().time != TimeOrigin::None).then_some(task.state().plain.watermark)
    }

    /// Records taken whose outcome is not durable.
    fn in_flight(&self) -> u64 {
        self.life.stage.in_flight_records_max.saturating_sub(self.credit.left().0)
    }

    fn at_end(&self) -> bool {
        self.at_end_since_us.is_some() && self.input.is_empty()
    }

    /// No more input: what is in flight is finished, committed and checkpointed.
    fn drain(mut self) -> Result<End, Error> {
        crash::at(CrashPoint::MidDrain);
        if !self.it.task.is_replaying() {
            self.commit_now()?;
        }
        self.poll_checkpoint(true)?;
        let anew = self.it.task.progress().root() != self.checkpointed_root;
        if anew && !self.is_undecided() {
            self.take_checkpoint()?;
            self.poll_checkpoint(true)?;
        }
        Ok(End::Drained)
    }
}

enum Turn {
    Did,
    Nothing,
    Again,
    /// A delivery was broken off, since the run ends.
    Halted,
}
