//! Event-time windows per key, which fire in `advance`: tumbling and sliding.
//!
//! Each value is kept once, in its *pane*: the stretch of time between two window starts. A
//! tumbling window is one pane, a sliding one several. Windows fire ordered by start, then by key,
//! whatever the order of arrival. State: slot 0 holds sizes and the last window that fired, the
//! slots behind it the buckets of panes by key.

use crate::Wiring;
use crate::buckets::{Buckets, Key, Value};
use crate::state::{Single, State};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::Hash;

/// Sizes beyond this (100 years, in milliseconds) are a mistake.
const SIZE_MAX: u64 = 100 * 366 * 86_400_000;

/// A stretch of event time, milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Its first millisecond.
    pub start: i64,
    /// The first millisecond behind it.
    pub end: i64,
}

/// Windows that follow one another without a gap: each record is in one.
#[derive(Clone, Debug)]
pub struct Tumbling<K, V>(Panes<K, V>);

/// Windows of `size` that start every `slide` milliseconds: each record is in `size / slide`.
#[derive(Clone, Debug)]
pub struct Sliding<K, V>(Panes<K, V>);

impl<K: Key, V: Value> Tumbling<K, V> {
    /// Windows of `size` milliseconds that fire once the watermark is `lateness` milliseconds
    /// behind their end. (The host's `disorder` already waits for late records.)
    pub fn new(size: u64, lateness: u64) -> Result<Self, String> {
        Panes::new(size, size, lateness).map(Self)
    }

    /// Fires every window that is due: `fire(window, key, value)`, by start, then by key.
    pub fn fire(&mut self, watermark: i64, mut fire: impl FnMut(Window, &K, V)) {
        while let Some(window) = self.0.due(watermark) {
            self.0.fired(window);
            for (key, value) in self.0.take(window.start) {
                fire(window, &key, value);
            }
        }
    }
}

impl<K: Key, V: Value> Sliding<K, V> {
    /// Windows of `size` milliseconds, a multiple of `slide`, that fire once the watermark is
    /// `lateness` milliseconds behind their end.
    pub fn new(size: u64, slide: u64, lateness: u64) -> Result<Self, String> {
        Panes::new(size, slide, lateness).map(Self)
    }

    /// Fires every window that is due: `fire(window, key, panes)`, by start, then by key. The
    /// panes are what the window holds: (start, value) for each `slide` that has a value, in
    /// order of time.
    pub fn fire(&mut self, watermark: i64, mut fire: impl FnMut(Window, &K, &[(i64, V)])) {
        while let Some(window) = self.0.due(watermark) {
            self.0.fired(window);
            self.0.each(window, &mut fire);
            // Windows to come start behind this pane.
            self.0.take(window.start);
        }
    }
}

macro_rules! windows {
    ($windows:ident) => {
        impl<K: Key, V: Value> $windows<K, V> {
            /// The value of `key` that holds a record of this event time, to be changed; the
            /// default if there was none. A borrowed key is copied only then.
            pub fn at<Q>(&mut self, key: &Q, event_time: i64) -> &mut V
            where
                K: Borrow<Q>,
                Q: Ord + Hash + ToOwned<Owned = K> + ?Sized,
                V: Default,
            {
                self.0.at(key, event_time)
            }

            /// Declares what emissions need that bear the window's end as event time: `delay` is
            /// the lateness, `ahead` the size.
            pub fn wire(&self, wiring: Wiring) -> Wiring {
                wiring.delay(self.0.lateness as u64).ahead(self.0.size as u64)
            }

            /// How many keys have values that have not fired for the last time.
            pub fn len(&self) -> usize {
                self.0.panes.len()
            }

            /// Whether no key has.
            pub fn is_empty(&self) -> bool {
                self.0.panes.is_empty()
            }
        }

        impl<K: Key, V: Value> State for $windows<K, V> {
            fn slots(&self) -> u32 {
                1 + self.0.panes.slots()
            }

            fn chunks(&self, slot: u32) -> u32 {
                slot.checked_sub(1).map_or(1, |slot| self.0.panes.chunks(slot))
            }

            fn changed(&self, slot: u32) -> bool {
                match slot.checked_sub(1) {
                    None => self.0.reached.changed(0),
                    Some(slot) => self.0.panes.changed(slot),
                }
            }

            fn encode(&mut self, slot: u32, chunk: u32, out: &mut Vec<u8>) -> bool {
                match slot.checked_sub(1) {
                    None => self.0.reached.encode(0, chunk, out),
                    Some(slot) => self.0.panes.encode(slot, chunk, out),
                }
            }

            fn decode(&mut self, slot: u32, data: &[u8]) -> Result<(), String> {
                self.0.decode(slot, data)
            }

            fn settle(&mut self) {
                self.0.reached.settle();
                self.0.panes.settle();
            }
        }
    };
}
windows!(Tumbling);
windows!(Sliding);

/// How far windows of which sizes came.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Reached {
    size: i64,
    slide: i64,
    /// Start of the last window that fired.
    fired: Option<i64>,
}

