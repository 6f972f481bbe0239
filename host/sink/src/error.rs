//! Why a sink as a whole failed, and who must act. What became of single records stands in their
//! verdicts.

use std::fmt;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The receiver does not answer, or is not ready: trying again may help.
    Transient {
        /// Short stable name: `connect`, `timeout`.
        kind: String,
        /// What happened, without secrets.
        what: String,
    },
    /// A higher epoch has taken over: this owner must stop.
    Fenced {
        /// The epoch that was found.
        epoch: u64,
    },
    /// Only a person can help: a missing table, a wrong password, a full disk.
    Fatal {
        /// Short stable name.
        code: &'static str,
        /// What is wrong and what to do, without secrets.
        what: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Transient { kind, what } => write!(f, "{kind}: {what}"),
            Error::Fenced { epoch } => write!(
                f,
                "fenced: epoch {epoch} has taken over; stop one of the two hosts, or, if no other \
                 runs this pipeline (its data was lost or put back), remove the owner's mark at \
                 the receiver (sql: its row in pawl_fence)"
            ),
            Error::Fatal { code, what } => write!(f, "{code}: {what}"),
        }
    }
}

impl std::error::Error for Error {}
