//! Known answers, and the edges of the model.

use super::*;
use crate::vector::{cross, dot, minus, plus_scaled, unit};

struct Case {
    name: String,
    radius: f64,
    expected: f64,
    expected_at_tca: Option<f64>,
    paper: Option<f64>,
    reference: f64,
    reference_at_tca: Option<f64>,
    objects: [Object; 2],
}

/// Everything in the unit of the radius: the formulas do not know kilometres from metres.
fn cases() -> Vec<Case> {
    let text = include_str!("known_answers.txt");
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut cases = Vec::new();
    while let Some(head) = lines.next() {
        let head: Vec<&str> = head.split(' ').collect();
        let number = |at: usize| head[at].parse::<f64>().ok();
        let length = number(3).unwrap();
        let objects = [(); 2].map(|()| object(lines.next().unwrap(), head[2] == "RTN", length));
        cases.push(Case {
            name: head[1].to_owned(),
            radius: number(4).unwrap(),
            expected: number(5).unwrap(),
            expected_at_tca: number(6),
            paper: number(7),
            reference: number(8).unwrap(),
            reference_at_tca: number(9),
            objects,
        });
    }
    assert_eq!(cases.len(), 53 + 11 + 2 + 1 + 4);
    cases
}

fn object(line: &str, rtn: bool, length: f64) -> Object {
    let all: Vec<f64> = line.split(' ').map(|part| part.parse().unwrap()).collect();
    let position = [all[0], all[1], all[2]];
    let velocity = [all[3], all[4], all[5]];
    let [xx, yx, yy, zx, zy, zz] = [6, 7, 8, 9, 10, 11].map(|at: usize| all[at]);
    let given = [[xx, yx, zx], [yx, yy, zy], [zx, zy, zz]];
    let radial = unit(position);
    let normal = unit(cross(position, velocity));
    let axes = match rtn {
        true => [radial, cross(normal, radial), normal],
        false => [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };
    // Column `at` of the axes' matrix: how much of each axis a coordinate has.
    let share = |at: usize| axes.map(|axis| axis[at]);
    let covariance_km2 = std::array::from_fn(|row| {
        std::array::from_fn(|at| dot(share(row), given.map(|line| dot(line, share(at)))))
    });
    Object {
        position_km: position.map(|part| part * length),
        velocity_km_s: velocity.map(|part| part * length),
        covariance_km2,
    }
}

/// Both moved along their straight lines to the closest approach.
fn at_closest_approach([first, second]: &[Object; 2]) -> [Object; 2] {
    let apart = minus(second.position_km, first.position_km);
    let closing = minus(second.velocity_km_s, first.velocity_km_s);
    let seconds = -dot(apart, closing) / dot(closing, closing);
    [first, second].map(|object| Object {
        position_km: plus_scaled(object.position_km, object.velocity_km_s, seconds),
        ..*object
    })
}

fn difference(found: f64, expected: f64) -> f64 {
    if found == expected { 0.0 } else { (found / expected - 1.0).abs() }
}

#[test]
fn published_probabilities_are_reached_to_a_ten_millionth_also_in_the_furthest_tails() {
    for case in cases() {
        let [primary, secondary] = &case.objects;
        let found = foster(primary, secondary, case.radius).unwrap();
        let error = difference(found, case.expected);
        println!("{} {found:e} {error:e}", case.name);
        assert!(error < 1e-7, "{}: {found:e} {error:e}", case.name);
        if let Some(expected) = case.expected_at_tca {
            let [primary, secondary] = at_closest_approach(&case.objects);
            let found = foster(&primary, &secondary, case.radius).unwrap();
            let error = difference(found, expected);
            println!("{} at closest approach {found:e} {error:e}", case.name);
            assert!(error < 1e-7, "{}: {found:e} {error:e}", case.name);
        }
    }
}

#[test]
fn both_methods_agree_with_each_other_and_with_forty_digits() {
    let (mut apart, mut off) = (0.0f64, 0.0f64);
    for case in cases() {
        let moved = at_closest_approach(&case.objects);
        let given = (&case.objects, Some(case.reference));
        for (objects, reference) in [given, (&moved, case.reference_at_tca)] {
            let Some(reference) = reference else { continue };
            let one = foster(&objects[0], &objects[1], case.radius).unwrap();
            let other = alfano(&objects[0], &objects[1], case.radius).unwrap();
            println!("{} {:e} {:e}", case.name, difference(one, other), difference(one, reference));
            apart = apart.max(difference(one, other));
            off = off.max(difference(one, reference));
        }
    }
    // The second is what rounding does to the planes of nearly flat covariances, in both alike.
    assert!(apart < 1e-12 && off < 1e-7, "{apart:e} {off:e}");
}

/// Alfano printed integrals of a hundred steps. These digits of his are not those of the integral:
/// two methods, forty digits and NASA's program agree on others.
#[test]
fn of_alfanos_eleven_figures_three_are_printed_right_to_a_millionth() {
    let mut right = Vec::new();
    let all = cases();
    for case in all.iter().filter(|case| case.paper.is_some()) {
        let [primary, secondary] = &case.objects;
        let found = foster(primary, secondary, case.radius).unwrap();
        let other = alfano(primary, secondary, case.radius).unwrap();
        assert!(difference(found, other) < 1e-10 && difference(found, case.expected) < 1e-9);
        let error = difference(found, case.paper.unwrap());
        assert!(error < 1.2e-4, "{}: {error:e}", case.name);
        if error < 1e-6 {
            right.push(case.name.as_str());
        }
    }
    assert_eq!(right, ["alfano-01", "alfano-02", "alfano-06"]);
}

/// Two objects that cross at right angles, `miss` apart along z, with isotropic covariances.
fn crossing(miss: f64, sigma: f64) -> [Object; 2] {
    let object = |z, velocity_km_s| Object {
        position_km: [7000.0, 0.0, z],
        velocity_km_s,
        covariance_km2: isotropic(sigma),
    };
    [object(0.0, [0.0, 7.5, 0.0]), object(miss, [7.5, 0.0, 0.0])]
}

fn both(objects: &[Object; 2], radius: f64) -> [f64; 2] {
    let [primary, secondary] = objects;
    [foster, alfano].map(|method| method(primary, secondary, radius).unwrap())
}

const ISOTROPIC: [(f64, f64, f64); 6] = [
    (0.0, 0.014_142_135_6, 0.632_120_560_063_184_3),
    (5.0, 3.0, 5.541_184_137_964_919e-6),
    (0.025, 0.001, 2.552_525_153_071_147_5e-7),
    (0.02, 0.000_002, 0.499_980_052_885_952_9),
    (1.0, 0.027_4, 2.561_083_601_756_190_7e-281),
    // 1.1e-502: less than any number that can be written.
    (0.698, 0.014_142_135_6, 0.0),
];

#[test]
fn isotropic_errors_give_what_forty_digits_give() {
    let half = 0.5f64.sqrt();
    // Miss, sigma of the sum, probability at a radius of 0.02.
    for (miss, sigma, expected) in ISOTROPIC {
        for found in both(&crossing(miss, sigma * half), 0.02) {
            let error = difference(found, expected);
            assert!(error < 1e-11, "{miss} {sigma}: {found:e} {error:e}");
        }
    }
    // Without a miss the integral has a closed form.
    for sigma in [1e-5, 0.001, 0.02, 1.0, 1e4] {
        let expected = -(-0.02f64.powi(2) / (4.0 * sigma * sigma)).exp_m1();
        for found in both(&crossing(0.0, sigma), 0.02) {
            assert!(difference(found, expected) < 1e-12, "{sigma}: {found:e} {expected:e}");
        }
    }
}

#[test]
fn an_ellipse_may_lie_along_the_miss_or_across_it() {
    // Deviation along the miss and across it, probability with forty digits.
    for (along, across, expected) in
        [(0.01, 1.0, 9.691_601_254_808_132e-6), (1.0, 0.01, 0.013_455_812_496_024_06)]
    {
        let mut objects = crossing(0.05, 0.0);
        objects[0].velocity_km_s = [0.0, 7.5, 0.0];
        objects[1].velocity_km_s = [0.0, -7.5, 0.0];
        objects[1].covariance_km2 =
            [[across * across, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, along * along]];
        for found in both(&objects, 0.02) {
            assert!(difference(found, expected) < 1e-12, "{along} {across}: {found:e}");
        }
    }
}

#[test]
fn an_object_known_exactly_hits_or_misses() {
    for sigma in [0.0, 1e-12] {
        for hit in both(&crossing(0.0199, sigma), 0.02) {
            assert!(hit <= 1.0 && hit > 1.0 - 1e-12, "{hit}");
        }
        assert_eq!(both(&crossing(0.0201, sigma), 0.02), [0.0; 2]);
        for edge in both(&crossing(0.02, sigma), 0.02) {
            assert!((edge - 0.5).abs() < 1e-4, "{edge}");
        }
    }
    let [mut primary, secondary] = crossing(0.01, 0.0);
    primary.covariance_km2 = isotropic(1.0).map(|row| row.map(|part| -part));
    let none = crossing(0.01, 0.0);
    // A negative one is as good as none.
    assert_eq!(both(&[primary, secondary], 0.02), both(&none, 0.02));
}

#[test]
fn what_the_model_cannot_say_it_does_not_say() {
    let [primary, secondary] = crossing(1.0, 0.1);
    let together = Object { velocity_km_s: primary.velocity_km_s, ..secondary };
    let nowhere = Object { position_km: [f64::NAN, 0.0, 0.0], ..secondary };
    let endless = Object { position_km: [f64::MAX; 3], ..secondary };
    let racing = Object { velocity_km_s: [f64::INFINITY, 0.0, 0.0], ..secondary };
    let vague = Object { covariance_km2: [[f64::NAN; 3]; 3], ..secondary };
    for method in [foster, alfano] {
        for other in [together, nowhere, endless, racing, vague] {
            assert_eq!(method(&primary, &other, 0.02), None, "{other:?}");
        }
        for radius in [-0.02, f64::NAN, f64::INFINITY] {
            assert_eq!(method(&primary, &secondary, radius), None);
        }
        assert_eq!(method(&primary, &secondary, 0.0), Some(0.0));
        assert_eq!(method(&primary, &together, 0.0), None);
        let slow = Object { velocity_km_s: [1e-100, 7.5, 0.0], ..secondary };
        let found = method(&primary, &slow, 0.02).unwrap();
        assert!(found > 0.0 && found < 1.0, "{found}");
        let ahead = Object { position_km: [7001.0, -1.0, 0.0], ..secondary };
        assert!(method(&primary, &ahead, 0.02).is_some(), "a miss along the velocity");
        let vast = Object { covariance_km2: isotropic(1e300), ..secondary };
        assert!(method(&primary, &vast, 0.02).is_none_or(|found| found == 0.0));
    }
}

/// A generator that anyone can write again.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Ten to a power between the two.
    fn ten_to(&mut self, low: f64, high: f64) -> f64 {
        10f64.powf(low + (high - low) * self.unit())
    }
}

