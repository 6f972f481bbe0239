//! The trait of a sink and its plain values.

use crate::error::Error;

/// Who delivers: a task at one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Name of the sink's stage.
    pub stage: String,
    /// Partition of its input topic.
    pub partition: u32,
    /// The epoch that it claimed; owners of lower epochs must be able to do no harm.
    pub epoch: u64,
    /// Identity of the log that positions belong to: positions of two logs say nothing of each
    /// other. Empty: unknown.
    pub log: String,
}

/// One record to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// Its offset in the input topic of the owner's log; ascending within and between calls, with
    /// gaps. After a crash records come again from an earlier one on, with the same offsets and
    /// the same bytes.
    pub position: u64,
    /// The idempotency key: the same effect always has the same id, whatever runs and hosts.
    pub id: &'a str,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the Unix epoch, if it has an event time.
    pub event_time: Option<i64>,
    /// Names and values.
    pub headers: Vec<(&'a str, &'a [u8])>,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it, durably as far as it says so.
    Delivered,
    /// The receiver will never take it: to the dead letters.
    Rejected {
        /// Short stable name: `http-400`, `constraint`.
        kind: String,
        /// For a person.
        message: String,
    },
    /// It may be taken later: to be tried again.
    Failed {
        /// Short stable name: `http-503`, `timeout`, `connect`.
        kind: String,
        /// For a person.
        message: String,
        /// The receiver asked to wait so many milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// It was not tried, since one before it that must come first failed.
    Waiting,
    /// At most once: it was sent and nobody knows whether it was taken. Never tried again.
    Unknown {
        /// Short stable name: `timeout`, `connection-lost`.
        kind: String,
        /// For a person.
        message: String,
    },
}

/// Where effects of one task leave the system. Calls block, and are bounded in time.
pub trait Sink: Send {
    /// Takes the place over for this owner: connects, fences lower epochs, finds out what is there.
    /// Called before the first delivery, and again after it failed with a transient error.
    fn open(&mut self, owner: &Owner) -> Result<(), Error>;

    /// Delivers records in order and returns one verdict for each. An error says nothing of the
    /// records: those that are there already must not take effect twice when they come again.
    fn deliver(&mut self, records: &[Delivery<'_>]) -> Result<Vec<Verdict>, Error>;

    /// Called at least every second or so while nothing is to be delivered: what is due by time,
    /// such as a new file, is done here.
    fn rest(&mut self) -> Result<(), Error>;
}
