//! From a topic through an operator that changes nothing into another topic, and read there: all of
//! it durable, compared with plain SQLite that stores the same batches once and reads them.

use crate::measure::{Candidate, Spread, interleave};
use crate::report::{Goal, Line, Report};
use crate::rig::{Level, Rig};
use crate::scratch::Scratch;
use crate::sqlite::{Shape, Sqlite};
use crate::work::PASS;
use anyhow::Result;
use pawl_sandbox::{Component, Engine, EngineOptions, Limits};
use std::time::Duration;

/// Batches of one round.
const BATCHES: usize = 50;

/// How much time the part may take.
const TIME: Duration = Duration::from_secs(15);

/// Records a second, in parts of what SQLite stores and reads, a row for each batch.
const GOAL: Goal = Goal::AtLeast(0.5);

/// Takes the figures.
pub fn run(report: &mut Report) -> Result<()> {
    report.part("pass", "produce -> pass-through -> consume, 200 bytes, batches of 1,024, synced");
    let scratch = Scratch::new("pass")?;
    let engine = Engine::new(&EngineOptions::default())?;
    let limits = Limits::default();
    let component = Component::compile(&engine, &PASS.component()?, &limits)?;
    let instance = component.instantiate("{}", &limits)?;
    let mut rig = Rig::new(&PASS, instance, Level::Transport, &scratch.folder("pawl")?, 0)?;
    let mut rows = Sqlite::new(&scratch.folder("rows")?, Shape::Records)?;
    let mut blobs = Sqlite::new(&scratch.folder("blobs")?, Shape::Batches)?;
    let mut candidates = vec![
        Candidate::new("SQLite, a row for each record", move || rows.round(BATCHES)),
        Candidate::new("SQLite, a row for each batch", move || blobs.round(BATCHES)),
        Candidate::new("Pawl", move || rig.pass(BATCHES)),
    ];
    let rounds = interleave(&mut candidates, TIME)?;
    for (candidate, rounds) in candidates.iter().zip(&rounds) {
        let name = &candidate.name;
        report.line("pass", &Line::new(format!("{name}: processor"), Spread::cpu(rounds), "ns"));
        let wall = Spread::of(rounds.iter().map(|spent| spent.wall_ns));
        report.line("pass", &Line::new(format!("{name}: wall clock"), wall, "ns"));
    }
    let speed = |other: usize| Spread::wall_ratio(&rounds[other], &rounds[2]);
    let rows = Line::new("Pawl's records a second / SQLite's, by record", speed(0), "times");
    report.line("pass", &rows);
    let blobs = Line::new("the same by batch", speed(1), "times");
    report.line("pass", &blobs.goal(GOAL));
    Ok(())
}
