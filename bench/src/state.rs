//! What a large state costs: how long a task stands still for a checkpoint, and how long a start
//! takes that restores it. The operator keeps one value of 56 bytes for each key.

use crate::folder::{Folder, end_of_out};
use crate::input::scramble;
use crate::measure::Spread;
use crate::process::Process;
use crate::report::{Goal, Line, Report};
use crate::scratch::Scratch;
use anyhow::Result;
use pawl_core::record::{LogBatch, NO_TIME, Record};
use pawl_sdk::{Buckets, State};
use pawl_transport::Embedded;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Bytes of a value.
const VALUE_BYTES: usize = 56;

/// Bytes that a key and its value take in a snapshot, with their lengths.
const ENTRY_BYTES: usize = 8 + 1 + VALUE_BYTES + 1;

/// States to measure with, in megabytes.
const SIZES: [usize; 4] = [1, 10, 70, 100];

/// The size for which there are goals.
const GOAL_SIZE: usize = 70;

/// A pause, in multiples of what the call of the guest's snapshot takes, its copy out of the
/// sandbox included; all of it changed.
const FULL_GOAL: Goal = Goal::AtMost(1.2);

/// A pause in milliseconds with one bucket in a hundred changed.
const PART_GOAL: Goal = Goal::AtMost(20.0);

/// Checkpoints of each kind, and starts.
const ROUNDS: usize = 7;

/// Rows of one batch.
const ROWS: usize = 1024;

/// One bucket in a hundred of the SDK's 64, upwards.
const FEW_BUCKETS: usize = 1;

