//! How long the run and each law of it may take. What a law did not see because its time was over
//! must never be told as seen: whoever looks at the watch and is late leaves a mark here.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The least that a law may take, unless the whole run is over before that.
const LAW_TIME_MIN: Duration = Duration::from_secs(10);

/// Longer than anybody waits; a longer time is taken for this.
const TIME_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

/// The watch of one run.
pub(crate) struct Watch {
    until: Instant,
    law_time: Duration,
    law_until: Cell<Instant>,
    was_late: Cell<bool>,
    /// Calls of the plugin since the law was begun.
    calls: Cell<usize>,
}

impl Watch {
    /// A run that may take so long; each law a quarter of it.
    pub fn new(time_max: Duration) -> Self {
        let now = Instant::now();
        let time = time_max.min(TIME_MAX);
        let until = now.checked_add(time).unwrap_or(now);
        let law_time = (time / 4).max(LAW_TIME_MIN);
        let (was_late, calls) = (Cell::new(false), Cell::new(0));
        let watch = Self { until, law_time, law_until: Cell::new(until), was_late, calls };
        watch.begin_law();
        watch
    }

    /// A law is begun.
    pub fn begin_law(&self) {
        let now = Instant::now();
        self.law_until.set(now.checked_add(self.law_time).unwrap_or(self.until).min(self.until));
        self.was_late.set(false);
        self.calls.set(0);
    }

    /// Whether the time for the whole run is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Whether the time for one law is over. Whoever hears that leaves something out.
    pub fn is_law_over(&self) -> bool {
        let is_late = Instant::now() >= self.law_until.get();
        if is_late {
            self.was_late.set(true);
        }
        is_late
    }

    /// Whether something was left out since the law was begun.
    pub fn was_late(&self) -> bool {
        self.was_late.get()
    }

    /// The plugin is called.
    pub fn count(&self) {
        self.calls.set(self.calls.get() + 1);
    }

    /// How often the plugin was called since the law was begun.
    pub fn calls(&self) -> usize {
        self.calls.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_too_long_and_none_is_over_at_once() {
        let endless = Watch::new(Duration::MAX);
        assert!(!endless.is_over() && !endless.is_law_over() && !endless.was_late());
        let none = Watch::new(Duration::ZERO);
        assert!(none.is_over() && none.is_law_over() && none.was_late());
        none.count();
        none.begin_law();
        assert!(!none.was_late() && none.calls() == 0);
    }
}