#[derive(Clone, Debug)]
struct Panes<K, V> {
    size: i64,
    slide: i64,
    lateness: i64,
    reached: Single<Reached>,
    /// By key: its panes (start, value), by start.
    panes: Buckets<K, Vec<(i64, V)>>,
    /// The keys that have a pane of this start; made from `panes`.
    index: BTreeMap<i64, Vec<K>>,
}

impl<K: Key, V: Value> Panes<K, V> {
    fn new(size: u64, slide: u64, lateness: u64) -> Result<Self, String> {
        if size == 0 || slide == 0 || size > SIZE_MAX || lateness > SIZE_MAX {
            return Err(format!("window size and slide must be 1 to {SIZE_MAX} ms"));
        }
        if !size.is_multiple_of(slide) {
            return Err(format!("window size {size} ms must be a multiple of slide {slide} ms"));
        }
        let (size, slide, lateness) = (size as i64, slide as i64, lateness as i64);
        let reached = Single::new(Reached { size, slide, fired: None });
        Ok(Self { size, slide, lateness, reached, panes: Buckets::new(), index: BTreeMap::new() })
    }

    fn at<Q>(&mut self, key: &Q, event_time: i64) -> &mut V
    where
        K: Borrow<Q>,
        Q: Ord + Hash + ToOwned<Owned = K> + ?Sized,
        V: Default,
    {
        let start = event_time.saturating_sub(event_time.rem_euclid(self.slide));
        let panes = self.panes.get_or(key, Vec::new);
        // Most records belong to one of the newest panes.
        let behind = panes.iter().rev().take_while(|pane| pane.0 > start).count();
        let mut at = panes.len() - behind;
        if at > 0 && panes[at - 1].0 == start {
            at -= 1;
        } else {
            panes.insert(at, (start, V::default()));
            self.index.entry(start).or_default().push(key.to_owned());
        }
        &mut panes[at].1
    }

    /// The next window that the watermark lets fire.
    fn due(&mut self, watermark: i64) -> Option<Window> {
        loop {
            let first = *self.index.first_key_value()?.0;
            let earliest = first.saturating_sub(self.size - self.slide);
            let next = self.reached.fired.map(|fired| fired.saturating_add(self.slide));
            let start = next.map_or(earliest, |next| next.max(earliest));
            if start <= first {
                let end = start.saturating_add(self.size);
                let due = end.saturating_add(self.lateness) <= watermark;
                return due.then_some(Window { start, end });
            }
            // All its windows have fired: a record far behind the watermark, which the host
            // never shows.
            self.take(first);
        }
    }

    fn fired(&mut self, window: Window) {
        self.reached.edit().fired = Some(window.start);
    }

