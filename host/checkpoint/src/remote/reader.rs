//! An object that is read: whole if it is small, else block by block. Says nothing about what the
//! bytes are worth; that is for whoever knows their sums.

use super::client::{BLOCK_BYTES, Client};
use object_store::path::Path;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// An object that is read.
pub(super) struct ObjectReader {
    client: Arc<Client>,
    place: Path,
    size: u64,
    at: u64,
    block: Vec<u8>,
    block_at: u64,
}

impl ObjectReader {
    /// An object of `size` bytes of which `block` are the first.
    pub fn new(client: Arc<Client>, place: Path, size: u64, block: Vec<u8>) -> Self {
        Self { client, place, size, at: 0, block, block_at: 0 }
    }

    /// What of the block lies at the place that is to be read next.
    fn ahead(&self) -> &[u8] {
        let skipped =
            self.at.checked_sub(self.block_at).and_then(|skip| usize::try_from(skip).ok());
        skipped.and_then(|skipped| self.block.get(skipped..)).unwrap_or_default()
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size {
            return Ok(0);
        }
        if self.ahead().is_empty() {
            let end = self.at.saturating_add(BLOCK_BYTES).min(self.size);
            self.block = self.client.piece(self.place.clone(), self.at..end)?;
            self.block_at = self.at;
        }
        let ahead = self.ahead();
        let read = ahead.len().min(buffer.len());
        buffer[..read].copy_from_slice(&ahead[..read]);
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
