//! The dedup window of an edge: which ids have passed, bounded by event time and by count.
//!
//! Every id that passes takes the next slot; the count bound counts slots, in row order, and
//! eviction is never undone. Old slots lie in immutable segments that a snapshot shares instead of
//! copying. Lookups judge both bounds afresh, so when memory is given back never shows.

use crate::identity::Id;
use crate::index::Index;
use crate::mutant::{Mutant, planted};
use crate::record::{NO_TIME, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// Slots of one segment: about 400 KB, small enough to write, large enough to be few.
pub const SEGMENT_SLOTS: usize = 1 << 14;

/// The event time of a slot whose id was withdrawn.
const WITHDRAWN: Timestamp = Timestamp::MIN + 1;

/// Consecutive slots: ids and their event times. Immutable once sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    first: u64,
    newest: Timestamp,
    ids: Vec<Id>,
    times: Vec<Timestamp>,
}

/// What a window knows of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Not in the window.
    New,
    /// In the window and decided: the record is a duplicate.
    Seen,
    /// Entered in the call that is being put together: nobody knows yet whether it stays.
    Undecided,
}

/// The dedup window of one edge.
#[derive(Clone, Debug)]
pub struct Window {
    ids_max: u64,
    next: u64,
    decided: u64,
    sealed: VecDeque<Arc<Segment>>,
    open: Segment,
    /// Slots by id; a slot is kept as its low 32 bits, which the count bound makes unambiguous.
    index: Index,
}

/// A window as a checkpoint holds it: the open slots by value, sealed segments by reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSnapshot {
    /// The slots that are not sealed yet.
    pub open: Vec<u8>,
    /// Sealed segments, oldest first.
    pub sealed: Vec<Arc<Segment>>,
}

impl Window {
    /// An empty window for at most `ids_max` ids (at most 2^31).
    pub fn new(ids_max: u64) -> Self {
        Self {
            ids_max: ids_max.clamp(1, 1 << 31),
            next: 0,
            decided: 0,
            sealed: VecDeque::new(),
            open: Segment::starting(0),
            index: Index::default(),
        }
    }

    /// From here on ids that enter are undecided until the next call begins.
    pub fn begin_call(&mut self) {
        self.decided = self.next;
    }

    /// Touches what looking for these ids, and entering them, will need. Changes nothing: many
    /// look-ups side by side wait for memory together, one after the other each waits alone.
    pub fn warm(&self, ids: &[Id]) {
        let met = ids.iter().fold(0, |met, id| met ^ self.index.touch(*id));
        std::hint::black_box(met);
    }

    /// Whether `id` is in the window. `horizon` is the event time below which ids are forgotten.
    pub fn look(&self, id: Id, horizon: Timestamp) -> Sight {
        let Some(slot) = self.find(id) else { return Sight::New };
        if slot < self.bound() || self.time(slot) < horizon {
            return Sight::New;
        }
        if slot >= self.decided { Sight::Undecided } else { Sight::Seen }
    }

    /// Whether the next id pushes one out that is undecided. Where calls end must not show in what
    /// was pushed out early, so a new call has to begin first.
    pub fn is_crowded(&self) -> bool {
        self.next.checked_sub(self.ids_max).is_some_and(|leaving| leaving >= self.decided)
    }

    /// Gives `id` the next slot. True if the count bound pushed out an id before its time.
    pub fn enter(&mut self, id: Id, time: Timestamp, horizon: Timestamp) -> bool {
        if planted(Mutant::CountByIds) {
            self.evict_by_ids();
        }
        let early = self.forgets_early(horizon);
        let slot = self.next;
        self.open.push(id, time.max(WITHDRAWN + 1));
        self.next += 1;
        self.place(id, slot);
        early
    }

    /// Enters `slot` into the index. An older slot of the id is outside the bounds.
    fn place(&mut self, id: Id, slot: u64) {
        let Self { index, sealed, open, .. } = self;
        let first = sealed.front().map_or(open.first, |segment| segment.first);
        index.enter(id, slot as u32, |low| id_at(sealed, open, whole(first, low)) == id);
    }

