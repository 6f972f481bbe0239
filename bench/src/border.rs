//! The identity operator through the sandbox, by the size of the batch: what crossing the border
//! costs. The unit is copying a batch of 1,024 records once: two crossings cost at least two.

use crate::input::VALUE_BYTES;
use crate::measure::{Candidate, Spread, Timer, interleave};
use crate::report::{Goal, Line, Report};
use crate::work::IDENTITY;
use anyhow::{Result, anyhow};
use pawl_core::operator::{Batch, Operator};
use pawl_sandbox::{Component, Engine, EngineOptions, Limits};
use std::hint::black_box;
use std::time::Duration;

/// Records of one round, about.
const RECORDS: usize = 200_000;

/// How much time the part may take.
const TIME: Duration = Duration::from_secs(5);

/// Nanoseconds per record, in batches of 256.
const GOAL: Goal = Goal::AtMost(20.0);

/// Takes the figures.
pub fn run(report: &mut Report) -> Result<()> {
    report.part("border", "processor time per record of 200 bytes through the identity operator");
    let engine = Engine::new(&EngineOptions::default())?;
    let limits = Limits::default();
    let component = Component::compile(&engine, &IDENTITY.component()?, &limits)?;
    let mut candidates = vec![copy()];
    for records in [1, 16, 64, 256, 1024] {
        let mut instance = component.instantiate("{}", &limits)?;
        let batch = batch(records);
        // Small batches are dear, so a round has fewer records of them.
        let calls = RECORDS / (records + 63);
        candidates.push(Candidate::new(format!("batch of {records}"), move || {
            let timer = Timer::start();
            for _ in 0..calls {
                let outcome = instance.process(black_box(&batch));
                black_box(outcome.map_err(|failure| anyhow!("{}", failure.message()))?);
            }
            Ok(timer.stop(calls * records))
        }));
    }
    let rounds = interleave(&mut candidates, TIME)?;
    for (at, candidate) in candidates.iter().enumerate() {
        let mut line = Line::new(&candidate.name, Spread::cpu(&rounds[at]), "ns");
        line.first = Some(Spread::ratio(&rounds[at], &rounds[0]));
        line.goal = candidate.name.ends_with(" 256").then_some(GOAL);
        report.line("border", &line);
    }
    Ok(())
}

/// A batch of records with keys of 8 and values of `VALUE_BYTES` bytes.
pub fn batch(records: usize) -> Batch {
    let mut batch = Batch::default();
    let value = [b'x'; VALUE_BYTES];
    for record in 0..records {
        batch.keys.push(Some(format!("{record:08}").as_bytes()));
        batch.values.push(Some(&value));
        batch.event_times.push(record as i64);
    }
    batch
}

fn copy() -> Candidate<'static> {
    let (batch, mut into) = (batch(1024), Batch::default());
    Candidate::new("copying a batch of 1024 once", move || {
        let timer = Timer::start();
        for _ in 0..500 {
            into.keys.clear();
            into.values.clear();
            into.event_times.clear();
            into.keys.extend_rows(&batch.keys, 0, 1024);
            into.values.extend_rows(&batch.values, 0, 1024);
            into.event_times.extend_from_slice(&batch.event_times);
            black_box(&into);
        }
        Ok(timer.stop(500 * 1024))
    })
}
