//! Known passes, and how alerts compare with them.
//!
//! Alerts are JSON lines, version 1, of whoever made them; only the fields that are compared are
//! read. Nothing here knows how passes are found.

use crate::elements::fields;
use crate::time::SECOND_NS;
use crate::{Error, time};
use serde::Deserialize;
use std::fmt;

/// A pass that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// The lower catalogue number.
    pub primary_id: u32,
    /// The higher catalogue number.
    pub secondary_id: u32,
    /// Time of closest approach, nanoseconds since the Unix epoch.
    pub tca_ns: i64,
    /// Kilometres.
    pub miss_distance_km: f64,
    /// Kilometres per second.
    pub relative_speed_km_s: f64,
    /// Whether the two fly together; who looks for passes may leave these out.
    pub slow: bool,
    /// Radial, transverse, normal of the primary, kilometres; secondary minus primary.
    pub miss_rtn_km: [f64; 3],
}

/// Which alerts are compared, and as what.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The known passes are all that there are from here, nanoseconds since the Unix epoch,
    pub from_ns: i64,
    /// to here. Alerts of passes outside are counted and otherwise left alone.
    pub to_ns: i64,
    /// What was added to the ids; see `SensorOptions::object_id_offset`.
    pub object_id_offset: u32,
}

/// How far an alert may be from a pass in time to be taken for an alert of it.
const NEAR_NS: i64 = SECOND_NS / 2;

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Passes with exactly one alert, or more.
    pub found: usize,
    /// Passes (not slow ones) without an alert.
    pub missed: Vec<Truth>,
    /// Alerts of no known pass.
    pub invented: Vec<String>,
    /// Alerts of a pass that had one already.
    pub doubled: Vec<String>,
    /// Alerts of slow passes, which nobody needs to find.
    pub slow: usize,
    /// Alerts of passes outside the time that is compared.
    pub outside: usize,
    /// Greatest error of a miss distance, metres.
    pub miss_error_m: f64,
    /// Greatest error of a radial, transverse or normal component, metres.
    pub rtn_error_m: f64,
    /// Greatest error of a time of closest approach, milliseconds.
    pub tca_error_ms: f64,
    /// Greatest error of a relative speed, metres per second.
    pub speed_error_m_s: f64,
}

impl Comparison {
    /// Whether every pass was found once, none invented, to a metre and a millisecond.
    pub fn is_right(&self) -> bool {
        self.missed.is_empty()
            && self.invented.is_empty()
            && self.doubled.is_empty()
            && self.miss_error_m <= 1.0
            && self.rtn_error_m <= 1.0
            && self.tca_error_ms <= 1.0
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} found, {} missed, {} invented, {} doubled; errors at most {:.6} m (each component \
             {:.6} m), {:.6} ms, {:.6} m/s",
            self.found,
            self.missed.len(),
            self.invented.len(),
            self.doubled.len(),
            self.miss_error_m,
            self.rtn_error_m,
            self.tca_error_ms,
            self.speed_error_m_s
        )
    }
}

/// The passes below 5 km of 2024-11-01, 00:00 to 00:10; see `data/README.md`.
pub fn conjunctions_2024() -> Vec<Truth> {
    parse_truth(include_str!("../data/conjunctions-sample.csv"))
        .expect("the file was checked when it was put in, and a test reads it")
}

const NAMES: [&str; 9] = [
    "primary_id",
    "secondary_id",
    "tca",
    "miss_distance_km",
    "relative_speed_km_s",
    "slow",
    "miss_r_km",
    "miss_t_km",
    "miss_n_km",
];

/// Reads CSV with these fields in its header, in any order.
pub fn parse_truth(text: &str) -> Result<Vec<Truth>, Error> {
    let mut lines = text.lines().enumerate();
    let header = fields(lines.next().map(|(_, line)| line).unwrap_or_default());
    let mut places = [0; NAMES.len()];
    for (place, name) in places.iter_mut().zip(NAMES) {
        *place = header.iter().position(|field| field.trim() == name).ok_or_else(|| {
            Error::Csv { line: 1, what: format!("the header has no column {name}") }
        })?;
    }
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            row(&fields(line), &places).map_err(|what| Error::Csv { line: at + 1, what })
        })
        .collect()
}

fn row(line: &[String], places: &[usize; NAMES.len()]) -> Result<Truth, String> {
    let text = |column: usize| {
        let field = line.get(places[column]).map(|field| field.trim());
        field.ok_or_else(|| format!("has no field {}", NAMES[column]))
    };
    let bad = |column: usize| format!("{}: not a usable number", NAMES[column]);
    let number = |column: usize| -> Result<f64, String> {
        let value = text(column)?.parse::<f64>().map_err(|_| bad(column))?;
        value.is_finite().then_some(value).ok_or_else(|| bad(column))
    };
    let id = |column: usize| text(column)?.parse::<u32>().map_err(|_| bad(column));
    Ok(Truth {
        primary_id: id(0)?,
        secondary_id: id(1)?,
        tca_ns: time::parse(text(2)?).map_err(|error| error.to_string())?,
        miss_distance_km: number(3)?,
        relative_speed_km_s: number(4)?,
        slow: text(5)? != "0",
        miss_rtn_km: [number(6)?, number(7)?, number(8)?],
    })
}

