//! Logs of the service on stderr. `PAWL_LOG` is how much: off, error, warn, info (the default),
//! debug or trace; `PAWL_LOG_FORMAT`, or `--log-format` before it, is how: text or json. Logs never
//! go to stdout, which belongs to results.

use crate::failure::usage;
use anyhow::Result;
use clap::ValueEnum;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// The variable that says how much is logged.
const VARIABLE: &str = "PAWL_LOG";

/// The variable that says how.
const FORMAT: &str = "PAWL_LOG_FORMAT";

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line for people
    Text,
    /// A JSON object on each line
    Json,
}

/// From here on logs are written. `format`: what the command line says.
pub fn start(format: Option<Format>) -> Result<()> {
    let level = match std::env::var_os(VARIABLE) {
        None => LevelFilter::INFO,
        Some(level) => level.to_str().and_then(|level| level.parse().ok()).ok_or_else(|| {
            let found = crate::out::shown(&level.to_string_lossy());
            usage(format!(
                "{VARIABLE} is {found}; should be off, error, warn, info, debug or trace"
            ))
        })?,
    };
    let format = match std::env::var_os(FORMAT) {
        _ if format.is_some() => format.unwrap_or(Format::Text),
        None => Format::Text,
        Some(name) => {
            let known = name.to_str().and_then(|name| Format::from_str(name, false).ok());
            known.ok_or_else(|| {
                let found = crate::out::shown(&name.to_string_lossy());
                usage(format!("{FORMAT} is {found}; should be text or json"))
            })?
        }
    };
    // What libraries retry is told by whoever called them.
    let others = level.min(LevelFilter::WARN);
    let targets = Targets::new().with_default(others).with_target("pawl", level);
    // A closed stderr must not end a run: what cannot be logged is not.
    let layer =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let layer = match format {
        Format::Text => layer.boxed(),
        // Fields stand beside the message, and no names of spans, which there are none of.
        Format::Json => {
            layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(targets));
    // Fails only if there is one already, and this is called once.
    drop(tracing::subscriber::set_global_default(subscriber));
    Ok(())
}
