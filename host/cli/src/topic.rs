//! `pawl topic`: looks at topics, makes them, and lets old rows of them go. Never lets go of a row
//! from which a kept checkpoint would have to be replayed.

mod create;
mod describe;
mod facts;
mod floor;
mod ls;
mod trim;

use crate::file::FileOption;
use anyhow::Result;
use clap::{Args, Subcommand};

/// Look at topics, make them, and let old rows of them go
#[derive(Debug, Subcommand)]
pub enum Command {
    Ls(LsArguments),
    Create(CreateArguments),
    Describe(DescribeArguments),
    Trim(TrimArguments),
}

/// List all topics: how much they hold, and how far their readers are behind
#[derive(Debug, Args)]
pub struct LsArguments {
    #[command(flatten)]
    file: FileOption,
    /// One JSON object per topic
    #[arg(long)]
    json: bool,
}

/// Make the topics of the pipeline file without running it, or one that is not in the file
///
/// `pawl run` and `pawl produce` make the topics of the file, too. What is there already stays as
/// it is; a topic may get more partitions and never fewer.
#[derive(Debug, Args)]
pub struct CreateArguments {
    #[command(flatten)]
    file: FileOption,
    /// A topic that is not in the file [default: those of the file]
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,
    /// Its partitions
    #[arg(
        long, value_name = "N", default_value_t = 1, requires = "topic",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(pawl_pipeline::PARTITIONS_MAX))
    )]
    partitions: u32,
    /// One JSON object per topic that was made or grew
    #[arg(long)]
    json: bool,
}

/// Show a topic: its partitions, who writes and who reads it, and how far each reader is
#[derive(Debug, Args)]
pub struct DescribeArguments {
    #[command(flatten)]
    file: FileOption,
    /// The topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Let rows of a topic go, oldest first; refused for rows that a reader may need again
///
/// A reader needs all rows from the oldest of its checkpoints on, local and remote ones, and all
/// rows while it has fewer checkpoints than are kept of it. Whole batches go, so that a few more
/// rows may stay. A topic's `retention_ms` does not bind this command. Places of sources, and what
/// the host notes about dead letters, never go; dead letters only as `--sent-back` or
/// `--dead-letters` say.
#[derive(Debug, Args)]
pub struct TrimArguments {
    #[command(flatten)]
    file: FileOption,
    /// The topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// Only this partition
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
    /// Rows below this offset; goes with `--partition` where the topic has more than one
    #[arg(
        long, value_name = "OFFSET", required_unless_present_any = ["unneeded", "sent_back"]
    )]
    below: Option<u64>,
    /// All rows that no reader needs
    #[arg(long, conflicts_with = "below")]
    unneeded: bool,
    /// Of the dead letters: the oldest, as long as each was sent back and taken in
    #[arg(long, conflicts_with_all = ["below", "unneeded", "dead_letters"])]
    sent_back: bool,
    /// Dead letters are meant, also those that were never sent back: they are lost
    #[arg(long)]
    dead_letters: bool,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// One JSON object per partition
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn topic(command: &Command) -> Result<()> {
    match command {
        Command::Ls(arguments) => ls::ls(&arguments.file.load()?, arguments.json),
        Command::Create(arguments) => create::create(
            &arguments.file.load()?,
            arguments.topic.as_deref(),
            arguments.partitions,
            arguments.json,
        ),
        Command::Describe(arguments) => {
            describe::describe(&arguments.file.load()?, &arguments.topic, arguments.json)
        }
        Command::Trim(arguments) => trim::trim(&arguments.file.load()?, arguments),
    }
}
