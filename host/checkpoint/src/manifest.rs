//! The layout of a checkpoint file, and which bytes of earlier files it refers to. Pure: no file
//! is touched here.
//!
//! A file of version 1 is a manifest in an envelope (see `pawl_codec::envelope`) and behind it the
//! data, to the end of the file:
//!
//! ```text
//! envelope PAWLCKPT: `Manifest` by postcard
//! data: core's state | own parts, ascending by key, without gaps
//! ```
//!
//! Offsets count from the beginning of a file's data. Every byte is covered: the manifest by its
//! envelope, the data by the sums in the manifest. An unchanged part is named with the file that
//! holds its bytes, never with a file that only names it too; so a manifest can be read by itself,
//! and what it needs is what it lists.

use crate::checkpoint::{Header, PartKey};
use pawl_codec::envelope::Format;
use pawl_core::decision::CheckpointName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Version 1: as described above.
pub const FORMAT: Format = Format { name: "checkpoint", magic: *b"PAWLCKPT", version: 1 };

/// How many other files one checkpoint refers to at most. Each is one more that has to be kept and
/// can be damaged; fewer mean that unchanged parts are copied more often.
pub const FILES_MAX: usize = 8;

/// A file is referred to only while at least one in this many bytes of its data is in use; so
/// what is kept on the disk stays in proportion to the state.
const USED_ONE_IN: u64 = 4;

/// What stands at the beginning of a checkpoint file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose checkpoint, of when, made by what.
    pub header: Header,
    /// Bytes of data behind the manifest.
    pub data_bytes: u64,
    /// Other files that hold parts of this checkpoint, ascending.
    pub files: Vec<Source>,
    /// The core's state, at offset 0 of this file's data.
    pub core: Piece,
    /// All parts, ascending by key.
    pub parts: Vec<Part>,
}

/// A file that holds parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// Its checkpoint.
    pub name: CheckpointName,
    /// Where its data begin, in bytes from the beginning of the file.
    pub data_at: u64,
    /// Bytes of data.
    pub data_bytes: u64,
}

/// Some bytes of a file's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// From the beginning of the file's data.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// xxh3-128 of them.
    pub sum: u128,
}

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which part.
    pub key: PartKey,
    /// 0: in this file. Else in `files[file - 1]`.
    pub file: u32,
    /// Where there.
    pub piece: Piece,
}

/// Where the bytes of a part lie: which bytes of which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Source,
    /// Where there.
    pub piece: Piece,
}

/// A part of a checkpoint to be laid out.
pub enum Content<'a> {
    /// To be written into the new file.
    Own(&'a [u8]),
    /// Stays where it is.
    At(Place),
}

impl Manifest {
    /// Lays a checkpoint out. The data to write behind the manifest are `core` and then the own
    /// parts, in the order of the map.
    pub fn lay_out(header: Header, core: &[u8], parts: &BTreeMap<PartKey, Content<'_>>) -> Self {
        let sources: BTreeSet<Source> = parts.values().filter_map(Content::source).collect();
        let files: Vec<Source> = sources.into_iter().collect();
        let core = Piece::of(0, core);
        let mut data_bytes = core.length;
        let lay_out_part = |(key, content): (&PartKey, &Content<'_>)| match content {
            Content::Own(bytes) => {
                let piece = Piece::of(data_bytes, bytes);
                data_bytes += piece.length;
                Part { key: *key, file: 0, piece }
            }
            Content::At(place) => {
                let before = files.partition_point(|source| *source < place.source);
                Part { key: *key, file: before as u32 + 1, piece: place.piece }
            }
        };
        let parts = parts.iter().map(lay_out_part).collect();
        Self { header, data_bytes, files, core, parts }
    }

    /// Whether the manifest makes sense, so that every byte of the file is covered by a sum and
    /// nothing refers to what cannot be there. Says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let mut newer = self.header.name;
        for source in self.files.iter().rev() {
            if source.name >= newer {
                return Err(format!("refers to {:?}, which is not older", source.name));
            }
            newer = source.name;
        }
        let mut end = self.core.end_in(self.data_bytes)?;
        if self.core.offset != 0 {
            return Err("the state is not at the beginning".to_owned());
        }
        let mut before = None;
        for part in &self.parts {
            let key = part.key;
            if before.is_some_and(|before| before >= key) {
                return Err(format!("{key} is out of order"));
            }
            before = Some(key);
            if part.file == 0 {
                if part.piece.offset != end {
                    return Err(format!("{key} does not follow what is before it"));
                }
                end = part.piece.end_in(self.data_bytes)?;
            } else {
                let source = self.files.get(part.file as usize - 1);
                let source = source.ok_or_else(|| format!("{key} is in no file"))?;
                part.piece.end_in(source.data_bytes)?;
            }
        }
        if end != self.data_bytes {
            return Err(format!("{} bytes of data belong to nothing", self.data_bytes - end));
        }
        Ok(())
    }

    /// Where each part lies, if the data of the manifest's own file begin at `data_at`.
    pub fn places(&self, data_at: u64) -> BTreeMap<PartKey, Place> {
        let own = Source { name: self.header.name, data_at, data_bytes: self.data_bytes };
        let place = |part: &Part| {
            let other = (part.file as usize).checked_sub(1).and_then(|at| self.files.get(at));
            (part.key, Place { source: *other.unwrap_or(&own), piece: part.piece })
        };
        self.parts.iter().map(place).collect()
    }
}

/// The files among those of `places` that a new checkpoint should refer to; parts in others are
/// to be copied. Drops files that are mostly unused, and, beyond `FILES_MAX`, those of which least
/// is in use: copying them is cheapest.
pub fn worth_keeping<'a>(places: impl Iterator<Item = &'a Place>) -> BTreeSet<CheckpointName> {
    let mut used: BTreeMap<Source, u64> = BTreeMap::new();
    for place in places {
        let used = used.entry(place.source).or_default();
        *used = used.saturating_add(place.piece.length);
    }
    let mostly_used = |(source, used): &(Source, u64)| {
        *used > 0 && used.saturating_mul(USED_ONE_IN) >= source.data_bytes
    };
    let mut files: Vec<(Source, u64)> = used.into_iter().filter(mostly_used).collect();
    files.sort_by_key(|(source, used)| std::cmp::Reverse((*used, source.name)));
    files.into_iter().take(FILES_MAX).map(|(source, _)| source.name).collect()
}

/// The sum by which a piece is known.
pub fn sum(bytes: &[u8]) -> u128 {
    xxhash_rust::xxh3::xxh3_128(bytes)
}

impl Piece {
    fn of(offset: u64, bytes: &[u8]) -> Self {
        Self { offset, length: bytes.len() as u64, sum: sum(bytes) }
    }

    /// Where it ends, if that is inside `data_bytes`.
    fn end_in(&self, data_bytes: u64) -> Result<u64, String> {
        let end = self.offset.checked_add(self.length).filter(|end| *end <= data_bytes);
        end.ok_or_else(|| {
            format!("{} bytes at {} of {data_bytes} bytes of data", self.length, self.offset)
        })
    }
}

impl Content<'_> {
    fn source(&self) -> Option<Source> {
        match self {
            Content::Own(_) => None,
            Content::At(place) => Some(place.source),
        }
    }
}
