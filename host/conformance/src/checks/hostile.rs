//! Records as they should not be: each is given on its own, and none may make it trap.

use super::{FINDINGS_MAX, Verdict, found};
use crate::history::{Call, Cut, Item};
use crate::kit::Kit;
use crate::mutate;
use crate::player::{Broke, Player};
use crate::report::Finding;
use crate::sample::Sample;
use pawl_core::record::NO_TIME;

/// Damaged records that are given.
const MUTATED: usize = 1500;

/// CF-23.
pub(super) fn absent_keys(kit: &Kit) -> Verdict {
    let mut records = mutate::without_keys(&kit.sound_inputs());
    if !kit.wiring.wants.is_empty() {
        records.extend(mutate::without_headers(&kit.sound_inputs()));
    }
    never_trap(kit, records)
}

/// CF-24.
pub(super) fn empty_values(kit: &Kit) -> Verdict {
    never_trap(kit, mutate::without_values(&kit.sound_inputs()))
}

/// CF-25.
pub(super) fn large_values(kit: &Kit) -> Verdict {
    never_trap(kit, mutate::large(&kit.sound_inputs(), kit.seed))
}

/// CF-26.
pub(super) fn mutated(kit: &Kit) -> Verdict {
    let sound = kit.sound_inputs();
    let damaged = mutate::damaged(&sound, kit.seed, MUTATED);
    if damaged.is_empty() && !sound.is_empty() {
        return Verdict::not_shown(format!(
            "no sample has a value of 1 to {} KiB, of which damaged ones are made",
            mutate::DAMAGED_BYTES_MAX >> 10
        ));
    }
    let verdict = never_trap(kit, damaged);
    let mut notes = Vec::new();
    let first = kit.items.iter().find_map(|item| match item {
        Item::Row(input, _) => Some(*input),
        _ => None,
    });
    if let Some(Err(broke)) =
        first.map(|input| kit.play(&[Item::Row(input, NO_TIME)], Cut::Every(1)))
        && broke.is_trap()
    {
        notes.push(format!(
            "a record without event time (i64::MIN) breaks it ({}): only for stages that have a \
             watermark",
            broke.text()
        ));
    }
    verdict.noting(notes)
}

fn never_trap(kit: &Kit, records: Vec<Sample>) -> Verdict {
    let kit = kit.with_inputs(records);
    let is_it = |broke: &Broke| broke.is_trap() && !broke.owes_without_end();
    let Looked { findings, given, accepted } = each_alone(&kit, &is_it);
    if given == 0 {
        return Verdict::not_shown("no record got through that could be changed");
    }
    let of =
        if given < kit.inputs.len() { format!(" of {}", kit.inputs.len()) } else { String::new() };
    let rejected = given - accepted;
    Verdict::of(findings, format!("{given}{of} records: {accepted} accepted, {rejected} rejected"))
}

/// Bytes of records after which time passes, and an instance begins anew.
const HELD_BYTES_MAX: usize = 4 << 20;

/// What a look at records, one by one, showed.
pub(super) struct Looked {
    pub findings: Vec<Finding>,
    pub given: usize,
    pub accepted: usize,
}

/// Gives each input of the kit in a call of its own, and at last lets all time pass. What fails
/// is a finding if `is_it` says so. An instance gets so many bytes: it may hold all it gets until
/// the watermark moves.
pub(super) fn each_alone(kit: &Kit, is_it: &dyn Fn(&Broke) -> bool) -> Looked {
    let mut looked = Looked { findings: Vec::new(), given: 0, accepted: 0 };
    let time = kit.times.first().copied().unwrap_or(0);
    let mut so_far: Vec<Item> = Vec::new();
    let mut held = 0;
    let Ok(mut player) = Player::new(kit) else { return looked };
    for (input, sample) in kit.inputs.iter().enumerate() {
        if looked.findings.len() >= FINDINGS_MAX || kit.watch.is_law_over() {
            break;
        }
        let bytes = sample.value.as_ref().map_or(0, Vec::len);
        if held > 0 && held + bytes > HELD_BYTES_MAX {
            pass_time(kit, &mut player, &so_far, is_it, &mut looked);
            looked.accepted += player.trace.accepted();
            let Ok(fresh) = Player::new(kit) else { return looked };
            (player, held) = (fresh, 0);
            so_far.clear();
        }
        held += bytes;
        looked.given += 1;
        so_far.push(Item::Row(input, time));
        let Err(broke) = player.call(&Call::Rows(vec![(input, time)])) else { continue };
        if broke.is_over() {
            looked.given -= 1;
            break;
        }
        if is_it(&broke) {
            looked.findings.push(smallest(kit, &so_far, &broke, is_it));
        }
        let is_slow = broke.is_timeout() || broke.owes_without_end();
        looked.accepted += player.trace.accepted();
        so_far.clear();
        match Player::new(kit) {
            Ok(fresh) if !is_slow => (player, held) = (fresh, 0),
            _ => return looked,
        }
    }
    looked.accepted += player.trace.accepted();
    pass_time(kit, &mut player, &so_far, is_it, &mut looked);
    looked
}

/// Lets all windows close, if nothing failed yet.
fn pass_time(
    kit: &Kit,
    player: &mut Player<'_>,
    so_far: &[Item],
    is_it: &dyn Fn(&Broke) -> bool,
    looked: &mut Looked,
) {
    let time = kit.times.first().copied().unwrap_or(0);
    let delay = i64::try_from(kit.wiring.delay).unwrap_or(i64::MAX);
    let end = time.saturating_add(delay).saturating_add(60_000);
    if looked.findings.is_empty()
        && let Err(broke) = player.call(&Call::Other(Item::Tick(end)))
        && is_it(&broke)
        && !kit.survey_advance_fails(end)
    {
        let items = [so_far, &[Item::Tick(end)]].concat();
        looked.findings.push(smallest(kit, &items, &broke, is_it));
    }
}

fn smallest(kit: &Kit, items: &[Item], broke: &Broke, is_it: &dyn Fn(&Broke) -> bool) -> Finding {
    let cut = Cut::Every(1);
    let alone: Vec<Item> = items.last().copied().into_iter().collect();
    let fails = |items: &[Item]| {
        let broke = kit.play(items, cut).err().filter(|broke| is_it(broke))?;
        Some(broke.text())
    };
    if fails(&alone).is_some() || broke.is_timeout() {
        return crate::shrink::finding(kit, broke.text(), &alone, cut);
    }
    found(kit, items, cut, broke.text(), &fails)
}

impl Kit {
    /// Whether `advance` fails without any record, which is another law's.
    fn survey_advance_fails(&self, end: i64) -> bool {
        self.play(&[Item::Tick(end)], Cut::Every(1)).is_err()
    }
}
