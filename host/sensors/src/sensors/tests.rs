//! What the model of the sensors must keep: seeded, complete, and damaged as asked.

use super::*;
use crate::collision_2009;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn troubled(seed: u64) -> SensorOptions {
    SensorOptions {
        seed,
        start_ns: time::parse("2009-02-10T16:50:00Z").unwrap(),
        duration_s: 600,
        duplicate_share: 0.1,
        disorder_s: 10,
        corrupt_share: 0.05,
        late_share: 0.02,
        ..SensorOptions::default()
    }
}

fn run(options: &SensorOptions) -> (Vec<Line>, Ledger) {
    let mut observations = make_observations(&collision_2009(), options).unwrap();
    let lines: Vec<Line> = observations.by_ref().collect();
    (lines, observations.ledger().clone())
}

fn parsed(line: &Line) -> Option<(String, i64)> {
    if line.key.is_empty() {
        return None;
    }
    let value: Value = serde_json::from_slice(&line.value).unwrap();
    let id = value["observation_id"].as_str().unwrap().to_owned();
    Some((id, time::parse(value["observed_at"].as_str().unwrap()).unwrap()))
}

#[test]
fn the_same_seed_makes_the_same_bytes_and_another_seed_others() {
    assert_eq!(run(&troubled(3)), run(&troubled(3)));
    assert_ne!(run(&troubled(3)).0, run(&troubled(4)).0);
}

#[test]
fn the_ledger_counts_what_is_in_the_stream() {
    let (lines, ledger) = run(&troubled(5));
    assert_eq!(lines.len() as u64, ledger.lines);
    let corrupt = lines.iter().filter(|line| line.key.is_empty()).count() as u64;
    assert_eq!(corrupt, ledger.corrupt());
    assert_eq!(ledger.lost + ledger.repaired, ledger.corrupt());
    let ids: BTreeSet<String> = lines.iter().filter_map(parsed).map(|(id, _)| id).collect();
    assert_eq!(ids.len() as u64, ledger.good + ledger.late);
    assert_eq!(ledger.lines, ledger.good + ledger.duplicates + ledger.late + ledger.corrupt());
    assert!(lines.iter().all(|line| !line.value.is_empty() && !line.value.contains(&b'\n')));
    for count in [ledger.good, ledger.duplicates, ledger.late, ledger.lost, ledger.repaired] {
        assert!(count > 0, "{ledger:?}");
    }
    for count in [ledger.cut_short, ledger.garbage, ledger.wrong_version, ledger.out_of_range] {
        assert!(count > 0, "{ledger:?}");
    }
}

#[test]
fn lines_come_within_the_bound_on_disorder_or_are_late_for_certain() {
    let options = troubled(6);
    let (lines, ledger) = run(&options);
    let disorder = i64::from(options.disorder_s) * SECOND_NS;
    let step = SECOND_NS / 10;
    let mut newest = options.start_ns;
    let (mut late, mut backwards) = (0, 0);
    for (_, observed) in lines.iter().filter_map(parsed) {
        let watermark = (newest - disorder).div_euclid(step) * step;
        late += u64::from(observed < watermark);
        backwards += u64::from(observed < newest);
        newest = newest.max(observed);
    }
    assert_eq!(late, ledger.late);
    assert!(backwards > 100, "{backwards}");
}

