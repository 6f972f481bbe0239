//! States that nobody wrote: each is refused or taken up, and none may be a trap, neither in
//! `restore` nor when what was taken up is used. One state is held at a time: they may be large.

use super::state::points;
use super::{FINDINGS_MAX, Verdict};
use crate::history::{Cut, Item, before_end};
use crate::kit::Kit;
use crate::player::Player;
use crate::random::Random;
use crate::report::Finding;
use crate::trace::shown_bytes;
use pawl_core::operator::Failure;
use pawl_sandbox::RestoreError;

/// Bit flips and cuts of each state.
const FLIPS: usize = 150;
const CUTS: usize = 60;

/// Bytes of a huge part: the most that the contract allows.
const HUGE: usize = 8 << 20;

/// Rows that a state is used with.
const ROWS: usize = 8;

/// A state, and how it came to be.
struct Damaged {
    how: String,
    parts: Vec<Vec<u8>>,
    /// Whether only bytes within it are others: no length and no number of parts tells that.
    is_changed: bool,
}

/// What was seen so far.
struct Look<'k> {
    kit: &'k Kit,
    findings: Vec<Finding>,
    notes: Vec<String>,
    tried: usize,
    refused: usize,
    /// Nothing more is to be tried.
    ended: bool,
}

/// CF-19.
pub(super) fn damaged(kit: &Kit) -> Verdict {
    let mut random = Random::new(kit.seed, "state");
    let (findings, notes) = (Vec::new(), Vec::new());
    let mut look = Look { kit, findings, notes, tried: 0, refused: 0, ended: false };
    let foreign = foreign(&mut random);
    for version in &kit.description.restores {
        foreign.iter().all(|state| look.at(*version, state));
    }
    drop(foreign);
    for at in points(kit, "damage", 2) {
        if look.ended {
            break;
        }
        let Ok(mut player) = Player::new(kit) else { continue };
        if player.play(kit.items.get(..at).unwrap_or_default(), Cut::Every(8)).is_err() {
            continue;
        }
        let Ok(parts) = player.full_snapshot() else { continue };
        drop(player);
        for version in &kit.description.restores {
            near(&parts, at, &mut random, &mut |state| look.at(*version, &state));
        }
    }
    let Look { findings, notes, tried, refused, .. } = look;
    let taken = tried - refused;
    let detail = format!("{tried} states: {refused} refused, {taken} taken up, and used");
    Verdict::of(findings, detail).noting(notes)
}

enum Tried {
    Taken,
    Refused,
    /// The call, and how it failed.
    Broke(&'static str, Failure),
}

impl Look<'_> {
    /// Tries a state, and says whether to go on.
    fn at(&mut self, version: u32, state: &Damaged) -> bool {
        self.ended |= self.findings.len() >= FINDINGS_MAX || self.kit.watch.is_law_over();
        if self.ended {
            return false;
        }
        self.tried += 1;
        let (during, failure) = match tried(self.kit, version, &state.parts) {
            Tried::Taken => return true,
            Tried::Refused => {
                self.refused += 1;
                return true;
            }
            Tried::Broke(during, failure) => (during, failure),
        };
        let is_slow = matches!(failure, Failure::Timeout(_));
        let bytes: usize = state.parts.iter().map(Vec::len).sum();
        // Interpreted guests are slow, and nobody has to read so much at once.
        if is_slow && bytes >= HUGE {
            self.note(format!("{} takes over the time limit", state.how));
            return true;
        }
        if during != "restore" && state.is_changed {
            let failed = crate::trace::clipped(failure.message(), 200);
            let how = &state.how;
            self.note(format!(
                "{how}: it is taken up, and later {failed}; a checksum would tell it"
            ));
            return true;
        }
        self.findings.push(finding(state, version, during, &failure));
        self.ended |= is_slow;
        !self.ended
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < FINDINGS_MAX {
            self.notes.push(note);
        }
    }
}

/// Restores a state, and uses what is taken up: a snapshot, a batch, and the end of time.
fn tried(kit: &Kit, version: u32, parts: &[Vec<u8>]) -> Tried {
    let Ok(mut player) = Player::new(kit) else { return Tried::Refused };
    kit.watch.count();
    match player.instance.restore(version, parts) {
        Ok(()) => {}
        Err(RestoreError::Failed(failure)) => return Tried::Broke("restore", failure),
        Err(_) => return Tried::Refused,
    }
    let rows = kit.items.iter().rev().filter(|item| matches!(item, Item::Row(..))).take(ROWS);
    let mut items: Vec<Item> = rows.copied().collect();
    items.reverse();
    let end = kit.items.iter().skip(before_end(&kit.items).len());
    items.extend(end.filter(|item| matches!(item, Item::Tick(_))));
    let used = player.full_snapshot().and_then(|_| player.play(&items, Cut::Every(ROWS)));
    match used {
        // What it returns, and what it takes, are other laws'.
        Err(broke) if matches!(broke.failure, Failure::Trap(_)) => {
            Tried::Broke(broke.during, broke.failure)
        }
        _ => Tried::Taken,
    }
}

