//! What is known of one object without a gap: where it can be told, and how it moves there.
//!
//! Observations of all sensors are one track, in order of time. What is told of a time depends on
//! that time and on the observations within reach of it alone, so two windows or cells that both
//! hold these compute the same bits.

use crate::vector::{Vector, dot, minus, plus_scaled};
use crate::{Motion, Reach, Sample};

/// How observations are joined to tracks.
#[derive(Clone, Copy, Debug)]
pub struct TrackLimits {
    /// Which observations are fused.
    pub reach: Reach,
    /// A longer silence ends a track. At most the reach.
    pub gap_max_ns: i64,
    /// How far before its first and behind its last observation a track reaches. At most half of
    /// `gap_max_ns`, so that two tracks of an object never overlap.
    pub extrapolation_ns: i64,
}

/// Observations of one object in order of time, without a gap; never empty.
#[derive(Clone, Copy, Debug)]
pub struct Track<'a> {
    /// Where they begin among all samples.
    first: usize,
    samples: &'a [Sample],
}

/// Where an object is at a time, as well as two observations tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub position: Vector,
    pub velocity: Vector,
    /// What the two observations may be off.
    pub noise_km: f64,
}

/// The Earth's pull, km^3/s^2.
const PULL: f64 = 398_600.8;

/// Beyond how many deviations nothing is expected.
const DEVIATIONS: f64 = 6.0;

/// Sorts observations by object and time. Those of one object at one time follow by their numbers,
/// so that sums over them are the same whatever the order of arrival.
pub fn sort(samples: &mut [Sample]) {
    samples.sort_unstable_by(order);
}

/// The order in which `tracks` needs samples.
pub fn order(a: &Sample, b: &Sample) -> std::cmp::Ordering {
    let by_object_and_time = (a.object_id, a.time_ns).cmp(&(b.object_id, b.time_ns));
    by_object_and_time.then_with(|| {
        let parts = |sample: &Sample| {
            let ([x, y, z], [u, v, w]) = (sample.position_km, sample.velocity_km_s);
            [sample.sigma_km, x, y, z, u, v, w]
        };
        let mut each = parts(a).into_iter().zip(parts(b)).map(|(a, b)| a.total_cmp(&b));
        each.find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    })
}

/// Cuts samples, sorted as `sort` does, where the object changes or there is a gap.
pub fn tracks<'a>(samples: &'a [Sample], limits: &TrackLimits) -> Vec<Track<'a>> {
    let mut first = 0;
    samples
        .chunk_by(|a, b| a.object_id == b.object_id && b.time_ns - a.time_ns <= limits.gap_max_ns)
        .map(|samples| {
            let track = Track { first, samples };
            first += samples.len();
            track
        })
        .collect()
}

impl<'a> Track<'a> {
    /// Catalogue number.
    pub fn object_id(&self) -> u32 {
        self.samples[0].object_id
    }

    /// The first and the last time for which it says where the object is.
    pub fn domain_ns(&self, limits: &TrackLimits) -> (i64, i64) {
        let first = self.samples[0].time_ns;
        let last = self.samples[self.samples.len() - 1].time_ns;
        (first - limits.extrapolation_ns, last + limits.extrapolation_ns)
    }

    /// Which of all samples lie within reach of a time.
    pub fn within_reach(&self, time_ns: i64, reach: &Reach) -> std::ops::Range<usize> {
        let (from, to) = (time_ns - reach.reach_ns, time_ns + reach.reach_ns);
        let start = self.samples.partition_point(|sample| sample.time_ns < from);
        let end = self.samples.partition_point(|sample| sample.time_ns <= to);
        self.first + start..self.first + end
    }

    /// How the object moves around a time of the domain; none if it was seen at fewer than two
    /// moments within reach.
    pub fn motion(&self, time_ns: i64, limits: &TrackLimits) -> Option<Motion> {
        let used = self.within_reach(time_ns, &limits.reach);
        let samples = &self.samples[used.start - self.first..used.end - self.first];
        Motion::fit(samples, time_ns, &limits.reach)
    }

