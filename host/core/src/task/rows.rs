//! A run of data rows: through the operators before the edge that judges time in bulk, then from
//! that edge on in calls that no tick spans; each row is finished in order, with all it made.

use super::edge::Judged;
use super::sheet::{NO_ID, Sheet};
use super::work::{DeadItem, Work};
use super::{Stop, Task, decide};
use crate::decision::{DecisionKind, Root};
use crate::identity::{self, IdSource};
use crate::laws::{Law, Violation};
use crate::mutant::{Mutant, planted};
use crate::operator::Operator;
use crate::record::{LogBatch, NO_TIME, Offset, Timestamp};
use crate::spec::TimeOrigin;
use std::borrow::Cow;

/// Bytes made at which a step ends before its last row.
pub(super) const STEP_BYTES_MAX: usize = 32 << 20;

/// Bytes made ahead of the edge that judges time at which the next run is shorter.
const HEAD_BYTES_MAX: usize = 8 << 20;

/// The disposition of a row that killed the host.
pub(crate) const HOST_CRASH: &str = "host-crash";

impl Task {
    /// Deals with `rows` data rows of `input` from its data row `first` on. Returns how many: it
    /// may stop short at a row when much waits to be committed.
    pub(super) fn rows<O: Operator>(
        &mut self,
        input: &LogBatch,
        first: usize,
        rows: usize,
        operators: &mut [O],
    ) -> Result<u64, Stop> {
        let rows = if self.time_edge() > 0 { rows.min(self.head_rows) } else { rows };
        let source = self.source_sheet(input, first, rows);
        let dead = self.dead_in_run(rows);
        let in_head = self.time_edge() > 0;
        let mut work = Work::of_rows(input, first, rows, self.position(), dead);
        (work.in_head, work.queue) = (in_head, Sheet::empty(self.time_edge()));
        if work.in_head {
            self.feed(0, &source, &mut work, operators)?;
            self.head_rows = match work.queue.columns.bytes() > HEAD_BYTES_MAX {
                true => (rows / 2).max(1),
                false => self.head_rows.saturating_mul(2),
            };
            work.effects.head.sort();
            work.in_head = false;
            let queue = std::mem::replace(&mut work.queue, Sheet::empty(0));
            self.tail(&queue, &mut work, operators)
        } else {
            self.tail(&source, &mut work, operators)
        }
    }

    /// From the edge that judges time on: calls that end where a tick is due.
    fn tail<O: Operator>(
        &mut self,
        sheet: &Sheet<'_>,
        work: &mut Work<'_>,
        operators: &mut [O],
    ) -> Result<u64, Stop> {
        let edge = self.time_edge();
        let mut selected: Vec<u32> = Vec::with_capacity(sheet.len());
        let (mut item, mut finished) = (0, 0u32);
        let rows = work.rows as u32;
        self.warm(edge, sheet);
        self.begin_call(edge);
        for row in 0..rows {
            while item < sheet.len() && sheet.row(item) == row {
                match self.judge(edge, sheet, item, work) {
                    Judged::Undecided => {
                        self.flush(edge, sheet, &mut selected, work, operators)?;
                        self.begin_call(edge);
                        continue;
                    }
                    Judged::Gone => {}
                    Judged::Pass => self.select(edge, sheet, item, &mut selected, work),
                }
                item += 1;
                if self.is_full(edge, sheet, &selected) {
                    self.flush(edge, sheet, &mut selected, work, operators)?;
                    self.finish(&mut finished, row, work)?;
                    self.begin_call(edge);
                }
            }
            let last = row + 1 == rows;
            let due = self.due_watermark().filter(|_| last || !planted(Mutant::TickAtBatchEnd));
            if due.is_some() || last {
                self.flush(edge, sheet, &mut selected, work, operators)?;
                self.finish(&mut finished, row + 1, work)?;
                if let Some(due) = due {
                    self.tick_to(due, operators)?;
                }
                self.settle_windows();
                self.begin_call(edge);
                // What operators made ahead of this edge would be lost; they are bounded by the
                // number of rows instead.
                if edge == 0 && self.outbox.waiting().0 >= STEP_BYTES_MAX {
                    break;
                }
            }
            if edge == 0 && self.outbox.waiting().0 + work.made() >= STEP_BYTES_MAX && !last {
                self.flush(edge, sheet, &mut selected, work, operators)?;
                self.finish(&mut finished, row + 1, work)?;
                break;
            }
        }
        Ok(u64::from(finished))
    }

    /// Finishes the rows up to `end`, in order.
    fn finish(&mut self, finished: &mut u32, end: u32, work: &mut Work<'_>) -> Result<(), Stop> {
        work.effects.tail.sort();
        while *finished < end {
            self.finish_row(*finished, work)?;
            *finished += 1;
        }
        work.effects.head.clear_delivered();
        work.effects.tail.clear_delivered();
        Ok(())
    }

