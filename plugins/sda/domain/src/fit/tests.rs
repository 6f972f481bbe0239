//! What fitting must keep: exact where nothing is measured badly, fused by sigma where it is.

use super::*;
use crate::vector::norm;

const REACH: Reach = Reach { reach_ns: 20 * SECOND_NS, spacing_min_ns: 2 * SECOND_NS };

/// On a circle through `(radius, 0, 0)` at time zero.
fn sample(radius: f64, seconds: f64, sigma_km: f64) -> Sample {
    let time_ns = (seconds * 1e9).round() as i64;
    let rate = (PULL / radius.powi(3)).sqrt();
    let (sine, cosine) = (time_ns as f64 / 1e9 * rate).sin_cos();
    let speed = radius * rate;
    Sample {
        object_id: 5,
        time_ns,
        position_km: [radius * cosine, radius * sine, 0.0],
        velocity_km_s: [-speed * sine, speed * cosine, 0.0],
        sigma_km,
    }
}

fn fit(samples: &[Sample], seconds: f64) -> Option<Motion> {
    let origin_ns = (seconds * 1e9) as i64;
    let near = |sample: &&Sample| (sample.time_ns - origin_ns).abs() <= REACH.reach_ns;
    let near: Vec<Sample> = samples.iter().filter(near).copied().collect();
    Motion::fit(&near, origin_ns, &REACH)
}

/// Kilometres, and kilometres per second of the derivative and of the measured velocity.
fn errors(samples: &[Sample], radius: f64, seconds: f64) -> [f64; 3] {
    let motion = fit(samples, seconds).unwrap();
    let time_ns = (seconds * 1e9) as i64;
    let truth = sample(radius, seconds, 1.0);
    let (position, derivative) = motion.at(time_ns);
    [
        norm(minus(position, truth.position_km)),
        norm(minus(derivative, truth.velocity_km_s)),
        norm(minus(motion.velocity_at(time_ns), truth.velocity_km_s)),
    ]
}

fn regular(radius: f64, seconds: &[f64]) -> Vec<Sample> {
    seconds.iter().map(|seconds| sample(radius, *seconds, 0.001)).collect()
}

const EVERY_FOUR: [f64; 12] = [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0, 32.0, 36.0, 40.0, 44.0];

#[test]
fn motion_is_right_to_twenty_micrometres_from_low_orbits_to_high_ones() {
    for radius in [6578.0, 7000.0, 26_600.0, 42_164.0] {
        let all = regular(radius, &EVERY_FOUR);
        for tenth in 0..440 {
            let seconds = f64::from(tenth) / 10.0;
            let [position, derivative, velocity] = errors(&all, radius, seconds);
            assert!(position < 2e-8, "{radius} {seconds}: {position}");
            assert!(derivative < 2e-8, "{radius} {seconds}: {derivative}");
            assert!(velocity < 1e-8, "{radius} {seconds}: {velocity}");
        }
    }
}

#[test]
fn a_time_before_the_first_observation_is_still_good_to_a_centimetre() {
    let all = regular(6700.0, &EVERY_FOUR);
    for (seconds, bound_km) in [(-1.0, 1e-7), (-4.0, 1e-6), (-6.0, 1e-5)] {
        let [position, ..] = errors(&all, 6700.0, seconds);
        assert!(position < bound_km, "{seconds}: {position}");
    }
}

#[test]
fn fewer_observations_do_with_less_accuracy_and_one_says_nothing() {
    for (count, bound_km) in [(5, 1e-8), (4, 1e-6), (3, 1e-4), (2, 1e-5)] {
        let all = regular(7000.0, &EVERY_FOUR[..count]);
        let [position, ..] = errors(&all, 7000.0, 1.7);
        assert!(position < bound_km, "{count}: {position}");
    }
    assert!(fit(&regular(7000.0, &[0.0]), 0.0).is_none());
    assert!(fit(&regular(7000.0, &[0.0, 0.0, 1.9]), 0.0).is_none(), "no two moments");
    assert!(fit(&[], 0.0).is_none());
}

