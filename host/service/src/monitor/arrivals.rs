//! When something last came in. Seen by a count that grows; what came before the first look is read
//! from the log, once. It must never take a restart for a record.

use pawl_core::record::NO_TIME;
use pawl_monitor::status::Partition;
use pawl_transport::{ReadMax, Transport};
use std::collections::BTreeMap;

/// What was seen, by name.
#[derive(Default)]
pub(super) struct Arrivals(BTreeMap<String, (u64, Option<i64>)>);

impl Arrivals {
    /// When `name` last brought something, if it has brought `count` by now. `first` tells it at
    /// the first look.
    pub fn see(
        &mut self,
        name: String,
        count: u64,
        now_ms: i64,
        first: impl FnOnce() -> Option<i64>,
    ) -> Option<i64> {
        let (known, last_ms) = self.0.entry(name).or_insert_with(|| (count, first()));
        if *known != count {
            (*known, *last_ms) = (count, Some(now_ms));
        }
        *last_ms
    }
}

/// When the newest row of a topic was written.
pub(super) fn last_written_ms(
    transport: &dyn Transport,
    topic: &str,
    partitions: &[Partition],
) -> Option<i64> {
    let filled = partitions.iter().filter(|partition| partition.end > partition.begin);
    let times = filled.filter_map(|at| {
        let one = ReadMax { records: 1, bytes: 1 };
        let batches = transport.read(topic, at.partition, at.end - 1, one).ok()?;
        let time = *batches.last()?.records.timestamps.last()?;
        (time != NO_TIME).then_some(time)
    });
    times.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_no_record_and_what_grows_is() {
        let mut arrivals = Arrivals::default();
        let mut see = |count, now| arrivals.see("topic:in".into(), count, now, || Some(7));
        assert_eq!(see(500, 1000), Some(7));
        assert_eq!(see(500, 2000), Some(7));
        assert_eq!(see(501, 3000), Some(3000));
        assert_eq!(see(501, 4000), Some(3000));
    }
}
