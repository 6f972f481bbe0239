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
    for (plugin, partitions) in [("identity", 1), ("count-window", 4), ("changes", 16)] {
        let config = match plugin {
            "count-window" => "config = { window_ms = 1, min_sensors = 0 }\n",
            _ => "",
        };
        // Windows close when time passes: the records' own.
        let edge = match plugin {
            "count-window" => {
                "edge = { id = { field = \"/observation_id\" }, event_time = { field = \"/t_ms\" }, \
                 watermark = { disorder_ms = 500 } }"
            }
            _ => "edge = { id = \"position\" }",
        };
        let operator = format!("plugin = \"{plugin}\"\n{config}{edge}");
        let folder = Folder::new(scratch.folder(plugin)?, partitions, &operator, "")?;
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
        let what = format!("{plugin}, {partitions} partitions");
        report.line("start", &Line::new(what, Spread::of(starts), "ms").goal(GOAL));
    }
    Ok(())
}
