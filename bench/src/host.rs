//! The host's own work beside the guest: ids, dedup against a million ids, event time, watermark,
//! routing, hashes and what is put aside for the commit. The operator is a plain copy.

use crate::allocations;
use crate::border::batch;
use crate::input::{ROWS, Source};
use crate::measure::{Candidate, Spread, Timer, interleave};
use crate::report::{Goal, Line, Report};
use crate::rig::BATCHES_OF_COMMIT;
use crate::work::IDENTITY;
use anyhow::{Result, anyhow};
use pawl_core::operator::{Batch, Emissions, Failure, Operator, Outcome, Wiring};
use pawl_core::record::LogBatch;
use pawl_core::spec::DedupRules;
use pawl_core::state::State;
use pawl_core::task::{Recovery, Task};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// Ids in the dedup window.
const IDS: usize = 1_000_000;

/// How much time the part may take.
const TIME: Duration = Duration::from_secs(5);

/// Nanoseconds per record.
const GOAL: Goal = Goal::AtMost(250.0);

/// Bytes for each id.
const BYTES_GOAL: Goal = Goal::AtMost(64.0);

struct Copy;

impl Operator for Copy {
    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        let emissions = Emissions {
            keys: batch.keys.clone(),
            values: batch.values.clone(),
            event_times: batch.event_times.clone(),
            causes: (0..batch.len() as u32).collect(),
            ..Emissions::default()
        };
        Ok(Outcome { emissions, taken: batch.len() as u32, ..Outcome::default() })
    }

    fn advance(&mut self, _: i64) -> Result<Outcome, Failure> {
        Ok(Outcome::default())
    }
}

/// Takes the figures.
pub fn run(report: &mut Report) -> Result<()> {
    report.part("host", "processor time per record of 200 bytes beside the guest");
    let (mut task, mut source) = task()?;
    let before = allocations::live_bytes();
    while (source.made() as usize) < IDS + IDS / 2 {
        steps(&mut task, &[source.plain()])?;
    }
    let bytes = (allocations::live_bytes() - before) as f64 / IDS as f64;
    let made = RefCell::new(Vec::new());
    let mut candidates = vec![
        Candidate::new("a native copy", || {
            let batch = batch(ROWS);
            let timer = Timer::start();
            for _ in 0..BATCHES_OF_COMMIT {
                drop(black_box(Copy.process(&batch)));
            }
            Ok(timer.stop(BATCHES_OF_COMMIT * ROWS))
        }),
        Candidate::new("host and copy, a million ids in the window", || {
            // Made just before, as rows are that were just read.
            let input: Vec<LogBatch> = (0..BATCHES_OF_COMMIT).map(|_| source.plain()).collect();
            let (timer, count) = (Timer::start(), allocations::count());
            steps(&mut task, &input)?;
            let records = BATCHES_OF_COMMIT * ROWS;
            let spent = timer.stop(records);
            made.borrow_mut().push((allocations::count() - count) as f64 / records as f64);
            Ok(spent)
        }),
    ];
    let rounds = interleave(&mut candidates, TIME)?;
    for (candidate, rounds) in candidates.iter().zip(&rounds) {
        report.line("host", &Line::new(&candidate.name, Spread::cpu(rounds), "ns"));
    }
    drop(candidates);
    let own = rounds[1].iter().zip(&rounds[0]).map(|(both, copy)| both.cpu_ns - copy.cpu_ns);
    let own = Line::new("the host's own work", Spread::of(own), "ns").goal(GOAL);
    report.line("host", &own);
    let made = Spread::of(made.into_inner());
    report.line("host", &Line::new("allocations of host and copy per record", made, ""));
    let bytes = Line::new("memory for each id in the window", Spread::exactly(bytes), "bytes");
    report.line("host", &bytes.goal(BYTES_GOAL));
    Ok(())
}

fn task() -> Result<(Task, Source)> {
    let wiring = Wiring { outputs: vec!["out".to_owned()], ..Wiring::default() };
    let mut spec = IDENTITY.spec(wiring);
    for operator in &mut spec.operators {
        operator.edge.dedup = Some(DedupRules { horizon: i64::MAX / 4, ids_max: IDS as u64 });
    }
    let spec = Arc::new(spec);
    let state = State::new(&spec);
    let task = Task::new(spec, state, Recovery::default()).map_err(|law| anyhow!("{law:?}"))?;
    Ok((task, Source::default()))
}

fn steps(task: &mut Task, batches: &[LogBatch]) -> Result<()> {
    for batch in batches {
        while task.position() < batch.end() {
            task.step(Some(batch), ROWS, None, &mut [Copy], 0)
                .map_err(|stop| anyhow!("the benchmark's own records are refused: {stop}"))?;
        }
    }
    task.seal(None);
    drop(task.take_sealed());
    Ok(())
}
