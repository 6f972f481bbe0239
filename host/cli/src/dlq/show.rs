//! `pawl dlq show`: one dead letter whole.

use super::{ShowArguments, topic};
use crate::failure::usage;
use crate::out::{Out, json_line, shown, shown_bytes};
use crate::record_json::Printed;
use anyhow::Result;
use pawl_core::record::Offset;
use pawl_reprocess::{Letter, Meta, Scan};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Hex digits of an id from which on it may be abbreviated.
const ID_DIGITS_MIN: usize = 4;

/// Ids that are named where one beginning means several.
const NAMED_MAX: usize = 5;

/// How a dead letter is named.
enum Which<'a> {
    Place(u32, Offset),
    Id(&'a str),
}

/// Shows it.
pub fn show(arguments: &ShowArguments) -> Result<()> {
    let pipeline = &arguments.file.load()?;
    let which = arguments.which.as_str();
    let wanted = parse(which)?;
    let missing = || usage(format!("there is no dead letter {}", shown(which)));
    let Some((transport, _)) = topic(pipeline)? else { return Err(missing()) };
    let topic = pipeline.dead_letters.topic.as_str();
    let open = || Scan::open(&transport, topic)?.ok_or_else(missing);
    let (partition, offset) = match wanted {
        Which::Place(partition, offset) => (partition, offset),
        Which::Id(id) => place_of(&open()?, id)?.ok_or_else(missing)?,
    };
    let scan = open()?.only(partition, offset).ok_or_else(missing)?;
    let (mut out, mut found) = (Out::new(), false);
    scan.each_or::<anyhow::Error>(|letter| {
        found = true;
        match (arguments.payload, arguments.json) {
            (true, _) => out.bytes(letter.payload())?,
            (_, true) => {
                let place = (topic, letter.partition, letter.offset);
                out.line(json_line(&Printed::new(place, letter.records(), letter.row))?)?;
            }
            _ => print(&mut out, letter)?,
        }
        Ok(ControlFlow::Continue(()))
    })?;
    // A row that is none of a record's is no dead letter.
    if found { out.flush() } else { Err(missing()) }
}

/// Where the dead letter lies whose id begins so; an error if several do.
fn place_of(scan: &Scan<'_>, id: &str) -> Result<Option<(u32, Offset)>> {
    let mut found = BTreeMap::new();
    scan.each(|letter| {
        let own = letter.text(Meta::Id);
        let begins = own.get(..id.len()).is_some_and(|own| own.eq_ignore_ascii_case(id));
        if begins && found.len() <= NAMED_MAX {
            found.entry(own.to_owned()).or_insert((letter.partition, letter.offset));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if found.len() <= 1 {
        return Ok(found.into_values().next());
    }
    let named: Vec<String> = found.keys().take(NAMED_MAX).map(|id| shown(id)).collect();
    let more = if found.len() > NAMED_MAX { ", ..." } else { "" };
    Err(usage(format!(
        "several dead letters begin with {id}: {}{more}; give more digits",
        named.join(", ")
    )))
}

fn parse(which: &str) -> Result<Which<'_>> {
    if let Some((partition, offset)) = which.split_once('/')
        && let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse())
    {
        return Ok(Which::Place(partition, offset));
    }
    let is_hex = which.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && (ID_DIGITS_MIN..=32).contains(&which.len()) {
        return Ok(Which::Id(which));
    }
    Err(usage(format!(
        "{} is neither PARTITION/OFFSET nor a pawl-id ({ID_DIGITS_MIN} to 32 hex digits)",
        shown(which)
    )))
}

fn print(out: &mut Out, letter: &Letter<'_>) -> Result<()> {
    let whole = |bytes| shown_bytes(bytes, usize::MAX);
    out.line(format!("place: {}/{}", letter.partition, letter.offset))?;
    let key = letter.records().keys.get(letter.row);
    out.line(format!("key: {}", key.map_or_else(|| "none".to_owned(), whole)))?;
    let (ours, own): (Vec<_>, Vec<_>) =
        letter.headers().partition(|(name, _)| name.starts_with("pawl-"));
    for (name, bytes) in ours.into_iter().chain(own) {
        out.line(format!("{}: {}", shown(name), whole(bytes)))?;
    }
    out.line(format!("payload: {} bytes", letter.payload().len()))?;
    out.line("")?;
    out.line(letter.payload())
}
