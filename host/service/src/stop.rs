//! How a run is asked to end: drain, or give up waiting. Set from a signal thread, read by tasks.

use std::sync::atomic::{AtomicBool, Ordering};

/// Asked for from outside, obeyed by every task.
#[derive(Debug, Default)]
pub struct StopFlag {
    draining: AtomicBool,
}

impl StopFlag {
    /// No more input is taken, what is in flight is finished and committed, a checkpoint is taken.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether the run is draining.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}
