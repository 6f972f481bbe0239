//! Time: `advance` at odd places, and event times within the spans that the wiring declares.
//!
//! Where event times are made up, a plugin that takes the time from the payload cannot keep to
//! them. It shows by not moving when they are moved; then what it emits is judged only if no time
//! in the payload explains it.

use super::{Verdict, found};
use crate::history::{Call, Cut, Item, before_end};
use crate::kit::Kit;
use crate::player::{Broke, Player};
use crate::times;
use crate::trace::{Emitted, Event, Trace};
use pawl_core::operator::Failure;
use pawl_core::record::Timestamp;

const DAY: i64 = 86_400_000;
/// The end of the year 9999.
const FAR: Timestamp = 253_402_300_799_000;
/// By how much all times are moved: whole weeks, so that windows lie alike.
const MOVED: i64 = 52 * 7 * DAY;

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
        if kit.is_law_over() {
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
    let moved = match kit.times_made {
        true => kit.play(&moved(&kit.items), Cut::Every(1)).ok(),
        false => None,
    };
    let all = all_times(kit);
    let own = |at: usize, number: usize, emitted: &Emitted, event: &Event| {
        let Some(moved) = &moved else { return false };
        let twin = moved.events.get(at).and_then(|event| event.made.get(number));
        twin.is_none_or(|twin| twin.time == emitted.time) && explained(kit, &all, emitted, event)
    };
    let trace = &kit.survey.trace;
    let (broken, own_times) = first_broken(trace, breaks, &own);
    if let Some((at, what)) = broken {
        let fails = |items: &[Item]| {
            let trace = kit.play(items, Cut::Every(1)).ok()?;
            let all = all_times(kit);
            let own = |_: usize, _: usize, emitted: &Emitted, event: &Event| {
                kit.times_made && explained(kit, &all, emitted, event)
            };
            first_broken(&trace, breaks, &own).0.map(|(_, what)| what)
        };
        let items = kit.items.get(..=at).unwrap_or(&kit.items);
        return Verdict::of(vec![found(kit, items, Cut::Every(1), what, &fails)], "");
    }
    let emitted = trace.emitted();
    match own_times {
        0 => Verdict::passed(format!("{emitted} emissions")),
        own if own * 2 > emitted => Verdict::not_shown(
            "emissions bear times out of the payload, and event times are made up: say where \
             they stand with --time-field",
        ),
        own => Verdict::passed(format!(
            "{} emissions; {own} more bear times out of the payload, and event times are made up",
            emitted - own
        )),
    }
}

/// The first event with an emission outside, and how many bear times of their own.
fn first_broken(
    trace: &Trace,
    breaks: &Breaks<'_>,
    own: &dyn Fn(usize, usize, &Emitted, &Event) -> bool,
) -> (Option<(usize, String)>, usize) {
    let (mut watermark, mut own_times) = (None, 0);
    for (at, event) in trace.events.iter().enumerate() {
        for (number, emitted) in event.made.iter().enumerate() {
            let Some(what) = breaks(emitted.time, event, watermark) else { continue };
            if own(at, number, emitted, event) {
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

fn moved(items: &[Item]) -> Vec<Item> {
    let moved = |item: &Item| match item {
        Item::Row(input, time) => Item::Row(*input, time.saturating_add(MOVED)),
        Item::Tick(time) => Item::Tick(time.saturating_add(MOVED)),
        other => *other,
    };
    items.iter().map(moved).collect()
}

/// The times that each input's value may hold.
fn all_times(kit: &Kit) -> Vec<Vec<Timestamp>> {
    let held = |value: &Option<Vec<u8>>| value.as_deref().map(times::held).unwrap_or_default();
    kit.inputs.iter().map(|input| held(&input.value)).collect()
}

/// Whether a time in the payload of the cause (of any record, for a tick) can be that of the
/// emission, or the emission's value holds it.
fn explained(kit: &Kit, all: &[Vec<Timestamp>], emitted: &Emitted, event: &Event) -> bool {
    let reach = kit.wiring.delay.max(kit.wiring.ahead);
    let near = |time: &Timestamp| time.abs_diff(emitted.time) <= reach.max(1);
    match event.input {
        Some(input) => all.get(input).is_some_and(|times| times.iter().any(near)),
        None => all.iter().flatten().any(near),
    }
}
