//! The loop of one task: reads rows for which it has credit, lets the core take its steps, makes
//! commits and checkpoints when they are due, and ends when it is asked to drain.
//!
//! It decides nothing about records. What it must never do: commit past a failed step, or take a
//! checkpoint ahead of the durable commit.

use crate::checkpointer::Job;
use crate::crash::{self, CrashPoint};
use crate::error::Error;
use crate::guest::{GuestState, Watch};
use crate::life::Life;
use crate::recover::{Base, Incarnation, gone};
use pawl_core::cadence::{CheckpointRules, SinceCheckpoint};
use pawl_core::commit::{Commit, CommitBatch};
use pawl_core::credit::Credit;
use pawl_core::decision::{CheckpointName, OperatorDigest};
use pawl_core::operator::Failure;
use pawl_core::record::{LogBatch, NO_TIME, Offset};
use pawl_core::spec::TimeOrigin;
use pawl_core::task::{FailedCall, Isolation, Step, Stop, Wish};
use pawl_pipeline::AtMax;
use pawl_transport::{ReadMax, Retained, Ticket};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
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
    credit: Credit,
    taken: (u64, u64),
    commit: Option<InFlight>,
    committed: Commit,
    commit_since_us: Option<u64>,
    checkpoint: Option<Pending>,
    checkpointed_root: u64,
    since_us: u64,
    busy_us: u64,
    cost_us: u64,
    at_end_since_us: Option<u64>,
    /// The pipeline file has other operators than those that run.
    switch_due: bool,
    /// The last checkpoint could not be written for want of what it refers to.
    refused: bool,
}

struct InFlight {
    ticket: Ticket,
    commit: Commit,
    taken: (u64, u64),
    letters: u64,
}

struct Pending {
    name: CheckpointName,
    known: BTreeSet<(usize, u64)>,
    answer: Receiver<Result<CheckpointName, Error>>,
}

impl<'l, 'a> Worker<'l, 'a> {
    /// An incarnation about to replay.
    pub fn new(life: &'l mut Life<'a>, mut it: Incarnation) -> Self {
        it.task.isolate(life.isolation);
        let stage = life.stage;
        let now_us = life.context.clock.elapsed_us();
        let worker = Self {
            credit: Credit::new(stage.in_flight_records_max, stage.in_flight_bytes_max),
            committed: it.commit.clone(),
            checkpointed_root: it.task.progress().root(),
            life,
            it,
            input: VecDeque::new(),
            taken: (0, 0),
            commit: None,
            commit_since_us: None,
            checkpoint: None,
            since_us: now_us,
            busy_us: 0,
            cost_us: 0,
            at_end_since_us: None,
            switch_due: false,
            refused: false,
        };
        let committed = worker.committed.clone();
        worker.life.board.tell(|standing| {
            standing.running = false;
            standing.quiescent = false;
            standing.committed = committed.progress;
            standing.counters = committed.counters;
        });
        worker
    }

    /// Runs until drained or until something fails.
    pub fn run(mut self) -> Result<End, Error> {
        self.see_operators()?;
        loop {
            self.poll_commit(false)?;
            self.poll_checkpoint(false)?;
            if self.life.context.stop.is_draining() {
                return self.drain();
            }
            let did = match self.turn()? {
                Turn::Did => true,
                Turn::Nothing => false,
                Turn::Again => return Ok(End::Again),
            };
            self.keep_pace(did)?;
            if !did {
                self.rest()?;
            }
        }
    }

    /// Notes whether the operators that run are those of the pipeline file.
    fn see_operators(&mut self) -> Result<(), Error> {
        let running: Vec<OperatorDigest> = self.it.running.iter().map(|r| r.digest()).collect();
        self.switch_due = running != self.target()?;
        Ok(())
    }

