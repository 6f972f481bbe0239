//! Guests that misbehave while they compute, each with what must happen: the failure told apart,
//! the instance unusable, the host and every other instance untouched.

use crate::{batch, start};
use pawl_core::operator::{Failure, Operator, Verdict};
use pawl_sandbox::{Component, Engine, EngineOptions, Error, Instance, Limits};

/// One call with a batch of three in which the middle value is the order.
fn order(instance: &mut Instance, value: &str) -> Result<usize, Failure> {
    instance.process(&batch(&["a", value, "b"])).map(|outcome| outcome.emissions.len())
}

#[test]
fn an_honest_guest_gives_back_what_it_got() {
    let mut honest = start("").unwrap();
    let mut input = batch(&["a", "", "c"]);
    input.values.push(None);
    input.keys.push(None);
    input.event_times.push(i64::MIN);
    input.headers[0].push(Some(b"\xff\x00"));
    let outcome = honest.process(&input).unwrap();
    assert_eq!((outcome.taken, outcome.more), (4, false));
    assert_eq!(outcome.emissions.keys, input.keys);
    assert_eq!(outcome.emissions.values, input.values);
    assert_eq!(outcome.emissions.event_times, input.event_times);
    assert_eq!(outcome.emissions.headers, input.headers);
    assert_eq!(outcome.emissions.causes, [0, 1, 2, 3]);
    assert_eq!(honest.advance(7).unwrap().emissions.event_times, [7]);
    assert_eq!(honest.process(&batch(&[])).unwrap().taken, 0);
    assert_eq!(honest.description().name, "misbehaving");
    assert_eq!(honest.wiring().outputs, ["out", "side"]);
    assert_eq!(honest.digest().len(), 64);
    assert!(honest.memory_bytes() > 1 << 20);
}

#[test]
fn each_way_to_fail_is_told_apart_and_poisons_only_its_own_instance() {
    let cases = [
        ("trap", "trap"),
        ("recurse", "trap"),
        ("loop", "timeout"),
        ("hoard", "memory"),
        ("flood", "memory"),
    ];
    let mut bystander = start("by-value").unwrap();
    for (value, kind) in cases {
        let mut instance = start("by-value").unwrap();
        assert_eq!(order(&mut instance, "well").unwrap(), 3);
        let failure = order(&mut instance, value).unwrap_err();
        assert_eq!(failure.kind(), kind, "{value}: {failure:?}");
        assert!(failure.message().starts_with("process "), "{failure:?}");
        let Failure::Trap(after) = order(&mut instance, "well").unwrap_err() else {
            panic!("a poisoned instance computed")
        };
        assert!(after.contains("not usable after a failure in process"), "{after}");
        assert!(instance.advance(1).is_err() && instance.snapshot(true).is_err());
        assert_eq!(instance.memory_bytes(), 0, "the memory of a failed guest is freed");
        assert_eq!(order(&mut bystander, "well").unwrap(), 3, "another instance was touched");
    }
}

#[test]
fn an_output_over_its_bound_is_a_bad_return_and_names_the_bound() {
    let limits = Limits { output_bytes_max: 1 << 20, ..Limits::default() };
    let config = r#"{"mode":"by-value"}"#;
    let mut flood = crate::MISBEHAVING.instantiate(config, &limits).unwrap();
    let failure = order(&mut flood, "flood").unwrap_err();
    assert_eq!(failure.kind(), "bad-return");
    assert!(failure.message().contains("1048576 bytes"), "{failure:?}");
    let mut honest = crate::MISBEHAVING.instantiate(config, &limits).unwrap();
    honest.process(&batch(&["x".repeat(900_000).as_str()])).unwrap();
    let failure = honest.process(&batch(&["x".repeat(1 << 20).as_str()])).unwrap_err();
    assert_eq!(failure.kind(), "bad-return");
}

#[test]
fn a_guest_may_be_refused_memory_and_go_on() {
    let mut greedy = start("by-value").unwrap();
    assert_eq!(order(&mut greedy, "greedy").unwrap(), 3);
    let failure = order(&mut greedy, "trap").unwrap_err();
    assert_eq!(failure.kind(), "trap", "a refusal long ago is no memory limit: {failure:?}");
}

