//! How rows are cut into calls must not matter, and what a call says of its rows must be true.

use super::{Parting, Verdict, found, parting, plain};
use crate::history::{CALL_RECORDS_MAX, Call, Cut, Item, marked};
use crate::kit::Kit;
use crate::player::{Broke, Player, Short};
use crate::random::Random;
use crate::report::Finding;
use crate::trace::{Event, Trace};

/// Rows of one large call.
pub(super) const LARGE_ROWS: usize = CALL_RECORDS_MAX;

fn cuts(seed: u64) -> [Cut; 8] {
    [
        Cut::Every(2),
        Cut::Every(3),
        Cut::Every(7),
        Cut::Every(64),
        Cut::Every(usize::MAX),
        Cut::Seeded(seed),
        Cut::Seeded(seed.wrapping_add(1)),
        Cut::Seeded(seed.wrapping_add(2)),
    ]
}

/// All samples over and over, with no tick in between: one call, if all of it is taken. Never more
/// than the host gives in one.
pub(super) fn large(kit: &Kit, count: usize) -> Vec<Item> {
    let mut rows: Vec<(usize, i64)> = Vec::new();
    for item in &kit.items {
        if let Item::Row(input, time) = item {
            rows.push((*input, *time));
        }
    }
    rows.dedup();
    let all: Vec<Item> = rows
        .iter()
        .cycle()
        .take(if rows.is_empty() { 0 } else { count })
        .map(|(input, time)| Item::Row(*input, *time))
        .collect();
    let once = rows.len().min(count);
    let mut items = match kit.calls(&all, Cut::Every(CALL_RECORDS_MAX)).into_iter().next() {
        Some(Call::Rows(fit)) if fit.len() > once => {
            fit.into_iter().map(|(input, time)| Item::Row(input, time)).collect()
        }
        // Samples that are more than one call are given once.
        _ => all.into_iter().take(once).collect::<Vec<Item>>(),
    };
    items.extend(kit.items.iter().rev().take(3).rev().filter(|i| matches!(i, Item::Tick(_))));
    items
}

/// Every history that is cut here, and how; an empty batch is among them.
pub(super) fn plays(kit: &Kit) -> Vec<(Cut, Vec<Item>)> {
    let mut plays: Vec<(Cut, Vec<Item>)> =
        cuts(kit.seed).into_iter().map(|cut| (cut, kit.items.clone())).collect();
    plays.push((Cut::Every(usize::MAX), large(kit, LARGE_ROWS)));
    plays.push((Cut::Every(5), with_empties(kit)));
    plays
}

/// The first way of cutting for which `select` says something, as a finding; and how many ways
/// were played.
pub(super) fn first(
    kit: &Kit,
    select: &dyn Fn(Parting) -> Option<String>,
) -> (Option<Finding>, usize) {
    let whole = large(kit, LARGE_ROWS);
    let plays = cuts(kit.seed).into_iter().map(|cut| (cut, &kit.items));
    let mut ways = 0;
    for (cut, items) in plays.chain([(Cut::Every(usize::MAX), &whole)]) {
        if kit.watch.is_law_over() {
            break;
        }
        let fails = |items: &[Item]| {
            let alone = kit.play(items, Cut::Every(1)).ok()?;
            let found = kit.play(items, cut);
            if found.as_ref().is_err_and(is_of_outcome) {
                return None;
            }
            let what = select(parting(kit, &alone, found)?)?;
            Some(format!("in {}: {what}", cut.name()))
        };
        if let Some(what) = fails(items) {
            return (Some(found(kit, items, cut, what, &fails)), ways);
        }
        ways += 1;
    }
    (None, ways)
}

/// CF-12.
pub(super) fn batch_size(kit: &Kit) -> Verdict {
    if let Some(why) = kit.nothing_seen() {
        return Verdict::not_shown(why);
    }
    // What differs in its order alone follows from nothing in the input: another law's.
    let select =
        |parting: Parting| (!parting.only_causes && !parting.only_order).then_some(parting.what);
    let (finding, ways) = first(kit, &select);
    let emitted = kit.survey.trace.emitted();
    Verdict::of(
        finding.into_iter().collect(),
        format!("{emitted} emissions, the same in {ways} ways to cut, and one record at a time"),
    )
}

/// CF-13.
pub(super) fn causes(kit: &Kit) -> Verdict {
    if let Some(why) = kit.nothing_seen() {
        return Verdict::not_shown(why);
    }
    let select = |parting: Parting| parting.only_causes.then_some(parting.what);
    let (finding, ways) = first(kit, &select);
    let made: usize = kit.survey.trace.rows().map(Event::emitted).sum();
    let detail = match made {
        0 => "all emissions come from advance, and have no cause".to_owned(),
        made => {
            format!("{made} emissions, each with the cause it has on its own, cut in {ways} ways")
        }
    };
    Verdict::of(finding.into_iter().collect(), detail)
}

