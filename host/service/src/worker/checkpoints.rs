//! When a checkpoint is due, how the state is copied and handed over. Never ahead of the durable
//! commit, and never while other operators replay than those that committed.

use super::{Pending, Worker};
use crate::checkpointer::Job;
use crate::crash::{self, CrashPoint};
use crate::error::Error;
use crate::progress::CheckpointFacts;
use crate::recover::gone;
use pawl_core::cadence::{CheckpointRules, SinceCheckpoint};
use pawl_core::operator::Failure;
use std::sync::mpsc::{TryRecvError, sync_channel};

impl Worker<'_, '_> {
    pub(super) fn checkpoint_is_due(&self, now: u64) -> bool {
        // While other operators replay, the state is neither the old ones' nor decided to be the
        // new ones'.
        if self.checkpoint.is_some() || self.life.isolation.is_some() || self.is_undecided() {
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
            replayed: self.replayed,
            starts_in_vain: self.life.starts_in_vain,
        })
    }

    /// Whether other operators run than those that committed, and that is not decided yet.
    pub(super) fn is_undecided(&self) -> bool {
        let task = &self.it.task;
        (task.is_tolerant() && task.is_replaying()) || self.it.switched_at.is_some()
    }

    /// Copies the state and hands it over to be written. What it rests on is durable first.
    pub(super) fn take_checkpoint(&mut self) -> Result<(), Error> {
        // No input is taken meanwhile.
        self.life.board.meter.withheld.start();
        let taken = self.copy_state();
        self.life.board.meter.withheld.stop();
        taken
    }

    fn copy_state(&mut self) -> Result<(), Error> {
        let paused = self.life.context.clock.elapsed_us();
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
        let guests_us = self.life.context.clock.elapsed_us().saturating_sub(start);
        let state = self.it.task.state();
        let header = self.life.header(state, &self.it.running, &self.it.guests);
        let (image, segments) = state.image();
        let known = segments.iter().map(|s| (s.edge, s.segment.first())).collect();
        let (reply, answer) = sync_channel(1);
        let pending = Pending { name: header.name, known, answer };
        crash::at(CrashPoint::SnapshotTaken);
        let (known, base) = (std::mem::take(&mut self.it.known), Some(self.it.durable));
        self.it.known.clone_from(&known);
        let began_us = start;
        let job = Job { header, image, segments, known, parts, base, began_us, reply };
        self.life.context.checkpointer.submit(job);
        self.checkpoint = Some(pending);
        self.checkpointed_root = self.it.task.progress().root();
        self.replayed = false;
        let now = self.life.context.clock.elapsed_us();
        self.cost_us = now.saturating_sub(start);
        let (task, pause_us) = (&self.life.id, now.saturating_sub(paused));
        let commit_us = start.saturating_sub(paused);
        tracing::debug!(%task, pause_us, commit_us, guests_us, "checkpoint taken");
        (self.since_us, self.busy_us) = (now, 0);
        Ok(())
    }

    /// Takes note of a checkpoint that has become durable; with `wait`, waits for it.
    pub(super) fn poll_checkpoint(&mut self, wait: bool) -> Result<(), Error> {
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
            Ok(done) => {
                let facts = CheckpointFacts::of(pending.name, &done);
                self.life.board.meter.checkpointed();
                self.life.board.tell(|standing| {
                    standing.checkpoint = Some(facts);
                    standing.checkpoint_failure = None;
                });
            }
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
}

fn snapshot_failed(operator: &str, failure: &Failure) -> Error {
    Error::Operator {
        code: "snapshot",
        operator: operator.to_owned(),
        what: format!("failed in snapshot: {}: {}", failure.kind(), failure.message()),
    }
}
