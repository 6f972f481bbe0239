//! What is put aside for a commit: everything that finished steps made, and nothing of a step that
//! failed.

use super::{FailedCall, Task};
use crate::commit::{Commit, CommitBatch};
use crate::decision::{CheckpointName, Decision, DecisionKind};
use crate::outbox;

impl Task {
    /// Whether decisions were made that are not sealed yet.
    pub fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// The decisions to make durable when a call failed with one item alone and not in quiet: those
    /// that this life made and never sealed (each may rest on the one before), and behind them the
    /// one that says that the item is dead. What was sealed must be durable first. Then the task is
    /// started again from a checkpoint and never shows the item to the guest.
    pub fn convict(&self, call: &FailedCall) -> Vec<Decision> {
        let progress = self.state.plain.progress;
        let number = self.stored.back().map_or(progress.decisions, |last| last.number + 1);
        let kind = DecisionKind::Dead {
            root: call.root,
            path: call.path.clone(),
            disposition: call.failure.disposition().to_owned(),
            error_kind: call.failure.kind().to_owned(),
            message: call.failure.message().to_owned(),
        };
        let dead = Decision { number, position: call.position, kind, epoch: self.epoch };
        self.fresh.iter().cloned().chain([dead]).collect()
    }

    /// Bytes and rows made and not sealed.
    pub fn waiting(&self) -> (usize, usize) {
        self.outbox.waiting()
    }

    /// Roots since the last seal.
    pub fn unsealed(&self) -> u64 {
        self.state.plain.progress.root().saturating_sub(self.sealed_root)
    }

    /// Puts all that the finished steps made aside for the next commit, and does not send it yet:
    /// a step that fails later does not touch it.
    pub fn seal(&mut self, witness: Option<CheckpointName>) {
        if self.replaying || (self.unsealed() == 0 && self.fresh.is_empty()) {
            return;
        }
        let plain = &mut self.state.plain;
        self.outbox.count(&mut plain.counters);
        outbox::merge(&mut self.sealed, self.outbox.drain());
        self.sealed_decisions.append(&mut self.fresh);
        self.sealed_root = plain.progress.root();
        self.sealed_commit = Some(Commit {
            epoch: self.epoch,
            progress: plain.progress,
            semantics: crate::SEMANTICS,
            input_sum: plain.input_sum,
            output_sum: plain.output_sum,
            witness,
            counters: plain.counters.clone(),
        });
    }

    /// What was sealed and not taken yet.
    pub fn take_sealed(&mut self) -> Option<CommitBatch> {
        let commit = self.sealed_commit.take()?;
        Some(CommitBatch {
            task: self.spec.task.clone(),
            commit,
            decisions: std::mem::take(&mut self.sealed_decisions),
            appends: std::mem::take(&mut self.sealed),
        })
    }

    /// Carries counts that are kept outside the counters into them, for a look or an image.
    pub fn settle_counters(&mut self) {
        self.outbox.count(&mut self.state.plain.counters);
    }
}