    /// Whether the id of the slot that the next one pushes out of the count bound was still to be
    /// remembered. An id that has a newer slot was forgotten by time before it got that.
    fn forgets_early(&self, horizon: Timestamp) -> bool {
        let Some(slot) = self.next.checked_sub(self.ids_max).filter(|s| *s >= self.first()) else {
            return false;
        };
        let time = self.time(slot);
        time != WITHDRAWN && time >= horizon
    }

    /// Takes an id out again that the operator refused. Its slot stays empty.
    pub fn withdraw(&mut self, id: Id) {
        let Some(slot) = self.find(id) else { return };
        if slot < self.open.first {
            return; // decided long ago; only ids of the current call can be refused
        }
        if let Some(time) = self.open.times.get_mut((slot - self.open.first) as usize) {
            *time = WITHDRAWN;
        }
        self.index.remove(id, slot as u32);
    }

    /// Gives the slot of an id of the current call to another id.
    pub fn rename(&mut self, id: Id, other: Id) {
        let Some(slot) = self.find(id).filter(|slot| *slot >= self.open.first) else { return };
        self.index.remove(id, slot as u32);
        if let Some(place) = self.open.ids.get_mut((slot - self.open.first) as usize) {
            *place = other;
        }
        self.place(other, slot);
    }

    /// Between two roots: seals full segments and gives back what lies outside the bounds.
    pub fn settle(&mut self, horizon: Timestamp) {
        while self.open.ids.len() >= SEGMENT_SLOTS {
            let rest = self.open.split_off(SEGMENT_SLOTS);
            self.sealed.push_back(Arc::new(std::mem::replace(&mut self.open, rest)));
        }
        let bound = self.bound();
        while let Some(segment) = self.sealed.front() {
            if segment.end() > bound && segment.newest >= horizon {
                break;
            }
            let gone = Arc::clone(segment);
            for (offset, id) in gone.ids.iter().enumerate() {
                self.index.remove(*id, (gone.first + offset as u64) as u32);
            }
            self.sealed.pop_front();
        }
    }

    /// Whether this is its bound on ids.
    pub fn has_bound(&self, ids_max: u64) -> bool {
        self.ids_max == ids_max.clamp(1, 1 << 31)
    }

    /// Ids in memory, those outside the bounds that are not yet given back included.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no id is in memory.
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let slots = self.sealed.len() * SEGMENT_SLOTS + self.open.ids.capacity();
        slots * 24 + self.index.bytes()
    }

    /// The window for a checkpoint. Copies the open slots only.
    pub fn snapshot(&self) -> WindowSnapshot {
        WindowSnapshot { open: self.open.to_bytes(), sealed: self.sealed.iter().cloned().collect() }
    }

    /// The window from a checkpoint. `None` if the pieces do not belong together.
    pub fn restore(ids_max: u64, snapshot: &WindowSnapshot) -> Option<Self> {
        let mut window = Self::new(ids_max);
        window.open = Segment::from_bytes(&snapshot.open)?;
        window.sealed = snapshot.sealed.iter().cloned().collect();
        let mut due = window.first();
        for segment in window.sealed.iter().map(Arc::as_ref).chain([&window.open]) {
            if segment.first != due {
                return None;
            }
            due = segment.end();
        }
        window.next = due;
        window.decided = due;
        for slot in window.first().max(window.bound())..due {
            window.index_slot(slot);
        }
        Some(window)
    }

    /// A bug to plant: makes room for one id by counting ids that are in the window.
    fn evict_by_ids(&mut self) {
        while self.index.len() as u64 >= self.ids_max {
            let Some(oldest) = self.index.slots().min() else { return };
            self.withdraw(self.id(u64::from(oldest)));
        }
    }

    fn index_slot(&mut self, slot: u64) {
        if self.time(slot) == WITHDRAWN {
            return;
        }
        self.place(self.id(slot), slot);
    }

    fn first(&self) -> u64 {
        self.sealed.front().map_or(self.open.first, |segment| segment.first)
    }

    /// Slots below are outside the count bound.
    fn bound(&self) -> u64 {
        if planted(Mutant::CountByIds) {
            return 0;
        }
        self.next.saturating_sub(self.ids_max)
    }

    fn id(&self, slot: u64) -> Id {
        id_at(&self.sealed, &self.open, slot)
    }

    fn time(&self, slot: u64) -> Timestamp {
        let (segment, offset) = locate(&self.sealed, &self.open, slot);
        segment.times.get(offset).copied().unwrap_or(NO_TIME)
    }

    fn find(&self, id: Id) -> Option<u64> {
        let first = self.first();
        let is_it = |low| id_at(&self.sealed, &self.open, whole(first, low)) == id;
        self.index.find(id, is_it).map(|low| whole(first, low))
    }
}

