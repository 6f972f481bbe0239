//! `sda-cell`: copies each observation to every cell of space that its object can pass through
//! shortly before or after, so that whoever meets there is seen together. Keeps no state.
//!
//! | configuration | default | meaning |
//! |---|---|---|
//! | `edge_km` | 2000 | edge of a cell; at least twice the way that the fastest object makes |
//! | `reach_ms` | 20000 | how far in time from a pass observations are needed; not below that of `correlate` |
//! | `miss_distance_max_km` | 5 | not below that of `correlate` |
//!
//! A copy has the id `observation_id/cell`, the cell as key, and the observation's event time. Most
//! observations get one copy, some two to four, none more than eight.

use pawl_sdk::prelude::*;
use sda_domain::time::MILLISECOND_NS;
use sda_domain::{Grid, Observation};
use std::fmt::Write;

/// The operator.
pub struct Cells {
    grid: Grid,
    key: String,
    id: String,
}

/// How space is cut.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Kilometres.
    pub edge_km: u32,
    /// Milliseconds.
    pub reach_ms: u32,
    /// Kilometres.
    pub miss_distance_max_km: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { edge_km: 2000, reach_ms: 20_000, miss_distance_max_km: 5.0 }
    }
}

impl Operator for Cells {
    const NAME: &'static str = "sda-cell";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Wiring), String> {
        let positive = config.miss_distance_max_km > 0.0;
        if !positive {
            return Err("miss_distance_max_km should be above 0".to_owned());
        }
        let reach_ns = i64::from(config.reach_ms) * MILLISECOND_NS;
        let grid = Grid::new(config.edge_km, reach_ns, config.miss_distance_max_km)
            .map_err(|what| format!("edge_km {what}"))?;
        Ok((Self { grid, key: String::new(), id: String::new() }, Wiring::to("cells")))
    }

    fn process(&mut self, record: Record<'_>, out: &mut Emitter<'_>) -> Result<(), Rejection> {
        let value = record.value().unwrap_or_default();
        let observation = Observation::decode(value)
            .map_err(|what| Rejection::permanent("deserialization", format!("the value {what}")))?;
        let sample = observation.sample;
        for cell in self.grid.cells(sample.position_km, sample.velocity_km_s) {
            // Written into the same two texts for every record.
            self.key.clear();
            write!(self.key, "{cell}").expect("writing to a string does not fail");
            self.id.clear();
            self.id.extend([observation.id, "/", &self.key]);
            out.emit(value).id(&self.id).key(&self.key);
        }
        Ok(())
    }
}

pawl_sdk::export!(Cells);

#[cfg(test)]
mod tests {
    use super::*;
    use pawl_sdk::{Batch, ByteColumn, Driver};
    use sda_domain::Sample;

    fn column(row: &[u8]) -> ByteColumn {
        let mut column = ByteColumn::default();
        column.push(Some(row));
        column
    }

    fn copies(value: &[u8]) -> pawl_sdk::Outcome {
        let mut driver = Driver::<Cells>::new();
        driver.configure("").unwrap();
        let (keys, values) = (column(b"7"), column(value));
        driver.process(Batch { keys, values, event_times: vec![5], headers: Vec::new() })
    }

    #[test]
    fn each_cell_within_reach_gets_a_copy_under_its_own_id() {
        let sample = Sample {
            object_id: 7,
            time_ns: 5_000_000,
            position_km: [7990.0, 100.5, 500.0],
            velocity_km_s: [1.0, 7.0, 0.0],
            sigma_km: 0.01,
        };
        let mut value = Vec::new();
        Observation { sample, id: "s01-7-5", origin: "" }.encode(&mut value);
        let outcome = copies(&value);
        let rows = |column: &ByteColumn| -> Vec<String> {
            let text = |row| String::from_utf8_lossy(column.get(row).unwrap()).into_owned();
            (0..column.len()).map(text).collect()
        };
        let cells = ["2000:3:-1:0", "2000:3:0:0", "2000:4:-1:0", "2000:4:0:0"];
        assert_eq!(rows(&outcome.emissions.keys), cells);
        assert_eq!(rows(&outcome.emissions.ids), cells.map(|cell| format!("s01-7-5/{cell}")));
        assert_eq!(outcome.emissions.event_times, [5; 4]);
        assert!((0..4).all(|row| outcome.emissions.values.get(row) == Some(&value)));
    }

    #[test]
    fn what_is_no_observation_is_refused() {
        let outcome = copies(b"{}");
        assert_eq!(outcome.rejections[0].1.kind, "deserialization");
        assert!(outcome.emissions.is_empty());
    }

    #[test]
    fn a_cell_too_small_for_the_reach_is_refused_by_name() {
        let error = Driver::<Cells>::new().configure(r#"{"edge_km": 100}"#).unwrap_err();
        assert!(error.starts_with("edge_km should be at least 6"), "{error}");
        let error = Driver::<Cells>::new().configure(r#"{"miss_distance_max_km": -1}"#);
        assert!(error.unwrap_err().starts_with("miss_distance_max_km"));
    }
}
