//! What is known of one object without a gap, and how it moves around a time.
//!
//! Observations of all sensors are one track, in order of time. Motion is a polynomial through the
//! positions of six of them that lie nearest and not too close to each other (two that nearly
//! coincide say nothing new, and their noise would be blown up). With three to five it has a lower
//! degree; with two it is the cubic that also has their velocities; from one nothing follows.
//! Which ones are chosen depends on the time and on the observations within reach of it alone, so
//! two windows or cells that both hold these compute the same bits.

use crate::Observation;
use crate::curve::{Curve, POINTS_MAX};
use crate::time::SECOND_NS;
use crate::vector::Vector;

/// How observations are joined to tracks.
#[derive(Clone, Copy, Debug)]
pub struct TrackLimits {
    /// No observation further than this from a time is used for it.
    pub reach_ns: i64,
    /// Observations that are used together are at least this far apart.
    pub spacing_min_ns: i64,
    /// A longer silence ends a track.
    pub gap_max_ns: i64,
    /// How far before its first and behind its last observation a track reaches. At most half of
    /// `gap_max_ns`, so that two tracks of an object never overlap.
    pub extrapolation_ns: i64,
}

/// Observations of one object in order of time, without a gap; never empty.
#[derive(Clone, Debug)]
pub struct Track<'a> {
    object_id: u32,
    samples: Vec<&'a Observation>,
}

/// How an object moves around a time.
#[derive(Clone, Debug)]
pub struct Motion {
    /// The time around which it holds.
    pub origin_ns: i64,
    /// Position against seconds from the origin; its derivative is the motion's true velocity.
    pub position: Curve,
    /// Measured velocity against seconds from the origin.
    pub velocity: Curve,
    /// Which samples it rests on, ascending.
    pub samples: Vec<usize>,
}

/// Sorts observations by object, time, accuracy and id, keeps the best of those at one and the same
/// time, and cuts where there is a gap.
pub fn tracks<'a>(mut observations: Vec<&'a Observation>, limits: &TrackLimits) -> Vec<Track<'a>> {
    observations.sort_by(|a, b| {
        let order = (a.object_id, a.time_ns).cmp(&(b.object_id, b.time_ns));
        order.then(a.sigma_km.total_cmp(&b.sigma_km)).then_with(|| a.id.cmp(&b.id))
    });
    observations.dedup_by(|b, a| (a.object_id, a.time_ns) == (b.object_id, b.time_ns));
    observations
        .chunk_by(|a, b| a.object_id == b.object_id && b.time_ns - a.time_ns <= limits.gap_max_ns)
        .map(|samples| Track { object_id: samples[0].object_id, samples: samples.to_vec() })
        .collect()
}

