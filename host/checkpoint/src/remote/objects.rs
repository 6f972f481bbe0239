//! An object store as a file system: what `durable` and `reader` ask of files, asked of objects.
//! Creating an object is atomic and durable, so there is nothing to sync; folders are parts of
//! names, so they are always there.
//!
//! A file up to a part's size is an object of its name. A larger one is two: its bytes under a
//! name that nobody else uses, `<name>.<16 hex digits>.data`, sent in parts, and only then, under
//! its own name, a pointer, created only if the name is free. So what cannot be created
//! conditionally, an upload in parts, never decides anything.
//!
//! ```text
//! envelope PAWLDATA, version 1: `Pointer` by postcard
//! ```
//!
//! Bytes without a pointer are listed as temporary files: whoever takes the task over removes
//! them. A rival that is still uploading then finds them gone when it reads back.

use super::RemoteOptions;
use super::address::Opened;
use super::client::Client;
use super::driver::Driver;
use super::reader::ObjectReader;
use super::upload::{Sent, Staged, Upload};
use crate::files::{Files, Readable, Writable};
use crate::paths::{self, TEMPORARY};
use pawl_codec::envelope::Format;
use pawl_codec::sealed;
use pawl_core::decision::CheckpointName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Version 1: as described above.
const FORMAT: Format = Format { name: "pointer", magic: *b"PAWLDATA", version: 1 };

/// The ending of the names under which the bytes of large files lie.
const DATA: &str = ".data";

/// Where the bytes of a large file lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pointer {
    /// Name of the object, in the same folder.
    data: String,
    /// Bytes.
    bytes: u64,
}

/// The objects below a prefix.
pub(super) struct Objects {
    client: Arc<Client>,
    /// What paths begin with: the address, so that messages show whole addresses.
    root: PathBuf,
    known: Arc<Mutex<Known>>,
}

/// What this process knows. Losing it costs nothing but work.
#[derive(Default)]
pub(super) struct Known {
    /// Files that are written and have no name yet.
    pub staged: BTreeMap<PathBuf, Staged>,
    /// The data of large files, by file.
    data: BTreeMap<PathBuf, Vec<String>>,
    /// The newest checkpoint that was created here, by folder.
    created: BTreeMap<PathBuf, CheckpointName>,
}

impl Objects {
    pub fn new(opened: Opened, driver: Driver, root: PathBuf, options: &RemoteOptions) -> Self {
        let client = Arc::new(Client::new(opened, driver, options));
        Self { client, root, known: Arc::default() }
    }

    fn relative<'a>(&self, path: &'a Path) -> io::Result<&'a str> {
        let relative = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
        relative.ok_or_else(|| io::Error::other("the path is not below the store's address"))
    }

    fn place(&self, path: &Path) -> io::Result<object_store::path::Path> {
        self.client.place(self.relative(path)?)
    }

    /// Makes an object of a large file's parts.
    fn complete(&self, sent: Sent, last: Vec<u8>) -> io::Result<Pointer> {
        let Sent { mut upload, data, bytes } = sent;
        let bytes = bytes + last.len() as u64;
        if let Err(error) = self.client.send(upload.as_mut(), last) {
            self.client.abort(upload);
            return Err(error);
        }
        self.client.complete(upload)?;
        Ok(Pointer { data: file_name(&data).to_owned(), bytes })
    }

    fn is_there(&self, path: &Path) -> io::Result<bool> {
        Ok(self.client.size(self.place(path)?)?.is_some())
    }

    /// Checkpoints that a list may have missed. Some stores list new names late, while asking for
    /// one by name tells the truth: so the successors of the newest are asked for, and the newest
    /// that was created here.
    fn unlisted(&self, folder: &Path, listed: &[String]) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut ask = |name: CheckpointName| -> io::Result<bool> {
            let file = paths::checkpoint_file(name);
            let there = self.is_there(&folder.join(&file))?;
            if there {
                found.push(file);
            }
            Ok(there)
        };
        let mut newest = listed.iter().filter_map(|file| paths::checkpoint_name(file)).max();
        let created = lock(&self.known).created.get(folder).copied();
        if let Some(created) = created
            && newest.is_none_or(|newest| newest < created)
            && ask(created)?
        {
            newest = Some(created);
        }
        while let Some(CheckpointName { epoch, sequence }) = newest {
            let sequence = sequence.saturating_add(1);
            let same_owner = CheckpointName { epoch, sequence };
            let next_owner = CheckpointName { epoch: epoch.saturating_add(1), sequence };
            newest = match () {
                () if ask(next_owner)? => Some(next_owner),
                () if ask(same_owner)? => Some(same_owner),
                () => None,
            };
        }
        Ok(found)
    }
}

