//! `pawl dlq`: looks at dead letters (format 1, `pawl_core::dead_letter`), and sends them back. It
//! removes nothing; a payload is shown byte for byte or not at all.

mod choice;
mod letter;
mod ls;
pub mod replay;
mod review;
mod show;
mod stats;

use crate::data;
use crate::file::FileOption;
use crate::out::note;
use crate::rows::{Cursor, Row, rows};
use anyhow::Result;
use clap::{Args, Subcommand};
use letter::Letter;
use pawl_pipeline::Pipeline;
use pawl_transport::Embedded;
use std::ops::ControlFlow;

/// Dead letters: records that could not be processed. See why, count them, send them back
#[derive(Debug, Subcommand)]
pub enum Command {
    Ls(LsArguments),
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
}

/// Runs the command.
pub fn dlq(command: &Command) -> Result<()> {
    match command {
        Command::Ls(arguments) => ls::ls(&arguments.file.load()?, arguments.json),
        Command::Show(arguments) => {
            show::show(&arguments.file.load()?, &arguments.which, arguments.payload)
        }
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

/// Hands out dead letters in order, from the cursor on, until `each` breaks.
fn each_letter<B>(
    cursor: &mut Cursor<'_>,
    mut each: impl FnMut(Letter<'_>) -> Result<ControlFlow<B>>,
) -> Result<Option<B>> {
    loop {
        let (from, batches) = cursor.read()?;
        if batches.is_empty() {
            return Ok(None);
        }
        for (offset, row) in batches.iter().flat_map(|batch| rows(batch, from)) {
            let Row::Data(records, row) = row else { continue };
            let letter = Letter { partition: cursor.partition(), offset, records, row };
            if let ControlFlow::Break(value) = each(letter)? {
                return Ok(Some(value));
            }
        }
    }
}
