//! How one object moves around a moment: a polynomial in time, fitted by weighted least squares to
//! all positions within reach of that moment.
//!
//! Each observation weighs as the inverse of its variance, so those of several sensors are fused as
//! well as can be. Polynomials orthogonal over the very times and weights (Forsythe's recurrence)
//! need no matrix, and lose no digits: time is measured from the moment in units of the reach, and
//! positions from one of the observations. The degree is the lowest at which what an orbit has
//! beyond it is less than a millimetre at the moment, at most five, and below the number of moments
//! at which the object was really seen: observations closer than `spacing_min` count as one moment,
//! or their noise would be taken for motion. From two moments follows the cubic that also has their
//! velocities; from one nothing.
//!
//! Everything follows from the moment and the observations within reach of it alone.

use crate::Sample;
use crate::time::SECOND_NS;
use crate::vector::{Vector, dot, minus, plus_scaled};

/// Coefficients of a polynomial at most: degree 5.
const TERMS_MAX: usize = 6;

/// The least degree, but for too few observations: orbits bend, and the bend turns.
const TERMS_MIN: usize = 3;

/// The Earth's pull, km^3/s^2.
const PULL: f64 = 398_600.8;

/// What an orbit may have beyond the degree, kilometres at the moment (and per reach).
const BEYOND_KM: f64 = 1e-6;

/// How far observations reach, and how far apart they say something new.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Observations further than this from the moment are not used.
    pub reach_ns: i64,
    /// Observations closer to each other than this count as one moment.
    pub spacing_min_ns: i64,
}

/// How one object moves around a moment.
#[derive(Clone, Debug)]
pub struct Motion {
    /// The moment.
    pub origin_ns: i64,
    /// When the newest observation that it rests on was made.
    pub newest_ns: i64,
    /// Units of time per second.
    rate: f64,
    /// Coefficients against time from the moment, lowest first.
    position: [Vector; TERMS_MAX],
    velocity: [Vector; TERMS_MAX],
    /// The polynomials whose squares sum up to the variance of the position.
    deviations: [[f64; TERMS_MAX]; TERMS_MAX],
}

impl Motion {
    /// Fits `samples`, which are all that lie within reach of the moment, in order of time. None
    /// if they were made at fewer than two moments.
    pub fn fit(samples: &[Sample], origin_ns: i64, reach: &Reach) -> Option<Self> {
        match moments(samples, reach.spacing_min_ns) {
            0 | 1 => None,
            2 => Some(Self::hermite(samples, origin_ns, reach)),
            moments => Some(Self::least_squares(samples, origin_ns, reach, moments)),
        }
    }

    /// Position and its derivative at a time.
    pub fn at(&self, time_ns: i64) -> (Vector, Vector) {
        let time = self.unit(time_ns);
        let (mut value, mut derivative) = ([0.0; 3], [0.0; 3]);
        for coefficient in self.position.iter().rev() {
            derivative = plus_scaled(value, derivative, time);
            value = plus_scaled(*coefficient, value, time);
        }
        (value, derivative.map(|part| part * self.rate))
    }

    /// The measured velocity at a time. That of SGP4 is not the derivative of its position.
    pub fn velocity_at(&self, time_ns: i64) -> Vector {
        let time = self.unit(time_ns);
        let add = |value, coefficient: &Vector| plus_scaled(*coefficient, value, time);
        self.velocity.iter().rev().fold([0.0; 3], add)
    }

    /// One standard deviation of each coordinate of the position at a time.
    pub fn sigma_km_at(&self, time_ns: i64) -> f64 {
        let time = self.unit(time_ns);
        let squares = self.deviations.iter().map(|terms| {
            let value = terms.iter().rev().fold(0.0, |value, term| term + value * time);
            value * value
        });
        squares.sum::<f64>().sqrt()
    }

    fn unit(&self, time_ns: i64) -> f64 {
        (time_ns - self.origin_ns) as f64 / SECOND_NS as f64 * self.rate
    }

