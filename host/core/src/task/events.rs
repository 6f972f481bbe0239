//! What goes into a task besides rows, and what comes out besides outputs: wishes, steps, stops.
//! Plain values.

use crate::commit::{Commit, Progress};
use crate::decision::{CheckpointName, Decision, OperatorDigest, PathStep, Root};
use crate::laws::Violation;
use crate::operator::Failure;
use crate::record::{Offset, Producer, Timestamp};

/// What the host would decide now. The task takes it up only where a decision may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The task runs in this generation of producers.
    Generation {
        /// Number.
        number: u64,
        /// All producers, ascending.
        producers: Vec<Producer>,
    },
    /// The task reached its input's end `idle_after` ago.
    Idle,
    /// Close windows up to this event time.
    Close {
        /// The event time.
        time: Timestamp,
    },
    /// A person resumes a task that the breaker stopped.
    Resume,
    /// Take in the rows that were sent back, up to this one.
    Admit {
        /// Offset behind the last one.
        until: Offset,
    },
    /// A sink that sends at most once is about to send the rows below this one.
    Attempt {
        /// Behind the last row.
        until: Offset,
    },
    /// Run other operators from here on.
    Switch {
        /// One per operator.
        operators: Vec<OperatorDigest>,
        /// Whether they took over at a checkpoint instead.
        at_checkpoint: Option<CheckpointName>,
    },
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is to be done.
    Nothing,
    /// So many rows of the input are dealt with.
    Rows(u64),
    /// So many rows that were sent back are dealt with.
    SentBack(u64),
    /// A decision was applied.
    Decided,
    /// A decision was applied that the caller must carry out now: run these operators.
    Switch {
        /// One per operator.
        operators: Vec<OperatorDigest>,
        /// Whether they took over at a checkpoint already.
        at_checkpoint: Option<CheckpointName>,
    },
}

/// Why a task stopped. It is unusable from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A guest call failed.
    Call(Box<FailedCall>),
    /// Too large a share of recent records failed.
    Breaker {
        /// So many failed.
        failed: u32,
        /// Of so many.
        seen: u32,
    },
    /// The input is not the one from which the commit was made.
    InputChanged {
        /// Where it was noticed.
        position: Offset,
    },
    /// The input is the same, the outputs are not: an operator is not deterministic.
    OutputChanged {
        /// Where it was noticed.
        position: Offset,
    },
    /// A law does not hold.
    Law(Violation),
}

/// A guest call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// Index of the operator.
    pub operator: usize,
    /// Why.
    pub failure: Failure,
    /// It was `advance`, for which no record can be blamed.
    pub advance: bool,
    /// The call held one item alone: it is the culprit.
    pub alone: bool,
    /// No decision may be made here: what failed now has passed before.
    pub quiet: bool,
    /// Position of the first item's root.
    pub position: Offset,
    /// Its root.
    pub root: Root,
    /// From the root to the first item.
    pub path: Vec<PathStep>,
    /// Position behind the last row of the step: isolate up to here.
    pub until: Offset,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Call(call) => {
                let what = if call.advance { "advance" } else { "process" };
                let (kind, text) = (call.failure.kind(), call.failure.message());
                let (operator, position) = (call.operator, call.position);
                write!(f, "operator {operator} failed in {what} at {position}: {kind}: {text}")
            }
            Stop::Breaker { failed, seen } => {
                write!(f, "circuit breaker: {failed} of the last {seen} records failed")
            }
            Stop::InputChanged { position } => {
                write!(f, "input-changed: rows below {position} are not those committed from")
            }
            Stop::OutputChanged { position } => write!(
                f,
                "output-changed: the replay up to {position} made other outputs than those committed"
            ),
            Stop::Law(violation) => violation.fmt(f),
        }
    }
}

/// What a task starts from, beside its state.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// The last durable commit: up to here everything is published.
    pub commit: Commit,
    /// Durable decisions from the state's count on, ascending.
    pub decisions: Vec<Decision>,
    /// On a transport without transactions: up to where the task was about to publish.
    pub intent: Progress,
    /// The epoch that the owner claimed.
    pub epoch: u64,
    /// Of a sink that sends at most once: rows behind the commit and below this one may have been
    /// sent. Its last durable decision says so, if it is an `Attempt` behind which nothing was
    /// committed.
    pub attempted: Offset,
    /// Outputs may differ from those committed, since other operators replay.
    pub tolerant: bool,
}

/// One operator, and all behind it, get one item per call up to a position, to find the one that
/// fails. All behind it, since else two that fail would take turns in hiding each other's culprit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// Index of the first operator.
    pub operator: usize,
    /// Up to this position.
    pub until: Offset,
}
