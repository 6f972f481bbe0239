//! What the reference pipeline's operators cost on the real catalogue, as sandboxed components with
//! the host's limits: microseconds per observation, operator by operator, on one core. No
//! transport, no commits: those are measured by `just bench`.
//!
//! `just plugins`, then `cargo run --release -p pawl-sensors --example speed [SECONDS [SENSORS
//! [DISORDER_S]]]`.

use pawl_core::operator::{Batch, Emissions, Operator};
use pawl_sandbox::{Component, Engine, EngineOptions, Instance, Limits, StatePart};
use pawl_sensors::{SensorOptions, catalog_2024, make_observations, time};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One operator and what it has cost.
struct Stage {
    name: &'static str,
    instance: Instance,
    rows: usize,
    spent: Duration,
    ticks: Duration,
    longest: Duration,
}

impl Stage {
    fn new(engine: &Engine, name: &'static str) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
            PathBuf::from,
        );
        let file = format!("wasm32-unknown-unknown/release/{}.wasm", name.replace('-', "_"));
        let wasm = std::fs::read(target.join(file)).expect("run `just plugins` first");
        let limits = Limits::default();
        let component = Component::compile(engine, &wasm, &limits).expect("it is an operator");
        let instance = component.instantiate("{}", &limits).expect("it takes the defaults");
        Self {
            name,
            instance,
            rows: 0,
            spent: Duration::ZERO,
            ticks: Duration::ZERO,
            longest: Duration::ZERO,
        }
    }

    fn process(&mut self, mut batch: Batch) -> Emissions {
        batch.headers.resize_with(self.instance.wiring().wants.len(), || batch.keys.clone());
        self.rows += batch.len();
        let began = Instant::now();
        let outcome = self.instance.process(&batch).expect("it does not fail");
        self.spent += began.elapsed();
        assert!(
            !outcome.more && outcome.taken as usize == batch.len() && outcome.rejections.is_empty()
        );
        outcome.emissions
    }

    /// What it emits, and the watermark for the next.
    fn advance(&mut self, watermark: i64) -> (Emissions, i64) {
        let began = Instant::now();
        let outcome = self.instance.advance(watermark).expect("it does not fail");
        let took = began.elapsed();
        self.spent += took;
        self.ticks += took;
        self.longest = self.longest.max(took);
        assert!(!outcome.more);
        (outcome.emissions, watermark - self.instance.wiring().delay as i64)
    }

    /// Says what a snapshot costs, and a restore from all of it.
    fn snapshot(&mut self, engine: &Engine) {
        let bytes = |parts: &[StatePart]| -> usize {
            parts.iter().flat_map(|part| &part.data).map(Vec::len).sum()
        };
        let began = Instant::now();
        let changed = self.instance.snapshot(false).expect("it does not fail");
        let took = began.elapsed();
        let all = self.instance.snapshot(true).expect("it does not fail");
        let mut fresh = Self::new(engine, self.name);
        let began = Instant::now();
        let version = fresh.instance.description().state_version;
        let parts: Vec<Vec<u8>> = all.iter().flat_map(|part| part.data.clone()).collect();
        fresh.instance.restore(version, &parts).expect("it wrote them itself");
        println!(
            "  snapshot: {:.1} of {:.1} MB in {took:?}, restored in {:?}, memory {} MB",
            bytes(&changed) as f64 / 1e6,
            bytes(&all) as f64 / 1e6,
            began.elapsed(),
            self.instance.memory_bytes() >> 20,
        );
    }
}

/// The four operators in a row, and the watermark.
struct Chain {
    engine: Engine,
    stages: [Stage; 4],
    newest: i64,
    watermark: i64,
    disorder_ms: i64,
    alerts: usize,
}

impl Chain {
    fn new(disorder_s: u32) -> Self {
        let engine = Engine::new(&EngineOptions::default()).expect("this machine runs WebAssembly");
        let names = ["sda-normalize", "sda-cell", "sda-correlate", "sda-encounter"];
        let stages = names.map(|name| Stage::new(&engine, name));
        let disorder_ms = i64::from(disorder_s) * 1000;
        Self { engine, stages, newest: i64::MIN, watermark: i64::MIN, disorder_ms, alerts: 0 }
    }

    fn process(&mut self, batch: Batch) {
        let [normalize, cell, correlate, _] = &mut self.stages;
        let observations = normalize.process(batch);
        self.newest = observations.event_times.iter().copied().fold(self.newest, i64::max);
        correlate.process(input(cell.process(input(observations))));
        self.tick((self.newest - self.disorder_ms).div_euclid(100) * 100);
    }

    fn tick(&mut self, watermark: i64) {
        if watermark > self.watermark {
            self.watermark = watermark;
            let [_, _, correlate, encounter] = &mut self.stages;
            let (candidates, watermark) = correlate.advance(watermark);
            encounter.process(input(candidates));
            self.alerts += encounter.advance(watermark).0.len();
        }
    }
}

fn main() {
    let argument = |at: usize, default| {
        std::env::args().nth(at).map_or(default, |n| n.parse().expect("arguments are numbers"))
    };
    let options = SensorOptions {
        start_ns: time::parse("2024-11-01T00:00:00Z").expect("it is a time"),
        duration_s: argument(1, 120),
        sensors: argument(2, 1),
        disorder_s: argument(3, 0),
        ..SensorOptions::default()
    };
    let mut chain = Chain::new(options.disorder_s);
    let mut made = Duration::ZERO;
    let mut lines = make_observations(&catalog_2024(), &options).expect("the options are possible");
    for call in 1.. {
        let (began, mut batch) = (Instant::now(), Batch::default());
        for line in lines.by_ref().take(670) {
            batch.keys.push(Some(b"observations/0/12345678"));
            batch.values.push(Some(&line.value));
            batch.event_times.push(0);
        }
        made += began.elapsed();
        if batch.is_empty() {
            break;
        }
        chain.process(batch);
        if call % 300 == 0 {
            chain.stages[2].snapshot(&chain.engine);
        }
    }
    chain.tick(chain.newest + 1_000_000);
    let observations = chain.stages[0].rows as f64;
    println!("{observations} observations made in {made:?}, {} alerts", chain.alerts);
    let mut all = 0.0;
    for stage in chain.stages {
        let each = |spent: Duration| spent.as_secs_f64() * 1e6 / observations;
        all += each(stage.spent);
        println!(
            "{:>14}: {:7.3} us per observation ({:.3} in ticks), {:.2} rows each, longest tick \
             {:?}, {} MB",
            stage.name,
            each(stage.spent),
            each(stage.ticks),
            stage.rows as f64 / observations,
            stage.longest,
            stage.instance.memory_bytes() >> 20,
        );
    }
    println!("           all: {all:7.3} us, {:.0} observations/s", 1e6 / all);
}

fn input(emissions: Emissions) -> Batch {
    Batch {
        keys: emissions.keys,
        values: emissions.values,
        event_times: emissions.event_times,
        headers: Vec::new(),
    }
}
