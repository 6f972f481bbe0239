//! What `correlate` holds: every observation once, by time, with the cells that it was copied to.
//!
//! Time is cut into panes of four seconds, and panes lie in a ring of slots, each a part of the
//! state. A pane older than the watermark never changes again, so a snapshot costs what came since
//! the last one. Nothing here is kept per object or per cell, and an observation costs 48 bytes for
//! its numbers, its id, a few bytes of its origin, and twelve for each cell. Velocities and sigmas
//! are kept in single precision: what is measured is not known to a millimetre per second.
//!
//! A chunk of a slot is laid out as follows, little-endian, repeated to its end:
//! ```text
//! i64  number of the pane
//! u8   origins of the pane so far, each: u16 bytes, the text
//! u32  observations, each:
//!        u32 object_id, u32 nanoseconds from the start of the pane
//!        f64[3] position_km, f32[3] velocity_km_s, f32 sigma_km
//!        u16 bytes of its texts, the texts (id and origin)
//!        u8  cells, each: u64
//! ```

use crate::stretch::Stretch;
use crate::texts::Texts;
use pawl_sdk::{CHUNK_BYTES, State};
use sda_domain::time::{MILLISECOND_NS, SECOND_NS};
use sda_domain::vector::Vector;
use sda_domain::{Cell, Observation, Sample};
use std::collections::BTreeMap;

/// Length of a pane; its nanoseconds fit into 32 bits.
pub(crate) const PANE_NS: i64 = 4 * SECOND_NS;

const PANE_MS: i64 = PANE_NS / MILLISECOND_NS;

/// How many parts the state is cut into.
const SLOTS: u32 = 64;

/// Cells of one observation at most; more than that make a second one of it.
const CELLS_MAX: usize = 255;

/// An observation without texts and cells, as it is written.
const ROW_BYTES_MIN: usize = 51;

/// Observations by pane.
pub(crate) struct Store {
    slots: Vec<Slot>,
}

#[derive(Default)]
struct Slot {
    panes: BTreeMap<i64, Pane>,
    changed: bool,
    /// Where the chunks behind the first begin (pane and observation), as last written or read.
    cuts: Vec<(i64, usize)>,
}

/// The numbers of an observation, as they are kept.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Row {
    object_id: u32,
    /// Nanoseconds from the start of the pane.
    offset_ns: u32,
    position_km: Vector,
    velocity_km_s: [f32; 3],
    sigma_km: f32,
}

impl Row {
    fn new(sample: &Sample) -> Self {
        Self {
            object_id: sample.object_id,
            offset_ns: sample.time_ns.rem_euclid(PANE_NS) as u32,
            position_km: sample.position_km,
            velocity_km_s: sample.velocity_km_s.map(|part| part as f32),
            // Weights go by its square: no sensor is better than a micrometre, and one that said
            // so would leave nothing of all others.
            sigma_km: (sample.sigma_km as f32).clamp(1e-9, 1e9),
        }
    }

    /// Object and time.
    pub(crate) fn key(&self, pane: i64) -> (u32, i64) {
        (self.object_id, pane * PANE_NS + i64::from(self.offset_ns))
    }

    pub(crate) fn sample(&self, pane: i64) -> Sample {
        Sample {
            object_id: self.object_id,
            time_ns: pane * PANE_NS + i64::from(self.offset_ns),
            position_km: self.position_km,
            velocity_km_s: self.velocity_km_s.map(f64::from),
            sigma_km: f64::from(self.sigma_km),
        }
    }
}

/// The observations of four seconds, in order of arrival.
#[derive(Default)]
pub(crate) struct Pane {
    pub rows: Vec<Row>,
    pub texts: Texts,
    /// Copies: the cell, and which observation, ascending.
    pub cells: Vec<u64>,
    pub copied: Vec<u32>,
    sealed: bool,
}

/// A cell as a number, in the order of cells; none for one that no grid makes.
pub(crate) fn pack(cell: Cell) -> Option<u64> {
    let mut packed = u64::from(u16::try_from(cell.edge_km).ok()?);
    for index in cell.index {
        let index = i16::try_from(index).ok()?;
        packed = packed << 16 | u64::from((index as u16) ^ 0x8000);
    }
    Some(packed)
}