    fn blank(samples: &[Sample], origin_ns: i64, reach: &Reach) -> Self {
        Self {
            origin_ns,
            newest_ns: samples.last().map_or(origin_ns, |sample| sample.time_ns),
            rate: SECOND_NS as f64 / reach.reach_ns as f64,
            position: [[0.0; 3]; TERMS_MAX],
            velocity: [[0.0; 3]; TERMS_MAX],
            deviations: [[0.0; TERMS_MAX]; TERMS_MAX],
        }
    }

    fn least_squares(samples: &[Sample], origin_ns: i64, reach: &Reach, moments: usize) -> Self {
        let mut motion = Self::blank(samples, origin_ns, reach);
        let base = samples[samples.len() / 2].position_km;
        let best = samples.iter().map(|sample| sample.sigma_km).fold(f64::INFINITY, f64::min);
        let mut points: Vec<Point> = samples
            .iter()
            .map(|sample| Point {
                time: motion.unit(sample.time_ns),
                weight: (best / sample.sigma_km) * (best / sample.sigma_km),
                position: minus(sample.position_km, base),
                velocity: sample.velocity_km_s,
                basis: 1.0,
                basis_before: 0.0,
            })
            .collect();
        // Coefficients of the current basis polynomial and of the one before it.
        let (mut basis, mut before) = ([0.0_f64; TERMS_MAX + 1], [0.0; TERMS_MAX + 1]);
        basis[0] = 1.0;
        let mut norm_before = 1.0;
        let bounds = beyond(samples, motion.rate);
        for (term, bound) in bounds.into_iter().enumerate().take(moments) {
            let left = bound * (basis[0].abs() + basis[1].abs());
            if term >= TERMS_MIN && left <= BEYOND_KM {
                break;
            }
            let norm: f64 = points.iter().map(|p| p.weight * p.basis * p.basis).sum();
            let enough = norm > 0.0;
            if !enough {
                break;
            }
            motion.add(&mut points, &basis, norm, best, term);
            let moved: f64 = points.iter().map(|p| p.weight * p.time * p.basis * p.basis).sum();
            let (shift, back) = (moved / norm, if term == 0 { 0.0 } else { norm / norm_before });
            for point in &mut points {
                let next = (point.time - shift) * point.basis - back * point.basis_before;
                (point.basis_before, point.basis) = (point.basis, next);
            }
            let mut next = [0.0; TERMS_MAX + 1];
            for power in 0..=TERMS_MAX {
                let raised = if power == 0 { 0.0 } else { basis[power - 1] };
                next[power] = raised - shift * basis[power] - back * before[power];
            }
            (before, basis, norm_before) = (basis, next, norm);
        }
        motion.position[0] = plus_scaled(motion.position[0], base, 1.0);
        motion
    }

    /// Takes the part of the basis polynomial out of the points, and into the coefficients.
    fn add(
        &mut self,
        points: &mut [Point],
        basis: &[f64; TERMS_MAX + 1],
        norm: f64,
        best: f64,
        term: usize,
    ) {
        let (mut position, mut velocity) = ([0.0; 3], [0.0; 3]);
        for point in points.iter() {
            let share = point.weight * point.basis / norm;
            position = plus_scaled(position, point.position, share);
            velocity = plus_scaled(velocity, point.velocity, share);
        }
        for point in points.iter_mut() {
            point.position = plus_scaled(point.position, position, -point.basis);
            point.velocity = plus_scaled(point.velocity, velocity, -point.basis);
        }
        let deviation = best / norm.sqrt();
        for (power, part) in basis[..TERMS_MAX].iter().enumerate() {
            self.position[power] = plus_scaled(self.position[power], position, *part);
            self.velocity[power] = plus_scaled(self.velocity[power], velocity, *part);
            self.deviations[term][power] = part * deviation;
        }
    }

