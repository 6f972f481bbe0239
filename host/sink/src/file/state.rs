//! The position file: what of a partition's files is valid. Stands in the envelope of
//! `pawl_codec` (magic `PAWLFILE`, version, length, checksum). Its payload, numbers little-endian:
//!
//! ```text
//! offset  size  what
//!      0     8  epoch of the owner
//!      8     8  next position: all records below were delivered or refused
//!     16     8  position of the first record that was ever written here
//!     24    16  hash of its id: the first half of the SHA-256; 0 if there is none
//!     40     8  position of the last record that was written
//!     48    16  hash of its id
//!     64     1  the open file: 0 there is none, 1 it is being written, 2 it is to be finished
//!     65     1  its format: 0 JSON lines, 1 comma-separated values
//!     66     8  position of its first record
//!     74     8  its length in bytes: what stands behind was never delivered
//!     82        name of the pipeline, UTF-8
//! ```

use crate::error::Error;
use crate::sink::{Delivery, Owner};
use pawl_codec::envelope::{self, Format};
use ring::digest;

const FORMAT: Format = Format { name: "position file", magic: *b"PAWLFILE", version: 1 };

/// Bytes before the pipeline's name.
const FIXED_BYTES: usize = 82;

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
    pub(super) next: u64,
    pub(super) first_written: Mark,
    pub(super) last_written: Mark,
    pub(super) open: Option<OpenFile>,
}

impl State {
    /// Of a folder that holds nothing of this partition below `next`.
    pub(super) fn new(owner: &Owner, next: u64) -> Self {
        Self {
            pipeline: owner.pipeline.clone(),
            epoch: owner.epoch,
            next,
            first_written: Mark::default(),
            last_written: Mark::default(),
            open: None,
        }
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
                    "the folder holds another record at position {}: the topic is not the one \
                     that was written here; give it a folder of its own, or the stage a new name",
                    mark.position
                );
                Err(Error::Fatal { code: "file-other-log", what })
            }
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_BYTES + self.pipeline.len());
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.next.to_le_bytes());
        for mark in [&self.first_written, &self.last_written] {
            bytes.extend_from_slice(&mark.position.to_le_bytes());
            bytes.extend_from_slice(&mark.id_hash);
        }
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
        bytes.extend_from_slice(self.pipeline.as_bytes());
        envelope::seal(&FORMAT, &bytes)
    }

    /// Says what is wrong with bytes that are none.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let opened = envelope::open(&FORMAT, bytes).map_err(|error| error.to_string())?;
        let Some((fixed, pipeline)) = opened.payload.split_at_checked(FIXED_BYTES) else {
            return Err("the position file is too short".to_owned());
        };
        let pipeline = std::str::from_utf8(pipeline)
            .map_err(|_| "the pipeline's name in the position file is no text".to_owned())?;
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&fixed[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let mark = |at: usize| {
            let mut id_hash = [0; 16];
            id_hash.copy_from_slice(&fixed[at + 8..at + 24]);
            Mark { position: number(at), id_hash }
        };
        let format = match fixed[65] {
            0 => LineFormat::Json,
            1 => LineFormat::Csv,
            other => return Err(format!("the position file names an unknown format: {other}")),
        };
        let open =
            |finishing| OpenFile { first: number(66), length: number(74), format, finishing };
        let open = match fixed[64] {
            0 => None,
            1 => Some(open(false)),
            2 => Some(open(true)),
            other => return Err(format!("the position file's open file is unknown: {other}")),
        };
        Ok(Self {
            pipeline: pipeline.to_owned(),
            epoch: number(0),
            next: number(8),
            first_written: mark(16),
            last_written: mark(40),
            open,
        })
    }
}
