//! Guest calls along the chain: gathers the items that an edge lets through, shows them to the
//! operator in calls that no undecided id spans, and takes what it emits to the next edge.

use super::edge::Judged;
use super::emit::Causes;
use super::sheet::Sheet;
use super::work::Work;
use super::{FailedCall, Stop, Task, call};
use crate::column::ByteColumn;
use crate::mutant::{Mutant, planted};
use crate::operator::{Batch, Failure, Operator};
use crate::record::NO_TIME;
use std::fmt::Write;
use std::sync::Arc;

/// The header that no record brings: where the item's root row stands, `topic/partition/offset`.
/// Operators that want it can say where what they make comes from.
const ORIGIN: &str = "pawl-origin";

impl Task {
    /// Shows the selected items to operator `edge`, and what it emits to those behind it.
    pub(super) fn flush<O: Operator>(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        selected: &mut Vec<u32>,
        work: &mut Work<'_>,
        operators: &mut [O],
    ) -> Result<(), Stop> {
        if selected.is_empty() {
            return Ok(());
        }
        if self.spec.sink {
            return self.flush_to_sink(edge, sheet, selected, work, operators);
        }
        let spec = Arc::clone(&self.spec);
        let mut batch = std::mem::take(&mut self.scratch);
        self.gather(edge, sheet, selected, work, &mut batch);
        let called = match (operators.get_mut(edge), spec.operators.get(edge)) {
            (Some(operator), Some(spec)) => call::process(operator, &batch, &spec.wiring),
            _ => Err(Failure::Trap("there is no such operator".to_owned())),
        };
        self.scratch = batch;
        let made = called.and_then(|called| {
            let rejected = called.rejections.len() as u64;
            self.reject(edge, sheet, selected, called.rejections, work);
            let absorbed = selected.len() as u64 - rejected.min(selected.len() as u64);
            self.add(edge, absorbed, |counters| &mut counters.absorbed);
            self.emit(edge, &Causes::Items(sheet, selected), called.emissions, work)
        });
        let next = match made {
            Ok(next) => next,
            Err(failure) => {
                return Err(self.failed(edge, sheet, selected, failure, work));
            }
        };
        selected.clear();
        match next {
            Some(next) => self.onward(edge + 1, next, work, operators),
            None => Ok(()),
        }
    }

    /// Takes items to edge `edge`: into the queue before the edge that judges time, else to its
    /// operator at once.
    pub(super) fn onward<O: Operator>(
        &mut self,
        edge: usize,
        next: Arc<Sheet<'static>>,
        work: &mut Work<'_>,
        operators: &mut [O],
    ) -> Result<(), Stop> {
        if work.in_head && edge == self.time_edge() {
            let next = Arc::try_unwrap(next).unwrap_or_else(|shared| (*shared).clone());
            work.queue.append(next);
            return Ok(());
        }
        self.feed(edge, &next, work, operators)
    }

    /// Takes all items that go on to operator `edge`, in calls that no undecided id spans.
    pub(super) fn feed<O: Operator>(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        work: &mut Work<'_>,
        operators: &mut [O],
    ) -> Result<(), Stop> {
        let mut selected = Vec::with_capacity(sheet.len());
        self.warm(edge, sheet);
        self.begin_call(edge);
        let mut item = 0;
        while item < sheet.len() {
            if !sheet.goes_on(item) {
                item += 1;
                continue;
            }
            match self.judge(edge, sheet, item, work) {
                Judged::Undecided => {
                    self.flush(edge, sheet, &mut selected, work, operators)?;
                    self.begin_call(edge);
                    continue;
                }
                Judged::Gone => {}
                Judged::Pass => self.select(edge, sheet, item, &mut selected, work),
            }
            if self.is_full(edge, sheet, &selected) {
                self.flush(edge, sheet, &mut selected, work, operators)?;
                self.begin_call(edge);
            }
            item += 1;
        }
        self.flush(edge, sheet, &mut selected, work, operators)
    }

