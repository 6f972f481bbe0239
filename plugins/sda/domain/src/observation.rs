//! An observation as it passes between the pipeline's stages.
//!
//! Stored as postcard, in the order of the fields: numbers of 64 bits little-endian, whole numbers
//! as variable-length integers, the id as length and bytes.

use crate::vector::Vector;
use serde::{Deserialize, Serialize};

/// One measurement of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Catalogue number.
    pub object_id: u32,
    /// When, nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// TEME, kilometres.
    pub position_km: Vector,
    /// TEME, kilometres per second.
    pub velocity_km_s: Vector,
    /// One standard deviation of each coordinate of the position.
    pub sigma_km: f64,
    /// Unique per measurement.
    pub id: String,
}

impl Observation {
    /// The bytes that `decode` reads.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a plain value can always be written")
    }

    /// Reads what `encode` wrote. The error says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (value, rest) = postcard::take_from_bytes(bytes)
            .map_err(|error| format!("is no observation as `normalize` writes it: {error}"))?;
        match rest.len() {
            0 => Ok(value),
            more => Err(format!("has {more} bytes too many behind the observation")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_comes_back_and_anything_else_is_refused() {
        let observation = Observation {
            object_id: 270_387,
            time_ns: -5,
            position_km: [7000.123456789, -0.0, 1e-300],
            velocity_km_s: [7.5, 0.1, -0.3],
            sigma_km: 0.01,
            id: "s01-1".to_owned(),
        };
        let bytes = observation.encode();
        assert_eq!(Observation::decode(&bytes), Ok(observation));
        for length in 0..bytes.len() {
            assert!(Observation::decode(&bytes[..length]).is_err());
        }
        assert!(Observation::decode(&[bytes, vec![0]].concat()).is_err());
    }
}
