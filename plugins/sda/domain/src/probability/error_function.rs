//! Integrals of a Gaussian by error functions, without underflow and without cancellation.

use super::quadrature::Scaled;
use std::f64::consts::{PI, SQRT_2};

/// The integral over `centre - half..centre + half` of `exp(-y^2 / 2 sigma^2)`. `centre` is not
/// negative, `half` at least 0, `sigma` above 0.
pub fn gaussian(centre: f64, half: f64, sigma: f64) -> Scaled {
    let scale = SQRT_2 * sigma;
    let (low, high) = ((centre - half) / scale, (centre + half) / scale);
    let (middle, width) = (centre / scale, half / scale);
    if width < 0.5 && 2.0 * middle * width < 1.0 {
        let factor = 2.0 * half * mean_ratio(middle, width);
        return Scaled { exponent: -middle * middle, factor };
    }
    let whole = sigma * (PI / 2.0).sqrt();
    if low <= 0.0 {
        let factor = whole * (libm::erf(high) + libm::erf(-low));
        return Scaled { exponent: 0.0, factor };
    }
    let rest = libm::exp(-(high - low) * (high + low)) * scaled_complement(high);
    Scaled { exponent: -low * low, factor: whole * (scaled_complement(low) - rest) }
}

/// The mean of `exp(-y^2)` over `middle - width..middle + width` against its value in the middle:
/// Taylor's series, the sum over n of `H_2n(middle) width^2n / (2n + 1)!` with Hermite's
/// polynomials. For narrow stretches, where a difference of error functions would cancel.
fn mean_ratio(middle: f64, width: f64) -> f64 {
    let (mut before, mut hermite) = (1.0, 2.0 * middle);
    let (mut power, mut total) = (1.0, 1.0);
    for n in 1..=30 {
        let order = f64::from(2 * n);
        // H_k+1 = 2 y H_k - 2 k H_k-1, twice.
        let even = 2.0 * middle * hermite - 2.0 * (order - 1.0) * before;
        let odd = 2.0 * middle * even - 2.0 * order * hermite;
        (before, hermite) = (even, odd);
        power *= width * width / (order * (order + 1.0));
        let term = even * power;
        total += term;
        // A polynomial may have a root here, so one small term alone says nothing.
        if n > 3 && power * (even.abs() + odd.abs()) < 1e-18 {
            break;
        }
    }
    total
}

/// `exp(x^2) erfc(x)` for `x` not below 0: falls as `1 / x`, and never underflows.
pub fn scaled_complement(x: f64) -> f64 {
    if x < 3.0 {
        return libm::exp(x * x) * libm::erfc(x);
    }
    // Laplace's continued fraction from its far end; from 3 on, 60 terms leave nothing to wish.
    let mut tail = x;
    for k in (1..=60).rev() {
        tail = x + f64::from(k) / 2.0 / tail;
    }
    1.0 / (tail * PI.sqrt())
}
