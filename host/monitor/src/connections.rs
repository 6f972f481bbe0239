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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_when_all_places_are_taken_gets_the_oldest() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let connections = Connections::new(3);
            let tasks: Vec<_> =
                (0..5).map(|_| tokio::spawn(std::future::pending::<()>())).collect();
            let ended = tokio::spawn(async {});
            connections.add(ended.abort_handle());
            ended.await.unwrap();
            tasks.iter().for_each(|task| connections.add(task.abort_handle()));
            tokio::task::yield_now().await;
            let open: Vec<bool> = tasks.iter().map(|task| !task.is_finished()).collect();
            assert_eq!(open, [false, false, true, true, true], "those that ended count for nobody");
        });
    }
}
