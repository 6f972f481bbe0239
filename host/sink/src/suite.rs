//! What every sink must do, as plain functions that take any place where effects go. Each wants a
//! place of its own, empty. They panic where the sink is wrong.
//!
//! Values are JSON objects with the fields `id` (as the record's id) and `n` (a number that is
//! different for each record); keys are the ids; the header `n` holds the number as text.

use crate::error::Error;
use crate::sink::{Delivery, Owner, Sink, Verdict};

/// A place where effects go: a table, a receiver, a folder.
pub trait Place {
    /// One more sink that leads to this place, not opened.
    fn sink(&self) -> Box<dyn Sink>;
    /// Id and value of what took effect, all partitions, in the order in which it did, as a reader
    /// sees it who is not the sink. A receiver with idempotency keys leaves out what it had.
    fn effects(&self) -> Vec<(String, Vec<u8>)>;
}

/// What a sink promises beyond what all do.
#[derive(Clone, Copy, Debug)]
pub struct Promises {
    /// Lower epochs can do nothing once a higher one has opened.
    pub fenced: bool,
}

/// Runs everything, each with a place that `make` gives it.
pub fn all<P: Place>(promises: Promises, mut make: impl FnMut() -> P) {
    every_record_takes_effect_once_and_in_order(&make());
    what_comes_again_takes_no_effect_again(&make());
    opening_again_and_resting_change_nothing(&make());
    partitions_do_not_disturb_each_other(&make());
    for seed in 0..8 {
        random_restarts_lose_nothing_and_double_nothing(&make(), seed);
    }
    if promises.fenced {
        a_lower_epoch_is_fenced(&make());
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next one.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }
}

/// A record with bytes of its own, from which deliveries are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position.
    pub position: u64,
    /// Id, and key.
    pub id: String,
    /// Value.
    pub value: Vec<u8>,
    /// Event time in milliseconds.
    pub event_time: Option<i64>,
    /// The header `n`.
    pub n: String,
}

impl Record {
    /// The record number `n` of a partition: id `p<partition>-<n>`, positions with gaps.
    pub fn new(partition: u32, n: u64) -> Record {
        let id = format!("p{partition}-{n}");
        let value = format!("{{\"id\":\"{id}\",\"n\":{}}}", u64::from(partition) * 1_000_000 + n);
        Record {
            position: n * 3 + n % 2,
            id,
            value: value.into_bytes(),
            event_time: Some(1_258_000_000_000 + n as i64),
            n: n.to_string(),
        }
    }

    /// As it is given to a sink.
    pub fn delivery(&self) -> Delivery<'_> {
        Delivery {
            position: self.position,
            id: &self.id,
            key: Some(self.id.as_bytes()),
            value: Some(&self.value),
            event_time: self.event_time,
            headers: vec![("n", self.n.as_bytes())],
        }
    }
}

/// The first `count` records of a partition.
pub fn records(partition: u32, count: u64) -> Vec<Record> {
    (0..count).map(|n| Record::new(partition, n)).collect()
}

/// The owner of the suite's stage, on a log of its own.
pub fn owner(partition: u32, epoch: u64) -> Owner {
    Owner {
        pipeline: "suite".to_owned(),
        stage: "sink".to_owned(),
        partition,
        epoch,
        log: "0123456789abcdef0123456789abcdef".to_owned(),
    }
}

/// One call of `deliver`.
pub fn deliver(sink: &mut dyn Sink, records: &[Record]) -> Result<Vec<Verdict>, Error> {
    let deliveries: Vec<Delivery<'_>> = records.iter().map(Record::delivery).collect();
    let verdicts = sink.deliver(&deliveries)?;
    assert_eq!(verdicts.len(), records.len(), "one verdict for each record");
    Ok(verdicts)
}

/// Delivers and expects that each record is taken.
pub fn deliver_all(sink: &mut dyn Sink, records: &[Record]) {
    let verdicts = deliver(sink, records).unwrap_or_else(|error| panic!("deliver: {error}"));
    for (record, verdict) in records.iter().zip(verdicts) {
        assert_eq!(verdict, Verdict::Delivered, "{}", record.id);
    }
}

/// Delivers what was delivered before: where it is known to be at most once, `Unknown` is right.
fn deliver_again(sink: &mut dyn Sink, records: &[Record]) {
    let verdicts = deliver(sink, records).unwrap_or_else(|error| panic!("deliver again: {error}"));
    for (record, verdict) in records.iter().zip(verdicts) {
        let settled = matches!(verdict, Verdict::Delivered | Verdict::Unknown { .. });
        assert!(settled, "{}: {verdict:?}", record.id);
    }
}

fn open(sink: &mut dyn Sink, owner: &Owner) {
    sink.open(owner).unwrap_or_else(|error| panic!("open {owner:?}: {error}"));
}

fn expected(records: &[Record]) -> Vec<(String, Vec<u8>)> {
    records.iter().map(|record| (record.id.clone(), record.value.clone())).collect()
}

