//! The suite's part about topics, rows and retention.

use super::{ALL, Make, batch, task, values};
use crate::error::{Class, Error};
use crate::transport::{ReadMax, Retained, Topic, Transport};
use pawl_core::record::{Control, LogBatch, Producer, Record};
use std::time::{Duration, Instant};

/// Whatever is done with a log, it stays the same one, until somebody says that it is another.
pub fn a_log_has_one_identity(transport: &dyn Transport) {
    let identity = transport.identity().unwrap();
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert!(identity.len() == 32 && identity.bytes().all(digit), "{identity}");
    transport.create_topic("t", 1).unwrap();
    transport.produce("t", 0, batch(["x"]), 0).unwrap();
    transport.claim(&task("s"), 0).unwrap();
    transport.trim("t", 0, 1).unwrap();
    assert_eq!(transport.identity().as_ref(), Ok(&identity));
    transport.become_another().unwrap();
    let another = transport.identity().unwrap();
    assert!(another != identity && another.len() == 32, "{another}");
    assert_eq!(transport.identity(), Ok(another));
}

/// No two that were made have the same identity, and it does not look as if it were counted.
pub fn logs_made_anew_are_other_logs(make: Make<'_>) {
    let mut identities: Vec<String> = (0..8).map(|_| make().identity().unwrap()).collect();
    identities.sort();
    for pair in identities.windows(2) {
        assert_ne!(pair[0][..8], pair[1][..8], "{pair:?}");
    }
}

/// Nulls, empty values, headers, priorities, times, the producer and control rows between data rows
/// survive; base and timestamps are the transport's.
pub fn a_batch_comes_back_as_it_was(transport: &dyn Transport) {
    transport.create_topic("rows", 2).unwrap();
    let mut given = batch([]);
    let headers = [("a", &b"1"[..]), ("b", &b""[..])];
    given.records.push(Record { key: Some(b"k"), value: None, event_time: 7, ..Record::default() });
    given.records.push(Record { value: Some(b""), headers: &headers, ..Record::default() });
    given.records.push(Record { id: Some(&[0, 255]), priority: 9, ..Record::default() });
    let producer = Producer { stage: "up".to_owned(), partition: 3 };
    let control = Control {
        generation: 2,
        producer: producer.clone(),
        producers: vec![producer.clone()],
        number: 5,
        watermark: -1,
        active: true,
    };
    given.producer = Some(producer);
    given.controls = vec![(0, control.clone()), (2, control)];
    given.base = 999;
    given.records.timestamps = vec![1];
    assert_eq!(transport.produce("rows", 1, batch(["x"]), 50), Ok(0));
    assert_eq!(transport.produce("rows", 1, given.clone(), 60), Ok(1));
    assert_eq!(transport.produce("rows", 1, batch([]), 60), Ok(6), "no rows, no change");
    given.base = 1;
    given.records.timestamps = vec![60; 3];
    let read = transport.read("rows", 1, 1, ALL).unwrap();
    assert_eq!(read, [given]);
    assert_eq!(transport.range("rows", 1), Ok((0, 6)));
    assert_eq!(transport.range("rows", 0), Ok((0, 0)));
    assert_eq!(transport.read("rows", 1, 6, ALL), Ok(Vec::new()));
    assert!(matches!(transport.read("rows", 1, 7, ALL), Err(Error::BeyondEnd { end: 6, .. })));
    assert!(transport.read("rows", 1, u64::MAX, ALL).is_err());

    let mut lying = batch(["x"]);
    lying.records.values.ends = vec![9];
    assert_eq!(transport.produce("rows", 0, lying, 0).unwrap_err().class(), Class::Usage);
}

