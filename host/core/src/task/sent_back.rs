//! Rows that were sent back: each enters before the operator that refused it, with its own id and
//! event time, and skips the edges before. It takes part in dedup and is late if its time has
//! passed, but moves no time and trips no breaker.
//!
//! A decision says where in the input they come in; from there on nothing else happens until the
//! last one is finished. Each is a root of its own.

use super::rows::STEP_BYTES_MAX;
use super::sheet::{NO_ID, Sheet};
use super::work::Work;
use super::{Step, Stop, Task};
use crate::dead_letter::Cause;
use crate::decision::{DecisionKind, Root};
use crate::identity::{self, IdSource};
use crate::laws::{Law, Violation};
use crate::mutant::{Mutant, planted};
use crate::operator::Operator;
use crate::record::{LogBatch, Offset, PRIORITY_DEFAULT, Record, Records};
use crate::sent_back::SentBack;
use std::sync::Arc;

/// Rows that are taken in before it is seen how much was made of them.
const ROWS_AT_ONCE: usize = 32;

impl Task {
    /// Rows that were sent back and are to be taken in before anything else.
    pub fn admitting(&self) -> Option<std::ops::Range<Offset>> {
        let plain = &self.state.plain;
        let next = plain.progress.admitted;
        (next < plain.admitting).then_some(next..plain.admitting)
    }

    /// Takes in up to `rows_max` of the rows that were sent back. `sent_back` begins at or below
    /// the first of them.
    pub(super) fn take_in<O: Operator>(
        &mut self,
        sent_back: &LogBatch,
        rows_max: usize,
        operators: &mut [O],
    ) -> Result<Step, Stop> {
        let Some(due) = self.admitting() else { return Ok(Step::Nothing) };
        if !(sent_back.base..sent_back.end()).contains(&due.start) {
            return Ok(Step::Nothing);
        }
        let row = (due.start - sent_back.base) as usize;
        let rows = match sent_back.controls.binary_search_by_key(&(row as u32), |(at, _)| *at) {
            Ok(_) => {
                // Nobody writes such rows here; it takes up its offset and nothing more.
                self.state.plain.progress.admitted += 1;
                self.root_done()?;
                return Ok(Step::SentBack(1));
            }
            Err(before) => {
                let controls = &sent_back.controls;
                let end = controls.get(before).map_or(sent_back.rows(), |(at, _)| *at as usize);
                let rows = (end - row).min((due.end - due.start) as usize);
                let rows = rows.min(rows_max.max(1)).min(self.sent_back_to_commit());
                let mut done = 0;
                while done < rows && self.outbox.waiting().0 < STEP_BYTES_MAX {
                    let some = (rows - done).min(ROWS_AT_ONCE);
                    self.take_in_rows(sent_back, row - before + done, some, operators)?;
                    done += some;
                }
                done.max(1).min(rows)
            }
        };
        Ok(Step::SentBack(rows as u64))
    }

    /// How many rows a step may take so as not to cross the commit.
    fn sent_back_to_commit(&self) -> usize {
        let left = self.commit.progress.admitted.saturating_sub(self.progress().admitted);
        match self.is_replaying() && left > 0 {
            true => usize::try_from(left).unwrap_or(usize::MAX),
            false => usize::MAX,
        }
    }

    fn take_in_rows<O: Operator>(
        &mut self,
        sent_back: &LogBatch,
        first: usize,
        rows: usize,
        operators: &mut [O],
    ) -> Result<(), Stop> {
        let spec = Arc::clone(&self.spec);
        let offset = self.progress().admitted;
        let (topic, partition) = (spec.replay.as_str(), spec.task.partition);
        let read = |row: usize| {
            let place = (topic, partition, offset + row as u64);
            SentBack::read(&sent_back.records, first + row, place)
        };
        let letters: Vec<SentBack> = (0..rows).map(read).collect();
        let dead = self.dead_sent_back(rows);
        let place = (self.position(), offset);
        let mut work = Work::of_sent_back(sent_back, first, place, &letters, dead);
        let mut row = 0;
        while let Some(letter) = letters.get(row) {
            let same = letters.iter().skip(row).take_while(|next| next.entry == letter.entry);
            let end = row + same.count();
            let group = row as u32..end as u32;
            let entry = spec.operators.iter().position(|operator| operator.name == letter.entry);
            let sheet = self.entry_sheet(entry, &work, &letters, group);
            match entry {
                Some(edge) => self.feed(edge, &sheet, &mut work, operators)?,
                None => self.refuse_strays(&sheet, &letter.entry, &mut work),
            }
            row = end;
        }
        work.effects.tail.sort();
        (0..rows as u32).try_for_each(|row| self.finish_sent_back(row, &mut work))
    }

