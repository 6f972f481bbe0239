//! The event time of an edge that makes a watermark: how far it has come, and who must agree
//! before it leaps. One wrong clock must not make the world late; a gap must not stop it.

use crate::identity::Id;
use crate::mutant::{Mutant, planted};
use crate::record::{NO_TIME, Timestamp};
use serde::{Deserialize, Serialize};

/// How an edge makes its watermark. All in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatermarkRules {
    /// How far behind the largest event time a record may come and not be late.
    pub disorder: i64,
    /// The watermark is rounded down to a multiple of this.
    pub step: i64,
    /// A record further ahead than this needs others that agree.
    pub jump_max: i64,
    /// How many records with different ids, of as many keys as there are, must agree.
    pub agree: usize,
}

impl Default for WatermarkRules {
    fn default() -> Self {
        Self { disorder: 0, step: 100, jump_max: 3_600_000, agree: 3 }
    }
}

/// A record whose event time lies too far ahead to move time by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Waiting {
    time: Timestamp,
    id: Id,
    key: Id,
    /// The largest time that comes within reach once `time` has: those of records that waited
    /// behind this one and for which there is no room.
    top: Timestamp,
    /// The largest event time when it came. It agrees with others only while that stands.
    since: Timestamp,
}

/// Records that wait, at most: more are strays, and of these the farthest goes.
const WAITING_MAX: usize = 64;

impl Waiting {
    /// Takes in a later one, if time that has come to this one reaches it.
    fn take_in(&mut self, later: &Waiting, jump_max: i64) -> bool {
        let reaches = later.time <= self.top.saturating_add(jump_max);
        if reaches {
            self.top = self.top.max(later.top);
        }
        reaches
    }
}

/// How far the event time of an edge has come. Part of every checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The largest event time that records brought, or `NO_TIME`.
    records: Timestamp,
    /// The same, with windows closed on request counted in.
    largest: Timestamp,
    /// Ascending by time; a record once per id, at most `agree` of a key, the smallest.
    waiting: Vec<Waiting>,
    /// The first `agree` different keys seen: with fewer keys in the world fewer must agree.
    keys: Vec<Id>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { records: NO_TIME, largest: NO_TIME, waiting: Vec::new(), keys: Vec::new() }
    }
}

impl Clock {
    /// A record brought `time`. A record far ahead, or the first of all, waits until `agree`
    /// records with different ids wait, of at least `agree` keys (or of all keys there are); then
    /// time moves to the smallest of them. They must come while time stands: where other records
    /// still move it, those ahead are strays. What time has come within reach of counts from then
    /// on.
    pub fn observe(&mut self, time: Timestamp, id: Id, key: Id, rules: &WatermarkRules) {
        let agree = rules.agree.max(1);
        if time <= self.records && self.keys.len() >= agree {
            return; // most records: time has been there, and nothing new is within its reach
        }
        if self.keys.len() < agree && !self.keys.contains(&key) {
            self.keys.push(key);
        }
        if self.largest != NO_TIME && time <= self.reach(rules) {
            self.raise(time);
        } else {
            let since = self.records;
            self.wait(Waiting { time, id, key, top: time, since }, agree, rules.jump_max);
        }
        self.absorb(rules);
        while let Some(smallest) = self.agreed(agree) {
            let largest = self.waiting.last().map_or(NO_TIME, |waiting| waiting.time);
            let before = self.records;
            self.raise(if planted(Mutant::JumpToLargest) { largest } else { smallest });
            self.absorb(rules);
            // They came in one still moment, and still do.
            let now = self.records;
            let together = self.waiting.iter_mut().filter(|waiting| waiting.since == before);
            together.for_each(|waiting| waiting.since = now);
        }
    }

    /// Windows are closed on request: `time` counts as if a record had brought it.
    pub fn close(&mut self, time: Timestamp, rules: &WatermarkRules) {
        self.largest = self.largest.max(time);
        self.absorb(rules);
    }

    /// The watermark that the edge should have by now.
    pub fn watermark(&self, rules: &WatermarkRules) -> Timestamp {
        if self.largest == NO_TIME {
            return NO_TIME;
        }
        let behind = self.largest.saturating_sub(rules.disorder);
        let step = rules.step.max(1);
        behind.saturating_sub(behind.rem_euclid(step))
    }

    /// The largest event time that records brought, `NO_TIME` before any did.
    pub fn largest_of_records(&self) -> Timestamp {
        self.records
    }

    /// Up to where windows are closed on request or by records.
    pub fn largest(&self) -> Timestamp {
        self.largest
    }

    /// Event times that wait for others to agree, ascending.
    pub fn waiting(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.waiting.iter().map(|waiting| waiting.time)
    }

