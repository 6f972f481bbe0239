//! What a task is told once: its edges, its operators as they are wired, and where things go.
//! Checked elsewhere; nothing here changes while the task runs.

use crate::breaker::BreakerRules;
use crate::clock::WatermarkRules;
use crate::commit::TaskId;
use crate::identity::{self, IdSource, TimeSource};
use crate::operator::Wiring;

/// The specification of one task.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Stage and partition.
    pub task: TaskId,
    /// Topic that it reads.
    pub input: String,
    /// Topic in which dead letters are sent back to it.
    pub replay: String,
    /// Whether the transport may write a row twice, so that copies must be told by producer.
    pub copies: bool,
    /// The chain, in order; at least one.
    pub operators: Vec<OperatorSpec>,
    /// Where event time comes from.
    pub time: TimeOrigin,
    /// The edge at which time is judged: the one that makes the watermark, else 0.
    pub time_edge: usize,
    /// Topics that it writes.
    pub topics: Vec<TopicSpec>,
    /// Where late records go.
    pub late: LateRoute,
    /// Index of the dead-letter topic in `topics`.
    pub dead_letters: usize,
    /// When too many failures stop the task.
    pub breaker: BreakerRules,
    /// Rows of one guest call at most.
    pub call_records_max: usize,
    /// Bytes of one guest call at most (a single row may be larger).
    pub call_bytes_max: usize,
    /// The only operator delivers to the outside instead of computing.
    pub sink: bool,
}

/// Where a task's event time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeOrigin {
    /// It has none: nothing is late and nothing advances.
    None,
    /// An edge makes a watermark from the event times of records.
    Records(WatermarkRules),
    /// The producers of its topic send watermarks along.
    Producers,
}

/// Where late records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateRoute {
    /// Dropped and counted.
    Drop,
    /// To a topic, by its index.
    Topic(usize),
    /// To the dead letters, with class `late`.
    DeadLetter,
}

/// A topic that the task writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Name.
    pub name: String,
    /// Partitions.
    pub partitions: u32,
    /// Whether a stage that needs event time reads it, so that watermarks go along.
    pub controls: bool,
    /// Stages that write it: who counts as its producers.
    pub writers: Vec<String>,
}

/// One operator of the chain and the edge before it.
#[derive(Clone, Debug)]
pub struct OperatorSpec {
    /// Name in the stage.
    pub name: String,
    /// Version that the plugin tells.
    pub version: String,
    /// Digest of the component.
    pub component: String,
    /// The edge that leads to it.
    pub edge: EdgeSpec,
    /// How it is wired.
    pub wiring: Wiring,
    /// Where each output goes.
    pub routes: Vec<Route>,
    /// Stands for the operator in derived ids; see `seed_of`.
    pub seed: u64,
}

impl OperatorSpec {
    /// The seed of derived ids of operator `operator` in `stage`.
    pub fn seed_of(stage: &str, operator: &str) -> u64 {
        identity::operator_seed(stage, operator)
    }
}

/// Where an output of an operator goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the next operator of the stage.
    Next,
    /// To a topic, by its index.
    Topic(usize),
    /// Nowhere: dropped and counted.
    Unconnected,
}

/// The edge before an operator.
#[derive(Clone, Debug, Default)]
pub struct EdgeSpec {
    /// Where ids come from.
    pub id: IdSource,
    /// Where event times come from.
    pub time: TimeSource,
    /// Whether repeated ids are dropped.
    pub dedup: Option<DedupRules>,
}

/// The bounds of a dedup window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupRules {
    /// Milliseconds of event time behind the watermark.
    pub horizon: i64,
    /// Ids at most.
    pub ids_max: u64,
}
