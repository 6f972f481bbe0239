//! What a commit makes durable, in one piece: outputs, decisions, counters and the position.

use crate::counters::Counters;
use crate::decision::{CheckpointName, Decision};
use crate::record::{LogBatch, Offset};
use serde::{Deserialize, Serialize};

/// One stage on one partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// Name of the stage.
    pub stage: String,
    /// Partition of its input topic.
    pub partition: u32,
}

impl std::fmt::Display for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.stage, self.partition)
    }
}

/// How far a task has come: a place between two roots of its input sequence.
///
/// Each root moves exactly one of the four, so their sum numbers the roots.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Progress {
    /// The next row to read.
    pub position: Offset,
    /// Ticks so far.
    pub ticks: u64,
    /// Decisions applied so far.
    pub decisions: u64,
    /// The next of the rows that were sent back, of those that are kept apart from the input.
    pub admitted: Offset,
}

impl Progress {
    /// The number of the next root.
    pub fn root(&self) -> u64 {
        self.position + self.ticks + self.decisions + self.admitted
    }
}

/// The last commit of a task. What is already published is told by it and by nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Owner that committed.
    pub epoch: u64,
    /// All roots below are durable.
    pub progress: Progress,
    /// The host's `semantics` number.
    pub semantics: u32,
    /// Sum of the hashes of all input rows below, since the task's birth.
    pub input_sum: u128,
    /// Sum of the hashes of all that the roots below made.
    pub output_sum: u128,
    /// The newest durable checkpoint when the commit was made: a witness that one exists.
    pub witness: Option<CheckpointName>,
    /// What became of the records, since the task's birth.
    pub counters: Counters,
}

/// Rows for one partition of one topic. `batch.base` and the timestamps are set on appending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// The rows.
    pub batch: LogBatch,
}

/// All that one commit makes durable together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitBatch {
    /// Whose commit.
    pub task: TaskId,
    /// The new commit.
    pub commit: Commit,
    /// Decisions made since the last commit, ascending.
    pub decisions: Vec<Decision>,
    /// Outputs, late records, dead letters and control rows, in order for each partition.
    pub appends: Vec<Append>,
}
