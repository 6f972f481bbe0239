//! Counts dead letters by all that they say of themselves, over time, and finds out what changed.
//! One pass; what is kept is one cell for each combination of values and minute, never a record.

mod change;
mod dimension;

pub use change::{Change, Condition, Growth};
pub use dimension::{By, Dimension};

use crate::error::Error;
use crate::filter::Filter;
use crate::ledger::Ledger;
use crate::letter::Letter;
use crate::scan::Scan;
use pawl_core::record::Timestamp;
use pawl_pipeline::Pipeline;
use pawl_transport::Transport;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

/// Milliseconds of a minute: the grain of time.
const MINUTE_MS: i64 = 60_000;

/// What is to be counted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which dead letters count.
    pub filter: Filter,
    /// Further fields, beside those that every dead letter has.
    pub by: Vec<By>,
    /// The end of the window that is compared with the time before.
    pub now_ms: Timestamp,
    /// Milliseconds of the window.
    pub window_ms: i64,
    /// Sent back so often, a dead letter is parked.
    pub replays_max: u32,
}

/// What was counted.
#[derive(Debug)]
pub struct Stats {
    /// Different dead letters.
    pub letters: u64,
    /// Rows with the id of another.
    pub repeated: u64,
    /// Neither sent back nor parked.
    pub open: u64,
    /// Sent back. What failed again is another dead letter.
    pub sent_back: u64,
    /// Sent back so often that they are not sent again unasked.
    pub parked: u64,
    /// Bytes of payloads.
    pub bytes: u64,
    /// When the first and the last failed.
    pub span: Option<(Timestamp, Timestamp)>,
    /// How many failed in each minute, by its number since the Unix epoch.
    pub minutes: BTreeMap<i64, u64>,
    /// Counts by field.
    pub dimensions: Vec<Dimension>,
    /// What changed.
    pub change: Change,
}

impl Stats {
    /// How many failed in each stretch of `length_ms`, by its beginning; stretches without any are
    /// there too.
    pub fn buckets(&self, length_ms: i64) -> BTreeMap<Timestamp, u64> {
        let length = length_ms.max(MINUTE_MS);
        let begin = |minute: i64| (minute * MINUTE_MS).div_euclid(length) * length;
        let mut buckets = BTreeMap::new();
        for (minute, count) in &self.minutes {
            *buckets.entry(begin(*minute)).or_default() += count;
        }
        let ends = buckets.first_key_value().zip(buckets.last_key_value());
        if let Some(((first, _), (last, _))) = ends {
            let (first, last) = (*first, *last);
            // As many as anybody can look at; a gap of years is none that must be drawn.
            if (last - first) / length < 10_000 {
                let mut at = first;
                while at < last {
                    buckets.entry(at).or_insert(0);
                    at += length;
                }
            }
        }
        buckets
    }
}

