//! A host in miniature for millions of lines: one partition, the four operators in a row, a batch
//! at a time, with what edges do: dedup, lateness, watermarks less what operators hold back.

use pawl_sdk::{Batch, ByteColumn, Driver, Emissions, Operator, Wiring};
use sda_cell::Cells;
use sda_correlate::Correlate;
use sda_encounter::Encounter;
use sda_normalize::Normalize;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Rows of a call, and of one step of the watermark.
const ROWS: usize = 500;

/// What came out.
#[derive(Default)]
pub struct Report {
    /// In order.
    pub alerts: Vec<String>,
    /// Candidates, which say more than alerts.
    pub candidates: Vec<sda_domain::Candidate>,
    /// Rejections by kind.
    pub dead: BTreeMap<String, u64>,
    pub duplicates: u64,
    pub late: u64,
    pub observations: u64,
    pub copies: u64,
}

struct Node<O: Operator> {
    driver: Driver<O>,
    wiring: Wiring,
}

impl<O: Operator> Node<O> {
    fn new() -> Self {
        let mut driver = Driver::new();
        let wiring = driver.configure("").unwrap();
        Self { driver, wiring }
    }

    fn process(&mut self, input: Batch, dead: &mut BTreeMap<String, u64>) -> Emissions {
        let rows = input.len();
        let outcome = self.driver.process(input);
        assert!(outcome.taken as usize == rows && !outcome.more);
        for (_, why) in outcome.rejections {
            *dead.entry(why.kind).or_default() += 1;
        }
        outcome.emissions
    }

    fn advance(&mut self, watermark: i64) -> (Emissions, i64) {
        let outcome = self.driver.advance(watermark);
        assert!(!outcome.more);
        (outcome.emissions, watermark - self.wiring.delay as i64)
    }

    /// Goes on from its own snapshot.
    fn restore(&mut self) {
        let mut fresh = Self::new();
        for part in 0.. {
            let piece = self.driver.snapshot(part, true);
            fresh.driver.restore(O::STATE_VERSION, &piece.data.unwrap(), piece.more).unwrap();
            if !piece.more {
                break;
            }
        }
        self.driver = fresh.driver;
    }
}

pub struct Host {
    normalize: Node<Normalize>,
    cell: Node<Cells>,
    correlate: Node<Correlate>,
    encounter: Node<Encounter>,
    disorder_ms: i64,
    watermark: i64,
    newest_ms: i64,
    /// Hashes of ids.
    ids: HashSet<u64>,
    waiting: Batch,
    offset: u64,
    report: Report,
}

impl Host {
    pub fn new(disorder_ms: i64) -> Self {
        Self {
            normalize: Node::new(),
            cell: Node::new(),
            correlate: Node::new(),
            encounter: Node::new(),
            disorder_ms,
            watermark: i64::MIN,
            newest_ms: i64::MIN,
            ids: HashSet::new(),
            waiting: batch(Emissions::default(), 1),
            offset: 0,
            report: Report::default(),
        }
    }

    /// One line from outside.
    pub fn give(&mut self, line: &[u8]) {
        self.waiting.keys.push(None);
        self.waiting.values.push(Some(line));
        self.waiting.event_times.push(0);
        self.waiting.headers[0].push(Some(format!("observations/0/{}", self.offset).as_bytes()));
        self.offset += 1;
        if self.waiting.len() >= ROWS {
            self.flush();
        }
    }

    /// All windows close; what came out.
    pub fn close(mut self) -> Report {
        self.flush();
        self.tick(self.newest_ms + 1_000_000);
        self.report
    }

    pub fn restore(&mut self) {
        self.correlate.restore();
        self.encounter.restore();
    }

    fn flush(&mut self) {
        let report = &mut self.report;
        let waiting = std::mem::replace(&mut self.waiting, batch(Emissions::default(), 1));
        let observations = self.normalize.process(waiting, &mut report.dead);
        let mut passed = Batch::default();
        for row in 0..observations.len() {
            let time = observations.event_times[row];
            // As lateness is judged: against the watermark of the rows before.
            let mut id = DefaultHasher::new();
            observations.ids.get(row).unwrap().hash(&mut id);
            let id = id.finish();
            if self.ids.contains(&id) {
                report.duplicates += 1;
            } else if time < self.watermark {
                report.late += 1;
            } else {
                self.ids.insert(id);
                passed.keys.push(observations.keys.get(row));
                passed.values.push(observations.values.get(row));
                passed.event_times.push(time);
                self.newest_ms = self.newest_ms.max(time);
            }
        }
        report.observations += passed.len() as u64;
        let copies = self.cell.process(passed, &mut report.dead);
        report.copies += copies.len() as u64;
        self.correlate.process(batch(copies, 0), &mut report.dead);
        self.tick((self.newest_ms - self.disorder_ms).div_euclid(100) * 100);
    }

    fn tick(&mut self, watermark: i64) {
        if watermark <= self.watermark {
            return;
        }
        self.watermark = watermark;
        let (candidates, watermark) = self.correlate.advance(watermark);
        for row in 0..candidates.len() {
            let value = candidates.values.get(row).unwrap();
            self.report.candidates.push(sda_domain::Candidate::decode(value).unwrap());
        }
        self.encounter.process(batch(candidates, 0), &mut self.report.dead);
        let alerts = self.encounter.advance(watermark).0;
        let text = |row| String::from_utf8(alerts.values.get(row).unwrap().to_vec()).unwrap();
        self.report.alerts.extend((0..alerts.len()).map(text));
    }
}

fn batch(emissions: Emissions, headers: usize) -> Batch {
    Batch {
        keys: emissions.keys,
        values: emissions.values,
        event_times: emissions.event_times,
        headers: vec![ByteColumn::default(); headers],
    }
}
