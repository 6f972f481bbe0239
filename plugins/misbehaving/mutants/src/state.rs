//! What is remembered, in five parts: counts of keys in four buckets, and the windows. With the
//! mistakes that can be made on the way out and back in.
//!
//! ```text
//! u32  entries
//! ...  for each: u32 length of the key, the key, i64 start (0 for counts), u64 count
//! ```

use crate::StatePart;
use crate::records::Windows;
use std::collections::{BTreeMap, HashMap};

/// Buckets of keys; the windows are the part behind them.
const BUCKETS: usize = 4;

/// How the mistake that knows null keys calls them.
pub const NULL_KEY: &[u8] = b"\0null";

/// All that an instance holds.
#[derive(Default)]
pub struct State {
    mutant: String,
    pub window_ms: i64,
    counts: [BTreeMap<Vec<u8>, u64>; BUCKETS],
    windows: Windows,
    /// Which parts changed since they were given last; all are new at first.
    unchanged: [bool; BUCKETS + 1],
    /// Parts taken up so far, and parts that were only laid aside.
    taken: usize,
    put_off: Vec<Vec<u8>>,
    /// What does not belong into the state of an honest one.
    pub calls: u64,
    pub forgotten: u64,
    pub leaked: Vec<Vec<u8>>,
    pub reached: Option<i64>,
    pub records_since_tick: u64,
    pub owes: bool,
    snapshots: u64,
}

impl State {
    pub fn configure(&mut self, mutant: String, window_ms: i64) {
        *self = Self { mutant, window_ms, ..Self::default() };
    }

    pub fn mutant(&self) -> &str {
        &self.mutant
    }

    pub fn is(&self, mutant: &str) -> bool {
        self.mutant == mutant
    }

    /// Counts a record of this key, and says how many there were.
    pub fn count(&mut self, key: &[u8]) -> u64 {
        self.records_since_tick += 1;
        let bucket = key.iter().fold(7_usize, |sum, byte| sum * 31 % 1009 + *byte as usize);
        let bucket = bucket % BUCKETS;
        let before = self.counts[bucket].contains_key(key);
        let count = self.counts[bucket].entry(key.to_vec()).or_default();
        *count += 1;
        let count = *count;
        // New keys are noticed, new counts of old ones are not.
        if !(self.is("change-unnoticed") && before) {
            self.unchanged[bucket] = false;
        }
        count
    }

    /// Counts all keys that there are.
    pub fn count_all(&mut self) {
        self.counts.iter_mut().flat_map(|bucket| bucket.values_mut()).for_each(|count| *count += 1);
        self.unchanged = Default::default();
    }

    /// Adds a record to its window.
    pub fn window(&mut self, key: &[u8], time: i64) {
        let start = time.div_euclid(self.window_ms).saturating_mul(self.window_ms);
        *self.windows.entry((start, key.to_vec())).or_default() += 1;
        self.unchanged[BUCKETS] = false;
    }

    /// The windows that end at or before the watermark; they are let go.
    pub fn due(&mut self, watermark: i64) -> Windows {
        let ended = |start: i64| start.saturating_add(self.window_ms) <= watermark;
        let (due, kept): (Windows, Windows) = std::mem::take(&mut self.windows)
            .into_iter()
            .partition(|((start, _), _)| ended(*start));
        self.windows = kept;
        if !due.is_empty() && !self.is("removal-unnoticed") {
            self.unchanged[BUCKETS] = false;
        }
        if self.is("windows-never-dropped") {
            // Closed, and kept for a look back that nobody takes.
            for ((start, key), count) in &due {
                let kept = [key.as_slice(), &start.to_le_bytes(), &[0; 100]].concat();
                self.counts[0].insert(kept, *count);
            }
            self.unchanged[0] = false;
        }
        due
    }

    /// All windows that are held.
    pub fn held(&self) -> Windows {
        self.windows.clone()
    }

    pub fn snapshot(&mut self, part: u32, full: bool) -> StatePart {
        let part = part as usize;
        match self.mutant.as_str() {
            "snapshot-traps" if part == 1 => panic!("there is but one part"),
            "snapshot-without-end" => return StatePart { data: Some(Vec::new()), more: true },
            "snapshot-too-large" => {
                return StatePart { data: Some(vec![0; 9 << 20]), more: false };
            }
            "snapshot-empties-windows" if part == BUCKETS => {
                let data = self.encode(part);
                self.windows.clear();
                return StatePart { data: Some(data), more: false };
            }
            "absent-before-given" => return StatePart { data: None, more: false },
            _ => {}
        }
        let filled = self.counts.iter().filter(|bucket| !bucket.is_empty()).count();
        if self.is("part-numbers-move") {
            return self.moving(part, full, filled);
        }
        let same = self.unchanged[part] && !full;
        self.unchanged[part] = true;
        let data = (!same).then(|| self.encode(part));
        StatePart { data, more: part < BUCKETS }
    }

