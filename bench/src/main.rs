//! What Pawl costs, in figures: `just bench` all of them, `just bench NAME` a part, `--json` for
//! machines. Everything that is compared runs in turns in one process, by processor time; see
//! `bench/README.md` for what the figures mean and what they were.

mod allocations;
mod border;
mod conjunctions;
mod dlq;
mod folder;
mod host;
mod input;
mod ladder;
mod measure;
mod memory;
mod native;
mod operators;
mod pass;
mod process;
mod report;
mod rig;
mod scratch;
mod service;
mod sqlite;
mod start;
mod state;
mod work;

use anyhow::{Context, Result};
use clap::Parser;
use report::Report;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// A part: its name and what takes its figures.
type Part = (&'static str, fn(&mut Report) -> Result<()>);

/// All parts, in the order in which they run.
const PARTS: [Part; 10] = [
    ("ladder", ladder::run),
    ("pass", pass::run),
    ("operators", operators::run),
    ("pipeline", conjunctions::run),
    ("state", state::run),
    ("start", start::run),
    ("memory", memory::run),
    ("dlq", dlq::run),
    ("border", border::run),
    ("host", host::run),
];

/// Measures what Pawl costs
#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object for each figure
    #[arg(long)]
    json: bool,
    /// Which parts; all, if none is named
    #[arg(value_name = "PART", value_parser = names())]
    parts: Vec<String>,
}

fn names() -> Vec<&'static str> {
    PARTS.iter().map(|(name, _)| *name).collect()
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pawl-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = Arguments::parse();
    let mut report = Report::new(arguments.json);
    for (name, part) in PARTS {
        if arguments.parts.is_empty() || arguments.parts.iter().any(|wanted| wanted == name) {
            part(&mut report).with_context(|| format!("part {name}"))?;
        }
    }
    report.end();
    Ok(())
}
