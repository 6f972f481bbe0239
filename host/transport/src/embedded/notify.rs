//! Wakes who waits for rows: the ends of partitions as far as this process appended to them. Says
//! nothing about what other processes appended.

use pawl_core::record::Offset;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Ends of partitions that this process appended to, all of them durable.
#[derive(Debug, Default)]
pub(super) struct Ends {
    ends: Mutex<BTreeMap<String, BTreeMap<u32, Offset>>>,
    changed: Condvar,
}

impl Ends {
    /// Tells new ends.
    pub fn advance(&self, appended: Vec<(String, u32, Offset)>) {
        if appended.is_empty() {
            return;
        }
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, partition, end) in appended {
            ends.entry(topic).or_default().insert(partition, end);
        }
        self.changed.notify_all();
    }

    /// Waits until the partition is known to end beyond `beyond`, at most `timeout`; says whether
    /// it does.
    pub fn wait(&self, topic: &str, partition: u32, beyond: Offset, timeout: Duration) -> bool {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let short = |ends: &mut BTreeMap<String, BTreeMap<u32, Offset>>| {
            let end = ends.get(topic).and_then(|partitions| partitions.get(&partition));
            end.is_none_or(|end| *end <= beyond)
        };
        let woken = self.changed.wait_timeout_while(ends, timeout, short);
        !woken.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
