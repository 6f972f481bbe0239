//! One function per law. Each plays histories, says what it saw, and never fails a plugin for what
//! the contract leaves free.

mod batches;
mod component;
mod configuration;
mod damage;
mod memory;
mod records;
mod hostile;
mod ids;
mod second;
mod state;
mod time;
mod unchanged;

use crate::history::{Cut, Item};
use crate::kit::Kit;
use crate::law::Law;
use crate::player::Broke;
use crate::report::{Checked, Finding, Outcome};
use crate::shrink;
use crate::trace::Trace;

/// What a check came to.
pub(crate) struct Verdict {
    pub outcome: Outcome,
    pub notes: Vec<String>,
}

/// Findings of one law that a person is shown at most.
pub(crate) const FINDINGS_MAX: usize = 3;

impl Verdict {
    pub fn passed(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Passed(detail.into()), notes: Vec::new() }
    }

    pub fn not_shown(why: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotShown(why.into()), notes: Vec::new() }
    }

    /// Failed if there are findings, else passed with this detail.
    pub fn of(findings: Vec<Finding>, detail: impl Into<String>) -> Self {
        let outcome = match findings.is_empty() {
            true => Outcome::Passed(detail.into()),
            false => Outcome::Failed(findings),
        };
        Self { outcome, notes: Vec::new() }
    }

    pub fn noting(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }
}

/// Checks one law; whatever it rests on has not failed.
pub(crate) fn check(kit: &Kit, law: Law) -> Checked {
    let Verdict { outcome, notes } = match law {
        Law::Component => Verdict::passed(crate::run::LOADS),
        Law::Description => component::description(kit),
        Law::Wiring => component::wiring(kit),
        Law::ConfigurationNeverTraps => configuration::never_traps(kit),
        Law::ConfigurationErrors => configuration::errors(kit),
        Law::SamplesNeverTrap => records::never_trap(kit),
        Law::Limits => records::limits(kit),
        Law::WellFormed => records::well_formed(kit),
        Law::MoreEnds => records::more_ends(kit),
        Law::SecondInstance => second::second_instance(kit),
        Law::Taken => batches::taken(kit),
        Law::BatchSize => batches::batch_size(kit),
        Law::Causes => batches::causes(kit),
        Law::EmptyBatch => batches::empty(kit),
        Law::Snapshot => state::snapshot(kit),
        Law::Restore => state::restore(kit),
        Law::Unchanged => unchanged::unchanged(kit),
        Law::EqualParts => state::equal_parts(kit),
        Law::DamagedState => damage::damaged(kit),
        Law::Advance => time::advance(kit),
        Law::Delay => time::delay(kit),
        Law::Ahead => time::ahead(kit),
        Law::AbsentKeys => hostile::absent_keys(kit),
        Law::EmptyValues => hostile::empty_values(kit),
        Law::LargeValues => hostile::large_values(kit),
        Law::MutatedRecords => hostile::mutated(kit),
        Law::Memory => memory::memory(kit),
        Law::Ids => ids::ids(kit),
    };
    let outcome = match outcome {
        Outcome::Passed(detail) if kit.watch.was_late() => Outcome::NotShown(format!(
            "the time for one law was over before all was played (fewer records, --records-max, \
             or more time, --time-max-s); seen until then: {detail}"
        )),
        outcome => outcome,
    };
    Checked { law, outcome, notes }
}

/// How two ways to play the same history part, if they do.
pub(crate) struct Parting {
    pub what: String,
    pub only_causes: bool,
    pub only_order: bool,
}

/// Compares what came of a play with what should have. A play that broke parts, too, but not one
/// that there was no time for.
pub(crate) fn parting(kit: &Kit, expected: &Trace, found: Result<Trace, Broke>) -> Option<Parting> {
    match found {
        Err(broke) if broke.is_over() => None,
        Err(broke) => Some(Parting {
            what: format!("{} breaks there: {}", broke.during, broke.text()),
            only_causes: false,
            only_order: false,
        }),
        Ok(found) => {
            expected.difference(&found, |input| kit.name(input)).map(|difference| Parting {
                what: difference.what,
                only_causes: difference.only_causes,
                only_order: difference.only_order,
            })
        }
    }
}

/// The items without marks.
pub(crate) fn plain(items: &[Item]) -> Vec<Item> {
    items.iter().copied().filter(|item| !item.is_mark()).collect()
}

/// Makes a finding of a history: first as small as can be, then in words.
pub(crate) fn found(
    kit: &Kit,
    items: &[Item],
    cut: Cut,
    what: String,
    fails: &dyn Fn(&[Item]) -> Option<String>,
) -> Finding {
    let (items, what) = shrink::smallest(items, what, fails);
    shrink::finding(kit, what, &items, cut)
}