/// The slot whose low bits are `low`, given that it is not below `first`.
fn whole(first: u64, low: u32) -> u64 {
    first + u64::from(low.wrapping_sub(first as u32))
}

fn locate<'a>(
    sealed: &'a VecDeque<Arc<Segment>>,
    open: &'a Segment,
    slot: u64,
) -> (&'a Segment, usize) {
    if slot >= open.first {
        return (open, (slot - open.first) as usize);
    }
    let first = sealed.front().map_or(open.first, |segment| segment.first);
    let offset = (slot - first) as usize;
    match sealed.get(offset / SEGMENT_SLOTS) {
        Some(segment) => (segment, offset % SEGMENT_SLOTS),
        None => (open, usize::MAX),
    }
}

fn id_at(sealed: &VecDeque<Arc<Segment>>, open: &Segment, slot: u64) -> Id {
    let (segment, offset) = locate(sealed, open, slot);
    segment.ids.get(offset).copied().unwrap_or_default()
}

impl Segment {
    fn starting(first: u64) -> Self {
        Self { first, newest: NO_TIME, ids: Vec::new(), times: Vec::new() }
    }

    /// Its first slot: the number under which it is stored.
    pub fn first(&self) -> u64 {
        self.first
    }

    fn end(&self) -> u64 {
        self.first + self.ids.len() as u64
    }

    fn push(&mut self, id: Id, time: Timestamp) {
        self.ids.push(id);
        self.times.push(time);
        self.newest = self.newest.max(time);
    }

    fn split_off(&mut self, slots: usize) -> Segment {
        let mut rest = Segment::starting(self.first + slots as u64);
        rest.ids = self.ids.split_off(slots);
        rest.times = self.times.split_off(slots);
        rest.newest = rest.times.iter().copied().max().unwrap_or(NO_TIME);
        self.newest = self.times.iter().copied().max().unwrap_or(NO_TIME);
        rest
    }