/// CF-11.
pub(super) fn taken(kit: &Kit) -> Verdict {
    if kit.items.is_empty() {
        return Verdict::not_shown("no record got through: see what failed above");
    }
    let whole = large(kit, LARGE_ROWS);
    let (mut shorts, mut given) = (0, 0);
    for (items, cut) in [
        (&kit.items, Cut::Every(3)),
        (&kit.items, Cut::Every(64)),
        (&kit.items, Cut::Every(usize::MAX)),
        (&whole, Cut::Every(usize::MAX)),
    ] {
        let Ok(mut player) = Player::new(kit) else { continue };
        // What breaks here is another law's.
        drop(player.play(items, cut));
        given += player.trace.rows().count();
        for short in player.shorts.iter().take(3) {
            shorts += 1;
            if let Some(what) = trace_left(kit, items, cut, short) {
                let rows = short.rows.iter().map(|(input, time)| Item::Row(*input, *time));
                let steps = crate::shrink::finding(kit, what, &rows.collect::<Vec<_>>(), cut);
                return Verdict::of(vec![steps], "");
            }
        }
    }
    let detail = match shorts {
        0 => format!("{given} rows, and no call took less than it was given"),
        shorts => format!("{shorts} calls took less than they were given, and left the rest alone"),
    };
    Verdict::passed(detail)
}

/// What rows that were not taken have changed, if anything: compares with an instance that only
/// got those that were.
fn trace_left(kit: &Kit, items: &[Item], cut: Cut, short: &Short) -> Option<String> {
    let (taken, given) = (short.taken, short.rows.len());
    let prefix = kit.calls(items, cut);
    let prefix = prefix.get(..short.calls)?;
    let mut full = Player::new(kit).ok()?;
    let mut only = Player::new(kit).ok()?;
    for call in prefix {
        full.call(call).ok()?;
        only.call(call).ok()?;
    }
    let owed = full.first_call(&short.rows).ok()?;
    only.call(&Call::Rows(short.rows.get(..taken)?.to_vec())).ok()?;
    let said = format!("of {given} rows it took {taken}, and the others left a trace");
    let end = |player: &mut Player<'_>| -> Option<(Vec<Vec<u8>>, Trace)> {
        let state = player.full_snapshot().ok()?;
        Some((state, player.trace.clone()))
    };
    let ((full_state, full_trace), (only_state, only_trace)) = (end(&mut full)?, end(&mut only)?);
    if full_state != only_state {
        let what = super::state::parts_differ(&only_state, &full_state).unwrap_or_default();
        return Some(format!("{said} in the state: {what}"));
    }
    // With emissions still owed to the last row the traces cannot be compared.
    if owed {
        return None;
    }
    let what = parting(kit, &only_trace, Ok(full_trace))?.what;
    Some(format!("{said}: {what}"))
}

/// Whether what a call returned was not whole, or not finished: other laws', which play all this.
fn is_of_outcome(broke: &Broke) -> bool {
    !broke.is_trap() || broke.owes_without_end()
}

/// The history with empty batches at seeded places.
fn with_empties(kit: &Kit) -> Vec<Item> {
    let mut items = marked(&kit.items, 0, Item::Empty);
    let mut random = Random::new(kit.seed, "empty");
    let mut count = 1;
    let mut at = 1 + random.below(4);
    while at < items.len() && count < 200 {
        items = marked(&items, at, Item::Empty);
        count += 1;
        at += 2 + random.below(12);
    }
    items
}

/// CF-14.
pub(super) fn empty(kit: &Kit) -> Verdict {
    let items = with_empties(kit);
    let count = items.iter().filter(|item| item.is_mark()).count();
    let cut = Cut::Every(5);
    let fails = |items: &[Item]| {
        let broke = kit.play(items, cut).err();
        if broke.is_some_and(|broke| is_of_outcome(&broke)) {
            return None;
        }
        same_without_marks(kit, items, cut)
    };
    if let Some(what) = fails(&items) {
        return Verdict::of(vec![found(kit, &items, cut, what, &fails)], "");
    }
    match kit.nothing_seen() {
        Some(why) if kit.survey.trace.accepted() == 0 => Verdict::not_shown(why),
        _ => Verdict::passed(format!("{count} empty batches, and nothing differs")),
    }
}

/// What differs if the marks in a history are played, and not left out.
pub(super) fn same_without_marks(kit: &Kit, items: &[Item], cut: Cut) -> Option<String> {
    // Marks end a batch, so both are played with the batches that come of them.
    let without = |items: &[Item]| -> Result<Trace, Broke> {
        let mut player = Player::new(kit)?;
        for call in kit.calls(items, cut) {
            match call {
                Call::Other(item) if item.is_mark() => {}
                call => player.call(&call)?,
            }
        }
        Ok(player.trace)
    };
    if plain(items).len() == items.len() {
        return None;
    }
    let expected = without(items).ok()?;
    parting(kit, &expected, kit.play(items, cut)).map(|parting| parting.what)
}