/// Growing adds empty partitions; shrinking, none, and unknown names are refused.
pub fn topics_grow_and_never_shrink(transport: &dyn Transport) {
    assert_eq!(transport.topics(), Ok(Vec::new()));
    transport.create_topic("b", 1).unwrap();
    transport.create_topic("a", 2).unwrap();
    transport.produce("b", 0, batch(["x"]), 0).unwrap();
    transport.create_topic("b", 1).unwrap();
    transport.create_topic("b", 3).unwrap();
    let topic = |name: &str, partitions| Topic { name: name.to_owned(), partitions };
    assert_eq!(transport.topics(), Ok(vec![topic("a", 2), topic("b", 3)]));
    assert_eq!(transport.partitions("b"), Ok(3));
    assert_eq!(values(transport, "b", 0), ["x"]);
    assert_eq!(transport.range("b", 2), Ok((0, 0)));

    let shrink = transport.create_topic("b", 2).unwrap_err();
    assert!(matches!(shrink, Error::PartitionsShrink { stored: 3, asked: 2, .. }));
    assert!(shrink.to_string().contains('3') && shrink.to_string().contains('2'), "{shrink}");
    assert!(matches!(transport.create_topic("c", 0), Err(Error::Invalid { .. })));
    assert!(matches!(transport.partitions("c"), Err(Error::UnknownTopic { .. })));
    assert!(matches!(transport.range("c", 0), Err(Error::UnknownTopic { .. })));
    let missing = transport.produce("b", 3, batch(["x"]), 0);
    assert!(matches!(missing, Err(Error::UnknownPartition { partitions: 3, .. })));
    assert_eq!(transport.read("c", 0, 0, ALL).unwrap_err().class(), Class::Usage);
}

/// A clock that is set back does not order rows anew.
pub fn timestamps_never_go_back(transport: &dyn Transport) {
    transport.create_topic("t", 1).unwrap();
    for now_ms in [100, 40, 200] {
        transport.produce("t", 0, batch(["x", "y"]), now_ms).unwrap();
    }
    let read = transport.read("t", 0, 0, ALL).unwrap();
    let times: Vec<i64> = read.iter().flat_map(|one| one.records.timestamps.clone()).collect();
    assert_eq!(times, [100, 100, 100, 100, 200, 200]);
}

/// A read begins with the batch that holds the offset, keeps to its limits, and yet always gets on.
pub fn reads_keep_their_limits(transport: &dyn Transport) {
    transport.create_topic("t", 1).unwrap();
    for _ in 0..5 {
        transport.produce("t", 0, batch(["aaaa", "bbbb", "cccc"]), 0).unwrap();
    }
    let bases = |from, max| -> Vec<u64> {
        transport.read("t", 0, from, max).unwrap().iter().map(|one| one.base).collect()
    };
    assert_eq!(bases(4, ALL), [3, 6, 9, 12]);
    assert_eq!(bases(3, ALL), [3, 6, 9, 12]);
    assert_eq!(bases(14, ALL), [12]);
    assert_eq!(bases(0, ReadMax { records: 7, ..ALL }), [0, 3]);
    assert_eq!(bases(0, ReadMax { records: 1, ..ALL }), [0]);
    assert_eq!(bases(5, ReadMax { bytes: 1, ..ALL }), [3]);
    assert_eq!(bases(0, ReadMax { records: 0, bytes: 0 }), [0]);
}

/// Offsets over many producers are gapless, and each keeps its own order.
pub fn concurrent_producers_leave_no_gap(transport: &dyn Transport) {
    const PRODUCERS: usize = 4;
    const BATCHES: usize = 25;
    transport.create_topic("t", 1).unwrap();
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            scope.spawn(move || {
                let mut last = None;
                for number in 0..BATCHES {
                    let value = format!("{producer}:{number:04}");
                    let base = transport.produce("t", 0, batch([value.as_str(); 3]), 0).unwrap();
                    assert!(last < Some(base), "offset {base} after {last:?}");
                    last = Some(base);
                }
            });
        }
    });
    let found = values(transport, "t", 0);
    assert_eq!(found.len(), PRODUCERS * BATCHES * 3);
    for producer in 0..PRODUCERS {
        let own: Vec<&String> =
            found.iter().filter(|one| one.starts_with(&format!("{producer}:"))).collect();
        assert!(own.is_sorted() && own.len() == BATCHES * 3);
    }
}

