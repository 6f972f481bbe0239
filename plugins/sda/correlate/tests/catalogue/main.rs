//! The whole chain on the real catalogue of 26,834 objects, against passes that an independent
//! program found by brute force.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod host;

use host::{Host, Report};
use pawl_sensors::{
    Comparison, Elements, Propagator, Rules, SensorOptions, Truth, catalog_2024, compare,
    conjunctions_2024, make_observations, time,
};
use std::collections::BTreeSet;

const START: &str = "2024-11-01T00:00:00Z";

/// One observation of each object every four seconds, each at a phase of its own, from half a
/// minute before.
fn options() -> SensorOptions {
    SensorOptions {
        seed: 4,
        start_ns: time::parse(START).unwrap() - 30 * time::SECOND_NS,
        duration_s: 660,
        sensors: 1,
        ..SensorOptions::default()
    }
}

fn rules(options: &SensorOptions) -> Rules {
    let from_ns = time::parse(START).unwrap();
    let to_ns = from_ns + 600 * time::SECOND_NS;
    Rules { from_ns, to_ns, object_id_offset: options.object_id_offset }
}

fn run(elements: &[Elements], options: &SensorOptions) -> Report {
    let mut host = Host::new(i64::from(options.disorder_s) * 1000);
    let mut lines = make_observations(elements, options).unwrap();
    for line in lines.by_ref() {
        host.give(&line.value);
    }
    let (report, ledger) = (host.close(), lines.ledger());
    assert_eq!(report.duplicates, ledger.duplicates);
    assert_eq!(report.observations, ledger.good);
    assert_eq!(report.dead.values().sum::<u64>(), ledger.corrupt());
    assert_eq!(report.late, 0);
    report
}

fn compared(report: &Report, options: &SensorOptions, truth: &[Truth]) -> Comparison {
    let comparison = compare(truth, &report.alerts, &rules(options)).unwrap();
    println!("{comparison}");
    comparison
}

/// The objects of the sample, and some others that pass nobody.
fn some() -> Vec<Elements> {
    let truth = conjunctions_2024();
    let ids: BTreeSet<u32> = truth.iter().flat_map(|p| [p.primary_id, p.secondary_id]).collect();
    let chosen = |at: usize, id: u32| ids.contains(&id) || at.is_multiple_of(60);
    let all = catalog_2024().into_iter().enumerate();
    all.filter(|(at, elements)| chosen(*at, elements.object_id)).map(|(_, own)| own).collect()
}

#[test]
fn of_the_whole_catalogue_every_pass_is_found_once_and_none_is_invented() {
    let began = std::time::Instant::now();
    let report = run(&catalog_2024(), &options());
    println!(
        "{:?}, {} observations, {} copies",
        began.elapsed(),
        report.observations,
        report.copies
    );
    let comparison = compared(&report, &options(), &conjunctions_2024());
    assert!(comparison.is_right() && comparison.found == 187, "{comparison:#?}");
}

#[test]
fn it_stays_so_with_duplicates_disorder_damage_and_ids_beyond_31_bits() {
    let truth = conjunctions_2024();
    for (seed, sensors) in [(1, 1), (2, 1), (3, 4), (4, 12)] {
        let troubled = SensorOptions {
            seed,
            sensors,
            duplicate_share: 0.2,
            disorder_s: 30,
            corrupt_share: 0.02,
            object_id_offset: 4_000_000_000,
            ..options()
        };
        let comparison = compared(&run(&some(), &troubled), &troubled, &truth);
        assert!(comparison.is_right() && comparison.found == 187, "{seed}: {comparison:#?}");
    }
}

#[test]
fn a_pass_two_milliseconds_after_the_first_observations_is_found_too() {
    let truth = conjunctions_2024();
    for seed in 1..=5 {
        let start_ns = time::parse(START).unwrap();
        let late = SensorOptions { seed, start_ns, duration_s: 600, ..options() };
        let comparison = compared(&run(&some(), &late), &late, &truth);
        assert!(comparison.is_right() && comparison.found == 187, "{seed}: {comparison:#?}");
    }
}

#[test]
fn operators_restored_at_any_moment_give_the_same_alerts() {
    let troubled = SensorOptions { disorder_s: 30, duplicate_share: 0.2, ..options() };
    let calm = run(&some(), &troubled).alerts;
    let mut host = Host::new(30_000);
    for (at, line) in make_observations(&some(), &troubled).unwrap().enumerate() {
        if at % 7_777 == 0 {
            host.restore();
        }
        host.give(&line.value);
    }
    assert_eq!(host.close().alerts, calm);
}

