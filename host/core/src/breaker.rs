//! The circuit breaker: stops a task when too large a share of its recent records fails as
//! permanent or late, before a bad deploy or a wrong clock drains the topic into the dead letters.

use serde::{Deserialize, Serialize};

/// When the breaker trips.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerRules {
    /// How many of the last records are looked at; it never trips before so many were seen. 0
    /// switches it off.
    pub records: u32,
    /// The share of them that may fail.
    pub failed_share_max: f64,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { records: 1000, failed_share_max: 0.5 }
    }
}

/// Which of the last records failed. Part of every checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    bits: Vec<u64>,
    records: u32,
    next: u32,
    seen: u32,
    failed: u32,
}

impl Breaker {
    /// Notes what became of one record.
    pub fn note(&mut self, failed: bool, rules: &BreakerRules) {
        if rules.records == 0 {
            return;
        }
        let words = rules.records.div_ceil(64) as usize;
        if self.records != rules.records {
            let records = rules.records;
            *self = Self { bits: vec![0; words], records, ..Self::default() };
        }
        let (word, bit) = ((self.next / 64) as usize, 1u64 << (self.next % 64));
        if let Some(word) = self.bits.get_mut(word) {
            let was = *word & bit != 0;
            if self.seen >= rules.records && was {
                self.failed = self.failed.saturating_sub(1);
            }
            *word = if failed { *word | bit } else { *word & !bit };
        }
        self.failed += u32::from(failed);
        self.seen = (self.seen + 1).min(rules.records);
        self.next = (self.next + 1) % rules.records;
    }

    /// Whether too many failed; then (failed, seen).
    pub fn tripped(&self, rules: &BreakerRules) -> Option<(u32, u32)> {
        let full = rules.records > 0 && self.seen >= rules.records;
        let bound = rules.failed_share_max * f64::from(rules.records);
        (full && f64::from(self.failed) > bound).then_some((self.failed, self.seen))
    }

    /// A person resumed the task: begin anew.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BreakerRules = BreakerRules { records: 100, failed_share_max: 0.5 };

    #[test]
    fn it_trips_only_when_the_share_of_a_full_window_is_too_large() {
        let mut breaker = Breaker::default();
        (0..99).for_each(|_| breaker.note(true, &RULES));
        assert_eq!(breaker.tripped(&RULES), None, "too few seen to judge");
        breaker.note(true, &RULES);
        assert_eq!(breaker.tripped(&RULES), Some((100, 100)));
        (0..50).for_each(|_| breaker.note(false, &RULES));
        assert_eq!(breaker.tripped(&RULES), None, "half is allowed");
        breaker.reset();
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn it_counts_exactly_the_last_records() {
        let mut breaker = Breaker::default();
        let mut last = std::collections::VecDeque::new();
        let mut random = 7u64;
        for _ in 0..5000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let failed = random >> 62 == 0;
            breaker.note(failed, &RULES);
            last.push_back(failed);
            if last.len() > 100 {
                last.pop_front();
            }
            assert_eq!(breaker.failed as usize, last.iter().filter(|failed| **failed).count());
        }
    }
}
