//! The sensor model: who sees which object when, and how the lines of it arrive.
//!
//! Every object has a home sensor that sees it all the time, once per period; in every shift of a
//! minute some others see it too. Lines arrive up to `disorder_s` after the measurement, some
//! twice, some damaged, some late. A line never arrives before its measurement, and (the late ones
//! aside) never more than `disorder_s` behind it.

use crate::damage::damage;
use crate::ledger::Ledger;
use crate::random::{Random, mix};
use crate::time::{self, SECOND_NS};
use crate::{Elements, Error, Propagator, State};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How observations are made.
#[derive(Clone, Debug)]
pub struct SensorOptions {
    /// Everything random follows from it.
    pub seed: u64,
    /// First moment, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// How long the sensors watch.
    pub duration_s: u32,
    /// How often one sensor measures an object that it sees.
    pub period_s: u32,
    /// How many sensors there are. With one, each object is seen exactly once per period.
    pub sensors: u32,
    /// Added to each object's id in the lines (not in what they follow from): ids of any size.
    pub object_id_offset: u32,
    /// How many times the deviation of the last sensor is that of the first; the others lie
    /// evenly between. At least 1.
    pub sigma_ratio: f64,
    /// Standard deviation of each coordinate of a position of the first sensor; velocities get a
    /// thousandth per second of it. 0: exact.
    pub noise_sigma_km: f64,
    /// Share of good lines that come a second time, 0 to 1.
    pub duplicate_share: f64,
    /// Bound on how long after its measurement a line arrives.
    pub disorder_s: u32,
    /// Share of observations of which a damaged line comes first, 0 to 1. Half of these come
    /// again undamaged.
    pub corrupt_share: f64,
    /// Share of observations that come far behind `disorder_s`, 0 to 1. They are late for a
    /// pipeline whose watermark waits `disorder_s`, no longer.
    pub late_share: f64,
}

impl Default for SensorOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            start_ns: 0,
            duration_s: 600,
            period_s: 4,
            sensors: 12,
            object_id_offset: 0,
            sigma_ratio: 1.0,
            noise_sigma_km: 0.0,
            duplicate_share: 0.0,
            disorder_s: 0,
            corrupt_share: 0.0,
            late_share: 0.0,
        }
    }
}

/// One line as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The object id as decimal text; empty for a damaged line.
    pub key: Vec<u8>,
    /// The line, without its end.
    pub value: Vec<u8>,
}

/// How long a sensor keeps seeing an object that is not its own.
const SHIFT_S: u32 = 60;

/// One in so many sensors sees a given object in a given shift, beside its home sensor.
const VISITOR_ONE_IN: u64 = 6;

/// What a noise-free measurement gives as its deviation, which must be above 0.
const SIGMA_MIN_KM: f64 = 0.001;

/// Lines in order of arrival; also keeps the ledger.
pub struct Observations {
    options: SensorOptions,
    objects: Vec<Propagator>,
    dropped: Vec<Error>,
    random: Random,
    ledger: Ledger,
    /// The next period whose measurements are to be made.
    period: u32,
    /// Lines under way: moment of arrival, then the order in which they were made.
    under_way: BinaryHeap<Reverse<Arrival>>,
    made: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    time_ns: i64,
    number: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// The observation, version 1, in the order in which its fields are written.
#[derive(Serialize)]
struct Measurement<'a> {
    schema_version: u32,
    observation_id: &'a str,
    sensor_id: &'a str,
    sensor_kind: &'a str,
    object_id: u32,
    observed_at: &'a str,
    frame: &'a str,
    position_km: [f64; 3],
    velocity_km_s: [f64; 3],
    position_sigma_km: f64,
}

/// Makes the observations of these objects, whose ids must differ. An object that SGP4 refuses, at
/// once or at any time, is dropped from then on; see `Observations::dropped`.
pub fn make_observations(
    elements: &[Elements],
    options: &SensorOptions,
) -> Result<Observations, Error> {
    check(options)?;
    let highest = elements.iter().map(|elements| elements.object_id).max().unwrap_or(0);
    if highest.checked_add(options.object_id_offset).is_none() {
        let (name, what) = ("object_id_offset", "so small that every id has 32 bits");
        return Err(Error::Option { name, what });
    }
    let (mut objects, mut dropped) = (Vec::with_capacity(elements.len()), Vec::new());
    for elements in elements {
        match Propagator::new(elements) {
            Ok(object) => objects.push(object),
            Err(error) => dropped.push(error),
        }
    }
    Ok(Observations {
        options: options.clone(),
        objects,
        dropped,
        random: Random::new(options.seed),
        ledger: Ledger::default(),
        period: 0,
        under_way: BinaryHeap::new(),
        made: 0,
    })
}

