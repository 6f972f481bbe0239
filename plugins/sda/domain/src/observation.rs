//! An observation as it passes between the pipeline's stages.
//!
//! Numbers are little-endian and at fixed places, so that reading one costs next to nothing:
//! ```text
//! u8      format       2
//! u32     object_id
//! i64     time_ns
//! f64[3]  position_km
//! f64[3]  velocity_km_s
//! f64     sigma_km
//! u16     bytes of the id
//! ...     the id
//! ...     the origin, to the end
//! ```

use crate::vector::Vector;

/// The first byte of every observation.
const FORMAT: u8 = 2;

/// Bytes before the id.
const HEAD_BYTES: usize = 1 + 4 + 8 + 24 + 24 + 8 + 2;

/// The numbers of one measurement of one object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
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
}

/// One measurement of one object, and where it came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation<'a> {
    /// What was measured.
    pub sample: Sample,
    /// Unique per measurement; at most 65,535 bytes.
    pub id: &'a str,
    /// Where it was read, `topic/partition/offset`; empty if that is unknown.
    pub origin: &'a str,
}

impl Sample {
    /// Whether all its numbers are such as can be computed with.
    fn is_sound(&self) -> bool {
        let parts = self.position_km.iter().chain(&self.velocity_km_s);
        self.sigma_km > 0.0 && parts.chain([&self.sigma_km]).all(|part| part.is_finite())
    }
}

impl<'a> Observation<'a> {
    /// Writes the bytes that `decode` reads behind `out`. A longer id than allowed is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Sample { object_id, time_ns, position_km, velocity_km_s, sigma_km } = self.sample;
        let id_bytes = self.id.floor_char_boundary(usize::from(u16::MAX));
        out.push(FORMAT);
        out.extend_from_slice(&object_id.to_le_bytes());
        out.extend_from_slice(&time_ns.to_le_bytes());
        for part in position_km.iter().chain(&velocity_km_s).chain([&sigma_km]) {
            out.extend_from_slice(&part.to_le_bytes());
        }
        out.extend_from_slice(&(id_bytes as u16).to_le_bytes());
        out.extend_from_slice(&self.id.as_bytes()[..id_bytes]);
        out.extend_from_slice(self.origin.as_bytes());
    }

    /// Reads what `encode` wrote. The error says what is wrong.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, String> {
        let wrong = |what: &str| format!("is no observation as `normalize` writes it: {what}");
        let Some((head, texts)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
            return Err(wrong("cut short"));
        };
        if head[0] != FORMAT {
            return Err(wrong(&format!("format {}, and {FORMAT} is known", head[0])));
        }
        let eight = |at: usize| <[u8; 8]>::try_from(&head[at..at + 8]).unwrap_or_default();
        let number = |index: usize| f64::from_le_bytes(eight(13 + 8 * index));
        let sample = Sample {
            object_id: u32::from_le_bytes([head[1], head[2], head[3], head[4]]),
            time_ns: i64::from_le_bytes(eight(5)),
            position_km: [number(0), number(1), number(2)],
            velocity_km_s: [number(3), number(4), number(5)],
            sigma_km: number(6),
        };
        if !sample.is_sound() {
            return Err(wrong("a number that cannot be"));
        }
        let id_bytes = usize::from(u16::from_le_bytes([head[69], head[70]]));
        let (id, origin) = texts.split_at_checked(id_bytes).ok_or_else(|| wrong("cut short"))?;
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| wrong("a text that is none"));
        Ok(Self { sample, id: text(id)?, origin: text(origin)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_comes_back_and_anything_else_is_refused() {
        let sample = Sample {
            object_id: 4_000_270_387,
            time_ns: -5,
            position_km: [7000.123456789, -0.0, 1e-300],
            velocity_km_s: [7.5, 0.1, -0.3],
            sigma_km: 0.01,
        };
        let observation = Observation { sample, id: "s01-ü", origin: "observations/0/7" };
        let mut bytes = Vec::new();
        observation.encode(&mut bytes);
        assert_eq!(Observation::decode(&bytes), Ok(observation));
        for length in 0..HEAD_BYTES + "s01-ü".len() {
            assert!(Observation::decode(&bytes[..length]).is_err());
        }
        assert!(Observation::decode(&[&[1], &bytes[1..]].concat()).is_err());
        for sigma_km in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut bytes = Vec::new();
            Observation { sample: Sample { sigma_km, ..sample }, ..observation }.encode(&mut bytes);
            assert!(Observation::decode(&bytes).is_err());
        }
        let id = "ü".repeat(40_000);
        let mut bytes = Vec::new();
        Observation { id: &id, ..observation }.encode(&mut bytes);
        assert_eq!(Observation::decode(&bytes).unwrap().id.len(), 65_534);
    }
}
