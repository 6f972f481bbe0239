//! The operators of the model in plain Rust. Each checks that the host keeps its side of the
//! contract, runs out of time where the history says so, and takes its batches in bites that must
//! not matter.

use super::input::{Kind, Row, SECOND, id_text};
use super::random::Random;
use crate::operator::{
    Batch, CAUSE_OWED, Emissions, Failure, Operator, Outcome, Rejection, Verdict,
};
use crate::record::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// Length of the windows of the first stage and of the second.
pub const LENGTHS: [i64; 2] = [40, 50];
/// What a failure says when the host broke the contract, not the guest.
pub const HOST_BROKE: &str = "the host broke the contract";

/// Windows by start and key, with what each holds.
type Windows = BTreeMap<(i64, u8), Vec<Box<[u8]>>>;

/// What an operator is and what it holds.
#[derive(Clone, Debug)]
pub enum State {
    /// Reads id and event time from the value; refuses damaged rows; makes two of some.
    Parser,
    /// Refuses some rows, absorbs some into windows, sends others on, one or several.
    Shaper {
        /// Held rows as `note` writes them.
        windows: Windows,
        /// Whether it stamps the ends of windows.
        stamp_end: bool,
    },
    /// Adds a running number per key, so that order shows; refuses a few.
    Tagger {
        /// The last number of each key.
        counts: [u32; 5],
    },
    /// Tumbling windows by key, read in an order of their own.
    Window {
        /// Held rows: event time (ordered bytes), then the value.
        windows: Windows,
    },
}

/// One emission.
struct Made {
    key: u8,
    time: i64,
    id: Option<String>,
    value: Vec<u8>,
}

/// An operator at work.
pub struct Guest {
    /// What a snapshot holds.
    pub state: State,
    /// The watermark last given; part of the snapshot.
    pub watermark: Timestamp,
    /// So many heavy rows of a thousand calls run out of time; see `heavy`.
    pub out_of_time: usize,
    bites: bool,
    random: Random,
    owed: VecDeque<Made>,
}

impl Guest {
    /// An operator from its snapshot.
    pub fn new(state: State, watermark: Timestamp, bites: bool, random: Random) -> Self {
        Self { state, watermark, out_of_time: 0, bites, random, owed: VecDeque::new() }
    }

    /// Starts of the windows that are open.
    pub fn open_windows(&self) -> impl Iterator<Item = i64> + '_ {
        self.windows().into_iter().flat_map(|windows| windows.keys().map(|(start, _)| *start))
    }

    /// All that windows hold.
    pub fn held(&self) -> impl Iterator<Item = &[u8]> + '_ {
        self.windows().into_iter().flat_map(|windows| windows.values().flatten().map(|h| &**h))
    }

    fn windows(&self) -> Option<&Windows> {
        match &self.state {
            State::Shaper { windows, .. } | State::Window { windows } => Some(windows),
            State::Parser | State::Tagger { .. } => None,
        }
    }
}

/// What goes from the shaper on: a number, a running number, and the rows that are in it.
pub fn note(value: i32, tag: u32, sources: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(9 + sources.len() * 4);
    bytes.extend_from_slice(&value.to_le_bytes());
    bytes.extend_from_slice(&tag.to_le_bytes());
    bytes.push(sources.len() as u8);
    for (uid, ident) in sources {
        bytes.extend_from_slice(&uid.to_le_bytes());
        bytes.extend_from_slice(&ident.to_le_bytes());
    }
    bytes
}

/// Number, running number, rows (uid and ident) and length of the note at the front of `bytes`.
pub fn read_note(bytes: &[u8]) -> (i32, u32, Vec<(u16, u16)>, usize) {
    let count = usize::from(bytes[8]);
    let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let sources = (0..count).map(|n| (word(9 + 4 * n), word(11 + 4 * n))).collect();
    let number = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    (i32::from_le_bytes(number(0)), u32::from_le_bytes(number(4)), sources, 9 + count * 4)
}