#[test]
fn both_methods_agree_over_ten_decades_of_shapes_and_neither_cares_which_object_is_first() {
    let seed = 2009;
    println!("seed {seed}");
    let mut random = Random(seed);
    let (mut counted, mut worst) = (0, 0.0f64);
    for round in 0..3000 {
        let (along_x, along_z) = (random.ten_to(-5.0, 5.0), random.ten_to(-5.0, 5.0));
        let miss = random.ten_to(-3.0, 2.0) * (1.0 + random.unit() * along_x.min(along_z));
        let (sine, cosine) = (random.unit() * std::f64::consts::FRAC_PI_2).sin_cos();
        let [mut primary, mut secondary] = crossing(0.0, 0.0);
        primary.velocity_km_s = [0.0, 10.0, 0.0];
        secondary.velocity_km_s = [0.0, -1.0, 0.0];
        secondary.position_km = [7000.0 + miss * sine, 0.0, miss * cosine];
        let variances = [along_x * along_x, 1.0, along_z * along_z];
        for (at, variance) in variances.into_iter().enumerate() {
            secondary.covariance_km2[at][at] = variance;
        }
        let [one, other] = both(&[primary, secondary], 1.0);
        assert!((0.0..=1.0).contains(&one), "round {round}: {one}");
        let error = difference(one, other);
        assert!(error < 2e-12 || one < 1e-300, "round {round}: {one:e} {other:e} {error:e}");
        assert_eq!(both(&[secondary, primary], 1.0), [one, other], "round {round}");
        counted += usize::from(one > 0.0);
        worst = worst.max(if one < 1e-300 { 0.0 } else { error });
    }
    println!("worst {worst:e}");
    assert!(counted > 1000, "{counted}");
}

