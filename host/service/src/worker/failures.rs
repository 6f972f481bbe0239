//! A guest call failed: start again from a state, isolate the item that fails, convict it when it
//! failed alone. What fails in a replay is no verdict, and `advance` can be blamed on no record.

use super::{PATIENCE, Turn, Worker};
use crate::error::Error;
use crate::guest::{GuestState, Suspect, Watch};
use crate::recover::Base;
use pawl_core::decision::Root;
use pawl_core::operator::Failure;
use pawl_core::record::Offset;
use pawl_core::task::{FailedCall, Isolation};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Worker<'_, '_> {
    /// A guest call failed. The incarnation is over; what the finished steps made may be kept.
    pub(super) fn failed(&mut self, call: FailedCall) -> Result<Turn, Error> {
        let name = self.it.running.get(call.operator).map(|running| running.name.clone());
        let name = name.unwrap_or_default();
        let (kind, text) = (call.failure.kind(), call.failure.message().to_owned());
        let (task, stage, position) = (&self.life.id, &self.life.id.stage, call.position);
        tracing::warn!(
            %task, %stage, operator = %name, kind, position, alone = call.alone, error = %text,
            "guest call failed"
        );
        self.life.board.meter.operator(&name).failed(&call.failure);
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
    pub(super) fn convict(&mut self, call: FailedCall) -> Result<(), Error> {
        if let Some(sealed) = self.it.task.take_sealed() {
            self.submit(sealed)?;
            self.poll_commit(true)?;
        }
        let decisions = self.it.task.convict(&call);
        self.life.commit_alone(self.committed.clone(), decisions)
    }

    /// The failing item is dealt with and the rows around it are through: take a state in memory,
    /// so that the next failure costs little.
    pub(super) fn end_isolation(&mut self) -> Result<(), Error> {
        let Some(isolation) = self.life.isolation else { return Ok(()) };
        if self.it.task.position() < isolation.until && !self.at_end() {
            return Ok(());
        }
        if self.it.task.is_quiet() || self.it.task.admitting().is_some() {
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

    /// The replay is over: limits are verdicts again.
    pub(super) fn end_replay(&mut self) {
        if !self.told_running && !self.it.task.is_replaying() {
            self.told_running = true;
            self.life.board.tell(|standing| {
                standing.running = true;
                standing.failure = None;
            });
        }
        if self.life.patience > 1 && !self.it.task.is_quiet() {
            self.life.patience = 1;
            self.it.guests.iter_mut().for_each(|guest| guest.be_strict());
        }
    }

    /// After an unclean end without progress the rows that might have killed the host stand in the
    /// journal, one at a time, and no other guest is called meanwhile.
    pub(super) fn watch(&mut self, position: Offset, replaying: bool) {
        let life = &self.life;
        let watched = position < life.journal_until;
        let in_tick = Arc::new(AtomicBool::new(false));
        let row = match self.it.task.admitting() {
            Some(due) => Root::SentBack(due.start),
            None => Root::Row,
        };
        let row = (position, row);
        let journal = &life.context.journal;
        for guest in &mut self.it.guests {
            guest.watch(match watched {
                true => Some(Watch::Alone(Suspect {
                    journal: Arc::clone(journal),
                    task: life.id.clone(),
                    row: (!replaying).then_some(row),
                    root: self.committed.progress.root(),
                    in_tick: Arc::clone(&in_tick),
                })),
                false => journal.is_unclean().then(|| Watch::Among(Arc::clone(journal))),
            });
        }
    }
}
