//! The commands `pawl` and `sda-reprocess`: read the command line, do one thing, and end with an
//! exit code that scripts can rely on: 0 done, 1 failed, 2 usage or configuration.
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
    #[command(flatten)]
    look: terminal::Look,
    #[command(subcommand)]
    command: Command,
}

/// Send dead letters back to the operators that refused them, each once, whatever is killed
#[derive(Debug, Parser)]
#[command(name = "sda-reprocess", version, max_term_width = 100)]
struct ReprocessArguments {
    #[command(flatten)]
    look: terminal::Look,
    #[command(flatten)]
    replay: dlq::replay::Arguments,
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

/// The command `pawl`.
pub fn pawl() -> ExitCode {
    let arguments = Arguments::parse();
    let format = arguments.command.log_format();
    ended(&arguments.look, format, || dispatch(&arguments.command))
}

/// The command `sda-reprocess`: `pawl dlq replay` by a name of its own.
pub fn reprocess() -> ExitCode {
    let arguments = ReprocessArguments::parse();
    ended(&arguments.look, None, || dlq::replay::replay(&arguments.replay))
}

fn ended(
    look: &terminal::Look,
    format: Option<log::Format>,
    command: impl FnOnce() -> Result<()>,
) -> ExitCode {
    terminal::choose(look.color);
    match log::start(format).and_then(|()| command()) {
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
        Command::Completions(arguments) => manual::completions(arguments, programs()),
        Command::Man(arguments) => manual::man(arguments, programs()),
    }
}

/// What each program takes.
fn programs() -> [clap::Command; 2] {
    [Arguments::command(), ReprocessArguments::command()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands whose output is no result of theirs, or JSON already, or a text by its nature.
    const WITHOUT: [&str; 5] =
        ["pawl completions", "pawl demo", "pawl demo observations", "pawl man", "pawl schema"];

    fn without_json(command: &clap::Command, name: &str, found: &mut Vec<String>) {
        let has = |long: &str| command.get_arguments().any(|own| own.get_long() == Some(long));
        // `produce --json` says how lines are read.
        let result = if name == "pawl produce" { "summary-json" } else { "json" };
        let runs = command.get_subcommands().next().is_none() || name == "pawl demo";
        if runs && !has(result) {
            found.push(name.to_owned());
        }
        for inner in command.get_subcommands() {
            without_json(inner, &format!("{name} {}", inner.get_name()), found);
        }
    }

    #[test]
    fn every_command_with_a_result_gives_it_as_json_too() {
        let mut found = Vec::new();
        for program in programs() {
            without_json(&program, program.get_name(), &mut found);
        }
        found.retain(|name| !WITHOUT.contains(&name.as_str()));
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn the_command_lines_contradict_themselves_nowhere() {
        programs().into_iter().for_each(|program| program.debug_assert());
    }
}
