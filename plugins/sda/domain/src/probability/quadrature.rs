//! Integrals of functions with one peak, which may be anywhere and as small as you like.
//!
//! Values are kept apart from their exponents, so that nothing underflows on the way, and panels
//! are laid only where the function is within `exp(-DROP)` of its peak, so that nothing narrow is
//! overlooked.

use super::plane::Plane;

/// `factor * exp(exponent)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaled {
    pub exponent: f64,
    pub factor: f64,
}

impl Scaled {
    pub fn times(self, factor: f64) -> Self {
        Self { factor: self.factor * factor, ..self }
    }

    pub fn times_exponential(self, exponent: f64) -> Self {
        Self { exponent: self.exponent + exponent, ..self }
    }

    fn logarithm(self) -> f64 {
        libm::log(self.factor) + self.exponent
    }

    /// As one number; zero below the smallest there is.
    pub fn value(self) -> f64 {
        libm::exp(self.logarithm())
    }
}

/// What is left out lies at least this far below the peak, as a logarithm.
const DROP: f64 = 45.0;

/// Positive nodes and weights of the Gauss-Legendre rule with sixteen points.
const NODES: [(f64, f64); 8] = [
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_096),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_894),
    (0.865_631_202_387_831_8, 0.095_158_511_682_492_79),
    (0.755_404_408_355_003, 0.124_628_971_255_533_88),
    (0.617_876_244_402_643_8, 0.149_595_988_816_576_74),
    (0.458_016_777_657_227_37, 0.169_156_519_395_002_54),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_58),
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
];

fn panel(low: f64, high: f64, f: &impl Fn(f64) -> f64) -> f64 {
    let (middle, half) = ((low + high) / 2.0, (high - low) / 2.0);
    let pairs = NODES.iter().map(|(node, weight)| {
        let offset = half * node;
        weight * (f(middle - offset) + f(middle + offset))
    });
    half * pairs.sum::<f64>()
}

fn panels(low: f64, high: f64, count: u32, f: &impl Fn(f64) -> f64) -> f64 {
    let width = (high - low) / f64::from(count);
    let edge = |at: u32| low + width * f64::from(at);
    (0..count).map(|at| panel(edge(at), edge(at + 1), f)).sum()
}

/// The integral over `centre - half..centre + half` of the Gaussian `exp(-y^2 / 2 sigma^2)`, by
/// quadrature alone. `centre` is not negative, `half` at least 0, `sigma` above 0.
pub fn gaussian(centre: f64, half: f64, sigma: f64) -> Scaled {
    let double_variance = 2.0 * sigma * sigma;
    // The rest of the length on one side of the point nearest to the peak, where the Gaussian
    // still counts: y^2 = nearest^2 + DROP * double_variance at its end.
    let nearest = (centre - half).max(0.0);
    let reach = DROP * double_variance;
    let counts = reach / ((nearest * nearest + reach).sqrt() + nearest);
    // Relative to the value at the nearest point, so that nothing cancels.
    let falling = |offset: f64| libm::exp(-offset * (2.0 * nearest + offset) / double_variance);
    let side = |length: f64| panels(0.0, length.min(counts), 3, &falling);
    let factor =
        if centre >= half { side(2.0 * half) } else { side(half + centre) + side(half - centre) };
    Scaled { exponent: -nearest * nearest / double_variance, factor }
}

