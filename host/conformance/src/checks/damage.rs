//! States that nobody wrote: each is refused or taken up, and none may be a trap.

use super::state::points;
use super::{FINDINGS_MAX, Verdict};
use crate::history::Cut;
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

/// A state, and how it came to be.
struct Damaged {
    how: String,
    parts: Vec<Vec<u8>>,
}

/// CF-19.
pub(super) fn damaged(kit: &Kit) -> Verdict {
    let mut random = Random::new(kit.seed, "state");
    let mut states = foreign(&mut random);
    for at in points(kit, "damage", 2) {
        let Ok(mut player) = Player::new(kit) else { continue };
        if player.play(kit.items.get(..at).unwrap_or_default(), Cut::Every(8)).is_err() {
            continue;
        }
        if let Ok(parts) = player.full_snapshot() {
            states.extend(near(&parts, at, &mut random));
        }
    }
    let (mut findings, mut notes) = (Vec::new(), Vec::new());
    let (mut refused, mut tried) = (0, 0);
    for version in &kit.description.restores {
        for state in &states {
            if findings.len() >= FINDINGS_MAX || kit.is_law_over() {
                break;
            }
            tried += 1;
            match restored(kit, *version, &state.parts) {
                Tried::Taken => {}
                Tried::Refused => refused += 1,
                Tried::Broke(failure) => {
                    let is_slow = matches!(failure, Failure::Timeout(_));
                    let bytes: usize = state.parts.iter().map(Vec::len).sum();
                    // Interpreted guests are slow, and nobody has to read so much at once.
                    if is_slow && bytes >= HUGE {
                        notes.push(format!("{} takes over the time limit", state.how));
                        continue;
                    }
                    findings.push(finding(state, *version, &failure));
                    if is_slow {
                        return Verdict::of(findings, "").noting(notes);
                    }
                }
            }
        }
    }
    let taken = tried - refused;
    let detail = format!("{tried} states: {refused} refused, {taken} taken up");
    Verdict::of(findings, detail).noting(notes)
}

enum Tried {
    Taken,
    Refused,
    Broke(Failure),
}

fn restored(kit: &Kit, version: u32, parts: &[Vec<u8>]) -> Tried {
    let Ok(mut instance) = kit.instance(&kit.config) else { return Tried::Refused };
    match instance.restore(version, parts) {
        Ok(()) => Tried::Taken,
        Err(RestoreError::Failed(failure @ Failure::BadReturn(_))) => Tried::Broke(failure),
        Err(RestoreError::Failed(failure)) => Tried::Broke(failure),
        Err(_) => Tried::Refused,
    }
}

fn finding(state: &Damaged, version: u32, failure: &Failure) -> Finding {
    let what = format!(
        "restore fails ({}: {}) on {}",
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
        states.push(Damaged { how: how.to_owned(), parts });
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
fn near(parts: &[Vec<u8>], at: usize, random: &mut Random) -> Vec<Damaged> {
    let mut states = Vec::new();
    let mut add = |how: String, parts: Vec<Vec<u8>>| {
        if !parts.is_empty() {
            states.push(Damaged { how: format!("{how} (state after {at} steps)"), parts });
        }
    };
    let filled: Vec<usize> =
        (0..parts.len()).filter(|part| parts.get(*part).is_some_and(|p| !p.is_empty())).collect();
    for _ in 0..CUTS {
        let Some(part) = random.one_of(&filled) else { break };
        let mut cut = parts.to_vec();
        if let Some(data) = cut.get_mut(*part) {
            let bytes = random.below(data.len());
            data.truncate(bytes);
            add(format!("part {part} cut to {bytes} bytes"), cut);
        }
    }
    for _ in 0..FLIPS {
        let Some(part) = random.one_of(&filled) else { break };
        let mut flipped = parts.to_vec();
        for _ in 0..=random.below(3) {
            let Some(data) = flipped.get_mut(*part) else { continue };
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
        add(format!("part {part} with bytes changed"), flipped);
    }
    let count = parts.len();
    add(
        "the last part missing".to_owned(),
        parts.get(..count.saturating_sub(1)).unwrap_or_default().to_vec(),
    );
    add("the first part missing".to_owned(), parts.get(1..).unwrap_or_default().to_vec());
    add("all parts in reverse".to_owned(), parts.iter().rev().cloned().collect());
    add("all parts twice".to_owned(), [parts, parts].concat());
    add("a byte more in each part".to_owned(), {
        let longer = |part: &Vec<u8>| [part.as_slice(), &[0]].concat();
        parts.iter().map(longer).collect()
    });
    add("one empty part more".to_owned(), [parts, &[Vec::new()]].concat());
    states
}
