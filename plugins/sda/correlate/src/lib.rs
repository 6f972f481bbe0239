//! `sda-correlate`: finds, cell by cell and window by window, the pairs that pass each other.
//!
//! Windows follow each other every `window_ms`. What is searched in one is its *core*, and passes
//! are found in no other than the core they lie in (give or take a tenth of a second at its
//! edges); the window as held reaches one core further on both sides, so that a pass at an edge has
//! its observations around it. Likewise a cell reports only passes inside itself. A pass on an edge
//! of either is therefore reported twice, never lost; `sda-encounter` merges.
//!
//! What a window holds is sorted by object, time and id before anything is computed: the order of
//! arrival does not matter. Pairs slower than `companion_speed_km_s` fly together and are left out;
//! see `sda_domain::passes`.
//!
//! | configuration | default | meaning |
//! |---|---|---|
//! | `window_ms` | 30000 | length of a core; longer than `reach_ms` by 4100 at least |
//! | `reach_ms` | 20000 | observations within this of a pass are used |
//! | `miss_distance_max_km` | 5 | closest approaches below this are candidates |
//! | `companion_speed_km_s` | 0.1 | slower pairs are companions |
//! | `spacing_min_ms` | 2000 | least time between observations used together |
//! | `gap_max_ms` | 20000 | a longer silence ends a track |
//! | `extrapolation_ms` | 4000 | a track reaches this far beyond its ends; at most half of `gap_max_ms` |
//!
//! An emission has the pair as key, the id `pair/cell/window/number`, and as event time the
//! millisecond of closest approach. Delay: two windows and the tenth of a second. Ahead of the
//! observations: the extrapolation.

use pawl_sdk::prelude::*;
use sda_domain::passes::{STEP_NS, TOLERANCE_NS};
use sda_domain::time::{MILLISECOND_NS, floor_to_ms};
use sda_domain::track::tracks;
use sda_domain::{Candidate, Cell, Limits, Observation, TrackLimits, find_passes};
use serde::{Deserialize, Serialize};

const TOLERANCE_MS: i64 = TOLERANCE_NS / MILLISECOND_NS;

/// The operator.
pub struct Correlate {
    window_ms: i64,
    limits: Limits,
    seen: Sliding<Place, Vec<Observation>>,
}

/// What observations are kept by: cell by cell, object by object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Place {
    cell: (u32, i32, i32, i32),
    object_id: u32,
}

impl Place {
    fn new(cell: Cell, object_id: u32) -> Self {
        let [x, y, z] = cell.index;
        Self { cell: (cell.edge_km, x, y, z), object_id }
    }

    fn cell(&self) -> Cell {
        let (edge_km, x, y, z) = self.cell;
        Cell { edge_km, index: [x, y, z] }
    }
}

/// How passes are looked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Milliseconds.
    pub window_ms: u32,
    /// Milliseconds.
    pub reach_ms: u32,
    /// Kilometres.
    pub miss_distance_max_km: f64,
    /// Kilometres per second.
    pub companion_speed_km_s: f64,
    /// Milliseconds.
    pub spacing_min_ms: u32,
    /// Milliseconds.
    pub gap_max_ms: u32,
    /// Milliseconds.
    pub extrapolation_ms: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window_ms: 30_000,
            reach_ms: 20_000,
            miss_distance_max_km: 5.0,
            companion_speed_km_s: 0.1,
            spacing_min_ms: 2000,
            gap_max_ms: 20_000,
            extrapolation_ms: 4000,
        }
    }
}

impl Config {
    fn check(&self) -> Result<(), String> {
        let step_ms = (STEP_NS / MILLISECOND_NS) as u64;
        let window_ms_min = u64::from(self.reach_ms) + step_ms + TOLERANCE_MS as u64;
        if u64::from(self.window_ms) < window_ms_min || self.window_ms > 86_400_000 {
            return Err(format!(
                "window_ms should be {window_ms_min} (reach_ms and {} more) to 86400000",
                window_ms_min - u64::from(self.reach_ms)
            ));
        }
        let miss_fits = self.miss_distance_max_km > 0.0 && self.miss_distance_max_km <= 1000.0;
        if !miss_fits {
            return Err("miss_distance_max_km should be above 0 and at most 1000".to_owned());
        }
        let speed_fits = self.companion_speed_km_s >= 0.0;
        if !speed_fits {
            return Err("companion_speed_km_s should be 0 or more".to_owned());
        }
        if self.spacing_min_ms == 0 {
            return Err("spacing_min_ms should be at least 1".to_owned());
        }
        if self.extrapolation_ms > self.gap_max_ms / 2 {
            return Err("extrapolation_ms should be at most half of gap_max_ms".to_owned());
        }
        if self.extrapolation_ms > self.reach_ms {
            return Err("extrapolation_ms should be at most reach_ms".to_owned());
        }
        Ok(())
    }

    fn limits(&self) -> Limits {
        let nanoseconds = |milliseconds: u32| i64::from(milliseconds) * MILLISECOND_NS;
        Limits {
            miss_distance_max_km: self.miss_distance_max_km,
            companion_speed_km_s: self.companion_speed_km_s,
            track: TrackLimits {
                reach_ns: nanoseconds(self.reach_ms),
                spacing_min_ns: nanoseconds(self.spacing_min_ms),
                gap_max_ns: nanoseconds(self.gap_max_ms),
                extrapolation_ns: nanoseconds(self.extrapolation_ms),
            },
        }
    }
}

