//! Snapshots on their way out and back: they change nothing, and a new instance goes on from one.

use super::batches::same_without_marks;
use super::second::moved_state;
use super::{Verdict, found};
use crate::history::{Cut, Item, before_end, marked};
use crate::kit::Kit;
use crate::player::{Broke, Player};
use crate::random::Random;
use crate::rounds::Round;

/// Seeded points at which a new instance takes over, one per play.
const POINTS: usize = 10;

/// CF-15.
pub(super) fn snapshot(kit: &Kit) -> Verdict {
    let mut items = kit.items.clone();
    let mut random = Random::new(kit.seed, "snapshots");
    let (mut at, mut count) = (0, 0);
    let most = kit.snapshots_max(100);
    while at <= items.len() && count < most {
        items = marked(&items, at, Item::Snapshot(random.below(2) == 0));
        count += 1;
        at += 2 + random.below(items.len() / most.min(30) + 6);
    }
    let cut = Cut::Every(5);
    let long =
        long_plays(kit).into_iter().map(|(items, at)| marked(&items, at, Item::Snapshot(true)));
    for items in [items.clone(), full_only(&items)].iter().chain(&long.collect::<Vec<_>>()) {
        if kit.watch.is_law_over() {
            break;
        }
        let fails = |items: &[Item]| {
            // That a part is absent which cannot be is another law's.
            let broke = kit.play(items, cut).err();
            if broke.is_some_and(|broke| is_of_unchanged(&broke)) {
                return None;
            }
            same_without_marks(kit, items, cut)
        };
        if let Some(what) = fails(items) {
            return Verdict::of(vec![found(kit, items, cut, what, &fails)], "");
        }
    }
    let state = Player::new(kit).and_then(|mut player| {
        player.play(before_end(&kit.items), cut)?;
        player.full_snapshot()
    });
    let (parts, bytes) = match state {
        Ok(state) => (state.len(), state.iter().map(Vec::len).sum::<usize>()),
        Err(_) => (0, 0),
    };
    Verdict::passed(format!("{count} snapshots; the last has {parts} parts of {bytes} bytes"))
}

/// Histories that are longer, each with a place in the midst of it: many records at once, and two
/// rounds, of which the second begins when all windows of the first are closed.
fn long_plays(kit: &Kit) -> Vec<(Vec<Item>, usize)> {
    let large = super::batches::large(kit, super::batches::LARGE_ROWS);
    let round = Round::new(kit);
    let rounds = [round.items(0), round.items(1)].concat();
    let mut random = Random::new(kit.seed, "long");
    let mut midst = |items: &[Item]| items.len() / 2 + random.below(items.len() / 4);
    let places = (midst(&large), midst(&rounds));
    vec![(large, places.0), (rounds, places.1)]
}

/// Places right behind the first rows that are unusual: what a state makes of them is in it there.
fn behind_unusual(kit: &Kit) -> Vec<usize> {
    let all = kit.items.iter().enumerate();
    let unusual = |item: &Item| matches!(item, Item::Row(input, _) if *input >= kit.samples);
    all.filter(|(_, item)| unusual(item)).map(|(at, _)| at + 1).step_by(2).take(6).collect()
}

fn full_only(items: &[Item]) -> Vec<Item> {
    let full = |item: &Item| match item {
        Item::Snapshot(_) => Item::Snapshot(true),
        other => *other,
    };
    items.iter().map(full).collect()
}

/// Whether a snapshot failed because it called a part unchanged that the host cannot have.
pub(super) fn is_of_unchanged(broke: &Broke) -> bool {
    let message = broke.failure.message();
    broke.during == "snapshot"
        && (message.contains("absent from a full") || message.contains("called unchanged"))
}

/// Seeded places in the history: the begin, the end, and some in between.
pub(super) fn points(kit: &Kit, purpose: &str, count: usize) -> Vec<usize> {
    let mut random = Random::new(kit.seed, purpose);
    let rows = before_end(&kit.items).len();
    let mut points: Vec<usize> = (0..count).map(|_| random.below(rows + 1)).collect();
    points.extend([0, 1, rows / 2, rows]);
    points.sort_unstable();
    points.dedup();
    points
}

