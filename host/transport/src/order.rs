//! Keeps the commits of a task in order where one fails. Commits may be submitted one behind the
//! other without waiting; if one fails and the next were stored, the outputs of the first would be
//! lost behind a position that says they are there. Never lets a commit pass one that failed.

use crate::error::Error;
use pawl_core::commit::{CommitBatch, Progress, TaskId};
use std::collections::BTreeMap;

/// Which commit of which owner.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    task: TaskId,
    epoch: u64,
    progress: Progress,
}

impl Mark {
    /// The mark of a commit.
    pub fn of(batch: &CommitBatch) -> Self {
        let (epoch, progress) = (batch.commit.epoch, batch.commit.progress);
        Self { task: batch.task.clone(), epoch, progress }
    }
}

/// The first commit that failed, by task and its owner's epoch. A new owner begins anew.
#[derive(Debug, Default)]
pub(crate) struct Order {
    failed: BTreeMap<TaskId, (u64, Progress)>,
}

impl Order {
    /// Refuses a commit that follows a failed one; the failed one itself may come again.
    pub fn check(&self, mark: Option<&Mark>) -> Result<(), Error> {
        let Some(mark) = mark else { return Ok(()) };
        match self.failed.get(&mark.task) {
            Some((epoch, failed)) if *epoch == mark.epoch && *failed != mark.progress => {
                Err(Error::Behind { task: mark.task.clone(), failed: *failed })
            }
            _ => Ok(()),
        }
    }

    /// Takes in what became of a commit.
    pub fn settle(&mut self, mark: Option<Mark>, stored: bool) {
        let Some(mark) = mark else { return };
        let failed = self.failed.get(&mark.task).filter(|(epoch, _)| *epoch == mark.epoch);
        match (failed, stored) {
            (None, false) => {
                self.failed.insert(mark.task, (mark.epoch, mark.progress));
            }
            (Some((_, failed)), true) if *failed == mark.progress => {
                self.failed.remove(&mark.task);
            }
            _ => {}
        }
    }
}
