//! Opening the database file: made whole or not at all, recognised, and refused if it is not ours,
//! too new or damaged. Never repairs and never overwrites a file that is there.
//!
//! Settings, and why:
//! - `journal_mode=WAL`: readers and the one writer do not stop each other.
//! - `synchronous=FULL`: a commit is on the disk when it returns, not at the next checkpoint.
//! - `page_size=16384`: a batch is a chain of pages, and with larger pages the chain is shorter;
//!   small commits pay a few kilobytes more of log.
//! - `mmap_size=0`: an error of the disk comes back as an error and not as a signal.
//! - `temp_store=MEMORY`: no temporary folder that could be full or read-only.
//! - `cell_size_check=ON`: damaged pages are noticed where they are read.
//! - `wal_autocheckpoint=0`: SQLite swallows the errors of checkpoints that it starts itself; the
//!   writer starts them and looks at what they say.

use super::schema::{APPLICATION_ID, IDENTITY, TABLES, VERSION};
use super::storage;
use crate::error::{Error, StorageKind, io_kind};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of a page of the database.
pub(super) const PAGE_BYTES: u32 = 16384;

/// The cache of the writer: more than a large commit, so that it is written once.
const WRITER_CACHE_KIB: i64 = 32 * 1024;

/// The cache of a reader: it reads each batch about once.
const READER_CACHE_KIB: i64 = 2 * 1024;

/// To this length the log is cut when it begins anew: a long reader has made it longer.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// Statements that a connection keeps prepared: all that there are.
const STATEMENTS_MAX: usize = 64;

/// A connection for reading. It sees commits of all processes.
pub(super) fn reader(path: &Path, busy: Duration) -> Result<Connection, Error> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, busy, READER_CACHE_KIB)?;
    recognise(&connection, path)?;
    Ok(connection)
}

/// The connection for writing.
pub(super) fn writer(
    path: &Path,
    busy: Duration,
    bytes_max: Option<u64>,
) -> Result<Connection, Error> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, busy, WRITER_CACHE_KIB)?;
    recognise(&connection, path)?;
    // SQLite opens for reading what it may not write, and would say so only at the first commit.
    if connection.is_readonly("main").map_err(|error| storage(path, "open", error))? {
        return Err(Error::Storage {
            path: path.to_owned(),
            doing: "open",
            kind: StorageKind::Denied,
            what: "the file or its file system is read-only".to_owned(),
        });
    }
    let set = || -> rusqlite::Result<()> {
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        identify(&connection)?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
        if let Some(bytes) = bytes_max {
            let pages = (bytes / u64::from(PAGE_BYTES)).clamp(1, u64::from(u32::MAX - 1));
            connection.pragma_update(None, "max_page_count", pages as i64)?;
        }
        Ok(())
    };
    set().map_err(|error| storage(path, "set up", error))?;
    Ok(connection)
}

/// Gives a database of before its identity. Two processes may do it at once: the second finds it.
fn identify(connection: &Connection) -> rusqlite::Result<()> {
    if connection.table_exists(None, "identity")? {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    transaction.execute_batch(IDENTITY)?;
    transaction.commit()
}

fn connect(
    path: &Path,
    access: OpenFlags,
    busy: Duration,
    cache_kib: i64,
) -> Result<Connection, Error> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(busy)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "mmap_size", 0)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "cache_size", -cache_kib)?;
        Ok(connection)
    };
    open().map_err(|error| refused(path, error))
}

/// An error met before it is known whose file this is.
fn refused(path: &Path, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Error::NotPawl {
            path: path.to_owned(),
            what: "it does not begin as a database does: another file, or damaged".to_owned(),
        },
        _ => storage(path, "open", error),
    }
}

/// Refuses what is not a database of ours that we know how to read.
fn recognise(connection: &Connection, path: &Path) -> Result<(), Error> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let read = |pragma| number(pragma).map_err(|error| refused(path, error));
    let application = read("application_id")?;
    if application != APPLICATION_ID {
        return Err(Error::NotPawl {
            path: path.to_owned(),
            what: format!("its application id is {application:#x}, not {APPLICATION_ID:#x}"),
        });
    }
    let found = read("user_version")?;
    if found != VERSION {
        return Err(Error::Newer { path: path.to_owned(), found, known: VERSION });
    }
    Ok(())
}

/// Makes sure that there is a database at `path`.
pub(super) fn ensure(path: &Path) -> Result<(), Error> {
    let failed = |doing| {
        move |error: std::io::Error| Error::Storage {
            path: path.to_owned(),
            doing,
            kind: io_kind(&error),
            what: error.to_string(),
        }
    };
    let folder = folder_of(path);
    if exists(path)? {
        return Ok(());
    }
    std::fs::create_dir_all(&folder).map_err(failed("make the folder of"))?;
    // Two processes may start at once: the second waits here and then finds the file.
    let handle = File::open(&folder).map_err(failed("open the folder of"))?;
    handle.lock().map_err(failed("lock the folder of"))?;
    if exists(path)? {
        return Ok(());
    }
    let temporary = beside(path, "-new");
    for leftover in [temporary.clone(), beside(&temporary, "-wal"), beside(&temporary, "-shm")] {
        match std::fs::remove_file(leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("clear the folder of")(error));
            }
            _ => {}
        }
    }
    create(&temporary)?;
    File::open(&temporary).and_then(|file| file.sync_all()).map_err(failed("sync"))?;
    std::fs::rename(&temporary, path).map_err(failed("name"))?;
    handle.sync_all().map_err(failed("sync the folder of"))?;
    // The folder itself may be new, too.
    let above = folder_of(&folder);
    File::open(&above).and_then(|file| file.sync_all()).map_err(failed("sync the folders of"))
}

/// Whether a database is there. A file without any bytes would pass for a new database in SQLite;
/// here it was one once, and silently beginning anew would lose what it held.
pub(super) fn exists(path: &Path) -> Result<bool, Error> {
    let corrupt = |what: &str| Error::Storage {
        path: path.to_owned(),
        doing: "open",
        kind: StorageKind::Corrupt,
        what: what.to_owned(),
    };
    match std::fs::metadata(path) {
        Ok(file) if !file.is_file() => {
            Err(Error::NotPawl { path: path.to_owned(), what: "it is not a file".to_owned() })
        }
        Ok(file) if file.len() == 0 => Err(corrupt("the file is empty")),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::Storage {
            path: path.to_owned(),
            doing: "look for",
            kind: io_kind(&error),
            what: error.to_string(),
        }),
    }
}

fn create(path: &Path) -> Result<(), Error> {
    let make = || -> rusqlite::Result<()> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.execute_batch(&format!(
            "BEGIN; {TABLES} {IDENTITY}
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {VERSION};
             COMMIT;"
        ))?;
        connection.close().map_err(|(_, error)| error)
    };
    make().map_err(|error| storage(path, "make", error))
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
