//! What changed: how much more there is in a window than before, and which values of which fields
//! the new ones share that the old ones did not.
//!
//! Greedy: of all values that at least half of the new ones have, the one whose share has grown
//! most; then the same again within those. A field that was the same before explains nothing and is
//! not named. *Since when* is the minute that divides the time best into a slow and a fast part
//! (the likelihood of two Poisson processes).

use super::Cell;
use super::dimension::{ABSENT, Dimension, OTHER};
use pawl_core::record::Timestamp;
use std::collections::BTreeMap;

/// A value is named if so large a share of the new ones has it, and the share has grown so much.
const SHARE_MIN: f64 = 0.5;
const GAIN_MIN: f64 = 0.15;

/// With fewer old ones their shares say little, and those of all old ones are taken.
const OLD_MIN: f64 = 20.0;

/// Values that are named at most.
const CONDITIONS_MAX: usize = 8;

/// Values that are listed as having grown: so many, each with so large a share of all growth.
const GROWTH_SHARE_MIN: f64 = 0.01;
const GROWTHS_MAX: usize = 12;

/// Minutes from the first up to, and not with, the last.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub begin: i64,
    pub end: i64,
}

/// What changed.
#[derive(Debug, Default)]
pub struct Change {
    /// Failed in the window.
    pub new: u64,
    /// Failed before it.
    pub old: u64,
    /// Minutes of the window, and of the time before it from the first dead letter on.
    pub minutes: (i64, i64),
    /// How many times more there are for each minute than before; none: there were none before.
    pub times: Option<f64>,
    /// What most of the new ones share that the old ones did not.
    pub shared: Vec<Condition>,
    /// How many of the new ones, and of the old ones, have all of that.
    pub explained: (u64, u64),
    /// Since when these are so many.
    pub since_ms: Option<Timestamp>,
    /// Values that have grown most, each by itself.
    pub growths: Vec<Growth>,
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Name of the field.
    pub field: String,
    /// The value.
    pub value: String,
}

/// How a value has grown.
#[derive(Clone, Debug)]
pub struct Growth {
    /// Of which field, and which.
    pub of: Condition,
    /// In the window.
    pub new: u64,
    /// Before it.
    pub old: u64,
    /// How many times more for each minute; none: there were none before.
    pub times: Option<f64>,
}

/// New and old counts of combinations of values.
struct Part<'a> {
    values: &'a [u32],
    new: f64,
    old: f64,
}

pub(super) fn find(
    dimensions: &[Dimension],
    combinations: &[Box<[u32]>],
    cells: &[Cell],
    window: Window,
) -> Change {
    let mut change = Change::default();
    let first = cells.iter().map(|cell| cell.minute).min().unwrap_or(window.begin);
    // The minute that has just begun counts as new too.
    let end = window.end + 1;
    change.minutes = (end - window.begin, (window.begin - first).max(0));
    let mut parts: Vec<Part<'_>> =
        combinations.iter().map(|values| Part { values, new: 0.0, old: 0.0 }).collect();
    for cell in cells.iter().filter(|cell| cell.minute < end) {
        let Some(part) = parts.get_mut(cell.values as usize) else { continue };
        match cell.minute >= window.begin {
            true => part.new += cell.count as f64,
            false => part.old += cell.count as f64,
        }
    }
    let sum = |parts: &[Part<'_>]| {
        parts.iter().fold((0.0, 0.0), |(new, old), part| (new + part.new, old + part.old))
    };
    let (new, old) = sum(&parts);
    (change.new, change.old) = (new as u64, old as u64);
    change.times = times(new, old, change.minutes);
    if new == 0.0 {
        return change;
    }
    // Without any before, nothing has grown; what the new ones share is still worth knowing.
    if old > 0.0 {
        change.growths = growths(dimensions, &parts, &change);
    }
    let is_first = old == 0.0;
    let all = shares(dimensions.len(), &parts, |part| if is_first { part.new } else { part.old });
    let mut used = vec![false; dimensions.len()];
    let mut chosen: Vec<(usize, u32)> = Vec::new();
    while chosen.len() < CONDITIONS_MAX
        && let Some((at, value)) = best(&parts, &all, old, &used)
    {
        used[at] = true;
        chosen.push((at, value));
        parts.retain(|part| value_of(part.values, at) == value);
    }
    let (new, old) = sum(&parts);
    change.explained = (new as u64, old as u64);
    change.shared = chosen
        .iter()
        .filter_map(|(at, value)| Some(condition(dimensions.get(*at)?, *value)))
        .collect();
    let is_meant = |cell: &&Cell| {
        let values = combinations.get(cell.values as usize);
        let fits = |values: &[u32]| chosen.iter().all(|(at, own)| value_of(values, *at) == *own);
        cell.minute < end && values.is_some_and(|values| fits(values))
    };
    change.since_ms = since(cells.iter().filter(is_meant), first, end);
    change
}

fn condition(dimension: &Dimension, value: u32) -> Condition {
    Condition { field: dimension.name.clone(), value: dimension.value(value).to_owned() }
}

fn times(new: f64, old: f64, (new_minutes, old_minutes): (i64, i64)) -> Option<f64> {
    let old_rate = old / old_minutes.max(1) as f64;
    (old > 0.0).then(|| new / new_minutes.max(1) as f64 / old_rate)
}

/// A field that is younger than the combination is absent in it.
fn value_of(values: &[u32], at: usize) -> u32 {
    values.get(at).copied().unwrap_or(ABSENT)
}