const OPERATOR: &str = "plugin = \"changes\"
    limits = { memory_bytes_max = 2147483648, time_per_call_ms = 60000 }
    edge = { id = \"position\" }";

/// A checkpoint at the first step after half a second, if they take no more than a tenth of all
/// time.
const OFTEN: &str = "[checkpoint]\ninterval_ms = 500";

/// How long to wait, in multiples of the last pause, until that is so.
const PAUSES: u32 = 15;

/// How long to wait for a checkpoint before there is another reason for one.
const AGAIN: Duration = Duration::from_secs(3);

/// Takes the figures.
pub fn run(report: &mut Report) -> Result<()> {
    report.part("state", "pauses and starts with a large state, by the wall clock");
    for megabytes in SIZES {
        one_size(megabytes, report)?;
    }
    Ok(())
}

fn one_size(megabytes: usize, report: &mut Report) -> Result<()> {
    let scratch = Scratch::new("state")?;
    let folder = Folder::new(scratch.folder("run")?, 1, OPERATOR, OFTEN)?;
    let log = folder.log()?;
    let keys: Vec<u64> = (0..(megabytes * 1_000_000 / ENTRY_BYTES) as u64).collect();
    for some in keys.chunks(ROWS) {
        folder.give(&log, batch(some, 0))?;
    }
    folder.run(&["--until-idle"])?.end()?;
    let (all, few) = (spread(&keys, usize::MAX), spread(&keys, FEW_BUCKETS));
    let mut process = folder.run_and_tell(&[])?;
    let (mut version, mut wait) = (1, Duration::from_millis(600));
    let mut pauses = [Vec::new(), Vec::new()];
    for _ in 0..=ROUNDS {
        for (keys, pauses) in [&few, &all].into_iter().zip(&mut pauses) {
            std::thread::sleep(wait);
            let before = pauses_of(&process).len();
            folder.give(&log, batch(keys, version))?;
            version += 1;
            let mut given = Instant::now();
            let pause = process.until(|process| {
                if given.elapsed() > AGAIN {
                    // None was due at that step: the process had just begun.
                    given = Instant::now();
                    folder.give(&log, batch(keys, version))?;
                    version += 1;
                }
                Ok(pauses_of(process).get(before).copied())
            })?;
            let least = Duration::from_micros(pause.pause_us as u64) * PAUSES;
            wait = least.max(Duration::from_millis(600));
            pauses.push(pause);
        }
    }
    let [part, full] = pauses;
    // The first of each follows a start.
    tell(megabytes, &part[1..], &full[1..], report);
    recover(megabytes, &folder, &log, process, report)
}

fn tell(megabytes: usize, part: &[Pause], full: &[Pause], report: &mut Report) {
    let milliseconds = |pauses: &[Pause]| Spread::of(pauses.iter().map(|p| p.pause_us / 1e3));
    let what = |text: &str| format!("{megabytes} MB: {text}");
    let goal = |goal: Goal| (megabytes == GOAL_SIZE).then_some(goal);
    let pause = Line::new(what("pause, all of it changed"), milliseconds(full), "ms");
    report.line("state", &pause);
    let ratio = Spread::of(full.iter().map(|pause| pause.pause_us / pause.guests_us));
    let mut ratio = Line::new(what("the same / the call of the guest's snapshot"), ratio, "times");
    ratio.goal = goal(FULL_GOAL);
    report.line("state", &ratio);
    let mut pause = Line::new(what("pause, 1 of 64 buckets changed"), milliseconds(part), "ms");
    pause.goal = goal(PART_GOAL);
    report.line("state", &pause);
}

/// Times from the start of a process whose predecessor was killed to the first record behind it.
fn recover(
    megabytes: usize,
    folder: &Folder,
    log: &Embedded,
    running: Process,
    report: &mut Report,
) -> Result<()> {
    let mut starts = Vec::new();
    running.kill()?;
    for round in 0..ROUNDS {
        let end = end_of_out(log)?;
        folder.give(log, batch(&[u64::MAX], round as u64))?;
        let mut process = folder.run(&[])?;
        process.until(|_| Ok((end_of_out(log)? > end).then_some(())))?;
        starts.push(process.started.elapsed().as_secs_f64() * 1e3);
        process.kill()?;
    }
    let what = format!("{megabytes} MB: killed; from start to the next record committed");
    report.line("state", &Line::new(what, Spread::of(starts), "ms"));
    Ok(())
}

/// `ROWS` of the keys, spread over so many of the operator's buckets.
fn spread(keys: &[u64], buckets: usize) -> Vec<u64> {
    let mut taken = BTreeSet::new();
    let in_one = |key: &&u64| {
        let mut one = Buckets::<Vec<u8>, u8>::new();
        one.insert(key_of(**key), 0);
        let slot = (0..one.slots()).find(|slot| one.changed(*slot)).unwrap_or(0);
        taken.contains(&slot) || (taken.len() < buckets && taken.insert(slot))
    };
    keys.iter().filter(in_one).take(ROWS).copied().collect()
}

fn key_of(key: u64) -> Vec<u8> {
    scramble(key).to_le_bytes().to_vec()
}

fn batch(keys: &[u64], version: u64) -> LogBatch {
    let mut batch = LogBatch::default();
    for key in keys {
        let mut value = [b'v'; VALUE_BYTES];
        value[..8].copy_from_slice(&version.to_le_bytes());
        let key = key_of(*key);
        batch.records.push(Record {
            key: Some(&key),
            value: Some(&value),
            event_time: NO_TIME,
            ..Record::default()
        });
    }
    batch
}

/// One checkpoint, as the service tells it: microseconds.
#[derive(Clone, Copy, Debug)]
struct Pause {
    pause_us: f64,
    guests_us: f64,
}

fn pauses_of(process: &Process) -> Vec<Pause> {
    let said = process.said();
    let taken = said.lines().filter(|line| line.contains("checkpoint taken"));
    let field = |line: &str, name: &str| -> Option<f64> {
        let (_, rest) = line.split_once(name)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    let pause = |line| {
        Some(Pause { pause_us: field(line, "pause_us=")?, guests_us: field(line, "guests_us=")? })
    };
    taken.filter_map(pause).collect()
}
