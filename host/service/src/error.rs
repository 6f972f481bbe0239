//! Why a run, or a task of it, failed. Each error says what, where and what to do; those that a
//! person must act on bear a code.

use pawl_core::commit::TaskId;
use pawl_core::task::Stop;
use pawl_pipeline::Mistake;
use pawl_transport::StorageKind;
use std::fmt;

/// The code of a disk without room, whichever file it was.
const DISK_FULL: &str = "disk-full";

/// An error of the service.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The pipeline cannot run as it is written.
    Pipeline(Vec<Mistake>),
    /// The transport failed.
    Transport(pawl_transport::Error),
    /// The checkpoint store failed.
    Checkpoint(pawl_checkpoint::Error),
    /// A component could not be made ready.
    Component {
        /// Which operator.
        operator: String,
        /// Why.
        error: pawl_sandbox::Error,
    },
    /// The state of an operator was not taken up.
    Restore {
        /// Which operator.
        operator: String,
        /// Why.
        error: pawl_sandbox::RestoreError,
    },
    /// A sink cannot go on.
    Sink {
        /// Which sink.
        sink: String,
        /// Why.
        error: pawl_sink::Error,
    },
    /// An operator failed where no record can be blamed.
    Operator {
        /// Short code: `advance`, `snapshot`, `replay-limit`, `replay-trap`, `sink-retries`, ...
        code: &'static str,
        /// Which operator.
        operator: String,
        /// What happened and what to do.
        what: String,
    },
    /// The task stopped by a rule of the core.
    Stopped {
        /// Name and version of the operators, for the message.
        operators: String,
        /// Why.
        stop: Stop,
    },
    /// Something stored does not fit the pipeline, or cannot be rebuilt.
    State {
        /// Short code: `no-checkpoint`, `semantics`, `operators-changed`, `dead-letters-full`, ...
        code: &'static str,
        /// What, and what to do.
        what: String,
    },
    /// Tasks were given up; the others went on.
    Tasks(Vec<(TaskId, String)>),
    /// Every task was given up, and nobody had asked the run to end.
    GivenUp(Vec<(TaskId, String)>),
    /// The system refused something.
    System {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        error: std::io::Error,
    },
    /// The address for metrics, health and the live page cannot be served.
    Monitor(pawl_monitor::Error),
    /// A task's thread panicked: a bug of the host.
    Panicked(String),
}

impl Error {
    /// A short stable name of what went wrong, as `docs/errors.md` lists it.
    pub fn code(&self) -> &str {
        match self {
            Error::Pipeline(_) => "pipeline",
            Error::Transport(pawl_transport::Error::Fenced { .. })
            | Error::Checkpoint(pawl_checkpoint::Error::Superseded { .. })
            | Error::Sink { error: pawl_sink::Error::Fenced { .. }, .. } => "fenced",
            Error::Transport(pawl_transport::Error::Trimmed { .. }) => "trimmed",
            Error::Transport(pawl_transport::Error::Storage {
                kind: StorageKind::Full, ..
            })
            | Error::Checkpoint(pawl_checkpoint::Error::Full { .. }) => DISK_FULL,
            Error::Transport(_) => "transport",
            Error::Checkpoint(_) => "checkpoint",
            Error::Component { .. } => "component",
            Error::Restore { .. } => "restore",
            Error::Sink { error: pawl_sink::Error::Transient { kind, .. }, .. } => kind,
            Error::Sink { error: pawl_sink::Error::Fatal { code, .. }, .. }
            | Error::Operator { code, .. }
            | Error::State { code, .. } => code,
            Error::Stopped { stop, .. } => match stop {
                Stop::Call(_) => "call",
                Stop::Breaker { .. } => "circuit-breaker",
                Stop::InputChanged { .. } => "input-changed",
                Stop::OutputChanged { .. } => "output-changed",
                Stop::Law(_) => "law",
            },
            Error::Tasks(_) | Error::GivenUp(_) => "tasks",
            Error::System { .. } => "system",
            Error::Monitor(_) => "listen",
            Error::Panicked(_) => "panicked",
        }
    }

