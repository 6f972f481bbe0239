//! Retry with exponential backoff and full jitter, and when to give up. Knows no clock: time and
//! randomness come in as arguments.

use std::collections::VecDeque;

/// How a failing task is retried. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffRules {
    /// The bound of the first wait.
    pub first: u64,
    /// The bound of any wait.
    pub max: u64,
    /// So many failures within `window` and it is given up.
    pub failures_max: u32,
    /// See `failures_max`.
    pub window: u64,
}

impl Default for BackoffRules {
    fn default() -> Self {
        Self { first: 100, max: 30_000, failures_max: 10, window: 600_000 }
    }
}

/// The failures of one task.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: VecDeque<u64>,
}

impl Backoff {
    /// Notes a failure at `now`. `random` is uniform over all u64. Returns how long to wait, or
    /// `None` if it should be given up.
    pub fn failed(&mut self, now: u64, random: u64, rules: &BackoffRules) -> Option<u64> {
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|at| now.saturating_sub(*at) > rules.window) {
            self.failures.pop_front();
        }
        if self.failures.len() >= rules.failures_max.max(1) as usize {
            return None;
        }
        let before = self.failures.len() as u32 - 1;
        Some(full_jitter(before, random, rules.first, rules.max))
    }

    /// Failures within the window.
    pub fn failures(&self) -> usize {
        self.failures.len()
    }
}

/// How long to wait after `before` failures and one more: between 0 and a bound that doubles from
/// `first` up to `max`. `random` is uniform over all u64.
pub fn full_jitter(before: u32, random: u64, first: u64, max: u64) -> u64 {
    let bound = first.saturating_mul(1 << before.min(62)).clamp(1, max.max(1));
    random % (bound.saturating_add(1))
}

/// A number that looks random, from one that differs between callers and times (splitmix64).
pub fn scramble(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_the_last_failure_gives_up() {
        let rules = BackoffRules { first: 100, max: 1000, failures_max: 7, window: 10_000 };
        let mut backoff = Backoff::default();
        let longest = |bound: u64| bound; // random % (bound + 1) is the bound itself
        for bound in [100, 200, 400, 800, 1000, 1000] {
            assert_eq!(backoff.failed(0, longest(bound), &rules), Some(bound));
        }
        assert_eq!(backoff.failed(0, 0, &rules), None);
        assert_eq!(backoff.failed(10_001, 0, &rules), Some(0), "old failures are forgotten");
    }
}
