//! A file on its way into an object store: in memory as long as it is small, in parts if it is
//! not. It has no name before `Objects::publish` gives it one, and only then is it complete:
//! syncing does nothing here, since what fails on the way to a server is not fatal.

use super::client::Client;
use super::objects::{Known, lock};
use crate::files::Writable;
use object_store::MultipartUpload;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A file that is written and has no name yet.
pub(super) struct Staged {
    /// All of a small one, the last part of a large one.
    pub bytes: Vec<u8>,
    /// The rest of a large one.
    pub sent: Option<Sent>,
}

/// The parts of a large file that are on the server, and not yet an object.
pub(super) struct Sent {
    pub upload: Box<dyn MultipartUpload>,
    /// Where they become one.
    pub data: String,
    pub bytes: u64,
}

/// A file that is being written.
pub(super) struct Upload {
    client: Arc<Client>,
    known: Arc<Mutex<Known>>,
    path: PathBuf,
    /// Where its bytes go if they become many.
    data: String,
    staged: Staged,
}

impl Upload {
    pub fn new(client: Arc<Client>, known: Arc<Mutex<Known>>, path: PathBuf, data: String) -> Self {
        Self { client, known, path, data, staged: Staged { bytes: Vec::new(), sent: None } }
    }

    fn send(&mut self) -> io::Result<()> {
        let part = std::mem::take(&mut self.staged.bytes);
        let length = part.len() as u64;
        let sent = match &mut self.staged.sent {
            Some(sent) => sent,
            None => {
                let (data, place) = (self.data.clone(), self.client.place(&self.data)?);
                let upload = self.client.begin(place)?;
                self.staged.sent.insert(Sent { upload, data, bytes: 0 })
            }
        };
        self.client.send(sent.upload.as_mut(), part)?;
        sent.bytes += length;
        Ok(())
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Sent only when there is more: the last part stays, so that none is empty.
        if self.staged.bytes.len() == self.client.part_bytes {
            self.send()?;
        }
        let fits = bytes.len().min(self.client.part_bytes - self.staged.bytes.len());
        self.staged.bytes.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Writable for Upload {
    fn sync(&mut self) -> io::Result<()> {
        let staged =
            Staged { bytes: std::mem::take(&mut self.staged.bytes), sent: self.staged.sent.take() };
        lock(&self.known).staged.insert(self.path.clone(), staged);
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(sent) = self.staged.sent.take() {
            self.client.abort(sent.upload);
        }
    }
}
