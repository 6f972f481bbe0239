//! What can go wrong in a transport, and who must act: the class is decided here, where the error
//! is made. An error never hides which topic, partition, offset or task it is about.

use pawl_core::commit::{Progress, TaskId};
use pawl_core::record::Offset;
use std::path::PathBuf;

/// Who must act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing was stored; the same call may succeed a little later.
    Transient,
    /// Stop the task or the process and lose nothing: trying again makes it worse or cannot help.
    Fatal,
    /// Somebody else owns the task now.
    Fenced,
    /// The caller asked for something that does not exist or cannot be; nothing was stored.
    Usage,
}

/// What kind of failure of the storage below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageKind {
    /// No space left, or the configured size of the database is reached.
    Full,
    /// Reading, writing or syncing failed.
    Io,
    /// What is stored is not what was written.
    Corrupt,
    /// Permissions, or a read-only file system.
    Denied,
    /// Anything else that the storage reports.
    Other,
}

/// An error of a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Another process holds the write lock for too long.
    Busy {
        /// What was tried.
        doing: &'static str,
    },
    /// The storage failed.
    Storage {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Kind of failure.
        kind: StorageKind,
        /// What the storage said.
        what: String,
    },
    /// An earlier write failed in a way after which nothing may be trusted or tried again.
    Poisoned {
        /// The failure that came first.
        first: String,
    },
    /// Stored rows are damaged.
    Damaged {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
        /// Where the damage begins.
        offset: Offset,
        /// What is wrong.
        what: String,
    },
    /// A task's stored commit or one of its decisions is damaged.
    DamagedTask {
        /// The task.
        task: TaskId,
        /// What is wrong.
        what: String,
    },
    /// A commit lies below the one that is stored.
    Backwards {
        /// The task.
        task: TaskId,
        /// What is stored.
        stored: Progress,
        /// What was given.
        given: Progress,
    },
    /// A decision was stored before under the same number, with other content.
    DecisionDiffers {
        /// The task.
        task: TaskId,
        /// The decision's number.
        number: u64,
    },
    /// The epoch is not the one that was claimed last.
    Fenced {
        /// The task.
        task: TaskId,
        /// The epoch of the caller.
        epoch: u64,
        /// The epoch that holds the task; 0 if it was never claimed.
        newest: u64,
    },
    /// An earlier commit of the task failed: that one must come again first, or a new owner.
    Behind {
        /// The task.
        task: TaskId,
        /// The commit that failed.
        failed: Progress,
    },
    /// No topic of this name.
    UnknownTopic {
        /// The name.
        topic: String,
    },
    /// The topic has no such partition.
    UnknownPartition {
        /// Topic.
        topic: String,
        /// The partition asked for.
        partition: u32,
        /// How many it has.
        partitions: u32,
    },
    /// The topic has more partitions than asked for; partitions cannot be taken away.
    PartitionsShrink {
        /// Topic.
        topic: String,
        /// How many it has.
        stored: u32,
        /// How many were asked for.
        asked: u32,
    },
    /// The rows asked for are no longer kept.
    Trimmed {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
        /// The offset asked for.
        from: Offset,
        /// The first that is kept.
        first: Offset,
    },
    /// The rows asked for lie behind the end: input that was there once is lost.
    BeyondEnd {
        /// Topic.
        topic: String,
        /// Partition.
        partition: u32,
        /// The offset asked for.
        from: Offset,
        /// Where the partition ends.
        end: Offset,
    },
    /// What was given is not well formed, or larger than can be stored.
    Invalid {
        /// What is wrong.
        what: String,
    },
    /// A write on a transport that was opened for reading only.
    ReadOnly {
        /// What was tried.
        doing: &'static str,
    },
    /// There is no database.
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is not a database of Pawl.
    NotPawl {
        /// The file.
        path: PathBuf,
        /// How that was seen.
        what: String,
    },
    /// A later version of Pawl wrote the database.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version that this program writes.
        known: i64,
    },
    /// Another process runs on the same folder.
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the holder wrote about itself.
        holder: String,
    },
}

impl Error {
    /// Who must act.
    pub fn class(&self) -> Class {
        match self {
            Self::Busy { .. } | Self::Behind { .. } => Class::Transient,
            Self::Fenced { .. } => Class::Fenced,
            Self::UnknownTopic { .. }
            | Self::UnknownPartition { .. }
            | Self::PartitionsShrink { .. }
            | Self::Invalid { .. }
            | Self::ReadOnly { .. }
            | Self::Missing { .. }
            | Self::NotPawl { .. }
            | Self::Newer { .. }
            | Self::Locked { .. } => Class::Usage,
            // Trimmed and BeyondEnd: for a task its input is gone. Who only looks may match them.
            Self::Storage { .. }
            | Self::Poisoned { .. }
            | Self::Damaged { .. }
            | Self::DamagedTask { .. }
            | Self::Backwards { .. }
            | Self::DecisionDiffers { .. }
            | Self::Trimmed { .. }
            | Self::BeyondEnd { .. } => Class::Fatal,
        }
    }