    /// The rows as items of the edge before which they enter.
    fn entry_sheet(
        &self,
        entry: Option<usize>,
        work: &Work<'_>,
        letters: &[SentBack],
        group: std::ops::Range<u32>,
    ) -> Sheet<'static> {
        let mut records = Records::default();
        let (mut ids, mut times) = (Vec::new(), Vec::new());
        let told = entry.and_then(|edge| self.spec.operators.get(edge));
        for row in group.clone() {
            let (Some((from, at)), Some(letter)) = (work.input_row(row), letters.get(row as usize))
            else {
                break;
            };
            let headers = from.headers.iter();
            let headers: Vec<(&str, &[u8])> = headers
                .filter(|header| !header.name.starts_with("pawl-"))
                .filter_map(|header| Some((&*header.name, header.column.get(at)?)))
                .collect();
            records.push(Record {
                key: from.keys.get(at),
                value: from.values.get(at),
                id: letter.own_id.as_deref(),
                event_time: letter.event_time,
                timestamp: letter.timestamp,
                priority: from.priorities.get(at).copied().unwrap_or(PRIORITY_DEFAULT),
                headers: &headers,
            });
            let last = records.len().saturating_sub(1);
            // What no operator knows goes as it came.
            let (id, time) = match told.map(|operator| &operator.edge) {
                None => (letter.item, letter.event_time),
                Some(edge) => match edge.id {
                    IdSource::Own | IdSource::Position => {
                        (letter.item, edge.time.read(&records, last))
                    }
                    _ => identity::read(&edge.id, &edge.time, &records, last),
                },
            };
            ids.push(id.unwrap_or(NO_ID));
            times.push(time);
        }
        Sheet::of_entries(records, ids, times, group.collect(), entry.unwrap_or(0))
    }

    /// Rows that belong before no operator that there is.
    fn refuse_strays(&mut self, sheet: &Sheet<'_>, entry: &str, work: &mut Work<'_>) {
        let stage = &self.spec.task.stage;
        let (kind, message) = match entry {
            "" => ("not-a-dead-letter", "it has not the headers of a dead letter".to_owned()),
            _ => ("no-such-operator", format!("stage {stage} has no operator {entry} any more")),
        };
        for item in 0..sheet.len() {
            let cause = Cause {
                class: "permanent",
                disposition: "rejected".to_owned(),
                kind: kind.to_owned(),
                message: message.clone(),
                retries: 0,
            };
            self.refuse(0, sheet, item, cause, work);
        }
    }

    /// The row has its outcome.
    fn finish_sent_back(&mut self, row: u32, work: &mut Work<'_>) -> Result<(), Stop> {
        self.send_effects(row, work);
        let plain = &mut self.state.plain;
        if let Some((records, at)) = work.input_row(row) {
            let hash = identity::row_hash(1, records, at, records.ids.get(at));
            plain.input_sum = plain.input_sum.wrapping_add(hash);
        }
        plain.counters.readmitted += 1;
        let offset = plain.progress.admitted;
        plain.progress.admitted += 1;
        let root = Root::SentBack(offset);
        self.decide_undelivered(self.position(), root, row, work)?;
        self.pop_dead(self.position(), root, work, row)?;
        self.settle_windows();
        self.root_done()
    }

    /// The decision takes effect: its rows are due.
    pub(super) fn admit(&mut self, until: Offset) -> Result<(), Stop> {
        let forgets = planted(Mutant::AdmittedOnce) && self.is_replaying();
        let plain = &mut self.state.plain;
        if until <= plain.progress.admitted || plain.admitting > plain.progress.admitted {
            let what = format!(
                "rows below {until} are admitted anew, at {} of {}",
                plain.progress.admitted, plain.admitting
            );
            return Err(Stop::Law(Violation::of(Law::Dt1, what)));
        }
        if !forgets {
            plain.admitting = until;
        }
        Ok(())
    }

    /// Decisions about the next rows that were sent back.
    fn dead_sent_back(&self, rows: usize) -> Vec<super::work::DeadItem> {
        let first = self.progress().admitted;
        let offset_of = |decision: &crate::decision::Decision| match decision.kind {
            DecisionKind::Dead { root: Root::SentBack(offset), .. }
            | DecisionKind::Undelivered { root: Root::SentBack(offset), .. } => Some(offset),
            _ => None,
        };
        let run = self.stored.iter().map_while(|decision| Some((decision, offset_of(decision)?)));
        let run = run.take_while(|(_, offset)| *offset < first + rows as u64);
        run.filter_map(|(decision, offset)| {
            super::decide::dead_item(decision, offset.checked_sub(first)? as u32)
        })
        .collect()
    }
}
