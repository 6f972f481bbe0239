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
mod explain;
mod failure;
mod file;
mod fmt;
mod lines;
mod manual;
mod log;
mod out;
mod produce;
mod progress;
mod record_json;
mod rows;
mod run;
mod table;
mod terminal;
mod topic;
mod trace;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Runs stream operators that are sandboxed WebAssembly components: kill it anywhere, nothing is
/// lost, nothing takes effect twice.
#[derive(Debug, Parser)]
#[command(name = "pawl", version, max_term_width = 100)]
struct Arguments {
    /// Colour: auto (on terminals, unless NO_COLOR is set or TERM is dumb), always or never
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    color: terminal::Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Check(check::Arguments),
    Fmt(fmt::Arguments),
    Schema(manual::SchemaArguments),
    Produce(produce::Arguments),
    Consume(consume::Arguments),
    Trace(trace::Arguments),
    Demo(demo::Arguments),
    Conformance(conformance::Arguments),
    #[command(subcommand)]
    Dlq(dlq::Command),
    #[command(subcommand)]
    Topic(topic::Command),
    #[command(subcommand)]
    Checkpoint(checkpoint::Command),
    Explain(explain::Arguments),
    Completions(manual::CompletionsArguments),
    Man(manual::ManArguments),
}

impl Command {
    /// How the command line says that logs are written.
    fn log_format(&self) -> Option<log::Format> {
        match self {
            Command::Run(arguments) => arguments.log_format,
            _ => None,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    terminal::choose(arguments.color);
    match log::start(arguments.command.log_format()).and_then(|()| dispatch(&arguments.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::end(&error),
    }
}

fn dispatch(command: &Command) -> Result<()> {
    match command {
        Command::Run(arguments) => run::run(arguments),
        Command::Check(arguments) => check::check(arguments),
        Command::Fmt(arguments) => fmt::fmt(arguments),
        Command::Schema(_) => manual::schema(),
        Command::Produce(arguments) => produce::produce(arguments),
        Command::Consume(arguments) => consume::consume(arguments),
        Command::Trace(arguments) => trace::trace(arguments),
        Command::Demo(arguments) => demo::demo(arguments),
        Command::Conformance(arguments) => conformance::conformance(arguments),
        Command::Dlq(command) => dlq::dlq(command),
        Command::Topic(command) => topic::topic(command),
        Command::Checkpoint(command) => checkpoint::checkpoint(command),
        Command::Explain(arguments) => explain::explain(arguments),
        Command::Completions(arguments) => {
            manual::completions(arguments, &mut Arguments::command())
        }
        Command::Man(arguments) => manual::man(arguments, Arguments::command()),
    }
}
