//! The last dead letters, for whoever looks: read only while somebody does, only when there are
//! new ones, and never much at once. What they hold is shown as text and judged by nobody.

use pawl_core::record::{LogBatch, NO_TIME, Records};
use pawl_monitor::status::{Letter, Partition};
use pawl_transport::{ReadMax, Transport};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Dead letters shown.
const SHOWN_MAX: usize = 50;

/// Bytes of a dead letter's value that are shown.
const PAYLOAD_BYTES_MAX: usize = 1024;

/// Bytes that one read may bring, but for its first batch.
const READ_BYTES_MAX: usize = 1 << 20;

/// How often they are read though nobody looks, so that who does sees some at once.
const READ_EVERY: Duration = Duration::from_secs(10);

/// The last dead letters of each partition, and up to where they were read.
#[derive(Default)]
pub(super) struct Letters {
    read: BTreeMap<u32, (u64, Vec<Letter>)>,
    /// The first offset kept of each partition, and when what lies there was written.
    oldest: BTreeMap<u32, (u64, i64)>,
    read_at: Option<Instant>,
}

impl Letters {
    /// Sees what is new. `wanted`: somebody looks at the last ones.
    pub fn look(
        &mut self,
        transport: &dyn Transport,
        topic: &str,
        partitions: &[Partition],
        wanted: bool,
    ) {
        let wanted = wanted || self.read_at.is_none_or(|at| at.elapsed() >= READ_EVERY);
        if wanted {
            self.read_at = Some(Instant::now());
        }
        for at in partitions {
            self.see_oldest(transport, topic, at);
            let known = self.read.get(&at.partition).map(|(end, _)| *end);
            if wanted && known != Some(at.end) {
                let letters = tail(transport, topic, at);
                self.read.insert(at.partition, (at.end, letters));
            }
        }
    }

    /// The last ones of all partitions, newest first.
    pub fn last(&self) -> Vec<Letter> {
        let all = self.read.values().flat_map(|(_, letters)| letters);
        let mut all: Vec<Letter> = all.cloned().collect();
        all.sort_by(|one, two| two.time_ms.cmp(&one.time_ms).then(two.offset.cmp(&one.offset)));
        all.truncate(SHOWN_MAX);
        all
    }

    /// When the oldest was written.
    pub fn oldest_ms(&self) -> Option<i64> {
        self.oldest.values().map(|(_, time)| *time).min()
    }

    fn see_oldest(&mut self, transport: &dyn Transport, topic: &str, at: &Partition) {
        if at.begin == at.end {
            self.oldest.remove(&at.partition);
            return;
        }
        if self.oldest.get(&at.partition).is_some_and(|(begin, _)| *begin == at.begin) {
            return;
        }
        let one = ReadMax { records: 1, bytes: 1 };
        let batches = transport.read(topic, at.partition, at.begin, one).unwrap_or_default();
        let times = batches.first().map(|batch| &batch.records.timestamps);
        if let Some(time) = times.and_then(|times| times.first()) {
            self.oldest.insert(at.partition, (at.begin, *time));
        }
    }
}

/// The last letters of a partition.
fn tail(transport: &dyn Transport, topic: &str, at: &Partition) -> Vec<Letter> {
    let max = ReadMax { records: SHOWN_MAX, bytes: READ_BYTES_MAX };
    let read = |from: u64| transport.read(topic, at.partition, from, max).unwrap_or_default();
    let (mut batches, mut bytes) = (Vec::<LogBatch>::new(), 0);
    let mut from = at.end.saturating_sub(SHOWN_MAX as u64).max(at.begin);
    // The batch in which they begin may be as large as a read by itself.
    while from < at.end && bytes <= READ_BYTES_MAX {
        let more = read(from);
        let Some(last) = more.last() else { break };
        from = last.end();
        bytes += more.iter().map(|batch| batch.records.bytes()).sum::<usize>();
        batches.extend(more);
    }
    if batches.last().map_or(0, LogBatch::end) < at.end && at.end > at.begin {
        // They are large: the newest alone.
        batches = read(at.end - 1);
    }
    let rows =
        batches.iter().flat_map(|batch| (0..batch.records.len()).map(move |row| (batch, row)));
    let rows: Vec<_> = rows.collect();
    let last = rows.iter().rev().take(SHOWN_MAX);
    last.map(|(batch, row)| letter(&batch.records, *row)).collect()
}