    /// Whether the whole transport is beyond use, not only the task that met the error.
    pub fn poisons(&self) -> bool {
        matches!(self, Self::Storage { .. } | Self::Poisoned { .. })
    }
}

impl StorageKind {
    fn advice(self) -> &'static str {
        match self {
            Self::Full => "; free space (or raise the bound) and start again, nothing is lost",
            Self::Io => "; see whether the disk is full or failing before starting again",
            Self::Corrupt => {
                "; keep a copy of the file with its -wal, check the disk, and restore a backup or \
                 start with an empty folder"
            }
            Self::Denied => "; the folder and its files must be writable for this user",
            Self::Other => "",
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy { doing } => write!(
                f,
                "failed to {doing}: another process holds the write lock; try again later"
            ),
            Self::Storage { path, doing, kind, what } => {
                write!(f, "failed to {doing} {}: {what}{}", path.display(), kind.advice())
            }
            Self::Poisoned { first } => {
                write!(f, "an earlier write failed and nothing more is accepted: {first}")
            }
            Self::Damaged { topic, partition, offset, what } => write!(
                f,
                "{topic}/{partition} is damaged at offset {offset}: {what}{}",
                StorageKind::Corrupt.advice()
            ),
            Self::DamagedTask { task, what } => write!(
                f,
                "what is stored of task {task} is damaged: {what}{}",
                StorageKind::Corrupt.advice()
            ),
            Self::Backwards { task, stored, given } => write!(
                f,
                "commit of task {task} goes back: stored {}, given {}",
                Shown(stored),
                Shown(given)
            ),
            Self::DecisionDiffers { task, number } => {
                write!(f, "decision {number} of task {task} is stored with other content")
            }
            Self::Fenced { task, epoch, newest } => write!(
                f,
                "epoch {epoch} of task {task} is fenced: epoch {newest} holds it; stop this owner"
            ),
            Self::Behind { task, failed } => write!(
                f,
                "commit of task {task} follows one that failed, to {}: that one must come first",
                Shown(failed)
            ),
            _ => self.fmt_usage(f),
        }
    }
}

impl Error {
    /// What is wrong with the question rather than with what is stored.
    fn fmt_usage(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownTopic { topic } => write!(f, "no topic is named {topic}"),
            Self::UnknownPartition { topic, partition, partitions } => {
                write!(f, "topic {topic} has no partition {partition}: it has {partitions}, from 0")
            }
            Self::PartitionsShrink { topic, stored, asked } => write!(
                f,
                "topic {topic} has {stored} partitions and cannot be cut to {asked}: ask for \
                 {stored} or more, or use another name"
            ),
            Self::Trimmed { topic, partition, from, first } => write!(
                f,
                "{topic}/{partition} no longer keeps offset {from}: the first it keeps is {first}; a \
                 stage with another name begins there"
            ),
            Self::BeyondEnd { topic, partition, from, end } => write!(
                f,
                "{topic}/{partition} ends at {end}, before the offset {from} asked for: input was \
                 lost, or the position belongs to another database"
            ),
            Self::Invalid { what } => write!(f, "cannot be stored: {what}"),
            Self::ReadOnly { doing } => {
                write!(f, "failed to {doing}: the database was opened for reading only")
            }
            Self::Missing { path } => write!(
                f,
                "no database at {}: the first run or produce on the pipeline makes it",
                path.display()
            ),
            Self::NotPawl { path, what } => {
                write!(f, "{} is not a database of pawl: {what}", path.display())
            }
            Self::Newer { path, found, known } => write!(
                f,
                "{} has format version {found}, this pawl knows versions up to {known}: use the \
                 version of pawl that wrote it, or a later one",
                path.display()
            ),
            Self::Locked { path, holder } => {
                write!(f, "{} is held by {holder}: stop that process first", path.display())
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// A progress for a person.
struct Shown<'a>(&'a Progress);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Progress { position, ticks, decisions, admitted } = self.0;
        write!(f, "position {position} with {ticks} ticks and {decisions} decisions")?;
        match admitted {
            0 => Ok(()),
            some => write!(f, ", and {some} sent back"),
        }
    }
}

/// Which kind of storage failure an error of the file system is.
pub(crate) fn io_kind(error: &std::io::Error) -> StorageKind {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => StorageKind::Full,
        PermissionDenied | ReadOnlyFilesystem => StorageKind::Denied,
        _ => StorageKind::Io,
    }
}
