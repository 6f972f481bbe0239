//! How a command ends that did not do what it was asked: its message and its exit code. Never shows
//! Rust's own names of values, nor a backtrace.

use crate::explain;
use crate::out;
use anyhow::Error;
use std::fmt;
use std::process::ExitCode;

/// Failed: the command was understood, and something stood in its way.
const FAILED: u8 = 1;

/// The command or the pipeline file is not right: the same again cannot help.
const USAGE: u8 = 2;

/// Every task of a run was given up: a restart would go past what a person has to see.
const GIVEN_UP: u8 = 3;

/// What was asked for does not exist or cannot be.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Usage {}

/// The command did its work and said all there is to say; it ends with this exit code.
#[derive(Debug)]
pub struct Ended(pub u8);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended with exit code {}", self.0)
    }
}

impl std::error::Error for Ended {}

/// An error of usage.
pub fn usage(what: impl Into<String>) -> Error {
    Error::new(Usage(what.into()))
}

/// Says what went wrong and returns the exit code. A reader of stdout that went away (as in
/// `pawl consume ... | head`) is a quiet end.
pub fn end(error: &Error) -> ExitCode {
    if error.is::<out::Closed>() {
        return ExitCode::SUCCESS;
    }
    if let Some(Ended(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    let message = format!("{error:#}");
    out::complain(&format!("{message}{}", hint(&message)));
    ExitCode::from(code(error))
}

/// Where to read on about the codes in a message.
fn hint(message: &str) -> String {
    let codes = explain::codes_in(message);
    let commands: Vec<String> = codes.iter().map(|code| format!("pawl explain {code}")).collect();
    match commands.as_slice() {
        [] => String::new(),
        // A message of several lines gets another line.
        commands if message.contains('\n') => format!("\n({})", commands.join(", ")),
        commands => format!(" ({})", commands.join(", ")),
    }
}

fn code(error: &Error) -> u8 {
    if matches!(error.downcast_ref(), Some(pawl_service::Error::GivenUp(_))) {
        return GIVEN_UP;
    }
    let is_usage = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<Usage>()
            || cause.is::<pawl_pipeline::Mistakes>()
            || cause.downcast_ref().is_some_and(is_misconfigured)
            || match cause.downcast_ref() {
                Some(pawl_service::Error::Pipeline(_)) => true,
                Some(pawl_service::Error::Transport(error)) => is_misconfigured(error),
                _ => false,
            }
    };
    if error.chain().any(is_usage) { USAGE } else { FAILED }
}

fn is_misconfigured(error: &pawl_transport::Error) -> bool {
    use pawl_transport::Error::{PartitionsShrink, UnknownPartition, UnknownTopic};
    matches!(error, PartitionsShrink { .. } | UnknownPartition { .. } | UnknownTopic { .. })
}
