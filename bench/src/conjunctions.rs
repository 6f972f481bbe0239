//! The reference pipeline from the first topic to the alert: the built program, with everything
//! that it promises, against the same plugins as native code in one thread, with nothing promised.

use crate::measure::{Candidate, Spent, Spread, Timer, interleave};
use crate::process::Process;
use crate::report::{Goal, Line, Report};
use crate::scratch::Scratch;
use crate::work::plugins;
use anyhow::{Context, Result, ensure};
use pawl_sdk::{Batch, Driver, Emissions, Operator};
use pawl_sensors::{SensorOptions, catalog_2024, make_observations, time};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Seconds of observations of the whole catalogue, one each four seconds.
const DURATION_S: u32 = 90;

/// Rows of a native call.
const ROWS: usize = 1024;

/// How much time the part may take.
const TIME: Duration = Duration::from_secs(40);

/// Processor time, in multiples of the native code's.
const GOAL: Goal = Goal::AtMost(2.5);

/// Takes the figures.
pub fn run(report: &mut Report) -> Result<()> {
    report.part("pipeline", "the whole catalogue through the four operators, per observation");
    let scratch = Scratch::new("pipeline")?;
    let lines = observations(DURATION_S)?;
    let input = scratch.path().join("lines");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&input)?);
    for line in &lines {
        file.write_all(line)?;
        file.write_all(b"\n")?;
    }
    file.into_inner().context("the lines could not be written")?.sync_all()?;
    let full = scratch.folder("full")?;
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines/conjunctions.toml");
    std::fs::copy(reference, full.join("p.toml"))?;
    let here = here()?;
    let produce = [&["produce", "-p", "p.toml", "observations"][..], &strs(&here)].concat();
    Process::start(&full, &produce, Some(&input), "warn")?.end()?;
    // Compiled before: else a quarter of the time goes into that.
    let warm = [&["run", "p.toml", "--until-idle"][..], &strs(&here)].concat();
    let seed = scratch.folder("seed")?;
    std::fs::copy(full.join("p.toml"), seed.join("p.toml"))?;
    Process::start(&seed, &warm, None, "warn")?.end()?;
    copy_all(&seed.join("data/compiled"), &full.join("data/compiled"))?;
    let (expected, count) = (native(&lines).1, lines.len());
    let mut candidates = vec![
        Candidate::new("native code in one thread", || {
            let (spent, alerts) = native(&lines);
            ensure!(alerts == expected, "{alerts} alerts instead of {expected}");
            Ok(spent)
        }),
        Candidate::new("pawl run, from start to end", || {
            let folder = scratch.folder("run")?;
            copy_all(&full, &folder)?;
            let run = [&["run", "p.toml", "--close-windows"][..], &strs(&here)].concat();
            let used = Process::start(&folder, &run, None, "warn")?.end()?;
            let said = std::fs::read_to_string(folder.join("stdout"))?;
            std::fs::remove_dir_all(&folder)?;
            let words = said.lines().filter_map(|line| line.strip_suffix(" to alerts"));
            let counts = words.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
            let alerts: usize = counts.sum();
            ensure!(alerts == expected, "{alerts} alerts instead of {expected}: {said}");
            let each = 1e9 / count as f64;
            Ok(Spent { cpu_ns: used.cpu_s * each, wall_ns: used.wall.as_secs_f64() * each })
        }),
    ];
    let rounds = interleave(&mut candidates, TIME)?;
    for (candidate, rounds) in candidates.iter().zip(&rounds) {
        report.line("pipeline", &Line::new(&candidate.name, Spread::cpu(rounds), "ns"));
    }
    let ratio = Line::new("pawl / native", Spread::ratio(&rounds[1], &rounds[0]), "times");
    report.line("pipeline", &ratio.goal(GOAL));
    report.say(&format!("{count} observations, {expected} alerts each time"));
    Ok(())
}