/// Counts. Nothing is changed.
pub fn stats(
    transport: &dyn Transport,
    pipeline: &Pipeline,
    options: &Options,
) -> Result<Stats, Error> {
    let ledger = Ledger::read(transport, pipeline, None)?;
    let mut counter = Counter::new(options, ledger);
    if let Some(scan) = Scan::open(transport, &pipeline.dead_letters.topic)? {
        scan.each(|letter| {
            counter.take_in(letter);
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(counter.finish())
}

/// How many dead letters have these values and failed in this minute.
pub(crate) struct Cell {
    /// Index of the combination of values.
    pub values: u32,
    /// Since the Unix epoch.
    pub minute: i64,
    pub count: u64,
}

struct Counter<'a> {
    options: &'a Options,
    ledger: Ledger,
    stats: Stats,
    ids: HashSet<u128>,
    /// One number per dimension, that of the value in its dimension.
    combinations: HashMap<Box<[u32]>, u32>,
    cells: Vec<Cell>,
    at: HashMap<(u32, i64), usize>,
    /// Where the letter before was counted: the next one is mostly alike.
    last: Option<usize>,
    values: Vec<u32>,
    last_values: Vec<u32>,
    /// The letter before failed then.
    time: (Vec<u8>, Timestamp),
}

impl<'a> Counter<'a> {
    fn new(options: &'a Options, ledger: Ledger) -> Self {
        let stats = Stats {
            letters: 0,
            repeated: 0,
            open: 0,
            sent_back: 0,
            parked: 0,
            bytes: 0,
            span: None,
            minutes: BTreeMap::new(),
            dimensions: dimension::all(&options.by),
            change: Change::default(),
        };
        Self {
            options,
            ledger,
            stats,
            ids: HashSet::new(),
            combinations: HashMap::new(),
            cells: Vec::new(),
            at: HashMap::new(),
            last: None,
            values: Vec::new(),
            last_values: Vec::new(),
            time: (Vec::new(), 0),
        }
    }

    fn take_in(&mut self, letter: &Letter<'_>) {
        if !self.options.filter.takes(letter) {
            return;
        }
        let id = letter.id();
        if id.is_some_and(|id| !self.ids.insert(id)) {
            self.stats.repeated += 1;
            return;
        }
        let stats = &mut self.stats;
        stats.letters += 1;
        stats.bytes += letter.payload().len() as u64;
        match id {
            Some(id) if self.ledger.has(id) => stats.sent_back += 1,
            _ if letter.replays() >= self.options.replays_max => stats.parked += 1,
            _ => stats.open += 1,
        }
        dimension::note_headers(&mut stats.dimensions, letter, stats.letters - 1);
        self.values.clear();
        for dimension in &mut stats.dimensions {
            self.values.push(dimension.take_in(letter));
        }
        let time = self.failed_at(letter);
        let (first, last) = self.stats.span.unwrap_or((time, time));
        self.stats.span = Some((first.min(time), last.max(time)));
        self.count(time.div_euclid(MINUTE_MS));
    }

    fn failed_at(&mut self, letter: &Letter<'_>) -> Timestamp {
        let text = letter.meta(crate::letter::Meta::Timestamp).unwrap_or_default();
        if text.is_empty() || text != self.time.0 {
            self.time.1 = letter.failed_at();
            self.time.0.clear();
            self.time.0.extend_from_slice(text);
        }
        self.time.1
    }

    fn count(&mut self, minute: i64) {
        if self.values == self.last_values
            && let Some(cell) = self.last.and_then(|at| self.cells.get_mut(at))
            && cell.minute == minute
        {
            cell.count += 1;
            return;
        }
        let values = match self.combinations.get(self.values.as_slice()) {
            Some(values) => *values,
            None => {
                let new = self.combinations.len() as u32;
                self.combinations.insert(self.values.as_slice().into(), new);
                new
            }
        };
        let at = *self.at.entry((values, minute)).or_insert_with(|| {
            self.cells.push(Cell { values, minute, count: 0 });
            self.cells.len() - 1
        });
        if let Some(cell) = self.cells.get_mut(at) {
            cell.count += 1;
        }
        self.last = Some(at);
        std::mem::swap(&mut self.values, &mut self.last_values);
    }

    fn finish(self) -> Stats {
        let Counter { options, mut stats, combinations, cells, .. } = self;
        for cell in &cells {
            *stats.minutes.entry(cell.minute).or_default() += cell.count;
        }
        let mut values: Vec<Box<[u32]>> = vec![Box::default(); combinations.len()];
        for (combination, at) in combinations {
            if let Some(place) = values.get_mut(at as usize) {
                *place = combination;
            }
        }
        let window = change::Window {
            begin: options.now_ms.saturating_sub(options.window_ms).div_euclid(MINUTE_MS),
            end: options.now_ms.div_euclid(MINUTE_MS),
        };
        stats.change = change::find(&stats.dimensions, &values, &cells, window);
        stats
    }
}
