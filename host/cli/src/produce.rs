//! `pawl produce`: lines of stdin become records of a topic. Lines are made durable in order, so
//! that after any failure it is known with which line to go on.

mod group;

use crate::data;
use crate::failure::usage;
use crate::file::FileOption;
use crate::lines::{Lines, Next};
use crate::out::{Out, counted, json_line, note, shown};
use crate::progress::Progress;
use crate::record_json::Given;
use anyhow::{Context, Error, Result, anyhow};
use clap::Args;
use group::Group;
use pawl_core::record::{NO_TIME, PRIORITY_DEFAULT};
use pawl_pipeline::Pipeline;
use serde_json::json;

/// Append the lines of stdin to a topic as records, one per line, also while the pipeline runs
///
/// A line's bytes without the newline are the record's value; empty lines are left out. The key is
/// what the topic's `key` setting names. What the summary counts is durable.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: FileOption,
    /// The topic; made as the pipeline file declares it if it is not there yet
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// Lines are whole records as `pawl consume --json` prints them
    #[arg(long)]
    json: bool,
    /// What became durable as one JSON object on stdout (`--json` says how lines are read)
    #[arg(long)]
    summary_json: bool,
    /// An empty line is a record with an empty value
    #[arg(long, conflicts_with = "json")]
    keep_empty: bool,
    /// Bytes that a line may have
    #[arg(
        long, value_name = "BYTES", default_value_t = 64 << 20,
        value_parser = clap::value_parser!(u32).range(1..=512 << 20)
    )]
    record_bytes_max: u32,
}

/// Runs the command.
pub fn produce(arguments: &Arguments) -> Result<()> {
    let pipeline = arguments.file.load()?;
    check_topic(&pipeline, &arguments.topic)?;
    let transport = data::transport_to_write(&pipeline)?;
    let mut group = Group::new(&transport, &pipeline, &arguments.topic)?;
    let bytes_max = arguments.record_bytes_max as usize;
    let mut lines = Lines::new(std::io::stdin(), bytes_max).context("failed to read stdin")?;
    let progress = Progress::of_bytes(stdin_bytes());
    let mut producer = Producer { arguments, progress, line: 0, empty: 0 };
    let mut outcome = producer.take_all(&mut lines, &mut group);
    if !group.has_failed() {
        // What came before a bad line is kept, so that one can go on behind it.
        outcome = outcome.and(group.flush(producer.line));
    }
    outcome.map_err(|error| {
        let behind = if group.has_failed() { "those behind in part" } else { "none behind is" };
        let durable = group.durable_lines();
        anyhow!("{error:#}; the first {durable} lines are durable, {behind}")
    })?;
    let empty = producer.empty;
    drop(producer);
    if !arguments.summary_json {
        note(&summary(&group, &arguments.topic, empty));
        return Ok(());
    }
    let (topic, counts) = (&arguments.topic, group.counts());
    let records: u64 = counts.iter().sum();
    let mut out = Out::new();
    out.line(json_line(&json!({
        "topic": topic, "records": records, "partitions": counts, "empty_lines": empty,
    }))?)?;
    out.flush()
}

/// Refuses what the pipeline does not declare, and what only its tasks may write.
fn check_topic(pipeline: &Pipeline, topic: &str) -> Result<()> {
    if let Some(own) = pipeline.own_topic(topic) {
        let own = own.words();
        return Err(usage(format!("{topic} is a topic of the host ({own}): only tasks write it")));
    }
    if !pipeline.topics.contains_key(topic) {
        let known: Vec<&str> = pipeline.topics.keys().map(String::as_str).collect();
        return Err(data::unknown_topic(topic, &known));
    }
    if let Some(stage) = pipeline.writers(topic).first() {
        note(&format!("stage {} writes {topic}, too; records stand between its own", stage.name));
    }
    Ok(())
}

/// How many bytes stdin has, if it is a file.
fn stdin_bytes() -> Option<u64> {
    let stdin = std::fs::metadata("/dev/stdin").ok()?;
    stdin.is_file().then_some(stdin.len())
}

struct Producer<'a> {
    arguments: &'a Arguments,
    progress: Progress,
    /// Lines read.
    line: u64,
    /// Lines left out since they were empty.
    empty: u64,
}

impl Producer<'_> {
    fn take_all(&mut self, lines: &mut Lines, group: &mut Group<'_>) -> Result<()> {
        loop {
            match lines.next(group.due()) {
                Ok(Next::End) => return Ok(()),
                Ok(Next::Quiet) => group.flush(self.line)?,
                Ok(Next::Line(line)) => {
                    self.take(line, group)?;
                    self.line += 1;
                    self.progress.add(line.len() as u64 + 1);
                    if group.is_full() {
                        group.flush(self.line)?;
                    }
                }
                Ok(Next::TooLong) => return Err(self.too_long()),
                Err(error) => return Err(Error::new(error).context("failed to read stdin")),
            }
        }
    }

    fn take(&mut self, line: &[u8], group: &mut Group<'_>) -> Result<()> {
        if line.is_empty() && !self.arguments.keep_empty {
            self.empty += 1;
            return Ok(());
        }
        if self.arguments.json {
            let number = self.line + 1;
            let given = Given::parse(line)
                .map_err(|what| anyhow!("line {number} is not a record: {}", shown(&what)))?;
            group.add_given(&given, number);
            return Ok(());
        }
        group.add_value(line, self.line + 1);
        Ok(())
    }

    fn too_long(&self) -> Error {
        let (number, max) = (self.line + 1, self.arguments.record_bytes_max);
        anyhow!(
            "line {number} has more than {max} bytes, the most that a record may have \
             (--record-bytes-max)"
        )
    }
}

fn summary(group: &Group<'_>, topic: &str, empty: u64) -> String {
    let counts = group.counts();
    let all: u64 = counts.iter().sum();
    let each = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let each: Vec<String> =
        each.map(|(partition, n)| format!("{n} to {topic}/{partition}")).collect();
    let parts = if each.is_empty() { String::new() } else { format!(": {}", each.join(", ")) };
    let left_out = match empty {
        0 => String::new(),
        empty => format!("; left out {} (--keep-empty)", counted(empty, "empty line")),
    };
    format!("produced {} to {topic}{parts}{left_out}", counted(all, "record"))
}

/// A record that has nothing but a value.
fn plain(value: &[u8]) -> pawl_core::record::Record<'_> {
    pawl_core::record::Record {
        value: Some(value),
        event_time: NO_TIME,
        priority: PRIORITY_DEFAULT,
        ..Default::default()
    }
}
