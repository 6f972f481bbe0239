//! The trait of a transport and its plain values. Calls block; what returns `Ok` from a writing
//! call is durable. A transport keeps rows and commits and decides nothing about them.

use crate::error::Error;
use crate::ticket::Ticket;
use pawl_core::commit::{Commit, CommitBatch, TaskId};
use pawl_core::decision::Decision;
use pawl_core::record::{LogBatch, Offset, Producer, Timestamp};
use std::time::Duration;

/// Topics with partitions and offsets, and the commits of tasks.
///
/// A partition is a gapless sequence of rows:
///
/// ```text
/// 0 ... first ............. end
///       kept, can be read   the next row appended gets this offset
/// ```
///
/// Rows are appended in batches, and a batch is kept, read and dropped as a whole. The timestamps
/// of its records are the transport's own: the `now_ms` of the append, and never less than that
/// of the rows before it in the partition.
///
/// Any number of threads may call at once, and with the embedded transport any number of processes
/// may read and produce. Each task is committed by the one owner that claimed it last.
pub trait Transport: Send + Sync {
    /// Which log this is: 128 random bits as 32 lower-case hexadecimal digits, made with the log,
    /// durable. Offsets mean nothing without it: a log that was lost and made anew counts from 0
    /// again, and has another identity. A copy of a log is the same log, until a person says that
    /// it is gone on from anew; see `become_another`.
    fn identity(&self) -> Result<String, Error>;

    /// Gives the log a new identity: it was put back from an older copy, and what is appended from
    /// here on is not what once followed. Only because a person says so.
    fn become_another(&self) -> Result<(), Error>;

    /// Makes a topic, or lets one grow to `partitions`. What is there already is left alone.
    /// `Error::PartitionsShrink` if it has more partitions, `Error::Invalid` for 0.
    fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), Error>;

    /// All topics, ascending by name.
    fn topics(&self) -> Result<Vec<Topic>, Error>;

    /// How many partitions a topic has.
    fn partitions(&self, topic: &str) -> Result<u32, Error>;

    /// The first offset kept and the end. Equal if no row is kept.
    fn range(&self, topic: &str, partition: u32) -> Result<(Offset, Offset), Error>;

    /// Stored batches in order, beginning with the one that holds `from`: the caller skips the rows
    /// before. As many as fit into `max`, at least one if there is one; none if `from` is the end.
    /// `Error::Trimmed` below the first offset kept, `Error::BeyondEnd` above the end,
    /// `Error::Damaged` for rows that are not what was written.
    fn read(
        &self,
        topic: &str,
        partition: u32,
        from: Offset,
        max: ReadMax,
    ) -> Result<Vec<LogBatch>, Error>;

    /// Appends rows from outside of any task and returns the offset of the first. `batch.base` and
    /// the timestamps are set here, whatever they were. Without rows nothing is stored and the end
    /// is returned.
    fn produce(
        &self,
        topic: &str,
        partition: u32,
        batch: LogBatch,
        now_ms: Timestamp,
    ) -> Result<Offset, Error>;

    /// Takes a task over: returns a new epoch, higher than all before and than `above` (the highest
    /// that the caller knows of from elsewhere, such as a checkpoint; else 0). Owners of lower
    /// epochs can commit nothing from now on.
    fn claim(&self, task: &TaskId, above: u64) -> Result<u64, Error>;

    /// What a task left: its last commit and all decisions kept.
    fn recovery(&self, task: &TaskId) -> Result<Recovery, Error>;

    /// Makes a commit durable in one piece: its appends, its decisions and its position. Returns
    /// at once or when the writer has room for it; the ticket tells when it is durable. Commits
    /// of a task are stored in the order in which they were submitted.
    ///
    /// The ticket answers `Error::Fenced` if `commit.epoch` is not the epoch claimed last,
    /// `Error::Backwards` if any part of the progress lies below the stored one, and
    /// `Error::DecisionDiffers` for a number that is taken. Then nothing of this commit is
    /// stored; commits of other tasks are not touched by it.
    fn submit(&self, batch: CommitBatch, now_ms: Timestamp) -> Ticket;

    /// Forgets a task's decisions with numbers below `below`.
    fn prune_decisions(&self, task: &TaskId, below: u64) -> Result<(), Error>;

    /// Drops whole batches that end at or below `below`, oldest first. The work of one call is
    /// bounded: call again while `more`.
    fn trim(&self, topic: &str, partition: u32, below: Offset) -> Result<Trimmed, Error>;

    /// What a topic keeps, over all its partitions.
    fn retained(&self, topic: &str) -> Result<Retained, Error>;

    /// Drops the oldest batches of a topic until it keeps no more than `max`, or nothing but its
    /// newest batch. The work of one call is bounded: call again while `more`.
    fn drop_oldest(&self, topic: &str, max: Retained) -> Result<Dropped, Error>;

    /// The number of the generation with exactly these producers (in any order). If the newest
    /// generation has others, a new one with the next number begins. The first is 1.
    fn generation(&self, producers: &[Producer]) -> Result<u64, Error>;

    /// Waits until the partition's end lies beyond `beyond` and says whether it does, at the
    /// latest after `timeout`. Appends of this process wake it at once, those of others soon.
    fn wait(
        &self,
        topic: &str,
        partition: u32,
        beyond: Offset,
        timeout: Duration,
    ) -> Result<bool, Error>;
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Name.
    pub name: String,
    /// How many partitions it has, numbered from 0.
    pub partitions: u32,
}

/// How much one read may bring, but for the first batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadMax {
    /// Rows, data and control rows together.
    pub records: usize,
    /// Bytes as stored.
    pub bytes: usize,
}

/// What a task left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The last commit; none if there was none.
    pub commit: Option<Commit>,
    /// All decisions kept, ascending.
    pub decisions: Vec<Decision>,
}

/// What became of a trim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// The first offset kept now.
    pub first: Offset,
    /// Whether more can be dropped at once.
    pub more: bool,
}

/// What a topic keeps, or may keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Data rows.
    pub records: u64,
    /// Bytes as stored.
    pub bytes: u64,
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Data rows dropped.
    pub records: u64,
    /// Whether more must be dropped to reach the bound.
    pub more: bool,
}

/// What both transports refuse before they store anything.
pub(crate) fn check_commit(batch: &CommitBatch) -> Result<(), Error> {
    let ascending = batch.decisions.windows(2).all(|pair| match pair {
        [one, two] => one.number < two.number,
        _ => true,
    });
    if ascending {
        return Ok(());
    }
    Err(Error::Invalid { what: format!("decisions of task {} do not ascend", batch.task) })
}

/// A batch as it is stored, without its place and time: those are known only in the transaction.
pub(crate) fn without_place(mut batch: LogBatch) -> LogBatch {
    batch.base = 0;
    let rows = batch.records.len();
    batch.records.timestamps.clear();
    batch.records.timestamps.resize(rows, 0);
    batch
}

/// Gives a stored batch its place and time back.
pub(crate) fn place(batch: &mut LogBatch, base: Offset, timestamp: Timestamp) {
    batch.base = base;
    batch.records.timestamps.fill(timestamp);
}

/// Whether `given` lies at or behind `stored` in every part.
pub(crate) fn goes_on(
    stored: &pawl_core::commit::Progress,
    given: &pawl_core::commit::Progress,
) -> bool {
    given.position >= stored.position
        && given.ticks >= stored.ticks
        && given.decisions >= stored.decisions
        && given.admitted >= stored.admitted
}