/// For each field its values with their counts.
fn shares(
    fields: usize,
    parts: &[Part<'_>],
    count: impl Fn(&Part<'_>) -> f64,
) -> Vec<BTreeMap<u32, f64>> {
    let mut shares = vec![BTreeMap::new(); fields];
    for part in parts {
        let count = count(part);
        for (at, field) in shares.iter_mut().enumerate() {
            *field.entry(value_of(part.values, at)).or_default() += count;
        }
    }
    shares
}

/// The value whose share has grown most, among those that most of the new ones have. `all`: the
/// old ones; the new ones if there are no old ones: then fields that have several values come
/// first, since what is the same in all tells less.
fn best(
    parts: &[Part<'_>],
    all: &[BTreeMap<u32, f64>],
    all_old_sum: f64,
    used: &[bool],
) -> Option<(usize, u32)> {
    let new = shares(used.len(), parts, |part| part.new);
    let old = shares(used.len(), parts, |part| part.old);
    let new_sum: f64 = parts.iter().map(|part| part.new).sum();
    let old_sum: f64 = parts.iter().map(|part| part.old).sum();
    let mut best: Option<(f64, usize, u32)> = None;
    for (at, values) in new.iter().enumerate().filter(|(at, _)| used.get(*at) == Some(&false)) {
        for (value, count) in values {
            let share = count / new_sum.max(1.0);
            let (before, sum) = match old_sum >= OLD_MIN {
                true => (old.get(at), old_sum),
                // Too few to say anything: all old ones are taken.
                false => (all.get(at), all_old_sum),
            };
            let before = before.and_then(|values| values.get(value)).copied().unwrap_or(0.0);
            let gain = match all_old_sum > 0.0 {
                true => share - before / sum.max(1.0),
                false if all.get(at).is_some_and(|values| values.len() > 1) => share,
                false => share / 2.0,
            };
            let says_nothing = *value == OTHER || *value == ABSENT;
            if share < SHARE_MIN || gain < GAIN_MIN || says_nothing {
                continue;
            }
            // Fields that explain better come first, so that of equals the first one is named.
            if best.is_none_or(|(most, ..)| gain > most + 1e-9) {
                best = Some((gain, at, *value));
            }
        }
    }
    best.map(|(_, at, value)| (at, value))
}

/// Values by how many more there are than the time before would let expect.
fn growths(dimensions: &[Dimension], parts: &[Part<'_>], change: &Change) -> Vec<Growth> {
    let new = shares(dimensions.len(), parts, |part| part.new);
    let old = shares(dimensions.len(), parts, |part| part.old);
    let (new_minutes, old_minutes) = change.minutes;
    let scale = new_minutes.max(1) as f64 / old_minutes.max(1) as f64;
    let mut growths = Vec::new();
    for (at, dimension) in dimensions.iter().enumerate() {
        let Some(values) = new.get(at).filter(|values| values.len() > 1) else { continue };
        for (value, new) in values.iter().filter(|(value, _)| **value != ABSENT) {
            let old = old.get(at).and_then(|old| old.get(value)).copied().unwrap_or(0.0);
            let growth = Growth {
                of: condition(dimension, *value),
                new: *new as u64,
                old: old as u64,
                times: times(*new, old, change.minutes),
            };
            growths.push((new - old * scale, growth));
        }
    }
    let all = change.new as f64 - change.old as f64 * scale;
    growths.retain(|(more, _)| *more > 0.0 && *more >= all * GROWTH_SHARE_MIN);
    growths.sort_by(|(one, a), (two, b)| {
        let name = |growth: &Growth| (growth.of.field.clone(), growth.of.value.clone());
        two.total_cmp(one).then_with(|| name(a).cmp(&name(b)))
    });
    growths.into_iter().take(GROWTHS_MAX).map(|(_, growth)| growth).collect()
}

/// The minute that best divides the time into a slow part and a fast one behind it.
fn since<'a>(cells: impl Iterator<Item = &'a Cell>, first: i64, end: i64) -> Option<Timestamp> {
    let mut counts: BTreeMap<i64, f64> = BTreeMap::new();
    for cell in cells {
        *counts.entry(cell.minute).or_default() += cell.count as f64;
    }
    let sum: f64 = counts.values().sum();
    let likelihood = |count: f64, minutes: f64| match count > 0.0 && minutes > 0.0 {
        true => count * (count / minutes).ln(),
        false => 0.0,
    };
    let (mut before, mut best) = (0.0, None);
    for (minute, count) in &counts {
        let (slow, fast) = ((minute - first) as f64, (end - minute) as f64);
        let is_faster = (sum - before) / fast.max(1.0) > before / slow.max(1.0);
        let fits = likelihood(before, slow) + likelihood(sum - before, fast);
        if is_faster && best.is_none_or(|(most, _)| fits > most) {
            best = Some((fits, *minute));
        }
        before += count;
    }
    best.map(|(_, minute)| minute * super::MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(minute: i64, count: u64) -> Cell {
        Cell { values: 0, minute, count }
    }

    #[test]
    fn the_minute_at_which_it_became_more_is_found() {
        let mut cells: Vec<Cell> =
            (0..600).map(|minute| cell(minute, 1 + minute as u64 % 3)).collect();
        cells.extend((570..600).map(|minute| cell(minute, 80)));
        assert_eq!(since(cells.iter(), 0, 600), Some(570 * 60_000));
        let ended: Vec<Cell> = (100..110).map(|minute| cell(minute, 50)).collect();
        assert_eq!(since(ended.iter(), 0, 600), Some(100 * 60_000));
        assert_eq!(since([].iter(), 0, 600), None);
    }
}
