//! What the items of a run brought about, until their roots are finished and it goes out. Kept as
//! references into sheets, in the order of the rows.

use super::sheet::Sheet;
use crate::identity::Id;
use crate::outbox::Row;
use crate::record::Records;
use std::sync::Arc;

/// Effects of one run of rows, or of one tick.
#[derive(Default)]
pub(super) struct Effects {
    entries: Vec<Entry>,
    cursor: usize,
    sheets: Vec<Arc<Sheet<'static>>>,
    side: Records,
    side_ids: Vec<Id>,
}

#[derive(Clone, Copy)]
struct Entry {
    row: u32,
    sheet: u32,
    item: u32,
    topic: u16,
}

/// The sheet of dead letters and late records, which are copied one by one.
const SIDE: u32 = u32::MAX;

impl Effects {
    /// Bytes held until they go out.
    pub fn bytes(&self) -> usize {
        let shared: usize = self.sheets.iter().map(|sheet| sheet.columns.bytes()).sum();
        shared + self.side.bytes()
    }

    /// Shares a sheet; the returned number names it in `emit`.
    pub fn share(&mut self, sheet: Arc<Sheet<'static>>) -> u32 {
        self.sheets.push(sheet);
        self.sheets.len() as u32 - 1
    }

    /// Item `item` of a shared sheet goes to `topic`.
    pub fn emit(&mut self, row: u32, sheet: u32, item: usize, topic: usize) {
        self.entries.push(Entry { row, sheet, item: item as u32, topic: topic as u16 });
    }

    /// A dead letter or late record, written by `write`, goes to `topic` with `id`.
    pub fn side(&mut self, row: u32, topic: usize, write: impl FnOnce(&mut Records) -> Id) {
        let item = self.side.len() as u32;
        let id = write(&mut self.side);
        self.side_ids.push(id);
        self.entries.push(Entry { row, sheet: SIDE, item, topic: topic as u16 });
    }

    /// Brings the effects in the order of their rows. Within a row they keep their order.
    pub fn sort(&mut self) {
        if let Some(rest) = self.entries.get_mut(self.cursor..)
            && !rest.is_sorted_by_key(|entry| entry.row)
        {
            rest.sort_by_key(|entry| entry.row);
        }
    }

    /// Gives out the effects of `row`. `partition` is that of dead letters and late records.
    pub fn deliver(&mut self, row: u32, partition: u32, mut out: impl FnMut(&Row<'_>)) {
        while let Some(entry) = self.entries.get(self.cursor).filter(|entry| entry.row == row) {
            self.cursor += 1;
            let (item, topic) = (entry.item as usize, entry.topic as usize);
            if entry.sheet == SIDE {
                let id = self.side_ids.get(item).copied().unwrap_or_default();
                let partition = Some(partition);
                out(&Row { records: &self.side, row: item, id, topic, partition });
            } else if let Some(sheet) = self.sheets.get(entry.sheet as usize) {
                let (row, id) = (sheet.base + item, sheet.id(item));
                out(&Row { records: &sheet.columns, row, id, topic, partition: None });
            }
        }
    }

    /// Forgets what has gone out, once all has.
    pub fn clear_delivered(&mut self) {
        if self.cursor == self.entries.len() {
            self.entries.clear();
            self.cursor = 0;
            self.sheets.clear();
            self.side = Records::default();
            self.side_ids.clear();
        }
    }
}

/// Both lists of effects of a run.
pub(super) struct BothEffects {
    pub head: Effects,
    pub tail: Effects,
}
