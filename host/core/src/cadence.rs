//! When a commit and when a checkpoint is due. Knows no clock: durations come in as arguments.

/// When to commit. Whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitRules {
    /// Milliseconds since the oldest uncommitted root.
    pub interval: u64,
    /// Roots since the last commit.
    pub records_max: u64,
}

impl Default for CommitRules {
    fn default() -> Self {
        Self { interval: 100, records_max: 10_000 }
    }
}

/// When to take a checkpoint. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointRules {
    /// After so long a checkpoint is due if there was anything new.
    pub interval: u64,
    /// A checkpoint is due when replaying since the last would take longer.
    pub recovery_time_max: u64,
}

impl Default for CheckpointRules {
    fn default() -> Self {
        Self { interval: 30_000, recovery_time_max: 1000 }
    }
}

/// A replay shorter than this is not worth a checkpoint, in microseconds.
const REPLAY_US_MIN: u64 = 5_000;

/// What has happened since the last checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinceCheckpoint {
    /// Roots since.
    pub roots: u64,
    /// Milliseconds since.
    pub elapsed: u64,
    /// Of these, microseconds of work that a replay would repeat.
    pub busy_us: u64,
    /// What the last checkpoint cost the task, in microseconds.
    pub cost_us: u64,
    /// The task is replaying after a start.
    pub recovering: bool,
    /// A replay has ended since, and would be repeated.
    pub replayed: bool,
    /// Starts that reached no new checkpoint: claimed epoch less the one of the checkpoint that
    /// was restored, less one.
    pub starts_in_vain: u64,
}

impl CheckpointRules {
    /// Whether a checkpoint is due. In normal running checkpoints take at most a tenth of all
    /// time; in recovery that bound does not hold, and each start in vain halves the time between
    /// two, down to one batch: so a task that is killed again and again still gets on (LV-1). At
    /// the end of a replay one is due at once, unless the replay took less than it would: so what
    /// was replayed once is not replayed by the next start.
    pub fn due(&self, since: &SinceCheckpoint) -> bool {
        if since.roots == 0 {
            return false;
        }
        let halvings = since.starts_in_vain.min(63);
        let bound_us = self.recovery_time_max.saturating_mul(1000) >> halvings;
        let replay_too_long = since.busy_us >= bound_us;
        if since.recovering || halvings > 0 {
            return replay_too_long || since.elapsed >= self.interval;
        }
        if since.replayed && since.busy_us >= since.cost_us.max(REPLAY_US_MIN) {
            return true;
        }
        let affordable = since.elapsed.saturating_mul(1000) >= since.cost_us.saturating_mul(10);
        affordable && (replay_too_long || since.elapsed >= self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CheckpointRules = CheckpointRules { interval: 30_000, recovery_time_max: 1000 };

    #[test]
    fn a_checkpoint_is_due_when_the_replay_would_take_too_long_or_time_has_passed() {
        let since = SinceCheckpoint { roots: 5, elapsed: 2000, ..SinceCheckpoint::default() };
        assert!(!RULES.due(&SinceCheckpoint { busy_us: 999_999, ..since }));
        assert!(RULES.due(&SinceCheckpoint { busy_us: 1_000_000, ..since }));
        assert!(RULES.due(&SinceCheckpoint { elapsed: 30_000, ..since }));
        assert!(!RULES.due(&SinceCheckpoint { elapsed: 30_000, roots: 0, ..since }));
    }

    #[test]
    fn checkpoints_take_at_most_a_tenth_of_all_time_but_not_in_recovery() {
        let dear = SinceCheckpoint {
            roots: 5,
            elapsed: 2000,
            busy_us: 2_000_000,
            cost_us: 300_000,
            ..SinceCheckpoint::default()
        };
        assert!(!RULES.due(&dear));
        assert!(RULES.due(&SinceCheckpoint { recovering: true, ..dear }));
    }

    #[test]
    fn at_the_end_of_a_replay_one_is_due_if_the_replay_took_longer_than_it_would() {
        let since = SinceCheckpoint {
            roots: 5,
            elapsed: 20,
            busy_us: 20_000,
            replayed: true,
            ..SinceCheckpoint::default()
        };
        assert!(RULES.due(&since));
        assert!(!RULES.due(&SinceCheckpoint { replayed: false, ..since }));
        assert!(!RULES.due(&SinceCheckpoint { cost_us: 30_000, ..since }));
        assert!(!RULES.due(&SinceCheckpoint { busy_us: 4_000, ..since }));
    }

    #[test]
    fn each_start_in_vain_halves_the_time_down_to_one_batch() {
        let since = SinceCheckpoint {
            roots: 1,
            recovering: true,
            busy_us: 1,
            ..SinceCheckpoint::default()
        };
        assert!(!RULES.due(&since));
        assert!(RULES.due(&SinceCheckpoint { starts_in_vain: 20, ..since }));
    }
}