fn check(options: &SensorOptions) -> Result<(), Error> {
    let wrong = |name, what| Err(Error::Option { name, what });
    let share = |value: f64| (0.0..=1.0).contains(&value);
    if options.period_s == 0 {
        return wrong("period_s", "at least 1");
    }
    if options.sensors == 0 {
        return wrong("sensors", "at least 1");
    }
    if !(options.noise_sigma_km >= 0.0 && options.noise_sigma_km.is_finite()) {
        return wrong("noise_sigma_km", "0 or more");
    }
    if !(options.sigma_ratio >= 1.0 && options.sigma_ratio.is_finite()) {
        return wrong("sigma_ratio", "at least 1");
    }
    if !share(options.duplicate_share) {
        return wrong("duplicate_share", "between 0 and 1");
    }
    if !share(options.corrupt_share) {
        return wrong("corrupt_share", "between 0 and 1");
    }
    if !share(options.late_share) {
        return wrong("late_share", "between 0 and 1");
    }
    let length_ns =
        (i64::from(options.duration_s) + 3 * i64::from(options.disorder_s) + 60) * SECOND_NS;
    if options.start_ns.checked_add(length_ns).is_none() {
        return wrong("start_ns", "before the year 2262");
    }
    Ok(())
}

impl Observations {
    /// What went in so far; all of it once the iterator has ended.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Why objects were dropped, so far: SGP4 has no orbit, or no longer a position, for them.
    pub fn dropped(&self) -> &[Error] {
        &self.dropped
    }

    fn period_ns(&self) -> i64 {
        i64::from(self.options.period_s) * SECOND_NS
    }

    fn end_ns(&self) -> i64 {
        self.options.start_ns + i64::from(self.options.duration_s) * SECOND_NS
    }

    /// Before this, all lines that will ever arrive are under way.
    fn horizon_ns(&self) -> i64 {
        let start = self.options.start_ns + i64::from(self.period) * self.period_ns();
        if start >= self.end_ns() { i64::MAX } else { start }
    }

    /// All measurements of the next period.
    fn measure_period(&mut self) {
        let start = self.options.start_ns + i64::from(self.period) * self.period_ns();
        let mut objects = std::mem::take(&mut self.objects);
        objects.retain(|object| match self.measure_object(object, start) {
            Ok(()) => true,
            Err(error) => {
                self.ledger.unpropagated += 1;
                self.dropped.push(error);
                false
            }
        });
        self.objects = objects;
        self.period += 1;
    }

    fn measure_object(&mut self, object: &Propagator, start: i64) -> Result<(), Error> {
        let object_id = object.object_id();
        for sensor in 0..self.options.sensors {
            if !self.sees(sensor, object_id) {
                continue;
            }
            let time_ns = start + self.phase_ns(sensor, object_id);
            if time_ns < self.end_ns() {
                let state = object.at(time_ns)?;
                self.send(sensor, object_id + self.options.object_id_offset, time_ns, state);
            }
        }
        Ok(())
    }

    /// A number that belongs to the seed, a sensor, an object and a shift.
    fn draw(&self, sensor: u32, object_id: u32, shift: u32) -> u64 {
        let pair = u64::from(sensor) << 32 | u64::from(object_id);
        mix(mix(mix(self.options.seed) ^ pair) ^ u64::from(shift))
    }

    fn sees(&self, sensor: u32, object_id: u32) -> bool {
        let home = mix(mix(self.options.seed ^ 0x5e75) ^ u64::from(object_id));
        let shift = (u64::from(self.period) * u64::from(self.options.period_s)) as u32 / SHIFT_S;
        home % u64::from(self.options.sensors) == u64::from(sensor)
            || self.draw(sensor, object_id, shift + 1).is_multiple_of(VISITOR_ONE_IN)
    }

