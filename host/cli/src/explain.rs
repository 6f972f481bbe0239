//! `pawl explain`: what an error code means and what to try, as `docs/errors.md` says it. Knows
//! nothing that does not stand there.

mod catalogue;

use crate::failure::usage;
use crate::out::{Out, json_line, shown};
use crate::table::{Column, Table, wrapped};
use crate::terminal::{self, Paint};
use anyhow::Result;
use catalogue::Entry;
use clap::Args;
use serde_json::json;

pub use catalogue::codes_in;

/// Characters of a line of prose.
const WIDTH: usize = 80;

/// Say what an error code means and what to try; without a code: list all of them
#[derive(Debug, Args)]
pub struct Arguments {
    /// The code, as it stands in the message
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// One JSON object per entry
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn explain(arguments: &Arguments) -> Result<()> {
    let entries = catalogue::entries();
    let found = match &arguments.code {
        Some(code) => wanted(&entries, code)?,
        None => entries.iter().collect(),
    };
    let mut out = Out::new();
    if arguments.json {
        for entry in found {
            out.line(json_line(&as_json(entry))?)?;
        }
    } else if arguments.code.is_some() {
        for (at, entry) in found.into_iter().enumerate() {
            if at > 0 {
                out.line("")?;
            }
            show(entry, &mut out)?;
        }
    } else {
        list(&entries, &mut out)?;
    }
    out.flush()
}

/// The entries of a code; none of this name is an error that names the nearest.
fn wanted<'e>(entries: &'e [Entry], code: &str) -> Result<Vec<&'e Entry>> {
    let typed = catalogue::slug(code);
    let is_it = |entry: &&Entry| entry.names.iter().any(|name| name.code == typed);
    let found: Vec<&Entry> = entries.iter().filter(is_it).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let codes = entries.iter().flat_map(|entry| &entry.names).map(|name| name.code.as_str());
    let codes: Vec<&str> = codes.collect();
    let mut near: Vec<&str> = codes
        .iter()
        .filter(|code| !typed.is_empty() && (code.contains(&typed) || typed.contains(**code)))
        .copied()
        .collect();
    near.extend(pawl_pipeline::closest(&typed, &codes));
    near.sort_unstable();
    near.dedup();
    let hint = match near.as_slice() {
        [] => "`pawl explain` lists all codes".to_owned(),
        near => format!("did you mean {}?", near.join(", ")),
    };
    Err(usage(format!("no error has the code {}; {hint}", shown(code))))
}

fn codes(entry: &Entry) -> Vec<&str> {
    entry.names.iter().map(|name| name.code.as_str()).collect()
}

fn as_json(entry: &Entry) -> serde_json::Value {
    json!({
        "codes": codes(entry),
        "section": entry.section,
        "what_happened": entry.what,
        "what_to_try": entry.advice,
    })
}

fn show(entry: &Entry, out: &mut Out) -> Result<()> {
    let name = codes(entry).join(", ");
    out.line(format!("{} ({})", terminal::paint(Paint::Bold, &name), entry.section))?;
    for (title, text) in [("what happened", entry.what), ("what to try", entry.advice)] {
        out.line(format!("  {}", terminal::paint(Paint::Dim, title)))?;
        for line in wrapped(text, WIDTH) {
            out.line(format!("    {line}"))?;
        }
    }
    Ok(())
}

fn list(entries: &[Entry], out: &mut Out) -> Result<()> {
    let mut section = "";
    let mut table = Table::new(&[Column::left("code"), Column::left("what happened")]);
    for entry in entries {
        if entry.section != section && !section.is_empty() {
            table.row(vec![String::new(), String::new()]);
        }
        section = entry.section;
        let ends = [". ", ": "].into_iter().filter_map(|end| entry.what.find(end)).min();
        let first = entry.what.get(..ends.unwrap_or(entry.what.len() - 1)).unwrap_or_default();
        table.row(vec![codes(entry).join(", "), first.to_owned()]);
    }
    table.print(out)
}
