//! The position file: what of a partition's files is valid. Stands in the envelope of
//! `pawl_codec` (magic `PAWLFILE`, version, length, checksum). Its payload, numbers little-endian:
//!
//! ```text
//! offset  size  what
//!      0     8  epoch of the owner
//!      8    16  identity of the log that positions belong to
//!     24     8  next position: all records below were delivered or refused
//!     32     8  position of the first record of this log that was ever written here
//!     40    16  hash of its id: the first half of the SHA-256; 0 if there is none
//!     56     8  position of the last record that was written
//!     64    16  hash of its id
//!     80     1  the open file: 0 there is none, 1 it is being written, 2 it is to be finished
//!     81     1  its format: 0 JSON lines, 1 comma-separated values
//!     82     8  position of its first record
//!     90     8  its length in bytes: what stands behind was never delivered
//!     98     2  how many other logs were written here before, oldest first; of each:
//!              16  its identity
//!               8  its next position
//!              48  its two marks, as from 32 to 80 (not before version 3)
//!    ...        name of the pipeline, UTF-8
//! ```

use crate::error::Error;
use crate::sink::{Delivery, Owner};
use pawl_codec::envelope::{self, Format};
use ring::digest;

const FORMAT: Format = Format { name: "position file", magic: *b"PAWLFILE", version: 3 };

/// Bytes before the other logs.
const FIXED_BYTES: usize = 100;

/// Bytes of another log, and of one in version 2, which kept no marks.
const OTHER_BYTES: usize = 72;
const OTHER_BYTES_2: usize = 24;

/// Other logs that are remembered; of those before nothing is known but their files' names.
const OTHERS_MAX: usize = 1000;

/// Which log positions belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Log([u8; 16]);

impl Log {
    /// From 32 hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Log> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
        Some(Log(number.to_be_bytes()))
    }

    /// How it stands in names of files: its first 8 hexadecimal digits.
    pub(super) fn short(&self) -> String {
        format!("{:08x}", u128::from_be_bytes(self.0) >> 96)
    }
}

/// A record by which a log is known again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) position: u64,
    id_hash: [u8; 16],
}

impl Mark {
    pub(super) fn of(record: &Delivery<'_>) -> Self {
        let hash = digest::digest(&digest::SHA256, record.id.as_bytes());
        let mut id_hash = [0; 16];
        id_hash.copy_from_slice(&hash.as_ref()[..16]);
        Self { position: record.position, id_hash }
    }

    /// The position after it.
    pub(super) fn next(&self) -> u64 {
        self.position.saturating_add(1)
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.position.to_le_bytes());
        bytes.extend_from_slice(&self.id_hash);
    }

    fn exists(&self) -> bool {
        self.id_hash != [0; 16]
    }
}

/// How the lines of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFormat {
    Json,
    Csv,
}

impl LineFormat {
    /// How names of files end.
    pub(super) fn extension(self) -> &'static str {
        match self {
            LineFormat::Json => "jsonl",
            LineFormat::Csv => "csv",
        }
    }
}

/// The file that is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenFile {
    pub(super) first: u64,
    pub(super) length: u64,
    pub(super) format: LineFormat,
    /// It gets no more lines: it is about to have its last name, or has it.
    pub(super) finishing: bool,
}

/// What the position file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) pipeline: String,
    pub(super) epoch: u64,
    pub(super) log: Log,
    pub(super) next: u64,
    pub(super) first_written: Mark,
    pub(super) last_written: Mark,
    pub(super) open: Option<OpenFile>,
    /// Logs that were written here before; oldest first.
    pub(super) others: Vec<Other>,
}

/// A log that was written here before, and where it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Other {
    pub(super) log: Log,
    pub(super) next: u64,
    pub(super) first_written: Mark,
    pub(super) last_written: Mark,
}

impl State {
    /// Of a folder that holds nothing of this partition and log from `next` on.
    pub(super) fn new(owner: &Owner, log: Log, next: u64) -> Self {
        Self {
            pipeline: owner.pipeline.clone(),
            epoch: owner.epoch,
            log,
            next,
            others: Vec::new(),
            first_written: Mark::default(),
            last_written: Mark::default(),
            open: None,
        }
    }

    /// Goes on with another log: where it was left, if it was here before and was not left further
    /// on (as names of files say) at `least`.
    pub(super) fn switch(&mut self, log: Log, least: u64) {
        let left = Other {
            log: self.log,
            next: self.next,
            first_written: self.first_written,
            last_written: self.last_written,
        };
        self.others.push(left);
        let known = self.others.iter().position(|other| other.log == log);
        let known = known.map(|at| self.others.remove(at));
        if self.others.len() > OTHERS_MAX {
            self.others.remove(0);
        }
        (self.log, self.next) = (log, least.max(known.as_ref().map_or(0, |known| known.next)));
        let marks = known.map(|known| (known.first_written, known.last_written));
        (self.first_written, self.last_written) = marks.unwrap_or_default();
    }

