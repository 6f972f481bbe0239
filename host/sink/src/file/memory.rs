//! A disk for tests that can stop at any step, as a killed process does, and lose what was not
//! synchronised, as a disk does when the power goes. Nothing but tests may use it.

use super::disk::{Disk, Fault, Lock};
use crate::suite::Random;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// A change of names that a folder's fsync makes durable.
#[derive(Clone, Debug)]
enum Change {
    Add(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Clone, Default)]
struct File {
    current: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Clone, Default)]
struct Inner {
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    changes: Vec<Change>,
    /// Steps until everything fails.
    steps_left: Option<u64>,
    steps: u64,
    /// Bytes that still fit.
    room: Option<usize>,
    sync_fails: bool,
}

/// A disk of which clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct MemoryDisk(Arc<Mutex<Inner>>);

impl MemoryDisk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// After so many steps every operation fails; none: never.
    pub(super) fn stop_after(&self, steps: Option<u64>) {
        self.inner().steps_left = steps;
    }

    pub(super) fn steps(&self) -> u64 {
        self.inner().steps
    }

    /// So many bytes fit, then the disk is full.
    pub(super) fn room(&self, bytes: Option<usize>) {
        self.inner().room = bytes;
    }

    pub(super) fn sync_fails(&self, fails: bool) {
        self.inner().sync_fails = fails;
    }

    /// The power goes: of what was not synchronised any part may be there.
    pub(super) fn lose_power(&self, random: &mut Random) {
        let inner = &mut *self.inner();
        let in_order = random.below(2) == 0;
        let mut names = inner.durable_names.clone();
        for change in std::mem::take(&mut inner.changes) {
            if random.below(3) == 0 {
                if in_order {
                    break;
                }
                continue;
            }
            change.apply(&mut names);
        }
        (inner.names, inner.durable_names) = (names.clone(), names);
        for file in &mut inner.files {
            file.lose(random);
        }
    }

    /// The files there are, by name.
    pub(super) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let inner = self.inner();
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let content = |file: &usize| inner.files[*file].current.clone();
        inner.names.iter().filter_map(|(path, file)| Some((name(path)?, content(file)))).collect()
    }

    /// Puts a file there, as somebody else would; none removes it.
    pub(super) fn set(&self, path: &Path, content: Option<&[u8]>) {
        let inner = &mut *self.inner();
        let Some(content) = content else {
            inner.names.remove(path);
            inner.durable_names.remove(path);
            return;
        };
        inner.files.push(File { current: content.to_vec(), durable: content.to_vec() });
        inner.names.insert(path.to_owned(), inner.files.len() - 1);
        inner.durable_names.insert(path.to_owned(), inner.files.len() - 1);
    }
}

impl File {
    fn lose(&mut self, random: &mut Random) {
        let same = self.current.iter().zip(&self.durable).take_while(|(a, b)| a == b).count();
        self.current = match random.below(4) {
            0 => self.durable.clone(),
            1 => self.current.clone(),
            // A part of what was appended, or zeros where it should be.
            2 => self.current[..same + random.below(self.current.len() - same + 1)].to_vec(),
            _ => {
                let mut bytes = self.current[..same].to_vec();
                bytes.resize(self.current.len(), 0);
                bytes
            }
        };
        self.durable = self.current.clone();
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Change::Add(path, file) => drop(names.insert(path.clone(), *file)),
            Change::Remove(path) => drop(names.remove(path)),
            Change::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }
}

impl Inner {
    /// One more step, if the process is still alive.
    fn step(&mut self) -> io::Result<()> {
        match &mut self.steps_left {
            Some(0) => return Err(io::Error::from(io::ErrorKind::TimedOut)),
            Some(left) => *left -= 1,
            None => {}
        }
        self.steps += 1;
        Ok(())
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn sync(&self) -> Result<(), Fault> {
        match self.sync_fails {
            true => Err(Fault::Sync(io::Error::from_raw_os_error(5))),
            false => Ok(()),
        }
    }

    fn put(&mut self, path: &Path, at: usize, bytes: &[u8]) -> Result<(), Fault> {
        let file = match self.names.get(path) {
            Some(file) => *file,
            None if at == 0 => {
                self.step()?;
                self.files.push(File::default());
                self.change(Change::Add(path.to_owned(), self.files.len() - 1));
                self.files.len() - 1
            }
            None => return Err(io::Error::from(io::ErrorKind::NotFound).into()),
        };
        self.step()?;
        self.files[file].current.resize(at, 0);
        if self.room.is_some_and(|room| room < bytes.len()) {
            if at == 0 {
                self.change(Change::Remove(path.to_owned()));
            }
            return Err(io::Error::from(io::ErrorKind::StorageFull).into());
        }
        self.room = self.room.map(|room| room - bytes.len());
        // In two steps, so that the process may die between them.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        for part in [first, second] {
            self.step()?;
            self.files[file].current.extend_from_slice(part);
        }
        self.step()?;
        self.sync()?;
        self.files[file].durable = self.files[file].current.clone();
        Ok(())
    }
}

impl Disk for MemoryDisk {
    fn make_folder(&self, _folder: &Path) -> Result<(), Fault> {
        Ok(())
    }

    fn lock(&self, _path: &Path) -> Result<Option<Lock>, Fault> {
        Ok(Some(Box::new(())))
    }

    fn names(&self, _folder: &Path) -> Result<Vec<String>, Fault> {
        Ok(self.contents().into_keys().collect())
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
        let inner = self.inner();
        Ok(inner.names.get(path).map(|file| inner.files[*file].current.clone()))
    }

    fn length(&self, path: &Path) -> Result<Option<u64>, Fault> {
        Ok(self.read(path)?.map(|bytes| bytes.len() as u64))
    }

    fn put(&self, path: &Path, at: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.inner().put(path, at as usize, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        let inner = &mut *self.inner();
        inner.step()?;
        if !inner.names.contains_key(from) {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        }
        inner.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), Fault> {
        let inner = &mut *self.inner();
        inner.step()?;
        inner.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, _folder: &Path) -> Result<(), Fault> {
        let inner = &mut *self.inner();
        inner.step()?;
        inner.sync()?;
        inner.durable_names = inner.names.clone();
        inner.changes.clear();
        Ok(())
    }
}
