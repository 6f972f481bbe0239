//! What finding close passes must keep, on tracks made for it.

use super::*;
use crate::Reach;
use crate::track::sort;

const LIMITS: Limits = Limits {
    miss_distance_max_km: 5.0,
    companion_speed_km_s: 0.1,
    track: TrackLimits {
        reach: Reach { reach_ns: 20 * SECOND_NS, spacing_min_ns: 2 * SECOND_NS },
        gap_max_ns: 12 * SECOND_NS,
        extrapolation_ns: 4 * SECOND_NS,
    },
};

/// An object on a circle through `(radius, 0, 0)` at `meets_s`, inclined by `tilt`.
struct Orbit {
    object_id: u32,
    radius: f64,
    tilt: f64,
    meets_s: f64,
}

impl Orbit {
    fn at(&self, seconds: f64) -> (Vector, Vector) {
        let rate = (398_600.8 / self.radius.powi(3)).sqrt();
        let (sine, cosine) = ((seconds - self.meets_s) * rate).sin_cos();
        let (up, flat) = self.tilt.sin_cos();
        let (r, v) = (self.radius, self.radius * rate);
        (
            [r * cosine, r * sine * flat, r * sine * up],
            [-v * sine, v * cosine * flat, v * cosine * up],
        )
    }

    fn seen(&self, from_s: f64, to_s: f64, phase_s: f64) -> Vec<Sample> {
        let count = ((to_s - from_s - phase_s) / 4.0).ceil() as usize;
        (0..count)
            .map(|number| {
                let time_ns = ((from_s + phase_s + 4.0 * number as f64) * 1e9) as i64;
                let (position_km, velocity_km_s) = self.at(time_ns as f64 / 1e9);
                let object_id = self.object_id;
                Sample { object_id, time_ns, position_km, velocity_km_s, sigma_km: 0.01 }
            })
            .collect()
    }

    /// The truth by brute force.
    fn closest(&self, other: &Orbit, around_s: f64) -> (f64, f64) {
        let distance = |time: f64| norm(minus(self.at(time).0, other.at(time).0));
        let (mut low, mut high) = (around_s - 2.0, around_s + 2.0);
        while high - low > 1e-9 {
            let third = (high - low) / 3.0;
            if distance(low + third) < distance(high - third) {
                high -= third;
            } else {
                low += third;
            }
        }
        (low, distance(low))
    }
}

fn passes(observations: &[Sample], from_s: i64, to_s: i64) -> Vec<Pass> {
    let mut samples = observations.to_vec();
    sort(&mut samples);
    find_passes(&samples, from_s * SECOND_NS, to_s * SECOND_NS, &LIMITS)
}

fn pair(meets_s: f64) -> (Orbit, Orbit) {
    (
        Orbit { object_id: 7, radius: 7000.0, tilt: 0.3, meets_s },
        Orbit { object_id: 3, radius: 7001.5, tilt: 1.5, meets_s: meets_s + 0.05 },
    )
}

#[test]
fn a_pass_is_right_to_a_millimetre_and_ten_microseconds_wherever_it_lies_between_observations() {
    for tenth in 0..40 {
        let meets_s = 100.0 + f64::from(tenth) / 10.0;
        let (a, b) = pair(meets_s);
        let all = [a.seen(60.0, 140.0, 0.0), b.seen(60.0, 140.0, 1.3)].concat();
        let found = passes(&all, 60, 120);
        assert_eq!(found.len(), 1, "{meets_s}");
        let (time, distance) = a.closest(&b, meets_s);
        assert_eq!((found[0].primary_id, found[0].secondary_id), (3, 7));
        assert!((found[0].tca_ns as f64 / 1e9 - time).abs() < 1e-5, "{meets_s}");
        assert!((found[0].miss_distance_km - distance).abs() < 1e-6, "{meets_s}");
        assert!((norm(found[0].miss_rtn_km) - distance).abs() < 1e-6);
        // All observations within twenty seconds, and nothing else.
        let mut sorted = all.clone();
        sort(&mut sorted);
        for (place, sample) in sorted.iter().enumerate() {
            let near = (sample.time_ns - found[0].tca_ns).abs() <= 20 * SECOND_NS;
            assert_eq!(found[0].used.contains(&place), near, "{meets_s}: {place}");
        }
        let newest = sorted.iter().filter(|sample| sample.object_id == 3).map(|s| s.time_ns);
        let newest = newest.filter(|time| *time <= found[0].tca_ns + 20 * SECOND_NS).max();
        assert_eq!(Some(found[0].primary.observed_ns), newest);
    }
}

