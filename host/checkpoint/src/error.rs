//! What can go wrong in the store, told apart by what the caller does about it.

use crate::checkpoint::PartKey;
use pawl_codec::Error as FormatError;
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Why the store did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A checkpoint of this name is there already; it was left as it is.
    Exists {
        /// Whose.
        task: TaskId,
        /// Which.
        name: CheckpointName,
    },
    /// A later checkpoint is there, so whoever writes this one no longer owns the task (FN-1).
    Superseded {
        /// Whose.
        task: TaskId,
        /// The one that was to be written.
        name: CheckpointName,
        /// The later one.
        by: CheckpointName,
    },
    /// The caller asked for what makes no sense. A mistake of the host.
    Refused {
        /// What is wrong.
        what: String,
    },
    /// A part was said to be unchanged and is not in the base: give all parts in full.
    NoSuchPart {
        /// Which part.
        key: PartKey,
        /// The base of the draft.
        base: Option<CheckpointName>,
    },
    /// Bytes are not those that were written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// The byte at which the damaged piece begins.
        at: u64,
        /// Which piece, and what is wrong with it.
        what: String,
    },
    /// The beginning of a checkpoint could not be read: damaged, something else, or newer.
    Format {
        /// The file.
        path: PathBuf,
        /// What the codec says.
        error: FormatError,
    },
    /// A whole checkpoint, but not the one that its place says.
    Foreign {
        /// The file.
        path: PathBuf,
        /// What its place says.
        expected: String,
        /// What it says itself.
        found: String,
    },
    /// A file that must be there is not.
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// The disk or the quota is full. Nothing was changed.
    Full {
        /// The file that did not fit.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Any other failure of the system. Nothing was changed.
    Io {
        /// What was being done, as in "failed to ...".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The system could not make a write durable. What is on the disk now is unknown, and asking
    /// again would only seem to succeed: end the process and recover (fatal).
    Sync {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Not every checkpoint was copied to the remote store before the end. They are on this
    /// machine, and the next start goes on copying.
    NotReplicated {
        /// The remote store's address.
        store: String,
        /// Which checkpoints, of which task, and why.
        checkpoints: Vec<String>,
        /// How long it was waited for them, in milliseconds.
        wait_max_ms: u64,
    },
    /// An earlier `Sync` failed, and nothing more is written (fatal).
    Poisoned {
        /// That failure.
        by: String,
    },
}

impl Error {
    /// Whether this checkpoint can never be read, so that an older one is the next to try. False
    /// for one that a newer Pawl wrote, and for a disk that does not answer.
    pub fn is_damage(&self) -> bool {
        match self {
            Error::Damaged { .. } | Error::Foreign { .. } | Error::Absent { .. } => true,
            Error::Format { error, .. } => !error.is_newer_version(),
            _ => false,
        }
    }

    /// Whether the process must end and recover.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Error::Sync { .. } | Error::Poisoned { .. })
    }

    /// Whether the same may work later: the disk is full, or a store does not answer.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Full { .. } | Error::Io { .. } | Error::NotReplicated { .. })
    }

    /// Whether a name was taken already.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, Error::Io { error, .. } if error.kind() == io::ErrorKind::AlreadyExists)
    }

    /// The right error for a failed system call; `doing` as in "failed to ...".
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, error: io::Error) -> Self {
        let path = path.into();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::Full { path, error }
            }
            io::ErrorKind::NotFound => Error::Absent { path },
            _ => Error::Io { doing, path, error },
        }
    }
}

impl Error {
    /// The right error for a failed read at byte `at`. A sector that the disk cannot read is lost
    /// like one that reads wrong: only this checkpoint is given up.
    pub(crate) fn reading(path: &Path, at: u64, error: io::Error) -> Self {
        const EIO: i32 = 5; // on Linux and macOS
        let kinds = [io::ErrorKind::UnexpectedEof, io::ErrorKind::IsADirectory];
        if error.raw_os_error() == Some(EIO) || kinds.contains(&error.kind()) {
            return Error::Damaged { path: path.to_owned(), at, what: error.to_string() };
        }
        Error::io("read", path, error)
    }
}

/// A checkpoint's name as people and files write it.
pub(crate) fn shown(name: &CheckpointName) -> String {
    format!("{}-{}", name.epoch, name.sequence)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Exists { task, name } => {
                write!(f, "checkpoint {} of task {task} exists already", shown(name))
            }
            Error::Superseded { task, name, by } => write!(
                f,
                "checkpoint {} of task {task} is superseded by {}: another owner has taken the \
                 task over",
                shown(name),
                shown(by)
            ),
            Error::Refused { what } => write!(f, "could not use the checkpoint store: {what}"),
            Error::NoSuchPart { key, base: Some(base) } => write!(
                f,
                "{key} is not in checkpoint {}, in which it was said to be: give it in full",
                shown(base)
            ),
            Error::NoSuchPart { key, base: None } => {
                write!(f, "{key} has neither bytes nor a checkpoint that holds them")
            }
            Error::Damaged { path, at, what } => write!(
                f,
                "{} is damaged at byte {at}: {what}; restore the file from a copy, or go on from \
                 an older checkpoint",
                path.display()
            ),
            Error::Format { path, error } => {
                write!(f, "could not read {}: {error}", path.display())
            }
            Error::Foreign { path, expected, found } => write!(
                f,
                "{} is {found} instead of {expected}: move the file back where it belongs",
                path.display()
            ),
            Error::Absent { path } => write!(f, "{} is not there", path.display()),
            Error::Full { path, error } => write!(
                f,
                "no room to write {}: {error}; free some space, nothing was lost",
                path.display()
            ),
            Error::Io { doing, path, error } => {
                write!(f, "failed to {doing} {}: {error}", path.display())
            }
            Error::Sync { path, error } => write!(
                f,
                "failed to make {} durable: {error}; check the disk, then start again",
                path.display()
            ),
            Error::NotReplicated { store, checkpoints, wait_max_ms } => write!(
                f,
                "after {wait_max_ms} ms not in {store}: {}; keep this machine's checkpoints, and \
                 start here again to copy them",
                checkpoints.join(", ")
            ),
            Error::Poisoned { by } => {
                write!(f, "nothing is written any more since this happened: {by}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Format { error, .. } => Some(error),
            Error::Full { error, .. } | Error::Io { error, .. } | Error::Sync { error, .. } => {
                Some(error)
            }
            _ => None,
        }
    }
}
