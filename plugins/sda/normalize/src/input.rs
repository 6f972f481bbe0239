//! The observation, version 1, as it comes from outside, and what is believed of it.
//!
//! Nothing here trusts a field: a number is used only after it was found to be possible.

use crate::Config;
use pawl_sdk::{PRIORITY_DEFAULT, Rejection};
use sda_domain::vector::{Vector, norm};
use sda_domain::{Sample, time};
use serde::Deserialize;
use std::borrow::Cow;

/// The only version that is understood.
const SCHEMA_VERSION: u64 = 1;

/// An observation as JSON says it; numbers are wider than what is allowed, so that one out of range
/// is told apart from one that is no number. Unknown fields are left alone: later minor additions
/// may bring some.
#[derive(Debug, Deserialize)]
pub(crate) struct Input<'a> {
    schema_version: u64,
    #[serde(borrow)]
    pub observation_id: Cow<'a, str>,
    #[serde(borrow)]
    sensor_id: Cow<'a, str>,
    #[serde(borrow)]
    sensor_kind: Cow<'a, str>,
    object_id: i64,
    #[serde(borrow)]
    observed_at: Cow<'a, str>,
    #[serde(borrow)]
    frame: Cow<'a, str>,
    position_km: Vector,
    velocity_km_s: Vector,
    position_sigma_km: f64,
    priority: Option<i64>,
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Version {
    schema_version: u64,
}

impl<'a> Input<'a> {
    /// Reads JSON. Of an unknown version only the version is looked at.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Rejection> {
        let read: Result<Self, serde_json::Error> = serde_json::from_slice(bytes);
        let version = match &read {
            Ok(input) => input.schema_version,
            // Perhaps it is of another version, and looks different for that reason alone.
            Err(_) => match serde_json::from_slice::<Version>(bytes) {
                Ok(version) => version.schema_version,
                Err(_) => SCHEMA_VERSION,
            },
        };
        if version != SCHEMA_VERSION {
            let message = format!("schema_version is {version}, and should be {SCHEMA_VERSION}");
            return Err(Rejection::permanent("schema-version", message));
        }
        Ok(read?)
    }

    /// What was measured, and its priority, if all of it is possible.
    pub(crate) fn check(&self, limits: &Config) -> Result<(Sample, u8), Rejection> {
        self.check_words(limits)?;
        let object_id = u32::try_from(self.object_id)
            .map_err(|_| out_of_range("object_id", "an unsigned number of 32 bits"))?;
        let time_ns = time::parse(&self.observed_at).map_err(|what| {
            Rejection::permanent("deserialization", format!("observed_at {what}"))
        })?;
        let distance = norm(self.position_km);
        if !(limits.distance_km_min..=limits.distance_km_max).contains(&distance) {
            let should = format!("{} to {}", limits.distance_km_min, limits.distance_km_max);
            return Err(out_of_range("length of position_km", &should));
        }
        let speed = norm(self.velocity_km_s);
        if !(0.0..=limits.speed_km_s_max).contains(&speed) {
            let should = format!("at most {}", limits.speed_km_s_max);
            return Err(out_of_range("length of velocity_km_s", &should));
        }
        let sigma_km = self.position_sigma_km;
        let possible = sigma_km > 0.0 && sigma_km <= limits.sigma_km_max;
        if !possible {
            let should = format!("above 0 and at most {}", limits.sigma_km_max);
            return Err(out_of_range("position_sigma_km", &should));
        }
        let priority = u8::try_from(self.priority.unwrap_or(i64::from(PRIORITY_DEFAULT)))
            .map_err(|_| out_of_range("priority", "0 to 255"))?;
        let (position_km, velocity_km_s) = (self.position_km, self.velocity_km_s);
        Ok((Sample { object_id, time_ns, position_km, velocity_km_s, sigma_km }, priority))
    }

    fn check_words(&self, limits: &Config) -> Result<(), Rejection> {
        let id_bytes = self.observation_id.len();
        if id_bytes == 0 || id_bytes > limits.id_bytes_max {
            let should = format!("1 to {} bytes long", limits.id_bytes_max);
            return Err(out_of_range("observation_id", &should));
        }
        if self.sensor_id.is_empty() {
            return Err(out_of_range("sensor_id", "not empty"));
        }
        if !matches!(&*self.sensor_kind, "radar" | "optical" | "isl") {
            let message = "sensor_kind should be radar, optical or isl";
            return Err(Rejection::permanent("sensor-kind", message));
        }
        match &*self.frame {
            "TEME" => Ok(()),
            _ => Err(Rejection::permanent("frame", "frame should be TEME")),
        }
    }
}

