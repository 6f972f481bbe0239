//! Writing to stdout and stderr without ever panicking: a reader that went away is an error value,
//! and `failure` makes a quiet end of it.

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
    drop(writeln!(io::stderr().lock(), "pawl: {text}"));
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
