//! What is under way: a run of rows or a tick, with what waits, what is decided dead, and what was
//! made. Nothing of it outlives its step.

use super::effects::{BothEffects, Effects};
use super::sheet::{Sheet, path_of};
use crate::dead_letter::Cause;
use crate::decision::PathStep;
use crate::identity::Id;
use crate::record::{LogBatch, Offset, Producer, Records, Timestamp};
use std::collections::VecDeque;

/// What is under way: a run of rows, or a tick.
pub(super) struct Work<'a> {
    /// The input's columns and the first row of the run there; none at a tick.
    input: Option<(&'a Records, usize)>,
    /// Who wrote the rows.
    pub producer: Option<&'a Producer>,
    /// Offset of the first row; at a tick, of the row behind it.
    first: Offset,
    /// Rows of the run.
    pub rows: usize,
    /// Id and watermark of the tick, if it is one.
    pub tick: Option<(Id, Timestamp)>,
    /// Operators before the edge that judges time are at work.
    pub in_head: bool,
    /// What waits before that edge.
    pub queue: Sheet<'static>,
    /// Items that decisions say are dead.
    pub dead: Vec<DeadItem>,
    pub effects: BothEffects,
    /// Rows that the receiver behind a sink did not take, and why, ascending.
    pub undelivered: VecDeque<(u32, Cause)>,
    failed: Vec<bool>,
}

/// An item that a decision says is dead.
pub(super) struct DeadItem {
    pub number: u64,
    pub row: u32,
    pub path: Vec<PathStep>,
    pub cause: Cause,
    pub applied: bool,
}

impl DeadItem {
    /// Whether it is dead before operator `edge`: the one behind the last step of its path, or
    /// the first of the chain.
    pub fn operator(&self, edge: usize) -> bool {
        self.path.last().map_or(edge == 0, |step| usize::from(step.operator) + 1 == edge)
    }
}

impl<'a> Work<'a> {
    /// A run of `rows` rows of `input` from its data row `first` on, which stands at `position`.
    pub fn of_rows(
        input: &'a LogBatch,
        first: usize,
        rows: usize,
        position: Offset,
        dead: Vec<DeadItem>,
    ) -> Self {
        Self {
            input: Some((&input.records, first)),
            producer: input.producer.as_ref(),
            first: position,
            rows,
            tick: None,
            in_head: false,
            queue: Sheet::empty(0),
            dead,
            effects: BothEffects { head: Effects::default(), tail: Effects::default() },
            undelivered: VecDeque::new(),
            failed: vec![false; rows],
        }
    }

    /// A tick before the row at `position`.
    pub fn of_tick(id: Id, watermark: Timestamp, position: Offset) -> Work<'static> {
        Work {
            input: None,
            producer: None,
            first: position,
            rows: 0,
            tick: Some((id, watermark)),
            in_head: false,
            queue: Sheet::empty(0),
            dead: Vec::new(),
            effects: BothEffects { head: Effects::default(), tail: Effects::default() },
            undelivered: VecDeque::new(),
            failed: Vec::new(),
        }
    }

    pub fn effects(&mut self) -> &mut Effects {
        if self.in_head { &mut self.effects.head } else { &mut self.effects.tail }
    }

    /// Offset of a row of the run.
    pub fn offset(&self, row: u32) -> Offset {
        self.first + u64::from(row)
    }

    /// Offset behind the last row.
    pub fn end(&self) -> Offset {
        self.first + self.rows as u64
    }

    /// The root row of an item.
    pub fn root(&self, row: u32) -> Option<(&'a Records, usize)> {
        self.input.map(|(records, first)| (records, first + row as usize))
    }

    /// The decision that an item before operator `edge` is dead, if there is one.
    pub fn decided_dead(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        item: usize,
    ) -> Option<&mut DeadItem> {
        let row = sheet.row(item);
        let mut of_row = self.dead.iter_mut().filter(|dead| dead.row == row && !dead.applied);
        of_row.find(|dead| dead.operator(edge) && dead.path == path_of(sheet.steps_of(item)))
    }

    /// Whether there is one.
    pub fn is_decided_dead(&mut self, edge: usize, sheet: &Sheet<'_>, item: usize) -> bool {
        self.decided_dead(edge, sheet, item).is_some()
    }

    /// Whether the run has met the item of this decision.
    pub fn has_met(&self, number: u64) -> bool {
        self.dead.iter().any(|dead| dead.number == number && dead.applied)
    }

    /// Bytes of what was made and has not gone out.
    pub fn made(&self) -> usize {
        self.effects.head.bytes() + self.effects.tail.bytes()
    }

    /// Whether something of a row failed.
    pub fn has_failed(&self, row: u32) -> bool {
        self.failed.get(row as usize).copied().unwrap_or(false)
    }

    /// Why something of a row was not delivered, if it is the next that was not.
    pub fn take_undelivered(&mut self, row: u32) -> Option<Cause> {
        let next = self.undelivered.front().is_some_and(|(of, _)| *of == row);
        if !next {
            return None;
        }
        self.undelivered.pop_front().map(|(_, cause)| cause)
    }

    /// Notes that something of a row failed, for the breaker.
    pub fn failed(&mut self, row: u32) {
        if let Some(failed) = self.failed.get_mut(row as usize) {
            *failed = true;
        }
    }
}
