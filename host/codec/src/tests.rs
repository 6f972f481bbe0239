//! What holds for all formats: they give back what they got, bytes of old versions still read, and
//! no bytes at all make a reader panic.

use crate::envelope::{self, Format};
use crate::{Error, commit, decision, log_batch, sealed, state};
use pawl_core::commit::{Commit, Progress};
use pawl_core::counters::{Counters, EdgeCounters};
use pawl_core::decision::Root;
use pawl_core::decision::{CheckpointName, Decision, DecisionKind, OperatorDigest, PathStep};
use pawl_core::record::{Control, LogBatch, NO_TIME, Producer, Record, Records};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Steele, Lea and Flood's splitmix64: enough to vary inputs.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn a_batch() -> LogBatch {
    let mut records = Records::default();
    records.push(Record {
        key: Some(b"k1"),
        value: Some(b"value one"),
        event_time: 1_234_567_890_123,
        timestamp: -5,
        priority: 128,
        headers: &[("pawl-entry", &b"0"[..]), ("trace", &b"\x00\xff"[..])],
        ..Record::default()
    });
    records.push(Record { event_time: NO_TIME, timestamp: i64::MAX, ..Record::default() });
    records.push(Record { value: Some(b""), priority: 255, ..Record::default() });
    let producer = Producer { stage: "correlate".to_owned(), partition: 3 };
    let control = Control {
        generation: 2,
        producer: producer.clone(),
        producers: vec![producer.clone(), Producer { stage: "x".to_owned(), partition: 0 }],
        number: 7,
        watermark: -1,
        active: true,
    };
    let other = Control { number: 8, active: false, watermark: NO_TIME, ..control.clone() };
    let controls = vec![(0, control), (4, other)];
    LogBatch { base: 1 << 40, producer: Some(producer), records, controls }
}

fn a_commit() -> Commit {
    let mut counters = Counters { records_in: 9, controls_in: 2, ..Counters::default() };
    counters.edges = vec![EdgeCounters { absorbed: 5, duplicate: 4, ..EdgeCounters::default() }];
    counters.records_out.insert("alerts".to_owned(), 1);
    counters.dead_letters.insert("normalize/trap".to_owned(), 3);
    Commit {
        epoch: 4,
        progress: Progress { position: 11, ticks: 22, decisions: 3, admitted: 4 },
        semantics: 1,
        input_sum: u128::MAX,
        output_sum: 1 << 100,
        witness: Some(CheckpointName { epoch: 4, sequence: 17 }),
        counters,
    }
}

fn a_decision_of_each_kind() -> Vec<Decision> {
    let digest = OperatorDigest {
        operator: "cell".to_owned(),
        component: "ab".repeat(32),
        configuration: "cd".repeat(32),
    };
    let kinds = vec![
        DecisionKind::Generation {
            number: 1,
            producers: vec![Producer { stage: "normalize".to_owned(), partition: 1 }],
        },
        DecisionKind::Idle,
        DecisionKind::Active,
        DecisionKind::Close { time: -7 },
        DecisionKind::Dead {
            root: Root::Tick(300),
            path: vec![PathStep { operator: 1, index: 2 }],
            disposition: "trap".to_owned(),
            error_kind: "trap".to_owned(),
            message: "unreachable".to_owned(),
        },
        DecisionKind::Resume,
        DecisionKind::Switch { operators: vec![digest], at_checkpoint: None },
        DecisionKind::Undelivered {
            root: Root::SentBack(7),
            disposition: "sink-rejected".to_owned(),
            error_kind: "http-400".to_owned(),
            message: "answered 400".to_owned(),
            retries: 2,
        },
        DecisionKind::Admit { until: 8 },
        DecisionKind::Attempt { until: 9 },
    ];
    let numbered = kinds.into_iter().enumerate();
    numbered
        .map(|(number, kind)| Decision { number: number as u64, position: 300, kind, epoch: 2 })
        .collect()
}

/// Stands for the core's state, whose type this room does not know.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct AState {
    progress: Progress,
    watermarks: Vec<Option<i64>>,
}

fn a_state() -> AState {
    let progress = Progress { position: 5, ticks: 1, decisions: 0, admitted: 0 };
    AState { progress, watermarks: vec![None, Some(-3)] }
}