/// What is read of an alert.
#[derive(Deserialize)]
struct Alert {
    primary_id: u32,
    secondary_id: u32,
    tca: String,
    miss_distance_km: f64,
    relative_speed_km_s: f64,
    miss_rtn_km: [f64; 3],
}

/// Compares alerts, one JSON text each, with what is known. Fails if one is no alert.
pub fn compare<A: AsRef<[u8]>>(
    truth: &[Truth],
    alerts: impl IntoIterator<Item = A>,
    rules: &Rules,
) -> Result<Comparison, Error> {
    let mut comparison = Comparison::default();
    let mut alerted = vec![false; truth.len()];
    for text in alerts {
        let alert: Alert = serde_json::from_slice(text.as_ref()).map_err(Error::Alert)?;
        let tca_ns = time::parse(&alert.tca)?;
        let own = |id: u32| id.checked_sub(rules.object_id_offset);
        let pair = (own(alert.primary_id), own(alert.secondary_id));
        let near = truth.iter().position(|pass| {
            pair == (Some(pass.primary_id), Some(pass.secondary_id))
                && (pass.tca_ns - tca_ns).abs() <= NEAR_NS
        });
        let readable = || String::from_utf8_lossy(text.as_ref()).into_owned();
        match near {
            Some(at) if truth[at].slow => comparison.slow += 1,
            Some(at) if alerted[at] => comparison.doubled.push(readable()),
            Some(at) => {
                alerted[at] = true;
                comparison.found += 1;
                comparison.measure(&truth[at], &alert, tca_ns);
            }
            None if (rules.from_ns..rules.to_ns).contains(&tca_ns) => {
                comparison.invented.push(readable());
            }
            None => comparison.outside += 1,
        }
    }
    let missed = truth.iter().zip(alerted).filter(|(pass, alerted)| {
        !alerted && !pass.slow && (rules.from_ns..rules.to_ns).contains(&pass.tca_ns)
    });
    comparison.missed = missed.map(|(pass, _)| pass.clone()).collect();
    Ok(comparison)
}

impl Comparison {
    fn measure(&mut self, pass: &Truth, alert: &Alert, tca_ns: i64) {
        let off = |a: f64, b: f64| (a - b).abs() * 1000.0;
        let miss = off(alert.miss_distance_km, pass.miss_distance_km);
        self.miss_error_m = self.miss_error_m.max(miss);
        for (a, b) in alert.miss_rtn_km.iter().zip(pass.miss_rtn_km) {
            self.rtn_error_m = self.rtn_error_m.max(off(*a, b));
        }
        let speed = off(alert.relative_speed_km_s, pass.relative_speed_km_s);
        self.speed_error_m_s = self.speed_error_m_s.max(speed);
        self.tca_error_ms = self.tca_error_ms.max((tca_ns - pass.tca_ns).abs() as f64 / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let at = |text| time::parse(text).unwrap();
        Rules {
            from_ns: at("2024-11-01T00:00:00Z"),
            to_ns: at("2024-11-01T00:10:00Z"),
            object_id_offset: 4_000_000_000,
        }
    }

    fn alert(pass: &Truth, late_ns: i64, wide_km: f64) -> String {
        let [r, t, n] = pass.miss_rtn_km;
        format!(
            r#"{{"primary_id":{},"secondary_id":{},"tca":"{}","miss_distance_km":{},
                "relative_speed_km_s":{},"miss_rtn_km":[{r},{t},{n}],"more":1}}"#,
            pass.primary_id + 4_000_000_000,
            pass.secondary_id + 4_000_000_000,
            time::format(pass.tca_ns + late_ns),
            pass.miss_distance_km + wide_km,
            pass.relative_speed_km_s,
        )
    }

    #[test]
    fn the_sample_is_read_and_equals_itself() {
        let truth = conjunctions_2024();
        assert_eq!((truth.len(), truth.iter().filter(|pass| pass.slow).count()), (188, 1));
        let alerts: Vec<String> = truth.iter().map(|pass| alert(pass, 0, 0.0)).collect();
        let same = compare(&truth, &alerts, &rules()).unwrap();
        assert!(same.is_right() && same.found == 187 && same.slow == 1, "{same}");
        assert!(same.miss_error_m < 1e-9 && same.tca_error_ms < 1e-9);
    }

    #[test]
    fn what_is_missing_doubled_invented_or_wrong_is_said() {
        let truth = conjunctions_2024();
        let mut alerts: Vec<String> =
            truth.iter().skip(2).map(|pass| alert(pass, 0, 0.0)).collect();
        alerts.push(alert(&truth[1], 2_000_000, 0.002));
        alerts.push(alert(&truth[9], 100, 0.0));
        alerts.push(alert(&truth[9], 5 * SECOND_NS, 0.0));
        alerts.push(alert(&truth[0], -5 * SECOND_NS, 0.0));
        let other = compare(&truth, &alerts, &rules()).unwrap();
        assert_eq!(other.missed, [truth[0].clone()]);
        assert_eq!((other.doubled.len(), other.invented.len(), other.outside), (1, 1, 1));
        assert!((other.tca_error_ms - 2.0).abs() < 1e-9 && (other.miss_error_m - 2.0).abs() < 1e-9);
        assert!(!other.is_right());
        assert!(compare(&truth, ["{}"], &rules()).is_err());
        assert!(parse_truth("primary_id\n1").is_err());
    }
}