impl Track<'_> {
    /// Catalogue number.
    pub fn object_id(&self) -> u32 {
        self.object_id
    }

    /// The id of one of its observations.
    pub fn observation_id(&self, sample: usize) -> &str {
        &self.samples[sample].id
    }

    /// The first and the last time for which it says where the object is.
    pub fn domain_ns(&self, limits: &TrackLimits) -> (i64, i64) {
        let first = self.samples[0].time_ns;
        let last = self.samples[self.samples.len() - 1].time_ns;
        (first - limits.extrapolation_ns, last + limits.extrapolation_ns)
    }

    /// How the object moves around a time of the domain; none if fewer than two observations can
    /// be used for it.
    pub fn motion(&self, time_ns: i64, limits: &TrackLimits) -> Option<Motion> {
        let samples = self.nearest(time_ns, limits);
        let mut times = [0.0; POINTS_MAX];
        let mut positions: [Vector; POINTS_MAX] = [[0.0; 3]; POINTS_MAX];
        let mut velocities = positions;
        for (at, sample) in samples.iter().enumerate() {
            let observation = self.samples[*sample];
            times[at] = (observation.time_ns - time_ns) as f64 / SECOND_NS as f64;
            positions[at] = observation.position_km;
            velocities[at] = observation.velocity_km_s;
        }
        let count = samples.len();
        let position = match count {
            0 | 1 => return None,
            2 => Curve::hermite(
                [times[0], times[1]],
                [positions[0], positions[1]],
                [velocities[0], velocities[1]],
            ),
            _ => Curve::through(&times[..count], &positions[..count]),
        };
        let velocity = Curve::through(&times[..count], &velocities[..count]);
        Some(Motion { origin_ns: time_ns, position, velocity, samples })
    }

    /// Up to six samples, the nearest first taken, those too close to one taken left out.
    fn nearest(&self, time_ns: i64, limits: &TrackLimits) -> Vec<usize> {
        let distance = |sample: usize| (self.samples[sample].time_ns - time_ns).abs();
        let mut right = self.samples.partition_point(|sample| sample.time_ns < time_ns);
        let mut left = right.checked_sub(1);
        let mut taken: Vec<usize> = Vec::with_capacity(POINTS_MAX);
        while taken.len() < POINTS_MAX {
            let next = match (left, right < self.samples.len()) {
                (None, false) => break,
                (Some(before), true) if distance(before) <= distance(right) => before,
                (Some(before), false) => before,
                (_, true) => right,
            };
            if distance(next) > limits.reach_ns {
                break;
            }
            if next == right {
                right += 1;
            } else {
                left = next.checked_sub(1);
            }
            let apart = |other: &usize| {
                let gap = self.samples[*other].time_ns - self.samples[next].time_ns;
                gap.abs() >= limits.spacing_min_ns
            };
            if taken.iter().all(apart) {
                taken.push(next);
            }
        }
        taken.sort_unstable();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const LIMITS: TrackLimits = TrackLimits {
        reach_ns: 20 * SECOND_NS,
        spacing_min_ns: 2 * SECOND_NS,
        gap_max_ns: 12 * SECOND_NS,
        extrapolation_ns: 4 * SECOND_NS,
    };

    fn observation(object_id: u32, seconds: f64, sigma_km: f64, id: &str) -> Observation {
        let time_ns = (seconds * 1e9) as i64;
        let (sine, cosine) = (seconds * 0.00107).sin_cos();
        let position_km = [7000.0 * cosine, 7000.0 * sine, 0.0];
        let velocity_km_s = [-7.49 * sine, 7.49 * cosine, 0.0];
        Observation { object_id, time_ns, position_km, velocity_km_s, sigma_km, id: id.to_owned() }
    }

    fn regular(seconds: &[f64]) -> Vec<Observation> {
        seconds.iter().map(|time| observation(5, *time, 0.01, &format!("o{time}"))).collect()
    }

    fn error_km(track: &Track<'_>, seconds: f64) -> f64 {
        let truth = observation(5, seconds, 0.0, "").position_km;
        let motion = track.motion((seconds * 1e9) as i64, &LIMITS).unwrap();
        crate::vector::norm(crate::vector::minus(motion.position.at(0.0).0, truth))
    }

    #[test]
    fn motion_between_observations_is_right_to_less_than_a_millimetre() {
        let all = regular(&[0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0]);
        let found = tracks(all.iter().collect(), &LIMITS);
        for tenth in -20..300 {
            let error = error_km(&found[0], f64::from(tenth) / 10.0);
            assert!(error < 1e-7, "{tenth}: {error}");
        }
    }

    #[test]
    fn fewer_observations_do_with_less_accuracy() {
        for (count, bound_km) in [(5, 1e-7), (4, 1e-6), (3, 1e-4), (2, 1e-3)] {
            let all = regular(&[0.0, 4.0, 8.0, 12.0, 16.0][..count]);
            let found = tracks(all.iter().collect(), &LIMITS);
            let error = error_km(&found[0], 1.7);
            assert!(error < bound_km, "{count}: {error}");
        }
        let one = regular(&[0.0]);
        let found = tracks(one.iter().collect(), &LIMITS);
        assert!(found[0].motion(0, &LIMITS).is_none());
    }

    #[test]
    fn the_six_nearest_are_used_and_none_too_close_to_another() {
        let all = regular(&[0.0, 4.0, 4.5, 8.0, 9.9, 12.0, 16.0, 20.0, 24.0, 28.0]);
        let found = tracks(all.iter().collect(), &LIMITS);
        let motion = found[0].motion(13 * SECOND_NS, &LIMITS).unwrap();
        let ids: Vec<&str> =
            motion.samples.iter().map(|sample| found[0].observation_id(*sample)).collect();
        assert_eq!(ids, ["o4.5", "o9.9", "o12", "o16", "o20", "o24"]);
        let motion = found[0].motion(-2 * SECOND_NS, &LIMITS).unwrap();
        assert_eq!(motion.samples, [0, 1, 3, 5, 6], "nothing beyond the reach");
    }

    #[test]
    fn tracks_are_the_same_whatever_the_order_of_arrival() {
        let mut all = regular(&[0.0, 4.0, 8.0]);
        all.push(observation(5, 4.0, 0.001, "better"));
        all.push(observation(5, 8.0, 0.01, "a"));
        all.push(observation(4, 8.0, 0.01, "other"));
        let mut backwards: Vec<&Observation> = all.iter().collect();
        backwards.reverse();
        for order in [all.iter().collect(), backwards] {
            let found = tracks(order, &LIMITS);
            assert_eq!((found[0].object_id(), found[1].object_id()), (4, 5));
            let ids: Vec<&str> = (0..3).map(|sample| found[1].observation_id(sample)).collect();
            assert_eq!(ids, ["o0", "better", "a"]);
        }
    }

    #[test]
    fn a_gap_ends_a_track_and_nothing_is_said_beyond_its_reach() {
        let all = regular(&[0.0, 4.0, 30.0, 34.0]);
        let found = tracks(all.iter().collect(), &LIMITS);
        let domains: Vec<(i64, i64)> = found.iter().map(|track| track.domain_ns(&LIMITS)).collect();
        let seconds = |a: i64, b: i64| (a * SECOND_NS, b * SECOND_NS);
        assert_eq!(domains, [seconds(-4, 8), seconds(26, 38)]);
    }
}
