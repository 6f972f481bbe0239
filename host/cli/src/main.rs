//! The command `pawl`: reads the command line, does one thing, and ends with an exit code that
//! scripts can rely on: 0 done, 1 failed, 2 usage or configuration.
//!
//! Nothing of the stream is decided here, and no input whatever makes it panic: what goes wrong is
//! one or a few lines on stderr that begin with `pawl: `.

mod check;
mod checkpoint;
mod conformance;
mod consume;
mod data;
mod demo;
mod dlq;
mod failure;
mod file;
mod lines;
mod log;
mod out;
mod produce;
mod record_json;
mod rows;
mod run;
mod trace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Runs stream operators that are sandboxed WebAssembly components: kill it anywhere, nothing is
/// lost, nothing takes effect twice.
#[derive(Debug, Parser)]
#[command(name = "pawl", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Check(check::Arguments),
    Produce(produce::Arguments),
    Consume(consume::Arguments),
    Trace(trace::Arguments),
    Demo(demo::Arguments),
    Conformance(conformance::Arguments),
    #[command(subcommand)]
    Dlq(dlq::Command),
    #[command(subcommand)]
    Checkpoint(checkpoint::Command),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match log::start().and_then(|()| dispatch(&arguments.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::end(&error),
    }
}

fn dispatch(command: &Command) -> Result<()> {
    match command {
        Command::Run(arguments) => run::run(arguments),
        Command::Check(arguments) => check::check(arguments),
        Command::Produce(arguments) => produce::produce(arguments),
        Command::Consume(arguments) => consume::consume(arguments),
        Command::Trace(arguments) => trace::trace(arguments),
        Command::Demo(arguments) => demo::demo(arguments),
        Command::Conformance(arguments) => conformance::conformance(arguments),
        Command::Dlq(command) => dlq::dlq(command),
        Command::Checkpoint(command) => checkpoint::checkpoint(command),
    }
}
