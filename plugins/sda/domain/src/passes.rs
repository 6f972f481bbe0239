//! Which objects pass each other closely in a stretch of time, when, and how closely.
//!
//! Time is cut into steps of four seconds, in which paths are nearly straight. In each, objects are
//! sorted along one axis, so only those that could meet are compared; for these the moment is found
//! at which their distance stops shrinking, on the polynomials through the positions. Velocities
//! as measured are never used for that: SGP4's are not the derivatives of its positions.
//!
//! **Companions:** pairs with a relative speed below `companion_speed_km_s` fly together (docked,
//! identical elements, formations). They have no sharp closest approach, and often none at all, so
//! they are left out.

use crate::Track;
use crate::time::SECOND_NS;
use crate::track::{Motion, TrackLimits};
use crate::vector::{Vector, dot, minus, norm, plus_scaled, radial_transverse_normal};

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
    /// Where the primary is then.
    pub position_km: Vector,
    /// Every observation that it rests on, ascending.
    pub observation_ids: Vec<String>,
}

/// Length of a step.
pub const STEP_NS: i64 = 4 * SECOND_NS;

/// By how much the stretch and each step are widened, so that rounding at an edge loses no pass.
/// Two stretches that meet may therefore both report one.
pub const TOLERANCE_NS: i64 = SECOND_NS / 10;

/// Two passes of a pair nearer in time than this are one, found in two steps.
pub const SAME_PASS_NS: i64 = SECOND_NS / 2;

/// How far a path may be from straight within half a step.
const STRAIGHT_KM: f64 = 0.5;

