//! What a checkpoint consists of: a header, the core's state, and parts. Plain values.

use pawl_core::commit::{Progress, TaskId};
use pawl_core::decision::{CheckpointName, OperatorDigest};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What one can know of a checkpoint without reading its state. Stored by postcard, its fields in
/// this order: a change needs a new version of `manifest::FORMAT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Whose checkpoint.
    pub task: TaskId,
    /// Which one; holds the epoch.
    pub name: CheckpointName,
    /// The place between two roots at which it lies.
    pub progress: Progress,
    /// The host's `semantics` number.
    pub semantics: u32,
    /// Sum of the hashes of all input rows below, since the task's birth.
    pub input_sum: u128,
    /// Sum of the hashes of all that the roots below made.
    pub output_sum: u128,
    /// What ran, one per operator of the stage.
    pub operators: Vec<OperatorRecord>,
    /// When it was made, by the host's clock, in milliseconds since the Unix epoch. For people.
    pub created_ms: i64,
    /// Identity of the log that its position belongs to.
    pub log: String,
}

/// What ran one operator, and in which format it left its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRecord {
    /// Component and effective configuration; both lie in the store as objects.
    pub digest: OperatorDigest,
    /// The format of the state in this operator's parts.
    pub state_version: u32,
    /// The version that the operator says it has. For people.
    pub operator_version: String,
}

/// Whose part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// The dedup window of an edge, by the edge's place in the stage.
    Window(u16),
    /// An operator, by its place in the stage.
    Operator(u16),
}

/// Which part. Unique within a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartKey {
    /// Whose.
    pub owner: Owner,
    /// The first slot of a window's segment, or the number that the operator gave its part.
    pub number: u64,
}

impl fmt::Display for PartKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner {
            Owner::Window(edge) => write!(f, "segment {} of window {edge}", self.number),
            Owner::Operator(operator) => write!(f, "part {} of operator {operator}", self.number),
        }
    }
}

/// Bytes that may be shared with whoever made them, so that nothing large is copied.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Shares `bytes`.
pub fn bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Bytes {
    Arc::new(bytes)
}

/// One part of a draft.
#[derive(Clone)]
pub struct DraftPart {
    /// Which part.
    pub key: PartKey,
    /// Its bytes; none: as in the draft's `base`.
    pub data: Option<Bytes>,
}

/// A checkpoint to be written.
#[derive(Clone)]
pub struct Draft {
    /// Its header.
    pub header: Header,
    /// The core's task state, sealed by the codec.
    pub core: Vec<u8>,
    /// The checkpoint that unchanged parts are as in: the last one written or restored by this
    /// owner, which need not be the newest file there is.
    pub base: Option<CheckpointName>,
    /// All parts, in any order. A part of the base that is not listed is gone.
    pub parts: Vec<DraftPart>,
}

/// A checkpoint that was read, every byte of it verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its header.
    pub header: Header,
    /// The core's task state, sealed by the codec.
    pub core: Vec<u8>,
    /// All parts, ascending by key.
    pub parts: Vec<(PartKey, Vec<u8>)>,
}