fn out_of_range(field: &str, should: &str) -> Rejection {
    Rejection::permanent("out-of-range", format!("{field} should be {should}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"schema_version":1,"observation_id":"s01-7-1","sensor_id":"s01",
        "sensor_kind":"radar","object_id":270387,"observed_at":"2009-02-10T16:55:59.7957841Z",
        "frame":"TEME","position_km":[7000.1,-0.5,3],"velocity_km_s":[0,7.5,0.1],
        "position_sigma_km":0.01}"#;

    fn read(text: &str) -> Result<(Sample, u8, String), String> {
        Input::read(text.as_bytes())
            .and_then(|input| {
                let (sample, priority) = input.check(&Config::default())?;
                Ok((sample, priority, input.observation_id.into_owned()))
            })
            .map_err(|rejection| rejection.kind)
    }

    #[test]
    fn a_good_observation_keeps_every_digit() {
        let (sample, priority, id) = read(GOOD).unwrap();
        assert_eq!(sample.object_id, 270_387);
        assert_eq!(sample.time_ns, 1_234_284_959_795_784_100);
        assert_eq!(sample.position_km, [7000.1, -0.5, 3.0]);
        assert_eq!((id.as_str(), priority), ("s01-7-1", 128));
        let escaped =
            GOOD.replace("s01-7-1", r"\u0073 \n").replace('}', r#","priority":255,"x":1}"#);
        let (_, priority, id) = read(&escaped).unwrap();
        assert_eq!((id.as_str(), priority), ("s \n", 255));
        let high = GOOD.replace("270387", "4294967295");
        assert_eq!(read(&high).unwrap().0.object_id, u32::MAX);
    }

    #[test]
    fn each_kind_of_damage_has_its_kind_of_error() {
        for (from, to, kind) in [
            ("}", "", "deserialization"),
            ("7000.1", "\"a\"", "deserialization"),
            ("7000.1", "1e999", "deserialization"),
            (",3]", "]", "deserialization"),
            ("2009-02-10T16:55:59.7957841Z", "yesterday", "deserialization"),
            ("\"sensor_id\":\"s01\",", "", "deserialization"),
            ("\"schema_version\":1", "\"schema_version\":2", "schema-version"),
            ("\"schema_version\":1,", "", "deserialization"),
            ("TEME", "GCRF", "frame"),
            ("radar", "sonar", "sensor-kind"),
            ("s01-7-1", "", "out-of-range"),
            ("\"s01\"", "\"\"", "out-of-range"),
            ("270387", "-1", "out-of-range"),
            ("270387", "4294967296", "out-of-range"),
            ("7000.1", "1e12", "out-of-range"),
            ("7000.1", "0.1", "out-of-range"),
            ("7.5", "300000", "out-of-range"),
            ("0.01", "0", "out-of-range"),
            ("0.01", "-0.01", "out-of-range"),
            ("\"position_sigma_km\"", "\"priority\":256,\"position_sigma_km\"", "out-of-range"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert_eq!(read(&GOOD.replacen(from, to, 1)).unwrap_err(), kind, "{from} -> {to}");
        }
        assert_eq!(read("").unwrap_err(), "deserialization");
        assert_eq!(read("\u{0}\u{1}").unwrap_err(), "deserialization");
        assert_eq!(read(r#"{"schema_version":7}"#).unwrap_err(), "schema-version");
        assert_eq!(read(&"[".repeat(100_000)).unwrap_err(), "deserialization");
    }

    #[test]
    fn a_configuration_that_makes_no_sense_names_its_field() {
        let bad = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().unwrap_err()
        };
        assert!(bad(|config| config.distance_km_min = 1e9).starts_with("distance_km_min"));
        assert!(bad(|config| config.speed_km_s_max = f64::NAN).starts_with("speed_km_s_max"));
        assert!(bad(|config| config.sigma_km_max = 0.0).starts_with("sigma_km_max"));
        assert!(bad(|config| config.id_bytes_max = 0).starts_with("id_bytes_max"));
    }
}