    /// The cubic through the best observation of the first moment and the best of the second.
    fn hermite(samples: &[Sample], origin_ns: i64, reach: &Reach) -> Self {
        let mut motion = Self::blank(samples, origin_ns, reach);
        let start_ns = samples[0].time_ns;
        let split = samples.partition_point(|s| s.time_ns - start_ns < reach.spacing_min_ns);
        let (a, b) = (best(&samples[..split]), best(&samples[split..]));
        let (from, to) = (motion.unit(a.time_ns), motion.unit(b.time_ns));
        let width = to - from;
        // Against the share of the way from one to the other: values, and derivatives by it.
        let way = minus(b.position_km, a.position_km);
        let start = a.velocity_km_s.map(|part| part * width / motion.rate);
        let end = b.velocity_km_s.map(|part| part * width / motion.rate);
        let axes = [0, 1, 2];
        let share_terms: [Vector; 4] = [
            a.position_km,
            start,
            axes.map(|axis| 3.0 * way[axis] - 2.0 * start[axis] - end[axis]),
            axes.map(|axis| start[axis] + end[axis] - 2.0 * way[axis]),
        ];
        // What the first and the second position weigh: 1 - 3s^2 + 2s^3, and the rest.
        let weights: [[f64; 4]; 2] = [[1.0, 0.0, -3.0, 2.0], [0.0, 0.0, 3.0, -2.0]];
        // Powers of the share, as polynomials in time.
        let mut power = [1.0, 0.0, 0.0, 0.0];
        for term in 0..4 {
            for (at, part) in power.iter().enumerate() {
                motion.position[at] = plus_scaled(motion.position[at], share_terms[term], *part);
                motion.deviations[0][at] += weights[0][term] * part * a.sigma_km;
                motion.deviations[1][at] += weights[1][term] * part * b.sigma_km;
            }
            let mut next = [0.0; 4];
            for at in 0..4 {
                let raised = if at == 0 { 0.0 } else { power[at - 1] };
                next[at] = (raised - from * power[at]) / width;
            }
            power = next;
        }
        let faster = minus(b.velocity_km_s, a.velocity_km_s).map(|part| part / width);
        motion.velocity[0] = plus_scaled(a.velocity_km_s, faster, -from);
        motion.velocity[1] = faster;
        motion
    }
}

/// An observation while it is being fitted: what is not yet explained, and the basis at its time.
struct Point {
    time: f64,
    weight: f64,
    position: Vector,
    velocity: Vector,
    basis: f64,
    basis_before: f64,
}

/// At how many moments at least `spacing_min_ns` apart an object was seen, six at most.
fn moments(samples: &[Sample], spacing_min_ns: i64) -> usize {
    let (mut count, mut last_ns) = (0, i64::MIN);
    for sample in samples {
        if count == 0 || sample.time_ns - last_ns >= spacing_min_ns {
            (count, last_ns) = (count + 1, sample.time_ns);
        }
        if count == TERMS_MAX {
            break;
        }
    }
    count
}

/// The most accurate; of equal ones the first.
fn best(samples: &[Sample]) -> &Sample {
    let better = |a: &'_ &Sample, b: &'_ &Sample| a.sigma_km.total_cmp(&b.sigma_km);
    samples.iter().min_by(better).expect("each moment has an observation")
}

/// Bounds on the coefficients of an orbit's motion, by power: nothing that stays with the Earth
/// turns faster than what falls past it at this height.
fn beyond(samples: &[Sample], rate: f64) -> [f64; TERMS_MAX] {
    let square = |sample: &Sample| dot(sample.position_km, sample.position_km);
    let radius = samples.iter().map(square).fold(f64::INFINITY, f64::min).sqrt().max(1.0);
    let turn = (2.0 * PULL / (radius * radius * radius)).sqrt() / rate;
    let mut bound = [radius; TERMS_MAX];
    for power in 1..TERMS_MAX {
        bound[power] = bound[power - 1] * turn / power as f64;
    }
    bound
}

#[cfg(test)]
mod tests;
