//! Makes a history that broke a law small: the fewer records a person has to look at, the better.

use crate::history::{Call, Cut, Item};
use crate::kit::Kit;
use crate::report::Finding;
use crate::trace::shown;
use std::time::{Duration, Instant};

/// How often a smaller history is tried, and for how long.
const TRIES_MAX: usize = 400;
const TIME_MAX: Duration = Duration::from_secs(3);

/// Lines of a history that a person is shown.
const STEPS_MAX: usize = 24;

/// Records of a history of which a person is shown the content.
const RECORDS_MAX: usize = 4;

/// The smallest history found for which `fails` still says something, and what it says.
pub(crate) fn smallest(
    items: &[Item],
    what: String,
    fails: &dyn Fn(&[Item]) -> Option<String>,
) -> (Vec<Item>, String) {
    let (mut items, mut what) = (items.to_vec(), what);
    let (mut tries, began) = (0, Instant::now());
    let mut chunk = items.len().div_ceil(2);
    while chunk > 0 && items.len() > 1 {
        let (mut start, mut any) = (0, false);
        while start < items.len() {
            if tries >= TRIES_MAX || began.elapsed() > TIME_MAX {
                return (items, what);
            }
            tries += 1;
            let end = (start + chunk).min(items.len());
            let mut fewer = items.clone();
            fewer.drain(start..end);
            match fails(&fewer) {
                Some(still) => {
                    (items, what, any) = (fewer, still, true);
                }
                None => start = end,
            }
        }
        chunk = if any && chunk > 1 { chunk.min(items.len().div_ceil(2)) } else { chunk / 2 };
    }
    (items, what)
}

/// What a person needs to play it again.
pub(crate) fn finding(kit: &Kit, what: String, items: &[Item], cut: Cut) -> Finding {
    let mut steps = Vec::new();
    let all = kit.calls(items, cut);
    for call in all.iter().take(STEPS_MAX) {
        steps.push(step(kit, call));
    }
    if all.len() > STEPS_MAX {
        steps.push(format!("and {} calls more", all.len() - STEPS_MAX));
    }
    let mut shown_inputs = Vec::new();
    for item in items {
        let Item::Row(input, _) = item else { continue };
        if !shown_inputs.contains(input) {
            shown_inputs.push(*input);
        }
    }
    let records = shown_inputs.iter().take(RECORDS_MAX).map(|input| record(kit, *input)).collect();
    Finding { what, steps, records }
}

fn step(kit: &Kit, call: &Call) -> String {
    match call {
        Call::Rows(rows) => {
            let names: Vec<String> =
                rows.iter().take(8).map(|(input, _)| kit.name(*input)).collect();
            let more = match rows.len().saturating_sub(8) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let times = match rows.first() {
                Some((_, time)) => format!(" (event time {time})"),
                None => String::new(),
            };
            format!("process {}{more}{times}", names.join(", "))
        }
        Call::Other(Item::Tick(watermark)) => format!("advance to {watermark}"),
        Call::Other(Item::Snapshot(true)) => "snapshot in full".to_owned(),
        Call::Other(Item::Snapshot(false)) => "snapshot".to_owned(),
        Call::Other(Item::Restore) => "snapshot, and a new instance takes it up".to_owned(),
        Call::Other(Item::Empty | Item::Row(..)) => "process no rows".to_owned(),
    }
}

/// A record for a person.
pub(crate) fn record(kit: &Kit, input: usize) -> String {
    let Some(sample) = kit.inputs.get(input) else { return String::new() };
    format!("{}: key {}, value {}", sample.name, shown(&sample.key), shown(&sample.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_as_small_as_can_be() {
        let items: Vec<Item> = (0..500).map(|n| Item::Row(n, 0)).collect();
        let fails = |items: &[Item]| {
            let both = [Item::Row(17, 0), Item::Row(420, 0)].iter().all(|i| items.contains(i));
            both.then(|| items.len().to_string())
        };
        let (left, what) = smallest(&items, String::new(), &fails);
        assert_eq!(left, [Item::Row(17, 0), Item::Row(420, 0)]);
        assert_eq!(what, "2");
    }
}
