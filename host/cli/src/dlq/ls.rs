//! `pawl dlq ls`: one line per dead letter, and how many there are of each kind. A crash may write
//! a dead letter twice with one id; it is listed twice and counted once. Says which were sent back,
//! and which are parked: failed again too often.

use super::{LsArguments, field, topic};
use crate::out::{Out, counted, json_line, note};
use anyhow::Result;
use pawl_reprocess::{Ledger, Letter, Scan};
use pawl_service::clock::{Clock, SystemClock};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Lists those that are chosen.
pub fn ls(arguments: &LsArguments) -> Result<()> {
    let pipeline = &arguments.file.load()?;
    let filter = arguments.choice.filter(SystemClock::default().now_ms())?;
    let Some((transport, _)) = topic(pipeline)? else { return Ok(()) };
    let Some(scan) = Scan::open(&transport, &pipeline.dead_letters.topic)? else { return Ok(()) };
    let mut out = Out::new();
    let mut counts = Counts::default();
    let states = States {
        ledger: Ledger::read(&transport, pipeline, None)?,
        replays_max: pipeline.dead_letters.replays_max,
    };
    scan.each_or::<anyhow::Error>(|letter| {
        if !filter.takes(letter) {
            return Ok(ControlFlow::Continue(()));
        }
        let repeated = counts.take_in(letter);
        let state = states.of(letter);
        *counts.states.entry(state).or_default() += u64::from(!repeated);
        match arguments.json {
            true => out.line(json_line(&as_json(letter, repeated, state))?)?,
            false => out.line(as_text(letter, repeated, state))?,
        }
        Ok(ControlFlow::Continue(()))
    })?;
    out.flush()?;
    if !arguments.json {
        counts.print(&mut out)?;
    }
    Ok(())
}

/// What became of dead letters.
struct States {
    ledger: Ledger,
    replays_max: u32,
}

impl States {
    fn of(&self, letter: &Letter<'_>) -> &'static str {
        match letter.id() {
            Some(id) if self.ledger.has(id) => "sent back",
            _ if letter.replays() >= self.replays_max => "parked",
            _ => "open",
        }
    }
}

#[derive(Default)]
struct Counts {
    ids: BTreeSet<u128>,
    kinds: BTreeMap<(String, String), u64>,
    states: BTreeMap<&'static str, u64>,
    rows: u64,
}

impl Counts {
    /// Whether the dead letter was there before.
    fn take_in(&mut self, letter: &Letter<'_>) -> bool {
        self.rows += 1;
        let repeated = letter.id().is_some_and(|id| !self.ids.insert(id));
        if !repeated {
            let kind = (field(letter, "pawl-class"), field(letter, "pawl-error-kind"));
            *self.kinds.entry(kind).or_default() += 1;
        }
        repeated
    }

    fn print(&self, out: &mut Out) -> Result<()> {
        let distinct: u64 = self.kinds.values().sum();
        if distinct == 0 {
            note("there are no dead letters");
            return Ok(());
        }
        let repeated = match self.rows - distinct {
            0 => String::new(),
            more => format!(" and {more} repeated with the same id"),
        };
        out.line("")?;
        let states = self.states.iter().map(|(state, count)| format!("{count} {state}"));
        let states: Vec<String> = states.collect();
        // As long as nothing was sent back there is nothing to tell apart.
        let states = match self.states.get("open") {
            Some(open) if *open == distinct => String::new(),
            _ => format!(": {}", states.join(", ")),
        };
        out.line(format!("{}{repeated}{states}", counted(distinct, "dead letter")))?;
        for ((class, kind), count) in &self.kinds {
            out.line(format!("{count:>8}  {class}  {kind}"))?;
        }
        out.flush()
    }
}

fn as_text(letter: &Letter<'_>, repeated: bool, state: &str) -> String {
    let field = |name| field(letter, name);
    let place = format!("{}/{}", letter.partition, letter.offset);
    let operator = format!("{}/{}", field("pawl-stage"), field("pawl-operator"));
    let from =
        format!("{}/{}/{}", field("pawl-topic"), field("pawl-partition"), field("pawl-offset"));
    let (when, class) = (field("pawl-timestamp"), field("pawl-class"));
    let (kind, message) = (field("pawl-error-kind"), field("pawl-error-message"));
    let mut mark = if repeated { "(repeated) ".to_owned() } else { String::new() };
    if state != "open" {
        mark.push_str(&format!("({state}) "));
    }
    format!("{place:<8}  {when}  {operator}  {class}  {kind}  {from}  {mark}{message}")
}

fn as_json(letter: &Letter<'_>, repeated: bool, state: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("partition".to_owned(), letter.partition.into());
    fields.insert("offset".to_owned(), letter.offset.into());
    fields.insert("repeated".to_owned(), repeated.into());
    fields.insert("state".to_owned(), state.into());
    fields.insert("payload_bytes".to_owned(), letter.payload().len().into());
    for (name, bytes) in letter.headers().filter(|(name, _)| name.starts_with("pawl-")) {
        fields.insert(name.to_owned(), String::from_utf8_lossy(bytes).into());
    }
    fields
}
