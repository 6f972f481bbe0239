//! Durable counters: what became of the records of a task since its birth. They are part of every
//! commit and every checkpoint, so after any crash they equal those of an undisturbed run.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counters of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Data rows taken from the input.
    pub records_in: u64,
    /// Dead letters that were sent back and taken in.
    pub readmitted: u64,
    /// Control rows taken from the input.
    pub controls_in: u64,
    /// One entry per edge, in the order of the operators.
    pub edges: Vec<EdgeCounters>,
    /// Records written, by topic; dead letters and late records included.
    pub records_out: BTreeMap<String, u64>,
    /// Dead letters by `operator/kind`.
    pub dead_letters: BTreeMap<String, u64>,
    /// Records discarded by `operator/kind`.
    pub discarded: BTreeMap<String, u64>,
}

/// What became of the records that came to one edge. Each record has exactly one outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeCounters {
    /// Taken up by the operator: into its state, or emitted from.
    pub absorbed: u64,
    /// To the dead letters.
    pub dead_lettered: u64,
    /// Dropped on purpose by the operator.
    pub discarded: u64,
    /// Dropped because the id was seen before.
    pub duplicate: u64,
    /// Behind the watermark.
    pub late: u64,
    /// Ids that the dedup window's count bound evicted before their time.
    pub evicted_early: u64,
}
