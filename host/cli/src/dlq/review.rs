//! `pawl dlq review`: what is new since somebody last looked and said so with `--done`.

use crate::data;
use crate::file::FileOption;
use crate::out::{Out, json_line, note, shown};
use anyhow::Result;
use clap::Args;
use pawl_core::identity::text_of_time;
use pawl_reprocess::review::{self, Kind, Review};
use pawl_reprocess::{count, text_of_second};
use pawl_service::clock::{Clock, SystemClock};
use serde_json::{Value, json};

/// Show what is new since the last review: new kinds first, then by growth
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: FileOption,
    /// Take note that all that is shown was looked at
    #[arg(long)]
    done: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn review(arguments: &Arguments) -> Result<()> {
    let pipeline = arguments.file.load()?;
    let now_ms = SystemClock::default().now_ms();
    let Some((transport, _)) = super::topic(&pipeline)? else { return Ok(()) };
    let found = review::review(&transport, &pipeline, now_ms)?;
    match arguments.json {
        true => print_json(&found)?,
        false => print(&found)?,
    }
    if arguments.done {
        drop(transport);
        let transport = data::transport_to_write(&pipeline)?;
        review::done(&transport, &pipeline, &found)?;
        note("taken note of: the next review begins here");
    }
    Ok(())
}

fn print(review: &Review) -> Result<()> {
    let mut out = Out::new();
    let new: u64 = review.kinds.iter().map(|kind| kind.new).sum();
    let since = match &review.last {
        Some(mark) => format!("since the review of {}", text_of_second(mark.time_ms)),
        None => "and no review before".to_owned(),
    };
    out.line(format!("{} new dead letters of {} kinds {since}", count(new), review.kinds.len()))?;
    for kind in &review.kinds {
        let first = text_of_second(kind.span.0);
        let (number, growth) = (count(kind.new), growth(kind));
        out.line(format!("{number:>10}  {growth:<9}  {}  from {first}", shown(&kind.name)))?;
        let (place, message) = &kind.example;
        out.line(format!("{:>10}  {:<9}  as {place}: {}", "", "", shown(message)))?;
    }
    out.flush()
}

fn growth(kind: &Kind) -> String {
    match kind.times {
        None => "NEW KIND".to_owned(),
        Some(times) if times >= 10.0 => format!("x {times:.0}"),
        Some(times) => format!("x {times:.1}"),
    }
}

fn print_json(review: &Review) -> Result<()> {
    let kinds: Vec<Value> = review
        .kinds
        .iter()
        .map(|kind| {
            json!({
                "kind": kind.name, "new": kind.new, "before": kind.before, "times": kind.times,
                "is_new_kind": kind.times.is_none(),
                "first": text_of_time(kind.span.0), "last": text_of_time(kind.span.1),
                "place": kind.example.0, "message": kind.example.1,
            })
        })
        .collect();
    let last = review.last.as_ref().map(|mark| text_of_time(mark.time_ms));
    let mut out = Out::new();
    out.line(json_line(&json!({ "last_review": last, "kinds": kinds }))?)?;
    out.flush()
}