/// Compares what a format writes today with the bytes kept in `fixtures/`.
/// `PAWL_WRITE_FIXTURES=1` writes those that are not there yet; it never replaces one.
fn fixture(name: &str, written_today: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    if std::env::var_os("PAWL_WRITE_FIXTURES").is_some() && !path.exists() {
        std::fs::write(&path, written_today).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn bytes_of_version_1_still_read_and_are_still_written() {
    let bytes = log_batch::encode(&a_batch()).unwrap();
    let kept = fixture("log-batch-1.bin", &bytes);
    assert_eq!(log_batch::decode(&kept), Ok(a_batch()));
    assert_eq!(kept, bytes);

    let bytes = commit::encode(&a_commit());
    let kept = fixture("commit-1.bin", &bytes);
    assert_eq!(commit::decode(&kept), Ok(a_commit()));
    assert_eq!(kept, bytes);

    for decision in a_decision_of_each_kind() {
        let bytes = decision::encode(&decision);
        let kept = fixture(&format!("decision-1-{}.bin", decision.number), &bytes);
        assert_eq!(decision::decode(&kept), Ok(decision));
        assert_eq!(kept, bytes);
    }

    let bytes = state::encode(&a_state()).unwrap();
    let kept = fixture("state-1.bin", &bytes);
    assert_eq!(state::decode(&kept), Ok(a_state()));
    assert_eq!(kept, bytes);
}

fn a_random_batch(random: &mut Random) -> LogBatch {
    let mut records = Records::default();
    let bytes: Vec<u8> = (0..64).map(|_| random.next() as u8).collect();
    let keyless = random.below(3) == 0;
    for _ in 0..random.below(20) {
        let part = |random: &mut Random| {
            (random.below(3) > 0).then(|| &bytes[random.below(32)..32 + random.below(32)])
        };
        let (name, header) = (["a", "b", "c"][random.below(3)], &bytes[..random.below(9)]);
        records.push(Record {
            key: if keyless { None } else { part(random) },
            value: part(random),
            id: part(random),
            event_time: random.next() as i64,
            timestamp: random.next() as i64,
            priority: random.next() as u8,
            headers: &[(name, header)][random.below(2)..],
        });
    }
    let mut batch = LogBatch { base: random.next() >> 1, records, ..LogBatch::default() };
    if random.below(2) == 0 {
        batch.producer = Some(Producer { stage: "s".to_owned(), partition: 1 });
        let (_, control) = a_batch().controls.remove(0);
        let count = random.below(4) as u32;
        batch.controls = (0..count).map(|row| (row, control.clone())).collect();
    }
    batch
}

#[test]
fn any_batch_comes_back_as_it_was() {
    for seed in 0..2_000 {
        let batch = a_random_batch(&mut Random(seed));
        let bytes = log_batch::encode(&batch).unwrap();
        assert_eq!(log_batch::decode(&bytes), Ok(batch), "seed {seed}");
    }
}

#[test]
fn a_batch_that_could_not_be_read_is_not_written() {
    let lies: [fn(&mut LogBatch); 4] = [
        |batch| batch.base = u64::MAX - 1,
        |batch| batch.records.keys.ends[0] = 9,
        |batch| batch.records.priorities.push(0),
        |batch| batch.controls[1].0 = 5,
    ];
    for lie in lies {
        let mut batch = a_batch();
        lie(&mut batch);
        assert!(matches!(log_batch::encode(&batch), Err(Error::Malformed { .. })));
    }
}

/// Reads and gives only the error, if any.
type Reader = fn(&[u8]) -> Option<Error>;

/// Every format: a good example, and its reader.
fn readers() -> Vec<(Format, Vec<u8>, Reader)> {
    vec![
        (log_batch::FORMAT, log_batch::encode(&a_batch()).unwrap(), |b| log_batch::decode(b).err()),
        (commit::FORMAT, commit::encode(&a_commit()), |b| commit::decode(b).err()),
        (decision::FORMAT, decision::encode(&a_decision_of_each_kind()[4]), |b| {
            decision::decode(b).err()
        }),
        (state::FORMAT, state::encode(&a_state()).unwrap(), |b| state::decode::<AState>(b).err()),
    ]
}

#[test]
fn truncated_at_any_byte_it_is_refused_as_truncated() {
    for (format, bytes, read) in readers() {
        for length in 0..bytes.len() {
            let error = read(&bytes[..length]).expect("must be refused");
            assert!(matches!(error, Error::Truncated { .. }), "{} {length}: {error}", format.name);
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(read(&longer), Some(Error::TooLong { .. })), "{}", format.name);
    }
}

#[test]
fn with_any_bit_flipped_it_is_refused_and_never_as_newer() {
    for (format, mut bytes, read) in readers() {
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = read(&bytes).unwrap_or_else(|| panic!("{} read, bit {bit}", format.name));
            assert!(!error.is_newer_version(), "{} bit {bit}: {error}", format.name);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(read(&bytes), None);
    }
}

#[test]
fn another_format_and_a_newer_version_are_told_apart_and_named() {
    for (format, bytes, read) in readers() {
        let payload = &bytes[envelope::HEADER_BYTES..];
        let newer = envelope::seal(&Format { version: 2, ..format }, payload);
        let error = read(&newer).unwrap();
        assert!(error.is_newer_version());
        assert!(error.to_string().contains("format version 2, this pawl reads up to 1"));
        let other = envelope::seal(&Format { magic: *b"PAWLOTHR", ..format }, payload);
        let error = read(&other).unwrap().to_string();
        assert!(error.contains(&format!("not a {}: begins with \"PAWLOTHR\"", format.name)));
    }
}

/// Behind a checksum that fits, so that what is tried is the reader and not the checksum.
#[test]
fn a_damaged_payload_with_a_fitting_checksum_never_panics() {
    for seed in 0..40_000 {
        let random = &mut Random(seed);
        for (format, bytes, read) in readers() {
            let mut payload = bytes[envelope::HEADER_BYTES..].to_vec();
            for _ in 0..1 + random.below(4) {
                let at = random.below(payload.len());
                match random.below(4) {
                    0 => payload[at] = random.next() as u8,
                    1 => payload[at] = 0xff,
                    2 => payload[at] ^= 1 << random.below(8),
                    _ => payload.truncate(at.max(1)),
                }
            }
            let bytes = envelope::seal(&format, &payload);
            // A change can hit a value and still be readable; but it must be well formed then.
            if read(&bytes).is_none() && format == log_batch::FORMAT {
                let batch = log_batch::decode(&bytes).unwrap();
                assert!(batch.check().is_ok() && batch.end() >= batch.base, "seed {seed}");
            }
        }
        if seed % 100 == 0 {
            let batch = log_batch::encode(&a_random_batch(random)).unwrap();
            let payload = &batch[envelope::HEADER_BYTES..];
            for length in 0..payload.len() {
                let cut = envelope::seal(&log_batch::FORMAT, &payload[..length]);
                assert!(log_batch::decode(&cut).is_err(), "seed {seed}, length {length}");
            }
        }
    }
}

#[test]
fn a_lying_count_of_rows_or_headers_allocates_nothing() {
    // Small part: base 0, 2^32-1 rows, no producer, no headers, no controls.
    let rows: &[u8] = &[0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    // Base 0, no rows, no producer, 2^32-1 headers.
    let headers: &[u8] = &[0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    for small in [rows, headers] {
        let mut payload = (small.len() as u32).to_le_bytes().to_vec();
        payload.extend_from_slice(small);
        payload.extend_from_slice(&[0; 3]);
        let bytes = envelope::seal(&log_batch::FORMAT, &payload);
        assert!(matches!(log_batch::decode(&bytes), Err(Error::Malformed { .. })));
    }
}

#[test]
fn bytes_behind_the_payloads_end_are_refused() {
    for (format, bytes, read) in readers() {
        let mut payload = bytes[envelope::HEADER_BYTES..].to_vec();
        payload.push(0);
        let error = read(&envelope::seal(&format, &payload)).expect("must be refused");
        assert!(error.to_string().ends_with("1 bytes too many"), "{error}");
    }
}

#[test]
fn a_header_without_a_row_does_not_claim_memory_for_all_rows() {
    // Small part: base 0, no rows, no producer, one header "h", no controls; then times and
    // priorities of no rows, three absent columns, and the header's column in the absent form.
    let small = [0, 0, 0, 1, 1, b'h', 0];
    let mut payload = (small.len() as u32).to_le_bytes().to_vec();
    payload.extend_from_slice(&small);
    payload.extend_from_slice(&[0; 4]);
    let error = log_batch::decode(&envelope::seal(&log_batch::FORMAT, &payload)).unwrap_err();
    assert!(error.to_string().contains("column of form [0]"), "{error}");
}

#[test]
fn what_stands_behind_a_sealed_value_is_given_back() {
    let mut bytes = sealed::encode(&state::FORMAT, &a_state()).unwrap();
    bytes.extend_from_slice(b"more");
    let read: Result<(AState, &[u8]), Error> = sealed::decode_first(&state::FORMAT, &bytes);
    assert_eq!(read, Ok((a_state(), &b"more"[..])));
    assert_eq!(envelope::sealed_bytes(&state::FORMAT, &bytes), Ok(bytes.len() as u64 - 4));
}
