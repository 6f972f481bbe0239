//! Ids that a plugin gives: behind dedup, what bears the id of something else is lost.
//!
//! That the same id comes again may be meant: of several values for a key and window the first is
//! to count. So values alone tell nothing but a note; different keys, or one id for all, do.

use super::{Verdict, found};
use crate::history::{Cut, Item};
use crate::kit::Kit;
use crate::sample::is_made_key;
use crate::trace::{Emitted, Trace, shown};
use std::collections::{BTreeMap, BTreeSet};

/// So many different emissions under one id, and none under another, are no choice.
const ALL_ALIKE: usize = 8;

/// CF-28.
pub(super) fn ids(kit: &Kit) -> Verdict {
    if let Some(why) = kit.nothing_seen() {
        return Verdict::not_shown(why);
    }
    let items = once(kit);
    let trace = match kit.play(&items, Cut::Every(1)) {
        Ok(trace) => trace,
        Err(broke) => return Verdict::not_shown(format!("the play ended early: {}", broke.text())),
    };
    // Keys of our own making do not belong to the records, so they tell nothing.
    let by_key = !kit.inputs.iter().all(|sample| sample.key.as_deref().is_none_or(is_made_key));
    if let Some(what) = mixed_up(&trace, by_key) {
        let fails = |items: &[Item]| mixed_up(&kit.play(items, Cut::Every(1)).ok()?, by_key);
        return Verdict::of(vec![found(kit, &items, Cut::Every(1), what, &fails)], "");
    }
    let given: BTreeSet<_> = all(&trace).filter_map(|emitted| emitted.id.as_ref()).collect();
    let notes = same_key(&trace).into_iter().collect();
    let detail = match given.len() {
        0 => "it gives none, and the host derives them".to_owned(),
        given => format!("{given} different ids"),
    };
    Verdict::passed(detail).noting(notes)
}

/// The history with each sample in it once: one that comes again may cause the same again.
fn once(kit: &Kit) -> Vec<Item> {
    let mut known = BTreeSet::new();
    let first = |item: &&Item| match item {
        Item::Row(input, _) => kit
            .inputs
            .get(..kit.samples)
            .and_then(|samples| samples.get(*input))
            .is_some_and(|sample| known.insert(&sample.value)),
        _ => true,
    };
    kit.items.iter().filter(first).copied().collect()
}

fn all(trace: &Trace) -> impl Iterator<Item = &Emitted> {
    trace.events.iter().flat_map(|event| &event.made)
}

/// Emissions to the same output that bear the same id and have nothing in common.
fn mixed_up(trace: &Trace, by_key: bool) -> Option<String> {
    let mut known: BTreeMap<(u8, &[u8]), &Emitted> = BTreeMap::new();
    for emitted in all(trace) {
        let Some(id) = &emitted.id else { continue };
        let first = known.entry((emitted.output, id)).or_insert(emitted);
        if by_key && first.key != emitted.key {
            return Some(format!(
                "emissions with the keys {} and {} bear the same id, {}",
                shown(&first.key),
                shown(&emitted.key),
                shown(&emitted.id)
            ));
        }
    }
    for output in known.keys().map(|(output, _)| *output).collect::<BTreeSet<u8>>() {
        let of_output = || all(trace).filter(|emitted| emitted.output == output);
        let ids: BTreeSet<_> = of_output().map(|emitted| &emitted.id).collect();
        let values: BTreeSet<_> = of_output().map(|emitted| &emitted.value).collect();
        if ids.len() == 1 && values.len() >= ALL_ALIKE {
            let id = ids.first().map(|id| shown(id)).unwrap_or_default();
            return Some(format!("{} different emissions all bear the id {id}", values.len()));
        }
    }
    None
}

/// Emissions of the same key and id, and different values.
fn same_key(trace: &Trace) -> Option<String> {
    let mut known: BTreeMap<(u8, &[u8]), &Emitted> = BTreeMap::new();
    for emitted in all(trace) {
        let Some(id) = &emitted.id else { continue };
        let first = known.entry((emitted.output, id)).or_insert(emitted);
        if first.value != emitted.value {
            return Some(format!(
                "two different values of the key {} bear the id {}: behind dedup only the first \
                 takes effect",
                shown(&emitted.key),
                shown(&emitted.id)
            ));
        }
    }
    None
}