impl Operator for Correlate {
    const NAME: &'static str = "sda-correlate";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Wiring), String> {
        config.check()?;
        let core = u64::from(config.window_ms);
        let seen = Sliding::new(3 * core, core, 0).map_err(|what| format!("window_ms: {what}"))?;
        // A window fires when the watermark has passed the core behind its own.
        let wiring = Wiring::to("candidates")
            .delay(2 * core + TOLERANCE_MS as u64 + 1)
            .ahead(u64::from(config.extrapolation_ms) + 1);
        Ok((Self { window_ms: core as i64, limits: config.limits(), seen }, wiring))
    }

    fn process(&mut self, record: Record<'_>, _: &mut Emitter<'_>) -> Result<(), Rejection> {
        let cell = record.key().and_then(|key| Cell::parse(std::str::from_utf8(key).ok()?));
        let cell =
            cell.ok_or_else(|| Rejection::permanent("cell", "the key should be EDGE:X:Y:Z"))?;
        let observation = Observation::decode(record.value().unwrap_or_default())
            .map_err(|what| Rejection::permanent("deserialization", format!("the value {what}")))?;
        let place = Place::new(cell, observation.object_id);
        self.seen.at(&place, record.event_time()).push(observation);
        Ok(())
    }

    fn advance(&mut self, watermark: i64, out: &mut Emitter<'_>) {
        let (window_ms, limits) = (self.window_ms, self.limits);
        let mut search: Option<Search> = None;
        self.seen.fire(watermark, |window, place, panes| {
            let start_ms = window.start + window_ms;
            let same = |search: &Search| search.cell == place.cell() && search.start_ms == start_ms;
            if !search.as_ref().is_some_and(same)
                && let Some(whole) = search.replace(Search::new(place.cell(), start_ms))
            {
                whole.emit(window_ms, &limits, out);
            }
            if let Some(search) = &mut search {
                let values = panes.iter().flat_map(|pane| &pane.1);
                search.observations.extend(values.cloned());
            }
        });
        if let Some(whole) = search {
            whole.emit(window_ms, &limits, out);
        }
    }

    fn state(&mut self) -> Vec<&mut dyn State> {
        vec![&mut self.seen]
    }
}

/// What one window holds of one cell.
struct Search {
    cell: Cell,
    /// Start of the core.
    start_ms: i64,
    observations: Vec<Observation>,
}

impl Search {
    fn new(cell: Cell, start_ms: i64) -> Self {
        Self { cell, start_ms, observations: Vec::new() }
    }

    fn emit(&self, window_ms: i64, limits: &Limits, out: &mut Emitter<'_>) {
        let end_ms = self.start_ms + window_ms;
        let tracks = tracks(self.observations.iter().collect(), &limits.track);
        let (from_ns, to_ns) = (self.start_ms * MILLISECOND_NS, end_ms * MILLISECOND_NS);
        let passes = find_passes(&tracks, from_ns, to_ns, limits);
        let mut pair_before = None;
        let mut number = 0;
        for pass in passes.into_iter().filter(|pass| self.cell.owns(pass.position_km)) {
            let pair = Some((pass.primary_id, pass.secondary_id));
            number = if pair == pair_before { number + 1 } else { 0 };
            pair_before = pair;
            let candidate = Candidate {
                primary_id: pass.primary_id,
                secondary_id: pass.secondary_id,
                tca_ns: pass.tca_ns,
                miss_distance_km: pass.miss_distance_km,
                relative_speed_km_s: pass.relative_speed_km_s,
                miss_rtn_km: pass.miss_rtn_km,
                cell: self.cell.to_string(),
                window_start_ms: self.start_ms,
                window_end_ms: end_ms,
                observation_ids: pass.observation_ids,
            };
            out.emit(candidate.encode())
                .key(candidate.pair())
                .id(candidate.id(number))
                .event_time(floor_to_ms(candidate.tca_ns));
        }
    }
}

pawl_sdk::export!(Correlate);

#[cfg(test)]
mod tests {
    use super::*;
    use pawl_sdk::Driver;

    #[test]
    fn what_it_declares_covers_what_it_emits() {
        let wiring = Driver::<Correlate>::new().configure("").unwrap();
        assert_eq!((wiring.delay, wiring.ahead), (60_101, 4001));
    }

    #[test]
    fn a_configuration_that_makes_no_sense_names_its_field() {
        for (config, field) in [
            (r#"{"window_ms": 20000}"#, "window_ms"),
            (r#"{"miss_distance_max_km": 0}"#, "miss_distance_max_km"),
            (r#"{"companion_speed_km_s": -1}"#, "companion_speed_km_s"),
            (r#"{"spacing_min_ms": 0}"#, "spacing_min_ms"),
            (r#"{"extrapolation_ms": 15000}"#, "extrapolation_ms"),
            (r#"{"windows": 3}"#, "windows"),
            (r#"{"reach_ms": -3}"#, "reach_ms"),
        ] {
            let error = Driver::<Correlate>::new().configure(config).unwrap_err();
            assert!(error.contains(field), "{config}: {error}");
        }
    }
}
