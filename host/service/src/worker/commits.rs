//! When a commit is due, what must hold before it, and what follows once it is durable. One commit
//! is in flight at most, and nothing of a step that failed is ever in one.

use super::{Held, InFlight, UNCOMMITTED_BYTES_MAX, Worker};
use crate::crash::{self, CrashPoint};
use crate::dead_letters;
use crate::error::Error;
use pawl_core::commit::CommitBatch;
use pawl_transport::room::Place;

impl Worker<'_, '_> {
    /// Commits and checkpoints that are due.
    pub(super) fn keep_pace(&mut self, did: bool) -> Result<(), Error> {
        let now = self.life.context.clock.elapsed_us();
        let task = &self.it.task;
        let unsealed = task.unsealed() > 0 && !task.is_replaying();
        if unsealed || (self.life.isolation.is_some() && !task.is_replaying()) {
            let since = *self.commit_since_us.get_or_insert(self.step_began_us);
            let rules = &self.life.context.pipeline.commit;
            let due = now - since >= rules.interval_ms.saturating_mul(1000)
                || task.unsealed() >= rules.records_max
                || self.rows_left() == 0
                || task.waiting().0 >= UNCOMMITTED_BYTES_MAX
                || self.credit.is_spent();
            if due {
                // One commit in flight; a second one waits for it.
                let must_wait = self.credit.is_spent()
                    || task.waiting().0 >= UNCOMMITTED_BYTES_MAX
                    || self.rows_left() == 0;
                match must_wait {
                    true => self.wait_for_credit()?,
                    false => self.poll_commit(false)?,
                }
                if self.commit.is_none() {
                    self.begin_commit()?;
                }
            }
        } else if self.credit.is_spent() {
            self.wait_for_credit()?;
        }
        if did && self.checkpoint_is_due(now) {
            self.take_checkpoint()?;
        }
        Ok(())
    }

    /// Hands everything finished over as one commit.
    pub(super) fn begin_commit(&mut self) -> Result<(), Error> {
        self.it.task.seal(Some(self.it.durable));
        let Some(batch) = self.it.task.take_sealed() else { return Ok(()) };
        self.submit(batch)
    }

    pub(super) fn submit(&mut self, batch: CommitBatch) -> Result<(), Error> {
        let (letters, place) = self.take_room(&batch)?;
        crash::at(CrashPoint::MidEmit);
        let commit = batch.commit.clone();
        let now = self.life.context.clock.now_ms();
        let ticket = self.life.context.transport.submit(batch, now);
        crash::at(CrashPoint::CommitSubmitted);
        let taken = std::mem::take(&mut self.taken);
        let began_us = self.commit_since_us.take().unwrap_or(self.step_began_us);
        let traces = std::mem::take(&mut self.traces);
        let held = Held { began_us, traces, commit, taken, letters, _place: place };
        self.commit = Some(InFlight { ticket, held });
        self.told_quiescent = false;
        self.life.board.tell(|standing| standing.quiescent = false);
        Ok(())
    }

    /// Takes note of a commit that has become durable; with `wait`, waits for it.
    pub(super) fn poll_commit(&mut self, wait: bool) -> Result<(), Error> {
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
        let held = in_flight.held;
        crash::at(CrashPoint::CommitDurable);
        self.credit.give_back(held.taken.0, held.taken.1);
        self.tell_spans(&held);
        self.committed = held.commit;
        let (progress, counters) = (self.committed.progress, self.committed.counters.clone());
        let (watermark, records) = (self.watermark(), self.in_flight());
        let idle = self.it.task.state().plain.idle;
        self.life.board.meter.committed();
        self.life.board.tell(|standing| {
            standing.committed = progress;
            standing.counters = counters;
            (standing.watermark, standing.idle) = (watermark, idle);
            standing.in_flight = records;
        });
        match held.letters {
            0 => Ok(()),
            _ => dead_letters::drop_oldest(self.life.context),
        }
    }

    /// Takes nothing until the commit in flight is durable.
    pub(super) fn wait_for_credit(&mut self) -> Result<(), Error> {
        self.life.board.meter.withheld.start();
        let outcome = self.poll_commit(true);
        self.life.board.meter.withheld.stop();
        outcome
    }

    /// Commits all that is finished and waits until it is durable.
    pub(super) fn commit_now(&mut self) -> Result<(), Error> {
        self.poll_commit(true)?;
        self.begin_commit()?;
        self.poll_commit(true)
    }

    /// Rows that the next commit may still hold, so that its dead letters, one for each row, can
    /// fit within their bound.
    pub(super) fn rows_left(&self) -> u64 {
        let rules = &self.life.context.pipeline.dead_letters;
        dead_letters::rows_max(rules).saturating_sub(self.it.task.unsealed())
    }

    /// Dead letters must have room before the commit that writes them.
    fn take_room(&self, batch: &CommitBatch) -> Result<(u64, Option<Place>), Error> {
        let context = self.life.context;
        let topic = &context.pipeline.dead_letters.topic;
        let letters = batch.appends.iter().filter(|append| append.topic == *topic);
        let letters = letters.map(|append| &append.batch.records);
        dead_letters::take_room(context, letters, context.clock.now_ms())
    }
}