/// The cell that `pack` made a number of.
pub(crate) fn unpack(packed: u64) -> Cell {
    let index = [32, 16, 0].map(|shift| i32::from(((packed >> shift) as u16 ^ 0x8000) as i16));
    Cell { edge_km: (packed >> 48) as u32, index }
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Slot::default()).collect() }
    }

    /// Adds a copy of an observation.
    pub(crate) fn add(&mut self, cell: u64, observation: &Observation<'_>) {
        let number = observation.sample.time_ns.div_euclid(PANE_NS);
        let slot = &mut self.slots[slot_of(number)];
        slot.changed = true;
        slot.panes.entry(number).or_default().add(cell, observation);
    }

    /// When the oldest pane begins.
    pub(crate) fn oldest_ms(&self) -> Option<i64> {
        let firsts = self.slots.iter().filter_map(|slot| slot.panes.keys().next());
        firsts.min().map(|number| number * PANE_MS)
    }

    /// Removes the panes that end before a time.
    pub(crate) fn drop_before(&mut self, time_ms: i64) {
        for slot in &mut self.slots {
            while slot
                .panes
                .first_key_value()
                .is_some_and(|(pane, _)| (pane + 1) * PANE_MS <= time_ms)
            {
                slot.panes.pop_first();
                slot.changed = true;
            }
        }
    }

    /// Gives back the room to grow of panes that end before a time: nothing comes to them any more.
    pub(crate) fn seal_before(&mut self, time_ms: i64) {
        let panes = self.slots.iter_mut().flat_map(|slot| &mut slot.panes);
        for (number, pane) in panes {
            if (number + 1) * PANE_MS <= time_ms && !pane.sealed {
                pane.sealed = true;
                pane.rows.shrink_to_fit();
                pane.cells.shrink_to_fit();
                pane.copied.shrink_to_fit();
                pane.texts.shrink_to_fit();
            }
        }
    }

    /// What lies in the panes that touch a stretch of time.
    pub(crate) fn stretch(&self, from_ms: i64, to_ms: i64) -> Stretch<'_> {
        let (first, last) = (from_ms.div_euclid(PANE_MS), to_ms.div_euclid(PANE_MS));
        let touched = self.slots.iter().flat_map(|slot| slot.panes.range(first..=last));
        let mut panes: Vec<(i64, &Pane)> = touched.map(|(number, pane)| (*number, pane)).collect();
        panes.sort_unstable_by_key(|(number, _)| *number);
        Stretch::new(panes)
    }
}

fn slot_of(number: i64) -> usize {
    number.rem_euclid(i64::from(SLOTS)) as usize
}

/// Makes room by a quarter, not by doubling: many panes grow at the same time.
pub(crate) fn grow<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(64));
    }
}

impl Pane {
    fn add(&mut self, cell: u64, observation: &Observation<'_>) {
        // Copies of one observation mostly come one behind the other: it is kept once.
        let row = Row::new(&observation.sample);
        let last = self.rows.len().wrapping_sub(1);
        let same = self.rows.last() == Some(&row)
            && self.texts.id(last) == observation.id
            && self.copies_of_last() < CELLS_MAX;
        if !same {
            grow(&mut self.rows);
            self.rows.push(row);
            self.texts.push(observation.id, observation.origin);
        }
        grow(&mut self.cells);
        self.cells.push(cell);
        grow(&mut self.copied);
        self.copied.push(self.rows.len() as u32 - 1);
    }

    fn copies_of_last(&self) -> usize {
        let last = self.copied.last();
        self.copied.iter().rev().take_while(|row| Some(*row) == last).count()
    }
}

impl State for Store {
    fn slots(&self) -> u32 {
        SLOTS
    }

    fn chunks(&self, slot: u32) -> u32 {
        self.slots[slot as usize].cuts.len() as u32 + 1
    }

    fn changed(&self, slot: u32) -> bool {
        self.slots[slot as usize].changed
    }

    fn encode(&mut self, slot: u32, chunk: u32, out: &mut Vec<u8>) -> bool {
        let Slot { panes, cuts, .. } = &mut self.slots[slot as usize];
        let start = match chunk.checked_sub(1) {
            None => (i64::MIN, 0),
            Some(cut) => match cuts.get(cut as usize) {
                Some(start) => *start,
                None => return false,
            },
        };
        cuts.truncate(chunk as usize);
        let bytes_max = out.len() + CHUNK_BYTES;
        for (number, pane) in panes.range(start.0..) {
            let first = if *number == start.0 { start.1 } else { 0 };
            if out.len() >= bytes_max {
                cuts.push((*number, first));
                return true;
            }
            let next = pane.encode(*number, first, bytes_max, out);
            if next < pane.rows.len() {
                cuts.push((*number, next));
                return true;
            }
        }
        false
    }

