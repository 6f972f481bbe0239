//! The one trait that a plugin implements, and the plain values around it.

use crate::{Emitter, OldPart, Record, State};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A stream operator: records in, records out, state in pieces that the SDK stores.
///
/// What it does must follow from its configuration, its state and its input alone. Keep state in
/// [`crate::Buckets`], [`crate::Tumbling`], [`crate::Sliding`] and [`crate::Single`], never in a
/// hash map, whose order differs from run to run.
pub trait Operator: Sized + 'static {
    /// Short stable name.
    const NAME: &'static str;
    /// Version of the plugin; usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// The format of the state. Raise it whenever a type in the state changes.
    const STATE_VERSION: u32 = 1;
    /// Older formats that `migrate` reads.
    const MIGRATES: &'static [u32] = &[];
    /// The configuration, from JSON. Derive `Deserialize` with `deny_unknown_fields`;
    /// [`NoConfig`] if there is none.
    type Config: DeserializeOwned;

    /// Makes the operator and says how it is joined to its surroundings. An error names the field
    /// and what it should be.
    fn configure(config: Self::Config) -> Result<(Self, Wiring), String>;

    /// Deals with one record. What a rejected record emitted is taken back by the SDK; changes of
    /// the state are not, so look before you change it.
    fn process(&mut self, record: Record<'_>, out: &mut Emitter<'_>) -> Result<(), Rejection>;

    /// No record before `watermark` (milliseconds since the Unix epoch) will come any more.
    /// Emissions bear the watermark as event time unless told otherwise.
    fn advance(&mut self, watermark: i64, out: &mut Emitter<'_>) {
        let _ = (watermark, out);
    }

    /// All pieces of the state (256 at most), always the same ones in the same order.
    fn state(&mut self) -> Vec<&mut dyn State> {
        Vec::new()
    }

    /// Takes up one part of the state that an older version wrote, in a format of `MIGRATES`.
    fn migrate(&mut self, version: u32, part: OldPart<'_>) -> Result<(), String> {
        let _ = part;
        Err(format!("{} has no migration from state version {version}", Self::NAME))
    }
}

/// The configuration of an operator that has none.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// How a configured operator is joined to its surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// Names of the outputs, in the order of their indices.
    pub outputs: Vec<String>,
    /// Headers that it reads, in the order of `Record::header`.
    pub wants: Vec<String>,
    /// Headers that it writes, in the order of `Emission::header`.
    pub sets: Vec<String>,
    /// Whether an emission carries its cause's other headers on.
    pub inherits_headers: bool,
    /// By how many milliseconds an emission may lie behind the watermark.
    pub delay: u64,
    /// By how many milliseconds an emission may lie ahead of its cause, or of the watermark.
    pub ahead: u64,
}

impl Wiring {
    /// An operator with one output of this name.
    pub fn to(output: &str) -> Self {
        Self::default().output(output)
    }

    /// One more output.
    pub fn output(mut self, name: &str) -> Self {
        self.outputs.push(name.to_owned());
        self
    }

    /// One more header that is read.
    pub fn wants(mut self, header: &str) -> Self {
        self.wants.push(header.to_owned());
        self
    }

    /// One more header that is written.
    pub fn sets(mut self, header: &str) -> Self {
        self.sets.push(header.to_owned());
        self
    }

    /// Emissions carry their cause's other headers on.
    pub fn inherits_headers(mut self) -> Self {
        self.inherits_headers = true;
        self
    }

    /// Emissions may lie this many milliseconds behind the watermark.
    pub fn delay(mut self, milliseconds: u64) -> Self {
        self.delay = milliseconds;
        self
    }

    /// Emissions may lie this many milliseconds ahead of their cause, or of the watermark.
    pub fn ahead(mut self, milliseconds: u64) -> Self {
        self.ahead = milliseconds;
        self
    }
}

/// What becomes of a record that is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Can never be used: to the dead letters.
    Permanent,
    /// Dropped on purpose, and counted.
    Discard,
}

/// Why a record is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Dead or dropped.
    pub verdict: Verdict,
    /// A short stable name, for counters and filters.
    pub kind: String,
    /// For a person.
    pub message: String,
}

impl Rejection {
    /// The record can never be used: it goes to the dead letters, untouched.
    pub fn permanent(kind: &str, message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Permanent, kind: kind.to_owned(), message: message.into() }
    }

    /// The record is dropped on purpose, and counted.
    pub fn discard(kind: &str, message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Discard, kind: kind.to_owned(), message: message.into() }
    }
}

impl From<serde_json::Error> for Rejection {
    fn from(error: serde_json::Error) -> Self {
        Self::permanent("deserialization", error.to_string())
    }
}
