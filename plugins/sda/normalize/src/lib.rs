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
//! millisecond in which `observed_at` lies.

mod input;

use input::Input;
use pawl_sdk::prelude::*;
use sda_domain::cells::SPEED_MAX_KM_S;
use sda_domain::time;

/// The operator.
pub struct Normalize {
    limits: Config,
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
            1..=65_536 => Ok(()),
            _ => Err("id_bytes_max should be between 1 and 65536".to_owned()),
        }
    }
}

impl Operator for Normalize {
    const NAME: &'static str = "sda-normalize";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Wiring), String> {
        config.check()?;
        Ok((Self { limits: config }, Wiring::to("observations")))
    }

    fn process(&mut self, record: Record<'_>, out: &mut Emitter<'_>) -> Result<(), Rejection> {
        let input = Input::read(record.value().unwrap_or_default())?;
        let (observation, priority) = input.check(&self.limits)?;
        out.emit(observation.encode())
            .id(&observation.id)
            .key(observation.object_id.to_string())
            .event_time(time::floor_to_ms(observation.time_ns))
            .priority(priority);
        Ok(())
    }
}

pawl_sdk::export!(Normalize);