    /// Whether it was a checkpoint that could not be taken.
    pub(crate) fn is_of_checkpoint(&self) -> bool {
        matches!(self, Error::Checkpoint(_) | Error::Operator { code: "snapshot", .. })
    }

    fn cause(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Transport(error) => fmt::Display::fmt(error, f),
            Error::Checkpoint(error) => fmt::Display::fmt(error, f),
            _ => Ok(()),
        }
    }

    /// Whether starting the task again cannot help: it is not restarted.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Error::Transport(error) => error.class() != pawl_transport::Class::Transient,
            Error::Checkpoint(error) => {
                error.is_fatal() || matches!(error, pawl_checkpoint::Error::Superseded { .. })
            }
            Error::Stopped { stop, .. } => !matches!(stop, Stop::Call(_)),
            Error::Sink { error, .. } => !matches!(error, pawl_sink::Error::Transient { .. }),
            Error::State { .. } | Error::Pipeline(_) | Error::Restore { .. } => true,
            Error::Operator { code, .. } => {
                ["replay-limit", "replay-trap", "predecessor", "sink-retries"].contains(code)
            }
            _ => false,
        }
    }

    /// Whether the whole process must end: what is on the disk is unknown.
    pub(crate) fn ends_process(&self) -> bool {
        match self {
            Error::Transport(error) => error.poisons(),
            Error::Checkpoint(error) => error.is_fatal(),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Pipeline(mistakes) => {
                write!(f, "the pipeline cannot run as it is:")?;
                mistakes.iter().try_for_each(|m| write!(f, "\n  {}: {}", m.path, m.what))
            }
            Error::Transport(_) | Error::Checkpoint(_) if self.code() == DISK_FULL => {
                write!(f, "{DISK_FULL}: ")?;
                self.cause(f)
            }
            Error::Transport(_) | Error::Checkpoint(_) => self.cause(f),
            Error::Component { operator, error } => write!(f, "operator {operator}: {error}"),
            Error::Restore { operator, error } => {
                write!(f, "could not restore operator {operator}: {error}")
            }
            Error::Sink { sink, error } => write!(f, "sink {sink}: {error}"),
            Error::Operator { code, operator, what } => {
                write!(f, "{code}: operator {operator}: {what}")
            }
            Error::Stopped { operators, stop } => {
                write!(f, "{stop} (operators: {operators})")?;
                match stop {
                    Stop::Breaker { .. } => f.write_str(
                        "; `pawl dlq stats` says what they share; with the cause mended, stop and \
                         start once with --resume",
                    ),
                    _ => Ok(()),
                }
            }
            Error::State { code, what } => write!(f, "{code}: {what}"),
            Error::Tasks(tasks) => {
                write!(f, "{} of the tasks failed:", tasks.len())?;
                tasks.iter().try_for_each(|(task, why)| write!(f, "\n  {task}: {why}"))
            }
            Error::GivenUp(tasks) => {
                write!(f, "no task is left that runs, and each waits for a person:")?;
                tasks.iter().try_for_each(|(task, why)| write!(f, "\n  {task}: {why}"))
            }
            Error::System { doing, error } => write!(f, "failed to {doing}: {error}"),
            Error::Monitor(error) => error.fmt(f),
            Error::Panicked(what) => write!(f, "a bug of the host: {what}; please report it"),
        }
    }
}

impl std::error::Error for Error {}

impl From<pawl_transport::Error> for Error {
    fn from(error: pawl_transport::Error) -> Self {
        Error::Transport(error)
    }
}

impl From<pawl_checkpoint::Error> for Error {
    fn from(error: pawl_checkpoint::Error) -> Self {
        Error::Checkpoint(error)
    }
}
