//! How probable it is that two objects collide in an encounter: two-dimensional, as in conjunction
//! messages.
//!
//! What is assumed (the usual model of a short encounter): both move on straight lines at constant
//! velocity while it lasts, the errors of their positions are Gaussian, constant and independent,
//! velocities are exact, and both are spheres. Then the probability is the integral of the summed
//! covariance's Gaussian, projected along the relative velocity, over a disk whose radius is that
//! of both spheres together (the *hard-body radius*) and whose centre lies one miss away.
//!
//! - [`foster`] is the method of the alerts: that double integral as it stands (Foster 1992).
//! - [`alfano`] is its cross-check (Alfano 2005): integrated along the other axis, with the inner
//!   integral in closed form by error functions. Both keep their relative accuracy in the tails,
//!   down to the smallest number that can be written; below it is zero.
//!
//! **Which miss.** States must be given at closest approach. The miss is then the whole distance
//! of the positions, laid along the direction of its projection: so the probability belongs to the
//! miss distance that an alert prints, and to what NASA's `PcCircle` computes. At closest approach
//! it equals the projected miss; states that are off by a millisecond differ by some 1e-4 of it.
//!
//! **Covariances that are none.** A variance in the plane below a ten-thousandth of the hard-body
//! radius squared, or below zero, is raised to that: there is no division by zero, and an object
//! known exactly hits or misses.
//!
//! Every number is computed with `+ - * /`, square roots and `libm`'s functions, which are plain
//! Rust: native and wasm give the same bits. Nothing here can fail, loop for ever or return what is
//! not a number; where the model says nothing there is no probability.

mod error_function;
mod plane;
mod quadrature;

use crate::vector::Vector;
use plane::Plane;
use quadrature::{Scaled, gaussian, unimodal};

/// Rows of a symmetric matrix.
pub type Matrix = [Vector; 3];

/// What is known of one object at the time of closest approach, all in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Object {
    /// Kilometres.
    pub position_km: Vector,
    /// Kilometres per second.
    pub velocity_km_s: Vector,
    /// Of the position, square kilometres.
    pub covariance_km2: Matrix,
}

/// The covariance of a position whose coordinates all have the standard deviation `sigma_km` and
/// err independently.
pub fn isotropic(sigma_km: f64) -> Matrix {
    let variance = sigma_km * sigma_km;
    [[variance, 0.0, 0.0], [0.0, variance, 0.0], [0.0, 0.0, variance]]
}

/// Probability of collision after Foster (1992), 0 to 1, with a relative error of some 1e-12 beside
/// what rounding does to a nearly singular covariance. None where the objects do not move against
/// each other, where the radius is negative, and where the input is not finite.
pub fn foster(primary: &Object, secondary: &Object, hard_body_radius_km: f64) -> Option<f64> {
    let disk = |plane: &Plane| {
        // Slices along the major axis, one after the other along the minor axis.
        unimodal(plane, |plane, sine, cosine| {
            let slice = gaussian(plane.miss_major, cosine, plane.sigma_major);
            slice.times_exponential(-square(plane.miss_minor + sine, plane.sigma_minor))
        })
    };
    probability(primary, secondary, hard_body_radius_km, disk)
}

/// The same after Alfano (2005): one integral of error functions. None as [`foster`].
pub fn alfano(primary: &Object, secondary: &Object, hard_body_radius_km: f64) -> Option<f64> {
    let disk = |plane: &Plane| {
        // Slices along the minor axis, one after the other along the major axis.
        unimodal(plane, |plane, sine, cosine| {
            let slice = error_function::gaussian(plane.miss_minor, cosine, plane.sigma_minor);
            slice.times_exponential(-square(plane.miss_major + sine, plane.sigma_major))
        })
    };
    probability(primary, secondary, hard_body_radius_km, disk)
}

/// Half of the square of `distance` in units of `sigma`.
fn square(distance: f64, sigma: f64) -> f64 {
    let deviations = distance / sigma;
    deviations * deviations / 2.0
}

fn probability(
    primary: &Object,
    secondary: &Object,
    radius_km: f64,
    disk: impl Fn(&Plane) -> Scaled,
) -> Option<f64> {
    let possible = radius_km >= 0.0 && radius_km.is_finite();
    if !possible {
        return None;
    }
    if radius_km == 0.0 {
        // A point is never hit; the model must still apply.
        return Plane::new(primary, secondary, 1.0).map(|_| 0.0);
    }
    let plane = Plane::new(primary, secondary, radius_km)?;
    if plane.surely_zero() {
        return Some(0.0);
    }
    let circumference = 2.0 * std::f64::consts::PI;
    let density = 1.0 / (circumference * plane.sigma_major * plane.sigma_minor);
    let value = disk(&plane).times(density).value();
    // The last bits of a sure hit may say more than 1.
    value.is_finite().then(|| value.min(1.0))
}

#[cfg(test)]
mod tests;
