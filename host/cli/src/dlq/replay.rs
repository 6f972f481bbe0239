//! `pawl dlq replay` and `sda-reprocess`: sends dead letters back to the operators that refused
//! them. A dry run changes nothing. Exit codes beside 0, 1 and 2: 3 nothing matched, 4 some that
//! matched could not be sent.

mod report;

use super::choice::Choice;
use crate::data;
use crate::failure::{Ended, usage};
use crate::file::FileOption;
use crate::out::note;
use crate::progress::Progress;
use crate::terminal;
use anyhow::{Context, Result};
use clap::Args;
use pawl_pipeline::Pipeline;
use pawl_reprocess::{Options, Replayed, Selected, Trials, count};
use pawl_service::clock::{Clock, SystemClock};
use std::io::{BufRead, IsTerminal};

/// Exit code: no dead letter matched.
const NOTHING: u8 = 3;

/// Exit code: some that matched could not be sent.
const NOT_ALL: u8 = 4;

/// On a terminal, more than this many are sent only when a person says so.
const ASK_ABOVE: u64 = 1000;

/// Send dead letters back to the operators that refused them
///
/// Also while the pipeline runs. Each is sent once, whatever is killed: run the same again and it
/// goes on. Exit codes: 0 all that matched was sent, up to --max; 1 failed; 2 wrong usage;
/// 3 nothing matched; 4 some that matched could not be sent.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: FileOption,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How")]
struct How {
    /// Show what would be sent, and try it against the operators as they are now; change nothing
    #[arg(long)]
    dry_run: bool,
    /// In a dry run, try so many records at most, for a minute at most; 0: none
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    try_max: u64,
    /// Send so many at most, in order of partition and age
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    /// Records a second at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Also those that failed after `dead_letters.replays_max` times
    #[arg(long)]
    parked: bool,
    /// Another bound than the pipeline's `dead_letters.replays_max`
    #[arg(long, value_name = "N")]
    replays_max: Option<u32>,
    /// Also those that are older than their operator's dedup horizon
    #[arg(long)]
    beyond_horizon: bool,
    /// Go on with this run: what it sent counts towards --max
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// What was done as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn replay(arguments: &Arguments) -> Result<()> {
    let pipeline = arguments.file.load()?;
    let clock = SystemClock::default();
    let how = &arguments.how;
    if let Some(run) = &how.run
        && (run.len() != 32 || !run.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(usage("--run: should be the 32 hexadecimal digits that the run was told by"));
    }
    let options = Options {
        filter: arguments.choice.filter(clock.now_ms())?,
        replays_max: how.replays_max.unwrap_or(pipeline.dead_letters.replays_max),
        parked: how.parked,
        beyond_horizon: how.beyond_horizon,
        max: how.max,
        run: how.run.as_ref().map(|run| run.to_ascii_lowercase()),
        rate: how.rate,
    };
    match how.dry_run {
        true => dry_run(&pipeline, &options, how),
        false => send(&pipeline, &options, how, &clock),
    }
}

fn dry_run(pipeline: &Pipeline, options: &Options, how: &How) -> Result<()> {
    let Some(transport) = open_to_read(pipeline)? else { return nothing(options, how) };
    let bar = if how.json { Progress::none() } else { Progress::of_records(None) };
    let mut trials = match how.try_max {
        0 => None,
        max => Some(Trials::new(pipeline, max, || bar.add(1))?),
    };
    let planned = pawl_reprocess::plan(&transport, pipeline, options, trials.as_mut());
    let selected = planned.map_err(explained)?;
    bar.end();
    match how.json {
        true => report::planned_json(options, &selected, trials.as_ref())?,
        false => report::planned(options, &selected, trials.as_ref())?,
    }
    end(&selected)
}

/// The transport, if there is anything to look at.
fn open_to_read(pipeline: &Pipeline) -> Result<Option<pawl_transport::Embedded>> {
    Ok(data::topic_to_read(pipeline, &pipeline.dead_letters.topic)?.map(|(found, _)| found))
}

fn nothing(options: &Options, how: &How) -> Result<()> {
    let selected = Selected::default();
    match how.json {
        true => report::planned_json(options, &selected, None)?,
        false => report::planned(options, &selected, None)?,
    }
    end(&selected)
}

fn send(pipeline: &Pipeline, options: &Options, how: &How, clock: &SystemClock) -> Result<()> {
    // Looked at first: a wrong folder must not get a database of its own.
    let Some(transport) = open_to_read(pipeline)? else { return nothing(options, how) };
    let mut total = None;
    if terminal::stderr_is_watched() {
        let planned =
            pawl_reprocess::plan(&transport, pipeline, options, None).map_err(explained)?;
        if !how.yes && std::io::stdin().is_terminal() && planned.to_send > ASK_ABOVE {
            ask(options, &planned)?;
        }
        total = Some(planned.to_send);
    }
    drop(transport);
    let transport = data::transport_to_write(pipeline)?;
    let bar = if total.is_some() { Progress::of_records(total) } else { Progress::none() };
    let (mut told, mut shown) = (false, 0);
    let mut progress = |run: &str, sent: u64| {
        if !std::mem::replace(&mut told, true) {
            let max = if how.max.is_some() { &format!(" and --run {run}") } else { "" };
            note(&format!("run {run}; if it is cut short, the same command{max} goes on with it"));
        }
        bar.add(sent - std::mem::replace(&mut shown, sent));
    };
    let now = || clock.now_ms();
    let done = pawl_reprocess::replay(&transport, pipeline, options, &now, &mut progress);
    drop(bar);
    let Replayed { run, selected, sent } = done.map_err(explained)?;
    let run = run.as_deref();
    match how.json {
        true => report::sent_json(options, &selected, run, sent)?,
        false => report::sent(options, &selected, run, sent)?,
    }
    end(&selected)
}

/// A run that is not known is a wrong argument.
fn explained(error: pawl_reprocess::Error) -> anyhow::Error {
    match error {
        pawl_reprocess::Error::UnknownRun { .. } => usage(format!("--run: {error}")),
        other => other.into(),
    }
}

/// Asks a person whether so many are meant.
fn ask(options: &Options, planned: &Selected) -> Result<()> {
    note(&format!("{}: {} would be sent", options.filter.words(), count(planned.to_send)));
    eprint!("Send them? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("failed to read the answer")?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(usage("nothing was sent; --yes does not ask, --dry-run shows more")),
    }
}

/// The exit code that says what became of what matched.
fn end(selected: &Selected) -> Result<()> {
    match (selected.matched, selected.not_sent()) {
        (0, _) => Err(Ended(NOTHING).into()),
        (_, 0) => Ok(()),
        _ => Err(Ended(NOT_ALL).into()),
    }
}
