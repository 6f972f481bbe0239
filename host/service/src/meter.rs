//! What a task uses while it runs: time in guests, time in which it took nothing, calls that
//! failed, starts. Written by the task's thread, read by whoever looks; never durable, and it
//! decides nothing.

use pawl_core::operator::Failure;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Names of the ways in which a guest call fails.
pub(crate) const FAILURES: [&str; 4] = ["trap", "timeout", "memory", "bad-return"];

/// Adds up how long something lasts; what lasts now counts already.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch(Mutex<(Duration, Option<Instant>)>);

impl Stopwatch {
    /// Does `work` and counts its time.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        self.start();
        let _stop = Stop(self);
        work()
    }

    /// It begins, if it does not last already.
    pub fn start(&self) {
        self.lock().1.get_or_insert_with(Instant::now);
    }

    /// It is over, if it lasted.
    pub fn stop(&self) {
        let mut state = self.lock();
        if let Some(since) = state.1.take() {
            state.0 += since.elapsed();
        }
    }

    /// How long it lasted, in seconds.
    pub fn seconds(&self) -> f64 {
        let state = self.lock();
        (state.0 + state.1.map_or(Duration::ZERO, |since| since.elapsed())).as_secs_f64()
    }

    // Held for an addition, and never while the work is done.
    fn lock(&self) -> MutexGuard<'_, (Duration, Option<Instant>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops it also where the work panics.
struct Stop<'a>(&'a Stopwatch);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What one operator of a task uses.
#[derive(Debug, Default)]
pub(crate) struct OperatorMeter {
    /// Time in calls of the guest.
    pub busy: Stopwatch,
    memory_bytes: AtomicU64,
    failures: [AtomicU64; FAILURES.len()],
}

impl OperatorMeter {
    /// The guest holds so much now.
    pub fn holds(&self, bytes: usize) {
        self.memory_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that the guest holds.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// A call failed.
    pub fn failed(&self, failure: &Failure) {
        let known = FAILURES.iter().zip(&self.failures);
        known.filter(|(name, _)| **name == failure.kind()).for_each(|(_, count)| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// How many calls failed, and how.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        FAILURES.iter().zip(&self.failures).map(|(name, count)| (*name, read(count)))
    }
}

/// Kinds of failures of a receiver that are counted apart; more are `other`.
const KINDS_MAX: usize = 64;

/// How a sink's receiver does.
#[derive(Debug, Default)]
pub(crate) struct Receiver(Mutex<ReceiverFacts>);

/// What is known of a receiver.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceiverFacts {
    /// Attempts that failed and are made again, by kind.
    pub failures: BTreeMap<String, u64>,
    /// What stands in the way, until the receiver takes what it is given.
    pub failing: Option<Failing>,
}

/// A receiver that does not take what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Failing {
    /// Since when.
    pub since_ms: i64,
    /// Kind and text of the last failure.
    pub kind: String,
    pub message: String,
}

impl Receiver {
    /// An attempt failed, and is made again.
    pub fn failed(&self, now_ms: i64, kind: &str, message: &str) {
        let mut facts = self.lock();
        let known = facts.failures.contains_key(kind) || facts.failures.len() < KINDS_MAX;
        let counted = if known { kind } else { "other" };
        *facts.failures.entry(counted.to_owned()).or_default() += 1;
        let since_ms = facts.failing.as_ref().map_or(now_ms, |failing| failing.since_ms);
        let (kind, message) = (kind.to_owned(), message.to_owned());
        facts.failing = Some(Failing { since_ms, kind, message });
    }

    /// It took all that it was given.
    pub fn took(&self) {
        self.lock().failing = None;
    }

