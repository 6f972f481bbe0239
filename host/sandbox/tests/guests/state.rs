//! Snapshots and restores: honest ones come back as they went (CK-1), lying ones are failures.

use crate::{batch, start};
use pawl_core::operator::Operator;
use pawl_sandbox::{Limits, RestoreError, StatePart};

fn part(rows: u64) -> StatePart {
    StatePart { data: Some(rows.to_le_bytes().to_vec()) }
}

#[test]
fn a_restored_instance_goes_on_where_the_other_stood() {
    let mut first = start("").unwrap();
    first.process(&batch(&["a", "b"])).unwrap();
    let parts = first.snapshot(true).unwrap();
    assert_eq!(parts, [part(2)]);
    let mut second = start("").unwrap();
    let bytes: Vec<_> = parts.into_iter().map(|part| part.data.unwrap()).collect();
    second.restore(2, &bytes).unwrap();
    second.process(&batch(&["c"])).unwrap();
    assert_eq!(second.snapshot(false).unwrap(), [part(3)]);
}

#[test]
fn an_unchanged_part_is_absent_unless_the_host_wants_all() {
    let unchanged = [StatePart { data: None }];
    let mut instance = start("").unwrap();
    assert_eq!(instance.snapshot(false).unwrap(), [part(0)], "never given");
    assert_eq!(instance.snapshot(false).unwrap(), unchanged);
    assert_eq!(instance.snapshot(true).unwrap(), [part(0)]);
    let mut restored = start("").unwrap();
    restored.restore(2, &[7_u64.to_le_bytes()]).unwrap();
    assert_eq!(restored.snapshot(false).unwrap(), unchanged);
    let mut migrated = start("").unwrap();
    migrated.restore(1, &[7_u64.to_le_bytes()]).unwrap();
    assert_eq!(migrated.snapshot(false).unwrap(), [part(7)], "of another version: given anew");
}

#[test]
fn each_lie_in_a_snapshot_is_told_apart() {
    let lies = [
        ("snapshot-traps", "trap", "panicked"),
        ("snapshot-loops", "timeout", "took over 500 ms"),
        ("snapshot-hoards", "memory", "memory_bytes_max"),
        ("snapshot-absent-never-given", "bad-return", "part 0 is called unchanged"),
        ("snapshot-endless", "bad-return", "state_parts_max = 65536"),
        ("snapshot-endless-and-empty", "bad-return", "state_parts_max = 65536"),
        ("snapshot-oversized", "bad-return", "cannot be read (at most 8389632 bytes can)"),
    ];
    for (lie, kind, rule) in lies {
        let mut liar = start(lie).unwrap();
        let failure = liar.snapshot(false).unwrap_err();
        assert_eq!(failure.kind(), kind, "{lie}: {failure:?}");
        assert!(failure.message().contains(rule), "{lie}: {failure:?}");
        let after = liar.process(&batch(&["a"])).unwrap_err();
        assert!(after.message().contains("not usable after a failure in snapshot"), "{after:?}");
    }
}

#[test]
fn a_part_that_was_not_in_the_state_before_cannot_be_unchanged() {
    let mut liar = start("snapshot-grows-absent").unwrap();
    assert_eq!(liar.snapshot(false).unwrap(), [part(0)]);
    let failure = liar.snapshot(false).unwrap_err();
    assert!(failure.message().contains("part 1 is called unchanged"), "{failure:?}");
    let mut liar = start("snapshot-absent-though-full").unwrap();
    liar.snapshot(true).unwrap();
    let failure = liar.snapshot(true).unwrap_err();
    assert!(failure.message().contains("absent from a full snapshot"), "{failure:?}");
}

#[test]
fn a_state_over_its_bound_is_refused_by_the_sum_and_by_the_part() {
    let start = |mode: &str, limits: Limits| {
        crate::MISBEHAVING.instantiate(&format!(r#"{{"mode":"{mode}"}}"#), &limits).unwrap()
    };
    let limits = Limits { state_bytes_max: 20 << 20, ..Limits::default() };
    let failure = start("snapshot-many-big-parts", limits).snapshot(true).unwrap_err();
    assert!(failure.message().contains("state_bytes_max = 20971520"), "{failure:?}");
    let limits = Limits { state_part_bytes_max: 7, ..Limits::default() };
    let failure = start("", limits).snapshot(true).unwrap_err();
    assert!(failure.message().contains("state_part_bytes_max = 7"), "{failure:?}");
    // Unchanged parts count with the bytes that they had.
    let limits = Limits { state_bytes_max: 8, ..Limits::default() };
    let mut exact = start("", limits);
    assert_eq!(exact.snapshot(false).unwrap(), [part(0)]);
    exact.snapshot(false).unwrap();
}

#[test]
fn many_short_calls_for_a_state_are_bounded_in_time_together() {
    let limits = Limits { state_time_max_ms: 1, state_parts_max: u32::MAX, ..Limits::default() };
    let config = r#"{"mode":"snapshot-endless"}"#;
    let mut endless = crate::MISBEHAVING.instantiate(config, &limits).unwrap();
    let failure = endless.snapshot(true).unwrap_err();
    assert_eq!(failure.kind(), "timeout");
    assert!(failure.message().contains("state_time_max_ms"), "{failure:?}");
}

#[test]
fn a_state_that_cannot_be_taken_up_is_refused_with_its_reason() {
    let state = [7_u64.to_le_bytes()];
    let error = start("").unwrap().restore(3, &state).unwrap_err();
    assert_eq!(error, RestoreError::Version { have: 3, reads: vec![1, 2] });
    let error = start("").unwrap().restore(2, &[state[0], state[0]]).unwrap_err();
    assert!(matches!(error, RestoreError::Refused(text) if text.contains("more were announced")));
    let mut refuses = start("restore-refuses").unwrap();
    let error = refuses.restore(2, &state).unwrap_err();
    assert_eq!(error, RestoreError::Refused("part 0: the state is of another world".to_owned()));
    assert!(refuses.process(&batch(&["a"])).is_err(), "it is used after a refusal");
    let error = start("restore-traps").unwrap().restore(2, &state).unwrap_err();
    assert!(matches!(error, RestoreError::Failed(failure) if failure.kind() == "trap"));
    let mut used = start("").unwrap();
    used.process(&batch(&["a"])).unwrap();
    assert_eq!(used.restore(2, &state).unwrap_err(), RestoreError::NotFresh);
    used.process(&batch(&["b"])).expect("asking too late does no harm");
}

#[test]
fn no_parts_at_all_are_the_state_of_a_fresh_instance() {
    let mut instance = start("restore-traps").unwrap();
    instance.restore(2, &[] as &[&[u8]]).unwrap();
    instance.process(&batch(&["a"])).unwrap();
    assert_eq!(instance.snapshot(true).unwrap(), [part(1)]);
}
