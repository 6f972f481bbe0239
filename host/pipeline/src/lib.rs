//! The pipeline file: from TOML text, or a file, to a checked `Pipeline`.
//!
//! Data flows one way: `text` (text to table), `overrides` (`--set`), `read` and `read_stage`
//! (field by field, with `fields`), `rules` (what must hold between fields), and out comes
//! `pipeline`. `delivery` says what a checked pipeline promises. All mistakes are reported at
//! once, each with its path. Nothing here runs anything or looks into a plugin, and no text
//! whatever makes it panic.

mod delivery;
mod edge;
mod effective;
mod fields;
mod format;
mod json;
mod layout;
mod mistake;
mod outside;
mod overrides;
mod pipeline;
mod own;
mod read;
mod read_outside;
mod read_stage;
mod rules;
mod secret;
mod text;
mod time;

#[cfg(test)]
mod tests;

#[cfg(test)]
use delivery::delivery_text;
pub use delivery::{DeliveryRow, delivery, memory_estimates};
pub use edge::{Dedup, Edge, IdSource, TimeSource, TimeUnit, Watermark};
pub use effective::effective;
pub use fields::closest;
pub use format::format;
pub use mistake::{Mistake, Mistakes, Warning};
pub use outside::{
    AtRetriesMax, ColumnSource, FileFormat, FileSink, FileSource, HttpMode, HttpSink, HttpSource,
    LineFormat, Secret, Sink, SinkKind, Source, SourceKind, SqlSink,
};
pub use own::OwnTopic;
pub use pipeline::{
    AtMax, Breaker, Checkpoint, Commit, DeadLetters, KeySource, Late, Limits, Operator, Pipeline,
    RecoveryMode, Remote, Stage, Supervisor, Topic, Transport,
};
pub use read::{PARTITIONS_MAX, TOPIC_NAME, is_topic_name};
pub use secret::is_secret_name;

use mistake::Report;
use std::path::Path;

/// The JSON Schema of pipeline files, by which editors complete and describe fields. It knows all
/// fields that are read here, and no others.
pub const SCHEMA: &str = include_str!("../../../docs/pipeline.schema.json");

/// Reads a pipeline file. `overrides` are `path.in.file=value`, applied in order. Relative paths
/// in the file start at its folder. Errors: everything that is wrong, never only the first.
pub fn load(path: &Path, overrides: &[String]) -> Result<(Pipeline, Vec<Warning>), Mistakes> {
    let base = path.parent().unwrap_or(Path::new(""));
    let text = text::read(path).map_err(|mistakes| mistakes.in_file(path))?;
    parse(&text, base, overrides).map_err(|mistakes| mistakes.in_file(path))
}

/// A pipeline file as it is, and laid out by `format`. Errors: the file cannot be read, or is no
/// TOML.
pub fn format_file(path: &Path) -> Result<(String, String), Mistakes> {
    let text = text::read(path).map_err(|mistakes| mistakes.in_file(path))?;
    let formatted = format(&text).map_err(|mistakes| mistakes.in_file(path))?;
    Ok((text, formatted))
}

/// As `load`, for a text; relative paths in it start at `base`.
pub fn parse(
    text: &str,
    base: &Path,
    overrides: &[String],
) -> Result<(Pipeline, Vec<Warning>), Mistakes> {
    let mut table = text::table(text)?;
    let report = Report::default();
    for text in overrides {
        overrides::apply(&mut table, text, &report);
    }
    if let Some(what) = read::newer_format(&table) {
        return Err(Mistakes::whole_file(what));
    }
    let pipeline = read::pipeline(&table, base, &report);
    rules::check(&pipeline, &report);
    report.finish(pipeline)
}