    /// What is known now.
    pub fn look(&self) -> ReceiverFacts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, ReceiverFacts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one task uses.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// By name, in the order of the stage.
    operators: Vec<(String, Arc<OperatorMeter>)>,
    /// Time in which the task took no input: credit was spent, a checkpoint was made, a receiver
    /// was waited for.
    pub withheld: Arc<Stopwatch>,
    /// Time in which a sink's receiver was at work.
    pub delivering: Arc<Stopwatch>,
    /// How the receiver of a sink does.
    pub receiver: Arc<Receiver>,
    restarts: AtomicU64,
    commits: AtomicU64,
    checkpoints: AtomicU64,
}

impl Meter {
    /// For operators of these names.
    pub fn new<'a>(operators: impl Iterator<Item = &'a str>) -> Self {
        let operators = operators.map(|name| (name.to_owned(), Arc::default())).collect();
        Self { operators, ..Self::default() }
    }

    /// That of an operator. One that the pipeline file does not know is measured for nobody.
    pub fn operator(&self, name: &str) -> Arc<OperatorMeter> {
        let mut all = self.operators.iter();
        all.find(|(known, _)| known == name).map_or_else(Arc::default, |(_, m)| Arc::clone(m))
    }

    /// All operators.
    pub fn operators(&self) -> impl Iterator<Item = (&str, &OperatorMeter)> {
        self.operators.iter().map(|(name, meter)| (name.as_str(), &**meter))
    }

    /// No guest holds anything any more, and nobody waits for a receiver.
    pub fn let_go(&self) {
        self.receiver.took();
        self.operators.iter().for_each(|(_, operator)| operator.holds(0));
    }

    /// The task is started again after a failure.
    pub fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// A commit became durable.
    pub fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// A checkpoint became durable.
    pub fn checkpointed(&self) {
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
    }

    /// Starts after a failure.
    pub fn restarts(&self) -> u64 {
        read(&self.restarts)
    }

    /// Commits.
    pub fn commits(&self) -> u64 {
        read(&self.commits)
    }

    /// Checkpoints.
    pub fn checkpoints(&self) -> u64 {
        read(&self.checkpoints)
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopwatch_counts_what_lasts_now_and_never_goes_back() {
        let watch = Stopwatch::default();
        watch.start();
        let mut last = 0.0;
        for _ in 0..1000 {
            let now = watch.seconds();
            assert!(now >= last);
            last = now;
        }
        watch.stop();
        let stopped = watch.seconds();
        assert!(stopped >= last && watch.seconds() == stopped);
        assert!(std::panic::catch_unwind(|| watch.time(|| panic!("a guest"))).is_err());
        assert!(watch.seconds() == watch.seconds(), "stopped by the panic");
    }

    #[test]
    fn a_receiver_fails_since_its_first_failure_until_it_takes_something() {
        let receiver = Receiver::default();
        receiver.failed(1000, "connect", "refused");
        receiver.failed(2000, "http-503", "later");
        let facts = receiver.look();
        let failing = facts.failing.unwrap();
        assert_eq!((failing.since_ms, failing.kind.as_str()), (1000, "http-503"));
        receiver.took();
        assert!(receiver.look().failing.is_none());
        for number in 0..200 {
            receiver.failed(0, &format!("kind-{number}"), "");
        }
        let facts = receiver.look();
        assert_eq!(facts.failures.values().sum::<u64>(), 202);
        assert!(facts.failures.len() <= KINDS_MAX + 1 && facts.failures["other"] > 0);
    }

    #[test]
    fn failures_are_counted_by_kind_and_an_end_that_was_asked_for_is_none() {
        let meter = Meter::new(["guest"].into_iter());
        let operator = meter.operator("guest");
        operator.failed(&Failure::Trap(String::new()));
        operator.failed(&Failure::Halted(String::new()));
        meter.operator("another").failed(&Failure::Trap(String::new()));
        let (_, counted) = meter.operators().next().unwrap();
        assert!(counted.failures().eq([
            ("trap", 1),
            ("timeout", 0),
            ("memory", 0),
            ("bad-return", 0)
        ]));
    }
}
