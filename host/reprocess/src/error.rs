//! Why dead letters could not be read or sent back.

use std::fmt;

/// An error of reprocessing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The transport failed.
    Transport(pawl_transport::Error),
    /// The operators could not be made ready to try records.
    Service(pawl_service::Error),
    /// Another tool took over. What this one sent stands in the ledger.
    Fenced {
        /// Dead letters that this run sent before.
        sent: u64,
    },
    /// The ledger knows no such run.
    UnknownRun {
        /// Which.
        run: String,
    },
    /// A row of the ledger, or of the reviews, is not what is written there.
    Damaged {
        /// The topic.
        topic: String,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// Reading ended in the middle, which is a bug.
    Reader,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Transport(error) => error.fmt(f),
            Error::Service(error) => error.fmt(f),
            Error::Fenced { sent } => write!(
                f,
                "another replay of this pipeline has taken over; this one sent {sent} dead letters \
                 before, and they are in the ledger: let the other one end, then run this again"
            ),
            Error::UnknownRun { run } => write!(
                f,
                "no dead letter that is still kept was sent by run {run}: look at the id that the \
                 run was told by, or leave it out, which begins a new one"
            ),
            Error::Damaged { topic, offset, what } => {
                write!(f, "row {offset} of {topic} cannot be read: {what}")
            }
            Error::Reader => f.write_str("reading the dead letters ended in the middle"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its text is this error's own.
            Error::Transport(error) => error.source(),
            Error::Service(error) => error.source(),
            _ => None,
        }
    }
}

impl From<pawl_transport::Error> for Error {
    fn from(error: pawl_transport::Error) -> Self {
        Error::Transport(error)
    }
}

impl From<pawl_service::Error> for Error {
    fn from(error: pawl_service::Error) -> Self {
        Error::Service(error)
    }
}
