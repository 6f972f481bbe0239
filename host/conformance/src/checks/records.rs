//! The samples themselves: they never make it trap, stay within limits, and what comes of them is
//! whole.

use super::{FINDINGS_MAX, Verdict, found};
use crate::history::{Cut, Item};
use crate::kit::Kit;
use crate::mutate;
use crate::player::{Broke, Player};
use crate::report::Finding;
use pawl_core::operator::Failure;

/// Damaged records that are looked at for what comes back.
const MUTATED: usize = 400;

/// How often a time limit must be overstepped: once may be the machine's fault.
const SLOW_TIMES: usize = 3;

/// CF-06.
pub(super) fn never_trap(kit: &Kit) -> Verdict {
    let is_it =
        |broke: &Broke| broke.during == "process" && matches!(broke.failure, Failure::Trap(_));
    let findings = surveyed(kit, &is_it);
    let trace = &kit.survey.trace;
    let (rows, accepted) = (trace.rows().count(), trace.accepted());
    if findings.is_empty() && rows == 0 {
        return Verdict::not_shown("no record got through: see what failed below");
    }
    let rejected = rows - accepted;
    let detail = format!("{rows} records: {accepted} accepted, {rejected} rejected");
    match kit.survey.left_out {
        left_out if left_out > 0 && findings.is_empty() => Verdict::not_shown(format!(
            "there was no time for {left_out} more rows and ticks (fewer records, --records-max, \
             or more time, --time-max-s); seen until then: {detail}"
        )),
        _ => Verdict::of(findings, detail),
    }
}

/// CF-07.
pub(super) fn limits(kit: &Kit) -> Verdict {
    let is_it = |broke: &Broke| {
        let kind = matches!(broke.failure, Failure::Timeout(_) | Failure::Memory(_));
        kind && !broke.owes_without_end()
    };
    let findings = surveyed(kit, &is_it);
    if !findings.is_empty() {
        return Verdict::of(findings, "");
    }
    let (mut slow, mut memory) = (Vec::new(), 0);
    while slow.len() < SLOW_TIMES {
        let Ok(mut player) = Player::new(kit) else { break };
        let Ok(instance) = kit.impatient() else { break };
        player.instance = instance;
        match player.play(&kit.items, Cut::Every(64)) {
            Err(broke) if is_it(&broke) => slow.push(broke),
            _ => {
                memory = player.instance.memory_bytes();
                break;
            }
        }
        if slow.last().is_some_and(|broke| !broke.is_timeout()) {
            break;
        }
    }
    if let Some(broke) =
        slow.pop().filter(|broke| !broke.is_timeout() || slow.len() + 1 >= SLOW_TIMES)
    {
        let what = format!("over the samples, in batches of 64: {}", broke.text());
        return Verdict::of(vec![Finding { what, steps: Vec::new(), records: Vec::new() }], "");
    }
    if kit.items.is_empty() {
        return Verdict::not_shown("no record got through: see what failed above");
    }
    let calls = kit.items.len();
    let ms = kit.survey.time.as_millis();
    Verdict::passed(format!("{calls} calls in {ms} ms, {} KiB of memory", memory >> 10))
}

/// CF-08.
pub(super) fn well_formed(kit: &Kit) -> Verdict {
    let is_it = |broke: &Broke| {
        let kind = matches!(broke.failure, Failure::BadReturn(_)) && !broke.owes_without_end();
        kind && matches!(broke.during, "process" | "advance")
    };
    let mut findings = surveyed(kit, &is_it);
    let mut calls = kit.survey.trace.events.len();
    for (cut, items) in super::batches::plays(kit) {
        if kit.watch.is_law_over() || !findings.is_empty() {
            break;
        }
        let fails = |items: &[Item]| matching(kit.play(items, cut).err(), &is_it);
        if let Some(what) = fails(&items) {
            findings.push(found(kit, &items, cut, what, &fails));
        }
    }
    if findings.is_empty() {
        let odd = kit.with_inputs(odd_records(kit));
        let looked = super::hostile::each_alone(&odd, &is_it);
        findings.extend(looked.findings);
    }
    calls += kit.watch.calls();
    if findings.is_empty() && calls == 0 {
        return Verdict::not_shown("no call returned: see what failed above");
    }
    Verdict::of(findings, format!("{calls} calls, each with a whole outcome"))
}

/// Records that are not as the plugin expects them.
fn odd_records(kit: &Kit) -> Vec<crate::sample::Sample> {
    let sound = kit.sound_inputs();
    let mut odd = mutate::without_keys(&sound);
    odd.extend(mutate::without_values(&sound));
    odd.extend(mutate::damaged(&sound, kit.seed, MUTATED));
    odd
}

/// CF-09.
pub(super) fn more_ends(kit: &Kit) -> Verdict {
    let is_it = Broke::owes_without_end;
    let mut findings = surveyed(kit, &is_it);
    if findings.is_empty() && kit.items.is_empty() {
        return Verdict::not_shown("no record got through: see what failed above");
    }
    for cut in [Cut::Every(usize::MAX), Cut::Seeded(kit.seed)] {
        if !findings.is_empty() {
            break;
        }
        let fails = |items: &[Item]| matching(kit.play(items, cut).err(), &is_it);
        if let Some(what) = fails(&kit.items) {
            findings.push(found(kit, &kit.items, cut, what, &fails));
        }
    }
    Verdict::of(findings, "every call came to an end")
}

fn matching(broke: Option<Broke>, is_it: &dyn Fn(&Broke) -> bool) -> Option<String> {
    let broke = broke.filter(|broke| is_it(broke))?;
    let asked = match broke.asked {
        0 => String::new(),
        asked => format!(", after it asked {asked} times for another call"),
    };
    Some(format!("{}{asked}", broke.text()))
}

/// Whether to play it again takes its time.
fn is_slow(broke: &Broke) -> bool {
    broke.owes_without_end() || matches!(broke.failure, Failure::Timeout(_) | Failure::Memory(_))
}

/// The failures of the first look that are of this kind, each as small as can be.
fn surveyed(kit: &Kit, is_it: &dyn Fn(&Broke) -> bool) -> Vec<Finding> {
    let of_kind = kit.survey.failures.iter().filter(|(broke, _)| is_it(broke));
    let mut findings = Vec::new();
    for (broke, items) in of_kind.take(FINDINGS_MAX) {
        let what = matching(Some(broke.clone()), is_it).unwrap_or_default();
        let cut = Cut::Every(1);
        // What takes its whole time limit is not played a hundred times.
        if is_slow(broke) {
            if !findings.is_empty() {
                break;
            }
            let last = items.last().copied().into_iter().collect::<Vec<_>>();
            let alone = kit.play(&last, cut).err().is_some_and(|broke| is_it(&broke));
            let items = if alone { &last } else { items };
            findings.push(crate::shrink::finding(kit, what, items, cut));
            continue;
        }
        let fails = |items: &[Item]| matching(kit.play(items, cut).err(), is_it);
        findings.push(found(kit, items, cut, what, &fails));
    }
    findings
}