impl Files for Objects {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Writable>> {
        let (client, known) = (Arc::clone(&self.client), Arc::clone(&self.known));
        let relative = self.relative(path)?;
        let file = relative.strip_suffix(TEMPORARY).unwrap_or(relative);
        let data = format!("{}.{:016x}{DATA}", stem(file), random());
        Ok(Box::new(Upload::new(client, known, path.to_owned(), data)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Readable>> {
        let place = self.place(path)?;
        let beginning = self.client.beginning(place.clone())?;
        let client = Arc::clone(&self.client);
        match sealed::decode::<Pointer>(&FORMAT, &beginning.bytes) {
            Ok(pointer) => {
                let data = self.place(&path.with_file_name(&pointer.data))?;
                let size = self.client.size(data.clone())?.ok_or(io::ErrorKind::NotFound)?;
                Ok(Box::new(ObjectReader::new(client, data, size, Vec::new())))
            }
            // What it points to may be whole: not a reason to take an older one.
            Err(error) if error.is_newer_version() => Err(io::Error::other(error.to_string())),
            Err(_) => {
                let (size, bytes) = (beginning.size, beginning.bytes);
                Ok(Box::new(ObjectReader::new(client, place, size, bytes)))
            }
        }
    }

    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        let staged = lock(&self.known).staged.remove(from);
        let Staged { bytes, sent } = staged.ok_or(io::ErrorKind::NotFound)?;
        let (bytes, data) = match sent {
            None => (bytes, None),
            Some(sent) => {
                let pointer = self.complete(sent, bytes)?;
                let data = to.with_file_name(&pointer.data);
                lock(&self.known).data.entry(to.to_owned()).or_default().push(pointer.data.clone());
                let bytes = sealed::encode(&FORMAT, &pointer)
                    .map_err(|error| io::Error::other(error.to_string()))?;
                (bytes, Some(data))
            }
        };
        if let Err(error) = self.client.create(self.place(to)?, bytes) {
            // As long as it is unknown whether the pointer is there, its bytes must stay.
            if let (Some(data), io::ErrorKind::AlreadyExists) = (data, error.kind()) {
                self.client.remove(self.place(&data)?)?;
            }
            return Err(error);
        }
        if let (Some(folder), Some(name)) =
            (to.parent(), to.file_name().and_then(|file| paths::checkpoint_name(file.to_str()?)))
        {
            lock(&self.known).created.insert(folder.to_owned(), name);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let staged = lock(&self.known).staged.remove(path);
        if let Some(sent) = staged.and_then(|staged| staged.sent) {
            self.client.abort(sent.upload);
        }
        let relative = self.relative(path)?;
        if let Some(temporary) = relative.strip_suffix(TEMPORARY) {
            // A temporary file is nowhere, unless it is bytes without a pointer. Never remove the
            // file that bears the name which this one did not get.
            return match temporary.ends_with(DATA) {
                true => self.client.remove(self.client.place(temporary)?),
                false => Ok(()),
            };
        }
        // The pointer goes first: none is left that points nowhere.
        self.client.remove(self.place(path)?)?;
        let data = lock(&self.known).data.remove(path).unwrap_or_default();
        for name in data {
            self.client.remove(self.place(&path.with_file_name(name))?)?;
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = self.client.list(self.place(folder)?)?;
        names.extend(self.unlisted(folder, &names)?);
        let (data, mut names): (Vec<String>, Vec<String>) =
            names.into_iter().partition(|name| name.ends_with(DATA));
        for data in data {
            let owner = owner_of(&data, &names);
            match owner {
                Some(owner) => {
                    let mut known = lock(&self.known);
                    let known = known.data.entry(folder.join(owner)).or_default();
                    if !known.contains(&data) {
                        known.push(data);
                    }
                }
                None => names.push(format!("{data}{TEMPORARY}")),
            }
        }
        Ok(names)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut parts = self.relative(path)?.split('/');
        let is_file = match parts.next() {
            Some("objects") => parts.count() == 1,
            Some("tasks") => parts.count() == 3,
            _ => false,
        };
        Ok(!is_file || self.is_there(path)?)
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// The file whose bytes lie in `data`.
fn owner_of<'a>(data: &str, names: &'a [String]) -> Option<&'a String> {
    let stem_of_data = data.split('.').next()?;
    names.iter().find(|name| stem(name) == stem_of_data)
}

/// A name without the ending of checkpoints.
fn stem(name: &str) -> &str {
    name.strip_suffix(".ckpt").unwrap_or(name)
}

fn file_name(relative: &str) -> &str {
    relative.rsplit_once('/').map_or(relative, |(_, name)| name)
}

/// A number that no other upload has.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// What is known is only ever added to or removed from, whole.
pub(super) fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
