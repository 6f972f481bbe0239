//! The conjunction alert, version 1, and its name.
//!
//! Fields are written in the order in which they stand here, numbers rounded to a micrometre (or
//! micrometre per second), times to a microsecond: equal alerts are equal bytes.

use sda_domain::time::{MILLISECOND_NS, format};
use sda_domain::vector::Vector;
use sda_domain::{Candidate, time::SECOND_NS};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What a person or a machine downstream is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// 1.
    pub schema_version: u32,
    /// The encounter's name; see `alert_id`.
    pub alert_id: String,
    /// The lower catalogue number.
    pub primary_id: u32,
    /// The higher catalogue number.
    pub secondary_id: u32,
    /// Time of closest approach, UTC, RFC 3339 with microseconds.
    pub tca: String,
    /// Kilometres.
    pub miss_distance_km: f64,
    /// Kilometres per second.
    pub relative_speed_km_s: f64,
    /// Radial, transverse, normal of the primary, kilometres; secondary minus primary.
    pub miss_rtn_km: Vector,
    /// Probability of collision; absent as long as none is computed.
    pub pc: Option<f64>,
    /// How it was computed.
    pub pc_method: Option<&'static str>,
    /// Metres, from the configuration.
    pub hard_body_radius_m: f64,
    /// The window that found it, UTC, RFC 3339.
    pub window_start: String,
    /// Its end, not part of it.
    pub window_end: String,
    /// Every observation that it rests on, ascending.
    pub observation_ids: Vec<String>,
}

/// The encounter's name: the first 16 bytes of SHA-256, in hexadecimal, of
/// `pawl-sda-alert/1/PRIMARY/SECONDARY/TENTHS`, with the time of closest approach to the nearest
/// tenth of a second. Estimates that differ by a millisecond nearly always give the same name, and
/// two encounters, which lie at least `merge_ms` apart, never do.
pub fn alert_id(primary_id: u32, secondary_id: u32, tca_ns: i64) -> String {
    let tenth_ns = SECOND_NS / 10;
    let tenths = (tca_ns + tenth_ns / 2).div_euclid(tenth_ns);
    let content = format!("pawl-sda-alert/1/{primary_id}/{secondary_id}/{tenths}");
    let digest = Sha256::digest(content.as_bytes());
    let mut name = String::with_capacity(32);
    for byte in &digest[..16] {
        write!(name, "{byte:02x}").expect("writing to a string does not fail");
    }
    name
}

impl Alert {
    /// The alert that a candidate becomes.
    pub(crate) fn new(candidate: Candidate, hard_body_radius_m: f64) -> Self {
        let window = |milliseconds: i64| format(milliseconds * MILLISECOND_NS, 3);
        Self {
            schema_version: 1,
            alert_id: alert_id(candidate.primary_id, candidate.secondary_id, candidate.tca_ns),
            primary_id: candidate.primary_id,
            secondary_id: candidate.secondary_id,
            tca: format(nearest_microsecond(candidate.tca_ns), 6),
            miss_distance_km: rounded(candidate.miss_distance_km),
            relative_speed_km_s: rounded(candidate.relative_speed_km_s),
            miss_rtn_km: candidate.miss_rtn_km.map(rounded),
            pc: None,
            pc_method: None,
            hard_body_radius_m,
            window_start: window(candidate.window_start_ms),
            window_end: window(candidate.window_end_ms),
            observation_ids: candidate.observation_ids,
        }
    }

    /// One line of JSON.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a plain value can always be written")
    }
}

fn nearest_microsecond(time_ns: i64) -> i64 {
    (time_ns + 500).div_euclid(1000) * 1000
}

/// To nine decimals, and never a negative zero.
fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9 + 0.0
}
