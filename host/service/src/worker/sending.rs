//! What a sink's task does beside what every task does: the intent of what is sent at most once,
//! commits behind each batch, and an end in the middle of a delivery.

use super::{Turn, Worker};
use crate::deliverer::{at_most_once, commits_each_batch};
use crate::error::Error;
use pawl_core::decision::{Decision, DecisionKind};
use pawl_core::task::Wish;

impl Worker<'_, '_> {
    /// Up to where a sink that sends at most once wants to send now; that must be durable first.
    pub(super) fn attempt(&self) -> Option<Wish> {
        let sink = self.life.stage.sink.as_ref()?;
        let position = self.it.task.position();
        let input = self.input.front().filter(|input| position < input.end())?;
        if !at_most_once(sink) || position < self.attempted {
            return None;
        }
        // A step ends at a control row, and so does what is sent in it.
        let row = |(row, _): &(u32, _)| input.base + u64::from(*row);
        let control = input.controls.iter().map(row).find(|at| *at >= position);
        let batch = u64::from(self.life.stage.batch_records_max);
        let until = position.saturating_add(batch).min(control.unwrap_or(input.end()));
        (until > position).then_some(Wish::Attempt { until })
    }

    /// Takes note that an attempt was decided, and makes it durable.
    pub(super) fn attempted(&mut self, wish: Option<&Wish>) -> Result<(), Error> {
        let Some(Wish::Attempt { until }) = wish else { return Ok(()) };
        self.attempted = *until;
        self.commit_now()
    }

    /// Rows of the next step at most: what was not attempted must not be sent.
    pub(super) fn rows_attempted(&self) -> usize {
        let at_most_once = self.life.stage.sink.as_ref().is_some_and(at_most_once);
        if !at_most_once || self.it.task.is_replaying() {
            return usize::MAX;
        }
        let left = self.attempted.saturating_sub(self.it.task.position()).max(1);
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Rows are about to be taken up: from here on the task does not rest, and what a sink takes
    /// is in flight until its receiver has it. That may be long, and nothing is told meanwhile.
    pub(super) fn takes_up(&mut self, rows_max: usize, replaying: bool) {
        if self.input.is_empty() && self.sent_back.is_empty() {
            return;
        }
        let sends = self.life.stage.is_sink() && !replaying;
        if !sends && !self.told_quiescent {
            return;
        }
        self.told_quiescent = false;
        let position = self.it.task.position();
        let rows = self.input.front().map_or(0, |batch| batch.end().saturating_sub(position));
        let rows = if sends { rows.min(rows_max as u64) } else { 0 };
        let in_flight = self.in_flight().saturating_add(rows);
        self.life.board.tell(|standing| {
            standing.quiescent = false;
            standing.in_flight = in_flight;
        });
    }

    /// A batch went out.
    pub(super) fn sent(&mut self) -> Result<(), Error> {
        match &self.life.stage.sink {
            Some(sink) if commits_each_batch(sink) => self.commit_now(),
            _ => Ok(()),
        }
    }

    /// A sink was asked to stop, or cannot go on. What it was sending comes again; where that must
    /// not be, it does if the receiver surely took none of it.
    pub(super) fn halted(&mut self) -> Result<Turn, Error> {
        self.poll_commit(true)?;
        self.poll_checkpoint(true)?;
        let mut deliverers = self.it.guests.iter_mut().filter_map(|guest| guest.deliverer());
        let deliverer = deliverers.next();
        let untouched = deliverer.as_ref().is_some_and(|deliverer| deliverer.took_nothing());
        let trouble = deliverer.and_then(|deliverer| deliverer.take_trouble());
        let progress = self.committed.progress;
        if untouched && self.attempted > progress.position {
            let taken_back = Decision {
                number: progress.decisions,
                position: progress.position,
                kind: DecisionKind::Attempt { until: progress.position },
                epoch: self.life.epoch,
            };
            self.life.commit_alone(self.committed.clone(), vec![taken_back])?;
        }
        match trouble {
            Some(error) => Err(error),
            None => Ok(Turn::Halted),
        }
    }

    /// Nothing is to be delivered: what is due by time is done.
    pub(super) fn rest_sinks(&mut self) -> Result<(), Error> {
        let mut deliverers = self.it.guests.iter_mut().filter_map(|guest| guest.deliverer());
        deliverers.try_for_each(|deliverer| deliverer.rest())
    }
}
