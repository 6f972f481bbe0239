//! Drives an operator natively, as the host would, and holds it to the contract.
//!
//! For the tests of plugins: whatever the host would refuse is a panic here, saying why.

use crate::emit::CAUSE_OWED;
use crate::{Batch, ByteColumn, Driver, Emissions, Operator, Rejection, Wiring};

/// A record to be processed.
#[derive(Clone, Debug, Default)]
pub struct Input {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    event_time: i64,
    headers: Vec<Option<Vec<u8>>>,
}

impl Input {
    /// A record with key and value.
    pub fn new(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let (key, value) = (Some(key.as_ref().to_vec()), Some(value.as_ref().to_vec()));
        Self { key, value, ..Self::default() }
    }

    /// Its event time, milliseconds since the Unix epoch (0 if not given).
    pub fn at(mut self, event_time: i64) -> Self {
        self.event_time = event_time;
        self
    }

    /// The next of the headers that the wiring wants.
    pub fn header(mut self, value: Option<&[u8]>) -> Self {
        self.headers.push(value.map(<[u8]>::to_vec));
        self
    }

    /// Without a key.
    pub fn no_key(mut self) -> Self {
        self.key = None;
        self
    }

    /// Without a value.
    pub fn no_value(mut self) -> Self {
        self.value = None;
        self
    }
}

/// A record that the operator emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Index of the output.
    pub output: u8,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value.
    pub value: Option<Vec<u8>>,
    /// Event time.
    pub event_time: i64,
    /// The input from which it was made; none from `advance`.
    pub cause: Option<u32>,
    /// Id, if it has one.
    pub id: Option<Vec<u8>>,
    /// Priority, if it was said.
    pub priority: Option<u8>,
    /// One for each header that the wiring sets.
    pub headers: Vec<Option<Vec<u8>>>,
}

impl Sent {
    /// The value as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }
}

/// What became of some records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// What was emitted, in order.
    pub sent: Vec<Sent>,
    /// What was rejected, with its index among the inputs.
    pub rejected: Vec<(u32, Rejection)>,
}

/// An operator, configured, with the host's part played by this.
pub struct Harness<O: Operator> {
    driver: Driver<O>,
    wiring: Wiring,
    watermark: i64,
    /// The parts of the state as the host has them.
    parts: Vec<Vec<u8>>,
    /// How many parts the last snapshot gave anew.
    given: usize,
}

impl<O: Operator> Harness<O> {
    /// Configures the operator.
    pub fn new(config: &str) -> Result<Self, String> {
        let mut driver = Driver::new();
        let wiring = driver.configure(config)?;
        Ok(Self { driver, wiring, watermark: i64::MIN, parts: Vec::new(), given: 0 })
    }

    /// Configures the operator and restores a state.
    pub fn restored(config: &str, version: u32, parts: &[Vec<u8>]) -> Result<Self, String> {
        let mut harness = Self::new(config)?;
        for (index, part) in parts.iter().enumerate() {
            harness.driver.restore(version, part, index + 1 < parts.len())?;
        }
        if version == O::STATE_VERSION {
            harness.parts = parts.to_vec();
        }
        Ok(harness)
    }

    /// How the operator is wired.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// Has records processed, in as many calls as it takes.
    pub fn process(&mut self, inputs: &[Input]) -> Ran {
        let mut ran = Ran::default();
        let mut at = 0;
        loop {
            let rest = &inputs[at..];
            let outcome = self.driver.process(self.batch(rest));
            let progress = outcome.taken > 0 || !outcome.emissions.is_empty();
            assert!(progress || rest.is_empty(), "a call made no progress");
            for (row, rejection) in outcome.rejections {
                assert!(row < outcome.taken, "row {row} is rejected and was not taken");
                ran.rejected.push((at as u32 + row, rejection));
            }
            for mut sent in self.sent(&outcome.emissions) {
                let cause = match sent.cause.expect("an emission of process has a cause") {
                    CAUSE_OWED => at as u32 - 1,
                    row => at as u32 + row,
                };
                let dead = ran.rejected.iter().any(|(row, _)| *row == cause);
                assert!(!dead, "input {cause} is rejected and caused an emission");
                let ahead = sent.event_time.saturating_sub(inputs[cause as usize].event_time);
                self.check_ahead(ahead);
                sent.cause = Some(cause);
                ran.sent.push(sent);
            }
            at += outcome.taken as usize;
            if at == inputs.len() && !outcome.more {
                let ordered = ran.sent.is_sorted_by_key(|sent| sent.cause);
                assert!(ordered, "causes must ascend");
                return ran;
            }
        }
    }