    /// When in the period a sensor measures an object. Clocks differ: some sensors give whole
    /// seconds, others milliseconds, microseconds or nanoseconds.
    fn phase_ns(&self, sensor: u32, object_id: u32) -> i64 {
        let unit = [1, 1_000, 1_000_000, SECOND_NS][sensor as usize % 4];
        let phase = self.draw(sensor, object_id, 0) % self.period_ns() as u64;
        phase as i64 / unit * unit
    }

    fn send(&mut self, sensor: u32, object_id: u32, time_ns: i64, state: State) {
        let line = self.line(sensor, object_id, time_ns, state);
        let disorder_ns = i64::from(self.options.disorder_s) * SECOND_NS;
        let bound = time_ns + disorder_ns;
        if self.random.chance(self.options.late_share) {
            // Far enough that the watermark has passed it: behind twice the disorder, the longest
            // silence of a sensor and a step. If the stream ends before, it is not late.
            let late_ns = time_ns + 2 * disorder_ns + 4 * self.period_ns() + 10 * SECOND_NS;
            if late_ns < self.end_ns() {
                self.ledger.late += 1;
                self.arrive(late_ns, object_id, line);
                return;
            }
        }
        let mut arrival = self.between(time_ns, bound);
        if self.random.chance(self.options.corrupt_share) {
            let damaged = damage(&line, &mut self.random, &mut self.ledger);
            self.under_way(arrival, Vec::new(), damaged);
            if self.random.chance(0.5) {
                self.ledger.lost += 1;
                return;
            }
            self.ledger.repaired += 1;
            arrival = self.between(arrival, bound);
        }
        self.ledger.good += 1;
        if self.random.chance(self.options.duplicate_share) {
            self.ledger.duplicates += 1;
            let again = self.between(arrival, bound);
            self.arrive(arrival, object_id, line.clone());
            self.arrive(again, object_id, line);
        } else {
            self.arrive(arrival, object_id, line);
        }
    }

    fn between(&mut self, from_ns: i64, to_ns: i64) -> i64 {
        from_ns + self.random.below((to_ns - from_ns) as u64 + 1) as i64
    }

    fn arrive(&mut self, time_ns: i64, object_id: u32, line: String) {
        self.under_way(time_ns, object_id.to_string().into_bytes(), line.into_bytes());
    }

    fn under_way(&mut self, time_ns: i64, key: Vec<u8>, value: Vec<u8>) {
        self.made += 1;
        self.under_way.push(Reverse(Arrival { time_ns, number: self.made, key, value }));
    }

    /// The line of a measurement. Numbers are written so that reading gives the same ones back.
    fn line(&mut self, sensor: u32, object_id: u32, time_ns: i64, exact: State) -> String {
        let ratio = f64::from(sensor) / f64::from(self.options.sensors.max(2) - 1);
        let ratio = 1.0 + (self.options.sigma_ratio - 1.0) * ratio;
        let sigma = self.options.noise_sigma_km * ratio;
        let mut blur = |value: f64, sigma: f64| {
            if sigma > 0.0 { value + sigma * self.random.normal() } else { value }
        };
        let position_km = exact.position.map(|part| blur(part, sigma));
        let velocity_km_s = exact.velocity.map(|part| blur(part, sigma / 1000.0));
        let measurement = Measurement {
            schema_version: 1,
            observation_id: &format!("s{sensor:02}-{object_id}-{time_ns}"),
            sensor_id: &format!("s{sensor:02}"),
            sensor_kind: ["radar", "optical", "isl"][sensor as usize % 3],
            object_id,
            observed_at: &time::format(time_ns),
            frame: "TEME",
            position_km,
            velocity_km_s,
            position_sigma_km: sigma.max(SIGMA_MIN_KM * ratio),
        };
        serde_json::to_string(&measurement).expect("plain values can always be written")
    }
}

impl Iterator for Observations {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            let horizon = self.horizon_ns();
            let ready = self.under_way.peek().is_some_and(|first| first.0.time_ns < horizon);
            if ready || horizon == i64::MAX {
                let Reverse(first) = self.under_way.pop()?;
                self.ledger.lines += 1;
                return Some(Line { key: first.key, value: first.value });
            }
            self.measure_period();
        }
    }
}

#[cfg(test)]
mod tests;
