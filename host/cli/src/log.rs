//! Logs of the service on stderr. `PAWL_LOG` is how much: off, error, warn, info (the default),
//! debug or trace. Logs never go to stdout, which belongs to results.

use crate::failure::usage;
use anyhow::Result;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// The variable that says how much is logged.
const VARIABLE: &str = "PAWL_LOG";

/// From here on logs are written.
pub fn start() -> Result<()> {
    let level = match std::env::var_os(VARIABLE) {
        None => LevelFilter::INFO,
        Some(level) => level.to_str().and_then(|level| level.parse().ok()).ok_or_else(|| {
            let found = crate::out::shown(&level.to_string_lossy());
            usage(format!(
                "{VARIABLE} is {found}; should be off, error, warn, info, debug or trace"
            ))
        })?,
    };
    // A closed stderr must not end a run: what cannot be logged is not.
    let layer =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    // What libraries retry is told by whoever called them.
    let others = level.min(LevelFilter::WARN);
    let targets = Targets::new().with_default(others).with_target("pawl", level);
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(targets));
    // Fails only if there is one already, and this is called once.
    drop(tracing::subscriber::set_global_default(subscriber));
    Ok(())
}
