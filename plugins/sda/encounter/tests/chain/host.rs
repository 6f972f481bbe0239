//! A host in miniature: one partition, the four operators in a row, with what edges do (dedup,
//! lateness, watermarks less what operators hold back) and a check of what operators declared.

use pawl_sdk::{Batch, ByteColumn, Driver, Emissions, Operator, Outcome, Wiring};
use sda_cell::Cells;
use sda_correlate::Correlate;
use sda_encounter::Encounter;
use sda_normalize::Normalize;
use std::collections::BTreeSet;

const NO_TIME: i64 = i64::MIN;

/// What came out.
#[derive(Debug, Default)]
pub struct Report {
    /// Sorted.
    pub alerts: Vec<String>,
    /// The header of each alert, in the order in which they were emitted.
    pub lineages: Vec<String>,
    /// Kinds of the rejections, in order.
    pub dead: Vec<String>,
    pub duplicates: u64,
    pub late: u64,
    /// Observations that passed.
    pub observations: u64,
}

pub struct Host {
    normalize: Node<Normalize>,
    cell: Node<Cells>,
    correlate: Node<Correlate>,
    encounter: Node<Encounter>,
    disorder_ms: i64,
    newest_ms: i64,
    /// Where the next line stands.
    offset: u64,
    ids: BTreeSet<Vec<u8>>,
    report: Report,
}

struct Node<O: Operator> {
    driver: Driver<O>,
    wiring: Wiring,
    watermark: i64,
}

impl<O: Operator> Node<O> {
    fn new() -> Self {
        let mut driver = Driver::new();
        let wiring = driver.configure("").unwrap();
        Self { driver, wiring, watermark: NO_TIME }
    }

    fn process(&mut self, input: Batch) -> Outcome {
        let times = input.event_times.clone();
        assert!(times.iter().all(|time| *time >= self.watermark || self.watermark == NO_TIME));
        let outcome = self.driver.process(input);
        assert!(outcome.taken as usize == times.len() && !outcome.more);
        outcome
    }

    fn advance(&mut self, watermark: i64) -> (Emissions, i64) {
        assert!(watermark >= self.watermark);
        let outcome = self.driver.advance(watermark);
        assert!(!outcome.more);
        for time in &outcome.emissions.event_times {
            let behind = self.watermark.saturating_sub(self.wiring.delay as i64);
            assert!(*time >= behind, "{} emits too far behind", O::NAME);
            assert!(*time <= watermark + self.wiring.ahead as i64, "{} too far ahead", O::NAME);
        }
        self.watermark = watermark;
        (outcome.emissions, watermark - self.wiring.delay as i64)
    }

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

fn batch(emissions: &Emissions) -> Batch {
    Batch {
        keys: emissions.keys.clone(),
        values: emissions.values.clone(),
        event_times: emissions.event_times.clone(),
        headers: Vec::new(),
    }
}

fn row(bytes: &[u8]) -> ByteColumn {
    let mut column = ByteColumn::default();
    column.push(Some(bytes));
    column
}

impl Host {
    pub fn new(disorder_ms: i64) -> Self {
        Self {
            normalize: Node::new(),
            cell: Node::new(),
            correlate: Node::new(),
            encounter: Node::new(),
            disorder_ms,
            newest_ms: NO_TIME,
            offset: 0,
            ids: BTreeSet::new(),
            report: Report::default(),
        }
    }

    /// One line from outside.
    pub fn give(&mut self, line: &[u8]) {
        let origin = format!("observations/0/{}", self.offset);
        self.offset += 1;
        let input = Batch {
            keys: row(b""),
            values: row(line),
            event_times: vec![0],
            headers: vec![row(origin.as_bytes())],
        };
        let outcome = self.normalize.process(input);
        self.report.dead.extend(outcome.rejections.into_iter().map(|(_, why)| why.kind));
        if outcome.emissions.is_empty() {
            return;
        }
        let id = outcome.emissions.ids.get(0).unwrap().to_vec();
        let time = outcome.emissions.event_times[0];
        if self.ids.contains(&id) {
            self.report.duplicates += 1;
        } else if time < self.cell.watermark {
            self.report.late += 1;
        } else {
            self.ids.insert(id);
            self.report.observations += 1;
            let copies = self.cell.process(batch(&outcome.emissions)).emissions;
            let outcome = self.correlate.process(batch(&copies));
            assert!(outcome.rejections.is_empty() && outcome.emissions.is_empty());
            self.newest_ms = self.newest_ms.max(time);
            self.tick((self.newest_ms - self.disorder_ms).div_euclid(100) * 100);
        }
    }

    /// All windows close; what came out.
    pub fn close(mut self) -> Report {
        self.tick(self.newest_ms + 1_000_000);
        self.report.alerts.sort_unstable();
        self.report
    }

    /// Every operator goes on from its own snapshot.
    pub fn restore(&mut self) {
        self.normalize.restore();
        self.cell.restore();
        self.correlate.restore();
        self.encounter.restore();
    }

    fn tick(&mut self, watermark: i64) {
        if watermark <= self.cell.watermark {
            return;
        }
        let (copies, watermark) = self.cell.advance(watermark);
        assert!(copies.is_empty());
        let (candidates, watermark) = self.correlate.advance(watermark);
        self.encounter.process(batch(&candidates));
        let (alerts, _) = self.encounter.advance(watermark);
        for at in 0..alerts.len() {
            assert_eq!(alerts.keys.get(at), alerts.ids.get(at));
            let text =
                |column: &ByteColumn| String::from_utf8(column.get(at).unwrap().to_vec()).unwrap();
            self.report.alerts.push(text(&alerts.values));
            self.report.lineages.push(text(&alerts.headers[0]));
        }
    }
}
