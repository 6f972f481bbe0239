//! What can go wrong in a source, and who must act. The class is decided here, where the error is
//! made; whoever runs sources starts one again after a transient error and after no other.

use std::path::Path;

/// Who must act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Starting the source again, a little later, may help. Nothing was lost.
    Transient,
    /// A person must act first. Nothing that is durable was lost.
    Fatal,
}

/// An error of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The transport failed.
    Transport(pawl_transport::Error),
    /// The system refused something that it may grant later.
    System {
        /// What was tried, on what.
        doing: String,
        /// What the system said.
        what: String,
    },
    /// A person must act.
    Fatal {
        /// Short stable name.
        code: &'static str,
        /// What happened, and what to do.
        what: String,
    },
}

impl Error {
    /// Who must act.
    pub fn class(&self) -> Class {
        match self {
            Self::Transport(error) if error.class() == pawl_transport::Class::Transient => {
                Class::Transient
            }
            Self::System { .. } => Class::Transient,
            Self::Transport(_) | Self::Fatal { .. } => Class::Fatal,
        }
    }

    /// Short stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Transport(error) => match error.class() {
                pawl_transport::Class::Fenced => "fenced",
                _ => "transport",
            },
            Self::System { .. } => "system",
            Self::Fatal { code, .. } => code,
        }
    }

    /// Of a call on a file or folder.
    pub(crate) fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::System { doing: format!("{doing} {}", path.display()), what: error.to_string() }
    }

    /// One that a person must act on.
    pub(crate) fn fatal(code: &'static str, what: impl Into<String>) -> Self {
        Self::Fatal { code, what: what.into() }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::System { doing, what } => write!(f, "failed to {doing}: {what}"),
            Self::Fatal { code, what } => write!(f, "{code}: {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<pawl_transport::Error> for Error {
    fn from(error: pawl_transport::Error) -> Self {
        Self::Transport(error)
    }
}
