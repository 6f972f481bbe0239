//! Polynomials through a few points in local time.
//!
//! Newton's form: well behaved for a handful of unevenly spaced points a few seconds around zero.
//! Times are seconds from a nearby origin, never absolute.

use crate::vector::{Vector, minus, plus_scaled};

/// Through how many points a polynomial goes at most.
pub const POINTS_MAX: usize = 6;

/// A polynomial in three coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve {
    nodes: [f64; POINTS_MAX],
    coefficients: [Vector; POINTS_MAX],
    terms: usize,
}

impl Curve {
    /// The polynomial of lowest degree through `values` at different `times` (seconds). At most
    /// `POINTS_MAX` points are taken; none give a curve that is zero.
    pub fn through(times: &[f64], values: &[Vector]) -> Self {
        let terms = times.len().min(values.len()).min(POINTS_MAX);
        let mut curve = Self::blank(terms);
        curve.nodes[..terms].copy_from_slice(&times[..terms]);
        curve.coefficients[..terms].copy_from_slice(&values[..terms]);
        curve.divide(1);
        curve
    }

    /// The cubic with these values and derivatives at two different `times` (seconds).
    pub fn hermite(times: [f64; 2], values: [Vector; 2], derivatives: [Vector; 2]) -> Self {
        let mut curve = Self::blank(4);
        curve.nodes[..4].copy_from_slice(&[times[0], times[0], times[1], times[1]]);
        let between = minus(values[1], values[0]).map(|part| part / (times[1] - times[0]));
        curve.coefficients[..4].copy_from_slice(&[
            values[0],
            derivatives[0],
            between,
            derivatives[1],
        ]);
        curve.divide(2);
        curve
    }

    /// Value and derivative at a time in seconds.
    pub fn at(&self, time: f64) -> (Vector, Vector) {
        let (mut value, mut derivative) = ([0.0; 3], [0.0; 3]);
        for term in (0..self.terms).rev() {
            let step = time - self.nodes[term];
            derivative = plus_scaled(value, derivative, step);
            value = plus_scaled(self.coefficients[term], value, step);
        }
        (value, derivative)
    }

    fn blank(terms: usize) -> Self {
        Self { nodes: [0.0; POINTS_MAX], coefficients: [[0.0; 3]; POINTS_MAX], terms }
    }

    /// Divided differences from order `first` on.
    fn divide(&mut self, first: usize) {
        for order in first..self.terms {
            for term in (order..self.terms).rev() {
                let width = self.nodes[term] - self.nodes[term - order];
                let change = minus(self.coefficients[term], self.coefficients[term - 1]);
                self.coefficients[term] = change.map(|part| part / width);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quintic(t: f64) -> (Vector, Vector) {
        let value = 3.0 - t + 0.5 * t.powi(3) - 0.25 * t.powi(5);
        let derivative = -1.0 + 1.5 * t.powi(2) - 1.25 * t.powi(4);
        ([value, 2.0 * value, -value], [derivative, 2.0 * derivative, -derivative])
    }

    fn close(a: (Vector, Vector), b: (Vector, Vector)) -> bool {
        a.0.iter().chain(&a.1).zip(b.0.iter().chain(&b.1)).all(|(a, b)| (a - b).abs() < 1e-9)
    }

    #[test]
    fn six_points_give_back_a_polynomial_of_degree_five() {
        let times = [-2.0, -1.1, -0.1, 0.7, 1.9, 2.2];
        let curve = Curve::through(&times, &times.map(|time| quintic(time).0));
        for tenth in -30..30 {
            let time = f64::from(tenth) / 10.0;
            assert!(close(curve.at(time), quintic(time)), "{time}");
        }
    }

    #[test]
    fn two_points_with_velocities_give_back_a_cubic() {
        let cubic = |t: f64| ([t.powi(3), 1.0 - t, 0.0], [3.0 * t.powi(2), -1.0, 0.0]);
        let (a, b) = (cubic(-1.5), cubic(2.0));
        let curve = Curve::hermite([-1.5, 2.0], [a.0, b.0], [a.1, b.1]);
        assert!(close(curve.at(0.3), cubic(0.3)));
        assert!(close(curve.at(2.0), b));
    }

    #[test]
    fn a_single_point_stays_and_no_point_is_zero() {
        assert_eq!(Curve::through(&[1.0], &[[1.0, 2.0, 3.0]]).at(9.0).0, [1.0, 2.0, 3.0]);
        assert_eq!(Curve::through(&[], &[]).at(9.0), ([0.0; 3], [0.0; 3]));
    }
}
