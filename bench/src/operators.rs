//! The operators of the reference pipeline one by one: native code and WebAssembly with limits, on
//! what the operator before has sent.

use crate::conjunctions::{batch, input, observations};
use crate::measure::{Candidate, Spread, Timer, interleave};
use crate::native::{self, Native};
use crate::report::{Line, Report};
use crate::work::plugins;
use anyhow::{Context, Result, anyhow};
use pawl_core::column::ByteColumn;
use pawl_core::operator::{self, Operator};
use pawl_sandbox::{Component, Engine, EngineOptions, Limits};
use pawl_sdk::Batch;
use std::hint::black_box;
use std::time::Duration;

/// Rows of a call.
const ROWS: usize = 670;

/// Observations of a round.
const OBSERVATIONS: usize = 60_000;

/// How much time each operator may take.
const TIME: Duration = Duration::from_secs(5);

/// Folders of plugins that were built otherwise, to be compared in the same rounds.
const OTHERS: &str = "PAWL_BENCH_OTHERS";

/// Takes the figures.
pub fn run(report: &mut Report) -> Result<()> {
    report
        .part("operators", "processor time per record of each operator of the reference pipeline");
    let lines = observations(10)?;
    let mut batches: Vec<Batch> = lines.chunks(ROWS).take(OBSERVATIONS / ROWS).map(batch).collect();
    for (name, new) in [
        ("sda_normalize", native::new::<sda_normalize::Normalize> as fn() -> Box<dyn Native>),
        ("sda_cell", native::new::<sda_cell::Cells>),
        ("sda_correlate", native::new::<sda_correlate::Correlate>),
    ] {
        compare(name, new, &batches, report)?;
        let mut operator = new();
        operator.configure("").map_err(|why| anyhow!(why))?;
        batches = batches.into_iter().map(|b| input(operator.process(b).emissions)).collect();
    }
    Ok(())
}

fn compare(
    name: &str,
    new: fn() -> Box<dyn Native>,
    batches: &[Batch],
    report: &mut Report,
) -> Result<()> {
    let records = batches.iter().map(Batch::len).sum();
    let end = batches.iter().flat_map(|batch| &batch.event_times).max().copied().unwrap_or(0);
    let mut candidates = vec![Candidate::new("native", move || {
        let mut operator = new();
        operator.configure("").map_err(|why| anyhow!(why))?;
        let input = batches.to_vec();
        let timer = Timer::start();
        for batch in input {
            black_box(operator.process(batch));
        }
        black_box(operator.advance(end + 100_000));
        Ok(timer.stop(records))
    })];
    let others = std::env::var_os(OTHERS).unwrap_or_default();
    let others = std::env::split_paths(&others).filter(|folder| !folder.as_os_str().is_empty());
    let folders = std::iter::once(plugins()?).chain(others);
    let engine = Engine::new(&EngineOptions::default())?;
    for (number, folder) in folders.enumerate() {
        let path = folder.join(format!("{name}.wasm"));
        let bytes = std::fs::read(&path).with_context(|| format!("no {}", path.display()))?;
        let limits = Limits { memory_bytes_max: 1 << 30, ..Limits::default() };
        let component = Component::compile(&engine, &bytes, &limits)?;
        let input: Vec<operator::Batch> = batches.iter().map(core_batch).collect();
        let what = match number {
            0 => "WebAssembly with limits".to_owned(),
            _ => format!("the same, of folder {number} of {OTHERS}"),
        };
        candidates.push(Candidate::new(what, move || {
            let mut instance = component.instantiate("{}", &limits)?;
            let failed = |failure: operator::Failure| anyhow!("{}", failure.message());
            let timer = Timer::start();
            for batch in &input {
                black_box(instance.process(batch).map_err(failed)?);
            }
            black_box(instance.advance(end + 100_000).map_err(failed)?);
            Ok(timer.stop(records))
        }));
    }
    let rounds = interleave(&mut candidates, TIME)?;
    for (candidate, spent) in candidates.iter().zip(&rounds) {
        let what = format!("{name}: {}", candidate.name);
        let mut line = Line::new(what, Spread::cpu(spent), "ns");
        line.first = Some(Spread::ratio(spent, &rounds[0]));
        report.line("operators", &line);
    }
    Ok(())
}

fn core_batch(batch: &Batch) -> operator::Batch {
    let column = |column: &pawl_sdk::ByteColumn| ByteColumn {
        data: column.data.clone(),
        ends: column.ends.clone(),
        nulls: column.nulls.clone(),
    };
    operator::Batch {
        keys: column(&batch.keys),
        values: column(&batch.values),
        event_times: batch.event_times.clone(),
        headers: batch.headers.iter().map(column).collect(),
    }
}
