//! What the host has of each part, as the real one keeps it: data where it was given, and what it
//! had before where the plugin said "unchanged". It must be the state.

use super::state::{is_of_unchanged, parts_differ, points};
use super::{Verdict, found};
use crate::history::{Call, Cut, Item, marked};
use crate::kit::Kit;
use crate::player::{Broke, Player};
use crate::random::Random;
use crate::rounds::Round;

const CUT: Cut = Cut::Every(4);

/// How many parts were called unchanged, and how many given.
#[derive(Default)]
struct Seen {
    unchanged: usize,
    given: usize,
}

/// CF-18.
pub(super) fn unchanged(kit: &Kit) -> Verdict {
    if let Some(why) = kit.nothing_accepted() {
        return Verdict::not_shown(why);
    }
    let mut seen = Seen::default();
    for items in plays(kit) {
        if kit.watch.is_law_over() {
            break;
        }
        let fails = |items: &[Item]| stale(kit, items, &mut Seen::default());
        if let Some(what) = stale(kit, &items, &mut seen) {
            return Verdict::of(vec![found(kit, &items, CUT, what, &fails)], "");
        }
    }
    match (seen.unchanged, seen.given) {
        (0, 0) => Verdict::not_shown("no snapshot could be taken"),
        (0, given) => Verdict::passed(format!("{given} parts were given, none called unchanged")),
        (unchanged, given) => {
            Verdict::passed(format!("{unchanged} parts called unchanged were, {given} were given"))
        }
    }
}

/// Histories with snapshots: many that only tell changes, and then one in full; each in full right
/// after; and a new instance in between.
fn plays(kit: &Kit) -> Vec<Vec<Item>> {
    let mut plays = Vec::new();
    let mut random = Random::new(kit.seed, "unchanged");
    // Every so many items; fewer where a snapshot is dear.
    let most = kit.snapshots_max(200);
    let apart = |often: usize| (kit.items.len() / most).max(often);
    for end in points(kit, "unchanged", 4).into_iter().chain([kit.items.len()]) {
        for step in [apart(3), apart(17)] {
            let mut items = Vec::new();
            for item in kit.items.get(..end).unwrap_or_default() {
                items.push(*item);
                if random.below(step) == 0 {
                    items.push(Item::Snapshot(false));
                }
            }
            items.extend([Item::Snapshot(false), Item::Snapshot(true)]);
            plays.push(items);
        }
    }
    let mut both = Vec::new();
    for (at, item) in kit.items.iter().enumerate() {
        both.push(*item);
        // Parts come to be in the first records.
        if at < most.min(40) || random.below(apart(5)) == 0 {
            both.extend([Item::Snapshot(false), Item::Snapshot(true)]);
        }
    }
    both.extend([Item::Snapshot(false), Item::Snapshot(false), Item::Snapshot(true)]);
    // After a restore what was restored may be called unchanged, at once and some records later.
    for at in points(kit, "unchanged-restored", 2) {
        let restored = marked(&both, at.min(both.len()), Item::Restore);
        for behind in [1, 1 + random.below(12)] {
            let behind = (at + behind).min(restored.len());
            let items = marked(&restored, behind, Item::Snapshot(true));
            plays.push(marked(&items, behind, Item::Snapshot(false)));
        }
    }
    plays.push(both);
    // Many records between two snapshots, and all of it again when windows were closed.
    let (round, mut long) = (Round::new(kit), Vec::new());
    let large = super::batches::large(kit, super::batches::LARGE_ROWS);
    for items in [large, round.items(1), round.items(2)] {
        long.extend(items);
        long.extend([Item::Snapshot(false), Item::Snapshot(true)]);
    }
    plays.push(long);
    plays
}

/// What the host has of the state.
#[derive(Default)]
struct Held {
    parts: Vec<Vec<u8>>,
    /// Which of them were called unchanged in the last snapshot.
    unchanged: Vec<bool>,
}

impl Held {
    /// Takes a snapshot as a host does that wants to know what changed.
    fn take(&mut self, player: &mut Player<'_>, seen: &mut Seen) -> Result<(), Broke> {
        let broke = |failure| Broke { during: "snapshot", failure, events: 0, asked: 0 };
        let given = player.instance.snapshot(false).map_err(broke)?;
        let before = std::mem::take(self);
        for (number, part) in given.into_iter().enumerate() {
            self.unchanged.push(part.data.is_none());
            seen.given += usize::from(part.data.is_some());
            seen.unchanged += usize::from(part.data.is_none());
            let old = || before.parts.get(number).cloned().unwrap_or_default();
            self.parts.push(part.data.unwrap_or_else(old));
        }
        Ok(())
    }

    /// What is old in it, compared with the whole state. Parts that were given count only by
    /// their number: whether they are written alike twice is another law's.
    fn old(&self, full: &[Vec<u8>]) -> Option<String> {
        if self.parts.len() != full.len() {
            return parts_differ(&self.parts, full);
        }
        let mut pairs = self.unchanged.iter().zip(self.parts.iter().zip(full)).enumerate();
        let (number, (_, (held, now))) =
            pairs.find(|(_, (unchanged, (held, now)))| **unchanged && held != now)?;
        Some(format!(
            "part {number} was called unchanged, and has changed (the host has {} bytes, the state \
             {})",
            held.len(),
            now.len()
        ))
    }
}

/// Plays items, holds what a host would hold, and says what is old in it. Only a snapshot in full
/// right behind one that told changes is compared: what came in between would be no fault.
fn stale(kit: &Kit, items: &[Item], seen: &mut Seen) -> Option<String> {
    let mut player = Player::new(kit).ok()?;
    let (mut held, mut just_told) = (Held::default(), false);
    for call in kit.calls(items, CUT) {
        let was_just_told = std::mem::replace(&mut just_told, false);
        let result = match call {
            Call::Other(Item::Snapshot(false)) => {
                just_told = true;
                held.take(&mut player, seen)
            }
            Call::Other(Item::Snapshot(true)) => match player.full_snapshot() {
                Ok(full) => {
                    let old = held.old(&full).filter(|_| was_just_told);
                    if old.is_some() {
                        return old;
                    }
                    held = Held { unchanged: vec![false; full.len()], parts: full };
                    Ok(())
                }
                Err(broke) => Err(broke),
            },
            Call::Other(Item::Restore) => {
                let state = player.full_snapshot().ok()?;
                player = Player::new(kit).ok()?;
                player.instance.restore(kit.description.state_version, &state).ok()?;
                held = Held { unchanged: vec![false; state.len()], parts: state };
                Ok(())
            }
            call => player.call(&call),
        };
        if let Err(broke) = result {
            return is_of_unchanged(&broke).then(|| broke.text());
        }
    }
    None
}
