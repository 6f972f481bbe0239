//! Which slot of a dedup window holds an id: an open-addressed table of tags and slots.
//!
//! One entry is 8 bytes, `tag << 32 | slot`, and 0 is empty; both halves are the low 32 bits of
//! what they stand for, the tag with its last bit set. An id's home follows from its tag alone, so
//! growing and removing never look at ids, and looking up, entering and removing an id touch one
//! place in memory. Linear probing with backward shift (Knuth, TAOCP 6.4, algorithm R): there are
//! no tombstones. It never holds more than half of its entries.

use crate::identity::Id;

/// Entries of the smallest table.
const ENTRIES_MIN: usize = 16;

/// Slots by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    entries: Vec<u64>,
    used: usize,
}

impl Index {
    /// How many ids it holds.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.entries.len() * size_of::<u64>()
    }

    /// All slots, in no order.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries.iter().filter(|entry| **entry != 0).map(|entry| *entry as u32)
    }

    /// Touches where an id's entry is or would be.
    pub fn touch(&self, id: Id) -> u64 {
        let tag = tag_of(id);
        self.entries.get(self.home(tag)).copied().unwrap_or(0)
    }

    /// The slot of `id`, by its low bits; `is_it` tells whether a slot with the same tag is meant.
    pub fn find(&self, id: Id, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.place(tag_of(id), is_it).map(|(_, slot)| slot)
    }

    /// Enters `id` at `slot`, in place of the one that `is_it` says is the id's older slot.
    pub fn enter(&mut self, id: Id, slot: u32, is_it: impl Fn(u32) -> bool) {
        let tag = tag_of(id);
        if let Some((at, _)) = self.place(tag, is_it) {
            self.set(at, entry(tag, slot));
            return;
        }
        if (self.used + 1) * 2 > self.entries.len() {
            self.grow();
        }
        self.put(entry(tag, slot));
        self.used += 1;
    }

    /// Removes `id` if it is at `slot`.
    pub fn remove(&mut self, id: Id, slot: u32) {
        let Some((mut hole, _)) = self.place(tag_of(id), |found| found == slot) else { return };
        let mask = self.mask();
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let next = self.get(at);
            if next == 0 {
                break;
            }
            // What lies behind moves up, unless that would bring it before its home.
            let from_home = at.wrapping_sub(self.home(tag_in(next))) & mask;
            if from_home >= at.wrapping_sub(hole) & mask {
                self.set(hole, next);
                hole = at;
            }
        }
        self.set(hole, 0);
        self.used -= 1;
    }

    fn place(&self, tag: u32, is_it: impl Fn(u32) -> bool) -> Option<(usize, u32)> {
        let mut at = self.home(tag);
        loop {
            let found = self.get(at);
            if found == 0 {
                return None;
            }
            if tag_in(found) == tag && is_it(found as u32) {
                return Some((at, found as u32));
            }
            at = (at + 1) & self.mask();
        }
    }

    /// Puts an entry into the first empty place from its home on; there always is one.
    fn put(&mut self, entry: u64) {
        let mut at = self.home(tag_in(entry));
        while self.get(at) != 0 {
            at = (at + 1) & self.mask();
        }
        self.set(at, entry);
    }

    fn grow(&mut self) {
        let size = (self.entries.len() * 2).max(ENTRIES_MIN);
        let old = std::mem::replace(&mut self.entries, vec![0; size]);
        old.into_iter().filter(|entry| *entry != 0).for_each(|entry| self.put(entry));
    }

    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1)
    }

    /// The last bit of a tag is always set and tells nothing.
    fn home(&self, tag: u32) -> usize {
        (tag >> 1) as usize & self.mask()
    }

    fn get(&self, at: usize) -> u64 {
        self.entries.get(at).copied().unwrap_or(0)
    }

    fn set(&mut self, at: usize, entry: u64) {
        if let Some(place) = self.entries.get_mut(at) {
            *place = entry;
        }
    }
}

fn tag_of(id: Id) -> u32 {
    id as u32 | 1
}

fn tag_in(entry: u64) -> u32 {
    (entry >> 32) as u32
}

fn entry(tag: u32, slot: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_agrees_with_a_map_whatever_is_entered_and_removed_also_where_ids_crowd() {
        for crowd in [1u128, 7, 1 << 20] {
            let mut random = 5u64;
            let mut next = move |bound: u64| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 33) % bound
            };
            let mut index = Index::default();
            let mut map: BTreeMap<Id, u32> = BTreeMap::new();
            let mut ids: Vec<Id> = Vec::new(); // by slot
            for turn in 0..60_000u32 {
                // Ids that differ in high bits only have one tag and one home.
                let id = (u128::from(next(400)) % crowd) | (u128::from(next(3)) << 64);
                if next(3) > 0 {
                    ids.push(id);
                    let slot = ids.len() as u32 - 1;
                    index.enter(id, slot, |low| ids[low as usize] == id);
                    map.insert(id, slot);
                } else if let Some(slot) = map.remove(&id) {
                    index.remove(id, slot);
                }
                assert_eq!(index.len(), map.len(), "turn {turn}");
                let found = index.find(id, |low| ids[low as usize] == id);
                assert_eq!(found, map.get(&id).copied(), "turn {turn}");
            }
            for (id, slot) in &map {
                assert_eq!(index.find(*id, |low| ids[low as usize] == *id), Some(*slot));
            }
            assert_eq!(index.slots().count(), map.len());
        }
    }
}