fn letter(records: &Records, row: usize) -> Letter {
    let text = |name: &str| {
        let bytes = records.header(name).and_then(|column| column.get(row)).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let value = records.values.get(row).unwrap_or_default();
    let shown = value.get(..PAYLOAD_BYTES_MAX).unwrap_or(value);
    let time = records.timestamps.get(row).copied().unwrap_or(NO_TIME);
    Letter {
        id: text("pawl-id"),
        time_ms: time,
        stage: text("pawl-stage"),
        operator: text("pawl-operator"),
        kind: text("pawl-error-kind"),
        class: text("pawl-class"),
        disposition: text("pawl-disposition"),
        message: text("pawl-error-message"),
        topic: text("pawl-topic"),
        partition: text("pawl-partition").parse().ok(),
        offset: text("pawl-offset").parse().ok(),
        replay_count: text("pawl-replay-count").parse().unwrap_or(0),
        payload: String::from_utf8_lossy(shown).into_owned(),
        payload_bytes: value.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pawl_core::record::Record;
    use pawl_transport::Memory;

    fn range(memory: &Memory) -> [Partition; 1] {
        let (begin, end) = memory.range("dlq", 0).unwrap();
        [Partition { partition: 0, begin, end }]
    }

    fn add(memory: &Memory, values: &[String], now_ms: i64) {
        let mut records = Records::default();
        for value in values {
            let headers = [("pawl-error-kind", &b"bad"[..]), ("pawl-offset", &b"7"[..])];
            let value = Some(value.as_bytes());
            records.push(Record { value, headers: &headers, ..Record::default() });
        }
        memory.produce("dlq", 0, LogBatch { records, ..LogBatch::default() }, now_ms).unwrap();
    }

    #[test]
    fn the_newest_come_first_also_where_they_are_large_and_only_when_somebody_looks() {
        let memory = Memory::new();
        memory.create_topic("dlq", 1).unwrap();
        let mut letters = Letters::default();
        letters.look(&memory, "dlq", &range(&memory), true);
        assert!(letters.last().is_empty() && letters.oldest_ms().is_none());
        let numbered: Vec<String> = (0..80).map(|number| number.to_string()).collect();
        add(&memory, &numbered, 1000);
        letters.look(&memory, "dlq", &range(&memory), true);
        let last = letters.last();
        assert_eq!((last.len(), letters.oldest_ms()), (SHOWN_MAX, Some(1000)));
        assert_eq!((last[0].payload.as_str(), last[49].payload.as_str()), ("79", "30"));
        assert_eq!((last[0].kind.as_str(), last[0].offset), ("bad", Some(7)));
        add(&memory, &["80".to_owned()], 1500);
        letters.look(&memory, "dlq", &range(&memory), true);
        let last = letters.last();
        assert_eq!(last.len(), SHOWN_MAX, "the batch before is read, too");
        assert_eq!((last[0].payload.as_str(), last[49].payload.as_str()), ("80", "31"));
        for number in 0..3 {
            let large = format!("{number}{}", "é".repeat(READ_BYTES_MAX));
            add(&memory, &[large], 2000 + number);
        }
        letters.look(&memory, "dlq", &range(&memory), false);
        assert_eq!(letters.last()[0].payload, "80", "nobody looked");
        letters.look(&memory, "dlq", &range(&memory), true);
        let newest = &letters.last()[0];
        assert!(newest.payload.starts_with("2é") && newest.time_ms == 2002);
        assert_eq!(newest.payload_bytes as usize, READ_BYTES_MAX * 2 + 1);
        assert!(newest.payload.len() <= PAYLOAD_BYTES_MAX + 3);
    }
}