    /// Layout, little-endian: first slot (8), number of slots (8), ids (16 each), event times (8
    /// each).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.ids.len() * 24);
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&(self.ids.len() as u64).to_le_bytes());
        self.ids.iter().for_each(|id| bytes.extend_from_slice(&id.to_le_bytes()));
        self.times.iter().for_each(|time| bytes.extend_from_slice(&time.to_le_bytes()));
        bytes
    }

    /// Reads what `to_bytes` wrote. `None` if it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<8>()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        if rest.len() != count.checked_mul(24)? {
            return None;
        }
        let (ids, times) = rest.split_at(count * 16);
        let mut segment = Segment::starting(u64::from_le_bytes(*first));
        segment.first.checked_add(count as u64)?;
        for (id, time) in ids.chunks_exact(16).zip(times.chunks_exact(8)) {
            let id = Id::from_le_bytes(id.try_into().ok()?);
            segment.push(id, Timestamp::from_le_bytes(time.try_into().ok()?));
        }
        Some(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The rules told naively: a map that is searched through.
    struct Naive {
        ids: BTreeMap<Id, (u64, Timestamp)>,
        next: u64,
        max: u64,
    }

    impl Naive {
        fn seen(&self, id: Id, horizon: Timestamp) -> bool {
            let bound = self.next.saturating_sub(self.max);
            self.ids.get(&id).is_some_and(|(slot, time)| *slot >= bound && *time >= horizon)
        }
    }

    fn next(seed: &mut u64) -> u64 {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    }

    #[test]
    fn a_window_agrees_with_the_rules_told_naively_over_segments_and_restarts() {
        for (seed, max) in [(1, 10), (2, 1000), (3, SEGMENT_SLOTS as u64 * 2), (4, 1 << 40)] {
            let mut random = seed;
            let mut window = Window::new(max);
            let mut naive = Naive { ids: BTreeMap::new(), next: 0, max };
            let mut horizon = 0;
            for turn in 0..120_000u64 {
                if turn % 64 == 0 {
                    window.settle(horizon);
                    horizon += (next(&mut random) % 60) as i64;
                }
                if turn % 30_000 == 29_999 {
                    window.settle(horizon);
                    window = Window::restore(max, &window.snapshot()).unwrap();
                }
                window.begin_call();
                let id = hash(next(&mut random) % 60_000);
                let time = horizon + (next(&mut random) % 5_000) as i64;
                let seen = window.look(id, horizon) == Sight::Seen;
                assert_eq!(seen, naive.seen(id, horizon), "seed {seed} turn {turn}");
                if seen {
                    continue;
                }
                window.enter(id, time, horizon);
                naive.ids.insert(id, (naive.next, time));
                naive.next += 1;
                if next(&mut random).is_multiple_of(10) {
                    window.withdraw(id);
                    naive.ids.remove(&id);
                }
            }
        }
    }

    fn hash(number: u64) -> Id {
        crate::identity::hash(&number.to_le_bytes())
    }

    #[test]
    fn an_id_of_the_current_call_is_undecided_and_a_withdrawn_one_is_new() {
        let mut window = Window::new(10);
        window.begin_call();
        window.enter(1, 5, 0);
        assert_eq!(window.look(1, 0), Sight::Undecided);
        window.begin_call();
        assert_eq!(window.look(1, 0), Sight::Seen);
        assert_eq!(window.look(1, 6), Sight::New);
        window.withdraw(1);
        assert_eq!(window.look(1, 0), Sight::New);
    }

    #[test]
    fn an_id_pushed_out_by_the_count_before_its_time_is_reported() {
        let mut window = Window::new(2);
        assert!(!window.enter(1, 5, 0));
        assert!(!window.enter(2, 5, 0));
        assert!(window.enter(3, 5, 0));
        window.withdraw(2);
        assert!(!window.enter(4, 5, 0), "a withdrawn id is not missed");
        assert!(!window.enter(5, 5, 6), "an id whose time is over is not missed");
    }

    #[test]
    fn a_million_ids_take_less_than_64_bytes_each() {
        let mut window = Window::new(1 << 20);
        for number in 0..3_000_000u64 {
            window.enter(hash(number), number as i64, 0);
            if number % 512 == 0 {
                window.settle(0);
            }
        }
        window.settle(0);
        assert!(window.len() >= 1 << 20);
        let each = window.bytes() as f64 / (1 << 20) as f64;
        assert!(each <= 64.0, "{each} bytes per id");
    }

    #[test]
    fn a_snapshot_shares_sealed_segments_and_damaged_ones_are_refused() {
        let mut window = Window::new(1 << 20);
        (0..SEGMENT_SLOTS as u64 * 2 + 5).for_each(|n| _ = window.enter(hash(n), 0, 0));
        window.settle(0);
        let snapshot = window.snapshot();
        assert_eq!(snapshot.sealed.len(), 2);
        assert!(Arc::ptr_eq(&snapshot.sealed[0], &window.sealed[0]));
        for length in 0..snapshot.open.len() {
            let mut bad = snapshot.clone();
            bad.open.truncate(length);
            assert!(Window::restore(1 << 20, &bad).is_none());
        }
        let mut gap = snapshot.clone();
        gap.sealed.remove(1);
        assert!(Window::restore(1 << 20, &gap).is_none());
    }
}
