//! Histories: rows and ticks in an order that the host could give them in, and how rows are cut
//! into calls. What is marked in between must not matter to anybody.
//!
//! No row ever lies behind the watermark, watermarks ascend, and no call holds more than the host
//! gives in one: the contract promises all three.

use crate::random::Random;
use pawl_core::record::Timestamp;

/// What the host gives in one call at most: records, and bytes of them unless one alone is larger.
pub(crate) const CALL_RECORDS_MAX: usize = 1_024;
pub(crate) const CALL_BYTES_MAX: usize = 8 << 20;

/// One thing that happens to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A record: which input, and at what event time.
    Row(usize, Timestamp),
    /// The watermark takes this value.
    Tick(Timestamp),
    /// A call without rows.
    Empty,
    /// A snapshot, in full or not, that nobody uses.
    Snapshot(bool),
    /// A snapshot in full that a new instance takes up and goes on from.
    Restore,
}

impl Item {
    /// Whether it is one of those that must not matter.
    pub fn is_mark(self) -> bool {
        !matches!(self, Item::Row(..) | Item::Tick(_))
    }
}

/// How rows are cut into calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// So many rows per call, or as many as the host gives.
    Every(usize),
    /// Calls of 1 to 40 rows, by seed and place.
    Seeded(u64),
}

impl Cut {
    /// How many rows the call takes that begins with row number `at`.
    fn size(self, at: usize) -> usize {
        match self {
            Cut::Every(rows) => rows.max(1),
            Cut::Seeded(seed) => {
                let mut random = Random::new(seed ^ (at as u64) << 20, "cut");
                let most = [2, 5, 40][random.below(3)];
                1 + random.below(most)
            }
        }
    }

    /// For a person.
    pub fn name(self) -> String {
        match self {
            Cut::Every(1) => "one record at a time".to_owned(),
            Cut::Every(usize::MAX) => {
                format!("batches as large as can be ({CALL_RECORDS_MAX} records, 8 MiB)")
            }
            Cut::Every(rows) => format!("batches of {rows}"),
            Cut::Seeded(seed) => format!("batches of 1 to 40 records (seed {seed})"),
        }
    }
}

/// One call to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Rows.
    Rows(Vec<(usize, Timestamp)>),
    /// Anything else.
    Other(Item),
}

/// The calls that a history is made of; `bytes` says how large an input is.
pub(crate) fn calls(items: &[Item], cut: Cut, bytes: &dyn Fn(usize) -> usize) -> Vec<Call> {
    let mut calls = Vec::new();
    let (mut rows, mut seen, mut due, mut held) = (Vec::new(), 0, 0, 0_usize);
    for item in items {
        match item {
            Item::Row(input, time) => {
                let more = bytes(*input);
                if !rows.is_empty() && held.saturating_add(more) > CALL_BYTES_MAX {
                    calls.push(Call::Rows(std::mem::take(&mut rows)));
                }
                if rows.is_empty() {
                    due = cut.size(seen).min(CALL_RECORDS_MAX);
                    held = 0;
                }
                held = held.saturating_add(more);
                rows.push((*input, *time));
                seen += 1;
                if rows.len() >= due {
                    calls.push(Call::Rows(std::mem::take(&mut rows)));
                }
            }
            other => {
                if !rows.is_empty() {
                    calls.push(Call::Rows(std::mem::take(&mut rows)));
                }
                calls.push(Call::Other(*other));
            }
        }
    }
    if !rows.is_empty() {
        calls.push(Call::Rows(rows));
    }
    calls
}

/// What a history is made from.
pub(crate) struct Making<'a> {
    /// The event time of each input, in the order of inputs.
    pub times: &'a [Timestamp],
    /// How often each comes in a row.
    pub repeats: usize,
    pub seed: u64,
    /// What the wiring says.
    pub delay: i64,
    pub ahead: i64,
}

