//! The plane across the relative velocity: where the miss and the Gaussian lie in it.
//!
//! Lengths are in hard-body radii. A plane never holds what is not finite, nor a deviation of zero.

use super::{Matrix, Object};
use crate::vector::{Vector, cross, dot, minus, norm, unit};

/// A variance is at least the square of this, in hard-body radii.
const SIGMA_MIN: f64 = 1e-4;

/// The summed covariance's ellipse and the miss along its axes, both not negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plane {
    pub miss_major: f64,
    pub miss_minor: f64,
    pub sigma_major: f64,
    pub sigma_minor: f64,
}

impl Plane {
    /// None where there is no relative velocity, or a number that is not finite.
    pub fn new(primary: &Object, secondary: &Object, radius_km: f64) -> Option<Self> {
        let apart = minus(secondary.position_km, primary.position_km);
        let closing = minus(secondary.velocity_km_s, primary.velocity_km_s);
        let along = unit(closing);
        let moving = norm(along) > 0.0 && norm(closing).is_finite();
        if !moving {
            return None;
        }
        let miss = norm(apart);
        let x = miss_axis(apart, along);
        let z = cross(x, along);
        let covariance = sum(&primary.covariance_km2, &secondary.covariance_km2);
        let form = |a: Vector, b: Vector| dot(a, covariance.map(|row| dot(row, b)));
        let ellipse = Ellipse::new(form(x, x), form(x, z), form(z, z));
        let sigma = |variance: f64| (variance.max(0.0).sqrt() / radius_km).max(SIGMA_MIN);
        let plane = Self {
            miss_major: miss * ellipse.axis[0].abs() / radius_km,
            miss_minor: miss * ellipse.axis[1].abs() / radius_km,
            sigma_major: sigma(ellipse.major),
            sigma_minor: sigma(ellipse.minor),
        };
        // `max` above would turn what is no number into the smallest deviation.
        let finite = ellipse.major.is_finite() && ellipse.minor.is_finite();
        let all = [plane.miss_major, plane.miss_minor, plane.sigma_major, plane.sigma_minor];
        (finite && all.iter().all(|part| part.is_finite())).then_some(plane)
    }

    /// Whether even the disk's nearest point is so many deviations away that no number is small
    /// enough for the probability.
    pub fn surely_zero(&self) -> bool {
        let centre = hypotenuse(self.miss_major, self.miss_minor);
        centre - 1.0 > 60.0 * self.sigma_major
    }
}

/// Plain, so that every machine has the same bits; planes are far from overflow.
fn hypotenuse(a: f64, b: f64) -> f64 {
    (a * a + b * b).sqrt()
}

/// The direction of the miss across `along`. Where there is none (no miss at all, or all of it
/// along the relative velocity), any direction across will do.
fn miss_axis(apart: Vector, along: Vector) -> Vector {
    let across = cross(cross(along, apart), along);
    if norm(across) > 1e-12 * norm(apart) {
        return unit(across);
    }
    // The coordinate axis that is furthest from `along` gives a direction that is surely there.
    let [x, y, z] = along.map(f64::abs);
    let axis = if x <= y && x <= z {
        [1.0, 0.0, 0.0]
    } else if y <= z {
        [0.0, 1.0, 0.0]
    } else {
        [0.0, 0.0, 1.0]
    };
    unit(cross(along, axis))
}

/// Axes of a symmetric 2x2 matrix.
struct Ellipse {
    major: f64,
    minor: f64,
    /// Unit vector of the major axis.
    axis: [f64; 2],
}

impl Ellipse {
    fn new(xx: f64, xz: f64, zz: f64) -> Self {
        let middle = (xx + zz) / 2.0;
        let half = (xx - zz) / 2.0;
        let radius = hypotenuse(half, xz);
        // Of two forms of the axis the one without cancellation.
        let axis = if half >= 0.0 { [radius + half, xz] } else { [xz, radius - half] };
        let length = hypotenuse(axis[0], axis[1]);
        let axis = if length > 0.0 { [axis[0] / length, axis[1] / length] } else { [1.0, 0.0] };
        // By the determinant, which keeps the small one exact where the axes are the matrix's own.
        let major = middle + radius;
        let minor = if major > 0.0 { (xx * zz - xz * xz) / major } else { middle - radius };
        Self { major, minor, axis }
    }
}

fn sum(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|row| std::array::from_fn(|at| a[row][at] + b[row][at]))
}
