//! How far a long command is: a line on stderr that moves, only where a person looks at it and
//! nothing else is printed there. It says nothing that the summary does not.

use crate::terminal;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;

/// Moves, or is not there.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Of bytes, where their number may be known.
    pub fn of_bytes(total: Option<u64>) -> Self {
        Self::new(
            total,
            "[{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            "{spinner} {bytes}, {bytes_per_sec}",
        )
    }

    /// Of records, where their number may be known.
    pub fn of_records(total: Option<u64>) -> Self {
        Self::new(
            total,
            "[{bar:30}] {human_pos} of {human_len} records, {rate}, {eta} left",
            "{spinner} {human_pos} records, {rate}",
        )
    }

    /// None at all.
    pub fn none() -> Self {
        Self(None)
    }

    fn new(total: Option<u64>, known: &str, unknown: &str) -> Self {
        if !terminal::stderr_is_watched() {
            return Self(None);
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), known),
            None => (ProgressBar::new_spinner(), unknown),
        };
        // A template that is not understood would only look otherwise.
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, text: &mut dyn Write| {
                // A line that cannot be put together is not shown.
                write!(text, "{:.0}/s", state.per_sec()).unwrap_or_default();
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
        }
        Self(Some(bar))
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(count);
        }
    }
}

impl Progress {
    /// The line is taken away.
    pub fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    /// The line is taken away, whatever became of the command.
    fn drop(&mut self) {
        self.end();
    }
}
