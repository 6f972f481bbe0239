//! A file that is followed, while the source runs: what is known of it, and the open file.

use super::folder::{Seen, open_at};
use super::known::Known;
use super::reader::{Manner, Reader, Unreadable};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

/// Why a file cannot be read, or no further. Other files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub code: &'static str,
    pub what: String,
}

/// A file that is followed.
pub(crate) struct Entry {
    pub known: Known,
    /// Where it lies now.
    pub path: PathBuf,
    pub reader: Option<Reader>,
    /// Size and time of change when it was looked into last.
    pub checked: Option<(u64, Option<SystemTime>)>,
    pub trouble: Option<Trouble>,
    /// The look under way found it.
    pub here: bool,
    /// So many looks in a row did not find it.
    pub missed: u32,
    /// It was read to its end in this life.
    pub visited: bool,
    /// All that it holds was handed over, but for a last line without a newline.
    pub at_end: bool,
    /// When something came from it last.
    pub came: Instant,
}

impl Entry {
    pub fn new(known: Known, path: PathBuf) -> Self {
        Self {
            known,
            path,
            reader: None,
            checked: None,
            trouble: None,
            here: false,
            missed: 0,
            visited: false,
            at_end: false,
            came: Instant::now(),
        }
    }

    /// It lies here.
    pub fn see(&mut self, seen: &Seen) {
        self.known.see(seen);
        self.path.clone_from(&seen.path);
        (self.here, self.missed) = (true, 0);
    }

    /// Something is wrong with it; the host shows it.
    pub fn set_trouble(&mut self, code: &'static str, what: String) {
        let trouble = Trouble { code, what };
        if self.trouble.as_ref() != Some(&trouble) {
            let (path, what) = (self.path.display(), &trouble.what);
            tracing::debug!(%path, code, what, "a file of a source cannot be read on");
            self.trouble = Some(trouble);
        }
    }

    /// It begins as it did and has fewer bytes than were read: what was taken back is not known.
    pub fn set_shrunk(&mut self) {
        let what = format!(
            "{} has fewer bytes than the {} that were read from it, and begins as it did: what is \
             in it now may be what was read already; to have it read anew from its start, copy it \
             to another name and remove this one",
            self.path.display(),
            self.known.position
        );
        self.set_trouble("file-shrunk", what);
    }

    /// Opens the file where it was left.
    pub fn open(&mut self, manner: Manner) -> bool {
        if self.reader.is_some() {
            return true;
        }
        let file = match open_at(&self.path, self.known.device, self.known.inode) {
            Ok(Some(file)) => file,
            // It was renamed a moment ago: the next look finds it.
            Ok(None) => return false,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return false,
            Err(error) => {
                self.set_io(&error);
                return false;
            }
        };
        match Reader::open(file, &self.known, manner) {
            Ok(reader) => self.reader = Some(reader),
            Err(Unreadable::Io(error)) => self.set_io(&error),
            Err(Unreadable::Header(what)) => self.set_trouble("csv-header", what),
            Err(Unreadable::Differs) => {
                let path = self.path.display();
                let what = format!("{path} no longer holds what was read from it");
                self.set_trouble("file-differs", what);
            }
        }
        self.reader.is_some()
    }

    /// Whether it is open and has no name any more.
    pub fn is_unlinked(&self) -> bool {
        let metadata = self.reader.as_ref().and_then(|reader| reader.file.metadata().ok());
        metadata.is_some_and(|metadata| metadata.nlink() == 0)
    }

    /// A call on the file failed, or it cannot be unpacked.
    pub fn set_io(&mut self, error: &std::io::Error) {
        use std::io::ErrorKind::{InvalidData, InvalidInput};
        let path = self.path.display();
        if self.known.packed && matches!(error.kind(), InvalidData | InvalidInput) {
            self.set_trouble("gzip-damaged", format!("{path} cannot be unpacked: {error}"));
        } else {
            self.set_trouble("file-unreadable", format!("failed to read {path}: {error}"));
        }
    }

    /// Takes the position of what was handed over, and all by which it is known again.
    pub fn remember(&mut self) {
        let Some(reader) = &self.reader else { return };
        let splitter = &reader.cutter.splitter;
        (self.known.position, self.known.lines) = (splitter.position(), splitter.lines());
        self.known.take_tail(splitter.tail());
        if let Err(error) = self.known.take_head(&reader.file) {
            // The file is known by fewer bytes then.
            tracing::debug!(path = %self.path.display(), %error, "failed to read first bytes");
        }
    }
}