    /// Copies the selected items into the batch that the guest gets.
    pub(super) fn gather(
        &self,
        edge: usize,
        sheet: &Sheet<'_>,
        selected: &[u32],
        work: &Work<'_>,
        batch: &mut Batch,
    ) {
        let columns = &sheet.columns;
        let wants = self.spec.operators.get(edge).map(|operator| &operator.wiring.wants);
        let wants = wants.map(Vec::as_slice).unwrap_or_default();
        batch.keys.clear();
        batch.values.clear();
        batch.event_times.clear();
        batch.headers.resize_with(wants.len(), Default::default);
        batch.headers.iter_mut().for_each(|column| column.clear());
        let mut at = 0;
        while let Some(first) = selected.get(at).copied() {
            let mut end = at + 1;
            while selected.get(end).is_some_and(|item| *item == first + (end - at) as u32) {
                end += 1;
            }
            let (from, to) = (sheet.base + first as usize, sheet.base + first as usize + end - at);
            batch.keys.extend_rows(&columns.keys, from, to);
            batch.values.extend_rows(&columns.values, from, to);
            let times = sheet.times.get(first as usize..first as usize + end - at);
            let times = times.unwrap_or_default();
            if times.contains(&NO_TIME) {
                // The contract knows no null: such an item shows what it brings, or when it came.
                batch.event_times.extend(times.iter().zip(from..to).map(|(time, row)| {
                    let brought = columns.event_times.get(row).copied().unwrap_or(NO_TIME);
                    let logged = columns.timestamps.get(row).copied().unwrap_or(0);
                    [*time, brought, logged].into_iter().find(|t| *t != NO_TIME).unwrap_or(0)
                }));
            } else {
                batch.event_times.extend_from_slice(times);
            }
            for (name, column) in wants.iter().zip(&mut batch.headers) {
                if name == ORIGIN {
                    let run = selected.get(at..end).unwrap_or_default();
                    self.push_origins(sheet, run, work, column);
                    continue;
                }
                match columns.header(name) {
                    Some(header) => column.extend_rows(header, from, to),
                    None => column.push_nulls(to - from),
                }
            }
            at = end;
        }
    }

    /// Where the root rows of items stand; absent at a tick.
    fn push_origins(
        &self,
        sheet: &Sheet<'_>,
        items: &[u32],
        work: &Work<'_>,
        column: &mut ByteColumn,
    ) {
        let mut text = String::new();
        for item in items {
            if work.tick.is_some() {
                column.push(None);
                continue;
            }
            let row = sheet.row(*item as usize);
            if let Some(letter) = work.letter(row) {
                letter.origin(column);
                continue;
            }
            let offset = work.offset(row);
            text.clear();
            write!(text, "{}/{}/{offset}", self.spec.input, self.spec.task.partition)
                .expect("writing to a string does not fail");
            column.push(Some(text.as_bytes()));
        }
    }

    pub(super) fn failed(
        &self,
        edge: usize,
        sheet: &Sheet<'_>,
        selected: &[u32],
        failure: Failure,
        work: &Work<'_>,
    ) -> Stop {
        let item = selected.first().copied().unwrap_or(0) as usize;
        Stop::Call(Box::new(FailedCall {
            operator: edge,
            failure,
            advance: false,
            alone: selected.len() == 1,
            quiet: self.has_passed_before(work, sheet.row(item)),
            position: work.position(sheet.row(item)),
            root: work.root(sheet.row(item), self.state.plain.progress.ticks),
            path: sheet.path(item),
            until: work.end().max(self.position()) + 1,
        }))
    }

    /// Whether the failed item has passed before: something durable lies behind it. Of the last
    /// durable decision this is so unless it is about an item of this row or one before, which the
    /// run has met already.
    pub(super) fn has_passed_before(&self, work: &Work<'_>, row: u32) -> bool {
        let published = self.state.plain.progress.root() < self.intent;
        let due = self
            .stored
            .back()
            .is_some_and(|last| last.position > work.position(row) || !work.has_met(last.number));
        self.replaying || published || (due && !planted(Mutant::ReplayToCommit))
    }
}
