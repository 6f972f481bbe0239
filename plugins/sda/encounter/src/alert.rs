//! The conjunction alert, version 1: its bytes, its name and its lineage.
//!
//! Fields are written in the order in which they stand here, lengths and speeds rounded to a
//! micrometre (per second), times to a microsecond, probabilities and deviations to nine
//! significant digits: equal alerts are equal bytes. Nothing in a value says where an observation
//! was read, for that differs between runs; it is in the lineage, which goes into a header.

use sda_domain::probability::{Object, foster, isotropic};
use sda_domain::time::{MILLISECOND_NS, SECOND_NS, format};
use sda_domain::vector::Vector;
use sda_domain::{Candidate, Known};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What a person or a machine downstream is told. Names follow the CCSDS conjunction data message
/// (508.0-B-1) where it has the like, with the unit behind.
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
    /// Probability of collision, nine significant digits; 0 below the smallest number there is.
    /// Absent where the two do not move against each other, for then there is none.
    pub pc: Option<f64>,
    /// How it was computed; absent without one.
    pub pc_method: Option<&'static str>,
    /// Whether `pc` only shows the method: the accuracies it rests on are not those of a checked
    /// orbit determination. From the configuration.
    pub pc_demonstration: bool,
    /// Metres, from the configuration.
    pub hard_body_radius_m: f64,
    /// One standard deviation of each coordinate of the primary's fused position, kilometres.
    pub primary_sigma_km: f64,
    /// The same of the secondary.
    pub secondary_sigma_km: f64,
    /// Seconds from the newest observation of the primary that was used to `tca`; below zero if
    /// it was made later.
    pub primary_covariance_age_s: f64,
    /// The same of the secondary.
    pub secondary_covariance_age_s: f64,
    /// The window that found it, UTC, RFC 3339.
    pub window_start: String,
    /// Its end, not part of it.
    pub window_end: String,
    /// Every observation that it rests on, ascending.
    pub observation_ids: Vec<String>,
}

/// The CCSDS name of [`foster`].
const METHOD: &str = "FOSTER-1992";

/// The encounter's name: the first 16 bytes of SHA-256, in hexadecimal, of
/// `pawl-sda-alert/1/PRIMARY/SECONDARY/TENTHS`, with the time of closest approach to the nearest
/// tenth of a second. That time is the chosen candidate's, so the name is as settled as the choice.
/// Alerts of a pair lie more than `merge_ms` apart, which is never less than a tenth of a second:
/// so two never share a name.
pub fn alert_id(primary_id: u32, secondary_id: u32, tca_ns: i64) -> String {
    let tenth_ns = SECOND_NS / 10;
    let tenths = tca_ns.saturating_add(tenth_ns / 2).div_euclid(tenth_ns);
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
    pub(crate) fn new(candidate: &Candidate, hard_body_radius_m: f64, demonstration: bool) -> Self {
        let window = |milliseconds: i64| format(milliseconds * MILLISECOND_NS, 3);
        let object = |known: &Known| Object {
            position_km: known.position_km,
            velocity_km_s: known.velocity_km_s,
            covariance_km2: isotropic(known.sigma_km),
        };
        let (primary, secondary) = (&candidate.primary, &candidate.secondary);
        let pc = foster(&object(primary), &object(secondary), hard_body_radius_m / 1000.0);
        let age_s = |known: &Known| {
            rounded(candidate.tca_ns.saturating_sub(known.observed_ns) as f64 / SECOND_NS as f64)
        };
        Self {
            schema_version: 1,
            alert_id: alert_id(candidate.primary_id, candidate.secondary_id, candidate.tca_ns),
            primary_id: candidate.primary_id,
            secondary_id: candidate.secondary_id,
            tca: format(nearest_microsecond(candidate.tca_ns), 6),
            miss_distance_km: rounded(candidate.miss_distance_km),
            relative_speed_km_s: rounded(candidate.relative_speed_km_s),
            miss_rtn_km: candidate.miss_rtn_km.map(rounded),
            pc: pc.map(nine_digits),
            pc_method: pc.map(|_| METHOD),
            pc_demonstration: demonstration,
            hard_body_radius_m,
            primary_sigma_km: nine_digits(primary.sigma_km),
            secondary_sigma_km: nine_digits(secondary.sigma_km),
            primary_covariance_age_s: age_s(primary),
            secondary_covariance_age_s: age_s(secondary),
            window_start: window(candidate.window_start_ms),
            window_end: window(candidate.window_end_ms),
            observation_ids: candidate.observation_ids.clone(),
        }
    }

    /// One line of JSON.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a plain value can always be written")
    }
}

/// Where one observation was read; null if that is unknown.
#[derive(Serialize)]
struct Origin<'a> {
    observation_id: &'a str,
    topic: Option<&'a str>,
    partition: Option<u64>,
    offset: Option<u64>,
}

/// The header `lineage`: a JSON array with `observation_id`, `topic`, `partition` and `offset` of
/// every observation that the alert rests on, in the order of `observation_ids`.
pub(crate) fn lineage(candidate: &Candidate) -> Vec<u8> {
    let pairs = candidate.observation_ids.iter().zip(&candidate.origins);
    let origins: Vec<Origin<'_>> = pairs
        .map(|(observation_id, origin)| {
            let place = read_place(origin);
            Origin {
                observation_id,
                topic: place.map(|(topic, ..)| topic),
                partition: place.map(|(_, partition, _)| partition),
                offset: place.map(|(.., offset)| offset),
            }
        })
        .collect();
    serde_json::to_vec(&origins).expect("a plain value can always be written")
}

/// From `topic/partition/offset`; the topic may have slashes of its own.
fn read_place(origin: &str) -> Option<(&str, u64, u64)> {
    let mut parts = origin.rsplitn(3, '/');
    let offset = parts.next()?.parse().ok()?;
    let partition = parts.next()?.parse().ok()?;
    Some((parts.next()?, partition, offset))
}

fn nearest_microsecond(time_ns: i64) -> i64 {
    time_ns.saturating_add(500).div_euclid(1000) * 1000
}

/// To nine decimals, and never a negative zero.
fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9 + 0.0
}

/// To nine significant digits, however small.
fn nine_digits(value: f64) -> f64 {
    format!("{value:.8e}").parse().expect("a number that was written is one")
}
