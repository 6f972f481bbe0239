//! `sda-encounter`: makes one alert of all that cells and windows say about one encounter.
//!
//! Candidates of a pair are collected in event time. Those within `merge_ms` of each other are one
//! encounter, which spans at most `encounter_span_max_ms`. When the watermark has passed the last
//! moment at which another could belong to it, the best one is chosen (most observations, then the
//! lowest cell, then the earliest window) and becomes the alert. So it does not matter which cell,
//! window or host was first.
//!
//! | configuration | default | meaning |
//! |---|---|---|
//! | `merge_ms` | 500 | candidates this near in time are one encounter |
//! | `encounter_span_max_ms` | 2000 | longest stretch that one encounter covers |
//! | `hard_body_radius_m` | 20 | the two objects' radii together; goes into the alert |
//!
//! An emission has the `alert_id` as key and as id, and as event time the millisecond of closest
//! approach. Delay: `encounter_span_max_ms`.

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
}

impl Default for Config {
    fn default() -> Self {
        Self { merge_ms: 500, encounter_span_max_ms: 2000, hard_body_radius_m: 20.0 }
    }
}

impl Operator for Encounter {
    const NAME: &'static str = "sda-encounter";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Wiring), String> {
        if !(100..=60_000).contains(&config.merge_ms) {
            return Err("merge_ms should be between 100 and 60000".to_owned());
        }
        if !(config.merge_ms..=3_600_000).contains(&config.encounter_span_max_ms) {
            return Err("encounter_span_max_ms should be merge_ms to 3600000".to_owned());
        }
        let possible = config.hard_body_radius_m > 0.0 && config.hard_body_radius_m.is_finite();
        if !possible {
            return Err("hard_body_radius_m should be above 0".to_owned());
        }
        let operator = Self {
            merge_ns: i64::from(config.merge_ms) * MILLISECOND_NS,
            span_max_ns: i64::from(config.encounter_span_max_ms) * MILLISECOND_NS,
            hard_body_radius_m: config.hard_body_radius_m,
            pending: Buckets::new(),
        };
        let wiring = Wiring::to("alerts").delay(u64::from(config.encounter_span_max_ms) + 1);
        Ok((operator, wiring))
    }

    fn process(&mut self, record: Record<'_>, _: &mut Emitter<'_>) -> Result<(), Rejection> {
        let candidate = Candidate::decode(record.value().unwrap_or_default())
            .map_err(|what| Rejection::permanent("deserialization", format!("the value {what}")))?;
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
            while let Some(count) = self.closed(&pending, watermark) {
                let encounter: Vec<Candidate> = pending.drain(..count).collect();
                if let Some(best) = encounter.into_iter().min_by(better_first) {
                    self.emit(best, out);
                }
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

impl Encounter {
    /// How many of the pair's first candidates are an encounter to which no other can come.
    fn closed(&self, pending: &[Candidate], watermark: i64) -> Option<usize> {
        let first_ns = pending.first()?.tca_ns;
        let mut last_ns = first_ns;
        let joins = |candidate: &&Candidate| {
            let near = candidate.tca_ns - last_ns <= self.merge_ns
                && candidate.tca_ns - first_ns <= self.span_max_ns;
            if near {
                last_ns = candidate.tca_ns;
            }
            near
        };
        let count = pending.iter().take_while(joins).count();
        let open_until_ns = (last_ns + self.merge_ns).min(first_ns + self.span_max_ns);
        (watermark > floor_to_ms(open_until_ns)).then_some(count)
    }

    fn emit(&self, best: Candidate, out: &mut Emitter<'_>) {
        let event_time = floor_to_ms(best.tca_ns);
        let alert = Alert::new(best, self.hard_body_radius_m);
        out.emit(alert.encode()).key(&alert.alert_id).id(&alert.alert_id).event_time(event_time);
    }
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