    /// Empty buckets are left out, so that the others move up: known by bucket, given by number.
    fn moving(&mut self, part: usize, full: bool, filled: usize) -> StatePart {
        let buckets = (0..BUCKETS).filter(|bucket| !self.counts[*bucket].is_empty());
        let bucket = buckets.chain([BUCKETS]).nth(part).unwrap_or(BUCKETS);
        let same = self.unchanged[bucket] && !full;
        self.unchanged[bucket] = true;
        let data = (!same).then(|| self.encode(bucket));
        StatePart { data, more: part < filled }
    }

    fn encode(&mut self, part: usize) -> Vec<u8> {
        self.snapshots += 1;
        let entries: Windows = match self.counts.get(part) {
            Some(bucket) => bucket.iter().map(|(key, count)| ((0, key.clone()), *count)).collect(),
            None => self.windows.clone(),
        };
        let mut data = vec![part as u8];
        data.extend((entries.len() as u32).to_le_bytes());
        let nulls_are_lost = self.is("null-key-forgotten");
        let mut write = |key: &[u8], start: i64, count: u64| {
            let key = if nulls_are_lost && key == NULL_KEY { b"" } else { key };
            data.extend((key.len() as u32).to_le_bytes());
            data.extend(key);
            data.extend(start.to_le_bytes());
            data.extend(count.to_le_bytes());
        };
        match self.mutant.as_str() {
            "parts-in-hash-order" => {
                let unordered: HashMap<_, _> = entries.iter().collect();
                for ((start, key), count) in unordered {
                    write(key, *start, *count);
                }
            }
            _ => entries.iter().for_each(|((start, key), count)| write(key, *start, *count)),
        }
        if self.is("snapshots-numbered") {
            data.extend(self.snapshots.to_le_bytes());
        }
        data
    }

    /// Reads the parts that were laid aside when they came.
    pub fn read_what_was_put_off(&mut self) {
        for part in std::mem::take(&mut self.put_off) {
            self.restore_trusting(&part);
        }
    }

    pub fn restore(&mut self, data: &[u8], more: bool) -> Result<(), String> {
        if self.is("state-read-later") {
            self.put_off.push(data.to_vec());
            return Ok(());
        }
        if self.is("restore-traps-cut-short") {
            self.restore_trusting(data);
            return Ok(());
        }
        let part = self.taken;
        self.taken += 1;
        let mut rest = data;
        let [number] = take(&mut rest)?;
        let count = u32::from_le_bytes(take(&mut rest)?);
        if number as usize > BUCKETS || (!self.is("part-numbers-move") && number as usize != part) {
            return Err(format!("part {part} says that it is {number}"));
        }
        let mut entries = Windows::new();
        if self.is("restore-reserves-what-it-is-told") {
            let entries: Vec<[u64; 8]> = Vec::with_capacity(count as usize);
            std::hint::black_box(&entries);
        }
        for _ in 0..count {
            let length = u32::from_le_bytes(take(&mut rest)?) as usize;
            let (key, behind) = rest.split_at_checked(length).ok_or("a key is cut short")?;
            rest = behind;
            let start = i64::from_le_bytes(take(&mut rest)?);
            entries.insert((start, key.to_vec()), u64::from_le_bytes(take(&mut rest)?));
        }
        if !rest.is_empty() && !self.is("snapshots-numbered") {
            return Err(format!("{} bytes too many", rest.len()));
        }
        if more == (number as usize == BUCKETS) {
            return Err(format!("{} parts are expected", BUCKETS + 1));
        }
        self.take_up(number as usize, entries);
        Ok(())
    }

    fn take_up(&mut self, number: usize, entries: Windows) {
        match self.mutant.as_str() {
            "restore-forgets-a-part" if number == 2 => return,
            "restore-forgets-windows" if number == BUCKETS => return,
            _ => {}
        }
        match self.counts.get_mut(number) {
            Some(bucket) => {
                *bucket = entries.into_iter().map(|((_, key), count)| (key, count)).collect();
            }
            None => self.windows = entries,
        }
        self.unchanged[number] = true;
    }

    /// Reads what it wrote, and never anything else.
    fn restore_trusting(&mut self, data: &[u8]) {
        let number = data[0] as usize;
        let count = u32::from_le_bytes(data[1..5].try_into().expect("four bytes"));
        let (mut entries, mut at) = (Windows::new(), 5);
        for _ in 0..count {
            let length =
                u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes")) as usize;
            let key = data[at + 4..at + 4 + length].to_vec();
            at += 4 + length;
            let start = i64::from_le_bytes(data[at..at + 8].try_into().expect("eight bytes"));
            let count = u64::from_le_bytes(data[at + 8..at + 16].try_into().expect("eight bytes"));
            entries.insert((start, key), count);
            at += 16;
        }
        self.take_up(number.min(BUCKETS), entries);
    }
}

fn take<const N: usize>(data: &mut &[u8]) -> Result<[u8; N], String> {
    let (head, rest) = data.split_first_chunk().ok_or("the part is cut short")?;
    *data = rest;
    Ok(*head)
}