    fn decode(&mut self, slot: u32, mut data: &[u8]) -> Result<(), String> {
        let index = slot;
        let slot = self.slots.get_mut(index as usize).ok_or("the state has too many slots")?;
        let mut begun = !slot.panes.is_empty();
        while !data.is_empty() {
            let number = i64::from_le_bytes(take(&mut data)?);
            if slot_of(number) != index as usize || number.checked_mul(2 * PANE_NS).is_none() {
                return Err("the state has a pane in the wrong place".to_owned());
            }
            let pane = slot.panes.entry(number).or_default();
            if std::mem::take(&mut begun) {
                slot.cuts.push((number, pane.rows.len()));
            }
            pane.decode(&mut data)?;
        }
        Ok(())
    }

    fn settle(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.changed = false);
    }
}

impl Pane {
    /// Writes observations from `first` on until `out` has so many bytes; says which is next.
    fn encode(&self, number: i64, first: usize, bytes_max: usize, out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(&number.to_le_bytes());
        self.texts.encode_origins(out);
        let head = out.len();
        out.extend_from_slice(&[0; 4]);
        let mut copies = self.copied.partition_point(|copied| (*copied as usize) < first);
        let mut next = first;
        while next < self.rows.len() && (next == first || out.len() < bytes_max) {
            let Row { object_id, offset_ns, position_km, velocity_km_s, sigma_km } =
                self.rows[next];
            out.extend_from_slice(&object_id.to_le_bytes());
            out.extend_from_slice(&offset_ns.to_le_bytes());
            position_km.iter().for_each(|part| out.extend_from_slice(&part.to_le_bytes()));
            velocity_km_s.iter().for_each(|part| out.extend_from_slice(&part.to_le_bytes()));
            out.extend_from_slice(&sigma_km.to_le_bytes());
            let texts = self.texts.bytes(next);
            out.extend_from_slice(&(texts.len() as u16).to_le_bytes());
            out.extend_from_slice(texts);
            let count = self.copied[copies..].iter().take_while(|row| **row as usize == next);
            let end = copies + count.count();
            out.push((end - copies) as u8);
            for cell in &self.cells[copies..end] {
                out.extend_from_slice(&cell.to_le_bytes());
            }
            (copies, next) = (end, next + 1);
        }
        out[head..head + 4].copy_from_slice(&((next - first) as u32).to_le_bytes());
        next
    }

    fn decode(&mut self, data: &mut &[u8]) -> Result<(), String> {
        self.texts.decode_origins(data)?;
        let rows = u32::from_le_bytes(take(data)?);
        // Room for all of them at once, if that many can be there at all.
        self.rows.reserve_exact((rows as usize).min(data.len() / ROW_BYTES_MIN));
        for _ in 0..rows {
            let mut row = Row {
                object_id: u32::from_le_bytes(take(data)?),
                offset_ns: u32::from_le_bytes(take(data)?),
                position_km: [0.0; 3],
                velocity_km_s: [0.0; 3],
                sigma_km: 0.0,
            };
            for part in &mut row.position_km {
                *part = f64::from_le_bytes(take(data)?);
            }
            for part in row.velocity_km_s.iter_mut().chain([&mut row.sigma_km]) {
                *part = f32::from_le_bytes(take(data)?);
            }
            self.rows.push(row);
            let bytes = usize::from(u16::from_le_bytes(take(data)?));
            self.texts.push_bytes(data.split_off(..bytes).ok_or("the state is cut short")?)?;
            let [cells] = take(data)?;
            for _ in 0..cells {
                grow(&mut self.cells);
                self.cells.push(u64::from_le_bytes(take(data)?));
                grow(&mut self.copied);
                self.copied.push(self.rows.len() as u32 - 1);
            }
        }
        Ok(())
    }
}

/// The next bytes of the state.
pub(crate) fn take<const N: usize>(data: &mut &[u8]) -> Result<[u8; N], String> {
    let (head, rest) = data.split_first_chunk().ok_or("the state is cut short")?;
    *data = rest;
    Ok(*head)
}

#[cfg(test)]
mod tests;