#[test]
fn a_wider_miss_or_a_smaller_body_is_never_more_probable() {
    let mut before = 1.0;
    for step in 0..400 {
        let [found, _] = both(&crossing(f64::from(step) * 0.002, 0.01), 0.02);
        assert!(found <= before, "{step}: {found:e}");
        let [smaller, _] = both(&crossing(f64::from(step) * 0.002, 0.01), 0.019);
        assert!(smaller < found || found == 0.0, "{step}: {smaller:e} {found:e}");
        before = found;
    }
}

#[test]
fn the_scaled_complementary_error_function_is_right_to_the_last_digits_everywhere() {
    for (x, expected) in [
        (0.0, 1.0),
        (0.001, 0.998_872_620_081_151_4),
        (0.5, 0.615_690_344_192_925_9),
        (1.0, 0.427_583_576_155_807),
        (2.0, 0.255_395_676_310_505_75),
        (2.9, 0.184_601_825_955_590_83),
        (3.0, 0.179_001_151_181_389_96),
        (3.1, 0.173_718_408_605_408_24),
        (5.0, 0.110_704_637_733_068_63),
        (10.0, 0.056_140_992_743_822_59),
        (30.0, 0.018_795_888_861_416_75),
        (1e8, 5.641_895_835_477_563e-9),
    ] {
        let error = difference(error_function::scaled_complement(x), expected);
        assert!(error < 1e-15, "{x}: {error:e}");
    }
}
