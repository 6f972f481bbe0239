//! What the host would decide now, and the one decision that it must carry out itself: that other
//! operators run from here on.

use super::Worker;
use crate::error::Error;
use pawl_core::decision::{CheckpointName, OperatorDigest};
use pawl_core::record::NO_TIME;
use pawl_core::spec::TimeOrigin;
use pawl_core::task::Wish;
use std::sync::Arc;

impl Worker<'_, '_> {
    /// What the host would decide now.
    pub(super) fn wish(&mut self) -> Result<Option<Wish>, Error> {
        let task = &self.it.task;
        if task.is_quiet() || task.admitting().is_some() {
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
            self.try_successors(&target)?;
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
        if let Some(attempt) = self.attempt() {
            return Ok(Some(attempt));
        }
        if let Some(admission) = self.admission()? {
            return Ok(Some(admission));
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
    pub(super) fn target(&self) -> Result<Vec<OperatorDigest>, Error> {
        Ok(self.life.ready()?.running.iter().map(|running| running.digest()).collect())
    }

    /// Notes whether the operators that run are those of the pipeline file.
    pub(super) fn see_operators(&mut self) -> Result<(), Error> {
        let running: Vec<OperatorDigest> = self.it.running.iter().map(|r| r.digest()).collect();
        self.switch_due = running != self.target()?;
        Ok(())
    }

    /// What is to take over must take up the state and be able to give it again. That is found out
    /// before it is decided: a decision stands, and each later start would fail at it, the one that
    /// puts the old operators back included.
    fn try_successors(&mut self, operators: &[OperatorDigest]) -> Result<(), Error> {
        let running = self.life.running(operators)?;
        for ((new, old), guest) in running.iter().zip(&self.it.running).zip(&mut self.it.guests) {
            let mut next = self.life.guest(new, self.life.patience)?;
            let state = guest.state(&old.name).map_err(|error| predecessor(&old.name, error))?;
            next.restore(&state, &new.name)?;
            next.state(&new.name)?;
        }
        Ok(())
    }

    /// Other operators run from here on, with the state that the old ones leave.
    pub(super) fn switch(
        &mut self,
        operators: &[OperatorDigest],
        at_checkpoint: Option<CheckpointName>,
    ) -> Result<(), Error> {
        if at_checkpoint.is_some() || self.it.task.is_tolerant() {
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
            let mut next = self.life.guest(new, self.life.patience)?;
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
