//! The muted replay: up to where nothing is published again and nothing decided anew, and whether
//! the replay saw and made what was committed. Never ends before the commit is met.

use super::{Stop, Task, decide};
use crate::decision::{DecisionKind, Root};
use crate::mutant::{Mutant, planted};

impl Task {
    /// Whether no decision may be made yet: the commit or the intent is not reached, or a durable
    /// decision is not applied.
    pub fn is_quiet(&self) -> bool {
        if planted(Mutant::Remade) {
            return false;
        }
        let published = self.state.plain.progress.root() < self.intent;
        self.replaying || published || !self.stored.is_empty()
    }

    /// Whether the commit is not reached yet, so that what is made is not published again.
    pub fn is_replaying(&self) -> bool {
        self.replaying
    }

    /// Below the commit nothing is published again.
    pub(super) fn muted(&self) -> bool {
        if planted(Mutant::NotMuted) {
            return false;
        }
        if self.tolerant {
            return self.replaying;
        }
        let progress = self.state.plain.progress;
        self.replaying && progress.root() < self.commit.progress.root()
    }

    /// When other operators replay than those that committed, the roots are not the same, and only
    /// the position tells where the commit lies. A step never crosses it, so the tick and the
    /// decisions that belong to its last row are behind when the next step begins.
    pub(super) fn end_tolerant_replay(&mut self) {
        if !self.replaying && self.stored.is_empty() {
            self.tolerant = false;
        }
        // Ticks before this row are over: what other operators did not come to does not come.
        let position = self.state.plain.progress.position;
        while self.tolerant
            && self.replaying
            && self.stored.front().is_some_and(|next| {
                next.position <= position
                    && matches!(next.kind, DecisionKind::Dead { root: Root::Tick(_), .. })
            })
        {
            self.stored.pop_front();
        }
        let commit = &self.commit.progress;
        let plain = &mut self.state.plain;
        let here = plain.progress.position;
        let due = self.stored.front().is_some_and(|next| {
            // Dead items of ticks that the new operators do not come to are not waited for.
            let here = next.position == here && !decide::is_dead(next);
            next.number < commit.decisions && here
        });
        let before = here < commit.position || plain.progress.admitted < commit.admitted;
        if !self.tolerant || !self.replaying || before || due {
            return;
        }
        self.replaying = false;
        plain.progress.ticks = plain.progress.ticks.max(commit.ticks);
        plain.progress.decisions = plain.progress.decisions.max(commit.decisions);
        // As high as any number that was ever written; readers pass over lower ones.
        plain.control_number = plain.control_number.max(commit.ticks + commit.decisions);
        self.sealed_root = commit.root();
        let committed = commit.decisions;
        self.stored.retain(|decision| decision.number >= committed);
    }

    /// Whether other operators replay than those that committed, and what they left is not behind.
    pub fn is_tolerant(&self) -> bool {
        self.tolerant
    }

    /// How many rows a step may take so as not to cross the commit: a run across it would mix rows
    /// that have passed before with others, and if a call fails nobody could tell which it was.
    pub(super) fn rows_to_commit(&self) -> usize {
        let left = self.commit.progress.position.saturating_sub(self.position());
        match self.replaying {
            true => usize::try_from(left.max(1)).unwrap_or(usize::MAX),
            false => usize::MAX,
        }
    }

    /// After a root: if this is the commit, the sums must be those of the commit.
    pub(super) fn root_done(&mut self) -> Result<(), Stop> {
        if !self.replaying || self.tolerant {
            return Ok(());
        }
        let plain = &mut self.state.plain;
        let position = plain.progress.position;
        if plain.progress.root() < self.commit.progress.root() {
            return Ok(());
        }
        if plain.input_sum != self.commit.input_sum {
            return Err(Stop::InputChanged { position });
        }
        if plain.progress != self.commit.progress || plain.output_sum != self.commit.output_sum {
            return Err(Stop::OutputChanged { position });
        }
        self.replaying = false;
        Ok(())
    }
}