/// The rows that a value holds, as (uid, ident): an input row, a note, or a window of notes.
pub fn sources_of_notes(mut bytes: &[u8], timed: bool) -> Vec<(u16, u16)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        bytes = &bytes[if timed { 8 } else { 0 }..];
        let (_, _, sources, length) = read_note(bytes);
        all.extend(sources);
        bytes = &bytes[length..];
    }
    all
}

/// Rows that take long.
fn heavy(value: &[u8]) -> bool {
    crate::identity::hash(value) % 1000 < 60
}

impl State {
    /// `None`: refused. What one row becomes.
    fn process(&mut self, key: u8, time: i64, value: &[u8]) -> Result<Vec<Made>, Verdict> {
        match self {
            State::Parser => {
                let row = Row::from_bytes(value).ok_or(Verdict::Permanent)?;
                if row.kind == Kind::Damaged {
                    return Err(Verdict::Permanent);
                }
                let second = Row { uid: row.uid + SECOND, ident: row.ident + SECOND, ..row };
                let count = if row.kind == Kind::Pair { 2 } else { 1 };
                let made = [row, second].into_iter().take(count);
                Ok(made
                    .map(|row| Made {
                        key: row.key,
                        time: row.time,
                        id: Some(id_text(row.ident)),
                        value: row.bytes().to_vec(),
                    })
                    .collect())
            }
            State::Shaper { windows, .. } => {
                let row = Row::from_bytes(value).ok_or(Verdict::Permanent)?;
                let count = match row.kind {
                    Kind::Bad => return Err(Verdict::Permanent),
                    Kind::Skip => return Err(Verdict::Discard),
                    Kind::Absorb => {
                        let start = time.div_euclid(LENGTHS[0]) * LENGTHS[0];
                        let held = note(i32::from(row.value), 0, &[(row.uid, row.ident)]);
                        windows.entry((start, key)).or_default().push(held.into());
                        return Ok(Vec::new());
                    }
                    Kind::Many => 3,
                    Kind::Pair => 2,
                    _ => 1,
                };
                Ok((0..count)
                    .map(|n| Made {
                        key: (key * 7 + n) % 5,
                        time,
                        id: (row.value % 2 == 0).then(|| format!("g{}-{n}", row.ident)),
                        value: note(i32::from(row.value + n), 0, &[(row.uid, row.ident)]),
                    })
                    .collect())
            }
            State::Tagger { counts } => {
                let (number, _, sources, _) = read_note(value);
                if number % 13 == 5 {
                    return Err(Verdict::Permanent);
                }
                let count = &mut counts[usize::from(key)];
                *count += 1;
                let value = note(number, *count, &sources);
                Ok(vec![Made { key, time, id: None, value }])
            }
            State::Window { windows } => {
                let start = time.div_euclid(LENGTHS[1]) * LENGTHS[1];
                let mut held = Vec::with_capacity(8 + value.len());
                held.extend_from_slice(&time.to_be_bytes());
                held.extend_from_slice(value);
                windows.entry((start, key)).or_default().push(held.into());
                Ok(Vec::new())
            }
        }
    }

    fn advance(&mut self, watermark: i64) -> Vec<Made> {
        let (windows, length) = match self {
            State::Shaper { windows, .. } => (windows, LENGTHS[0]),
            State::Window { windows } => (windows, LENGTHS[1]),
            State::Parser | State::Tagger { .. } => return Vec::new(),
        };
        let mut closed = Vec::new();
        while let Some(first) = windows.first_entry()
            && first.key().0 + length <= watermark
        {
            closed.push(first.remove_entry());
        }
        let closed = closed.into_iter();
        match self {
            State::Shaper { stamp_end, .. } => closed
                .map(|((start, key), held)| {
                    let notes = held.iter().map(|held| read_note(held));
                    let (mut sum, mut all) = (0, Vec::new());
                    notes.for_each(|(number, _, sources, _)| {
                        sum += number;
                        all.extend(sources);
                    });
                    let time = if *stamp_end { start + length - 1 } else { start };
                    Made { key, time, id: None, value: note(sum, 0, &all) }
                })
                .collect(),
            _ => closed
                .map(|((start, key), mut held)| {
                    held.sort_unstable();
                    let id = Some(format!("w{start}/{key}"));
                    Made { key, time: start, id, value: held.concat() }
                })
                .collect(),
        }
    }
}