fn finding(state: &Damaged, version: u32, during: &str, failure: &Failure) -> Finding {
    let when = match during {
        "restore" => "restore fails".to_owned(),
        later => format!("restore takes it up, and {later} fails then"),
    };
    let what = format!(
        "{when} ({}: {}) on {}",
        failure.kind(),
        crate::trace::clipped(failure.message(), 200),
        state.how
    );
    let mut steps = vec![format!("restore of a state of version {version}, {}", state.how)];
    for (number, part) in state.parts.iter().take(3).enumerate() {
        steps.push(format!("part {number}: {}", shown_bytes(part)));
    }
    Finding { what, steps, records: Vec::new() }
}

/// States of another origin.
fn foreign(random: &mut Random) -> Vec<Damaged> {
    let noise = |bytes: usize, random: &mut Random| -> Vec<u8> {
        (0..bytes).map(|_| random.next() as u8).collect()
    };
    let mut states = Vec::new();
    let mut add = |how: &str, parts: Vec<Vec<u8>>| {
        states.push(Damaged { how: how.to_owned(), parts, is_changed: false });
    };
    add("one empty part", vec![Vec::new()]);
    add("a hundred empty parts", vec![Vec::new(); 100]);
    add("one byte", vec![vec![0]]);
    add("JSON", vec![b"{\"count\":1}".to_vec()]);
    add("a text", vec![b"this is not a state".to_vec()]);
    add("eight bytes of ones", vec![vec![0xff; 8]]);
    add("64 bytes of ones", vec![vec![0xff; 64]]);
    add("64 zeros", vec![vec![0; 64]]);
    for bytes in [1, 4, 5, 9, 16, 40, 300] {
        for _ in 0..8 {
            add("random bytes", vec![noise(bytes, random)]);
        }
    }
    add("many parts of random bytes", (0..300).map(|_| noise(20, random)).collect());
    add("8 MiB of zeros", vec![vec![0; HUGE]]);
    add("8 MiB of ones", vec![vec![0xff; HUGE]]);
    add("1 MiB of random bytes", vec![noise(HUGE >> 3, random)]);
    add("1 MiB of zeros", vec![vec![0; HUGE >> 3]]);
    states
}

/// States near to one that was written: cut, flipped, with parts missing, twice, or in disorder.
/// Ends when `give` says no.
fn near(parts: &[Vec<u8>], at: usize, random: &mut Random, give: &mut dyn FnMut(Damaged) -> bool) {
    let mut give = |how: &str, parts: Vec<Vec<u8>>, is_changed: bool| {
        let how = format!("{how} (state after {at} steps)");
        parts.is_empty() || give(Damaged { how, parts, is_changed })
    };
    let filled: Vec<usize> =
        (0..parts.len()).filter(|part| parts.get(*part).is_some_and(|p| !p.is_empty())).collect();
    for _ in 0..CUTS {
        let Some(part) = random.one_of(&filled) else { break };
        let mut cut = parts.to_vec();
        let Some(data) = cut.get_mut(*part) else { break };
        let bytes = random.below(data.len());
        data.truncate(bytes);
        if !give(&format!("part {part} cut to {bytes} bytes"), cut, false) {
            return;
        }
    }
    for _ in 0..FLIPS {
        let Some(part) = random.one_of(&filled) else { break };
        let mut changed = parts.to_vec();
        let Some(data) = changed.get_mut(*part) else { break };
        change(data, random);
        if !give(&format!("part {part} with bytes changed"), changed, true) {
            return;
        }
    }
    let count = parts.len();
    let longer = |part: &Vec<u8>| [part.as_slice(), &[0]].concat();
    let first = || parts.get(..count.saturating_sub(1)).unwrap_or_default().to_vec();
    let last = || parts.get(1..).unwrap_or_default().to_vec();
    // One after the other, each made when the one before is done with.
    let _all = give("the last part missing", first(), false)
        && give("the first part missing", last(), false)
        && give("all parts in reverse", parts.iter().rev().cloned().collect(), false)
        && give("all parts twice", [parts, parts].concat(), false)
        && give("a byte more in each part", parts.iter().map(longer).collect(), false)
        && give("one empty part more", [parts, &[Vec::new()]].concat(), false);
}

/// Changes a few bytes.
fn change(data: &mut [u8], random: &mut Random) {
    for _ in 0..=random.below(3) {
        // What is counted and measured stands in front more often than not.
        let reach = if random.below(2) == 0 { data.len() } else { data.len().min(24) };
        let byte = random.below(reach);
        if let Some(byte) = data.get_mut(byte) {
            *byte = match random.below(4) {
                0 => 0xff,
                1 => 0x7f,
                2 => *byte ^ (1 << random.below(8)),
                _ => random.next() as u8,
            };
        }
    }
}
