//! What the operator must keep: one alert per encounter, whatever is seen of it and when.

use super::*;
use pawl_sdk::{Batch, ByteColumn, Driver, Emissions};
use sda_domain::Known;

const BASE_MS: i64 = 1_234_284_959_000;

fn candidate(tca_ms: i64, observations: usize, cell: &str) -> Candidate {
    Candidate {
        primary_id: 22675,
        secondary_id: 24946,
        tca_ns: (BASE_MS + tca_ms) * MILLISECOND_NS,
        miss_distance_km: 0.698,
        relative_speed_km_s: 11.6,
        miss_rtn_km: [0.1, -0.0, 0.3],
        primary: Known {
            position_km: [7000.0, 0.0, 0.0],
            velocity_km_s: [0.0, 7.5, 0.0],
            sigma_km: 0.01,
            observed_ns: (BASE_MS - 2500) * MILLISECOND_NS,
        },
        secondary: Known {
            position_km: [7000.1, 0.0, 0.3],
            velocity_km_s: [0.0, -4.1, 0.0],
            sigma_km: 0.02,
            observed_ns: (BASE_MS + 1500) * MILLISECOND_NS,
        },
        cell: cell.to_owned(),
        window_start_ms: BASE_MS - 1000,
        window_end_ms: BASE_MS + 29_000,
        observation_ids: (0..observations).map(|number| format!("o{number:02}")).collect(),
        origins: (0..observations).map(|number| format!("observations/3/{number}")).collect(),
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

fn emissions(driver: &mut Driver<Encounter>, watermark_ms: i64) -> Emissions {
    driver.advance(BASE_MS + watermark_ms).emissions
}

fn texts(column: &ByteColumn) -> Vec<String> {
    let text = |row| String::from_utf8(column.get(row).unwrap().to_vec()).unwrap();
    (0..column.len()).map(text).collect()
}

fn alerts(driver: &mut Driver<Encounter>, watermark_ms: i64) -> Vec<String> {
    texts(&emissions(driver, watermark_ms).values)
}

fn one_alert(candidate: Candidate) -> serde_json::Value {
    let mut driver = driver();
    give(&mut driver, &[candidate]);
    serde_json::from_str(&alerts(&mut driver, 99_000)[0]).unwrap()
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
fn two_alerts_of_a_pair_are_never_nearer_than_what_is_merged_and_never_share_a_name() {
    // A chain longer than one encounter may be, of which the last is the best: what follows it
    // within half a second is the same encounter, though it is beyond the span.
    for watermarks in [vec![99_000], (0..100).map(|tenth| tenth * 100).collect::<Vec<_>>()] {
        let mut driver = driver();
        let mut chain: Vec<Candidate> = (0..6).map(|at| candidate(at * 400, 11, "a")).collect();
        chain[5].observation_ids.push("p".to_owned());
        chain[5].origins.push("observations/0/9".to_owned());
        for tca_ms in [2001, 2040, 2500, 2501, 2900] {
            chain.push(candidate(tca_ms, 13, "a"));
        }
        give(&mut driver, &chain);
        let found: Vec<String> =
            watermarks.iter().flat_map(|watermark| alerts(&mut driver, *watermark)).collect();
        let tca = |at: usize| -> serde_json::Value {
            let alert: serde_json::Value = serde_json::from_str(&found[at]).unwrap();
            alert["tca"].clone()
        };
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(tca(0), "2009-02-10T16:56:01.000000Z");
        assert_eq!(tca(1), "2009-02-10T16:56:01.501000Z");
        assert_ne!(found[0], found[1]);
    }
}

#[test]
fn a_pass_on_a_windows_edge_that_two_windows_put_a_millisecond_apart_is_one_alert() {
    // 16:55:59.05 is where names change, too. The earlier window is chosen, though it says later.
    let before = candidate(50, 12, "a");
    let mut behind = candidate(49, 12, "a");
    (behind.window_start_ms, behind.window_end_ms) = (BASE_MS + 29_000, BASE_MS + 59_000);
    let mut seen = std::collections::BTreeSet::new();
    for order in [[&before, &behind], [&behind, &before]] {
        for pause in [false, true] {
            let mut driver = driver();
            give(&mut driver, &[order[0].clone()]);
            let early = if pause { alerts(&mut driver, 49) } else { Vec::new() };
            give(&mut driver, &[order[1].clone()]);
            let found = alerts(&mut driver, 99_000);
            assert_eq!((early.len(), found.len()), (0, 1));
            seen.extend(found);
        }
    }
    assert_eq!(seen.len(), 1);
    let id = alert_id(22675, 24946, before.tca_ns);
    assert!(seen.first().unwrap().contains(&id), "{seen:?}");
    assert_ne!(id, alert_id(22675, 24946, behind.tca_ns));
}

#[test]
fn the_choice_follows_from_the_set_of_candidates_whenever_the_watermark_moves() {
    let seed = 4;
    println!("seed {seed}");
    let mut state: u64 = seed;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    for round in 0..200 {
        let all: Vec<Candidate> = (0..30)
            .map(|_| {
                let cell = ["a", "b", "c"][random(3) as usize];
                candidate(random(9000) as i64, 10 + random(3) as usize, cell)
            })
            .collect();
        let mut calm = driver();
        give(&mut calm, &all);
        let expected = alerts(&mut calm, 99_000);
        // Each comes at some time before the watermark reaches it.
        let mut waiting: Vec<(i64, Candidate)> = all
            .into_iter()
            .map(|candidate| {
                let tca_ms = candidate.tca_ns / MILLISECOND_NS - BASE_MS;
                ((tca_ms - random(700) as i64).max(0), candidate)
            })
            .collect();
        waiting.sort_by_key(|(comes_ms, _)| *comes_ms);
        let mut driver = driver();
        let mut found = Vec::new();
        for (comes_ms, candidate) in waiting {
            found.extend(alerts(&mut driver, comes_ms));
            give(&mut driver, &[candidate]);
        }
        found.extend(alerts(&mut driver, 99_000));
        assert_eq!(found, expected, "round {round}");
    }
}

#[test]
fn the_bytes_of_an_alert_are_fixed() {
    let mut driver = driver();
    give(&mut driver, &[candidate(0, 2, "a")]);
    let expected = "{\"schema_version\":1,\"alert_id\":\"ALERT\",\
        \"primary_id\":22675,\"secondary_id\":24946,\"tca\":\"2009-02-10T16:55:59.000000Z\",\
        \"miss_distance_km\":0.698,\"relative_speed_km_s\":11.6,\"miss_rtn_km\":[0.1,0.0,0.3],\
        \"pc\":PROBABILITY,\"pc_method\":\"FOSTER-1992\",\"pc_demonstration\":true,\
        \"hard_body_radius_m\":20.0,\"primary_sigma_km\":0.01,\"secondary_sigma_km\":0.02,\
        \"primary_covariance_age_s\":2.5,\"secondary_covariance_age_s\":-1.5,\
        \"window_start\":\"2009-02-10T16:55:58.000Z\",\
        \"window_end\":\"2009-02-10T16:56:28.000Z\",\"observation_ids\":[\"o00\",\"o01\"]}";
    let id = alert_id(22675, 24946, BASE_MS * MILLISECOND_NS);
    // With forty digits: 5.65753990138e-41.
    let expected = expected.replace("ALERT", &id).replace("PROBABILITY", "5.6575399e-41");
    assert_eq!(alerts(&mut driver, 5000), [expected]);
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
        after.restore(Encounter::STATE_VERSION, &piece.data.unwrap(), piece.more).unwrap();
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
        (r#"{"hard_body_radius_m": 1e7}"#, "hard_body_radius_m"),
        (r#"{"radius": 1}"#, "radius"),
    ] {
        let error = Driver::<Encounter>::new().configure(config).unwrap_err();
        assert!(error.contains(field), "{config}: {error}");
    }
}

#[test]
fn what_is_no_candidate_is_refused() {
    let refusal = |value: &[u8]| {
        let mut batch = Batch::default();
        batch.keys.push(None);
        batch.values.push(Some(value));
        batch.event_times.push(0);
        driver().process(batch).rejections[0].1.kind.clone()
    };
    assert_eq!(refusal(b"{}"), "deserialization");
    let mut huge = candidate(0, 2, "a");
    huge.miss_distance_km = 1e300;
    assert_eq!(refusal(&huge.encode()), "out-of-range");
    let mut later = candidate(0, 2, "a");
    later.tca_ns = i64::MAX;
    assert_eq!(refusal(&later.encode()), "out-of-range");
}

#[test]
fn objects_that_fly_together_have_an_alert_without_a_probability() {
    let mut together = candidate(0, 2, "a");
    together.secondary = together.primary.clone();
    let alert = one_alert(together);
    assert!(alert["pc"].is_null() && alert["pc_method"].is_null(), "{alert}");
    let mut slow = candidate(0, 2, "a");
    slow.secondary.velocity_km_s = [0.0, 7.5, 1e-9];
    assert!(one_alert(slow)["pc"].is_number());
}

#[test]
fn a_probability_is_a_number_however_small_and_zero_below_that() {
    let mut near = candidate(0, 2, "a");
    near.secondary.position_km = [7000.0, 0.0, 0.0];
    let found = one_alert(near)["pc"].as_f64().unwrap();
    assert!((found - (1.0 - (-0.4f64).exp())).abs() < 1e-9, "{found}");
    let mut far = candidate(0, 2, "a");
    far.secondary.position_km = [7000.0, 0.0, 0.85];
    let found = one_alert(far.clone())["pc"].as_f64().unwrap();
    assert!(found > 0.0 && found < 1e-290, "{found:e}");
    far.secondary.position_km = [7000.0, 0.0, 5.0];
    assert_eq!(one_alert(far.clone())["pc"], serde_json::json!(0.0));
    far.secondary.sigma_km = 0.0;
    far.primary.sigma_km = 0.0;
    assert_eq!(one_alert(far)["pc"], serde_json::json!(0.0));
}

#[test]
fn the_lineage_names_where_each_observation_was_read_and_the_value_does_not() {
    let mut here = candidate(0, 3, "a");
    here.origins[1] = "files/of/today/0/77".to_owned();
    here.origins[2] = "observations/3/none".to_owned();
    let mut elsewhere = here.clone();
    elsewhere.origins = vec!["other/0/1".to_owned(); 3];
    let run = |candidate: Candidate| {
        let mut driver = driver();
        give(&mut driver, &[candidate]);
        let emissions = emissions(&mut driver, 5000);
        (texts(&emissions.values), texts(&emissions.headers[0]))
    };
    let ((values, lineage), (other_values, other_lineage)) = (run(here), run(elsewhere));
    assert_eq!(values, other_values);
    assert_ne!(lineage, other_lineage);
    let expected = "[{\"observation_id\":\"o00\",\"topic\":\"observations\",\"partition\":3,\
        \"offset\":0},{\"observation_id\":\"o01\",\"topic\":\"files/of/today\",\
        \"partition\":0,\"offset\":77},{\"observation_id\":\"o02\",\"topic\":null,\
        \"partition\":null,\"offset\":null}]";
    assert_eq!(lineage, [expected]);
    assert_eq!(Driver::<Encounter>::new().configure("").unwrap().sets, ["lineage"]);
}

#[test]
fn an_alert_says_that_its_probability_is_a_demonstration_unless_told_otherwise() {
    assert_eq!(one_alert(candidate(0, 2, "a"))["pc_demonstration"], true);
    let mut driver = Driver::<Encounter>::new();
    driver.configure(r#"{"pc_demonstration": false}"#).unwrap();
    give(&mut driver, &[candidate(0, 2, "a")]);
    assert!(alerts(&mut driver, 5000)[0].contains("\"pc_demonstration\":false"));
}