impl Guest {
    fn fails(&mut self, batch: &Batch) -> Result<(), Failure> {
        if let Some(time) = batch.event_times.iter().find(|time| **time < self.watermark) {
            let what =
                format!("{HOST_BROKE}: shown {time} behind the watermark {}", self.watermark);
            return Err(Failure::Trap(what));
        }
        if self.out_of_time > 0 {
            for row in 0..batch.len() {
                let value = batch.values.get(row).unwrap_or_default();
                if heavy(value) && self.random.often(self.out_of_time) {
                    return Err(Failure::Timeout("took too long".to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Puts what is owed into the outcome, all or a part of it.
    fn pay(&mut self, emissions: &mut Emissions, causes: bool) -> bool {
        let bite = self.bites && self.owed.len() > 1 && self.random.often(300);
        let count = if bite { 1 } else { self.owed.len() };
        for made in self.owed.drain(..count) {
            push(emissions, made, causes.then_some(CAUSE_OWED));
        }
        bite
    }
}

fn push(emissions: &mut Emissions, made: Made, cause: Option<u32>) {
    emissions.keys.push(Some(&[made.key]));
    emissions.values.push(Some(&made.value));
    emissions.event_times.push(made.time);
    match made.id {
        Some(id) => {
            let missing = emissions.event_times.len() - 1 - emissions.ids.len();
            emissions.ids.push_nulls(missing);
            emissions.ids.push(Some(id.as_bytes()));
        }
        None if !emissions.ids.is_empty() => emissions.ids.push(None),
        None => {}
    }
    emissions.causes.extend(cause);
}

impl Operator for Guest {
    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        self.fails(batch)?;
        let mut outcome = Outcome::default();
        if self.pay(&mut outcome.emissions, true) {
            outcome.more = true;
            return Ok(outcome);
        }
        let rows = batch.len();
        let bite = self.bites && rows > 1 && self.random.often(300);
        let rows = if bite { 1 + self.random.below(rows - 1) } else { rows };
        for row in 0..rows {
            // The parser's rows have no key.
            let key = batch.keys.get(row).and_then(|key| key.first()).copied().unwrap_or(0);
            let (time, value) = (batch.event_times[row], batch.values.get(row).unwrap_or_default());
            match self.state.process(key, time, value) {
                Ok(made) => {
                    let last = row + 1 == rows;
                    let owes = last && self.bites && made.len() > 1 && self.random.often(300);
                    let mut made = VecDeque::from(made);
                    let now = if owes { 1 } else { made.len() };
                    for made in made.drain(..now) {
                        push(&mut outcome.emissions, made, Some(row as u32));
                    }
                    self.owed = made;
                    outcome.more = owes;
                }
                Err(verdict) => outcome.rejections.push(Rejection {
                    row: row as u32,
                    verdict,
                    kind: "refused".to_owned(),
                    message: String::new(),
                }),
            }
        }
        outcome.taken = rows as u32;
        Ok(outcome)
    }

    fn advance(&mut self, watermark: Timestamp) -> Result<Outcome, Failure> {
        if self.owed.is_empty() {
            if watermark <= self.watermark {
                let what = format!("{HOST_BROKE}: {watermark} follows {}", self.watermark);
                return Err(Failure::Trap(what));
            }
            if self.out_of_time > 0 && self.random.often(3) {
                return Err(Failure::Timeout("took too long".to_owned()));
            }
            self.watermark = watermark;
            self.owed = self.state.advance(watermark).into();
        }
        let mut outcome = Outcome::default();
        outcome.more = self.pay(&mut outcome.emissions, false);
        Ok(outcome)
    }
}