    /// Where the object is at a time of the domain, to a few metres beside the noise: from an
    /// observation on either side, far enough apart, and the Earth's pull in between.
    pub(crate) fn sight(&self, time_ns: i64, limits: &TrackLimits) -> Option<Sight> {
        let samples = self.samples;
        let behind = samples.partition_point(|sample| sample.time_ns < time_ns);
        let mut right = behind.clamp(1, samples.len().max(2) - 1);
        let mut left = right - 1;
        while samples.get(right)?.time_ns - samples[left].time_ns < limits.reach.spacing_min_ns {
            if right + 1 < samples.len() {
                right += 1;
            } else {
                left = left.checked_sub(1)?;
            }
        }
        let (a, b) = (&samples[left], &samples[right]);
        let seconds = |from: i64, to: i64| (to - from) as f64 / 1e9;
        let (width, time) = (seconds(a.time_ns, b.time_ns), seconds(a.time_ns, time_ns));
        let chord = minus(b.position_km, a.position_km).map(|part| part / width);
        let square = dot(a.position_km, a.position_km).max(1.0);
        let fall = -PULL / (square * square.sqrt());
        let half = fall * 0.5 * time * (time - width);
        let straight = plus_scaled(a.position_km, chord, time);
        Some(Sight {
            position: plus_scaled(straight, a.position_km, half),
            velocity: plus_scaled(chord, a.position_km, fall * (time - width * 0.5)),
            noise_km: DEVIATIONS * (a.sigma_km + b.sigma_km),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND_NS;
    use crate::vector::norm;

    const LIMITS: TrackLimits = TrackLimits {
        reach: Reach { reach_ns: 20 * SECOND_NS, spacing_min_ns: 2 * SECOND_NS },
        gap_max_ns: 12 * SECOND_NS,
        extrapolation_ns: 4 * SECOND_NS,
    };

    /// Seen on a circle of 7000 km.
    fn sample(object_id: u32, seconds: f64, sigma_km: f64) -> Sample {
        let time_ns = (seconds * 1e9) as i64;
        let rate = (PULL / 7000_f64.powi(3)).sqrt();
        let (sine, cosine) = (seconds * rate).sin_cos();
        let position_km = [7000.0 * cosine, 7000.0 * sine, 0.0];
        let velocity_km_s = [-7000.0 * rate * sine, 7000.0 * rate * cosine, 0.0];
        Sample { object_id, time_ns, position_km, velocity_km_s, sigma_km }
    }

    fn regular(seconds: &[f64]) -> Vec<Sample> {
        seconds.iter().map(|time| sample(5, *time, 0.01)).collect()
    }

    #[test]
    fn a_sight_is_right_to_metres_between_and_beside_observations() {
        let all = regular(&[0.0, 0.5, 1.0, 10.0, 14.0, 14.1, 18.0]);
        let track = tracks(&all, &LIMITS)[0];
        for tenth in -40..220 {
            let seconds = f64::from(tenth) / 10.0;
            let truth = sample(5, seconds, 0.01);
            let sight = track.sight((seconds * 1e9) as i64, &LIMITS).unwrap();
            let off = norm(minus(sight.position, truth.position_km));
            let faster = norm(minus(sight.velocity, truth.velocity_km_s));
            assert!(off < 0.01 && faster < 0.002, "{seconds}: {off} {faster}");
        }
        for few in [&all[..1], &all[..3]] {
            assert!(tracks(few, &LIMITS)[0].sight(0, &LIMITS).is_none());
        }
    }

    #[test]
    fn what_is_used_lies_within_reach_and_is_named_by_its_place_among_all() {
        let mut all = regular(&[0.0, 4.0, 8.0, 12.0, 20.0, 28.0, 32.0]);
        all.push(sample(4, 8.0, 0.01));
        sort(&mut all);
        let found = tracks(&all, &LIMITS);
        assert_eq!((found[0].object_id(), found[1].object_id()), (4, 5));
        assert_eq!(found[1].within_reach(8 * SECOND_NS, &LIMITS.reach), 1..7);
        assert_eq!(found[1].within_reach(-2 * SECOND_NS, &LIMITS.reach), 1..5);
        assert!(found[1].motion(8 * SECOND_NS, &LIMITS).is_some());
        assert!(found[0].motion(8 * SECOND_NS, &LIMITS).is_none());
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let mut all = regular(&[0.0, 4.0, 8.0]);
        all.push(sample(5, 4.0, 0.001));
        all.push(Sample { velocity_km_s: [0.0; 3], ..sample(5, 4.0, 0.01) });
        let mut backwards: Vec<Sample> = all.iter().rev().copied().collect();
        sort(&mut all);
        sort(&mut backwards);
        assert_eq!(all, backwards);
        assert_eq!(all[1].sigma_km, 0.001);
    }

    #[test]
    fn a_gap_ends_a_track_and_nothing_is_said_beyond_its_reach() {
        let all = regular(&[0.0, 4.0, 30.0, 34.0]);
        let found = tracks(&all, &LIMITS);
        let domains: Vec<(i64, i64)> = found.iter().map(|track| track.domain_ns(&LIMITS)).collect();
        let seconds = |a: i64, b: i64| (a * SECOND_NS, b * SECOND_NS);
        assert_eq!(domains, [seconds(-4, 8), seconds(26, 38)]);
    }
}
