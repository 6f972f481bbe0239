//! A history as a round that comes again and again, each time later than the one before.

use crate::history::{Call, Cut, Item};
use crate::kit::Kit;
use pawl_core::record::Timestamp;

/// A round.
pub(crate) struct Round {
    items: Vec<Item>,
    /// Rows in it; never 0.
    pub rows: usize,
    /// Milliseconds from one round to the next.
    span: i64,
}

impl Round {
    /// The kit's history as a round. All windows close at its end.
    pub fn new(kit: &Kit) -> Self {
        let items = kit.items.clone();
        let first = times(&items).min().unwrap_or(0);
        let last = times(&items).max().unwrap_or(0);
        let rows = items.iter().filter(|item| matches!(item, Item::Row(..))).count();
        Self { items, rows: rows.max(1), span: last.saturating_sub(first).saturating_add(1_000) }
    }

    /// The items of the round of this number, from 0 on.
    pub fn items(&self, number: usize) -> Vec<Item> {
        let later = self.span.saturating_mul(i64::try_from(number).unwrap_or(i64::MAX));
        moved(&self.items, later)
    }

    /// Its calls.
    pub fn calls(&self, kit: &Kit, number: usize) -> Vec<Call> {
        kit.calls(&self.items(number), Cut::Every(64))
    }

    /// The calls of one more round, so much later than the one of this number.
    pub fn calls_later(&self, kit: &Kit, number: usize, by: i64) -> Vec<Call> {
        kit.calls(&moved(&self.items(number), by), Cut::Every(64))
    }
}

/// All items, so much later.
pub(crate) fn moved(items: &[Item], later: i64) -> Vec<Item> {
    let moved = |item: &Item| match item {
        Item::Row(input, time) => Item::Row(*input, time.saturating_add(later)),
        Item::Tick(time) => Item::Tick(time.saturating_add(later)),
        other => *other,
    };
    items.iter().map(moved).collect()
}

/// The times of rows and ticks.
pub(crate) fn times(items: &[Item]) -> impl Iterator<Item = Timestamp> + '_ {
    items.iter().filter_map(|item| match item {
        Item::Row(_, time) | Item::Tick(time) => Some(*time),
        _ => None,
    })
}
