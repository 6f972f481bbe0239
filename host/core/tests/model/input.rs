//! Input of a history: disorder, late rows, redeliveries, damaged rows and their good
//! redeliveries, gaps in time, wrong clocks.

use super::random::Random;
use crate::clock::{Clock, WatermarkRules};
use crate::record::{NO_TIME, PRIORITY_DEFAULT, Record, Records, Timestamp};

/// How far behind a record may come.
pub const DISORDER: i64 = 15;
/// How far one record alone may move time.
pub const JUMP: i64 = 400;
/// A wrong clock is off by this much.
pub const WILD: i64 = 50_000;

/// What the operators make of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Sent on.
    One,
    /// Sent on three times.
    Many,
    /// Absorbed into a window.
    Absorb,
    /// Refused by the operator behind the edge with dedup.
    Bad,
    /// Dropped on purpose.
    Skip,
    /// Refused by the parser.
    Damaged,
    /// The parser makes two of it.
    Pair,
}

impl Kind {
    const ALL: [Kind; 7] =
        [Kind::One, Kind::Many, Kind::Absorb, Kind::Bad, Kind::Skip, Kind::Damaged, Kind::Pair];
}

/// Row number of the second of a pair, above that of the first.
pub const SECOND: u16 = 32;

/// One input row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What becomes of it.
    pub kind: Kind,
    /// A number to compute with.
    pub value: u8,
    /// Which row of the input it is; its own even if it is a redelivery.
    pub uid: u16,
    /// Its id: that of the row which it redelivers, if it does.
    pub ident: u16,
    /// Key.
    pub key: u8,
    /// Event time.
    pub time: i64,
    /// Its log's clock stands far behind its event time, so that the edge refuses it.
    pub ahead: bool,
}

impl Row {
    /// The row as a value.
    pub fn bytes(&self) -> [u8; 15] {
        let mut bytes = [0; 15];
        bytes[0] = self.kind as u8;
        bytes[1] = self.value;
        bytes[2..4].copy_from_slice(&self.uid.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.ident.to_le_bytes());
        bytes[6] = self.key;
        bytes[7..15].copy_from_slice(&self.time.to_le_bytes());
        bytes
    }

    /// A row from its value.
    pub fn from_bytes(bytes: &[u8]) -> Option<Row> {
        let word = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        (bytes.len() == 15).then_some(())?;
        Some(Row {
            kind: *Kind::ALL.get(usize::from(bytes[0]))?,
            value: bytes[1],
            uid: word(2)?,
            ident: word(4)?,
            key: bytes[6],
            time: i64::from_le_bytes(bytes[7..15].try_into().ok()?),
            ahead: false,
        })
    }
}

/// The text under which a row's id is known.
pub fn id_text(ident: u16) -> String {
    format!("r{ident}")
}

/// Few are refused: a dead letter takes as long as twenty rows.
fn kind(random: &mut Random, head: bool) -> Kind {
    match random.below(100) {
        0..6 => Kind::Bad,
        6..11 => Kind::Skip,
        11..16 if head => Kind::Damaged,
        16..26 if head => Kind::Pair,
        26..36 => Kind::Many,
        36..66 => Kind::Absorb,
        _ => Kind::One,
    }
}

/// The rows of one partition.
pub fn rows(random: &mut Random, partition: u32, head: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let (mut time, mut wild) = (100, 2);
    for number in 0..random.of(&[8, 20, 30]) {
        let gap = if number % 4 == 3 { 700 } else { 3 };
        time += random.of(&[0, 2, 5, 10, 120, 0, 2, 5, 10, 120, gap]);
        let uid = partition as u16 * 64 + number;
        let mut row = Row {
            kind: kind(random, head),
            value: random.below(50) as u8,
            uid,
            ident: uid,
            key: random.below(5) as u8,
            time: time - random.below(DISORDER as usize) as i64,
            ahead: false,
        };
        match random.below(100) {
            0..8 => row.time -= 60,
            8..25 if !rows.is_empty() => {
                let recent = &rows[rows.len().saturating_sub(5)..];
                let again = recent[random.below(recent.len())];
                row = Row { uid, ..again };
                if matches!(row.kind, Kind::Bad | Kind::Damaged) {
                    row.kind = Kind::One;
                }
            }
            95.. if number > 0 && wild > 0 => {
                wild -= 1;
                row.time += WILD;
                row.ahead = random.below(3) == 0;
                // Two of a pair would agree with each other.
                row.kind = if row.kind == Kind::Pair { Kind::One } else { row.kind };
            }
            _ => {}
        }
        rows.push(row);
    }
    rows
}

/// What the watermark must be before the row at each position, from the rows alone: a duplicate
/// changes nothing, and what is refused behind the edge has moved time.
pub fn watermarks(rows: &[Row], head: bool, rules: &WatermarkRules) -> Vec<Timestamp> {
    let mut clock = Clock::default();
    let mut watermarks = vec![clock.watermark(rules)];
    for row in rows.iter() {
        let id = |ident| u128::from(ident);
        let unseen = row.ahead || (head && row.kind == Kind::Damaged);
        if !unseen {
            clock.observe(row.time, id(row.ident), u128::from(row.key), rules);
        }
        if !unseen && head && row.kind == Kind::Pair {
            clock.observe(row.time, id(row.ident + SECOND), u128::from(row.key), rules);
        }
        watermarks.push(clock.watermark(rules));
    }
    watermarks
}

/// The rows as a log holds them. With a parser ahead only the value says anything.
pub fn records(rows: &[Row], head: bool) -> Records {
    let mut records = Records::default();
    for row in rows {
        let id = id_text(row.ident);
        records.push(Record {
            key: (!head).then_some(&[row.key]),
            value: Some(&row.bytes()),
            id: (!head).then_some(id.as_bytes()),
            event_time: if head { NO_TIME } else { row.time },
            timestamp: if row.ahead { row.time - JUMP - 1 } else { i64::MAX / 2 },
            priority: PRIORITY_DEFAULT,
            headers: &[],
        });
    }
    records
}
