//! Bugs that the model tests plant in the core, to see that its laws notice them. Outside tests
//! `planted` is a constant `false`, so nothing of this remains in the product.

/// Declares the bugs and, for tests, the list of all, so that none can be forgotten.
macro_rules! mutants {
    ($($(#[$meaning:meta])* $name:ident,)*) => {
        /// A bug to plant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Mutant {
            $($(#[$meaning])* $name,)*
        }

        #[cfg(test)]
        impl Mutant {
            pub(crate) const ALL: &[Mutant] = &[$(Mutant::$name,)*];
        }
    };
}

mutants! {
    /// The watermark is handed on without the operator's delay.
    NoDelay,
    /// Decisions of the log are ignored and made anew in the replay.
    Remade,
    /// The watermark moves where the batch happens to end.
    TickAtBatchEnd,
    /// A reader takes the maximum over the producers.
    ControlMaximum,
    /// A producer of the new generation that was not heard yet does not hold time.
    UnheardIgnored,
    /// Control rows have no number: the last one read gives the state.
    ControlUnnumbered,
    /// A refused id stays in the dedup window.
    NotWithdrawn,
    /// An id still undecided in the call counts as accepted.
    UndecidedInCall,
    /// The count bound counts ids that are in the window, not slots.
    CountByIds,
    /// A replay publishes again.
    NotMuted,
    /// Control rows are not muted.
    ControlsNotMuted,
    /// Derived ids count within the call, not within the cause.
    IdsByCall,
    /// An operator's advance comes before its predecessor's emissions of the tick.
    AdvanceOrder,
    /// A record decided dead skips the edge in the replay.
    DeadMovesNoTime,
    /// Emissions of advance are measured against the watermark just given.
    EmissionVsNewWatermark,
    /// Behind the first edge nothing is late.
    NeverLateBehind,
    /// Lateness is judged before dedup.
    LateBeforeDedup,
    /// Copies behind the dedup horizon are known by id only.
    CopiesByIdOnly,
    /// Closing windows leaves an idle task idle.
    IdleCloses,
    /// A replay ends at the commit: what fails behind it is a verdict.
    ReplayToCommit,
    /// A new generation alone is no change, so a quiet task writes no row for it.
    GenerationUnsaid,
    /// A record that waits does not count when time has come within its reach.
    NearForgotten,
    /// When far-ahead records agree, time moves to the largest of them.
    JumpToLargest,
    /// Decisions do not bound a run of rows if a dead item stands before them.
    RunOverDecision,
    /// An item that was decided dead is shown to the operator when its copy comes.
    DeadCopyShown,
    /// The ids of an idle producer's rows are forgotten when time has passed them.
    IdleForgotten,
    /// Only one operator is isolated, and those behind it are not.
    IsolatedAlone,
    /// Wrong clocks that come one by one add up to an agreement.
    StraysAddUp,
    /// A sink delivers in the replay, too.
    DeliveredAgain,
    /// What a receiver did not take is not decided, so a replay takes it for delivered.
    UndeliveredUnsaid,
    /// What may have been sent when a life ended is sent again.
    AttemptForgotten,
    /// The id of what may have been taken leaves the window.
    UnknownForgotten,
    /// A replay takes rows that were sent back for rows of the life before.
    AdmittedOnce,
    /// A record that was sent back is taken for a copy of the dead one that it was.
    SentBackIsCopy,
    /// A record that enters behind the edge that judges time is never late.
    SentBackNeverLate,
}

#[cfg(not(test))]
pub(crate) const fn planted(_: Mutant) -> bool {
    false
}

#[cfg(test)]
pub(crate) use planting::{plant, planted};

#[cfg(test)]
mod planting {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    pub(crate) fn planted(mutant: Mutant) -> bool {
        PLANTED.get() == Some(mutant)
    }

    /// Plants a bug in this thread, or none.
    pub(crate) fn plant(mutant: Option<Mutant>) {
        PLANTED.set(mutant);
    }
}