#[test]
fn numbers_read_back_as_sgp4_gave_them_and_no_object_is_unseen_for_longer_than_a_period() {
    let options = SensorOptions { disorder_s: 0, ..troubled(7) };
    let options = SensorOptions { corrupt_share: 0.0, late_share: 0.0, ..options };
    let elements = collision_2009();
    let objects: BTreeMap<u32, Propagator> =
        elements.iter().map(|set| (set.object_id, Propagator::new(set).unwrap())).collect();
    let mut last = BTreeMap::new();
    let mut sensors = BTreeSet::new();
    for line in run(&options).0 {
        let value: Value = serde_json::from_slice(&line.value).unwrap();
        let object = value["object_id"].as_u64().unwrap() as u32;
        let time_ns = time::parse(value["observed_at"].as_str().unwrap()).unwrap();
        let state = objects[&object].at(time_ns).unwrap();
        for (axis, exact) in state.position.iter().enumerate() {
            assert_eq!(value["position_km"][axis].as_f64(), Some(*exact));
        }
        assert_eq!(line.key, object.to_string().into_bytes());
        sensors.insert(value["sensor_id"].as_str().unwrap().to_owned());
        let before = last.insert(object, time_ns).unwrap_or(options.start_ns);
        assert!(time_ns - before <= 4 * SECOND_NS, "{object} unseen");
    }
    assert_eq!((last.len(), sensors.len()), (2, 12));
}

#[test]
fn noise_is_as_large_as_it_says() {
    let exact = SensorOptions { corrupt_share: 0.0, ..troubled(8) };
    let noisy = SensorOptions { noise_sigma_km: 0.05, ..exact.clone() };
    let objects: BTreeMap<u64, Propagator> = collision_2009()
        .iter()
        .map(|set| (u64::from(set.object_id), Propagator::new(set).unwrap()))
        .collect();
    let mut squares = Vec::new();
    for line in run(&noisy).0 {
        let value: Value = serde_json::from_slice(&line.value).unwrap();
        let time_ns = time::parse(value["observed_at"].as_str().unwrap()).unwrap();
        let truth = objects[&value["object_id"].as_u64().unwrap()].at(time_ns).unwrap();
        let error = value["position_km"][0].as_f64().unwrap() - truth.position[0];
        squares.push(error * error);
        assert_eq!(value["position_sigma_km"].as_f64(), Some(0.05));
    }
    let sigma = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    assert!((sigma - 0.05).abs() < 0.005, "{sigma}");
}

#[test]
fn objects_without_a_position_are_dropped_and_named() {
    let options = SensorOptions {
        start_ns: time::parse("2024-11-01T00:00:00Z").unwrap(),
        duration_s: 4,
        sensors: 1,
        ..SensorOptions::default()
    };
    let all = crate::catalog_2024();
    let mut observations = make_observations(&all, &options).unwrap();
    assert_eq!(observations.by_ref().count(), all.len() - 4);
    let named: BTreeSet<u32> = observations
        .dropped()
        .iter()
        .map(|error| match error {
            Error::Elements { object_id, .. } | Error::Propagation { object_id, .. } => *object_id,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(named, BTreeSet::from([36_884, 81_579, 85_220, 87_942]));
}

#[test]
fn ids_can_be_moved_beyond_31_bits_and_sensors_can_differ() {
    let options = SensorOptions {
        object_id_offset: 4_000_000_000,
        noise_sigma_km: 0.01,
        sigma_ratio: 12.0,
        corrupt_share: 0.0,
        ..troubled(9)
    };
    let mut sigmas = BTreeSet::new();
    for line in run(&options).0 {
        let value: Value = serde_json::from_slice(&line.value).unwrap();
        assert!([4_000_022_675, 4_000_024_946].contains(&value["object_id"].as_u64().unwrap()));
        sigmas.insert((value["position_sigma_km"].as_f64().unwrap() * 1000.0).round() as u32);
    }
    assert_eq!(sigmas, (1..=12).map(|sensor| sensor * 10).collect());
    let bad = SensorOptions { object_id_offset: u32::MAX, ..options };
    assert!(make_observations(&collision_2009(), &bad).is_err());
}

#[test]
fn options_that_make_no_sense_are_refused_by_name() {
    let bad = SensorOptions { corrupt_share: 1.5, ..SensorOptions::default() };
    let error = make_observations(&[], &bad).err().unwrap().to_string();
    assert!(error.contains("corrupt_share"), "{error}");
    let bad = SensorOptions { start_ns: i64::MAX, ..SensorOptions::default() };
    assert!(make_observations(&[], &bad).is_err());
    assert_eq!(make_observations(&[], &SensorOptions::default()).unwrap().count(), 0);
}
