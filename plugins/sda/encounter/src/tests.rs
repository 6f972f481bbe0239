//! What the operator must keep: one alert per encounter, whatever is seen of it and when.

use super::*;
use pawl_sdk::{Batch, ByteColumn, Driver};

const BASE_MS: i64 = 1_234_284_959_000;

fn candidate(tca_ms: i64, observations: usize, cell: &str) -> Candidate {
    Candidate {
        primary_id: 22675,
        secondary_id: 24946,
        tca_ns: (BASE_MS + tca_ms) * MILLISECOND_NS,
        miss_distance_km: 0.698,
        relative_speed_km_s: 11.6,
        miss_rtn_km: [0.1, -0.0, 0.3],
        cell: cell.to_owned(),
        window_start_ms: BASE_MS - 1000,
        window_end_ms: BASE_MS + 29_000,
        observation_ids: (0..observations).map(|number| format!("o{number:02}")).collect(),
    }
}

fn driver() -> Driver<Encounter> {
    let mut driver = Driver::new();
    driver.configure("").unwrap();
    driver
}

fn give(driver: &mut Driver<Encounter>, candidates: &[Candidate]) {
    let mut batch = Batch::default();
    for candidate in candidates {
        batch.keys.push(Some(candidate.pair().as_bytes()));
        batch.values.push(Some(&candidate.encode()));
        batch.event_times.push(floor_to_ms(candidate.tca_ns));
    }
    assert!(driver.process(batch).rejections.is_empty());
}

fn alerts(driver: &mut Driver<Encounter>, watermark_ms: i64) -> Vec<String> {
    let values: ByteColumn = driver.advance(BASE_MS + watermark_ms).emissions.values;
    let text = |row| String::from_utf8(values.get(row).unwrap().to_vec()).unwrap();
    (0..values.len()).map(text).collect()
}

#[test]
fn an_alert_comes_once_half_a_second_behind_the_last_candidate_and_not_before() {
    let mut driver = driver();
    give(&mut driver, &[candidate(100, 12, "b"), candidate(400, 12, "a")]);
    assert_eq!(alerts(&mut driver, 900), [""; 0]);
    let alerts_then = alerts(&mut driver, 901);
    assert_eq!(alerts_then.len(), 1);
    assert!(alerts_then[0].contains("\"tca\":\"2009-02-10T16:55:59.400000Z\""), "{alerts_then:?}");
    assert_eq!(alerts(&mut driver, 99_000), [""; 0]);
}

#[test]
fn the_choice_does_not_depend_on_who_came_first() {
    let all = [
        candidate(100, 11, "a"),
        candidate(101, 12, "c"),
        candidate(99, 12, "b"),
        candidate(102, 12, "b"),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for first in 0..4 {
        for step in [1, 3] {
            let order: Vec<Candidate> =
                (0..4).map(|at| all[(first + at * step) % 4].clone()).collect();
            let mut driver = driver();
            give(&mut driver, &order);
            seen.extend(alerts(&mut driver, 5000));
        }
    }
    assert_eq!(seen.len(), 1);
    assert!(seen.first().unwrap().contains("59.099000Z"), "{seen:?}");
}

#[test]
fn encounters_apart_from_each_other_are_alerts_of_their_own() {
    let mut driver = driver();
    give(&mut driver, &[candidate(0, 12, "a"), candidate(501, 12, "a")]);
    let both = alerts(&mut driver, 5000);
    assert_eq!(both.len(), 2);
    assert_ne!(alert_id(1, 2, 0), alert_id(1, 2, 501 * MILLISECOND_NS));
    assert_ne!(alert_id(1, 2, 0), alert_id(1, 3, 0));
    assert_eq!(alert_id(1, 2, 49 * MILLISECOND_NS), alert_id(1, 2, -50 * MILLISECOND_NS));
}

#[test]
fn one_encounter_spans_no_more_than_its_bound() {
    let mut driver = driver();
    let chain: Vec<Candidate> = (0..8).map(|at| candidate(at * 400, 12, "a")).collect();
    give(&mut driver, &chain);
    // 0 to 2000 ms is one; 2400 and 2800 the next, which is open until 3300 ms.
    assert_eq!(alerts(&mut driver, 3300).len(), 1);
    assert_eq!(alerts(&mut driver, 3301).len(), 1);
}

#[test]
fn the_bytes_of_an_alert_are_fixed() {
    let mut driver = driver();
    give(&mut driver, &[candidate(0, 2, "a")]);
    let expected = "{\"schema_version\":1,\"alert_id\":\"ALERT\",\
        \"primary_id\":22675,\"secondary_id\":24946,\"tca\":\"2009-02-10T16:55:59.000000Z\",\
        \"miss_distance_km\":0.698,\"relative_speed_km_s\":11.6,\"miss_rtn_km\":[0.1,0.0,0.3],\
        \"pc\":null,\"pc_method\":null,\"hard_body_radius_m\":20.0,\
        \"window_start\":\"2009-02-10T16:55:58.000Z\",\
        \"window_end\":\"2009-02-10T16:56:28.000Z\",\"observation_ids\":[\"o00\",\"o01\"]}";
    let id = alert_id(22675, 24946, BASE_MS * MILLISECOND_NS);
    assert_eq!(alerts(&mut driver, 5000), [expected.replace("ALERT", &id)]);
    // SHA-256 of "pawl-sda-alert/1/22675/24946/12342849590", computed independently.
    assert_eq!(id, "4c52f2e2999ce0fb6e2104b6692ec1bb");
}

#[test]
fn state_comes_back_from_a_snapshot() {
    let mut before = driver();
    give(&mut before, &[candidate(0, 12, "a"), candidate(100, 12, "b")]);
    let mut after = driver();
    for part in 0.. {
        let piece = before.snapshot(part, true);
        after.restore(1, &piece.data.unwrap(), piece.more).unwrap();
        if !piece.more {
            break;
        }
    }
    assert_eq!(alerts(&mut after, 5000), alerts(&mut before, 5000));
}

#[test]
fn a_configuration_that_makes_no_sense_names_its_field() {
    for (config, field) in [
        (r#"{"merge_ms": 0}"#, "merge_ms"),
        (r#"{"encounter_span_max_ms": 100}"#, "encounter_span_max_ms"),
        (r#"{"hard_body_radius_m": 0}"#, "hard_body_radius_m"),
        (r#"{"radius": 1}"#, "radius"),
    ] {
        let error = Driver::<Encounter>::new().configure(config).unwrap_err();
        assert!(error.contains(field), "{config}: {error}");
    }
}

#[test]
fn what_is_no_candidate_is_refused() {
    let mut driver = driver();
    let mut batch = Batch::default();
    batch.keys.push(None);
    batch.values.push(Some(b"{}"));
    batch.event_times.push(0);
    assert_eq!(driver.process(batch).rejections[0].1.kind, "deserialization");
}
