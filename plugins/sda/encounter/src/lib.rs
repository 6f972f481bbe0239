//! `sda-encounter`: makes one alert of all that cells and windows say about one encounter.
//!
//! Candidates of a pair are collected in event time. Those within `merge_ms` of each other are one
//! encounter, which spans at most `encounter_span_max_ms`. When the watermark has passed the last
//! moment at which another could belong to it, the best one is chosen (most observations, then the
//! lowest cell, then the earliest window) and becomes the alert. So it does not matter which cell,
//! window or host was first, nor when the watermark moved: the choice follows from the set of
//! candidates alone, and with it every byte of the alert and its name. Candidates behind a full
//! span but within `merge_ms` of the chosen one are left out: two alerts of a pair are never nearer
//! to each other than that.
//!
//! | configuration | default | meaning |
//! |---|---|---|
//! | `merge_ms` | 500 | candidates this near in time are one encounter |
//! | `encounter_span_max_ms` | 2000 | longest stretch that one encounter covers |
//! | `hard_body_radius_m` | 20 | the two objects' radii together, for the probability of collision |
//! | `pc_demonstration` | true | what the alert says about its `pc`; see below |
//!
//! **The probability is a demonstration**, and each alert says so, unless the configuration says
//! otherwise. It is exact for what it is given (two-dimensional, Foster 1992, one deviation per
//! object), but element sets are wrong by kilometres, and a sensor's own deviation is no orbit
//! determination's covariance. Only where sigmas are proven may `pc_demonstration` be false. The
//! method itself is in `sda_domain::probability`.
//!
//! An emission has the `alert_id` as key and as id, as event time the millisecond of closest
//! approach, and a header `lineage` that names topic, partition and offset of every observation.
//! Delay: `encounter_span_max_ms`.

mod alert;

pub use alert::{Alert, alert_id};

use pawl_sdk::prelude::*;
use sda_domain::Candidate;
use sda_domain::time::{MILLISECOND_NS, floor_to_ms};
use std::cmp::Ordering;

/// The operator.
pub struct Encounter {
    merge_ns: i64,
    span_max_ns: i64,
    hard_body_radius_m: f64,
    pc_demonstration: bool,
    /// By pair, in order of time.
    pending: Buckets<String, Vec<Candidate>>,
}

/// How candidates are merged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Milliseconds.
    pub merge_ms: u32,
    /// Milliseconds.
    pub encounter_span_max_ms: u32,
    /// Metres.
    pub hard_body_radius_m: f64,
    /// Whether the probability only shows the method.
    pub pc_demonstration: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            merge_ms: 500,
            encounter_span_max_ms: 2000,
            hard_body_radius_m: 20.0,
            pc_demonstration: true,
        }
    }
}

impl Operator for Encounter {
    const NAME: &'static str = "sda-encounter";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    // 2: candidates know position, velocity, accuracy and origins.
    const STATE_VERSION: u32 = 2;
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Wiring), String> {
        if !(100..=60_000).contains(&config.merge_ms) {
            return Err("merge_ms should be between 100 and 60000".to_owned());
        }
        if !(config.merge_ms..=3_600_000).contains(&config.encounter_span_max_ms) {
            return Err("encounter_span_max_ms should be merge_ms to 3600000".to_owned());
        }
        let possible = config.hard_body_radius_m > 0.0 && config.hard_body_radius_m <= 1e6;
        if !possible {
            return Err("hard_body_radius_m should be above 0 and at most 1000000".to_owned());
        }
        let operator = Self {
            merge_ns: i64::from(config.merge_ms) * MILLISECOND_NS,
            span_max_ns: i64::from(config.encounter_span_max_ms) * MILLISECOND_NS,
            hard_body_radius_m: config.hard_body_radius_m,
            pc_demonstration: config.pc_demonstration,
            pending: Buckets::new(),
        };
        let wiring =
            Wiring::to("alerts").sets("lineage").delay(u64::from(config.encounter_span_max_ms) + 1);
        Ok((operator, wiring))
    }

    fn process(&mut self, record: Record<'_>, _: &mut Emitter<'_>) -> Result<(), Rejection> {
        let candidate = Candidate::decode(record.value().unwrap_or_default())
            .map_err(|what| Rejection::permanent("deserialization", format!("the value {what}")))?;
        if !possible(&candidate) {
            let message = "a number of the candidate is larger than any in the solar system";
            return Err(Rejection::permanent("out-of-range", message));
        }
        let pending = self.pending.get_or(&candidate.pair(), Vec::new);
        let at = pending.partition_point(|other| in_time(other, &candidate).is_lt());
        pending.insert(at, candidate);
        Ok(())
    }

    fn advance(&mut self, watermark: i64, out: &mut Emitter<'_>) {
        let mut pairs: Vec<String> = self
            .pending
            .iter()
            .filter(|(_, pending)| self.closed(pending, watermark).is_some())
            .map(|(pair, _)| pair.clone())
            .collect();
        pairs.sort_unstable();
        for pair in pairs {
            let mut pending = self.pending.remove(&pair).unwrap_or_default();
            while let Some(closed) = self.closed(&pending, watermark) {
                if let Some(best) = pending.get(closed.best) {
                    self.emit(best, out);
                }
                pending.drain(..closed.count);
            }
            if !pending.is_empty() {
                self.pending.insert(pair, pending);
            }
        }
    }

    fn state(&mut self) -> Vec<&mut dyn State> {
        vec![&mut self.pending]
    }
}