#[test]
fn observations_that_coincide_or_nearly_so_do_no_harm() {
    let mut times = EVERY_FOUR.to_vec();
    times.extend([8.0, 8.0, 8.000_000_001, 12.001, 20.5, 24.0]);
    times.sort_by(f64::total_cmp);
    let all = regular(7000.0, &times);
    for tenth in 0..440 {
        let [position, ..] = errors(&all, 7000.0, f64::from(tenth) / 10.0);
        assert!(position < 2e-8, "{tenth}: {position}");
    }
    // Three moments, six observations: a parabola, not what their noise would bend.
    let mut few = regular(7000.0, &[0.0, 0.001, 4.0, 4.001, 8.0, 8.001]);
    few[1].position_km[0] += 0.01;
    let [position, ..] = errors(&few, 7000.0, 3.0);
    assert!(position < 0.02, "{position}");
}

#[test]
fn a_mean_of_two_sensors_weighs_them_by_their_variances() {
    // One sensor is ten times better; it says 0, the other 1 metre.
    let mut all = Vec::new();
    for seconds in EVERY_FOUR {
        all.push(sample(7000.0, seconds, 0.01));
        let mut off = sample(7000.0, seconds, 0.1);
        off.position_km[2] += 0.001;
        all.push(off);
    }
    let motion = fit(&all, 20.0).unwrap();
    let height = motion.at(20_000_000_000).0[2];
    assert!((height - 0.001 / 101.0).abs() < 1e-9, "{height}");
    let together = motion.sigma_km_at(20_000_000_000);
    let one: Vec<Sample> = all.iter().copied().filter(|s| s.sigma_km < 0.05).collect();
    let alone = fit(&one, 20.0).unwrap().sigma_km_at(20_000_000_000);
    assert!((together - alone / 1.01_f64.sqrt()).abs() < 1e-9, "{together} {alone}");
}

#[test]
fn the_variance_is_the_sum_of_squared_weights_times_variances() {
    let mut times = EVERY_FOUR.to_vec();
    times.extend([5.0, 13.3, 21.7]);
    times.sort_by(f64::total_cmp);
    for (count, seconds) in [(15, 20.0), (15, 44.0), (15, -3.0), (6, 9.0), (3, 3.0), (2, 1.0)] {
        let mut all = regular(7000.0, &times[..count]);
        for (at, sample) in all.iter_mut().enumerate() {
            sample.sigma_km = 0.001 * (1.0 + at as f64);
        }
        let time_ns = (seconds * 1e9) as i64;
        let motion = fit(&all, seconds).unwrap();
        // The fit is linear in the positions: each weight shows when one of them is moved.
        let mut variance = 0.0;
        for moved in 0..all.len() {
            let mut other = all.clone();
            other[moved].position_km[2] += 1.0;
            let weight = fit(&other, seconds).unwrap().at(time_ns).0[2] - motion.at(time_ns).0[2];
            variance += (weight * other[moved].sigma_km).powi(2);
        }
        let sigma = motion.sigma_km_at(time_ns);
        assert!((sigma / variance.sqrt() - 1.0).abs() < 1e-6, "{count} {seconds}: {sigma}");
    }
}

#[test]
fn sigmas_that_differ_a_millionfold_do_no_harm() {
    let mut all = regular(7000.0, &EVERY_FOUR);
    for (at, sample) in all.iter_mut().enumerate() {
        sample.sigma_km = if at % 2 == 0 { 1e-6 } else { 1.0 };
    }
    let [position, ..] = errors(&all, 7000.0, 21.0);
    assert!(position < 1e-8, "{position}");
    let sigma = fit(&all, 21.0).unwrap().sigma_km_at(21_000_000_000);
    assert!(sigma > 0.0 && sigma < 2e-6, "{sigma}");
}