/// The pipeline lies in a folder of its own here, and its plugins do not lie beside it.
fn here() -> Result<[String; 4]> {
    let plugins = format!("plugins=[\"{}\"]", plugins()?.display());
    Ok(["--set".to_owned(), "data=\"data\"".to_owned(), "--set".to_owned(), plugins])
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// So many seconds of lines of the whole catalogue.
pub fn observations(duration_s: u32) -> Result<Vec<Vec<u8>>> {
    let options = SensorOptions {
        start_ns: time::parse("2024-10-31T23:59:30Z")?,
        duration_s,
        sensors: 1,
        ..SensorOptions::default()
    };
    Ok(make_observations(&catalog_2024(), &options)?.map(|line| line.value).collect())
}

/// All lines through the four operators, and how many alerts came out. Making the batches is not
/// measured: they would come from somewhere.
fn native(lines: &[Vec<u8>]) -> (Spent, usize) {
    let batches: Vec<Batch> = lines.chunks(ROWS).map(batch).collect();
    let timer = Timer::start();
    let mut chain = Chain::default();
    batches.into_iter().for_each(|batch| chain.process(batch));
    chain.tick(chain.newest + 1_000_000);
    (timer.stop(lines.len()), chain.alerts)
}

/// Lines as the first operator gets them.
pub fn batch(lines: &[Vec<u8>]) -> Batch {
    let mut batch = Batch::default();
    batch.headers.resize_with(1, Default::default);
    for line in lines {
        batch.keys.push(Some(b""));
        batch.values.push(Some(line));
        batch.event_times.push(0);
        batch.headers[0].push(Some(b"observations/0/1234567"));
    }
    batch
}

/// The four operators in a row, and the watermark of the reference pipeline.
struct Chain {
    normalize: Driver<sda_normalize::Normalize>,
    cell: Driver<sda_cell::Cells>,
    correlate: Driver<sda_correlate::Correlate>,
    encounter: Driver<sda_encounter::Encounter>,
    delay: i64,
    newest: i64,
    watermark: i64,
    alerts: usize,
}

impl Default for Chain {
    fn default() -> Self {
        let (correlate, wiring) = ready();
        let mut chain = Self {
            normalize: ready().0,
            cell: ready().0,
            correlate,
            encounter: ready().0,
            delay: 0,
            newest: i64::MIN,
            watermark: i64::MIN,
            alerts: 0,
        };
        chain.delay = wiring.delay as i64;
        chain
    }
}

impl Chain {
    fn process(&mut self, batch: Batch) {
        let seen = self.normalize.process(batch).emissions;
        self.newest = seen.event_times.iter().copied().fold(self.newest, i64::max);
        let copies = self.cell.process(input(seen)).emissions;
        self.correlate.process(input(copies));
        self.tick((self.newest - 60_000).div_euclid(100) * 100);
    }

    fn tick(&mut self, watermark: i64) {
        if watermark > self.watermark {
            self.watermark = watermark;
            let mut outcome = self.correlate.advance(watermark);
            loop {
                self.encounter.process(input(outcome.emissions));
                if !outcome.more {
                    break;
                }
                outcome = self.correlate.advance(watermark);
            }
            self.alerts += self.encounter.advance(watermark - self.delay).emissions.len();
        }
    }
}

fn ready<O: Operator>() -> (Driver<O>, pawl_sdk::Wiring) {
    let mut driver = Driver::new();
    let wiring = driver.configure("").expect("the operators take their defaults");
    (driver, wiring)
}

/// What an operator sends, as the next one gets it.
pub fn input(emissions: Emissions) -> Batch {
    Batch {
        keys: emissions.keys,
        values: emissions.values,
        event_times: emissions.event_times,
        headers: Vec::new(),
    }
}

/// Copies a folder and all that is in it.
pub fn copy_all(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy_all(&path, &copy)?,
            false => drop(std::fs::copy(&path, &copy)?),
        }
    }
    Ok(())
}