/// Every pass with its closest approach in `from_ns..to_ns`, give or take `TOLERANCE_NS`, ordered
/// by pair and time. Tracks must be as `track::tracks` makes them.
pub fn find_passes(tracks: &[Track<'_>], from_ns: i64, to_ns: i64, limits: &Limits) -> Vec<Pass> {
    let (first, last) = (from_ns - TOLERANCE_NS, to_ns + TOLERANCE_NS);
    let mut passes = Vec::new();
    // Steps lie at fixed times, so that neighbouring windows see the same ones.
    let mut start = first.div_euclid(STEP_NS) * STEP_NS;
    while start < last {
        for (a, b) in neighbours(tracks, start, limits) {
            let pass = closest_approach(&tracks[a], &tracks[b], start, limits);
            passes.extend(pass.filter(|pass| (first..last).contains(&pass.tca_ns)));
        }
        start += STEP_NS;
    }
    passes.sort_by_key(|pass| (pass.primary_id, pass.secondary_id, pass.tca_ns));
    passes.dedup_by(|b, a| {
        (a.primary_id, a.secondary_id) == (b.primary_id, b.secondary_id)
            && b.tca_ns - a.tca_ns <= SAME_PASS_NS
    });
    passes
}

/// An object in the middle of a step.
struct Place {
    track: usize,
    position: Vector,
    velocity: Vector,
}

/// Pairs of tracks that may pass within the miss distance in a step, lower object first.
fn neighbours(tracks: &[Track<'_>], start_ns: i64, limits: &Limits) -> Vec<(usize, usize)> {
    let mut places: Vec<Place> = (0..tracks.len())
        .filter_map(|track| place(track, &tracks[track], start_ns, &limits.track))
        .collect();
    places.sort_by(|a, b| a.position[0].total_cmp(&b.position[0]).then(a.track.cmp(&b.track)));
    let half_s = (STEP_NS / 2 + TOLERANCE_NS) as f64 / SECOND_NS as f64;
    let speed_max = places.iter().map(|place| place.velocity[0].abs()).fold(0.0, f64::max);
    let reach_km = limits.miss_distance_max_km + STRAIGHT_KM + 2.0 * speed_max * half_s;
    let mut pairs = Vec::new();
    for (at, a) in places.iter().enumerate() {
        for b in &places[at + 1..] {
            if b.position[0] - a.position[0] > reach_km {
                break;
            }
            if tracks[a.track].object_id() != tracks[b.track].object_id()
                && may_meet(a, b, half_s, limits.miss_distance_max_km + STRAIGHT_KM)
            {
                pairs.push((a.track.min(b.track), a.track.max(b.track)));
            }
        }
    }
    pairs
}

/// Where a track's object is in the middle of a step, if it is known anywhere in the step.
fn place(track: usize, of: &Track<'_>, start_ns: i64, limits: &TrackLimits) -> Option<Place> {
    let (first, last) = of.domain_ns(limits);
    let end_ns = start_ns + STEP_NS;
    if last < start_ns - TOLERANCE_NS || first > end_ns + TOLERANCE_NS {
        return None;
    }
    let middle = start_ns + STEP_NS / 2;
    let known = middle.clamp(first, last);
    let (position, velocity) = of.motion(known, limits)?.position.at(0.0);
    let ahead_s = (middle - known) as f64 / SECOND_NS as f64;
    Some(Place { track, position: plus_scaled(position, velocity, ahead_s), velocity })
}

/// Whether two straight paths come within `distance_km` at most `half_s` before or after.
fn may_meet(a: &Place, b: &Place, half_s: f64, distance_km: f64) -> bool {
    let apart = minus(b.position, a.position);
    let closing = minus(b.velocity, a.velocity);
    let square_speed = dot(closing, closing);
    let time = if square_speed > 0.0 { -dot(apart, closing) / square_speed } else { 0.0 };
    let nearest = plus_scaled(apart, closing, time.clamp(-half_s, half_s));
    dot(nearest, nearest) <= distance_km * distance_km
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
    let origin_ns = pair.0.origin_ns;
    let seconds = |time_ns: i64| (time_ns - origin_ns) as f64 / SECOND_NS as f64;
    let slope = |time: f64| {
        let (a, b) = (pair.0.position.at(time), pair.1.position.at(time));
        dot(minus(b.0, a.0), minus(b.1, a.1))
    };
    let (mut low, mut high) = (seconds(low_ns), seconds(high_ns));
    let crosses = slope(low) < 0.0 && slope(high) >= 0.0;
    if !crosses {
        return None;
    }
    // Halving is slow and cannot fail; a step of four seconds takes 36 rounds to a tenth of a
    // nanosecond.
    while high - low > 1e-10 {
        let middle = low + (high - low) / 2.0;
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(origin_ns + (high * SECOND_NS as f64).round() as i64)
}

fn measure(
    a: &Track<'_>,
    b: &Track<'_>,
    pair: &(Motion, Motion),
    tca_ns: i64,
    limits: &Limits,
) -> Option<Pass> {
    let time = (tca_ns - pair.0.origin_ns) as f64 / SECOND_NS as f64;
    let position_km = pair.0.position.at(time).0;
    let miss = minus(pair.1.position.at(time).0, position_km);
    let velocity = pair.0.velocity.at(time).0;
    let miss_distance_km = norm(miss);
    let relative_speed_km_s = norm(minus(pair.1.velocity.at(time).0, velocity));
    let counts = miss_distance_km <= limits.miss_distance_max_km
        && relative_speed_km_s >= limits.companion_speed_km_s;
    if !counts {
        return None;
    }
    let ids = |track: &Track<'_>, motion: &Motion| -> Vec<String> {
        motion.samples.iter().map(|at| track.observation_id(*at).to_owned()).collect()
    };
    let mut observation_ids = ids(a, &pair.0);
    observation_ids.extend(ids(b, &pair.1));
    observation_ids.sort_unstable();
    Some(Pass {
        primary_id: a.object_id(),
        secondary_id: b.object_id(),
        tca_ns,
        miss_distance_km,
        relative_speed_km_s,
        miss_rtn_km: radial_transverse_normal(position_km, velocity, miss),
        position_km,
        observation_ids,
    })
}

#[cfg(test)]
mod tests;
