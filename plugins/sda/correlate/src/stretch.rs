//! What a stretch of time holds, cell by cell: made for one search, from the panes that it touches.
//!
//! A counting sort: two passes over the copies, whatever their order.

use crate::store::{Pane, unpack};
use sda_domain::{Cell, Sample};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A copy as it lies in the store: number among the panes of a stretch, and in the pane.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub pane: u32,
    pub row: u32,
}

/// All that a stretch of time holds, cell by cell.
pub(crate) struct Stretch<'a> {
    panes: Vec<(i64, &'a Pane)>,
    /// Cells in ascending order, and where in `places` each one's copies end.
    cells: Vec<(u64, usize)>,
    places: Vec<Place>,
}

impl<'a> Stretch<'a> {
    pub(crate) fn new(panes: Vec<(i64, &'a Pane)>) -> Self {
        // Cells in order of appearance, how many copies each has, and each copy's cell.
        let mut numbers: HashMap<u64, u32, BuildHasherDefault<Mix>> = HashMap::default();
        let copies = panes.iter().map(|(_, pane)| pane.cells.len()).sum();
        let (mut counts, mut seen) = (Vec::new(), Vec::with_capacity(copies));
        for cell in panes.iter().flat_map(|(_, pane)| &pane.cells) {
            let number = *numbers.entry(*cell).or_insert(counts.len() as u32);
            match counts.get_mut(number as usize) {
                Some((_, count)) => *count += 1,
                None => counts.push((*cell, 1)),
            }
            seen.push(number);
        }
        // The order of a hash map shows nowhere: cells come in their own.
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_unstable_by_key(|number| counts[*number].0);
        let (mut next, mut cells, mut end) = (vec![0; counts.len()], Vec::new(), 0);
        for number in order {
            next[number] = end;
            end += counts[number].1;
            cells.push((counts[number].0, end));
        }
        let mut places = vec![Place { pane: 0, row: 0 }; end];
        let copies = (0..).zip(&panes);
        let copies =
            copies.flat_map(|(pane, (_, own))| own.copied.iter().map(move |row| (pane, *row)));
        for ((pane, row), number) in copies.zip(seen) {
            places[next[number as usize]] = Place { pane, row };
            next[number as usize] += 1;
        }
        Self { panes, cells, places }
    }

    /// Each cell with its copies.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (Cell, &[Place])> {
        let mut start = 0;
        self.cells.iter().map(move |(cell, end)| {
            let places = &self.places[start..*end];
            start = *end;
            (unpack(*cell), places)
        })
    }

    /// Object and time of a copy.
    pub(crate) fn key(&self, place: Place) -> (u32, i64) {
        let (number, pane) = self.panes[place.pane as usize];
        pane.rows[place.row as usize].key(number)
    }

    /// The numbers of a copy.
    pub(crate) fn sample(&self, place: Place) -> Sample {
        let (number, pane) = self.panes[place.pane as usize];
        pane.rows[place.row as usize].sample(number)
    }

    /// Id and origin of a copy.
    pub(crate) fn texts(&self, place: Place) -> (String, String) {
        let (texts, row) = (&self.panes[place.pane as usize].1.texts, place.row as usize);
        (texts.id(row).to_owned(), texts.origin(row))
    }
}

/// Spreads packed cells over a hash map: much cheaper than what withstands chosen keys, which could
/// only make a search slower.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
