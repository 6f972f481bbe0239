//! The whole chain, from element sets to alerts, against SGP4's own answer.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod host;

use host::{Host, Report};
use pawl_sensors::{Line, SensorOptions, collision_2009, make_observations, time};
use sda_domain::probability::{Object, foster, isotropic};

fn options() -> SensorOptions {
    SensorOptions {
        seed: 2009,
        start_ns: time::parse("2009-02-10T16:50:00Z").unwrap(),
        duration_s: 600,
        ..SensorOptions::default()
    }
}

fn lines(options: &SensorOptions) -> Vec<Line> {
    make_observations(&collision_2009(), options).unwrap().collect()
}

fn run(options: &SensorOptions) -> Report {
    let mut host = Host::new(i64::from(options.disorder_s) * 1000);
    for line in lines(options) {
        host.give(&line.value);
    }
    host.close()
}

/// How far an alert is from SGP4's answer: km, ms, km/s.
fn errors(alert: &str) -> (f64, f64, f64) {
    let value: serde_json::Value = serde_json::from_str(alert).unwrap();
    assert_eq!(
        (value["primary_id"].as_u64(), value["secondary_id"].as_u64()),
        (Some(22675), Some(24946))
    );
    let tca = time::parse(value["tca"].as_str().unwrap()).unwrap();
    let known = time::parse("2009-02-10T16:55:59.795784Z").unwrap();
    (
        (value["miss_distance_km"].as_f64().unwrap() - 0.698_010).abs(),
        (tca - known).abs() as f64 / 1e6,
        (value["relative_speed_km_s"].as_f64().unwrap() - 11.647_244).abs(),
    )
}

#[test]
fn the_2009_collision_is_one_alert_right_to_a_millimetre_and_ten_microseconds() {
    let report = run(&options());
    assert_eq!(report.alerts.len(), 1, "{:?}", report.alerts);
    assert_eq!((report.dead.len(), report.duplicates, report.late), (0, 0, 0));
    let (km, ms, km_s) = errors(&report.alerts[0]);
    assert!(km < 1e-6 && ms < 1e-2 && km_s < 1e-6, "{km} {ms} {km_s}: {}", report.alerts[0]);
}

#[test]
fn an_alert_says_how_probable_how_old_and_from_which_lines_of_the_log() {
    // So uncertain that 698 metres are not out of the question.
    let noisy = SensorOptions { noise_sigma_km: 0.1, ..options() };
    let report = run(&noisy);
    let alert: serde_json::Value = serde_json::from_str(&report.alerts[0]).unwrap();
    assert_eq!(
        (&alert["pc_method"], &alert["pc_demonstration"]),
        (&"FOSTER-1992".into(), &true.into())
    );
    let number = |name: &str| alert[name].as_f64().unwrap();
    // The same from what the alert prints: a miss across the relative velocity.
    let object = |z, velocity_km_s, sigma_km| Object {
        position_km: [0.0, 0.0, z],
        velocity_km_s,
        covariance_km2: isotropic(sigma_km),
    };
    let primary = object(0.0, [0.0; 3], number("primary_sigma_km"));
    let miss_km = number("miss_distance_km");
    let secondary = object(miss_km, [1.0, 0.0, 0.0], number("secondary_sigma_km"));
    let again = foster(&primary, &secondary, number("hard_body_radius_m") / 1000.0).unwrap();
    assert!(
        again > 0.0 && (number("pc") - again).abs() <= 1e-5 * again,
        "{} {again:e}",
        number("pc")
    );
    for age in ["primary_covariance_age_s", "secondary_covariance_age_s"] {
        assert!(number(age).abs() <= 20.0, "{age}: {}", number(age));
    }
    let lines = lines(&noisy);
    let lineage: Vec<serde_json::Value> = serde_json::from_str(&report.lineages[0]).unwrap();
    let ids = alert["observation_ids"].as_array().unwrap();
    assert_eq!(lineage.len(), ids.len());
    for (origin, id) in lineage.iter().zip(ids) {
        assert_eq!((&origin["topic"], &origin["partition"]), (&"observations".into(), &0.into()));
        let offset = origin["offset"].as_u64().unwrap() as usize;
        let read: serde_json::Value = serde_json::from_slice(&lines[offset].value).unwrap();
        assert_eq!((id, &read["observation_id"]), (&origin["observation_id"], id));
    }
}

#[test]
fn duplicates_and_disorder_change_no_byte_of_the_alert_though_they_change_its_lineage() {
    let calm = run(&options());
    for disorder_s in [1, 20, 60] {
        let troubled = SensorOptions { disorder_s, duplicate_share: 0.2, ..options() };
        let report = run(&troubled);
        assert_eq!(report.alerts, calm.alerts);
        assert_ne!(report.lineages, calm.lineages);
        assert!(report.duplicates > 50 && report.late == 0);
    }
}

#[test]
fn damaged_lines_are_dead_late_ones_late_and_the_alert_is_still_right() {
    for seed in 1..=20 {
        let troubled = SensorOptions {
            seed,
            disorder_s: 20,
            duplicate_share: 0.1,
            corrupt_share: 0.05,
            late_share: 0.02,
            ..options()
        };
        let mut observations = make_observations(&collision_2009(), &troubled).unwrap();
        let mut host = Host::new(20_000);
        for line in observations.by_ref() {
            host.give(&line.value);
        }
        let (report, ledger) = (host.close(), observations.ledger());
        assert_eq!(report.alerts.len(), 1, "seed {seed}");
        let (km, ms, km_s) = errors(&report.alerts[0]);
        assert!(km < 1e-3 && ms < 1.0 && km_s < 1e-5, "seed {seed}: {km} {ms} {km_s}");
        let kind = |name: &str| report.dead.iter().filter(|kind| *kind == name).count() as u64;
        assert_eq!(kind("deserialization"), ledger.cut_short + ledger.garbage, "seed {seed}");
        assert_eq!(kind("schema-version"), ledger.wrong_version, "seed {seed}");
        assert_eq!(kind("out-of-range"), ledger.out_of_range, "seed {seed}");
        assert_eq!(
            (report.duplicates, report.late, report.observations),
            (ledger.duplicates, ledger.late, ledger.good),
            "seed {seed}"
        );
    }
}

#[test]
fn operators_restored_at_any_moment_give_the_same_alerts() {
    let troubled = SensorOptions { disorder_s: 20, duplicate_share: 0.1, ..options() };
    let calm = run(&troubled);
    for every in [7, 100, 499] {
        let mut host = Host::new(20_000);
        for (at, line) in lines(&troubled).iter().enumerate() {
            if at % every == 0 {
                host.restore();
            }
            host.give(&line.value);
        }
        assert_eq!(host.close().alerts, calm.alerts);
    }
}

#[test]
fn noise_of_ten_metres_moves_the_alert_by_tens_of_metres() {
    let noisy = SensorOptions { noise_sigma_km: 0.01, ..options() };
    let report = run(&noisy);
    assert_eq!(report.alerts.len(), 1);
    let (km, ms, _) = errors(&report.alerts[0]);
    assert!(km > 1e-6 && km < 0.1 && ms < 20.0, "{km} {ms}");
}
