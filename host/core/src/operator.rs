//! The contract with operators, as the host sees it: `wit/operator-0.1.0` in plain values.
//!
//! Operators are the world outside for the core, so they stand behind a trait: a sandboxed
//! component in the service, a few lines of Rust in the model tests. Nothing here trusts them:
//! columns are checked where they are lifted, what they mean is checked by `chain`.

use crate::column::ByteColumn;
use crate::identity::Id;
use crate::record::{Offset, Records, Timestamp};

/// The cause that says: still owed to the last row of the call before.
pub const CAUSE_OWED: u32 = u32::MAX;

/// Records as an operator gets them, in order; every column has one row per record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Keys.
    pub keys: ByteColumn,
    /// Values.
    pub values: ByteColumn,
    /// None lies behind the watermark last given to `advance`.
    pub event_times: Vec<Timestamp>,
    /// One column for each header that `Wiring::wants` names, in that order.
    pub headers: Vec<ByteColumn>,
}

impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.event_times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.event_times.is_empty()
    }
}

/// Records that an operator sends on, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emissions {
    /// Index into `Wiring::outputs`. Empty: all to output 0.
    pub outputs: Vec<u8>,
    /// Keys.
    pub keys: ByteColumn,
    /// Values.
    pub values: ByteColumn,
    /// Event times; one per emission, so their number is the number of emissions.
    pub event_times: Vec<Timestamp>,
    /// The row during whose turn each was made, ascending; empty after `advance`.
    pub causes: Vec<u32>,
    /// Ids. No rows, or an absent row: the host derives one.
    pub ids: ByteColumn,
    /// Empty: as the cause.
    pub priorities: Vec<u8>,
    /// One column for each header that `Wiring::sets` names.
    pub headers: Vec<ByteColumn>,
}

impl Emissions {
    /// How many emissions there are.
    pub fn len(&self) -> usize {
        self.event_times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.event_times.is_empty()
    }
}

/// What becomes of a record that an operator does not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Can never be used: to the dead letters.
    Permanent,
    /// Dropped on purpose, and counted.
    Discard,
}

/// A row that an operator does not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Row of the call.
    pub row: u32,
    /// Dead or dropped.
    pub verdict: Verdict,
    /// A short stable name.
    pub kind: String,
    /// For a person.
    pub message: String,
}

/// What one call returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Records to send on.
    pub emissions: Emissions,
    /// Ascending by row.
    pub rejections: Vec<Rejection>,
    /// Rows dealt with; those from here on have left no trace.
    pub taken: u32,
    /// The last row taken (or the watermark) owes more than fitted.
    pub more: bool,
}

/// How a configured operator is joined to its surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// Names of the outputs; at least one for an operator that emits.
    pub outputs: Vec<String>,
    /// Headers that it reads.
    pub wants: Vec<String>,
    /// Headers that it writes.
    pub sets: Vec<String>,
    /// Whether an emission carries its cause's other headers on.
    pub inherits_headers: bool,
    /// By how many milliseconds an emission may lie behind the watermark.
    pub delay: u64,
    /// By how many milliseconds an emission may lie ahead of its cause, or of the watermark.
    pub ahead: u64,
}

/// Who an operator says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// The format that `snapshot` writes.
    pub state_version: u32,
    /// The formats that `restore` reads.
    pub restores: Vec<u32>,
}

/// Why a call gave no outcome. After any of these the instance is not used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The guest trapped: panic, unreachable, out of bounds, stack.
    Trap(String),
    /// It ran longer than its limit.
    Timeout(String),
    /// It asked for more memory or table than its limit.
    Memory(String),
    /// It returned what the contract forbids.
    BadReturn(String),
    /// A sink was asked to stop, or cannot go on; no record is to blame.
    Halted(String),
}

impl Failure {
    /// The disposition that a dead letter of this failure bears, and its error kind.
    pub fn disposition(&self) -> &'static str {
        match self {
            Failure::Trap(_) | Failure::BadReturn(_) => "trap",
            Failure::Timeout(_) => "timeout",
            Failure::Memory(_) => "memory",
            Failure::Halted(_) => "halted",
        }
    }

    /// A short stable name for counters and filters.
    pub fn kind(&self) -> &'static str {
        match self {
            Failure::Trap(_) => "trap",
            Failure::Timeout(_) => "timeout",
            Failure::Memory(_) => "memory",
            Failure::BadReturn(_) => "bad-return",
            Failure::Halted(_) => "halted",
        }
    }

    /// What happened, for a person.
    pub fn message(&self) -> &str {
        match self {
            Failure::Trap(text)
            | Failure::Timeout(text)
            | Failure::Memory(text)
            | Failure::BadReturn(text)
            | Failure::Halted(text) => text,
        }
    }
}

/// One configured operator on one partition, ready to compute.
pub trait Operator {
    /// Deals with the rows of `batch` from the first on; see `Outcome::taken` and `more`.
    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure>;

    /// The watermark reached a tick.
    fn advance(&mut self, watermark: Timestamp) -> Result<Outcome, Failure>;

    /// Takes records out of the system, in order, and returns one receipt for each. Only the sink
    /// of a stage is asked, and never for what it was asked before the last commit.
    fn deliver(&mut self, items: &Deliveries<'_>) -> Result<Vec<Receipt>, Failure> {
        Err(Failure::BadReturn(format!("is no sink and got {} records", items.items.len())))
    }
}

/// Records to deliver, by reference.
#[derive(Clone, Debug)]
pub struct Deliveries<'a> {
    /// The columns in which they lie.
    pub records: &'a Records,
    /// For each its row there, its id, and its offset in the input, ascending.
    pub items: Vec<(usize, Id, Offset)>,
    /// They were sent back: offsets are those of their own topic, not of the input.
    pub sent_back: bool,
}

/// What became of a record that was to leave the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The receiver has it.
    Delivered,
    /// It is not sent (again): to the dead letters, by decision.
    Undelivered {
        /// `sink-rejected`, `retries-exhausted`, `delivery-unknown`.
        disposition: &'static str,
        /// Short stable name.
        kind: String,
        /// For a person.
        message: String,
        /// How often it was tried again before that.
        retries: u64,
    },
}
