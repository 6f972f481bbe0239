//! How far the copies are, for metrics and for people. Only tells; changes nothing.

use super::replicator::Shared;
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use std::sync::Arc;

/// A handle that tells how far the copies are.
#[derive(Clone)]
pub struct Replication {
    shared: Arc<Shared>,
}

/// How far the copies of one task's checkpoints are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskReplication {
    /// Whose.
    pub task: TaskId,
    /// The newest checkpoint on this machine, if there is one.
    pub newest_local: Option<CheckpointName>,
    /// The newest that is known to be in the remote store.
    pub newest_remote: Option<CheckpointName>,
    /// For how long there has been a checkpoint on this machine that is newer than what the
    /// remote store holds, in milliseconds. 0: there is none.
    pub lag_ms: u64,
    /// Copies that failed, since the start.
    pub failures_total: u64,
    /// Checkpoints that were not copied because a newer one was there, since the start.
    pub skipped_total: u64,
    /// Why the last copy failed, until one succeeds.
    pub last_error: Option<String>,
    /// A checkpoint of a higher epoch that is in the remote store: somebody else owns the task,
    /// and nothing of this owner is copied any more (FN-1).
    pub superseded_by: Option<CheckpointName>,
}

impl Replication {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// All tasks that were taken over or written here.
    pub fn tasks(&self) -> Vec<TaskReplication> {
        self.shared.statuses()
    }

    /// One task.
    pub fn task(&self, task: &TaskId) -> Option<TaskReplication> {
        self.tasks().into_iter().find(|status| status.task == *task)
    }

    /// Waits, at most so many milliseconds, until what it tells satisfies `enough`; whether it
    /// does.
    pub fn wait(&self, max_ms: u64, enough: impl Fn(&[TaskReplication]) -> bool) -> bool {
        self.shared.wait(max_ms, &enough)
    }
}
