//! Items at one edge, in order: columns, and beside them what each item is and where it comes
//! from. Made once and then only read, so that it can be shared with what goes out.

use crate::decision::PathStep;
use crate::identity::Id;
use crate::record::{NO_TIME, Records, Timestamp};
use std::borrow::Cow;

/// The id of an item that has none.
pub(super) const NO_ID: Id = 0;

/// The step of an operator above the tick at which an item was made.
const NO_STEP: u32 = u32::MAX;

/// Items at one edge.
#[derive(Clone, Debug)]
pub(super) struct Sheet<'a> {
    /// Item `i` is row `base + i` here.
    pub columns: Cow<'a, Records>,
    /// See `columns`.
    pub base: usize,
    /// One per item; `NO_ID` where there is none.
    pub ids: Vec<Id>,
    /// The event time of each item as the edge reads it, or `NO_TIME`; none where no edge follows.
    pub times: Vec<Timestamp>,
    /// The row of the run that is the item's root, ascending; 0 at a tick.
    pub rows: Vec<u32>,
    /// How many operators lie above.
    pub level: usize,
    /// `level` emission indexes per item, from the root down.
    pub steps: Vec<u32>,
    /// Items that go on to the next operator; none: all of them.
    pub onward: Option<Vec<bool>>,
}

impl<'a> Sheet<'a> {
    /// No items, below `level` operators.
    pub fn empty(level: usize) -> Sheet<'static> {
        Sheet {
            columns: Cow::Owned(Records::default()),
            base: 0,
            ids: Vec::new(),
            times: Vec::new(),
            rows: Vec::new(),
            level,
            steps: Vec::new(),
            onward: None,
        }
    }

    /// Items that enter before operator `level` and come from nothing above.
    pub fn of_entries(
        records: Records,
        ids: Vec<Id>,
        times: Vec<Timestamp>,
        rows: Vec<u32>,
        level: usize,
    ) -> Sheet<'static> {
        let steps = vec![NO_STEP; level * rows.len()];
        Sheet {
            columns: Cow::Owned(records),
            base: 0,
            ids,
            times,
            rows,
            level,
            steps,
            onward: None,
        }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn id(&self, item: usize) -> Id {
        self.ids.get(item).copied().unwrap_or(NO_ID)
    }

    pub fn time(&self, item: usize) -> Timestamp {
        self.times.get(item).copied().unwrap_or(NO_TIME)
    }

    /// The event time that the operator is shown: what the edge reads, else what the item brings.
    pub fn shown_time(&self, item: usize) -> Timestamp {
        match self.time(item) {
            NO_TIME => self.columns.event_times.get(self.base + item).copied().unwrap_or(NO_TIME),
            time => time,
        }
    }

    pub fn row(&self, item: usize) -> u32 {
        self.rows.get(item).copied().unwrap_or(0)
    }

    pub fn goes_on(&self, item: usize) -> bool {
        self.onward.as_ref().is_none_or(|onward| onward.get(item).copied().unwrap_or(false))
    }

    /// The emission indexes that lead to an item.
    pub fn steps_of(&self, item: usize) -> &[u32] {
        self.steps.get(item * self.level..(item + 1) * self.level).unwrap_or_default()
    }

    /// Adds the steps of an emission: those of its cause and its own index.
    pub fn push_steps(&mut self, cause: Option<(&Sheet<'_>, usize)>, index: u32) {
        match cause {
            Some((sheet, item)) => self.steps.extend_from_slice(sheet.steps_of(item)),
            None => self.steps.extend(std::iter::repeat_n(NO_STEP, self.level - 1)),
        }
        self.steps.push(index);
    }

    /// The path from the root down to an item.
    pub fn path(&self, item: usize) -> Vec<PathStep> {
        path_of(self.steps_of(item))
    }

    /// Adds the items of another sheet of the same level that go on.
    pub fn append(&mut self, other: Sheet<'static>) {
        if self.len() == 0 && other.onward.is_none() {
            *self = other;
            return;
        }
        let into = self.columns.to_mut();
        for item in 0..other.len() {
            if !other.goes_on(item) {
                continue;
            }
            let row = other.base + item;
            let at = into.len();
            let from = &other.columns;
            into.keys.push(from.keys.get(row));
            into.values.push(from.values.get(row));
            into.ids.push(from.ids.get(row));
            into.event_times.extend(from.event_times.get(row));
            into.priorities.extend(from.priorities.get(row));
            for header in &from.headers {
                let column = into.header_mut(&header.name, at);
                let missing = at.saturating_sub(column.len());
                column.push_nulls(missing);
                column.push(header.column.get(row));
            }
            self.ids.push(other.id(item));
            self.times.push(other.time(item));
            self.rows.push(other.row(item));
            self.steps.extend_from_slice(other.steps_of(item));
        }
        into.pad_headers();
    }
}

/// The path that emission indexes spell.
pub(super) fn path_of(steps: &[u32]) -> Vec<PathStep> {
    let steps = steps.iter().enumerate().filter(|(_, index)| **index != NO_STEP);
    steps.map(|(operator, index)| PathStep { operator: operator as u16, index: *index }).collect()
}
