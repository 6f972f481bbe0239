//! `sda-correlate`: finds, cell by cell and window by window, the pairs that pass each other.
//!
//! Windows follow each other every `window_ms`. Passes are found in the window that they lie in
//! (give or take a tenth of a second at its edges); for that, observations are held from a little
//! more than the reach before a window until as long behind it, so that a pass at an edge has its
//! observations around it. Likewise a cell reports only passes inside itself. A pass on an edge of
//! either is therefore reported twice, never lost; `sda-encounter` merges.
//!
//! What a window holds of a cell is sorted by object and time before anything is computed: the
//! order of arrival does not matter. Observations of all sensors are fused by their sigmas. Pairs
//! slower than `companion_speed_km_s` fly together and are left out; see `sda_domain::passes`.
//!
//! | configuration | default | meaning |
//! |---|---|---|
//! | `window_ms` | 30000 | length of a window |
//! | `reach_ms` | 20000 | observations within this of a pass are used |
//! | `miss_distance_max_km` | 5 | closest approaches below this are candidates |
//! | `companion_speed_km_s` | 0.1 | slower pairs are companions |
//! | `spacing_min_ms` | 2000 | observations of an object closer than this count as one moment |
//! | `gap_max_ms` | 20000 | a longer silence ends a track; at most `reach_ms` |
//! | `extrapolation_ms` | 6000 | a track reaches this far beyond its ends; at most half of `gap_max_ms` |
//!
//! An emission has the pair as key, the id `pair/cell/window/number`, and as event time the
//! millisecond of closest approach. Delay: the window and what is held behind it. Ahead of the
//! observations: the extrapolation.

mod store;
mod stretch;
mod texts;

use pawl_sdk::prelude::*;
use sda_domain::passes::TOLERANCE_NS;
use sda_domain::time::{MILLISECOND_NS, floor_to_ms};
use sda_domain::{
    Candidate, Cell, Limits, Observation, Pass, Reach, Sample, TrackLimits, find_passes, track,
};
use serde::{Deserialize, Serialize};
use store::{Store, pack};
use stretch::{Place, Stretch};

const TOLERANCE_MS: i64 = TOLERANCE_NS / MILLISECOND_NS;

/// The operator.
pub struct Correlate {
    window_ms: i64,
    limits: Limits,
    reached: Single<Reached>,
    store: Store,
}

/// How far windows of which length came.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Reached {
    window_ms: i64,
    /// Number of the next window; all before it have been searched.
    next: Option<i64>,
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
            extrapolation_ms: 6000,
        }
    }
}

impl Config {
    fn check(&self) -> Result<(), String> {
        if !(1000..=86_400_000).contains(&self.window_ms) {
            return Err("window_ms should be 1000 to 86400000".to_owned());
        }
        if !(1000..=3_600_000).contains(&self.reach_ms) {
            return Err("reach_ms should be 1000 to 3600000".to_owned());
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
        if self.gap_max_ms > self.reach_ms {
            return Err("gap_max_ms should be at most reach_ms".to_owned());
        }
        if self.extrapolation_ms > self.gap_max_ms / 2 {
            return Err("extrapolation_ms should be at most half of gap_max_ms".to_owned());
        }
        Ok(())
    }

    fn limits(&self) -> Limits {
        let nanoseconds = |milliseconds: u32| i64::from(milliseconds) * MILLISECOND_NS;
        Limits {
            miss_distance_max_km: self.miss_distance_max_km,
            companion_speed_km_s: self.companion_speed_km_s,
            track: TrackLimits {
                reach: Reach {
                    reach_ns: nanoseconds(self.reach_ms),
                    spacing_min_ns: nanoseconds(self.spacing_min_ms),
                },
                gap_max_ns: nanoseconds(self.gap_max_ms),
                extrapolation_ns: nanoseconds(self.extrapolation_ms),
            },
        }
    }
}

impl Operator for Correlate {
    const NAME: &'static str = "sda-correlate";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const STATE_VERSION: u32 = 2;
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Wiring), String> {
        config.check()?;
        let window_ms = i64::from(config.window_ms);
        let reached = Single::new(Reached { window_ms, next: None });
        let operator = Self { window_ms, limits: config.limits(), reached, store: Store::new() };
        // A window is searched once the watermark has passed what is held behind it.
        let held_ms = window_ms + operator.margin_ms() + TOLERANCE_MS + 1;
        let wiring = Wiring::to("candidates")
            .delay(held_ms as u64)
            .ahead(u64::from(config.extrapolation_ms) + 1);
        Ok((operator, wiring))
    }

    fn process(&mut self, record: Record<'_>, _: &mut Emitter<'_>) -> Result<(), Rejection> {
        let cell = record.key().and_then(|key| Cell::parse(std::str::from_utf8(key).ok()?));
        let cell = cell
            .and_then(pack)
            .ok_or_else(|| Rejection::permanent("cell", "the key should be EDGE:X:Y:Z"))?;
        let observation = Observation::decode(record.value().unwrap_or_default())
            .map_err(|what| Rejection::permanent("deserialization", format!("the value {what}")))?;
        self.store.add(cell, &observation);
        Ok(())
    }

