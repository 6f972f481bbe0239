//! What is known of a file that was read from, and whether a file that lies there now is that one:
//! by device and inode, and by hashes of its first bytes and of those before the position. A name
//! alone says nothing, and neither does an inode, which the next file may get.
//!
//! Stored as a row: key, a number in decimal; value, JSON as `Known`, `version` 1. The newest row
//! of a number counts; one without a value takes it back.

use super::folder::Seen;
use crate::split::TAIL_BYTES;
use pawl_core::identity;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// First bytes by which a file is known again.
const HEAD_BYTES: usize = 256;

/// The version of stored rows.
pub(crate) const VERSION: u32 = 1;

/// What is known of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub version: u32,
    /// The name when it was seen last.
    pub name: String,
    pub device: u64,
    pub inode: u64,
    /// When the inode was made, in milliseconds; 0: unknown.
    pub born: u64,
    /// It lies there no more: another file may have its inode.
    pub gone: bool,
    /// It is packed: its first name ended in `.gz`.
    pub packed: bool,
    /// Other content lies in its place: its own may lie under any name now.
    pub replaced: bool,
    /// How many first bytes `head` is the hash of.
    pub head_bytes: usize,
    pub head: String,
    /// Of the unpacked bytes right before the position: at most `TAIL_BYTES`.
    pub tail: String,
    /// The next byte to read, unpacked.
    pub position: u64,
    /// Newlines before the position.
    pub lines: u64,
    /// Bytes that the file had when all of it was read; 0 if it never was.
    pub size_read: u64,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Now {
    /// It is as it was, or has grown.
    Same,
    /// It begins as it did, and ends before the position.
    Shrunk,
    /// Something else.
    Other,
}

impl Known {
    /// A file of which nothing was read yet.
    pub fn new(seen: &Seen) -> Self {
        let packed = seen.name.ends_with(".gz");
        let mut known = Self { version: VERSION, packed, ..Self::default() };
        known.see(seen);
        known
    }

    /// It lies here now.
    pub fn see(&mut self, seen: &Seen) {
        self.name.clone_from(&seen.name);
        (self.device, self.inode, self.born) = (seen.device, seen.inode, seen.born);
        (self.gone, self.replaced) = (false, false);
    }

    /// Whether another file has its inode now.
    pub fn is_succeeded_by(&self, seen: &Seen) -> bool {
        self.born != 0 && seen.born != 0 && self.born != seen.born
    }

    /// Whether all of it was read when it had this size.
    pub fn is_done(&self, size: u64) -> bool {
        self.size_read == size && size > 0
    }

    /// Takes the first bytes in, while there are too few of them.
    pub fn take_head(&mut self, file: &File) -> io::Result<()> {
        if self.head_bytes < HEAD_BYTES {
            let head = read_at(file, 0, HEAD_BYTES)?;
            (self.head_bytes, self.head) = (head.len(), hash(&head));
        }
        Ok(())
    }

    /// Takes the bytes before the position in.
    pub fn take_tail(&mut self, tail: &[u8]) {
        self.tail = hash(tail);
    }

    /// How many bytes `tail` is the hash of.
    pub fn tail_bytes(&self) -> usize {
        TAIL_BYTES.min(usize::try_from(self.position).unwrap_or(TAIL_BYTES))
    }

    /// Whether these are the bytes before the position.
    pub fn has_tail(&self, tail: &[u8]) -> bool {
        self.position == 0 || self.tail == hash(tail)
    }

    /// Whether a file is this one. What is packed is judged by its first bytes and size alone; its
    /// tail is compared when it is unpacked.
    pub fn compare(&self, file: &File) -> io::Result<Now> {
        let size = file.metadata()?.len();
        let head = read_at(file, 0, self.head_bytes)?;
        if head.len() < self.head_bytes || (self.head_bytes > 0 && hash(&head) != self.head) {
            return Ok(Now::Other);
        }
        if self.packed {
            return Ok(if size < self.size_read { Now::Shrunk } else { Now::Same });
        }
        if size < self.position {
            return Ok(Now::Shrunk);
        }
        let tail = self.tail_bytes();
        let tail = read_at(file, self.position - tail as u64, tail)?;
        Ok(if self.has_tail(&tail) { Now::Same } else { Now::Other })
    }
}

fn hash(bytes: &[u8]) -> String {
    identity::hex_text(identity::hash(bytes))
}

fn read_at(file: &File, from: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        match file.read_at(&mut bytes[filled..], from + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
