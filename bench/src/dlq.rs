//! Dead letters, a million of them: what `pawl dlq stats` takes to count them, and `pawl dlq
//! replay` to send them back unthrottled. The built program does it; these are its processes.

use crate::folder::Folder;
use crate::measure::Spread;
use crate::process::Process;
use crate::report::{Goal, Line, Report};
use crate::scratch::Scratch;
use anyhow::Result;
use pawl_core::dead_letter::{Cause, Refused, write};
use pawl_core::operator::Wiring;
use pawl_core::record::{LogBatch, Record, Records};
use pawl_transport::Transport;

/// How many there are.
const LETTERS: u64 = 1_000_000;

/// Rows of one batch.
const ROWS: u64 = 10_000;

/// How often they are counted.
const ROUNDS: usize = 5;

/// Seconds for the counts.
const STATS_GOAL: Goal = Goal::AtMost(5.0);

/// Letters a second sent back.
const REPLAY_GOAL: Goal = Goal::AtLeast(50_000.0);

/// Takes the figures.
pub fn run(report: &mut Report) -> Result<()> {
    report.part("dlq", "a million dead letters, by the wall clock");
    let scratch = Scratch::new("dlq")?;
    let operator = "plugin = \"identity\"\nedge = { id = \"position\" }";
    let more = "[dead_letters]\ntopic = \"dlq\"\nrecords_max = 10000000\nbytes_max = 10000000000";
    let folder = Folder::new(scratch.folder("run")?, 1, operator, more)?;
    fill(&folder)?;
    for (command, arguments) in [
        ("stats", &["dlq", "stats", "-p", "p.toml", "--json"][..]),
        ("replay", &["dlq", "replay", "-p", "p.toml", "--yes", "--beyond-horizon"][..]),
    ] {
        if Process::start(folder.path(), &["dlq", command, "--help"], None, "warn")?.end().is_err()
        {
            report.say(&format!("this build of pawl has no `pawl dlq {command}`"));
            continue;
        }
        let seconds = || -> Result<f64> {
            let used = Process::start(folder.path(), arguments, None, "warn")?.end()?;
            Ok(used.wall.as_secs_f64())
        };
        let line = match command {
            "stats" => {
                let seconds = (0..ROUNDS).map(|_| seconds()).collect::<Result<Vec<_>>>()?;
                Line::new("pawl dlq stats", Spread::of(seconds), "s").goal(STATS_GOAL)
            }
            // Each letter is sent once: there is no second round.
            _ => {
                let rate = Spread::exactly(LETTERS as f64 / seconds()?);
                Line::new("pawl dlq replay", rate, "per s").goal(REPLAY_GOAL)
            }
        };
        report.line("dlq", &line);
    }
    Ok(())
}

/// Letters as the host writes them, of five kinds.
fn fill(folder: &Folder) -> Result<()> {
    let log = folder.log()?;
    log.create_topic("dlq", 1)?;
    let mut spec = crate::work::IDENTITY.spec(Wiring::default());
    // As in the file: what no stage has cannot be sent back.
    spec.task.stage = "bench".to_owned();
    spec.operators.iter_mut().for_each(|operator| operator.name = "bench".to_owned());
    let mut number = 0;
    while number < LETTERS {
        let (mut refused, mut batch) = (Records::default(), LogBatch::default());
        for _ in 0..ROWS {
            let value =
                format!(r#"{{"observation_id":"{number:016x}","sensor_id":"S{}","#, number % 32);
            refused.push(Record { value: Some(value.as_bytes()), ..Record::default() });
            let (row, offset) = (refused.len() - 1, number);
            let refused = Refused {
                records: &refused,
                row,
                id: u128::from(number),
                event_time: number as i64,
                path: &[],
                operator: 0,
                root_id: u128::from(number),
                offset,
                root: None,
                sent_back: None,
            };
            let cause = Cause {
                class: "permanent",
                disposition: "rejected".to_owned(),
                kind: format!("kind-{}", number % 5),
                message: "EOF while parsing an object".to_owned(),
                retries: 0,
            };
            write(
                &mut batch.records,
                &refused,
                &cause,
                &spec,
                1,
                1_700_000_000_000 + number as i64,
            );
            number += 1;
        }
        log.produce("dlq", 0, batch, 1_700_000_000_000 + number as i64)?;
    }
    Ok(())
}