#[test]
fn endless_more_is_paid_out_call_by_call_and_never_inside_one() {
    let mut endless = start("by-value").unwrap();
    let outcome = endless.process(&batch(&["more"])).unwrap();
    assert!(outcome.more && outcome.taken == 1);
    for _ in 0..1_000 {
        let outcome = endless.process(&batch(&[])).unwrap();
        assert_eq!(outcome.emissions.causes, [u32::MAX]);
        assert!(outcome.more, "so the caller can count the calls, and end it");
    }
    let mut honest = start("by-value").unwrap();
    assert!(!honest.process(&batch(&["well"])).unwrap().more);
    assert_eq!(honest.process(&batch(&[])).unwrap_err().kind(), "bad-return", "nothing is owed");
    // The debt is forgotten at a tick: what claims to be owed after it is a lie.
    endless.advance(9).unwrap();
    assert_eq!(endless.process(&batch(&[])).unwrap_err().kind(), "bad-return");
}

#[test]
fn each_lie_about_an_outcome_is_a_bad_return_that_says_which_rule_it_broke() {
    let lies = [
        ("ends-descending", "values: row 1 ends"),
        ("ends-outside", "keys: the last row ends"),
        ("row-missing", "values: has 2 rows where 3 are due"),
        ("null-outside", "values: null row 3"),
        ("null-with-bytes", "values: row 0 is absent and has bytes"),
        ("nulls-twice", "ids: null row 0"),
        ("ids-for-some", "ids: has 1 rows"),
        ("outputs-for-some", "outputs: 1 for 3"),
        ("output-unknown", "output 2 is none of 2"),
        ("times-missing", "keys: has 3 rows where 2 are due"),
        ("priorities-for-some", "priorities: 1 for 3"),
        ("header-missing", "0 header columns"),
        ("header-too-many", "2 header columns"),
        ("header-of-other-length", "header 0: has 4 rows"),
        ("causes-missing", "0 causes for 3"),
        ("causes-descending", "cause 0 is out of order"),
        ("cause-outside", "cause 3 is out of order or not of 3"),
        ("cause-owed-by-nobody", "owed nothing"),
        ("rejected-and-causing", "row 1 is rejected and causes"),
        ("rejection-outside", "rejected row 3"),
        ("rejected-twice", "rejected row 1 is out of order"),
        ("rejections-descending", "rejected row 0 is out of order"),
        ("rejected-and-owing", "row 2 is rejected and causes"),
        ("kind-empty", "a kind of rejection"),
        ("kind-shouting", "a kind of rejection"),
        ("kind-endless", "a kind of rejection"),
        ("message-of-no-text", "cannot be read"),
        ("taken-too-many", "took 4 of 3 rows"),
        ("taken-none", "no progress"),
        ("more-of-nothing", "no progress"),
    ];
    for (lie, rule) in lies {
        let mut liar = start(lie).unwrap();
        let failure = order(&mut liar, "x").unwrap_err();
        assert_eq!(failure.kind(), "bad-return", "{lie}: {failure:?}");
        assert!(failure.message().contains(rule), "{lie}: {failure:?}");
        assert!(failure.message().starts_with("process"), "{lie}: {failure:?}");
        assert!(order(&mut liar, "x").is_err(), "{lie}: a liar is asked again");
    }
}

#[test]
fn each_lie_about_a_tick_is_told_apart_too() {
    let lies = [
        ("advance-traps", "trap", "panicked"),
        ("advance-loops", "timeout", "took over 500 ms"),
        ("advance-takes", "bad-return", "took 1 rows"),
        ("advance-with-cause", "bad-return", "named causes"),
        ("advance-rejects", "bad-return", "rejected rows"),
        ("advance-more-of-nothing", "bad-return", "no progress"),
    ];
    for (lie, kind, rule) in lies {
        let failure = start(lie).unwrap().advance(1).unwrap_err();
        assert_eq!(failure.kind(), kind, "{lie}: {failure:?}");
        assert!(failure.message().contains(rule), "{lie}: {failure:?}");
    }
}

#[test]
fn what_is_odd_but_allowed_goes_through() {
    let outcome = start("half-a-batch").unwrap().process(&batch(&["a", "b", "c"])).unwrap();
    assert_eq!((outcome.taken, outcome.emissions.len()), (2, 2));
    let outcome = start("message-endless").unwrap().process(&batch(&["a", "b"])).unwrap();
    let rejection = &outcome.rejections[0];
    assert_eq!((rejection.row, rejection.verdict), (0, Verdict::Permanent));
    assert_eq!(rejection.message, "ä".repeat(2_048), "cut at 4 KiB, between characters");
}