    fn each(&self, window: Window, fire: &mut impl FnMut(Window, &K, &[(i64, V)])) {
        let panes = self.index.range(window.start..window.end);
        let mut keys: Vec<&K> = panes.flat_map(|(_, keys)| keys).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let panes = self.panes.get(key).map_or(&[][..], Vec::as_slice);
            let from = panes.partition_point(|pane| pane.0 < window.start);
            let to = panes.partition_point(|pane| pane.0 < window.end);
            fire(window, key, panes.get(from..to).unwrap_or_default());
        }
    }

    /// Removes the panes of this start; by key.
    fn take(&mut self, start: i64) -> Vec<(K, V)> {
        let mut keys = self.index.remove(&start).unwrap_or_default();
        keys.sort_unstable();
        let mut taken = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(panes) = self.panes.get_mut(&key) else { continue };
            if let Some(at) = panes.iter().position(|pane| pane.0 == start) {
                let value = panes.remove(at).1;
                if panes.is_empty() {
                    self.panes.remove(&key);
                }
                taken.push((key, value));
            }
        }
        taken
    }

    fn decode(&mut self, slot: u32, data: &[u8]) -> Result<(), String> {
        let (size, slide, index) = (self.size, self.slide, &mut self.index);
        let Some(slot) = slot.checked_sub(1) else {
            self.reached.decode(0, data)?;
            let then = *self.reached;
            return match (then.size, then.slide) == (size, slide) {
                true => Ok(()),
                false => Err(format!(
                    "the state has windows of {} ms every {} ms, and {size} ms every {slide} ms \
                     are configured",
                    then.size, then.slide
                )),
            };
        };
        self.panes.decode_each(slot, data, |key, panes| {
            let ascend = panes.is_sorted_by(|one, next| one.0 < next.0);
            if panes.is_empty() || !ascend || panes.iter().any(|pane| pane.0 % slide != 0) {
                return Err("the state has a key with impossible windows".to_owned());
            }
            panes.iter().for_each(|pane| index.entry(pane.0).or_default().push(key.clone()));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Parts;
    use crate::testing::Random;

    fn snapshot(piece: &mut dyn State) -> Vec<Vec<u8>> {
        let (mut parts, mut all) = (Parts::new(), Vec::new());
        loop {
            let part = parts.snapshot(&mut [&mut *piece], all.len() as u32, true);
            all.extend(part.data);
            if !part.more {
                return all;
            }
        }
    }

    fn restore(piece: &mut dyn State, all: &[Vec<u8>]) -> Result<(), String> {
        let mut parts = Parts::new();
        all.iter().enumerate().try_for_each(|(index, part)| {
            parts.restore(&mut [&mut *piece], part, index + 1 < all.len())
        })
    }

    type Fired = (i64, i64, String, Vec<i64>);

    fn tumble(windows: &mut Tumbling<String, Vec<i64>>, watermark: i64) -> Vec<Fired> {
        let mut fired = Vec::new();
        windows.fire(watermark, |window, key, values| {
            fired.push((window.start, window.end, key.clone(), values));
        });
        fired
    }

    fn slide(windows: &mut Sliding<String, Vec<i64>>, watermark: i64) -> Vec<Fired> {
        let mut fired = Vec::new();
        windows.fire(watermark, |window, key, panes| {
            let values = panes.iter().flat_map(|pane| pane.1.clone()).collect();
            fired.push((window.start, window.end, key.clone(), values));
        });
        fired
    }

    #[test]
    fn tumbling_windows_fire_by_start_then_key_once_they_are_due() {
        let mut windows = Tumbling::<String, Vec<i64>>::new(10, 5).unwrap();
        for (key, time) in [("b", 12), ("b", -1), ("a", 19), ("b", 10), ("c", 20)] {
            windows.at(key, time).push(time);
        }
        assert_eq!(tumble(&mut windows, 4), []);
        let fired = tumble(&mut windows, 34);
        let key = |text: &str| text.to_owned();
        assert_eq!(
            fired,
            [
                (-10, 0, key("b"), vec![-1]),
                (10, 20, key("a"), vec![19]),
                (10, 20, key("b"), vec![12, 10]),
            ]
        );
        assert_eq!(tumble(&mut windows, 35), [(20, 30, key("c"), vec![20])]);
        assert!(windows.is_empty());
    }

    #[test]
    fn any_history_fires_what_a_plain_count_says_restored_in_between_or_not() {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let slide_by = [1, 5, 10][random.below(3)];
            let (size, lateness) = (slide_by * [1, 2, 4][random.below(3)], [0, 7][random.below(2)]);
            let make = || Sliding::new(size, slide_by, lateness).unwrap();
            let (mut windows, mut events, mut watermark) = (make(), Vec::new(), -50);
            let mut fired = Vec::new();
            for _ in 0..random.below(60) {
                if random.below(3) == 0 {
                    watermark += random.below(30) as i64;
                    fired.extend(slide(&mut windows, watermark));
                }
                let key = random.below(3).to_string();
                let time = watermark + random.below(40) as i64;
                windows.at(key.as_str(), time).push(time);
                events.push((key, time));
                if random.below(8) == 0 {
                    let parts = snapshot(&mut windows);
                    windows = make();
                    restore(&mut windows, &parts).unwrap();
                    assert_eq!(snapshot(&mut windows), parts, "seed {seed}");
                }
            }
            fired.extend(slide(&mut windows, 1_000_000));
            assert!(windows.is_empty(), "seed {seed}");
            let mut expected = Vec::new();
            for start in (-200..3000).filter(|time| time % slide_by as i64 == 0) {
                for key in ["0", "1", "2"] {
                    let end = start + size as i64;
                    let inside =
                        |event: &&(String, i64)| event.0 == key && (start..end).contains(&event.1);
                    let mut held: Vec<_> = events.iter().filter(inside).map(|e| e.1).collect();
                    // Panes come in order of time; within one, in order of arrival.
                    held.sort_by_key(|time| time.div_euclid(slide_by as i64));
                    if !held.is_empty() {
                        expected.push((start, end, key.to_owned(), held));
                    }
                }
            }
            assert_eq!(fired, expected, "seed {seed}");
        }
    }

    #[test]
    fn a_state_of_other_sizes_is_refused() {
        let mut windows = Tumbling::<String, u32>::new(10, 0).unwrap();
        *windows.at("a", 3) += 1;
        let parts = snapshot(&mut windows);
        let mut other = Tumbling::<String, u32>::new(20, 0).unwrap();
        let error = restore(&mut other, &parts).unwrap_err();
        assert!(error.contains("windows of 10 ms every 10 ms, and 20 ms"), "{error}");
    }

    #[test]
    fn impossible_sizes_are_refused_and_extreme_times_do_no_harm() {
        assert!(Tumbling::<String, u32>::new(0, 0).is_err());
        assert!(Sliding::<String, u32>::new(10, 3, 0).is_err());
        assert!(Tumbling::<String, u32>::new(u64::MAX, 0).is_err());
        let mut windows = Sliding::<String, u32>::new(1000, 100, 0).unwrap();
        for time in [i64::MIN, i64::MIN + 950, 0, i64::MAX] {
            *windows.at("a", time) += 1;
        }
        let mut fired = 0;
        windows.fire(i64::MAX, |_, _, _| fired += 1);
        assert!(fired >= 10 && windows.is_empty());
    }
}