/// Trimming drops whole batches, is bounded per call, and reading below is an error.
pub fn trimmed_rows_are_an_error_and_not_a_gap(transport: &dyn Transport) {
    transport.create_topic("t", 1).unwrap();
    for number in 0..400 {
        transport.produce("t", 0, batch([number.to_string().as_str(); 3]), 0).unwrap();
    }
    let kept = transport.trim("t", 0, 8).unwrap();
    assert_eq!((kept.first, kept.more), (6, false), "only whole batches");
    assert_eq!(transport.range("t", 0), Ok((6, 1200)));
    let below = transport.read("t", 0, 5, ALL);
    assert!(matches!(below, Err(Error::Trimmed { first: 6, from: 5, .. })), "{below:?}");
    assert_eq!(values(transport, "t", 0).first().map(String::as_str), Some("2"));
    assert_eq!(transport.retained("t").unwrap().records, 1194);

    let (mut calls, mut first) = (0, 6);
    loop {
        let trimmed = transport.trim("t", 0, u64::MAX).unwrap();
        assert!(trimmed.first > first, "each call gets on");
        (calls, first) = (calls + 1, trimmed.first);
        if !trimmed.more {
            break;
        }
    }
    assert!(calls > 1, "one call does not do everything");
    assert_eq!(transport.range("t", 0), Ok((1200, 1200)));
    assert_eq!(transport.read("t", 0, 1200, ALL), Ok(Vec::new()));
    assert_eq!(transport.retained("t"), Ok(Retained::default()));
    assert_eq!(transport.produce("t", 0, batch(["x"]), 0), Ok(1200), "offsets go on");
}

/// The oldest batches of all partitions go first, until the bound is kept or one batch is left.
pub fn dropping_the_oldest_keeps_the_bound(transport: &dyn Transport) {
    transport.create_topic("t", 2).unwrap();
    transport.create_topic("other", 1).unwrap();
    transport.produce("other", 0, batch(["x"]), 0).unwrap();
    for number in 0..10 {
        let value = format!("{number:09}");
        transport.produce("t", number % 2, batch([value.as_str(); 2]), 0).unwrap();
    }
    let kept = transport.retained("t").unwrap();
    assert_eq!(kept.records, 20);
    assert!(kept.bytes >= 180);
    let bound = Retained { records: 11, bytes: u64::MAX };
    let dropped = transport.drop_oldest("t", bound).unwrap();
    assert_eq!((dropped.records, dropped.more), (10, false));
    assert_eq!(transport.range("t", 0), Ok((6, 10)));
    assert_eq!(transport.range("t", 1), Ok((4, 10)));
    assert_eq!(transport.drop_oldest("t", bound).unwrap().records, 0);
    let bound = Retained { records: u64::MAX, bytes: 0 };
    assert_eq!(transport.drop_oldest("t", bound).unwrap().records, 8);
    assert_eq!(transport.retained("t").unwrap().records, 2, "the newest batch stays");
    assert_eq!(transport.range("t", 1), Ok((8, 10)));
    assert!(!transport.drop_oldest("t", bound).unwrap().more);
    assert_eq!(values(transport, "other", 0), ["x"]);
    assert!(transport.drop_oldest("none", bound).is_err());
}

/// Waiting ends at once with rows that are there or come, and at its time without.
pub fn waiting_ends_with_rows(transport: &dyn Transport) {
    let long = Duration::from_secs(60);
    transport.create_topic("t", 2).unwrap();
    transport.produce("t", 0, LogBatch::default(), 0).unwrap();
    assert_eq!(transport.wait("t", 0, 0, Duration::from_millis(1)), Ok(false));
    transport.produce("t", 0, batch(["x"]), 0).unwrap();
    assert_eq!(transport.wait("t", 0, 0, long), Ok(true));
    assert_eq!(transport.wait("t", 0, 1, Duration::ZERO), Ok(false));
    assert!(transport.wait("none", 0, 0, long).is_err());
    let start = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| transport.wait("t", 0, 1, long));
        transport.produce("t", 1, batch(["elsewhere"]), 0).unwrap();
        transport.produce("t", 0, batch(["y"]), 0).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(true));
    });
    assert!(start.elapsed() < long / 2, "woken by the append, not by the time");
}
