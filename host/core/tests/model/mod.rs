//! Model tests: random histories against the core, killed at random, and compared with a calm run
//! of the same seed. Two stages joined by a topic; the rules are those of ARCHITECTURE.md.
//!
//! They stand in the core's own test binary because the bugs that they plant exist only there.
//! `PAWL_MODEL_SEEDS=n` runs so many seeds, `PAWL_MODEL_SEED=k` replays one and tells it.

mod back;
mod check;
mod driver;
mod guest;
mod input;
mod log;
mod plant;
mod random;
mod sink;
mod world;

use driver::Broken;
use plant::Plant;
use std::time::Instant;
use world::World;

/// Seeds of a default run.
const SEEDS: u64 = 3000;
/// Seeds in which a planted bug must be noticed.
const SEEDS_PER_BUG: u64 = 20_000;

/// Runs a seed, calmly and with accidents. Gives the number of steps.
fn one(seed: u64, plant: Option<Plant>, verbose: bool) -> Result<u64, Broken> {
    let reading = plant.filter(|plant| plant.is_reading());
    let mut wild = World::new(seed, false, plant, verbose);
    if verbose {
        let rows = wild.rows.iter().flatten();
        rows.for_each(|row| println!("  {row:?}"));
    }
    let mut calm = World::new(seed, true, reading, false);
    calm.run()?;
    let oracle = calm.check()?;
    wild.run()?;
    let outcome = wild.check()?;
    wild.compare(&outcome, &oracle)?;
    Ok(calm.around.steps + wild.around.steps)
}

#[test]
fn a_sink_loses_nothing_and_repeats_only_what_it_may() {
    if let Some(seed) = number("PAWL_MODEL_SEED") {
        sink::one(seed, None, true).unwrap();
        return;
    }
    for seed in 0..number("PAWL_MODEL_SEEDS").unwrap_or(SEEDS) {
        if let Err(what) = sink::one(seed, None, false) {
            panic!(
                "seed {seed}: {what}\nreplay: PAWL_MODEL_SEED={seed} cargo test --release \
                 -p pawl-core model::a_sink -- --nocapture"
            );
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_histories_keep_every_law() {
    if let Some(seed) = number("PAWL_MODEL_SEED") {
        one(seed, None, true).unwrap();
        return;
    }
    let seeds = number("PAWL_MODEL_SEEDS").unwrap_or(SEEDS);
    let (start, mut steps) = (Instant::now(), 0);
    for seed in 0..seeds {
        match one(seed, None, false) {
            Ok(more) => steps += more,
            Err(what) => panic!(
                "seed {seed}: {what}\nreplay: PAWL_MODEL_SEED={seed} cargo test --release \
                 -p pawl-core model::random -- --nocapture"
            ),
        }
    }
    let took = start.elapsed();
    let rate = steps as f64 / took.as_secs_f64();
    println!("{seeds} seeds, {steps} steps in {took:.2?}: {rate:.0} steps a second");
}

#[test]
fn every_planted_bug_is_caught() {
    let mut missed = Vec::new();
    for plant in Plant::all() {
        let caught = (0..SEEDS_PER_BUG).find_map(|seed| {
            let broken = match plant.is_about_sinks() {
                true => sink::one(seed, plant.in_core(), false).err(),
                false => one(seed, Some(plant), false).err(),
            };
            broken.map(|what| (seed, what))
        });
        match caught {
            Some((seed, what)) => {
                let what: String = what.chars().take(150).collect();
                println!("{plant:?}: seed {seed}: {what}");
            }
            None => missed.push(plant),
        }
    }
    assert!(missed.is_empty(), "not caught in {SEEDS_PER_BUG} seeds: {missed:?}");
}
