//! What a replay says in the end: to people in a few lines, to scripts as one JSON object.

use crate::out::{Out, json_line, shown};
use anyhow::Result;
use pawl_reprocess::{Options, Selected, Trials, count};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Lines of a histogram at most.
const LINES_MAX: usize = 20;

/// What a dry run found, for people.
pub fn planned(options: &Options, selected: &Selected, trials: Option<&Trials<'_>>) -> Result<()> {
    let mut out = Out::new();
    out.line(format!("selection: {}", shown(&options.filter.words())))?;
    let bytes = count(selected.bytes);
    out.line(format!("would send {} ({bytes} bytes)", letters(selected.to_send)))?;
    around(&mut out, selected)?;
    for (name, counts) in [
        ("by error kind", &selected.kinds),
        ("by operator", &selected.operators),
        ("by day", &selected.days),
    ] {
        histogram(&mut out, name, counts)?;
    }
    if !selected.samples.is_empty() {
        out.line("\nthe first")?;
    }
    for sample in &selected.samples {
        let (place, operator, kind) = (&sample.place, &sample.operator, &sample.kind);
        let id = sample.id.get(..8).unwrap_or(&sample.id);
        let message = shown(&sample.message);
        let line = format!("  {place}  {id}  {}  {}  {message}", shown(operator), shown(kind));
        out.line(line)?;
        out.line(format!("      {}", sample.payload))?;
    }
    if let Some(trials) = trials {
        tried(&mut out, trials)?;
    }
    out.flush()
}

fn letters(number: u64) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} dead letter{s}", count(number))
}

/// What is beside that which is sent.
fn around(out: &mut Out, selected: &Selected) -> Result<()> {
    if selected.late > 0 {
        let late = count(selected.late);
        out.line(format!("{late} of them are late by now: they take the pipeline's late route"))?;
    }
    if selected.sent_before > 0 {
        out.line(format!("{} that match were sent before", count(selected.sent_before)))?;
    }
    if selected.beyond_max > 0 {
        out.line(format!("{} more match, beyond --max", count(selected.beyond_max)))?;
    }
    for (why, (number, ids)) in &selected.not_sent {
        out.line(format!("not sent: {} {}", count(*number), why.words()))?;
        let more = if *number > ids.len() as u64 { ", ..." } else { "" };
        let short: Vec<&str> = ids.iter().map(|id| id.get(..8).unwrap_or(id)).collect();
        out.line(format!("  {}{more}", shown(&short.join(", "))))?;
    }
    if selected.matched == 0 {
        out.line("no dead letter matches that was not sent before")?;
    }
    Ok(())
}

fn histogram(out: &mut Out, name: &str, counts: &BTreeMap<String, u64>) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    out.line(format!("\n{name}"))?;
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|one, two| two.1.cmp(one.1).then(one.0.cmp(two.0)));
    for (value, number) in sorted.iter().take(LINES_MAX) {
        out.line(format!("{:>12}  {}", count(**number), shown(value)))?;
    }
    if sorted.len() > LINES_MAX {
        let rest: u64 = sorted.iter().skip(LINES_MAX).map(|(_, number)| **number).sum();
        let more = sorted.len() - LINES_MAX;
        out.line(format!("{:>12}  in {more} others", count(rest)))?;
    }
    Ok(())
}

fn tried(out: &mut Out, trials: &Trials<'_>) -> Result<()> {
    out.line("\ntried against the operators as they are now")?;
    let mut line = |number: u64, what: &str| match number {
        0 => Ok(()),
        number => out.line(format!("{:>12}  {what}", count(number))),
    };
    line(trials.passed, "would succeed")?;
    line(trials.discarded, "would be discarded by the operator, on purpose")?;
    line(trials.late, "would be late by now")?;
    line(trials.sinks, "are for sinks, which cannot be tried")?;
    line(trials.untried, "were not tried: beyond --try-max, or the minute was over")?;
    for ((operator, kind), (number, message)) in &trials.failed {
        let what =
            format!("would fail again: {}  {}  {}", shown(operator), shown(kind), shown(message));
        line(*number, &what)?;
    }
    for (operator, why) in trials.fresh() {
        out.line(format!("{operator} was tried without its state: {}", shown(&why)))?;
    }
    Ok(())
}

/// What was sent, for people.
pub fn sent(options: &Options, selected: &Selected, run: Option<&str>, sent: u64) -> Result<()> {
    let mut out = Out::new();
    out.line(format!("selection: {}", shown(&options.filter.words())))?;
    let bytes = count(selected.bytes);
    let run = run.map_or_else(String::new, |run| format!(", run {run}"));
    out.line(format!("sent {} back ({bytes} bytes){run}", letters(sent)))?;
    around(&mut out, selected)?;
    out.flush()
}

/// What a dry run found, for scripts.
pub fn planned_json(
    options: &Options,
    selected: &Selected,
    trials: Option<&Trials<'_>>,
) -> Result<()> {
    let mut json = selection(options, selected);
    json["dry_run"] = true.into();
    json["would_send"] = selected.to_send.into();
    json["samples"] = selected
        .samples
        .iter()
        .map(|sample| {
            json!({
                "place": sample.place, "id": sample.id, "operator": sample.operator,
                "kind": sample.kind, "message": sample.message, "payload": sample.payload,
            })
        })
        .collect();
    if let Some(trials) = trials {
        let failed: Vec<Value> = trials
            .failed
            .iter()
            .map(|((operator, kind), (count, message))| {
                json!({ "operator": operator, "kind": kind, "count": count, "message": message })
            })
            .collect();
        json["tried"] = json!({
            "succeed": trials.passed, "discarded": trials.discarded, "failed": failed,
            "late": trials.late, "sinks": trials.sinks, "untried": trials.untried,
            "without_state": trials.fresh(),
        });
    }
    print(&json)
}

/// What was sent, for scripts.
pub fn sent_json(
    options: &Options,
    selected: &Selected,
    run: Option<&str>,
    sent: u64,
) -> Result<()> {
    let mut json = selection(options, selected);
    json["dry_run"] = false.into();
    json["run"] = run.into();
    json["sent"] = sent.into();
    print(&json)
}

fn selection(options: &Options, selected: &Selected) -> Value {
    let not_sent: Vec<Value> = selected
        .not_sent
        .iter()
        .map(|(why, (count, ids))| json!({ "why": why.name(), "count": count, "ids": ids }))
        .collect();
    json!({
        "selection": options.filter.words(),
        "matched": selected.matched,
        "bytes": selected.bytes,
        "late": selected.late,
        "sent_before": selected.sent_before,
        "beyond_max": selected.beyond_max,
        "not_sent": not_sent,
        "kinds": selected.kinds,
        "operators": selected.operators,
        "days": selected.days,
    })
}

fn print(json: &Value) -> Result<()> {
    let mut out = Out::new();
    out.line(json_line(json)?)?;
    out.flush()
}
