//! `pawl dlq stats`: how many dead letters there are, of what, since when, and what changed: the
//! first look when suddenly there are many.

use super::choice::Choice;
use crate::failure::usage;
use crate::file::FileOption;
use crate::out::{Out, json_line, shown};
use anyhow::Result;
use clap::Args;
use pawl_core::identity::text_of_time;
use pawl_core::record::Timestamp;
use pawl_reprocess::stats::{By, Change, Options, Stats};
use pawl_reprocess::{count, length_of, text_of_length, text_of_second};
use pawl_service::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Values of a field that are listed, and stretches of time.
const VALUES_MAX: usize = 8;
const BUCKETS_MAX: usize = 48;

/// Columns of the longest bar.
const BAR_MAX: u64 = 50;

/// Count dead letters, over time and by all that they say, and find out what changed
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: FileOption,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How")]
struct How {
    /// Count by this too: a JSON pointer into the payload (/sensor_id), or a header
    #[arg(long, value_name = "FIELD")]
    by: Vec<String>,
    /// Length of the stretches of time: 1m, 15m, 1h, 1d; by itself as fits
    #[arg(long, value_name = "LENGTH")]
    bucket: Option<String>,
    /// What changed: this long before now (or before --until), compared with all the time before
    #[arg(long, value_name = "LENGTH", default_value = "1h")]
    window: String,
    /// All counts as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn stats(arguments: &Arguments) -> Result<()> {
    let pipeline = arguments.file.load()?;
    let now_ms = SystemClock::default().now_ms();
    let how = &arguments.how;
    let length = |option: &str, text: &str| {
        length_of(text).map_err(|what| usage(format!("{option}: {what}")))
    };
    let bucket = how.bucket.as_deref().map(|text| length("--bucket", text)).transpose()?;
    let options = Options {
        filter: arguments.choice.filter(now_ms)?,
        by: how.by.iter().map(|text| By::parse(text)).collect(),
        now_ms: arguments.choice.until(now_ms)?.unwrap_or(now_ms),
        window_ms: length("--window", &how.window)?,
        replays_max: pipeline.dead_letters.replays_max,
    };
    let Some((transport, _)) = super::topic(&pipeline)? else { return Ok(()) };
    let stats = pawl_reprocess::stats::stats(&transport, &pipeline, &options)?;
    let bucket = bucket.unwrap_or_else(|| fitting_bucket(&stats));
    match how.json {
        true => print_json(&stats, &options, bucket),
        false => print(&stats, &options, bucket),
    }
}

/// The shortest usual length with which all fit into one chart.
fn fitting_bucket(stats: &Stats) -> i64 {
    let minute = 60_000;
    let span = stats.span.map_or(0, |(first, last)| last.saturating_sub(first));
    let usual = [minute, 5 * minute, 15 * minute, 60 * minute, 360 * minute, 1440 * minute];
    let fits = usual.into_iter().find(|length| span / length < BUCKETS_MAX as i64 / 2);
    fits.unwrap_or(7 * 1440 * minute)
}

fn print(stats: &Stats, options: &Options, bucket: i64) -> Result<()> {
    let mut out = Out::new();
    out.line(shown(&options.filter.words()))?;
    let Some((first, last)) = stats.span else {
        out.line("none")?;
        return out.flush();
    };
    out.line(format!(
        "{} in {} bytes, from {} to {}",
        count(stats.letters),
        count(stats.bytes),
        text_of_second(first),
        text_of_second(last)
    ))?;
    let (open, sent, parked) = (count(stats.open), count(stats.sent_back), count(stats.parked));
    out.line(format!("open {open}, sent back {sent}, parked {parked}"))?;
    changed(&mut out, &stats.change, options)?;
    chart(&mut out, stats, bucket)?;
    for dimension in stats.dimensions.iter().filter(|dimension| dimension.is_there()) {
        out.line(format!("\nby {}", shown(&dimension.name)))?;
        let counts = dimension.counts();
        for (value, number) in counts.iter().take(VALUES_MAX) {
            out.line(format!("{:>12}  {}", count(*number), shown(value)))?;
        }
        if counts.len() > VALUES_MAX {
            let rest: u64 = counts.iter().skip(VALUES_MAX).map(|(_, number)| number).sum();
            let more = counts.len() - VALUES_MAX;
            out.line(format!("{:>12}  in {more} others", count(rest)))?;
        }
    }
    out.flush()
}

