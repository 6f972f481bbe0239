//! `pawl dlq`: looks at dead letters (format 1, `pawl_core::dead_letter`), and sends them back. It
//! removes nothing; a payload is shown byte for byte or not at all.

mod choice;
mod ls;
pub mod replay;
mod review;
mod show;
mod stats;

use crate::data;
use crate::file::FileOption;
use crate::out::{note, shown_bytes};
use anyhow::Result;
use clap::{Args, Subcommand};
use pawl_pipeline::Pipeline;
use pawl_reprocess::Letter;
use pawl_transport::Embedded;

/// Characters of a field in a listing.
const FIELD_CHARACTERS_MAX: usize = 200;

/// Dead letters: records that could not be processed. See why, count them, send them back
#[derive(Debug, Subcommand)]
pub enum Command {
    Ls(Box<LsArguments>),
    Show(ShowArguments),
    Stats(Box<stats::Arguments>),
    Review(review::Arguments),
    Replay(Box<replay::Arguments>),
}

/// List dead letters, one per line, and count them by kind
#[derive(Debug, Args)]
pub struct LsArguments {
    #[command(flatten)]
    file: FileOption,
    #[command(flatten)]
    choice: choice::Choice,
    /// All metadata, one JSON object per dead letter
    #[arg(long)]
    json: bool,
}

/// Show one dead letter: all its headers, and the payload byte for byte
#[derive(Debug, Args)]
pub struct ShowArguments {
    #[command(flatten)]
    file: FileOption,
    /// Its place PARTITION/OFFSET, or its pawl-id (or how that begins)
    #[arg(value_name = "WHICH")]
    which: String,
    /// Nothing but the payload, without a newline behind it
    #[arg(long)]
    payload: bool,
    /// The whole record as one JSON object, as `pawl consume --json` prints it
    #[arg(long, conflicts_with = "payload")]
    json: bool,
}

/// Runs the command.
pub fn dlq(command: &Command) -> Result<()> {
    match command {
        Command::Ls(arguments) => ls::ls(arguments),
        Command::Show(arguments) => show::show(arguments),
        Command::Stats(arguments) => stats::stats(arguments),
        Command::Review(arguments) => review::review(arguments),
        Command::Replay(arguments) => replay::replay(arguments),
    }
}

/// The topic of the dead letters and its number of partitions; none, and a word, if there is none.
fn topic(pipeline: &Pipeline) -> Result<Option<(Embedded, u32)>> {
    let found = data::topic_to_read(pipeline, &pipeline.dead_letters.topic)?;
    if found.is_none() {
        note("there are no dead letters");
    }
    Ok(found)
}

/// A header for a line of a listing; `-` if it is absent or empty.
fn field(letter: &Letter<'_>, name: &str) -> String {
    match letter.header(name) {
        None | Some(b"") => "-".to_owned(),
        Some(bytes) => shown_bytes(bytes, FIELD_CHARACTERS_MAX),
    }
}
