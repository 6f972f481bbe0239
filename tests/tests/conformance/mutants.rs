//! Each mistake is found by exactly the law that it breaks. Laws that cannot be looked at because
//! of it are not shown; none of them fails.

use crate::{ended, people, plan, run};
use pawl_conformance::{Law, Outcome, Plan};
use std::collections::BTreeSet;
use std::time::Duration;

/// Which law each mistake breaks.
const MUTANTS: [(Law, &str); 59] = [
    (Law::Wiring, "output-named-twice"),
    (Law::ConfigurationNeverTraps, "configuration-traps"),
    (Law::ConfigurationErrors, "configuration-swallowed"),
    (Law::SamplesNeverTrap, "sample-traps"),
    (Law::Limits, "sample-hangs"),
    (Law::Limits, "sample-hoards"),
    (Law::WellFormed, "causes-from-one"),
    (Law::WellFormed, "ends-of-characters"),
    (Law::WellFormed, "kind-of-many-words"),
    (Law::WellFormed, "output-unknown"),
    (Law::WellFormed, "rejections-backwards"),
    (Law::WellFormed, "taken-too-many"),
    (Law::WellFormed, "times-too-few"),
    (Law::MoreEnds, "advance-more-without-end"),
    (Law::MoreEnds, "more-without-end"),
    (Law::SecondInstance, "address-told"),
    (Law::SecondInstance, "hash-order"),
    (Law::Taken, "taken-too-few"),
    (Law::BatchSize, "batch-size-told"),
    (Law::BatchSize, "calls-counted"),
    (Law::BatchSize, "clock-by-calls"),
    (Law::BatchSize, "repeats-within-a-batch-dropped"),
    (Law::Causes, "causes-all-first"),
    (Law::Causes, "causes-all-last"),
    (Law::EmptyBatch, "empty-batch-counts"),
    (Law::Snapshot, "snapshot-empties-windows"),
    (Law::Snapshot, "snapshot-too-large"),
    (Law::Snapshot, "snapshot-traps"),
    (Law::Snapshot, "snapshot-without-end"),
    (Law::Restore, "counter-forgotten"),
    (Law::Restore, "null-key-forgotten"),
    (Law::Restore, "period-forgotten"),
    (Law::Restore, "restore-forgets-a-part"),
    (Law::Restore, "restore-forgets-windows"),
    (Law::EqualParts, "parts-in-hash-order"),
    (Law::EqualParts, "snapshots-numbered"),
    (Law::Unchanged, "absent-before-given"),
    (Law::Unchanged, "change-unnoticed"),
    (Law::Unchanged, "part-numbers-move"),
    (Law::Unchanged, "removal-unnoticed"),
    (Law::DamagedState, "restore-reserves-what-it-is-told"),
    (Law::DamagedState, "restore-traps-cut-short"),
    (Law::DamagedState, "state-read-later"),
    (Law::Advance, "advance-steps-through-gaps"),
    (Law::Advance, "early-advance-traps"),
    (Law::Advance, "second-advance-traps"),
    (Law::Delay, "delay-undeclared"),
    (Law::Delay, "emits-at-time-zero"),
    (Law::Ahead, "advance-emits-beyond-the-watermark"),
    (Law::Ahead, "stamped-ahead"),
    (Law::AbsentKeys, "empty-key-traps"),
    (Law::AbsentKeys, "null-key-traps"),
    (Law::EmptyValues, "empty-value-traps"),
    (Law::EmptyValues, "tombstone-traps"),
    (Law::LargeValues, "large-value-traps"),
    (Law::MutatedRecords, "damaged-record-traps"),
    (Law::Memory, "leaks"),
    (Law::Memory, "windows-never-dropped"),
    (Law::Ids, "ids-constant"),
];