/// Lines as another program could make them: whole milliseconds or seconds, few decimals, two
/// sensors that see an object at the very same moment, velocities that are only roughly right.
fn foreign_lines(decimals: usize, step_ms: i64, jitter_ms: i64) -> Vec<String> {
    let start_ns = time::parse(START).unwrap();
    let mut lines = Vec::new();
    let objects: Vec<Propagator> = some().iter().map(|own| Propagator::new(own).unwrap()).collect();
    for number in 0..600_000 / step_ms {
        for (at, object) in (0_i64..).zip(&objects) {
            let wobble = (at * 7919 + number * 104_729) % (jitter_ms + 1);
            let time_ns = start_ns + (number * step_ms + wobble) * time::MILLISECOND_NS;
            let Ok(state) = object.at(time_ns) else { continue };
            let [x, y, z] = state.position;
            let [u, v, w] = state.velocity.map(|part| part + 0.001 * (wobble % 3 - 1) as f64);
            let id = object.object_id();
            for sensor in 0..=number % 2 {
                lines.push(format!(
                    "{{\"object_id\":{id},\"sensor_id\":\"x{sensor}\",\"schema_version\":1,\
                     \"observed_at\":\"{}\",\"velocity_km_s\":[{u:.4},{v:.4},{w:.4}],\
                     \"position_km\":[{x:.decimals$},{y:.decimals$},{z:.decimals$}],\
                     \"position_sigma_km\":{},\"frame\":\"TEME\",\"sensor_kind\":\"optical\",\
                     \"observation_id\":\"{sensor}/{id}/{number}\"}}",
                    time::format(time_ns),
                    [0.05, 0.2][sensor as usize],
                ));
            }
        }
    }
    lines
}

#[test]
fn lines_of_another_making_give_the_same_passes() {
    for (decimals, step_ms, jitter_ms) in [(9, 4000, 0), (6, 4000, 1500), (5, 3000, 3000)] {
        let mut host = Host::new(10_000);
        for line in foreign_lines(decimals, step_ms, jitter_ms) {
            host.give(line.as_bytes());
        }
        let report = host.close();
        assert!(report.dead.is_empty() && report.late == 0);
        let comparison = compare(&conjunctions_2024(), &report.alerts, &rules(&options())).unwrap();
        println!("{decimals} {step_ms} {jitter_ms}: {comparison}");
        assert!(comparison.is_right() && comparison.found == 187, "{comparison:#?}");
    }
}

#[test]
fn errors_of_noisy_sensors_are_as_large_as_the_fused_deviations_say() {
    let noisy = SensorOptions {
        sensors: 6,
        noise_sigma_km: 0.01,
        sigma_ratio: 20.0,
        disorder_s: 5,
        ..options()
    };
    let exact = SensorOptions { noise_sigma_km: 0.0, ..noisy.clone() };
    let (noisy, exact) = (run(&some(), &noisy), run(&some(), &exact));
    let (mut sum, mut count, mut sigmas) = (0.0, 0.0, 0.0);
    for pass in &noisy.candidates {
        let near = |other: &&sda_domain::Candidate| {
            (other.primary_id, other.secondary_id) == (pass.primary_id, pass.secondary_id)
                && (other.tca_ns - pass.tca_ns).abs() < time::SECOND_NS / 2
        };
        let Some(known) = exact.candidates.iter().find(near) else { continue };
        // Along the relative velocity an error moves the time and not the miss: two of the three.
        let (a, b) = (pass.primary.sigma_km, pass.secondary.sigma_km);
        let off: f64 =
            pass.miss_rtn_km.iter().zip(known.miss_rtn_km).map(|(a, b)| (a - b) * (a - b)).sum();
        sum += off / (a * a + b * b);
        count += 2.0;
        sigmas += a + b;
    }
    let (ratio, sigma_m) = (sum / count, sigmas / count * 1000.0);
    println!("{count} components, {ratio} of what is expected, {sigma_m} m each");
    assert!(count > 300.0 && (0.8..1.25).contains(&ratio), "{ratio}");
    assert!(sigma_m < 100.0, "{sigma_m}");
}