#[test]
fn a_pass_on_the_edge_of_two_windows_is_the_same_in_both_and_lost_in_none() {
    for micros in [-150_000, -1_000, -1, 0, 1, 1_000, 150_000] {
        let (a, b) = pair(120.0 + f64::from(micros) / 1e6);
        // Each window holds what lies within reach of its core, and a step.
        let seen = |from: f64, to: f64| [a.seen(from, to, 0.0), b.seen(from, to, 1.3)].concat();
        let before = passes(&seen(36.0, 144.0), 60, 120);
        let after = passes(&seen(96.0, 204.0), 120, 180);
        assert!(!before.is_empty() || !after.is_empty(), "{micros}");
        if let (Some(one), Some(other)) = (before.first(), after.first()) {
            // What it rests on has other places in the other window.
            let other = Pass { used: one.used.clone(), ..other.clone() };
            assert_eq!(*one, other, "{micros}");
        }
    }
}

#[test]
fn companions_and_identical_objects_raise_nothing() {
    let alone = Orbit { object_id: 1, radius: 7000.0, tilt: 0.3, meets_s: 100.0 };
    let docked = Orbit { object_id: 2, ..alone };
    let formation = Orbit { object_id: 3, radius: 7000.0, tilt: 0.302, meets_s: 100.01 };
    let all = [&alone, &docked, &formation].map(|orbit| orbit.seen(60.0, 140.0, 0.0)).concat();
    assert_eq!(passes(&all, 60, 140), []);
}

#[test]
fn a_pass_is_found_up_to_the_extrapolation_behind_the_last_observation_and_no_further() {
    for (seconds, found) in [(3.5, 1), (4.5, 0)] {
        let (a, b) = pair(100.0);
        let last = 100.0 - seconds;
        let all = [a.seen(60.0, last + 0.001, 0.0), b.seen(60.0, 140.0, 1.3)].concat();
        // The last observation of `a` lies up to four seconds before `last`; shift it there.
        let shift = (last - 60.0) % 4.0;
        let shifted = [a.seen(60.0, last + 0.001, shift), b.seen(60.0, 140.0, 1.3)].concat();
        assert!(passes(&all, 60, 120).len() <= found);
        let passes = passes(&shifted, 60, 120);
        assert_eq!(passes.len(), found, "{seconds}");
        if let Some(pass) = passes.first() {
            let (time, distance) = a.closest(&b, 100.0);
            assert!((pass.tca_ns as f64 / 1e9 - time).abs() < 1e-4);
            assert!((pass.miss_distance_km - distance).abs() < 1e-5);
        }
    }
}

#[test]
fn a_pass_within_a_gap_of_one_missing_observation_is_found_and_within_a_long_gap_it_is_not() {
    let (a, b) = pair(100.0);
    for (silent_s, found) in [(3.0, 1), (4.0, 0)] {
        let mut all = [a.seen(60.0, 140.0, 0.0), b.seen(60.0, 140.0, 1.3)].concat();
        all.retain(|seen| {
            let off = (seen.time_ns as f64 / 1e9 - 100.0).abs();
            seen.object_id != 7 || off > silent_s
        });
        assert_eq!(passes(&all, 60, 120).len(), found, "{silent_s}");
    }
}

#[test]
fn of_many_objects_exactly_the_pairs_that_pass_are_found() {
    let mut orbits = Vec::new();
    for number in 0..40 {
        // A swarm of crossing orbits; those of equal height meet where the planes cross.
        orbits.push(Orbit {
            object_id: 100 + number,
            radius: 7000.0 + f64::from(number / 4) * 8.0,
            tilt: f64::from(number) * 0.15,
            meets_s: 100.0 + f64::from(number % 4) * 0.1,
        });
    }
    let all: Vec<Sample> = orbits.iter().flat_map(|orbit| orbit.seen(60.0, 140.0, 0.7)).collect();
    let found = passes(&all, 80, 120);
    let mut expected = Vec::new();
    for (at, a) in orbits.iter().enumerate() {
        for b in &orbits[at + 1..] {
            let (time, distance) = a.closest(b, 100.1);
            if distance < 5.0 && (time - 100.1).abs() < 1.9 {
                expected.push((a.object_id, b.object_id));
            }
        }
    }
    let pairs: Vec<(u32, u32)> =
        found.iter().map(|pass| (pass.primary_id, pass.secondary_id)).collect();
    assert_eq!(pairs, expected);
    assert!(expected.len() > 30, "{}", expected.len());
}