    /// A bug to plant: what waits is lost.
    #[cfg(test)]
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    fn reach(&self, rules: &WatermarkRules) -> Timestamp {
        self.largest.saturating_add(rules.jump_max)
    }

    /// The smallest of those that agree, if so many do that time may leap. Clocks that are wrong
    /// one by one never add up to an agreement: what came before time last moved does not count.
    fn agreed(&self, agree: usize) -> Option<Timestamp> {
        let fresh = || {
            let stands = |waiting: &&Waiting| waiting.since == self.records;
            self.waiting
                .iter()
                .filter(move |waiting| stands(waiting) || planted(Mutant::StraysAddUp))
        };
        if fresh().count() < agree {
            return None;
        }
        let mut keys: Vec<Id> = fresh().map(|waiting| waiting.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let enough = keys.len() >= self.keys.len();
        fresh().next().map(|waiting| waiting.time).filter(|_| enough)
    }

    fn raise(&mut self, time: Timestamp) {
        self.records = self.records.max(time);
        self.largest = self.largest.max(time);
    }

    fn wait(&mut self, new: Waiting, per_key: usize, jump_max: i64) {
        if let Some(same) = self.waiting.iter_mut().find(|waiting| waiting.id == new.id) {
            let (mut first, later) = (new.min(*same), new.max(*same));
            first.take_in(&later, jump_max);
            first.since = same.since.min(new.since);
            *same = first;
        } else {
            self.waiting.push(new);
        }
        self.waiting.sort_unstable();
        if self.waiting.len() > WAITING_MAX {
            let stray = self.waiting.iter().rposition(|waiting| waiting.since != self.records);
            self.waiting.remove(stray.unwrap_or(WAITING_MAX));
        }
        let of_key = |(_, waiting): &(usize, &Waiting)| waiting.key == new.key;
        let places = self.waiting.iter().enumerate().filter(of_key).map(|(at, _)| at);
        let places: Vec<usize> = places.collect();
        if places.len() <= per_key {
            return;
        }
        // Too many of one key: one is taken in by the one before it. Where all lie further apart
        // the last goes; that key's clock is hardly one to go by.
        let mut gone = places.last().copied().unwrap_or(0);
        for pair in places.windows(2).rev() {
            let &[before, after] = pair else { continue };
            let later = self.waiting.get(after).copied();
            let taken = later.zip(self.waiting.get_mut(before));
            if taken.is_some_and(|(later, before)| before.take_in(&later, jump_max)) {
                gone = after;
                break;
            }
        }
        self.waiting.remove(gone);
    }

    /// Takes in those waiting that time has come within reach of.
    fn absorb(&mut self, rules: &WatermarkRules) {
        while self.largest != NO_TIME
            && let Some(first) = self.waiting.first().copied()
            && first.time <= self.reach(rules)
        {
            self.waiting.remove(0);
            if planted(Mutant::NearForgotten) {
                continue;
            }
            self.raise(first.top);
        }
    }
}

/// The event time up to which windows are closed on request, from what the clocks of all source
/// tasks say: the largest that records brought, with those waiting within reach of it counted in.
/// `NO_TIME` if no record ever brought one.
pub fn largest_of_all<'a>(clocks: impl Iterator<Item = (&'a Clock, i64)>) -> Timestamp {
    let mut largest = NO_TIME;
    let mut waiting = Vec::new();
    let mut jump = 0;
    for (clock, jump_max) in clocks {
        largest = largest.max(clock.records);
        jump = jump.max(jump_max);
        waiting.extend(clock.waiting.iter().map(|waiting| (waiting.time, waiting.top)));
    }
    waiting.sort_unstable();
    for (time, top) in waiting {
        if largest == NO_TIME || time <= largest.saturating_add(jump) {
            largest = largest.max(top);
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: WatermarkRules =
        WatermarkRules { disorder: 15, step: 10, jump_max: 400, agree: 3 };

    fn clock(records: &[(Timestamp, Id, Id)]) -> Clock {
        let mut clock = Clock::default();
        records.iter().for_each(|(time, id, key)| clock.observe(*time, *id, *key, &RULES));
        clock
    }

    #[test]
    fn the_first_record_of_all_does_not_move_time_alone() {
        assert_eq!(clock(&[(90_000, 1, 1)]).watermark(&RULES), NO_TIME);
        let clock = clock(&[(90_000, 1, 1), (100, 2, 2), (110, 3, 3), (120, 4, 4)]);
        assert_eq!(clock.watermark(&RULES), 100);
        assert_eq!(clock.waiting().collect::<Vec<_>>(), [90_000]);
    }

    #[test]
    fn a_world_of_one_key_moves_time_by_three_ids() {
        let one_key = [(100, 1, 1), (104, 2, 1), (108, 3, 1)];
        assert_eq!(clock(&one_key[..2]).watermark(&RULES), NO_TIME);
        assert_eq!(clock(&one_key).watermark(&RULES), 90);
        assert_eq!(clock(&[(100, 1, 1), (100, 1, 1), (100, 1, 1)]).watermark(&RULES), NO_TIME);
    }

    #[test]
    fn a_gap_is_crossed_when_three_agree_and_time_moves_to_the_smallest() {
        let mut clock = clock(&[(100, 1, 1), (104, 2, 2), (108, 3, 3)]);
        for (time, id) in [(5_000, 11), (9_000, 12), (5_200, 13)] {
            assert_eq!(clock.watermark(&RULES), 90);
            clock.observe(time, id, id, &RULES);
        }
        assert_eq!(clock.largest(), 5_200, "the smallest, and what lies within its reach");
        assert_eq!(clock.waiting().collect::<Vec<_>>(), [9_000]);
    }

    #[test]
    fn wrong_clocks_that_come_one_by_one_never_add_up_to_an_agreement() {
        let rules = WatermarkRules { jump_max: 1000, ..WatermarkRules::default() };
        let mut clock = Clock::default();
        let mut id = 0;
        let mut observe = |clock: &mut Clock, time: Timestamp| {
            id += 1;
            clock.observe(time, id, id, &rules);
        };
        (0..3).for_each(|time| observe(&mut clock, time));
        for stray in 0..200 {
            observe(&mut clock, 10 + stray);
            observe(&mut clock, 1_000_000 + stray);
        }
        assert_eq!(clock.largest(), 209);
        assert!(clock.waiting().count() <= WAITING_MAX);
        // Where all clocks say so, time has a gap.
        (0..3).for_each(|time| observe(&mut clock, 2_000_000 + time));
        assert_eq!(clock.largest(), 2_000_002);
    }

    #[test]
    fn one_key_with_a_wrong_clock_does_not_agree_with_itself() {
        let mut clock = clock(&[(100, 1, 1), (104, 2, 2), (108, 3, 3)]);
        (0..50).for_each(|n| clock.observe(50_000 + i64::from(n as i32), 100 + n, 1, &RULES));
        assert_eq!(clock.watermark(&RULES), 90);
        assert!(clock.waiting.len() <= 3, "what waits has a bound");
    }

    #[test]
    fn a_record_for_which_there_is_no_room_to_wait_counts_with_the_one_before_it() {
        let mut clock = clock(&[(100, 1, 1), (104, 2, 2), (108, 3, 3)]);
        for (time, id) in [(5_000, 11), (5_100, 12), (5_200, 13), (5_300, 14), (90_000, 15)] {
            clock.observe(time, id, 1, &RULES);
        }
        assert_eq!(clock.waiting().collect::<Vec<_>>(), [5_000, 5_100, 90_000]);
        clock.observe(4_900, 16, 2, &RULES);
        clock.observe(4_910, 17, 3, &RULES);
        assert_eq!(clock.largest(), 5_300);
    }

    #[test]
    fn windows_close_up_to_the_waiting_records_within_reach() {
        let moved = clock(&[(100, 1, 1), (104, 2, 2), (108, 3, 3), (600, 4, 4), (900, 5, 5)]);
        let never = clock(&[(400, 1, 1)]);
        let all = [(&moved, 400), (&never, 400)];
        assert_eq!(largest_of_all(all.into_iter()), 900);
        assert_eq!(largest_of_all([(&never, 400)].into_iter()), 400);
        assert_eq!(largest_of_all(std::iter::empty()), NO_TIME);
    }

    #[test]
    fn what_records_bring_behind_a_closing_counts_for_the_next_one() {
        let mut clock = clock(&[(100, 1, 1), (104, 2, 2), (108, 3, 3)]);
        clock.close(200, &RULES);
        clock.observe(150, 4, 1, &RULES);
        assert_eq!((clock.largest_of_records(), clock.largest()), (150, 200));
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let mut clock = clock(&[(i64::MAX, 1, 1), (i64::MAX, 2, 2), (i64::MAX, 3, 3)]);
        assert!(clock.watermark(&RULES) > 0);
        clock.observe(i64::MIN + 1, 4, 4, &RULES);
        let low = [(i64::MIN + 1, 1, 1), (i64::MIN + 2, 2, 2), (i64::MIN + 3, 3, 3)];
        let mut clock = Clock::default();
        low.iter().for_each(|(time, id, key)| clock.observe(*time, *id, *key, &RULES));
        _ = clock.watermark(&RULES);
    }
}