fn mutant_plan(mutant: &str) -> Plan {
    let config = format!(r#"{{"window_ms":1000,"mutant":"{mutant}"}}"#);
    plan("misbehaving_mutants", &config, people())
}

/// What became of a mutant, if that is not what should have.
fn wrong(law: Law, mutant: &str, seed: u64) -> Option<String> {
    let report = run(&Plan { seed, ..mutant_plan(mutant) });
    let failed = ended(&report, "failed");
    if failed != [law.id()] {
        return Some(format!("{mutant} should fail {}, and fails {failed:?}", law.id()));
    }
    let checked = report.laws.iter().find(|checked| checked.law == law)?;
    let Outcome::Failed(findings) = &checked.outcome else { return None };
    let said = findings.iter().all(|finding| !finding.what.is_empty() && finding.steps.len() <= 25);
    (!said).then(|| format!("{mutant}: {findings:?}"))
}

/// Every so many of the mutants: tests run side by side.
fn all_found(from: usize) {
    let some = MUTANTS.iter().skip(from).step_by(4);
    let mistakes: Vec<String> = some.filter_map(|(law, mutant)| wrong(*law, mutant, 1)).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn each_mistake_is_found_by_the_law_that_it_breaks_first_quarter() {
    all_found(0);
}

#[test]
fn each_mistake_is_found_by_the_law_that_it_breaks_second_quarter() {
    all_found(1);
}

#[test]
fn each_mistake_is_found_by_the_law_that_it_breaks_third_quarter() {
    all_found(2);
}

#[test]
fn each_mistake_is_found_by_the_law_that_it_breaks_last_quarter() {
    all_found(3);
}

#[test]
fn another_seed_finds_the_same_mistakes() {
    let some = MUTANTS.iter().filter(|(law, _)| *law > Law::SecondInstance).step_by(5);
    let mistakes: Vec<String> = some.filter_map(|(law, mutant)| wrong(*law, mutant, 9)).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn whatever_the_time_a_law_that_is_broken_never_passes() {
    for mutant in ["restore-forgets-windows", "change-unnoticed", "batch-size-told"] {
        for time_ms in [0, 20, 60, 200, 600, 1_500] {
            let time_max = Duration::from_millis(time_ms);
            let report = run(&Plan { time_max, ..mutant_plan(mutant) });
            assert_eq!(report.laws.len(), Law::ALL.len());
            let passed = ended(&report, "passed");
            let law = MUTANTS.iter().find(|(_, name)| *name == mutant).expect("it is there").0;
            assert!(!passed.contains(&law.id()), "{mutant} in {time_ms} ms: {:#?}", report.laws);
        }
    }
}

#[test]
fn what_is_asked_for_rests_on_laws_that_are_checked_too() {
    let mut asked = mutant_plan("hash-order");
    asked.laws = vec![Law::BatchSize, Law::Causes, Law::Restore];
    let report = run(&asked);
    assert_eq!(ended(&report, "failed"), [Law::SecondInstance.id()], "{:#?}", report.laws);
    assert_eq!(report.count("not-shown"), 3);
    // Nothing that is no plugin passes, whatever is asked for.
    let mut nothing = plan("misbehaving_liar", "{}", people());
    nothing.laws = vec![Law::BatchSize];
    assert_eq!(ended(&run(&nothing), "failed"), [Law::Description.id()]);
    nothing.bytes = b"this is not WebAssembly".to_vec();
    assert_eq!(ended(&run(&nothing), "failed"), [Law::Component.id()]);
}

#[test]
fn a_history_made_small_still_shows_what_broke() {
    for mutant in ["change-unnoticed", "removal-unnoticed"] {
        let mut asked = mutant_plan(mutant);
        asked.laws = vec![Law::Unchanged];
        let report = run(&asked);
        let Outcome::Failed(findings) = &report.laws[0].outcome else {
            panic!("{:?}", report.laws[0].outcome)
        };
        // What the host has is compared with the state at once, before it may change.
        let steps = &findings[0].steps;
        let [.., told, full] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!((told.as_str(), full.as_str()), ("snapshot", "snapshot in full"), "{steps:?}");
        // And it did change since the host was told before.
        assert!(steps.iter().any(|step| step.starts_with("process")), "{steps:?}");
    }
}

#[test]
fn no_mistake_and_no_law_is_without_a_test() {
    let source = include_str!("../../../plugins/misbehaving/mutants/src/names.rs");
    let names: BTreeSet<&str> = source.split('"').skip(1).step_by(2).collect();
    let tested: BTreeSet<&str> = MUTANTS.iter().map(|(_, mutant)| *mutant).collect();
    assert_eq!(tested, names);
    // The first two are broken before any configuration, by components of their own.
    let mut laws: BTreeSet<Law> = MUTANTS.iter().map(|(law, _)| *law).collect();
    laws.extend([Law::Component, Law::Description]);
    assert!(laws.into_iter().eq(Law::ALL));
}

#[test]
fn a_component_with_an_import_and_one_that_denies_its_state_are_found() {
    for (plugin, law) in
        [("misbehaving_smuggler", Law::Component), ("misbehaving_liar", Law::Description)]
    {
        let report = run(&plan(plugin, "{}", people()));
        assert_eq!(ended(&report, "failed"), [law.id()], "{plugin}");
        assert_eq!(report.laws.len(), Law::ALL.len());
    }
    let mut nothing = plan("misbehaving_liar", "{}", people());
    nothing.bytes = b"this is not WebAssembly".to_vec();
    assert_eq!(ended(&run(&nothing), "failed"), [Law::Component.id()]);
}

#[test]
fn what_broke_is_shown_with_few_records_and_the_same_again_by_its_seed() {
    let config = r#"{"window_ms":1000,"mutant":"repeats-within-a-batch-dropped"}"#;
    let mut plan = plan("misbehaving_mutants", config, people());
    plan.laws = vec![Law::BatchSize];
    let report = run(&plan);
    let Outcome::Failed(findings) = &report.laws[0].outcome else {
        panic!("{:?}", report.laws[0].outcome)
    };
    // The same value twice, in one batch; the kit may have made the second record of the first.
    assert_eq!(findings[0].steps.len(), 1, "{findings:?}");
    assert!(findings[0].records.len() <= 2, "{findings:?}");
    assert_eq!(report.json(), run(&plan).json());
}
