//! `sda-normalize`: the first operator. Takes observations as sensors send them (JSON, version 1),
//! and sends on those that can be used, in the pipeline's own form and under their own ids.
//!
//! What cannot be used is a permanent error: `deserialization`, `schema-version`, `frame`,
//! `sensor-kind` or `out-of-range`. It never repairs and never guesses. Keeps no state.
//!
//! | configuration | default | meaning |
//! |---|---|---|
//! | `distance_km_min` | 6300 | nearest that an object can be to the centre of the Earth |
//! | `distance_km_max` | 1000000 | farthest |
//! | `speed_km_s_max` | 15 | fastest; cells are laid out for 15 |
//! | `sigma_km_max` | 100 | a position less certain than this says nothing |
//! | `id_bytes_max` | 256 | longest `observation_id` |
//!
//! An emission has the id `observation_id`, the object id as key, and as event time the
//! millisecond in which `observed_at` lies. Where the record was read (the header `pawl-origin`,
//! which the host makes up) goes on with it, so that an alert can be traced.

mod input;

use input::Input;
use pawl_sdk::prelude::*;
use sda_domain::cells::SPEED_MAX_KM_S;
use sda_domain::{Observation, time};
use std::fmt::Write;

/// The host's word for where a record was read: `topic/partition/offset`.
const ORIGIN: &str = "pawl-origin";

/// The operator.
pub struct Normalize {
    limits: Config,
    value: Vec<u8>,
    key: String,
}

/// Bounds within which numbers are believed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Kilometres from the centre of the Earth.
    pub distance_km_min: f64,
    /// Kilometres from the centre of the Earth.
    pub distance_km_max: f64,
    /// Kilometres per second.
    pub speed_km_s_max: f64,
    /// Kilometres.
    pub sigma_km_max: f64,
    /// Bytes.
    pub id_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            distance_km_min: 6300.0,
            distance_km_max: 1_000_000.0,
            speed_km_s_max: SPEED_MAX_KM_S,
            sigma_km_max: 100.0,
            id_bytes_max: 256,
        }
    }
}

impl Config {
    fn check(&self) -> Result<(), String> {
        let ascending = 0.0 <= self.distance_km_min && self.distance_km_min < self.distance_km_max;
        if !ascending {
            return Err("distance_km_min should be 0 or more, and below distance_km_max".to_owned());
        }
        let speed_fits = self.speed_km_s_max > 0.0 && self.speed_km_s_max <= SPEED_MAX_KM_S;
        if !speed_fits {
            return Err(format!("speed_km_s_max should be above 0, at most {SPEED_MAX_KM_S}"));
        }
        let sigma_fits = self.sigma_km_max > 0.0;
        if !sigma_fits {
            return Err("sigma_km_max should be above 0".to_owned());
        }
        match self.id_bytes_max {
            1..=65_000 => Ok(()),
            _ => Err("id_bytes_max should be between 1 and 65000".to_owned()),
        }
    }
}

impl Operator for Normalize {
    const NAME: &'static str = "sda-normalize";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Wiring), String> {
        config.check()?;
        let operator = Self { limits: config, value: Vec::new(), key: String::new() };
        Ok((operator, Wiring::to("observations").wants(ORIGIN)))
    }

    fn process(&mut self, record: Record<'_>, out: &mut Emitter<'_>) -> Result<(), Rejection> {
        let input = Input::read(record.value().unwrap_or_default())?;
        let (sample, priority) = input.check(&self.limits)?;
        let origin = std::str::from_utf8(record.header(0).unwrap_or_default()).unwrap_or_default();
        let id = &*input.observation_id;
        self.value.clear();
        Observation { sample, id, origin }.encode(&mut self.value);
        self.key.clear();
        write!(self.key, "{}", sample.object_id).expect("writing to a string does not fail");
        out.emit(&self.value)
            .id(id)
            .key(&self.key)
            .event_time(time::floor_to_ms(sample.time_ns))
            .priority(priority);
        Ok(())
    }
}

pawl_sdk::export!(Normalize);
