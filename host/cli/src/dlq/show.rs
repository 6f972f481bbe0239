//! `pawl dlq show`: one dead letter whole.

use super::letter::Letter;
use super::{each_letter, topic};
use crate::failure::usage;
use crate::out::{Out, shown, shown_bytes};
use crate::rows::Cursor;
use anyhow::Result;
use pawl_core::record::Offset;
use pawl_pipeline::Pipeline;
use pawl_transport::Transport;
use std::ops::ControlFlow;

/// Hex digits of an id from which on it may be abbreviated.
const ID_DIGITS_MIN: usize = 4;

/// How a dead letter is named.
enum Which<'a> {
    Place(u32, Offset),
    Id(&'a str),
}

/// Shows it.
pub fn show(pipeline: &Pipeline, which: &str, payload_only: bool) -> Result<()> {
    let wanted = parse(which)?;
    let missing = || usage(format!("there is no dead letter {}", shown(which)));
    let Some((transport, partitions)) = topic(pipeline)? else { return Err(missing()) };
    let topic = pipeline.dead_letters.topic.as_str();
    let partitions = match wanted {
        Which::Place(partition, _) => partition..partition.saturating_add(1),
        Which::Id(_) => 0..partitions,
    };
    let mut out = Out::new();
    for partition in partitions {
        let mut cursor = match wanted {
            Which::Id(_) => Cursor::at_start(&transport, topic, partition)?,
            Which::Place(_, offset) => {
                let (first, end) = transport.range(topic, partition)?;
                if !(first..end).contains(&offset) {
                    return Err(missing());
                }
                Cursor::at(&transport, topic, partition, offset)
            }
        };
        let found = each_letter(&mut cursor, |letter| {
            let is_it = match wanted {
                Which::Place(_, offset) if letter.offset == offset => true,
                // A control row: what follows it was not asked for.
                Which::Place(..) => return Ok(ControlFlow::Break(false)),
                Which::Id(id) => letter.header("pawl-id").is_some_and(|own| {
                    own.get(..id.len()).is_some_and(|own| own.eq_ignore_ascii_case(id.as_bytes()))
                }),
            };
            if !is_it {
                return Ok(ControlFlow::Continue(()));
            }
            print(&mut out, &letter, payload_only)?;
            Ok(ControlFlow::Break(true))
        })?;
        if found == Some(true) {
            return out.flush();
        }
    }
    Err(missing())
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

fn print(out: &mut Out, letter: &Letter<'_>, payload_only: bool) -> Result<()> {
    if payload_only {
        return out.bytes(letter.payload());
    }
    let whole = |bytes| shown_bytes(bytes, usize::MAX);
    out.line(format!("place: {}/{}", letter.partition, letter.offset))?;
    let key = letter.records.keys.get(letter.row);
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
