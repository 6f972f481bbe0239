//! Decisions: what the host decided and the records do not determine.
//!
//! A decision is durable no later than its first effect, and a replay applies it and never makes
//! it anew. Numbers are gapless per task and positions ascend with them.

use crate::record::{Offset, Producer, Timestamp};
use serde::{Deserialize, Serialize};

/// One step from an item to what it became: the operator and the index of the emission within its
/// cause. A list of steps leads from the row down to the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PathStep {
    /// Index of the operator in its stage.
    pub operator: u16,
    /// Index of the emission within its cause.
    pub index: u32,
}

/// One decision of one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Gapless per task, from 0.
    pub number: u64,
    /// The input row before which, or (for `Dead`) at which it stands.
    pub position: Offset,
    /// What was decided.
    pub kind: DecisionKind,
    /// The owner that decided.
    pub epoch: u64,
}

/// What an item that a decision speaks of comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// The input row at the decision's position.
    Row,
    /// This tick of the task, counted from 0, which comes before that row.
    Tick(u64),
    /// The row at this offset of those that were sent back, admitted before that row.
    SentBack(Offset),
}

/// What can be decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecisionKind {
    /// The task first runs in this generation of producers.
    Generation {
        /// Number of the generation.
        number: u64,
        /// All producers that write the task's output topics, ascending.
        producers: Vec<Producer>,
    },
    /// The task has stood at the end of its input for `idle_after`.
    Idle,
    /// The task has input again.
    Active,
    /// Windows are closed on request: this event time counts as brought by a record.
    Close {
        /// The event time.
        time: Timestamp,
    },
    /// The item at `path` below `root` is dead and is not shown to the guest.
    Dead {
        /// What it comes from.
        root: Root,
        /// From the row down to the item that the operator `path.len()` refused.
        path: Vec<PathStep>,
        /// As in the dead letter: `trap`, `timeout`, `memory`, `host-crash`.
        disposition: String,
        /// Short stable name.
        error_kind: String,
        /// For a person.
        message: String,
    },
    /// A stopped task (circuit breaker) was resumed by a person.
    Resume,
    /// From here on other components or configurations run.
    Switch {
        /// What runs from here on, one per operator.
        operators: Vec<OperatorDigest>,
        /// Whether they took over at the checkpoint instead, because the old ones could not.
        at_checkpoint: Option<CheckpointName>,
    },
    /// The receiver behind a sink did not take the row, and it is not sent again.
    Undelivered {
        /// Which row.
        root: Root,
        /// As in the dead letter: `sink-rejected`, `retries-exhausted`, `delivery-unknown`.
        disposition: String,
        /// Short stable name.
        error_kind: String,
        /// For a person.
        message: String,
        /// How often it was tried again before that.
        retries: u64,
    },
    /// Dead letters that were sent back come in here, one after the other, before anything else
    /// happens: those from the last one admitted up to `until`.
    Admit {
        /// Offset behind the last one, among the rows that were sent back.
        until: Offset,
    },
    /// A sink that sends at most once is about to send the rows from `position` up to `until`.
    Attempt {
        /// Behind the last one.
        until: Offset,
    },
}

/// What ran an operator: digests of its component and of its effective configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorDigest {
    /// Name of the operator in its stage.
    pub operator: String,
    /// SHA-256 of the component, lower-case hex.
    pub component: String,
    /// SHA-256 of the effective configuration, lower-case hex.
    pub configuration: String,
}

/// Which checkpoint of a task; ordered by age.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct CheckpointName {
    /// Epoch of the owner that wrote it.
    pub epoch: u64,
    /// Ascending within the epoch and over epochs.
    pub sequence: u64,
}
