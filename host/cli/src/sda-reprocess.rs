//! The command `sda-reprocess`: `pawl dlq replay` by a name of its own, with its options at the
//! top. The same code, the same exit codes; nothing is decided here.

#![allow(dead_code, unused_imports, reason = "the modules are those of `pawl`; this uses a part")]

mod data;
mod explain;
mod failure;
mod file;
mod log;
mod out;
mod progress;
mod table;
mod terminal;

mod dlq {
    //! What of `pawl dlq` is used here.
    pub mod choice;
    pub mod replay;
}

use clap::Parser;
use std::process::ExitCode;

/// Send dead letters back to the operators that refused them, each once, whatever is killed
#[derive(Debug, Parser)]
#[command(name = "sda-reprocess", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    replay: dlq::replay::Arguments,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match log::start(None).and_then(|()| dlq::replay::replay(&arguments.replay)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::end(&error),
    }
}