    fn advance(&mut self, watermark: i64, out: &mut Emitter<'_>) {
        let margin_ms = self.margin_ms();
        while let Some(window) = self.next_window() {
            let start_ms = window * self.window_ms;
            let end_ms = start_ms + self.window_ms;
            if end_ms + margin_ms > watermark {
                break;
            }
            self.search(start_ms, out);
            self.reached.edit().next = Some(window + 1);
            self.store.drop_before(end_ms - margin_ms);
        }
        self.store.seal_before(watermark);
    }

    fn state(&mut self) -> Vec<&mut dyn State> {
        vec![&mut self.reached, &mut self.store]
    }
}

impl Correlate {
    /// How long before and behind a window observations are needed.
    fn margin_ms(&self) -> i64 {
        self.limits.margin_ns() / MILLISECOND_NS + 1
    }

    /// The number of the first window in which anything held could pass, and not searched yet.
    fn next_window(&self) -> Option<i64> {
        let early_ms = self.limits.track.extrapolation_ns / MILLISECOND_NS + TOLERANCE_MS + 1;
        let first = (self.store.oldest_ms()? - early_ms).div_euclid(self.window_ms);
        Some(self.reached.next.map_or(first, |next| next.max(first)))
    }

    fn search(&self, start_ms: i64, out: &mut Emitter<'_>) {
        let (end_ms, margin_ms) = (start_ms + self.window_ms, self.margin_ms());
        let stretch = self.store.stretch(start_ms - margin_ms, end_ms + margin_ms);
        let (mut held, mut samples) = (Vec::new(), Vec::new());
        for (cell, places) in stretch.cells() {
            held.clear();
            held.extend(places.iter().map(|place| Held::new(&stretch, *place)));
            held.sort_unstable_by(|a, b| {
                let order = (a.object_id, a.time_ns).cmp(&(b.object_id, b.time_ns));
                order.then_with(|| track::order(&stretch.sample(a.place), &stretch.sample(b.place)))
            });
            samples.clear();
            samples.extend(held.iter().map(|held| stretch.sample(held.place)));
            let search = Search { cell, start_ms, end_ms, stretch: &stretch, held: &held };
            search.emit(&samples, &self.limits, out);
        }
    }
}

/// A copy while what a cell holds is being sorted.
struct Held {
    object_id: u32,
    place: Place,
    time_ns: i64,
}

impl Held {
    fn new(stretch: &Stretch<'_>, place: Place) -> Self {
        let (object_id, time_ns) = stretch.key(place);
        Self { object_id, place, time_ns }
    }
}

/// What one window holds of one cell.
struct Search<'a> {
    cell: Cell,
    start_ms: i64,
    end_ms: i64,
    stretch: &'a Stretch<'a>,
    /// In the order of the samples.
    held: &'a [Held],
}

impl Search<'_> {
    fn emit(&self, samples: &[Sample], limits: &Limits, out: &mut Emitter<'_>) {
        let (from_ns, to_ns) = (self.start_ms * MILLISECOND_NS, self.end_ms * MILLISECOND_NS);
        let passes = find_passes(samples, from_ns, to_ns, limits);
        let mut pair_before = None;
        let mut number = 0;
        for pass in passes.into_iter().filter(|pass| self.cell.owns(pass.primary.position_km)) {
            let pair = Some((pass.primary_id, pass.secondary_id));
            number = if pair == pair_before { number + 1 } else { 0 };
            pair_before = pair;
            let candidate = self.candidate(pass);
            out.emit(candidate.encode())
                .key(candidate.pair())
                .id(candidate.id(number))
                .event_time(floor_to_ms(candidate.tca_ns));
        }
    }

    fn candidate(&self, pass: Pass) -> Candidate {
        let mut used: Vec<(String, String)> = pass
            .used
            .iter()
            .filter_map(|used| self.held.get(*used))
            .map(|held| self.stretch.texts(held.place))
            .collect();
        used.sort_unstable();
        let (observation_ids, origins) = used.into_iter().unzip();
        Candidate {
            primary_id: pass.primary_id,
            secondary_id: pass.secondary_id,
            tca_ns: pass.tca_ns,
            miss_distance_km: pass.miss_distance_km,
            relative_speed_km_s: pass.relative_speed_km_s,
            miss_rtn_km: pass.miss_rtn_km,
            primary: pass.primary,
            secondary: pass.secondary,
            cell: self.cell.to_string(),
            window_start_ms: self.start_ms,
            window_end_ms: self.end_ms,
            observation_ids,
            origins,
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
        assert_eq!((wiring.delay, wiring.ahead), (54_302, 6001));
    }

    #[test]
    fn a_configuration_that_makes_no_sense_names_its_field() {
        for (config, field) in [
            (r#"{"window_ms": 999}"#, "window_ms"),
            (r#"{"reach_ms": 4000000000}"#, "reach_ms"),
            (r#"{"gap_max_ms": 20001}"#, "gap_max_ms"),
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
