//! The newest view of a run, ready to be given out: whoever looks at the run puts it here, and
//! whoever asks gets what lies here. Nobody waits for anybody.

use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// For so many milliseconds the supervisor may say nothing before it counts as stuck.
const SILENCE_MS_MAX: u64 = 10_000;

/// For so many milliseconds a view is good.
const AGE_MS_MAX: u64 = 10_000;

/// No such moment yet.
const NEVER: u64 = u64::MAX;

/// What is given out.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Metrics as text.
    pub metrics: Bytes,
    /// The status as JSON.
    pub status: Bytes,
    /// Whether the run is ready.
    pub ready: bool,
    /// Which and why not, as JSON.
    pub readiness: Bytes,
}

/// Whether the process is alive, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The supervisor looks after its tasks.
    Alive,
    /// It has said nothing for so many milliseconds.
    Stuck(u64),
}

/// Shared by those who put views in and those who give them out.
#[derive(Debug)]
pub struct Board {
    began: Instant,
    view: Mutex<Arc<View>>,
    /// Milliseconds since `began`: the supervisor's last sign of life, the last view, and when the
    /// status was last asked for.
    beat_ms: AtomicU64,
    shown_ms: AtomicU64,
    asked_ms: AtomicU64,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            view: Mutex::default(),
            beat_ms: AtomicU64::new(NEVER),
            shown_ms: AtomicU64::new(0),
            asked_ms: AtomicU64::new(NEVER),
        }
    }
}

impl Board {
    /// The supervisor lives.
    pub fn beat(&self) {
        self.beat_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// The supervisor has ended: nobody waits for a sign of life any more.
    pub fn rest(&self) {
        self.beat_ms.store(NEVER, Ordering::Relaxed);
    }

    /// Puts a newer view in.
    pub fn show(&self, view: View) {
        *self.lock() = Arc::new(view);
        self.shown_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// The newest view.
    pub fn look(&self) -> Arc<View> {
        Arc::clone(&self.lock())
    }

    /// Somebody looks at the status.
    pub(crate) fn asked(&self) {
        self.asked_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Whether anybody looked at the status within so many milliseconds.
    pub fn was_asked_within(&self, ms: u64) -> bool {
        let at = self.asked_ms.load(Ordering::Relaxed);
        at != NEVER && self.now_ms().saturating_sub(at) <= ms
    }

    /// Whether the process is alive.
    pub fn health(&self) -> Health {
        let silent = self.now_ms().saturating_sub(self.beat_ms.load(Ordering::Relaxed));
        // Before it begins there is nothing to be stuck in.
        if silent > SILENCE_MS_MAX { Health::Stuck(silent) } else { Health::Alive }
    }

    /// For how many milliseconds no view was put in, if that is too long to go by it. Before the
    /// supervisor begins and after it has ended nobody puts any in.
    pub fn outdated_ms(&self) -> Option<u64> {
        if self.beat_ms.load(Ordering::Relaxed) == NEVER {
            return None;
        }
        let age = self.now_ms().saturating_sub(self.shown_ms.load(Ordering::Relaxed));
        (age > AGE_MS_MAX).then_some(age)
    }

    /// As if the last view had been put in long ago.
    #[cfg(test)]
    pub(crate) fn make_outdated(&mut self) {
        self.began -= std::time::Duration::from_millis(2 * AGE_MS_MAX);
        self.beat();
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Arc<View>> {
        // A whole value is written; a panic leaves nothing half done.
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
