//! No more connections than a bound. Who comes when all places are taken gets that of the one that
//! came first: a crowd of slow clients can keep nobody out.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::task::AbortHandle;

/// The connections that are open, oldest first.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    open: Mutex<VecDeque<AbortHandle>>,
}

impl Connections {
    /// At most `max`.
    pub fn new(max: usize) -> Self {
        Self { max: max.max(1), open: Mutex::default() }
    }

    /// One more; the oldest is cut if there are too many.
    pub fn add(&self, new: AbortHandle) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|connection| !connection.is_finished());
        while open.len() >= self.max {
            let Some(oldest) = open.pop_front() else { break };
            oldest.abort();
        }
        open.push_back(new);
    }
}
