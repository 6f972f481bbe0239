//! Keeps a second host off the same folder. The operating system holds the lock and lets it go
//! when the process ends, however it ends; what the file says is for people only and never decides
//! whether somebody lives.

use crate::error::{Error, io_kind};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Name of the lock file in the data folder.
pub const LOCK_FILE: &str = "pawl.lock";

/// As much of the file as is shown: it may hold anything.
const HOLDER_BYTES_MAX: u64 = 200;

/// The folder is this process's own while the value lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the folder, and makes it if it is missing. Refused with `Error::Locked`, which names
    /// the first holder by process id and start time, while any other process has it. `now_ms` is
    /// what is written as start time.
    pub fn acquire(data: &Path, now_ms: i64) -> Result<Self, Error> {
        let path = data.join(LOCK_FILE);
        let failed = |doing, error: std::io::Error| Error::Storage {
            path: path.clone(),
            doing,
            kind: io_kind(&error),
            what: error.to_string(),
        };
        std::fs::create_dir_all(data).map_err(|error| failed("make the folder of", error))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| failed("open", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { path, holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
        }
        write_holder(&mut file, now_ms).map_err(|error| failed("write", error))?;
        Ok(Self { _file: file })
    }
}

fn write_holder(file: &mut File, now_ms: i64) -> std::io::Result<()> {
    let since = match jiff::Timestamp::from_millisecond(now_ms) {
        Ok(since) => since.to_string(),
        Err(_) => format!("{now_ms} ms"),
    };
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("process {} since {since}\n", std::process::id()).as_bytes())
}

fn holder(file: &mut File) -> String {
    let mut text = Vec::new();
    let read = Read::by_ref(file).take(HOLDER_BYTES_MAX).read_to_end(&mut text);
    let text: String = String::from_utf8_lossy(&text).chars().filter(|c| !c.is_control()).collect();
    match read {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        // Between taking the lock and writing its name the first one has not said who it is.
        _ => "another process".to_owned(),
    }
}