/// Batches of several sizes, none at all among them.
pub fn every_record_takes_effect_once_and_in_order(place: &dyn Place) {
    let all = records(0, 60);
    let mut sink = place.sink();
    open(&mut *sink, &owner(0, 1));
    let mut rest = &all[..];
    for size in [1, 0, 2, 7, 50] {
        let (batch, later) = rest.split_at(size);
        deliver_all(&mut *sink, batch);
        rest = later;
    }
    drop(sink);
    assert_eq!(place.effects(), expected(&all));
}

/// After a crash anywhere: from every earlier position, by the same and by a higher epoch, cut
/// into other batches than the first time.
pub fn what_comes_again_takes_no_effect_again(place: &dyn Place) {
    let all = records(0, 12);
    let mut sink = place.sink();
    open(&mut *sink, &owner(0, 1));
    deliver_all(&mut *sink, &all[..5]);
    deliver_all(&mut *sink, &all[5..]);
    drop(sink);
    for from in (0..all.len()).rev() {
        let epoch = 1 + (all.len() - from) as u64 / 2;
        let mut again = place.sink();
        open(&mut *again, &owner(0, epoch));
        let (first, second) = all[from..].split_at((all.len() - from) / 2);
        deliver_again(&mut *again, first);
        deliver_again(&mut *again, second);
        drop(again);
        assert_eq!(place.effects(), expected(&all), "again from {from}");
    }
}

/// As after a transient error, and as in quiet times.
pub fn opening_again_and_resting_change_nothing(place: &dyn Place) {
    let all = records(0, 9);
    let mut sink = place.sink();
    open(&mut *sink, &owner(0, 1));
    for batch in all.chunks(3) {
        sink.rest().unwrap_or_else(|error| panic!("rest: {error}"));
        deliver_all(&mut *sink, batch);
        sink.rest().unwrap_or_else(|error| panic!("rest: {error}"));
        open(&mut *sink, &owner(0, 1));
    }
    drop(sink);
    assert_eq!(place.effects(), expected(&all));
}

/// Equal positions in different partitions are different records.
pub fn partitions_do_not_disturb_each_other(place: &dyn Place) {
    let (left, right) = (records(0, 20), records(1, 20));
    let (mut first, mut second) = (place.sink(), place.sink());
    open(&mut *first, &owner(0, 1));
    open(&mut *second, &owner(1, 7));
    for (left, right) in left.chunks(3).zip(right.chunks(3)) {
        deliver_all(&mut *second, right);
        deliver_all(&mut *first, left);
    }
    drop((first, second));
    let of = |records: &[Record]| -> Vec<(String, Vec<u8>)> {
        let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
        place.effects().into_iter().filter(|(id, _)| ids.contains(&id.as_str())).collect()
    };
    assert_eq!(of(&left), expected(&left));
    assert_eq!(of(&right), expected(&right));
    assert_eq!(place.effects().len(), left.len() + right.len());
}

/// Batches of random sizes; now and then the sink dies and another begins further back, as the
/// same epoch or a higher one.
pub fn random_restarts_lose_nothing_and_double_nothing(place: &dyn Place, seed: u64) {
    let random = &mut Random(seed);
    let all = records(0, 100);
    let (mut epoch, mut at, mut furthest) = (1, 0, 0);
    let mut sink = place.sink();
    open(&mut *sink, &owner(0, epoch));
    while at < all.len() {
        if random.below(5) == 0 {
            epoch += random.below(2) as u64;
            at -= random.below(at.min(30) + 1);
            drop(sink);
            sink = place.sink();
            open(&mut *sink, &owner(0, epoch));
        }
        if random.below(6) == 0 {
            sink.rest().unwrap_or_else(|error| panic!("seed {seed}, rest: {error}"));
        }
        let to = all.len().min(at + random.below(12));
        deliver_again(&mut *sink, &all[at..to.min(furthest).max(at)]);
        deliver_all(&mut *sink, &all[to.min(furthest).max(at)..to]);
        at = to;
        furthest = furthest.max(at);
    }
    drop(sink);
    assert_eq!(place.effects(), expected(&all), "seed {seed}");
}

/// Once a higher epoch has opened, a lower one is told so, whether it delivers or opens.
pub fn a_lower_epoch_is_fenced(place: &dyn Place) {
    let all = records(0, 12);
    let (mut zombie, mut heir) = (place.sink(), place.sink());
    open(&mut *zombie, &owner(0, 1));
    deliver_all(&mut *zombie, &all[..4]);
    open(&mut *heir, &owner(0, 2));
    assert_eq!(deliver(&mut *zombie, &all[4..8]), Err(Error::Fenced { epoch: 2 }));
    assert_eq!(zombie.open(&owner(0, 1)), Err(Error::Fenced { epoch: 2 }));
    assert_eq!(place.sink().open(&owner(0, 1)), Err(Error::Fenced { epoch: 2 }));
    deliver_all(&mut *heir, &all[4..8]);
    assert_eq!(deliver(&mut *zombie, &all[8..]), Err(Error::Fenced { epoch: 2 }));
    deliver_all(&mut *heir, &all[8..]);
    drop((zombie, heir));
    assert_eq!(place.effects(), expected(&all));
}
