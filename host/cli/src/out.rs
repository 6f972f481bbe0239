//! Writing to stdout and stderr without ever panicking: a reader that went away is an error value,
//! and `failure` makes a quiet end of it.

use crate::terminal::{self, Paint};
use anyhow::{Context, Error, Result};
use std::fmt;
use std::io::{self, BufWriter, ErrorKind, Write};

/// Nobody reads stdout any more.
#[derive(Debug)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stdout is closed")
    }
}

impl std::error::Error for Closed {}

/// Stdout, buffered: what was written is there after `flush`.
pub struct Out {
    stdout: BufWriter<io::StdoutLock<'static>>,
}

impl Out {
    /// Takes stdout.
    pub fn new() -> Self {
        Self { stdout: BufWriter::with_capacity(64 * 1024, io::stdout().lock()) }
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.stdout.write_all(bytes).map_err(failed)
    }

    /// Writes bytes and a newline.
    pub fn line(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.bytes(bytes.as_ref())?;
        self.bytes(b"\n")
    }

    /// Hands over all that was written.
    pub fn flush(&mut self) -> Result<()> {
        self.stdout.flush().map_err(failed)
    }
}

fn failed(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::BrokenPipe => Error::new(Closed),
        _ => Error::new(error).context("failed to write to stdout"),
    }
}

/// Tells a person something on stderr; if nobody listens, nothing is lost.
pub fn note(text: &str) {
    say(Paint::Bold, text);
}

/// As `note`, that something went wrong.
pub fn complain(text: &str) {
    say(Paint::Red, text);
}

fn say(paint: Paint, text: &str) {
    let name = terminal::paint_note(paint, "pawl:");
    drop(writeln!(io::stderr().lock(), "{name} {text}"));
}

/// A value as one line of JSON.
pub fn json_line(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).context("failed to write JSON")
}

/// Text of unknown origin for a terminal: control characters are escaped, so that it stays on its
/// line and cannot move the cursor.
pub fn shown(text: &str) -> String {
    let one = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(one).collect()
}

/// As `shown`, for bytes that should be text, and at most `characters_max` of it.
pub fn shown_bytes(bytes: &[u8], characters_max: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let cut: String = text.chars().take(characters_max).collect();
    let more = if cut.len() < text.len() { "..." } else { "" };
    format!("{}{more}", shown(&cut))
}

/// A number of things: `1 record`, `2 records`.
pub fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// An amount of bytes, in the unit that fits it.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut amount = count as f64;
    let mut unit = "";
    for next in UNITS {
        if amount < 1024.0 {
            break;
        }
        (amount, unit) = (amount / 1024.0, next);
    }
    format!("{amount:.1} {unit}")
}

/// A duration in the largest unit of which it is a whole number.
pub fn duration_ms(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let whole = UNITS.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
    whole.map_or(format!("{ms} ms"), |(unit, name)| format!("{} {name}", ms / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_told_in_the_unit_that_fits() {
        let told: Vec<String> = [0, 1023, 1024, 1 << 20, 3 << 39].map(bytes).to_vec();
        assert_eq!(told, ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "1.5 TiB"]);
        let told: Vec<String> = [5, 1500, 90_000, 604_800_000].map(duration_ms).to_vec();
        assert_eq!(told, ["5 ms", "1500 ms", "90 s", "7 d"]);
    }
}