/// An encounter to which no other candidate can come.
struct Closed {
    /// Which of the pair's candidates is chosen.
    best: usize,
    /// How many of the pair's first candidates it takes with it.
    count: usize,
}

impl Encounter {
    /// The pair's first encounter, if it is closed.
    fn closed(&self, pending: &[Candidate], watermark: i64) -> Option<Closed> {
        let first_ns = pending.first()?.tca_ns;
        let span_end_ns = first_ns.saturating_add(self.span_max_ns);
        let mut last_ns = first_ns;
        let joins = |candidate: &&Candidate| {
            let merge_end_ns = last_ns.saturating_add(self.merge_ns);
            let near = candidate.tca_ns <= merge_end_ns.min(span_end_ns);
            if near {
                last_ns = candidate.tca_ns;
            }
            near
        };
        let together = pending.iter().take_while(joins).count();
        let best = (0..together).min_by(|a, b| better_first(&pending[*a], &pending[*b]))?;
        // Whatever comes within `merge_ns` of the chosen one would be the same alert again.
        let taken_until_ns = pending[best].tca_ns.saturating_add(self.merge_ns);
        let joins_until_ns = last_ns.saturating_add(self.merge_ns).min(span_end_ns);
        let taken = pending.partition_point(|candidate| candidate.tca_ns <= taken_until_ns);
        let settled = watermark > floor_to_ms(joins_until_ns.max(taken_until_ns));
        settled.then_some(Closed { best, count: together.max(taken) })
    }

    fn emit(&self, best: &Candidate, out: &mut Emitter<'_>) {
        let alert = Alert::new(best, self.hard_body_radius_m, self.pc_demonstration);
        out.emit(alert.encode())
            .key(&alert.alert_id)
            .id(&alert.alert_id)
            .event_time(floor_to_ms(best.tca_ns))
            .header(0, alert::lineage(best));
    }
}

/// Whether all numbers are such as can be computed with and written.
fn possible(candidate: &Candidate) -> bool {
    const LARGEST: f64 = 1e12;
    // Two and a half centuries around 1970, less than 64 bits of nanoseconds hold.
    const LAST_MS: i64 = 8_000_000_000_000;
    let (primary, secondary) = (&candidate.primary, &candidate.secondary);
    let known = [primary, secondary].into_iter().flat_map(|known| {
        known.position_km.into_iter().chain(known.velocity_km_s).chain([known.sigma_km])
    });
    let measured = candidate.miss_rtn_km.into_iter();
    let measured = measured.chain([candidate.miss_distance_km, candidate.relative_speed_km_s]);
    let times_ms = [
        candidate.tca_ns / MILLISECOND_NS,
        primary.observed_ns / MILLISECOND_NS,
        secondary.observed_ns / MILLISECOND_NS,
        candidate.window_start_ms,
        candidate.window_end_ms,
    ];
    known.chain(measured).all(|number| number.abs() <= LARGEST)
        && times_ms.into_iter().all(|time| (-LAST_MS..=LAST_MS).contains(&time))
}

/// In order of time; the rest only makes the order complete.
fn in_time(a: &Candidate, b: &Candidate) -> Ordering {
    a.tca_ns.cmp(&b.tca_ns).then_with(|| better_first(a, b))
}

/// The one to choose comes first. Complete for candidates that one run can have.
fn better_first(a: &Candidate, b: &Candidate) -> Ordering {
    let observations = b.observation_ids.len().cmp(&a.observation_ids.len());
    observations
        .then_with(|| a.cell.cmp(&b.cell))
        .then_with(|| a.window_start_ms.cmp(&b.window_start_ms))
        .then_with(|| a.tca_ns.cmp(&b.tca_ns))
}

pawl_sdk::export!(Encounter);

#[cfg(test)]
mod tests;
