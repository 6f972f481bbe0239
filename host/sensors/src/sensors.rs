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
    /// How many sensors there are.
    pub sensors: u32,
    /// Standard deviation of each coordinate of a position; velocities get a thousandth per
    /// second of it. 0: exact.
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

/// Makes the observations of these objects. Object ids must differ.
pub fn make_observations(
    elements: &[Elements],
    options: &SensorOptions,
) -> Result<Observations, Error> {
    check(options)?;
    let objects: Result<Vec<Propagator>, Error> = elements.iter().map(Propagator::new).collect();
    Ok(Observations {
        options: options.clone(),
        objects: objects?,
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
        for object in 0..self.objects.len() {
            let object_id = self.objects[object].object_id();
            for sensor in 0..self.options.sensors {
                if !self.sees(sensor, object_id) {
                    continue;
                }
                let time_ns = start + self.phase_ns(sensor, object_id);
                if time_ns >= self.end_ns() {
                    continue;
                }
                match self.objects[object].at(time_ns) {
                    Ok(state) => self.send(sensor, object_id, time_ns, state),
                    Err(_) => self.ledger.unpropagated += 1,
                }
            }
        }
        self.period += 1;
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

    /// The observation, version 1. Numbers are written so that reading gives the same ones back.
    fn line(&mut self, sensor: u32, object_id: u32, time_ns: i64, exact: State) -> String {
        let sigma = self.options.noise_sigma_km;
        let mut blur = |value: f64, sigma: f64| {
            if sigma > 0.0 { value + sigma * self.random.normal() } else { value }
        };
        let [x, y, z] = exact.position.map(|part| blur(part, sigma));
        let [u, v, w] = exact.velocity.map(|part| blur(part, sigma / 1000.0));
        let kind = ["radar", "optical", "isl"][sensor as usize % 3];
        let observed_at = time::format(time_ns);
        let reported = sigma.max(SIGMA_MIN_KM);
        // `{:?}` writes the shortest text that reads back as the same number.
        format!(
            "{{\"schema_version\":1,\"observation_id\":\"s{sensor:02}-{object_id}-{time_ns}\",\
             \"sensor_id\":\"s{sensor:02}\",\"sensor_kind\":\"{kind}\",\
             \"object_id\":{object_id},\"observed_at\":\"{observed_at}\",\"frame\":\"TEME\",\
             \"position_km\":[{x:?},{y:?},{z:?}],\"velocity_km_s\":[{u:?},{v:?},{w:?}],\
             \"position_sigma_km\":{reported:?}}}"
        )
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