/// Rows in their order, ticks at seeded places, and an end at which all windows close. Rows that
/// would be late are left out, as the host leaves them out.
pub(crate) fn make(making: &Making<'_>) -> Vec<Item> {
    let mut random = Random::new(making.seed, "ticks");
    let disorder = disorder(making.times);
    let mut items = Vec::new();
    let (mut largest, mut watermark) = (None::<Timestamp>, None::<Timestamp>);
    let mut wait = 1 + random.below(12);
    let inputs = making.times.iter().enumerate();
    for (input, time) in inputs.flat_map(|pair| std::iter::repeat_n(pair, making.repeats)) {
        if watermark.is_some_and(|watermark| *time < watermark) {
            continue;
        }
        items.push(Item::Row(input, *time));
        let top = largest.map_or(*time, |largest| largest.max(*time));
        largest = Some(top);
        wait = wait.saturating_sub(1);
        let next = top.saturating_sub(disorder);
        if wait == 0 {
            wait = 1 + random.below(12);
            if watermark.is_none_or(|watermark| next > watermark) {
                items.push(Item::Tick(next));
                watermark = Some(next);
            }
        }
    }
    let Some(largest) = largest else { return items };
    for further in [0, making.delay, making.delay.saturating_add(making.ahead) + 3_600_000] {
        let next = largest.saturating_add(1).saturating_add(further);
        if watermark.is_none_or(|watermark| next > watermark) {
            items.push(Item::Tick(next));
            watermark = Some(next);
        }
    }
    items
}

/// By how much most records lie behind the largest event time before them: one in twenty may be
/// later than that, and is late.
fn disorder(times: &[Timestamp]) -> i64 {
    let mut largest = Timestamp::MIN;
    let mut lags: Vec<i64> = Vec::with_capacity(times.len());
    for time in times {
        largest = largest.max(*time);
        lags.push(largest.saturating_sub(*time));
    }
    lags.sort_unstable();
    lags.get(lags.len() * 19 / 20).copied().unwrap_or(0)
}

/// The items before time ends, when windows still hold something.
pub(crate) fn before_end(items: &[Item]) -> &[Item] {
    let end = items.iter().rposition(|item| matches!(item, Item::Row(..)));
    items.get(..end.map_or(0, |end| end + 1)).unwrap_or_default()
}

/// The items with a mark put in after so many of them.
pub(crate) fn marked(items: &[Item], after: usize, mark: Item) -> Vec<Item> {
    let (before, behind) = items.split_at(after.min(items.len()));
    [before, &[mark], behind].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_late_and_watermarks_ascend() {
        for seed in 0..200 {
            let mut random = Random::new(seed, "test");
            let step = |random: &mut Random| random.below(50) as i64 - 10;
            let mut now = 1_000;
            let times: Vec<i64> = (0..100)
                .map(|_| {
                    now += step(&mut random);
                    now
                })
                .collect();
            let making = Making { times: &times, repeats: 2, seed, delay: 5, ahead: 0 };
            let items = make(&making);
            let mut watermark = i64::MIN;
            for item in &items {
                match item {
                    Item::Row(_, time) => assert!(*time >= watermark),
                    Item::Tick(next) => {
                        assert!(*next > watermark);
                        watermark = *next;
                    }
                    mark => panic!("{mark:?} was not asked for"),
                }
            }
            assert!(items.len() > 150, "{}", items.len());
        }
    }

    #[test]
    fn every_cut_keeps_all_items_in_order() {
        let items: Vec<Item> = (0..90)
            .map(|n| if n % 9 == 5 { Item::Tick(n) } else { Item::Row(n as usize, n) })
            .collect();
        for cut in [Cut::Every(1), Cut::Every(3), Cut::Every(usize::MAX), Cut::Seeded(4)] {
            let again: Vec<Item> = calls(&items, cut, &|_| 1)
                .into_iter()
                .flat_map(|call| match call {
                    Call::Rows(rows) => rows.into_iter().map(|(i, t)| Item::Row(i, t)).collect(),
                    Call::Other(item) => vec![item],
                })
                .collect();
            assert_eq!(again, items, "{cut:?}");
        }
    }
    #[test]
    fn no_call_holds_more_than_the_host_gives() {
        let items: Vec<Item> = (0..3_000).map(|n| Item::Row(n, 0)).collect();
        let sizes = |bytes: &dyn Fn(usize) -> usize| -> Vec<usize> {
            let calls = calls(&items, Cut::Every(usize::MAX), bytes);
            let rows = calls.iter().map(|call| match call {
                Call::Rows(rows) => rows.len(),
                Call::Other(_) => 0,
            });
            rows.collect()
        };
        assert_eq!(sizes(&|_| 1), [1_024, 1_024, 952]);
        assert_eq!(sizes(&|_| 3 << 20).iter().max(), Some(&2));
        // One alone may be larger.
        assert_eq!(sizes(&|_| 9 << 20).len(), 3_000);
    }
}
