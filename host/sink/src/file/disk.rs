//! What the file sink asks of a disk, and the disk of this machine. A second one, in the tests,
//! loses what was not synchronised.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait for whoever holds a lock: as long as it may take to write a batch.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Between two looks whether a lock is free.
const LOCK_LOOK: Duration = Duration::from_millis(5);

/// Why something could not be done.
#[derive(Debug)]
pub(super) enum Fault {
    /// It was not done.
    Io(io::Error),
    /// It was done, and nobody knows whether it will still be there. Trying again hides the loss:
    /// the kernel forgets what it could not write.
    Sync(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}

/// Released when dropped.
pub(super) type Lock = Box<dyn Send>;

/// A disk. What returned without a fault and says so is durable.
pub(super) trait Disk: Send {
    /// Makes a folder and those above it, durably.
    fn make_folder(&self, folder: &Path) -> Result<(), Fault>;
    /// Locks a file, which is made if it is not there; nothing if another holds it for too long.
    fn lock(&self, path: &Path) -> Result<Option<Lock>, Fault>;
    /// The names in a folder.
    fn names(&self, folder: &Path) -> Result<Vec<String>, Fault>;
    /// All of a file, if it is there.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault>;
    /// A file's length, if it is there.
    fn length(&self, path: &Path) -> Result<Option<u64>, Fault>;
    /// Cuts a file off and appends, durably but for the name of a new file, which is made where
    /// `at` is 0. Where that is impossible the file is as long as before, or not there.
    fn put(&self, path: &Path, at: u64, bytes: &[u8]) -> Result<(), Fault>;
    /// Gives a file another name, in place of the file that had it; durable with the folder.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault>;
    /// Removes a file; durable with the folder.
    fn remove(&self, path: &Path) -> Result<(), Fault>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> Result<(), Fault>;
}

/// The disk of this machine.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn make_folder(&self, folder: &Path) -> Result<(), Fault> {
        let missing: Vec<_> = folder.ancestors().take_while(|at| !at.exists()).collect();
        fs::create_dir_all(folder)?;
        for made in missing {
            match made.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => self.sync_folder(parent)?,
                None => self.sync_folder(Path::new("."))?,
            }
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> Result<Option<Lock>, Fault> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let end = Instant::now() + LOCK_WAIT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Box::new(file))),
                Err(TryLockError::WouldBlock) if Instant::now() >= end => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_LOOK),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
        Ok(if_there(fs::read(path))?)
    }

    fn length(&self, path: &Path) -> Result<Option<u64>, Fault> {
        Ok(if_there(fs::metadata(path))?.map(|metadata| metadata.len()))
    }

    fn put(&self, path: &Path, at: u64, bytes: &[u8]) -> Result<(), Fault> {
        let mut file = OpenOptions::new().create(at == 0).truncate(false).write(true).open(path)?;
        let written = append(&mut file, at, bytes);
        if let Err(error) = written {
            // As far as it goes; what stays is cut off before the file is used again.
            match at {
                0 => drop(fs::remove_file(path)),
                _ => drop(file.set_len(at)),
            }
            return Err(error.into());
        }
        file.sync_all().map_err(Fault::Sync)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        Ok(fs::rename(from, to)?)
    }

    fn remove(&self, path: &Path) -> Result<(), Fault> {
        Ok(fs::remove_file(path)?)
    }

    fn sync_folder(&self, folder: &Path) -> Result<(), Fault> {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(Fault::Sync)
    }
}

fn append(file: &mut File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.set_len(at)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