    /// One step of the core.
    fn turn(&mut self) -> Result<Turn, Error> {
        self.end_isolation()?;
        self.end_replay();
        self.fill()?;
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
        let clock = &self.life.context.clock;
        let (start, now) = (clock.elapsed_us(), clock.now_ms());
        let input = self.input.front();
        let step = self.it.task.step(input, rows_max, wish.as_ref(), &mut self.it.guests, now);
        self.busy_us += clock.elapsed_us().saturating_sub(start);
        match step {
            Ok(Step::Nothing) => Ok(Turn::Nothing),
            Ok(Step::Rows(rows)) => {
                self.took(rows);
                Ok(Turn::Did)
            }
            Ok(Step::Decided) => {
                if matches!(wish, Some(Wish::Resume)) {
                    self.life.board.resume_once();
                }
                Ok(Turn::Did)
            }
            Ok(Step::Switch { operators, at_checkpoint }) => {
                self.switch(&operators, at_checkpoint)?;
                Ok(Turn::Did)
            }
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
        let task = &self.it.task;
        let left = match task.is_replaying() {
            // A run across the commit would mix rows that have passed before with others, and if
            // it fails nobody could tell which of them it was.
            true => self.committed.progress.position.saturating_sub(task.position()),
            false => self.credit.left().0,
        };
        let left = usize::try_from(left.max(1)).unwrap_or(usize::MAX);
        left.min(self.life.stage.batch_records_max as usize)
    }

    fn took(&mut self, rows: u64) {
        if self.it.task.is_replaying() {
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

    /// What the host would decide now.
    fn wish(&mut self) -> Result<Option<Wish>, Error> {
        let task = &self.it.task;
        if task.is_quiet() {
            return Ok(None);
        }
        let plain = &task.state().plain;
        let spec = task.spec();
        if self.it.switched_at.is_some() {
            let (operators, at_checkpoint) = (self.target()?, self.it.switched_at);
            return Ok(Some(Wish::Switch { operators, at_checkpoint }));
        }
        if self.switch_due {
            let target = self.target()?;
            // The old operators' last checkpoint comes first, then the switch by decision.
            let old = self.it.running.first().map_or(String::new(), |old| old.name.clone());
            self.take_checkpoint().map_err(|error| predecessor(&old, error))?;
            self.poll_checkpoint(true)?;
            return Ok(Some(Wish::Switch { operators: target, at_checkpoint: None }));
        }
        let (number, producers) = &self.life.context.generation;
        if plain.generation < *number && spec.topics.iter().any(|topic| topic.controls) {
            return Ok(Some(Wish::Generation { number: *number, producers: producers.clone() }));
        }
        if self.life.context.options.resume
            && !self.life.board.was_resumed()
            && plain.breaker.tripped(&spec.breaker).is_some()
        {
            return Ok(Some(Wish::Resume));
        }
        let close = self.life.board.closing();
        let makes_time = matches!(spec.time, TimeOrigin::Records(_));
        if makes_time && close != NO_TIME && close > plain.clock.largest() {
            return Ok(Some(Wish::Close { time: close }));
        }
        let idle_after_us = self.life.stage.idle_after_ms.saturating_mul(1000);
        let now = self.life.context.clock.elapsed_us();
        let idle = self.at_end_since_us.is_some_and(|since| now - since >= idle_after_us);
        Ok((makes_time && idle && !plain.idle).then_some(Wish::Idle))
    }

    /// What the pipeline file says should run.
    fn target(&self) -> Result<Vec<OperatorDigest>, Error> {
        Ok(self.life.ready()?.running.iter().map(|running| running.digest()).collect())
    }

    /// After an unclean end guests are called one at a time in the process, and rows that might
    /// kill the host stand in the journal meanwhile.
    fn watch(&mut self, position: Offset, replaying: bool) {
        let life = &self.life;
        let watched = position < life.journal_until;
        for guest in &mut self.it.guests {
            guest.watch(watched.then(|| Watch {
                journal: Arc::clone(&life.context.journal),
                task: life.id.clone(),
                position: (!replaying).then_some(position),
                root: self.committed.progress.root(),
            }));
        }
    }

    /// Commits and checkpoints that are due.
    fn keep_pace(&mut self, did: bool) -> Result<(), Error> {
        let now = self.life.context.clock.elapsed_us();
        let task = &self.it.task;
        let unsealed = task.unsealed() > 0 && !task.is_replaying();
        if unsealed || (self.life.isolation.is_some() && !task.is_replaying()) {
            let since = *self.commit_since_us.get_or_insert(now);
            let rules = &self.life.context.pipeline.commit;
            let due = now - since >= rules.interval_ms.saturating_mul(1000)
                || task.unsealed() >= rules.records_max
                || task.waiting().0 >= UNCOMMITTED_BYTES_MAX
                || self.credit.is_spent();
            if due {
                // One commit in flight; a second one waits for it.
                let must_wait = self.credit.is_spent() || task.waiting().0 >= UNCOMMITTED_BYTES_MAX;
                self.poll_commit(must_wait)?;
                if self.commit.is_none() {
                    self.begin_commit()?;
                }
            }
        } else if self.credit.is_spent() {
            self.poll_commit(true)?;
        }
        if did && self.checkpoint_is_due(now) {
            self.take_checkpoint()?;
        }
        Ok(())
    }

    fn checkpoint_is_due(&self, now: u64) -> bool {
        // While other operators replay, the state is neither the old ones' nor decided to be the
        // new ones'.
        let tolerant = self.it.tolerant && self.it.task.is_replaying();
        if self.checkpoint.is_some() || self.life.isolation.is_some() || tolerant {
            return false;
        }
        let given = &self.life.context.pipeline.checkpoint;
        let rules = CheckpointRules {
            interval: given.interval_ms,
            recovery_time_max: given.recovery_time_max_ms,
        };
        rules.due(&SinceCheckpoint {
            roots: self.it.task.progress().root().saturating_sub(self.checkpointed_root),
            elapsed: (now - self.since_us) / 1000,
            busy_us: self.busy_us,
            cost_us: self.cost_us,
            recovering: self.it.task.is_replaying(),
            starts_in_vain: self.life.starts_in_vain,
        })
    }

    /// Nothing to do: tell so, and wait for rows.
    fn rest(&mut self) -> Result<(), Error> {
        let task = &self.it.task;
        let running = !task.is_replaying();
        let quiescent = running
            && self.commit.is_none()
            && task.unsealed() == 0
            && self.input.is_empty()
            && self.it.switched_at.is_none();
        let state = &task.state().plain;
        let clock = match task.spec().time {
            TimeOrigin::Records(rules) => Some((state.clock.clone(), rules.jump_max)),
            _ => None,
        };
        let watermark = (task.spec().time != TimeOrigin::None).then_some(state.watermark);
        self.life.board.tell(|standing| {
            standing.running = running;
            standing.quiescent = quiescent;
            standing.clock = clock;
            standing.watermark = watermark;
        });
        if self.commit.is_some() && self.credit.is_spent() {
            return self.poll_commit(true);
        }
        let (topic, partition) = (&self.life.stage.input, self.life.id.partition);
        let position = task.position();
        self.life.context.transport.wait(topic, partition, position, IDLE_WAIT)?;
        Ok(())
    }

    /// Hands everything finished over as one commit.
    fn begin_commit(&mut self) -> Result<(), Error> {
        self.it.task.seal(Some(self.it.durable));
        let Some(batch) = self.it.task.take_sealed() else { return Ok(()) };
        self.submit(batch)
    }

    fn submit(&mut self, batch: CommitBatch) -> Result<(), Error> {
        let letters = self.check_dead_letters(&batch)?;
        crash::at(CrashPoint::MidEmit);
        let commit = batch.commit.clone();
        let now = self.life.context.clock.now_ms();
        let ticket = self.life.context.transport.submit(batch, now);
        crash::at(CrashPoint::CommitSubmitted);
        let taken = std::mem::take(&mut self.taken);
        self.commit = Some(InFlight { ticket, commit, taken, letters });
        self.commit_since_us = None;
        self.life.board.tell(|standing| standing.quiescent = false);
        Ok(())
    }

    /// Takes note of a commit that has become durable; with `wait`, waits for it.
    fn poll_commit(&mut self, wait: bool) -> Result<(), Error> {
        let Some(mut in_flight) = self.commit.take() else { return Ok(()) };
        let outcome = if wait {
            in_flight.ticket.wait()
        } else if let Some(outcome) = in_flight.ticket.try_wait() {
            outcome
        } else {
            self.commit = Some(in_flight);
            return Ok(());
        };
        outcome?;
        crash::at(CrashPoint::CommitDurable);
        self.credit.give_back(in_flight.taken.0, in_flight.taken.1);
        self.committed = in_flight.commit;
        let (progress, counters) = (self.committed.progress, self.committed.counters.clone());
        self.life.board.tell(|standing| {
            standing.committed = progress;
            standing.counters = counters;
        });
        let rules = &self.life.context.pipeline.dead_letters;
        if in_flight.letters > 0 && rules.at_max == AtMax::DropOldest {
            let max = Retained { records: rules.records_max, bytes: rules.bytes_max };
            while self.life.context.transport.drop_oldest(&rules.topic, max)?.more {}
        }
        Ok(())
    }

    /// Commits all that is finished and waits until it is durable.
    fn commit_now(&mut self) -> Result<(), Error> {
        self.poll_commit(true)?;
        self.begin_commit()?;
        self.poll_commit(true)
    }

    /// Dead letters must have room before the commit that writes them.
    fn check_dead_letters(&self, batch: &CommitBatch) -> Result<u64, Error> {
        let rules = &self.life.context.pipeline.dead_letters;
        let letters = batch.appends.iter().filter(|append| append.topic == rules.topic);
        let (count, bytes) = letters.fold((0, 0), |(count, bytes), append| {
            let records = &append.batch.records;
            (count + records.len() as u64, bytes + records.bytes() as u64)
        });
        if count == 0 || rules.at_max == AtMax::DropOldest {
            return Ok(count);
        }
        let retained = self.life.context.transport.retained(&rules.topic)?;
        let full = retained.records + count > rules.records_max
            || retained.bytes + bytes > rules.bytes_max;
        if !full {
            return Ok(count);
        }
        let what = format!(
            "topic {} holds {} dead letters of {} bytes, {count} more do not fit within \
             records_max = {} and bytes_max = {}: see to them and remove them, raise the bound, or \
             set dead_letters.at_max = \"drop-oldest\"",
            rules.topic, retained.records, retained.bytes, rules.records_max, rules.bytes_max
        );
        Err(Error::State { code: "dead-letters-full", what })
    }

    /// Copies the state and hands it over to be written. What it rests on is durable first.
    fn take_checkpoint(&mut self) -> Result<(), Error> {
        if !self.it.task.is_replaying() {
            self.commit_now()?;
        }
        self.poll_checkpoint(true)?;
        let start = self.life.context.clock.elapsed_us();
        self.it.task.settle_counters();
        let full = std::mem::take(&mut self.it.full_next);
        let mut parts = Vec::with_capacity(self.it.guests.len());
        for (guest, running) in self.it.guests.iter_mut().zip(&self.it.running) {
            let given =
                guest.snapshot(full).map_err(|failure| snapshot_failed(&running.name, &failure))?;
            parts.push(given.into_iter().map(|part| part.data).collect());
        }
        let state = self.it.task.state();
        let header = self.life.header(state, &self.it.running, &self.it.guests);
        let (image, segments) = state.image();
        let known = segments.iter().map(|s| (s.edge, s.segment.first())).collect();
        let (reply, answer) = sync_channel(1);
        let pending = Pending { name: header.name, known, answer };
        crash::at(CrashPoint::SnapshotTaken);
        let (known, base) = (std::mem::take(&mut self.it.known), Some(self.it.durable));
        self.it.known.clone_from(&known);
        let job = Job { header, image, segments, known, parts, base, reply };
        self.life.context.checkpointer.submit(job);
        self.checkpoint = Some(pending);
        self.checkpointed_root = self.it.task.progress().root();
        let now = self.life.context.clock.elapsed_us();
        self.cost_us = now.saturating_sub(start);
        (self.since_us, self.busy_us) = (now, 0);
        Ok(())
    }

    /// Takes note of a checkpoint that has become durable; with `wait`, waits for it.
    fn poll_checkpoint(&mut self, wait: bool) -> Result<(), Error> {
        let Some(pending) = self.checkpoint.take() else { return Ok(()) };
        let outcome = match wait {
            true => pending.answer.recv().unwrap_or_else(|_| Err(gone())),
            false => match pending.answer.try_recv() {
                Ok(outcome) => outcome,
                Err(TryRecvError::Empty) => {
                    self.checkpoint = Some(pending);
                    return Ok(());
                }
                Err(TryRecvError::Disconnected) => Err(gone()),
            },
        };
        match outcome {
            Ok(_) => {}
            Err(Error::Checkpoint(error))
                if !self.refused
                    && (error.is_damage()
                        || matches!(error, pawl_checkpoint::Error::NoSuchPart { .. })) =>
            {
                // What unchanged parts referred to is gone: the next one gives every part.
                tracing::error!(task = %self.life.id, %error, "checkpoint could not be written");
                self.it.full_next = true;
                self.it.known.clear();
                self.refused = true;
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        self.refused = false;
        self.it.durable = pending.name;
        self.it.known = pending.known;
        self.life.durable = pending.name;
        self.life.starts_in_vain = 0;
        self.life.rescue = None;
        Ok(())
    }

    /// The replay is over: limits are verdicts again.
    fn end_replay(&mut self) {
        if self.life.patience > 1 && !self.it.task.is_quiet() {
            self.life.patience = 1;
            self.it.guests.iter_mut().for_each(|guest| guest.be_strict());
        }
    }

    /// The failing item is dealt with and the rows around it are through: take a state in memory,
    /// so that the next failure costs little.
    fn end_isolation(&mut self) -> Result<(), Error> {
        let Some(isolation) = self.life.isolation else { return Ok(()) };
        if self.it.task.position() < isolation.until && !self.at_end() {
            return Ok(());
        }
        if self.it.task.is_quiet() {
            return Ok(());
        }
        self.commit_now()?;
        self.life.isolation = None;
        self.it.task.isolate(None);
        self.poll_checkpoint(true)?;
        self.it.task.settle_counters();
        let mut guests: Vec<GuestState> = Vec::with_capacity(self.it.guests.len());
        for (guest, running) in self.it.guests.iter_mut().zip(&self.it.running) {
            guests.push(guest.state(&running.name)?);
        }
        let (image, segments) = self.it.task.state().image();
        let operators = self.it.running.iter().map(|running| running.digest()).collect();
        self.life.rescue = Some(Base { image, segments, guests, operators, name: None });
        self.it.full_next = true;
        Ok(())
    }

    fn at_end(&self) -> bool {
        self.at_end_since_us.is_some() && self.input.is_empty()
    }

    /// A guest call failed. The incarnation is over; what the finished steps made may be kept.
    fn failed(&mut self, call: FailedCall) -> Result<Turn, Error> {
        let name = self.it.running.get(call.operator).map(|running| running.name.clone());
        let name = name.unwrap_or_default();
        let (kind, text) = (call.failure.kind(), call.failure.message().to_owned());
        tracing::warn!(
            task = %self.life.id, operator = %name, kind, position = call.position,
            alone = call.alone, error = %text, "guest call failed"
        );
        self.poll_commit(true)?;
        self.poll_checkpoint(true)?;
        let limit = matches!(call.failure, Failure::Timeout(_) | Failure::Memory(_));
        if call.quiet {
            if limit && self.life.patience == 1 {
                self.life.patience = PATIENCE;
                return Ok(Turn::Again);
            }
            let code = if limit { "replay-limit" } else { "replay-trap" };
            let what = format!(
                "failed at position {} in a replay of what it has done before: {kind}: {text}; {}",
                call.position,
                match limit {
                    true => "raise its limits",
                    false => "it is not deterministic, or was changed: see --switch-at-checkpoint",
                }
            );
            return Err(Error::Operator { code, operator: name, what });
        }
        if call.advance {
            let what = format!(
                "failed in advance at position {}: {kind}: {text}; no record can be blamed for it: \
                 mend the operator and start again, nothing is lost",
                call.position
            );
            return Err(Error::Operator { code: "advance", operator: name, what });
        }
        // Operators behind the isolated one get one item per call too.
        let isolation =
            self.life.isolation.unwrap_or(Isolation { operator: call.operator, until: call.until });
        let isolated = self.life.isolation.is_some() && isolation.operator <= call.operator;
        if !(call.alone && isolated) {
            self.life.isolation = Some(Isolation {
                operator: isolation.operator.min(call.operator),
                until: isolation.until.max(call.until),
            });
            return Ok(Turn::Again);
        }
        self.convict(call)?;
        Ok(Turn::Again)
    }

    /// The item that failed alone is dead, by decision, durable before its first effect.
    fn convict(&mut self, call: FailedCall) -> Result<(), Error> {
        if let Some(sealed) = self.it.task.take_sealed() {
            self.submit(sealed)?;
            self.poll_commit(true)?;
        }
        let decisions = self.it.task.convict(&call);
        self.life.commit_alone(self.committed.clone(), decisions)
    }

    /// Other operators run from here on, with the state that the old ones leave.
    fn switch(
        &mut self,
        operators: &[OperatorDigest],
        at_checkpoint: Option<CheckpointName>,
    ) -> Result<(), Error> {
        if at_checkpoint.is_some() || self.it.tolerant {
            // The new ones replayed from the checkpoint on; what they made is the state now.
            self.it.switched_at = None;
            if !self.it.task.is_replaying() {
                self.take_checkpoint()?;
            }
            return Ok(());
        }
        let running = self.life.running(operators)?;
        let mut guests = Vec::with_capacity(running.len());
        for ((new, old), guest) in running.iter().zip(&self.it.running).zip(&mut self.it.guests) {
            tracing::info!(task = %self.life.id, operator = %new.name, "switching operators");
            let mut next = crate::guest::Guest::new(new, self.life.patience)?;
            let state = guest.state(&old.name).map_err(|error| predecessor(&old.name, error))?;
            next.restore(&state, &new.name)?;
            guests.push(next);
        }
        let spec = Arc::new(self.life.spec(&running, &guests)?);
        self.it.task.rewire(spec);
        (self.it.guests, self.it.running) = (guests, running);
        self.it.full_next = true;
        self.life.rescue = None;
        self.see_operators()?;
        if !self.it.task.is_replaying() {
            self.take_checkpoint()?;
        }
        Ok(())
    }

    /// No more input: what is in flight is finished, committed and checkpointed.
    fn drain(mut self) -> Result<End, Error> {
        crash::at(CrashPoint::MidDrain);
        if !self.it.task.is_replaying() {
            self.commit_now()?;
        }
        self.poll_checkpoint(true)?;
        let tolerant = self.it.tolerant && self.it.task.is_replaying();
        if self.it.task.progress().root() != self.checkpointed_root && !tolerant {
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
}

fn snapshot_failed(operator: &str, failure: &Failure) -> Error {
    Error::Operator {
        code: "snapshot",
        operator: operator.to_owned(),
        what: format!("failed in snapshot: {}: {}", failure.kind(), failure.message()),
    }
}

/// A failed snapshot of the operators that ran before has a way out of its own.
fn predecessor(operator: &str, error: Error) -> Error {
    if !matches!(error, Error::Operator { code: "snapshot", .. }) {
        return error;
    }
    Error::Operator {
        code: "predecessor",
        operator: operator.to_owned(),
        what: format!(
            "the component that ran before could not give its state ({error}): start with \
             --switch-at-checkpoint, and the new one replays from the last checkpoint instead"
        ),
    }
}