/// CF-16.
pub(super) fn restore(kit: &Kit) -> Verdict {
    if let Some(why) = kit.nothing_seen() {
        return Verdict::not_shown(why);
    }
    let cut = Cut::Every(4);
    let mut points = points(kit, "restore", POINTS);
    points.extend(behind_unusual(kit));
    points.sort_unstable();
    points.dedup();
    let mut plays: Vec<Vec<Item>> =
        points.iter().map(|at| marked(&kit.items, *at, Item::Restore)).collect();
    let many = points.iter().rev().fold(kit.items.clone(), |i, at| marked(&i, *at, Item::Restore));
    plays.push(many);
    plays.extend(long_plays(kit).into_iter().map(|(items, at)| marked(&items, at, Item::Restore)));
    let (mut no_state, mut restores) = (None, 0);
    for items in &plays {
        if kit.watch.is_law_over() {
            break;
        }
        let broke = kit.play(items, cut).err().filter(|broke| !broke.is_over());
        if let Some(broke) = broke.filter(|broke| broke.during == "snapshot") {
            no_state = Some(broke.text());
            continue;
        }
        let fails = |items: &[Item]| {
            let broke = kit.play(items, cut).err();
            if broke.is_some_and(|broke| broke.during == "snapshot") {
                return None;
            }
            same_without_marks(kit, items, cut)
        };
        if let Some(what) = fails(items) {
            let what = format!("after a restore {what}");
            let again = |items: &[Item]| fails(items).map(|what| format!("after a restore {what}"));
            return Verdict::of(vec![found(kit, items, cut, what, &again)], "");
        }
        restores += items.iter().filter(|item| **item == Item::Restore).count();
    }
    if let Some(why) = no_state {
        return Verdict::not_shown(format!("there is no full snapshot to restore: {why}"));
    }
    Verdict::passed(format!("{restores} restores, and all emissions the same"))
}

/// CF-17.
pub(super) fn equal_parts(kit: &Kit) -> Verdict {
    if let Some(why) = kit.nothing_accepted() {
        return Verdict::not_shown(why);
    }
    let cut = Cut::Every(8);
    let (mut compared, mut bytes) = (0, 0);
    let mut histories: Vec<Vec<Item>> = points(kit, "parts", 6)
        .into_iter()
        .map(|at| kit.items.get(..at).unwrap_or_default().to_vec())
        .collect();
    histories.extend(
        long_plays(kit).into_iter().map(|(items, at)| items.get(..at).unwrap_or_default().to_vec()),
    );
    for items in &histories {
        if kit.watch.is_law_over() {
            break;
        }
        let fails = |items: &[Item]| unequal(kit, items, cut);
        if let Some(what) = fails(items) {
            return Verdict::of(vec![found(kit, items, cut, what, &fails)], "");
        }
        if let Ok(state) = state_after(kit, items, cut) {
            compared += 1;
            bytes = bytes.max(state.iter().map(Vec::len).sum::<usize>());
        }
    }
    let items = before_end(&kit.items);
    let fails = |items: &[Item]| moved_state(kit, items);
    if let Some(what) = fails(items) {
        return Verdict::of(vec![found(kit, items, cut, what, &fails)], "");
    }
    match compared {
        0 => Verdict::not_shown("there is no full snapshot to compare"),
        _ => Verdict::passed(format!("{compared} states of up to {bytes} bytes, written alike")),
    }
}

fn state_after(kit: &Kit, items: &[Item], cut: Cut) -> Result<Vec<Vec<u8>>, Broke> {
    let mut player = Player::new(kit)?;
    player.play(items, cut)?;
    player.full_snapshot()
}

/// What differs between parts of states that must be equal, if anything.
fn unequal(kit: &Kit, items: &[Item], cut: Cut) -> Option<String> {
    let mut player = Player::new(kit).ok()?;
    player.play(items, cut).ok()?;
    let first = player.full_snapshot().ok()?;
    if let Some(what) = parts_differ(&first, &player.full_snapshot().ok()?) {
        return Some(format!("two snapshots, one after the other: {what}"));
    }
    let mut given = Player::new(kit).ok()?;
    given.play(items, cut).ok()?;
    let parts = given.instance.snapshot(false).ok()?;
    let parts: Option<Vec<Vec<u8>>> = parts.into_iter().map(|part| part.data).collect();
    if let Some(what) = parts.and_then(|parts| parts_differ(&first, &parts)) {
        return Some(format!("a snapshot of what changed, all of it, and one in full: {what}"));
    }
    if let Some(what) = parts_differ(&first, &state_after(kit, items, cut).ok()?) {
        return Some(format!("two instances after the same input: {what}"));
    }
    let mut restored = Player::new(kit).ok()?;
    restored.instance.restore(kit.description.state_version, &first).ok()?;
    let after = restored.full_snapshot().ok()?;
    let what = parts_differ(&first, &after)?;
    Some(format!("a state restored and written again: {what}"))
}

/// The first part in which two states differ.
pub(super) fn parts_differ(one: &[Vec<u8>], two: &[Vec<u8>]) -> Option<String> {
    if one.len() != two.len() {
        return Some(format!("{} parts, and then {}", one.len(), two.len()));
    }
    let part = one.iter().zip(two).position(|(one, two)| one != two)?;
    let (one, two) = (one.get(part)?, two.get(part)?);
    let byte = one.iter().zip(two).position(|(one, two)| one != two);
    let place = match byte {
        Some(byte) => format!("from byte {byte} on"),
        None => "in its length".to_owned(),
    };
    Some(format!("part {part} differs {place} ({} bytes, and then {})", one.len(), two.len()))
}
