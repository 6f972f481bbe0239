//! What is under way: a run of rows or a tick, with what waits, what is decided dead, and what was
//! made. Nothing of it outlives its step.

use super::effects::{BothEffects, Effects};
use super::sheet::{Sheet, path_of};
use crate::dead_letter::Cause;
use crate::decision::{PathStep, Root};
use crate::identity::Id;
use crate::record::{LogBatch, Offset, Producer, Records, Timestamp};
use crate::sent_back::SentBack;
use std::collections::VecDeque;

/// What is under way: a run of rows, or a tick.
pub(super) struct Work<'a> {
    /// The input's columns and the first row of the run there; none at a tick.
    input: Option<(&'a Records, usize)>,
    /// What is told of the rows, if they were sent back.
    letters: Option<&'a [SentBack]>,
    /// Offset of the first of them in their own topic.
    first_sent_back: Offset,
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
            letters: None,
            first_sent_back: 0,
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

    /// A run of rows of `sent_back` from data row `first` on. `place`: the position before which
    /// they come in, and the offset of the first.
    pub fn of_sent_back(
        sent_back: &'a LogBatch,
        first: usize,
        place: (Offset, Offset),
        letters: &'a [SentBack],
        dead: Vec<DeadItem>,
    ) -> Self {
        let (position, offset) = place;
        let rows = Self::of_rows(sent_back, first, letters.len(), position, dead);
        Self { producer: None, letters: Some(letters), first_sent_back: offset, ..rows }
    }

    /// A tick before the row at `position`.
    pub fn of_tick(id: Id, watermark: Timestamp, position: Offset) -> Work<'static> {
        Work {
            input: None,
            letters: None,
            first_sent_back: 0,
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

    /// Position of a row of the run; of one that was sent back, where it comes in.
    pub fn position(&self, row: u32) -> Offset {
        match self.letters {
            Some(_) => self.first,
            None => self.first + u64::from(row),
        }
    }

    /// Offset of a row of the run in the topic in which it lies.
    pub fn offset(&self, row: u32) -> Offset {
        match self.letters {
            Some(_) => self.first_sent_back + u64::from(row),
            None => self.first + u64::from(row),
        }
    }

    /// Position behind the last row.
    pub fn end(&self) -> Offset {
        match self.letters {
            Some(_) => self.first,
            None => self.first + self.rows as u64,
        }
    }

    /// What is told of a row, if it was sent back.
    pub fn letter(&self, row: u32) -> Option<&'a SentBack> {
        self.letters?.get(row as usize)
    }

    /// Whether the rows were sent back.
    pub fn is_sent_back(&self) -> bool {
        self.letters.is_some()
    }

    /// What decisions call a row of the run.
    pub fn root(&self, row: u32, ticks: u64) -> Root {
        match (self.tick, self.letters) {
            (Some(_), _) => Root::Tick(ticks),
            (None, Some(_)) => Root::SentBack(self.offset(row)),
            (None, None) => Root::Row,
        }
    }

    /// The row of the run that is an item's root.
    pub fn input_row(&self, row: u32) -> Option<(&'a Records, usize)> {
        self.input.map(|(records, first)| (records, first + row as usize))
    }

    /// The decision that an item is dead, if there is one. Its path tells the operator, too.
    pub fn decided_dead(&mut self, sheet: &Sheet<'_>, item: usize) -> Option<&mut DeadItem> {
        let row = sheet.row(item);
        let mut of_row = self.dead.iter_mut().filter(|dead| dead.row == row && !dead.applied);
        of_row.find(|dead| dead.path == path_of(sheet.steps_of(item)))
    }

    /// Whether there is one.
    pub fn is_decided_dead(&mut self, sheet: &Sheet<'_>, item: usize) -> bool {
        self.decided_dead(sheet, item).is_some()
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
