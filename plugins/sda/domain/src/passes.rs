//! Which objects pass each other closely in a stretch of time, when, and how closely.
//!
//! Time is cut into steps of four seconds, in which paths are nearly straight. In each, `sweep`
//! finds the pairs that could meet; for these the moment is found at which their distance stops
//! shrinking, on the motions fitted to all their observations around it. Velocities as measured are
//! never used for that: SGP4's are not the derivatives of its positions.
//!
//! **Companions:** pairs with a relative speed below `companion_speed_km_s` fly together (docked,
//! identical elements, formations). They have no sharp closest approach, and often none at all, so
//! they are left out.

use crate::sweep::{Mover, sweep};
use crate::time::SECOND_NS;
use crate::track::{TrackLimits, tracks};
use crate::vector::{Vector, dot, minus, norm, plus_scaled, radial_transverse_normal};
use crate::{Known, Motion, Sample, Track};

/// What counts as a pass.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wider misses are left out.
    pub miss_distance_max_km: f64,
    /// Slower pairs are left out.
    pub companion_speed_km_s: f64,
    /// How observations are joined.
    pub track: TrackLimits,
}

impl Limits {
    /// How far before and behind a stretch observations are needed to find its passes.
    pub fn margin_ns(&self) -> i64 {
        self.track.reach.reach_ns + STEP_NS + 2 * TOLERANCE_NS
    }
}

/// One pass of two objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// The lower catalogue number.
    pub primary_id: u32,
    /// The higher catalogue number.
    pub secondary_id: u32,
    /// Time of closest approach, nanoseconds since the Unix epoch.
    pub tca_ns: i64,
    /// The distance then.
    pub miss_distance_km: f64,
    /// Length of the difference of the measured velocities then.
    pub relative_speed_km_s: f64,
    /// Secondary minus primary along the radial, transverse and normal axes of the primary.
    pub miss_rtn_km: Vector,
    /// The primary then.
    pub primary: Known,
    /// The secondary then.
    pub secondary: Known,
    /// The samples that it rests on, by their places among all.
    pub used: Vec<usize>,
}

/// Length of a step.
pub const STEP_NS: i64 = 4 * SECOND_NS;

/// By how much the stretch and each step are widened, so that rounding at an edge loses no pass.
/// Two stretches that meet may therefore both report one.
pub const TOLERANCE_NS: i64 = SECOND_NS / 10;

/// Two passes of a pair nearer in time than this are one, found in two steps.
pub const SAME_PASS_NS: i64 = SECOND_NS / 2;

/// How far a path may be from straight within half a step, and what a sight may be off.
const STRAIGHT_KM: f64 = 0.1;

/// Noise is believed up to this: what is less certain must not make everybody a neighbour.
const NOISE_MAX_KM: f64 = 2.0;

/// Every pass with its closest approach in `from_ns..to_ns`, give or take `TOLERANCE_NS`, ordered
/// by pair and time. Samples must be sorted as `track::sort` does.
pub fn find_passes(samples: &[Sample], from_ns: i64, to_ns: i64, limits: &Limits) -> Vec<Pass> {
    let tracks = tracks(samples, &limits.track);
    let (first, last) = (from_ns - TOLERANCE_NS, to_ns + TOLERANCE_NS);
    let half_s = (STEP_NS / 2 + TOLERANCE_NS) as f64 / SECOND_NS as f64;
    let mut passes = Vec::new();
    let (mut movers, mut of) = (Vec::new(), Vec::new());
    // Steps lie at fixed times, so that neighbouring windows see the same ones.
    let mut start = first.div_euclid(STEP_NS) * STEP_NS;
    while start < last {
        movers.clear();
        of.clear();
        for track in &tracks {
            if let Some(mover) = mover(track, start, &limits.track) {
                movers.push(mover);
                of.push(track);
            }
        }
        sweep(&movers, half_s, limits.miss_distance_max_km, |a, b| {
            if of[a].object_id() != of[b].object_id() {
                let pass = closest_approach(of[a], of[b], start, limits);
                passes.extend(pass.filter(|pass| (first..last).contains(&pass.tca_ns)));
            }
        });
        start += STEP_NS;
    }
    passes.sort_by_key(|pass| (pass.primary_id, pass.secondary_id, pass.tca_ns));
    passes.dedup_by(|b, a| {
        (a.primary_id, a.secondary_id) == (b.primary_id, b.secondary_id)
            && b.tca_ns - a.tca_ns <= SAME_PASS_NS
    });
    passes
}

