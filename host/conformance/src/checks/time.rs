//! Time: `advance` at odd places, and event times within the spans that the wiring declares.
//!
//! The host holds operators to those spans only from the edge on that makes the watermark. One in
//! front of it, such as a parser, takes its times out of the payload; nothing here says where an
//! operator will stand. It shows by times that stay when event times are moved: where such times
//! lie outside, the law is not shown. A time that no payload could hold is never excused.

use super::{Verdict, found};
use crate::history::{Call, Cut, Item, before_end};
use crate::kit::Kit;
use crate::player::{Broke, Player};
use crate::rounds;
use crate::times;
use crate::trace::{Emitted, Event, Trace};
use pawl_core::operator::Failure;
use pawl_core::record::Timestamp;
use std::collections::BTreeSet;

const DAY: i64 = 86_400_000;
/// The end of the year 9999.
const FAR: Timestamp = 253_402_300_799_000;
const WEEK: i64 = 7 * DAY;

/// CF-20.
pub(super) fn advance(kit: &Kit) -> Verdict {
    let is_it = |broke: &Broke| broke.during == "advance" && broke.is_trap();
    let surveyed = kit
        .survey
        .failures
        .iter()
        .find(|(broke, _)| is_it(broke) && !broke.owes_without_end())
        .map(|(_, items)| items.clone());
    let (mut ticks, mut notes) = (0, Vec::new());
    for items in surveyed.into_iter().chain(odd_places(kit)) {
        if kit.watch.is_law_over() {
            break;
        }
        ticks += items.iter().filter(|item| matches!(item, Item::Tick(_))).count();
        let cut = Cut::Every(8);
        let fails = |items: &[Item]| {
            let broke = kit.play(items, cut).err().filter(|b| is_it(b) && !b.owes_without_end())?;
            Some(broke.text())
        };
        let broke = kit.play(&items, cut).err().filter(Broke::is_timeout);
        if let Some(broke) = broke.filter(|b| is_it(b) && !b.owes_without_end()) {
            let finding = crate::shrink::finding(kit, broke.text(), &items, cut);
            return Verdict::of(vec![finding], "");
        }
        if let Some(what) = fails(&items) {
            return Verdict::of(vec![found(kit, &items, cut, what, &fails)], "");
        }
    }
    // So long a gap is no stream's; that it takes time to step through it is no fault.
    if let Ok(mut player) = Player::new(kit) {
        let fails = |broke: &Broke| is_it(broke) && !broke.owes_without_end();
        let rows: Vec<Item> = before_end(&kit.items).to_vec();
        if player.play(&rows, Cut::Every(8)).is_ok()
            && let Err(broke) = player.call(&Call::Other(Item::Tick(FAR)))
            && fails(&broke)
        {
            let what = format!("advance to the year 9999: {}", broke.text());
            match broke.failure {
                Failure::Trap(_) => {
                    let items = [rows, vec![Item::Tick(FAR)]].concat();
                    let finding = crate::shrink::finding(kit, what, &items, Cut::Every(8));
                    return Verdict::of(vec![finding], "");
                }
                _ => notes.push(what),
            }
        }
    }
    Verdict::passed(format!("{ticks} ticks at odd places")).noting(notes)
}

/// Histories with ticks where nobody expects them. Watermarks ascend, and no record is late.
fn odd_places(kit: &Kit) -> Vec<Vec<Item>> {
    let first = kit.times.iter().min().copied().unwrap_or(0);
    let last = kit.times.iter().max().copied().unwrap_or(0);
    let delay = i64::try_from(kit.wiring.delay).unwrap_or(i64::MAX);
    let rows = before_end(&kit.items).to_vec();
    let before = [-DAY, -1, 0, 1, first.saturating_sub(DAY), first.saturating_sub(1), first];
    let mut plays = Vec::new();
    let mut early: Vec<Item> = Vec::new();
    let mut watermark = i64::MIN;
    for tick in before.into_iter().filter(|tick| *tick <= first) {
        if tick > watermark {
            early.push(Item::Tick(tick));
            watermark = tick;
        }
    }
    plays.push([early, rows.clone()].concat());
    // A tick behind each record, as close as can be: with perfect knowledge of what comes.
    let mut dense = Vec::new();
    let mut floor = i64::MAX;
    for item in rows.iter().rev().filter(|item| matches!(item, Item::Row(..))) {
        if floor != i64::MAX {
            dense.push(Item::Tick(floor));
        }
        dense.push(*item);
        if let Item::Row(_, time) = item {
            floor = floor.min(*time);
        }
    }
    dense.reverse();
    let mut watermark = i64::MIN;
    dense.retain(|item| match item {
        Item::Tick(tick) if *tick <= watermark => false,
        Item::Tick(tick) => {
            watermark = *tick;
            true
        }
        _ => true,
    });
    plays.push(dense);
    // After the end, and then it goes on.
    let after = last.saturating_add(delay);
    let mut end = rows;
    end.extend([1, 2, DAY, 366 * DAY].map(|step| Item::Tick(after.saturating_add(step))));
    let again = after.saturating_add(367 * DAY);
    end.extend(kit.items.iter().filter_map(|item| match item {
        Item::Row(input, _) => Some(Item::Row(*input, again)),
        _ => None,
    }));
    end.extend([0, 1, delay.saturating_add(1)].map(|step| Item::Tick(again.saturating_add(step))));
    end.dedup();
    plays.push(end);
    plays
}

