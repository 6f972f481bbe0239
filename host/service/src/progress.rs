//! What the supervisor can see of a task, and what it asks of it. Written by the task's thread
//! between two steps; a look never waits for a guest.

use crate::checkpointer::Done;
use crate::meter::Meter;
use pawl_checkpoint::RecoveryPath;
use pawl_core::clock::Clock as EventClock;
use pawl_core::commit::Progress;
use pawl_core::counters::Counters;
use pawl_core::decision::CheckpointName;
use pawl_core::record::{NO_TIME, Timestamp};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a task stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// The task runs: its state is restored and the replay is over.
    pub running: bool,
    /// At the end of its input, everything committed, nothing to decide.
    pub quiescent: bool,
    /// The last durable commit.
    pub committed: Progress,
    /// Counters of the last durable commit.
    pub counters: Counters,
    /// Event time, if the task makes a watermark.
    pub clock: Option<(EventClock, i64)>,
    /// The watermark.
    pub watermark: Option<Timestamp>,
    /// It holds nobody's time back, since it has had nothing for long.
    pub idle: bool,
    /// It has ended for good: drained, or given up with this reason.
    pub ended: Option<Result<(), String>>,
    /// Its owner's number, once it has one.
    pub epoch: Option<u64>,
    /// The last commit was found: position and counters are those of the log.
    pub known: bool,
    /// Records taken whose outcome is not durable.
    pub in_flight: u64,
    /// The newest durable checkpoint.
    pub checkpoint: Option<CheckpointFacts>,
    /// From where the state came, the last time.
    pub recovered: Option<RecoveryPath>,
    /// Code and text of the last failure, until the task runs again.
    pub failure: Option<(String, String)>,
    /// Code and text of the last failure to take a checkpoint, until one is durable.
    pub checkpoint_failure: Option<(String, String)>,
}

/// What is shown of a durable checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CheckpointFacts {
    pub name: CheckpointName,
    /// When it was made.
    pub created_ms: i64,
    /// Bytes that it takes itself, and seconds from its begin until it was durable; none if
    /// another run wrote it.
    pub cost: Option<(u64, f64)>,
}

impl CheckpointFacts {
    /// Of one that has just become durable.
    pub fn of(name: CheckpointName, done: &Done) -> Self {
        let Done { created_ms, bytes, seconds } = *done;
        Self { name, created_ms, cost: Some((bytes, seconds)) }
    }
}

/// Shared by a task's thread and the supervisor.
#[derive(Debug)]
pub(crate) struct Board {
    standing: Mutex<Standing>,
    close_at: Mutex<Timestamp>,
    resumed: AtomicBool,
    /// What the task uses.
    pub meter: Meter,
}

impl Board {
    /// Of a task of which nothing is known yet.
    pub fn new(meter: Meter) -> Self {
        Self {
            standing: Mutex::default(),
            close_at: Mutex::new(NO_TIME),
            resumed: AtomicBool::new(false),
            meter,
        }
    }

    /// A copy of what the task told last.
    pub fn look(&self) -> Standing {
        self.lock().clone()
    }

    /// Tells something new.
    pub fn tell(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.lock());
    }

    /// A person's word to resume was taken up; it counts once.
    pub fn resume_once(&self) {
        self.resumed.store(true, Ordering::SeqCst);
    }

    /// Whether that was so.
    pub fn was_resumed(&self) -> bool {
        self.resumed.load(Ordering::SeqCst)
    }

    /// Asks the task to close windows up to `time`.
    pub fn close_at(&self, time: Timestamp) {
        *self.close_at.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// Up to where windows are to be closed, or `NO_TIME`.
    pub fn closing(&self) -> Timestamp {
        *self.close_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
