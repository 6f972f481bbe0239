//! Bugs, and looser readings of the rules, that are planted to see that a law notices each.

use crate::mutant::Mutant;

/// Declares the bugs and the list of all, so that none can be forgotten.
macro_rules! plants {
    ($($(#[$meaning:meta])* $name:ident,)*) => {
        /// What is planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Plant {
            /// A bug in the core.
            Core(Mutant),
            $($(#[$meaning])* $name,)*
        }

        impl Plant {
            /// All of them.
            pub fn all() -> Vec<Plant> {
                let around = [$(Plant::$name,)*];
                Mutant::ALL.iter().copied().map(Plant::Core).chain(around).collect()
            }
        }
    };
}

plants! {
    /// Dedup windows are not in the checkpoint: they start empty.
    DedupOutside,
    /// Dedup windows are those of the dead task's last moment, not of the checkpoint.
    DedupAhead,
    /// A checkpoint is taken before the commit on which it rests.
    CheckpointBeforeCommit,
    /// The watermark is not in the checkpoint.
    WatermarkNotSaved,
    /// The records that wait for agreement are not in the checkpoint.
    JumpNotSaved,
    /// Control rows number themselves anew after a crash.
    ControlAfterCrash,
    /// No dedup behind a transport that may write twice.
    NoDedupBehind,
    /// At-least-once: effects are published before their decisions.
    EffectBeforeDecision,
    /// At-least-once: committed before the outputs are written.
    CommitBeforeOutputs,
    /// Decisions are kept only for the newest checkpoint.
    DecisionsPruned,
    /// The time between checkpoints never halves.
    NoHalving,
    /// No checkpoints are taken during a replay.
    NoReplayCheckpoint,
    /// A replay ends at the last durable decision: the intent is forgotten.
    ReplayToDecision,
    /// Windows are closed by adding delays only.
    CloseByDelay,
    /// Closing windows looks only at event times that moved a watermark.
    WaitingStayOpen,
    /// A decision that a failed step made is lost when the item is convicted.
    FreshForgotten,
}

impl Plant {
    /// The bug in the core that belongs to it.
    pub fn in_core(self) -> Option<Mutant> {
        match self {
            Plant::Core(mutant) => Some(mutant),
            Plant::ControlAfterCrash => Some(Mutant::ControlsNotMuted),
            _ => None,
        }
    }

    /// Whether only a sink can show it.
    pub fn is_about_sinks(self) -> bool {
        let about = [
            Mutant::DeliveredAgain,
            Mutant::UndeliveredUnsaid,
            Mutant::AttemptForgotten,
            Mutant::UnknownForgotten,
        ];
        self.in_core().is_some_and(|mutant| about.contains(&mutant))
    }

    /// A looser reading of the rules instead of a bug: the calm run reads them so too, and what
    /// notices must be a law, not the comparison with a run that knows better.
    pub fn is_reading(self) -> bool {
        let in_core = [
            Mutant::EmissionVsNewWatermark,
            Mutant::ControlUnnumbered,
            Mutant::NeverLateBehind,
            Mutant::LateBeforeDedup,
            Mutant::CountByIds,
            Mutant::CopiesByIdOnly,
            Mutant::IdleCloses,
            Mutant::ReplayToCommit,
            Mutant::GenerationUnsaid,
            Mutant::NearForgotten,
            Mutant::JumpToLargest,
            Mutant::StraysAddUp,
        ];
        match self {
            Plant::Core(mutant) => in_core.contains(&mutant),
            Plant::ReplayToDecision | Plant::CloseByDelay | Plant::WaitingStayOpen => true,
            _ => false,
        }
    }
}
