//! A possible alert: a pass as one cell and one window saw it.

use crate::vector::Vector;
use serde::{Deserialize, Serialize};

/// What is known of one object of a pass at the time of closest approach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Fused position, TEME, kilometres.
    pub position_km: Vector,
    /// Fused measured velocity, TEME, kilometres per second.
    pub velocity_km_s: Vector,
    /// One standard deviation of each coordinate of the fused position.
    pub sigma_km: f64,
    /// When the newest observation used was made, nanoseconds since the Unix epoch.
    pub observed_ns: i64,
}

/// One pass, and who found it. JSON on its topic, so that a person can read it there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The lower catalogue number.
    pub primary_id: u32,
    /// The higher catalogue number.
    pub secondary_id: u32,
    /// Time of closest approach, nanoseconds since the Unix epoch.
    pub tca_ns: i64,
    /// The distance then.
    pub miss_distance_km: f64,
    /// Length of the difference of the velocities then.
    pub relative_speed_km_s: f64,
    /// Secondary minus primary along the radial, transverse and normal axes of the primary.
    pub miss_rtn_km: Vector,
    /// What is known of the primary.
    pub primary: Known,
    /// What is known of the secondary.
    pub secondary: Known,
    /// The cell's text.
    pub cell: String,
    /// The window's core: start, milliseconds since the Unix epoch.
    pub window_start_ms: i64,
    /// The window's core: end, not part of it.
    pub window_end_ms: i64,
    /// Every observation that it rests on, ascending.
    pub observation_ids: Vec<String>,
    /// Where each of them was read, `topic/partition/offset`; empty if that is unknown.
    pub origins: Vec<String>,
}

impl Candidate {
    /// The pair as text: the key under which all candidates of a pair come together.
    pub fn pair(&self) -> String {
        format!("{}-{}", self.primary_id, self.secondary_id)
    }

    /// The natural key: pair, cell, window and a number among the passes of the pair there.
    pub fn id(&self, number: usize) -> String {
        format!("{}/{}/{}/{number}", self.pair(), self.cell, self.window_start_ms)
    }

    /// The JSON that `decode` reads.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a plain value can always be written")
    }

    /// Reads what `encode` wrote. The error says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let candidate: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("is no candidate as `correlate` writes it: {error}"))?;
        if candidate.primary_id >= candidate.secondary_id {
            return Err("primary_id should be below secondary_id".to_owned());
        }
        if candidate.origins.len() != candidate.observation_ids.len() {
            return Err("origins should be as many as observation_ids".to_owned());
        }
        Ok(candidate)
    }
}