    /// Moves the watermark, in as many calls as it takes.
    pub fn advance(&mut self, watermark: i64) -> Vec<Sent> {
        let mut all = Vec::new();
        loop {
            let outcome = self.driver.advance(watermark);
            assert!(outcome.emissions.causes.is_empty(), "nothing causes what advance emits");
            let sent = self.sent(&outcome.emissions);
            assert!(!outcome.more || !sent.is_empty(), "a call made no progress");
            for sent in &sent {
                self.check_ahead(sent.event_time.saturating_sub(watermark));
            }
            all.extend(sent);
            if !outcome.more {
                self.watermark = watermark;
                return all;
            }
        }
    }

    /// Takes a snapshot: all parts as the host then has them.
    pub fn snapshot(&mut self) -> Vec<Vec<u8>> {
        self.take(false)
    }

    /// Takes a snapshot of which every part is given anew.
    pub fn full_snapshot(&mut self) -> Vec<Vec<u8>> {
        self.take(true)
    }

    /// How many parts the last snapshot gave anew; the others were unchanged.
    pub fn parts_given(&self) -> usize {
        self.given
    }

    fn take(&mut self, full: bool) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        self.given = 0;
        loop {
            let part = self.driver.snapshot(parts.len() as u32, full);
            self.given += usize::from(part.data.is_some());
            let before = self.parts.get(parts.len()).filter(|_| !full).cloned();
            parts.push(part.data.or(before).expect("a part that was never given is absent"));
            if !part.more {
                self.parts.clone_from(&parts);
                return parts;
            }
        }
    }

    fn batch(&self, inputs: &[Input]) -> Batch {
        let mut batch = Batch::default();
        batch.headers.resize_with(self.wiring.wants.len(), ByteColumn::default);
        for input in inputs {
            assert!(input.event_time >= self.watermark, "the host shows no record that is late");
            batch.keys.push(input.key.as_deref());
            batch.values.push(input.value.as_deref());
            batch.event_times.push(input.event_time);
            for (index, column) in batch.headers.iter_mut().enumerate() {
                column.push(input.headers.get(index).and_then(Option::as_deref));
            }
        }
        batch
    }

    fn sent(&self, emissions: &Emissions) -> Vec<Sent> {
        let rows = emissions.len();
        let whole =
            |column: &ByteColumn| column.len() == rows && column.start(rows) == column.data.len();
        assert!(whole(&emissions.keys) && whole(&emissions.values), "columns of unequal length");
        assert!(emissions.ids.is_empty() || whole(&emissions.ids), "ids of unequal length");
        assert!(
            emissions.headers.len() == self.wiring.sets.len(),
            "an emission has header {}, and the wiring sets {}",
            emissions.headers.len().saturating_sub(1),
            self.wiring.sets.len()
        );
        let owned = |column: &ByteColumn, row| column.get(row).map(<[u8]>::to_vec);
        let oldest = self.watermark.saturating_sub_unsigned(self.wiring.delay);
        (0..rows)
            .map(|row| {
                let event_time = emissions.event_times[row];
                assert!(
                    event_time >= oldest,
                    "an emission of {event_time} lies further behind the watermark {} than the \
                     delay of {} ms",
                    self.watermark,
                    self.wiring.delay
                );
                let output = emissions.outputs.get(row).copied().unwrap_or(0);
                let outputs = self.wiring.outputs.len();
                assert!((output as usize) < outputs, "output {output} of {outputs} is unknown");
                Sent {
                    output,
                    key: owned(&emissions.keys, row),
                    value: owned(&emissions.values, row),
                    event_time,
                    cause: emissions.causes.get(row).copied(),
                    id: owned(&emissions.ids, row),
                    priority: emissions.priorities.get(row).copied(),
                    headers: emissions.headers.iter().map(|column| owned(column, row)).collect(),
                }
            })
            .collect()
    }

    fn check_ahead(&self, milliseconds: i64) {
        assert!(
            milliseconds <= 0 || milliseconds as u64 <= self.wiring.ahead,
            "an emission lies {milliseconds} ms ahead, and the wiring says {} ms",
            self.wiring.ahead
        );
    }
}

/// Numbers that only look random: a seed always gives the same ones.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `limit` (0 if that is 0).
    pub fn below(&mut self, limit: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit.max(1)
    }
}