/// The integral over the unit disk, given its slices: `slice(plane, sine, cosine)` is the one at
/// the distance `sine` from the centre, where the disk is `cosine` wide to either side. It must
/// have one peak.
pub fn unimodal(plane: &Plane, slice: impl Fn(&Plane, f64, f64) -> Scaled) -> Scaled {
    // The angle instead of the distance takes the infinite slope off the disk's ends.
    let right_angle = std::f64::consts::FRAC_PI_2;
    let logarithm = |angle: f64| {
        let (sine, cosine) = libm::sincos(angle);
        let cosine = cosine.max(0.0);
        slice(plane, sine, cosine).times(cosine).logarithm()
    };
    let mode = peak(-right_angle, right_angle, &logarithm);
    let top = logarithm(mode);
    let (low, high) =
        (span(mode, -right_angle, top, &logarithm), span(mode, right_angle, top, &logarithm));
    let relative = |angle: f64| libm::exp(logarithm(angle) - top);
    // Rounding of a large exponent is noise that no finer step takes away.
    let tolerance = 1e-12 * (1.0 + top.abs() / 100.0);
    let factor = sharp_at_ends(low, mode, tolerance, &relative)
        + sharp_at_ends(mode, high, tolerance, &relative);
    Scaled { exponent: top, factor }
}

/// An integral whose integrand may change at its ends as suddenly as it likes: a chord that just
/// misses a narrow Gaussian is a step there. Tanh-sinh quadrature: points crowd at both ends, and
/// are doubled until that changes no more than `tolerance` of the whole.
fn sharp_at_ends(low: f64, high: f64, tolerance: f64, f: &impl Fn(f64) -> f64) -> f64 {
    let (middle, half) = ((low + high) / 2.0, (high - low) / 2.0);
    let quarter = std::f64::consts::FRAC_PI_2;
    let term = |time: f64| {
        let (grown, shrunk) = (libm::exp(time), libm::exp(-time));
        let (sinh, cosh) = ((grown - shrunk) / 2.0, (grown + shrunk) / 2.0);
        let tail = libm::exp(-2.0 * quarter * sinh);
        // 1 - tanh(quarter * sinh), and the weight 1 / cosh^2 of the same.
        let from_end = 2.0 * tail / (1.0 + tail);
        let weight = quarter * cosh * from_end * (2.0 - from_end);
        weight * (f(low + half * from_end) + f(high - half * from_end))
    };
    // The middle's weight, and the middle counted once.
    let mut sum = quarter * f(middle);
    let mut before = f64::INFINITY;
    let mut step = 1.0;
    for level in 0..LEVELS_MAX {
        let (first, stride) = if level == 0 { (1, 1) } else { (1, 2) };
        let count = (TIME_MAX / step) as u32;
        sum += (first..=count).step_by(stride).map(|at| term(step * f64::from(at))).sum::<f64>();
        let whole = half * step * sum;
        if level >= LEVELS_MIN && (whole - before).abs() <= tolerance * whole {
            return whole;
        }
        before = whole;
        step /= 2.0;
    }
    before
}

/// Points beyond this are nearer to an end than numbers can tell.
const TIME_MAX: f64 = 3.25;

/// Sixteen steps to a unit of time are enough to notice whatever is there.
const LEVELS_MIN: u32 = 4;

/// 1/1024 is the finest step.
const LEVELS_MAX: u32 = 11;

/// About where a function with one peak has it, by golden sections.
fn peak(mut low: f64, mut high: f64, f: &impl Fn(f64) -> f64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let mut left = high - GOLDEN * (high - low);
    let mut right = low + GOLDEN * (high - low);
    let (mut at_left, mut at_right) = (f(left), f(right));
    for _ in 0..60 {
        if at_left >= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - GOLDEN * (high - low);
            at_left = f(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + GOLDEN * (high - low);
            at_right = f(right);
        }
    }
    (low + high) / 2.0
}

/// How far from its peak towards `end` a function counts: where it has dropped by `DROP` or
/// somewhat more, or `end`.
fn span(mode: f64, end: f64, top: f64, f: &impl Fn(f64) -> f64) -> f64 {
    let (mut inside, mut outside) = (mode, end);
    if top - f(end) <= DROP {
        return end;
    }
    for _ in 0..60 {
        let middle = (inside + outside) / 2.0;
        let drop = top - f(middle);
        if drop <= DROP {
            inside = middle;
        } else {
            outside = middle;
            if drop <= 1.2 * DROP {
                break;
            }
        }
    }
    outside
}