    /// Notes that these records, and what lies between them, are written.
    pub(super) fn advance(&mut self, first: Mark, last: Mark) {
        if !self.first_written.exists() {
            self.first_written = first;
        }
        self.last_written = last;
        self.next = last.next();
    }

    /// Stops where a position that is known bears another record's id.
    pub(super) fn refuse_other_log(&self, mark: &Mark) -> Result<(), Error> {
        let known = [&self.first_written, &self.last_written];
        let differs =
            |known: &&Mark| known.exists() && known.position == mark.position && *known != mark;
        match known.into_iter().any(|known| differs(&known)) {
            false => Ok(()),
            true => {
                let what = format!(
                    "the folder holds another record at position {}: the log is an older copy of \
                     the one that was written here; give it a folder of its own, or the stage a \
                     new name",
                    mark.position
                );
                Err(Error::Fatal { code: "file-other-log", what })
            }
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_BYTES + self.pipeline.len());
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.log.0);
        bytes.extend_from_slice(&self.next.to_le_bytes());
        self.first_written.put(&mut bytes);
        self.last_written.put(&mut bytes);
        let (kind, format, first, length) = match &self.open {
            None => (0, 0, 0, 0),
            Some(open) => {
                let format = u8::from(open.format == LineFormat::Csv);
                (1 + u8::from(open.finishing), format, open.first, open.length)
            }
        };
        bytes.extend_from_slice(&[kind, format]);
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        // At most `OTHERS_MAX`.
        bytes.extend_from_slice(&(self.others.len() as u16).to_le_bytes());
        for other in &self.others {
            bytes.extend_from_slice(&other.log.0);
            bytes.extend_from_slice(&other.next.to_le_bytes());
            other.first_written.put(&mut bytes);
            other.last_written.put(&mut bytes);
        }
        bytes.extend_from_slice(self.pipeline.as_bytes());
        envelope::seal(&FORMAT, &bytes)
    }

    /// Says what is wrong with bytes that are none.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let opened = envelope::open(&FORMAT, bytes).map_err(|error| error.to_string())?;
        let short = || "the position file is too short".to_owned();
        let (fixed, rest) = opened.payload.split_at_checked(FIXED_BYTES).ok_or_else(short)?;
        let count = usize::from(u16::from_le_bytes([fixed[98], fixed[99]]));
        let width = if opened.version < 3 { OTHER_BYTES_2 } else { OTHER_BYTES };
        let (others, pipeline) = rest.split_at_checked(count * width).ok_or_else(short)?;
        let pipeline = std::str::from_utf8(pipeline)
            .map_err(|_| "the pipeline's name in the position file is no text".to_owned())?;
        let number = |at: usize| number(fixed, at);
        let mark = |bytes: &[u8], at: usize| Mark {
            position: self::number(bytes, at),
            id_hash: sixteen(bytes, at + 8),
        };
        let other = |other: &[u8]| {
            let marks = match other.len() {
                OTHER_BYTES => (mark(other, 24), mark(other, 48)),
                _ => Default::default(),
            };
            Other {
                log: Log(sixteen(other, 0)),
                next: self::number(other, 16),
                first_written: marks.0,
                last_written: marks.1,
            }
        };
        let format = match fixed[81] {
            0 => LineFormat::Json,
            1 => LineFormat::Csv,
            other => return Err(format!("the position file names an unknown format: {other}")),
        };
        let open =
            |finishing| OpenFile { first: number(82), length: number(90), format, finishing };
        let open = match fixed[80] {
            0 => None,
            1 => Some(open(false)),
            2 => Some(open(true)),
            other => return Err(format!("the position file's open file is unknown: {other}")),
        };
        Ok(Self {
            pipeline: pipeline.to_owned(),
            epoch: number(0),
            log: Log(sixteen(fixed, 8)),
            next: number(24),
            first_written: mark(fixed, 32),
            last_written: mark(fixed, 56),
            open,
            others: others.chunks_exact(width).map(other).collect(),
        })
    }
}

/// The number at `at`. The caller has seen that there is one, as below.
fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

fn sixteen(bytes: &[u8], at: usize) -> [u8; 16] {
    let mut sixteen = [0; 16];
    sixteen.copy_from_slice(&bytes[at..at + 16]);
    sixteen
}