    /// The row has its outcome: what it made goes out, and the position moves behind it.
    fn finish_row(&mut self, row: u32, work: &mut Work<'_>) -> Result<(), Stop> {
        self.send_effects(row, work);
        let plain = &mut self.state.plain;
        if let Some((records, at)) = work.input_row(row) {
            let hash = identity::row_hash(0, records, at, records.ids.get(at));
            plain.input_sum = plain.input_sum.wrapping_add(hash);
        }
        plain.counters.records_in += 1;
        let failed = work.has_failed(row);
        plain.breaker.note(failed, &self.spec.breaker);
        let position = plain.progress.position;
        plain.progress.position += 1;
        self.decide_undelivered(position, Root::Row, row, work)?;
        self.pop_dead(position, Root::Row, work, row)?;
        self.root_done()
    }

    /// What a row made goes out.
    pub(super) fn send_effects(&mut self, row: u32, work: &mut Work<'_>) {
        let muted = self.muted();
        let mut sum = self.state.plain.output_sum;
        let (outbox, partition) = (&mut self.outbox, self.spec.task.partition);
        let mut out = |r: &crate::outbox::Row<'_>| sum = sum.wrapping_add(outbox.add(r, muted));
        work.effects.head.deliver(row, partition, &mut out);
        work.effects.tail.deliver(row, partition, &mut out);
        self.state.plain.output_sum = sum;
    }

    /// Takes the decisions of a finished root off the list: each must have met its item.
    pub(super) fn pop_dead(
        &mut self,
        position: Offset,
        root: Root,
        work: &Work<'_>,
        row: u32,
    ) -> Result<(), Stop> {
        while let Some(decision) = self.stored.front() {
            let at = match decision.kind {
                DecisionKind::Dead { root, .. } | DecisionKind::Undelivered { root, .. } => root,
                _ => break,
            };
            if decision.position != position || at != root {
                break;
            }
            self.stored.pop_front();
            self.state.plain.progress.decisions += 1;
        }
        // A row that killed the host was convicted as a whole; an edge may deal with it before.
        let unmet = work
            .dead
            .iter()
            .find(|dead| dead.row == row && !dead.applied && dead.cause.disposition != HOST_CRASH);
        if unmet.is_some() && !self.tolerant {
            let what = format!("a decision says that {position} is dead, but no such item came by");
            return Err(Stop::Law(Violation::of(Law::Dt1, what)));
        }
        Ok(())
    }

    /// The watermark that is due, if it is not the one that the edge has.
    pub(super) fn due_watermark(&self) -> Option<Timestamp> {
        let TimeOrigin::Records(rules) = &self.spec.time else { return None };
        let (clock, watermark) = (&self.state.plain.clock, self.state.plain.watermark);
        let ahead = clock.largest().saturating_sub(rules.disorder).saturating_sub(watermark);
        if ahead < rules.step.max(1) {
            return None; // without a division for every row
        }
        let due = clock.watermark(rules);
        (due != NO_TIME && due > self.state.plain.watermark).then_some(due)
    }

    /// Between roots: seals window segments and gives back what time has passed.
    pub(super) fn settle_windows(&mut self) {
        for edge in 0..self.state.windows.len() {
            let horizon = self.horizon(edge);
            if let Some(Some(window)) = self.state.windows.get_mut(edge) {
                window.settle(horizon);
            }
        }
    }

    /// The rows as items of the first edge.
    fn source_sheet<'b>(&self, input: &'b LogBatch, first: usize, rows: usize) -> Sheet<'b> {
        let records = &input.records;
        let (topic, partition) = (&self.spec.input, self.spec.task.partition);
        let edge = self.spec.operators.first().map(|operator| &operator.edge);
        let position = self.position();
        let (mut ids, mut times) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for row in 0..rows {
            let here = || identity::of_position(topic, partition, position + row as u64);
            let Some(edge) = edge else { break };
            let (id, time) = identity::read(&edge.id, &edge.time, records, first + row);
            times.push(time);
            ids.push(match edge.id {
                IdSource::Position => here(),
                IdSource::Own => id.unwrap_or_else(here),
                _ => id.unwrap_or(NO_ID),
            });
        }
        Sheet {
            columns: Cow::Borrowed(records),
            base: first,
            ids,
            times,
            rows: (0..rows as u32).collect(),
            level: 0,
            steps: Vec::new(),
            onward: None,
        }
    }

    fn dead_in_run(&self, rows: usize) -> Vec<DeadItem> {
        let position = self.position();
        let end = position + rows as u64;
        let run = self.stored.iter().take_while(|d| decide::is_dead(d) && d.position < end);
        run.filter_map(|decision| match &decision.kind {
            DecisionKind::Dead { root: Root::Row, .. }
            | DecisionKind::Undelivered { root: Root::Row, .. }
                if decision.position >= position =>
            {
                decide::dead_item(decision, (decision.position - position) as u32)
            }
            _ => None,
        })
        .collect()
    }
}
