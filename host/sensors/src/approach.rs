//! The truth: when and how closely two element sets pass, by SGP4 itself, from positions only.

use crate::time::SECOND_NS;
use crate::{Error, Propagator};

/// One closest approach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Approach {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Kilometres.
    pub miss_distance_km: f64,
    /// Length of the difference of the two SGP4 velocities, km/s.
    pub relative_speed_km_s: f64,
}

/// Half the distance in time over which the squared distance is differentiated.
const HALF_STEP_NS: i64 = 20_000_000;

/// The smallest local minimum of the distance of two objects in `from_ns..to_ns`, to a
/// nanosecond; none if their distance has no minimum inside.
///
/// Steps of one second: two objects pass each other but once in a second.
pub fn closest_approach(
    first: &Propagator,
    second: &Propagator,
    from_ns: i64,
    to_ns: i64,
) -> Result<Option<Approach>, Error> {
    let mut best: Option<Approach> = None;
    let mut start = from_ns;
    let mut opening_before = slope(first, second, start)? >= 0.0;
    while start < to_ns {
        let end = (start + SECOND_NS).min(to_ns);
        let opening = slope(first, second, end)? >= 0.0;
        if opening && !opening_before {
            let found = refine(first, second, start, end)?;
            if best.is_none_or(|best| found.miss_distance_km < best.miss_distance_km) {
                best = Some(found);
            }
        }
        opening_before = opening;
        start = end;
    }
    Ok(best)
}

fn refine(
    first: &Propagator,
    second: &Propagator,
    mut low: i64,
    mut high: i64,
) -> Result<Approach, Error> {
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if slope(first, second, middle)? < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let (a, b) = (first.at(high)?, second.at(high)?);
    Ok(Approach {
        time_ns: high,
        miss_distance_km: square_distance(&a.position, &b.position).sqrt(),
        relative_speed_km_s: square_distance(&a.velocity, &b.velocity).sqrt(),
    })
}

/// How the squared distance changes around a time; negative while they close in.
fn slope(first: &Propagator, second: &Propagator, time_ns: i64) -> Result<f64, Error> {
    let at = |time| -> Result<f64, Error> {
        Ok(square_distance(&first.at(time)?.position, &second.at(time)?.position))
    };
    Ok(at(time_ns + HALF_STEP_NS)? - at(time_ns - HALF_STEP_NS)?)
}

fn square_distance(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{collision_2009, time};

    #[test]
    fn the_2009_collision_comes_out_to_a_millimetre_a_microsecond_and_a_millimetre_a_second() {
        let pair: Vec<Propagator> =
            collision_2009().iter().map(|elements| Propagator::new(elements).unwrap()).collect();
        let from = time::parse("2009-02-10T16:50:00Z").unwrap();
        let to = time::parse("2009-02-10T17:00:00Z").unwrap();
        let found = closest_approach(&pair[0], &pair[1], from, to).unwrap().unwrap();
        let known = time::parse("2009-02-10T16:55:59.795784Z").unwrap();
        assert!((found.time_ns - known).abs() <= 1_000, "{}", time::format(found.time_ns));
        assert!((found.miss_distance_km - 0.698_010).abs() < 1e-6, "{}", found.miss_distance_km);
        assert!((found.relative_speed_km_s - 11.647_244).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn a_pair_that_flies_together_has_no_closest_approach() {
        let elements = collision_2009();
        let one = Propagator::new(&elements[0]).unwrap();
        let from = elements[0].epoch_ns;
        let found = closest_approach(&one, &one.clone(), from, from + 60 * SECOND_NS).unwrap();
        assert_eq!(found, None);
    }
}
