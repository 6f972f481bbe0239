//! Decisions: stored ones are applied where they stand; new ones are made only where none is
//! stored and nothing is quiet, and each takes the next number.

use super::work::DeadItem;
use super::{Step, Stop, Task, Wish, deliver};
use crate::dead_letter::Cause;
use crate::decision::{Decision, DecisionKind, Root};
use crate::laws::{Law, Violation};
use crate::mutant::{Mutant, planted};
use crate::operator::Operator;
use crate::spec::TimeOrigin;

/// Whether the decision is about an item, not about the place before a row.
pub(super) fn is_dead(decision: &Decision) -> bool {
    matches!(decision.kind, DecisionKind::Dead { .. } | DecisionKind::Undelivered { .. })
}

/// The item that a decision says is dead.
pub(super) fn dead_item(decision: &Decision, row: u32) -> Option<DeadItem> {
    let (path, disposition, kind, message, retries) = match &decision.kind {
        DecisionKind::Dead { path, disposition, error_kind, message, .. } => {
            (path.clone(), disposition, error_kind, message, 0)
        }
        DecisionKind::Undelivered { disposition, error_kind, message, retries, .. } => {
            (Vec::new(), disposition, error_kind, message, *retries)
        }
        _ => return None,
    };
    let cause = Cause {
        class: deliver::class_of(disposition),
        disposition: disposition.clone(),
        kind: kind.clone(),
        message: message.clone(),
        retries,
    };
    Some(DeadItem { number: decision.number, row, path, cause, applied: false })
}

impl Task {
    /// The stored decision that stands here, before the next row.
    pub(super) fn next_stored_before(&mut self) -> Result<Option<Decision>, Stop> {
        let Some(next) = self.stored.front() else { return Ok(None) };
        let position = self.position();
        // A decision about a tick that is over should have been met there.
        let ticks = self.state.plain.progress.ticks;
        let over = match next.kind {
            DecisionKind::Dead { root: Root::Tick(tick), .. } => tick < ticks,
            DecisionKind::Dead { root: Root::SentBack(offset), .. }
            | DecisionKind::Undelivered { root: Root::SentBack(offset), .. } => {
                offset < self.state.plain.progress.admitted
            }
            _ => false,
        };
        let behind = next.position < position || (next.position == position && over);
        if behind && !self.tolerant {
            let what =
                format!("decision {} at {} lies behind {position}", next.number, next.position);
            return Err(Stop::Law(Violation::of(Law::Dt1, what)));
        }
        if behind || (next.position == position && !is_dead(next)) {
            return Ok(self.stored.pop_front());
        }
        Ok(None)
    }

    /// Whether a decision may be made here.
    pub(super) fn may_decide(&self) -> bool {
        !self.is_quiet()
    }

    /// What the wish comes to, if it changes anything.
    pub(super) fn decide(&self, wish: &Wish) -> Option<DecisionKind> {
        let plain = &self.state.plain;
        match wish {
            Wish::Generation { number, producers } => (*number > plain.generation).then(|| {
                DecisionKind::Generation { number: *number, producers: producers.clone() }
            }),
            // Where producers send time along, an empty partition hears it too and holds nobody.
            Wish::Idle => {
                let makes_time = matches!(self.spec.time, TimeOrigin::Records(_));
                (makes_time && !plain.idle).then_some(DecisionKind::Idle)
            }
            Wish::Close { time } => {
                let makes_time = matches!(self.spec.time, TimeOrigin::Records(_));
                (makes_time && *time > plain.clock.largest())
                    .then_some(DecisionKind::Close { time: *time })
            }
            Wish::Resume => {
                plain.breaker.tripped(&self.spec.breaker).is_some().then_some(DecisionKind::Resume)
            }
            Wish::Admit { until } => {
                (*until > plain.progress.admitted).then_some(DecisionKind::Admit { until: *until })
            }
            // Behind a tripped breaker nothing is sent, so nothing is announced.
            Wish::Attempt { until } => (self.spec.sink
                && *until > self.position()
                && plain.breaker.tripped(&self.spec.breaker).is_none())
            .then_some(DecisionKind::Attempt { until: *until }),
            Wish::Switch { operators, at_checkpoint } => Some(DecisionKind::Switch {
                operators: operators.clone(),
                at_checkpoint: *at_checkpoint,
            }),
        }
    }

    /// A new decision, here and now.
    pub(super) fn make(&mut self, kind: DecisionKind) -> Decision {
        let decision = Decision {
            number: self.state.plain.progress.decisions,
            position: self.position(),
            kind,
            epoch: self.epoch,
        };
        self.fresh.push(decision.clone());
        decision
    }

    /// The decision takes effect.
    pub(super) fn apply<O: Operator>(
        &mut self,
        decision: Decision,
        operators: &mut [O],
    ) -> Result<Step, Stop> {
        if decision.number != self.state.plain.progress.decisions && !self.tolerant {
            let due = self.state.plain.progress.decisions;
            let what = format!("decision {} comes where {due} is due", decision.number);
            return Err(Stop::Law(Violation::of(Law::Dt1, what)));
        }
        let mut step = Step::Decided;
        let mut due = None;
        let time = self.spec.time;
        let plain = &mut self.state.plain;
        match decision.kind {
            DecisionKind::Generation { number, producers } => {
                plain.generation = number;
                plain.producers = producers;
                if !planted(Mutant::GenerationUnsaid) {
                    self.write_controls();
                }
            }
            DecisionKind::Idle => {
                plain.idle = true;
                self.write_controls();
            }
            DecisionKind::Active => {
                plain.idle = false;
                self.write_controls();
            }
            DecisionKind::Close { time: until } => {
                if let TimeOrigin::Records(rules) = &time {
                    plain.clock.close(until, rules);
                }
                let was_idle = plain.idle;
                plain.idle &= planted(Mutant::IdleCloses);
                due = self.due_watermark();
                // The tick tells both; where time does not move, the state is told alone.
                if was_idle && due.is_none() {
                    self.write_controls();
                }
            }
            DecisionKind::Resume => plain.breaker.reset(),
            DecisionKind::Admit { until } => self.admit(until)?,
            DecisionKind::Switch { operators, at_checkpoint } => {
                step = Step::Switch { operators, at_checkpoint };
            }
            // Only when other operators replay may an item be gone that was decided dead.
            DecisionKind::Dead { .. } | DecisionKind::Undelivered { .. } => {}
            // Whether it was followed by a delivery is told when the task begins.
            DecisionKind::Attempt { .. } => {}
        }
        self.state.plain.progress.decisions += 1;
        self.root_done()?;
        if let Some(due) = due {
            self.tick_to(due, operators)?;
        }
        Ok(step)
    }
}
