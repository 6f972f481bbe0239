//! Which of many objects could meet within a few seconds: boxes sorted along one axis.
//!
//! Each object gets the box that it stays in, and a box is compared only with those that begin
//! before it ends. So the cost is that of sorting, and of those that are really near along the
//! axis; it is never that of all pairs, unless all are in one place.

use crate::vector::{Vector, dot, minus, plus_scaled};

/// An object that moves straight for a while.
#[derive(Clone, Copy, Debug)]
pub struct Mover {
    /// Where it is in the middle.
    pub position: Vector,
    /// How it moves.
    pub velocity: Vector,
    /// How far it may be from there, at any time.
    pub slack_km: f64,
}

/// What an object stays in; single precision, rounded outwards by more than that loses.
#[derive(Clone, Copy)]
struct Extent {
    low: [f32; 3],
    high: [f32; 3],
}

/// Wider than what single precision loses at a million kilometres.
const ROUNDING_KM: f64 = 0.1;

/// Calls `meet` with the indices of any two of `movers` that may come within `distance_km` of each
/// other at most `half_s` before or after the middle. The lower index comes first; the order of
/// the calls follows from the movers alone.
pub fn sweep(movers: &[Mover], half_s: f64, distance_km: f64, mut meet: impl FnMut(usize, usize)) {
    let extents = movers.iter().map(|mover| extent(mover, half_s, distance_km));
    let mut sorted: Vec<(Extent, u32)> = extents.zip(0..).collect();
    sorted.sort_unstable_by(|(a, one), (b, other)| {
        a.low[0].total_cmp(&b.low[0]).then(one.cmp(other))
    });
    for (at, (a, one)) in sorted.iter().enumerate() {
        for (b, other) in &sorted[at + 1..] {
            if b.low[0] > a.high[0] {
                break;
            }
            let apart = (b.low[1] > a.high[1]) | (b.high[1] < a.low[1]);
            if apart | (b.low[2] > a.high[2]) | (b.high[2] < a.low[2]) {
                continue;
            }
            let (first, second) = ((*one).min(*other) as usize, (*one).max(*other) as usize);
            if may_meet(&movers[first], &movers[second], half_s, distance_km) {
                meet(first, second);
            }
        }
    }
}

fn extent(mover: &Mover, half_s: f64, distance_km: f64) -> Extent {
    let mut extent = Extent { low: [0.0; 3], high: [0.0; 3] };
    for axis in 0..3 {
        let far = mover.velocity[axis].abs() * half_s;
        let margin = far + mover.slack_km + distance_km / 2.0 + ROUNDING_KM;
        extent.low[axis] = (mover.position[axis] - margin) as f32;
        extent.high[axis] = (mover.position[axis] + margin) as f32;
    }
    extent
}

/// Whether two straight paths come within a distance at most `half_s` before or after the middle.
fn may_meet(a: &Mover, b: &Mover, half_s: f64, distance_km: f64) -> bool {
    let apart = minus(b.position, a.position);
    let closing = minus(b.velocity, a.velocity);
    let square_speed = dot(closing, closing);
    let time = if square_speed > 0.0 { -dot(apart, closing) / square_speed } else { 0.0 };
    let nearest = plus_scaled(apart, closing, time.clamp(-half_s, half_s));
    let within = distance_km + a.slack_km + b.slack_km;
    dot(nearest, nearest) <= within * within
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sweeping_finds_is_what_comparing_all_finds() {
        let mut state = 7_u64;
        let mut random = |size: f64| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            ((state >> 33) as f64 / (1_u64 << 31) as f64 - 0.5) * size
        };
        let movers: Vec<Mover> = (0..1500)
            .map(|_| Mover {
                position: [random(300.0) + 7000.0, random(300.0), random(300.0) - 40_000.0],
                velocity: [random(15.0), random(15.0), random(15.0)],
                slack_km: 0.2 + random(0.2),
            })
            .collect();
        let mut found = Vec::new();
        sweep(&movers, 2.1, 5.0, |a, b| found.push((a, b)));
        found.sort_unstable();
        let mut expected = Vec::new();
        for a in 0..movers.len() {
            for b in a + 1..movers.len() {
                if may_meet(&movers[a], &movers[b], 2.1, 5.0) {
                    expected.push((a, b));
                }
            }
        }
        assert_eq!(found, expected);
        assert!(found.len() > 50, "{}", found.len());
    }

    #[test]
    fn objects_at_one_place_meet_however_slow() {
        let still = Mover { position: [7000.0, 0.0, 0.0], velocity: [0.0; 3], slack_km: 0.0 };
        let mut found = Vec::new();
        sweep(&[still, still, still], 2.0, 5.0, |a, b| found.push((a, b)));
        assert_eq!(found, [(0, 1), (0, 2), (1, 2)]);
    }
}