#[test]
fn an_operator_that_misbehaves_before_it_computes_is_refused() {
    let refused = |mode: &str| match start(mode) {
        Ok(_) => panic!("{mode}: was made"),
        Err(error) => error,
    };
    let text = "mode: no such mode".to_owned();
    assert_eq!(refused("configure-refuses"), Error::Configuration(text));
    let Error::Configuration(text) = refused("configure-refuses-at-length") else { panic!() };
    assert_eq!(text.len(), 4 << 10);
    let cases = [
        ("configure-traps", "trap", "panicked"),
        ("configure-loops", "timeout", "took over 500 ms"),
        ("configure-hoards", "memory", "memory_bytes_max is 67108864"),
        ("wiring-same-output-twice", "bad-return", "outputs: out stands there twice"),
        ("wiring-endless-name", "bad-return", "sets: 100000 bytes"),
        ("wiring-too-many-outputs", "bad-return", "outputs: 256 names"),
        ("wiring-delay-of-an-aeon", "bad-return", "delay: 9007199254740992 ms"),
    ];
    for (mode, kind, rule) in cases {
        let Error::Failed { during: "configure", failure } = refused(mode) else {
            panic!("{mode}: failed elsewhere")
        };
        assert_eq!(failure.kind(), kind, "{mode}: {failure:?}");
        assert!(failure.message().contains(rule), "{mode}: {failure:?}");
    }
    let failure = order(&mut start("wiring-no-outputs").unwrap(), "x").unwrap_err();
    assert!(failure.message().contains("no outputs"), "{failure:?}");
}

#[test]
fn an_instance_that_does_not_fit_into_its_memory_is_not_made() {
    let limits = Limits { memory_bytes_max: 1 << 16, ..Limits::default() };
    let error = crate::MISBEHAVING.instantiate("{}", &limits).err().unwrap();
    let Error::Failed { during: "instantiate", failure } = error else { panic!("{error}") };
    assert_eq!(failure.kind(), "memory", "{failure:?}");
    let limits = Limits { table_elements_max: 1, ..Limits::default() };
    let error = crate::MISBEHAVING.instantiate("{}", &limits).err().unwrap();
    assert!(error.to_string().contains("table_elements_max is 1"), "{error}");
}

#[test]
fn a_deadline_holds_though_only_the_instance_is_left() {
    let engine = Engine::new(&EngineOptions::default()).unwrap();
    let limits = Limits { time_per_call_ms: 50, ..Limits::default() };
    let component = Component::compile(&engine, &crate::plugin("misbehaving"), &limits).unwrap();
    let mut instance = component.instantiate(r#"{"mode":"by-value"}"#, &limits).unwrap();
    drop((engine, component));
    assert_eq!(order(&mut instance, "loop").unwrap_err().kind(), "timeout");
}

#[test]
fn fuel_strikes_at_the_same_record_and_patience_multiplies_it() {
    let engine = Engine::new(&EngineOptions { fuel: true }).unwrap();
    let wasm = crate::plugin("misbehaving");
    let component = Component::compile(&engine, &wasm, &Limits::default()).unwrap();
    let limits = Limits { fuel_per_record: Some(0), fuel_per_call: 20_000, ..Limits::default() };
    let rows_until_out_of_fuel = |patience: u32| {
        let mut instance = component.instantiate(r#"{"mode":"by-value"}"#, &limits).unwrap();
        instance.set_patience(patience);
        (1..100_000)
            .step_by(100)
            .find(|rows| {
                let values = vec!["value"; *rows];
                let failed = instance.process(&batch(&values)).err();
                failed.is_some_and(|failure| failure.kind() == "timeout")
            })
            .unwrap()
    };
    let once = rows_until_out_of_fuel(1);
    assert_eq!(once, rows_until_out_of_fuel(1));
    assert!(rows_until_out_of_fuel(10) > 5 * once);
    let misfit = Limits { fuel_per_record: Some(1), ..Limits::default() };
    let error = crate::MISBEHAVING.instantiate("{}", &misfit).err().unwrap();
    assert!(matches!(error, Error::Limits(_)), "{error}");
}
