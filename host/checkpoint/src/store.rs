//! What a checkpoint store can do. A store in a folder and one in an object store share this, and
//! the suite: checkpoints are immutable, named by epoch and sequence, and created only once.

use crate::checkpoint::{Checkpoint, Draft, Header};
use crate::error::Error;
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use pawl_core::record::Offset;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes that the new checkpoint itself takes.
    pub bytes: u64,
    /// Parts whose bytes were given.
    pub parts_given: usize,
    /// Unchanged parts that were copied out of files which are no longer worth keeping.
    pub parts_copied: usize,
    /// Unchanged parts that stayed where they are.
    pub parts_referenced: usize,
    /// Earlier checkpoints in whose files those lie.
    pub files_referenced: usize,
}

/// What is left after `keep`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The checkpoints one can restore from, newest first; of both tiers, if there are two.
    pub headers: Vec<Header>,
    /// Below what input and decisions may be let go (AL-2). None: nothing may be, because a tier
    /// holds fewer checkpoints than it should, or because it is unknown which it holds.
    pub floor: Option<Floor>,
    /// Checkpoints that were removed.
    pub removed: Vec<CheckpointName>,
}

/// What the neediest of the kept checkpoints needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// Input is needed from here on.
    pub position: Offset,
    /// Decisions are needed from this number on.
    pub decisions: u64,
    /// Dead letters that were sent back are needed from here on.
    pub admitted: Offset,
}

impl Floor {
    /// What the neediest of these checkpoints needs. None without any. Not simply what the oldest
    /// needs: after a change of owners a later checkpoint may lie at an earlier place.
    pub fn of<'a>(headers: impl Iterator<Item = &'a Header>) -> Option<Self> {
        let of_one = |header: &Header| Self {
            position: header.progress.position,
            decisions: header.progress.decisions,
            admitted: header.progress.admitted,
        };
        headers.map(of_one).reduce(Self::lower)
    }

    /// What both need.
    pub fn lower(self, other: Self) -> Self {
        Self {
            position: self.position.min(other.position),
            decisions: self.decisions.min(other.decisions),
            admitted: self.admitted.min(other.admitted),
        }
    }
}

/// Where a state came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecoveryPath {
    /// From the store on this machine.
    Local,
    /// From the remote store.
    Remote,
    /// There was no checkpoint.
    Fresh,
}

impl RecoveryPath {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Local, Self::Remote, Self::Fresh];

    /// Its name in metrics and logs, which never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Fresh => "fresh",
        }
    }
}

/// Where to go on from.
#[derive(Debug)]
pub struct Found {
    /// The newest valid checkpoint, if any is.
    pub checkpoint: Option<Checkpoint>,
    /// Those that are newer and cannot be used, newest first, and why: to be told loudly.
    pub rejected: Vec<(CheckpointName, Error)>,
    /// Where the checkpoint was read. `Fresh` with any `rejected`: there were checkpoints and none
    /// can be used, so only a person can decide to start with nothing.
    pub path: RecoveryPath,
}

/// A checkpoint store of one pipeline.
pub trait Store: Send + Sync {
    /// Whoever takes a task over calls this once, before reading or writing its checkpoints: what
    /// an earlier owner left half done is removed, and what it finished is made durable.
    fn take_over(&self, task: &TaskId) -> Result<(), Error>;

    /// Writes a checkpoint. When this returns it is durable and was read back and verified. On an
    /// error the checkpoints that were there are as they were.
    fn write(&self, draft: &Draft) -> Result<Written, Error>;

    /// All checkpoints of a task, valid or not, newest first.
    fn names(&self, task: &TaskId) -> Result<Vec<CheckpointName>, Error>;

    /// The header of a checkpoint, verified; the rest of the checkpoint may still be damaged.
    fn header(&self, task: &TaskId, name: CheckpointName) -> Result<Header, Error>;

    /// A whole checkpoint, every byte verified.
    fn read(&self, task: &TaskId, name: CheckpointName) -> Result<Checkpoint, Error>;

    /// Removes checkpoints that are older than the `newest` newest valid ones and hold nothing
    /// that these refer to. Removes none as long as there are fewer valid ones. 0 counts as 1.
    fn keep(&self, task: &TaskId, newest: usize) -> Result<Kept, Error>;

    /// Stores a component or a configuration durably and returns its name: the SHA-256 of its
    /// bytes, lower-case hex. Must come before the first checkpoint that names it.
    fn put_object(&self, bytes: &[u8]) -> Result<String, Error>;

    /// The object of this name, verified.
    fn object(&self, digest: &str) -> Result<Vec<u8>, Error>;

    /// The newest valid checkpoint, and what had to be passed over (CK-3). An error if that cannot
    /// be told: the store does not answer, or a newer Pawl wrote a later one.
    fn newest(&self, task: &TaskId) -> Result<Found, Error> {
        newest_of(self, task, RecoveryPath::Local)
    }
}

/// The newest valid checkpoint of a store with one tier.
pub(crate) fn newest_of<S: Store + ?Sized>(
    store: &S,
    task: &TaskId,
    path: RecoveryPath,
) -> Result<Found, Error> {
    let mut rejected = Vec::new();
    for name in store.names(task)? {
        match store.read(task, name) {
            Ok(checkpoint) => return Ok(Found { checkpoint: Some(checkpoint), rejected, path }),
            Err(error) if error.is_damage() => rejected.push((name, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(Found { checkpoint: None, rejected, path: RecoveryPath::Fresh })
}
