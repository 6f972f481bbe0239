//! How long a start takes: from the start of the process to the first record that is committed
//! behind the operator, its component compiled before.

use crate::folder::{Folder, end_of_out};
use crate::input::Source;
use crate::measure::Spread;
use crate::report::{Goal, Line, Report};
use crate::scratch::Scratch;
use anyhow::Result;

/// Starts.
const ROUNDS: usize = 15;

/// Milliseconds.
const GOAL: Goal = Goal::AtMost(200.0);

/// Takes the figures.
pub fn run(report: &mut Report) -> Result<()> {
    report.part("start", "from the start of the process to the first record committed, wall clock");
    let scratch = Scratch::new("start")?;
    for partitions in [1, 4, 16] {
        let operator = "plugin = \"identity\"\nedge = { id = \"position\" }";
        let folder =
            Folder::new(scratch.folder(&partitions.to_string())?, partitions, operator, "")?;
        let log = folder.log()?;
        let mut source = Source::default();
        folder.run(&["--until-idle"])?.end()?;
        let mut starts = Vec::new();
        for round in 0..=ROUNDS {
            let end = end_of_out(&log)?;
            folder.give(&log, source.observations())?;
            let mut process = folder.run(&[])?;
            process.until(|_| Ok((end_of_out(&log)? > end).then_some(())))?;
            if round > 0 {
                starts.push(process.started.elapsed().as_secs_f64() * 1e3);
            }
            process.terminate()?;
            process.end()?;
        }
        let what = format!("tasks: {partitions}");
        report.line("start", &Line::new(what, Spread::of(starts), "ms").goal(GOAL));
    }
    Ok(())
}