/// What changed, in words.
fn changed(out: &mut Out, change: &Change, options: &Options) -> Result<()> {
    let window = text_of_length(options.window_ms);
    let (new, old) = (count(change.new), count(change.old));
    let until = text_of_second(options.now_ms);
    out.line(format!("\nwhat changed in the last {window} before {until}"))?;
    if change.new == 0 {
        return out.line(format!("  no dead letter is that new, {old} are older"));
    }
    let before = text_of_length(change.minutes.1 * 60_000);
    match change.times {
        Some(times) => {
            let times = times_more(times);
            let old = format!("{old} in the {before} before");
            out.line(format!("  {times} before: {new} new, {old}"))?;
        }
        None => out.line(format!("  all {new} are that new"))?,
    }
    if !change.shared.is_empty() {
        let share = 100.0 * change.explained.0 as f64 / change.new as f64;
        let shared: Vec<String> = change
            .shared
            .iter()
            .map(|one| format!("{} {}", shown(&one.field), shown(&one.value)))
            .collect();
        let since = change.since_ms.map(|at| format!(", since {}", text_of_second(at)));
        out.line(format!(
            "  {share:.0} % of the new ones share: {}{}",
            shared.join(", "),
            since.unwrap_or_default()
        ))?;
        let (new, old) = change.explained;
        out.line(format!("  of these there were {} before, {} new", count(old), count(new)))?;
    }
    if change.times.is_some_and(|times| times > 1.0) {
        out.line("  what grew most, each by itself:")?;
        for growth in &change.growths {
            let times = growth.times.map_or_else(|| "new".to_owned(), times_short);
            let (new, old) = (count(growth.new), count(growth.old));
            let of = format!("{} {}", shown(&growth.of.field), shown(&growth.of.value));
            out.line(format!("{times:>10}  {new:>9} new {old:>9} before  {of}"))?;
        }
    }
    Ok(())
}

fn times_more(times: f64) -> String {
    match times {
        times if times >= 10.0 => format!("{times:.0} times as many a minute as"),
        times if times >= 1.05 => format!("{times:.1} times as many a minute as"),
        times if times > 0.95 => "as many a minute as".to_owned(),
        times => format!("fewer a minute ({:.0} %) than", 100.0 * times),
    }
}

fn times_short(times: f64) -> String {
    if times >= 10.0 { format!("x {times:.0}") } else { format!("x {times:.1}") }
}

fn chart(out: &mut Out, stats: &Stats, bucket: i64) -> Result<()> {
    let buckets: BTreeMap<Timestamp, u64> = stats.buckets(bucket);
    let length = text_of_length(bucket.max(60_000));
    let skipped = buckets.len().saturating_sub(BUCKETS_MAX);
    let last = if skipped > 0 { format!(", the last {BUCKETS_MAX}") } else { String::new() };
    out.line(format!("\nover time, {length} each{last}"))?;
    let shown = || buckets.iter().skip(skipped);
    let most = shown().map(|(_, number)| *number).max().unwrap_or(0).max(1);
    for (begin, number) in shown() {
        let bar = "#".repeat((number * BAR_MAX).div_ceil(most) as usize);
        let begin = text_of_time(*begin);
        let begin = begin.get(..16).unwrap_or(&begin).replace('T', " ");
        out.line(format!("  {begin}  {:>10}  {bar}", count(*number)).trim_end())?;
    }
    Ok(())
}

fn print_json(stats: &Stats, options: &Options, bucket: i64) -> Result<()> {
    let change = &stats.change;
    let one = |field: &str, value: &str| json!({ "field": field, "value": value });
    let shared: Vec<Value> =
        change.shared.iter().map(|shared| one(&shared.field, &shared.value)).collect();
    let growths: Vec<Value> = change
        .growths
        .iter()
        .map(|growth| {
            json!({
                "field": growth.of.field, "value": growth.of.value, "new": growth.new,
                "old": growth.old, "times": growth.times,
            })
        })
        .collect();
    let by: serde_json::Map<String, Value> = stats
        .dimensions
        .iter()
        .filter(|dimension| dimension.is_there())
        .map(|dimension| {
            let counts: Vec<Value> = dimension
                .counts()
                .into_iter()
                .map(|(value, count)| json!({ "value": value, "count": count }))
                .collect();
            (dimension.name.clone(), counts.into())
        })
        .collect();
    let buckets: Vec<Value> = stats
        .buckets(bucket)
        .into_iter()
        .map(|(begin, count)| json!({ "begin": text_of_time(begin), "count": count }))
        .collect();
    let json = json!({
        "selection": options.filter.words(),
        "letters": stats.letters, "repeated": stats.repeated, "open": stats.open,
        "sent_back": stats.sent_back, "parked": stats.parked, "bytes": stats.bytes,
        "first": stats.span.map(|(first, _)| text_of_time(first)),
        "last": stats.span.map(|(_, last)| text_of_time(last)),
        "by": by,
        "bucket_ms": bucket,
        "buckets": buckets,
        "change": {
            "window_ms": options.window_ms, "new": change.new, "old": change.old,
            "times": change.times, "shared": shared,
            "explained_new": change.explained.0, "explained_old": change.explained.1,
            "since": change.since_ms.map(text_of_time), "growths": growths,
        },
    });
    let mut out = Out::new();
    out.line(json_line(&json)?)?;
    out.flush()
}
