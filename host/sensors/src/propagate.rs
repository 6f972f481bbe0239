//! SGP4 with WGS72 constants and exact epochs.
//!
//! Element sets belong to WGS72: with WGS84 the 2009 collision is three metres off. Sidereal time
//! is that of the improved mode; it matters for deep space only.

use crate::{Elements, Error};
use std::f64::consts::PI;

/// Nanoseconds since the Unix epoch at 2000-01-01T12:00:00, from which sidereal time counts.
const J2000_NS: i64 = 946_728_000_000_000_000;

const YEAR_NS: f64 = 365.25 * 86_400.0 * 1e9;

/// Where an object is and how it moves: TEME, km and km/s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Kilometres.
    pub position: [f64; 3],
    /// Kilometres per second. SGP4's velocity is not exactly the derivative of its position.
    pub velocity: [f64; 3],
}

/// One element set, ready to be propagated.
#[derive(Clone, Debug)]
pub struct Propagator {
    object_id: u32,
    epoch_ns: i64,
    constants: sgp4::Constants,
}

impl Propagator {
    /// Prepares an element set. Fails if SGP4 has no orbit for it.
    pub fn new(elements: &Elements) -> Result<Self, Error> {
        let refuse = |what: String| Error::Elements { object_id: elements.object_id, what };
        let radians = |degrees: f64| degrees * (PI / 180.0);
        let orbit = sgp4::Orbit::from_kozai_elements(
            &sgp4::WGS72,
            radians(elements.inclination),
            radians(elements.right_ascension),
            elements.eccentricity,
            radians(elements.argument_of_perigee),
            radians(elements.mean_anomaly),
            elements.mean_motion * (PI / 720.0),
        )
        .map_err(|error| refuse(error.to_string()))?;
        let years = (i128::from(elements.epoch_ns) - i128::from(J2000_NS)) as f64 / YEAR_NS;
        let constants = sgp4::Constants::new(
            sgp4::WGS72,
            sgp4::iau_epoch_to_sidereal_time,
            years,
            elements.drag_term,
            orbit,
        )
        .map_err(|error| refuse(error.to_string()))?;
        Ok(Self { object_id: elements.object_id, epoch_ns: elements.epoch_ns, constants })
    }

    /// Catalogue number.
    pub fn object_id(&self) -> u32 {
        self.object_id
    }

    /// The state at a time (nanoseconds since the Unix epoch). Fails where SGP4 has none, and
    /// where the object would be inside the Earth.
    pub fn at(&self, time_ns: i64) -> Result<State, Error> {
        let fail = |what: String| Error::Propagation { object_id: self.object_id, what };
        let since_epoch_ns = (i128::from(time_ns) - i128::from(self.epoch_ns)) as f64;
        let minutes = sgp4::MinutesSinceEpoch(since_epoch_ns / 60e9);
        let prediction =
            self.constants.propagate(minutes).map_err(|error| fail(error.to_string()))?;
        let (position, velocity) = (prediction.position, prediction.velocity);
        let radius = position.iter().map(|part| part * part).sum::<f64>().sqrt();
        let outside = radius >= sgp4::WGS72.ae; // false for NaN too
        if !outside || velocity.iter().any(|part| !part.is_finite()) {
            return Err(fail("decayed".to_owned()));
        }
        Ok(State { position, velocity })
    }
}