/// A track's object in the middle of a step, if it is known anywhere in the step.
fn mover(track: &Track<'_>, start_ns: i64, limits: &TrackLimits) -> Option<Mover> {
    let (first, last) = track.domain_ns(limits);
    let end_ns = start_ns + STEP_NS;
    if last < start_ns - TOLERANCE_NS || first > end_ns + TOLERANCE_NS {
        return None;
    }
    let middle = start_ns + STEP_NS / 2;
    let known = middle.clamp(first, last);
    let sight = track.sight(known, limits)?;
    let ahead_s = (middle - known) as f64 / SECOND_NS as f64;
    Some(Mover {
        position: plus_scaled(sight.position, sight.velocity, ahead_s),
        velocity: sight.velocity,
        slack_km: STRAIGHT_KM + sight.noise_km.min(NOISE_MAX_KM),
    })
}

/// The pass of two objects in a step, if their distance has its minimum there and it counts.
fn closest_approach(a: &Track<'_>, b: &Track<'_>, start_ns: i64, limits: &Limits) -> Option<Pass> {
    let (a_domain, b_domain) = (a.domain_ns(&limits.track), b.domain_ns(&limits.track));
    let low = (start_ns - TOLERANCE_NS).max(a_domain.0).max(b_domain.0);
    let high = (start_ns + STEP_NS + TOLERANCE_NS).min(a_domain.1).min(b_domain.1);
    if low >= high {
        return None;
    }
    let motions = |time| Some((a.motion(time, &limits.track)?, b.motion(time, &limits.track)?));
    let mut pair = motions(low + (high - low) / 2)?;
    let mut tca_ns = minimum(&pair, low, high)?;
    // The observations nearest to the closest approach are others than those nearest to the middle
    // of the step: choose anew until the choice stands. Away from an edge the second one does.
    for _ in 0..4 {
        let nearer = motions(tca_ns)?;
        let (from, to) = ((tca_ns - SAME_PASS_NS).max(low), (tca_ns + SAME_PASS_NS).min(high));
        let Some(better_ns) = minimum(&nearer, from, to) else { break };
        let settled = better_ns == tca_ns;
        (pair, tca_ns) = (nearer, better_ns);
        if settled {
            break;
        }
    }
    measure(a, b, &pair, tca_ns, limits)
}

/// When the distance of two motions stops shrinking between two times, to a nanosecond; none if it
/// does not change from shrinking to growing in between (identical motions never do).
fn minimum(pair: &(Motion, Motion), low_ns: i64, high_ns: i64) -> Option<i64> {
    let shrinks = |time_ns: i64| {
        let (a, b) = (pair.0.at(time_ns), pair.1.at(time_ns));
        dot(minus(b.0, a.0), minus(b.1, a.1)) < 0.0
    };
    let (mut low, mut high) = (low_ns, high_ns);
    let crosses = shrinks(low) && !shrinks(high);
    if !crosses {
        return None;
    }
    // Halving is slow and cannot fail; a step of four seconds takes 32 rounds.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if shrinks(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}

fn measure(
    a: &Track<'_>,
    b: &Track<'_>,
    pair: &(Motion, Motion),
    tca_ns: i64,
    limits: &Limits,
) -> Option<Pass> {
    let (primary, secondary) = (known(&pair.0, tca_ns), known(&pair.1, tca_ns));
    let miss = minus(secondary.position_km, primary.position_km);
    let miss_distance_km = norm(miss);
    let relative_speed_km_s = norm(minus(secondary.velocity_km_s, primary.velocity_km_s));
    let counts = miss_distance_km <= limits.miss_distance_max_km
        && relative_speed_km_s >= limits.companion_speed_km_s;
    if !counts {
        return None;
    }
    let reach = &limits.track.reach;
    let used = |track: &Track<'_>, motion: &Motion| track.within_reach(motion.origin_ns, reach);
    Some(Pass {
        primary_id: a.object_id(),
        secondary_id: b.object_id(),
        tca_ns,
        miss_distance_km,
        relative_speed_km_s,
        miss_rtn_km: radial_transverse_normal(primary.position_km, primary.velocity_km_s, miss),
        primary,
        secondary,
        used: used(a, &pair.0).chain(used(b, &pair.1)).collect(),
    })
}

fn known(motion: &Motion, time_ns: i64) -> Known {
    Known {
        position_km: motion.at(time_ns).0,
        velocity_km_s: motion.velocity_at(time_ns),
        sigma_km: motion.sigma_km_at(time_ns),
        observed_ns: motion.newest_ns,
    }
}

#[cfg(test)]
mod tests;