/// CF-21.
pub(super) fn delay(kit: &Kit) -> Verdict {
    let delay = i64::try_from(kit.wiring.delay).unwrap_or(i64::MAX);
    let breaks = |time: Timestamp, _: &Event, watermark: Option<Timestamp>| {
        let low = watermark?.saturating_sub(delay);
        (time < low).then(|| {
            format!("lies {} ms behind the watermark less its delay of {delay} ms", low - time)
        })
    };
    within(kit, &breaks)
}

/// CF-22.
pub(super) fn ahead(kit: &Kit) -> Verdict {
    let ahead = i64::try_from(kit.wiring.ahead).unwrap_or(i64::MAX);
    let breaks = |time: Timestamp, event: &Event, _: Option<Timestamp>| {
        let high = event.time.saturating_add(ahead);
        let of = if event.input.is_some() { "its cause" } else { "the watermark" };
        (time > high).then(|| {
            let far = time.saturating_sub(event.time);
            format!("lies {far} ms ahead of {of}, and ahead is {ahead} ms")
        })
    };
    within(kit, &breaks)
}

/// What breaks a bound: the time of an emission, its event, and the watermark before the call.
type Breaks<'a> = dyn Fn(Timestamp, &Event, Option<Timestamp>) -> Option<String> + 'a;

fn within(kit: &Kit, breaks: &Breaks<'_>) -> Verdict {
    if let Some(why) = kit.nothing_seen() {
        return Verdict::not_shown(why);
    }
    let trace = &kit.survey.trace;
    let emitted = trace.emitted();
    if first_broken(trace, breaks, &|_| false).0.is_none() {
        return Verdict::passed(format!("{emitted} emissions"));
    }
    let stay = times_that_stay(kit);
    let own = |emitted: &Emitted| times::is_plausible(emitted.time) && stay.contains(&emitted.time);
    let (broken, own_times) = first_broken(trace, breaks, &own);
    if let Some((at, what)) = broken {
        let fails = |items: &[Item]| {
            let trace = kit.play(items, Cut::Every(1)).ok()?;
            first_broken(&trace, breaks, &own).0.map(|(_, what)| what)
        };
        let items = kit.items.get(..=at).unwrap_or(&kit.items);
        return Verdict::of(vec![found(kit, items, Cut::Every(1), what, &fails)], "");
    }
    let hint = match kit.times_made {
        true => "; event times are made up, so say where they stand with --time-field",
        false => "",
    };
    Verdict::not_shown(format!(
        "it takes times out of the payload: {own_times} of {emitted} lie outside, and stay \
         when event times are moved; before the edge that makes the watermark it may, behind it \
         the host refuses that{hint}"
    ))
}

/// The times of all that is emitted when the whole history is moved to where none of its times
/// lies: by whole weeks, so that windows lie alike.
fn times_that_stay(kit: &Kit) -> BTreeSet<Timestamp> {
    let first = rounds::times(&kit.items).min().unwrap_or(0);
    let last = rounds::times(&kit.items).max().unwrap_or(0);
    let reach = i64::try_from(kit.wiring.delay.max(kit.wiring.ahead)).unwrap_or(i64::MAX);
    let span = last.saturating_sub(first).saturating_add(reach);
    let weeks = (span / WEEK).saturating_add(52);
    let moved = rounds::moved(&kit.items, weeks.saturating_mul(WEEK));
    let Ok(trace) = kit.play(&moved, Cut::Every(1)) else { return BTreeSet::new() };
    trace.events.iter().flat_map(|event| &event.made).map(|emitted| emitted.time).collect()
}

/// The first event with an emission outside, and how many bear times of their own.
fn first_broken(
    trace: &Trace,
    breaks: &Breaks<'_>,
    own: &dyn Fn(&Emitted) -> bool,
) -> (Option<(usize, String)>, usize) {
    let (mut watermark, mut own_times) = (None, 0);
    for (at, event) in trace.events.iter().enumerate() {
        for emitted in &event.made {
            let Some(what) = breaks(emitted.time, event, watermark) else { continue };
            if own(emitted) {
                own_times += 1;
                continue;
            }
            let what = format!(
                "emission {} with event time {} {what}",
                crate::trace::shown(&emitted.value),
                emitted.time
            );
            return (Some((at, what)), own_times);
        }
        if event.input.is_none() {
            watermark = Some(event.time);
        }
    }
    (None, own_times)
}
