//! A tick: the place in the input at which the watermark takes its next value. At every tick, and
//! nowhere else, a replay included, each operator down the chain gets `advance`, after it has
//! received what its predecessor emitted at this tick; then the watermark is handed on.

use super::emit::Causes;
use super::work::Work;
use super::{FailedCall, Stop, Task, call, decide};
use crate::decision::{DecisionKind, Root};
use crate::identity;
use crate::mutant::{Mutant, planted};
use crate::operator::{Failure, Operator};
use crate::record::{Control, NO_TIME, Producer, Timestamp};
use crate::spec::TimeOrigin;
use std::sync::Arc;

impl Task {
    /// The watermark takes the value `watermark`, if that is higher.
    pub(super) fn tick_to<O: Operator>(
        &mut self,
        watermark: Timestamp,
        operators: &mut [O],
    ) -> Result<(), Stop> {
        let plain = &mut self.state.plain;
        if watermark <= plain.watermark {
            return Ok(());
        }
        plain.watermark = watermark;
        let task = &self.spec.task;
        let id = identity::of_tick(&task.stage, task.partition, watermark);
        let mut work = Work::of_tick(id, watermark, self.position());
        work.dead = self.dead_at_tick();
        self.advance_all(watermark, &mut work, operators)?;
        work.effects().sort();
        let muted = self.muted();
        let mut sum = self.state.plain.output_sum;
        let (outbox, partition) = (&mut self.outbox, self.spec.task.partition);
        work.effects().deliver(0, partition, |row| sum = sum.wrapping_add(outbox.add(row, muted)));
        self.state.plain.output_sum = sum;
        self.write_controls();
        let tick = self.state.plain.progress.ticks;
        self.state.plain.progress.ticks += 1;
        self.pop_dead(self.position(), Root::Tick(tick), &work, 0)?;
        self.settle_windows();
        self.root_done()
    }

    fn advance_all<O: Operator>(
        &mut self,
        watermark: Timestamp,
        work: &mut Work<'_>,
        operators: &mut [O],
    ) -> Result<(), Stop> {
        let spec = Arc::clone(&self.spec);
        let mut watermark = watermark;
        for edge in self.time_edge()..spec.operators.len() {
            let (Some(operator), Some(told)) = (operators.get_mut(edge), spec.operators.get(edge))
            else {
                break;
            };
            // Behind operators that a switch gave a longer delay time stands until it is made up.
            let last = self.state.plain.operator_watermarks.get(edge).copied();
            if last.is_some_and(|last| watermark <= last) {
                watermark = self.held_back(edge, last.unwrap_or(watermark));
                continue;
            }
            let task = &spec.task;
            let tick = identity::of_tick(&task.stage, task.partition, watermark);
            let made = call::advance(operator, watermark, &told.wiring).and_then(|emissions| {
                self.emit(edge, &Causes::Tick(tick, watermark), emissions, work)
            });
            let next = made.map_err(|failure| self.failed_advance(edge, failure))?;
            if let Some(last) = self.state.plain.operator_watermarks.get_mut(edge) {
                *last = watermark;
            }
            let held_back = self.held_back(edge, watermark);
            if let Some(next) = next {
                if planted(Mutant::AdvanceOrder)
                    && let Some(behind) = operators.get_mut(edge + 1)
                {
                    _ = behind.advance(held_back);
                }
                self.feed(edge + 1, &next, work, operators)?;
            }
            watermark = held_back;
        }
        Ok(())
    }

    /// What an operator's watermark is for those behind it.
    fn held_back(&self, edge: usize, watermark: Timestamp) -> Timestamp {
        let delay = self.spec.operators.get(edge).map_or(0, |told| told.wiring.delay as i64);
        match planted(Mutant::NoDelay) {
            true => watermark,
            false => watermark.saturating_sub(delay).max(NO_TIME + 1),
        }
    }

    fn failed_advance(&self, edge: usize, failure: Failure) -> Stop {
        Stop::Call(Box::new(FailedCall {
            operator: edge,
            failure,
            advance: true,
            alone: false,
            quiet: self.is_quiet(),
            position: self.position(),
            root: Root::Tick(self.state.plain.progress.ticks),
            path: Vec::new(),
            until: self.position(),
        }))
    }

    /// Tells the readers of the task's topics how far it has come and whether it is idle.
    pub(super) fn write_controls(&mut self) {
        let spec = Arc::clone(&self.spec);
        if self.spec.time == TimeOrigin::None || !spec.topics.iter().any(|topic| topic.controls) {
            return;
        }
        let muted = self.muted() && !planted(Mutant::ControlsNotMuted);
        let plain = &mut self.state.plain;
        plain.control_number += 1;
        let held = spec.operators.iter().skip(spec.time_edge).map(|o| o.wiring.delay as i64);
        let watermark = match plain.watermark {
            NO_TIME => NO_TIME,
            watermark if planted(Mutant::NoDelay) => watermark,
            watermark => held.fold(watermark, i64::saturating_sub).max(NO_TIME + 1),
        };
        let of_topic = |writers: &[String]| {
            let all = plain.producers.iter();
            all.filter(|producer| writers.contains(&producer.stage)).cloned().collect()
        };
        let producer = Producer { stage: spec.task.stage.clone(), partition: spec.task.partition };
        for (index, topic) in spec.topics.iter().enumerate().filter(|(_, topic)| topic.controls) {
            let control = Control {
                generation: plain.generation,
                producer: producer.clone(),
                producers: of_topic(&topic.writers),
                number: plain.control_number,
                watermark,
                active: !plain.idle,
            };
            let sum = self.outbox.add_control(index, &control, muted);
            plain.output_sum = plain.output_sum.wrapping_add(sum);
        }
    }

    fn dead_at_tick(&self) -> Vec<super::work::DeadItem> {
        let (tick, position) = (self.state.plain.progress.ticks, self.position());
        let run = self.stored.iter().take_while(|d| decide::is_dead(d) && d.position == position);
        run.filter_map(|decision| match &decision.kind {
            DecisionKind::Dead { root: Root::Tick(at), .. } if *at == tick => {
                decide::dead_item(decision, 0)
            }
            _ => None,
        })
        .collect()
    }
}
