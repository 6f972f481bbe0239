//! The default transport: one SQLite file in WAL mode, a row per batch. All writes go through one
//! thread that gathers commits into one transaction; reads have connections of their own and see
//! what other processes wrote. The only room that knows `rusqlite`.
//!
//! Bodies are made and read outside of transactions, on the caller's thread: the writer only
//! moves bytes.

mod log;
mod notify;
mod open;
mod pool;
mod schema;
mod tasks;
mod writer;

use crate::error::{Error, StorageKind};
use crate::order::Mark;
use crate::ticket::Ticket;
use crate::transport::{
    Dropped, ReadMax, Recovery, Retained, Topic, Transport, Trimmed, check_commit, without_place,
};
use log::Body;
use notify::Ends;
use pawl_core::commit::{CommitBatch, TaskId};
use pawl_core::record::{LogBatch, Offset, Producer, Timestamp};
use pool::Pool;
use rusqlite::{ErrorCode, Row};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tasks::Sealed;
use writer::{Job, Poison, Work, Write, Writer};

/// A batch larger than this, as stored, is refused: SQLite holds no row of a gigabyte.
pub const BATCH_BYTES_MAX: usize = 900_000_000;

/// How often a waiting reader looks for rows of other processes.
const POLL: Duration = Duration::from_millis(25);

/// How to open the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Read only: no file is made, and every write is refused.
    pub read_only: bool,
    /// How long a write waits for another process's transaction before it is `Error::Busy`.
    pub busy_timeout_ms: u64,
    /// Bytes of the database file at most; reaching it is as a full disk. None: the disk.
    pub database_bytes_max: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { read_only: false, busy_timeout_ms: 10_000, database_bytes_max: None }
    }
}

/// The embedded transport. Dropping it finishes what was submitted and closes the file.
#[derive(Debug)]
pub struct Embedded {
    path: PathBuf,
    // Dropped before the writer, so that no reader of ours keeps the log from being cut.
    pool: Pool,
    writer: Option<Writer>,
    ends: Arc<Ends>,
    poison: Arc<Poison>,
}

impl Embedded {
    /// Opens the database at `path`; makes it with its folders if it is missing and `options`
    /// allow. `Error::NotPawl`, `Error::Newer` and `Error::Storage` say why it cannot be opened.
    pub fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        let busy = Duration::from_millis(options.busy_timeout_ms);
        if options.read_only {
            if !open::exists(path)? {
                return Err(Error::Missing { path: path.to_owned() });
            }
        } else {
            open::ensure(path)?;
        }
        let (ends, poison) = (Arc::<Ends>::default(), Arc::<Poison>::default());
        let writer = match options.read_only {
            true => None,
            false => {
                let connection = open::writer(path, busy, options.database_bytes_max)?;
                let writer = Writer::start(connection, path, busy, poison.clone(), ends.clone())?;
                Some(writer)
            }
        };
        let transport = Self {
            path: path.to_owned(),
            pool: Pool::new(path.to_owned(), busy),
            writer,
            ends,
            poison,
        };
        // Reads every table's root once: a file that was cut short is noticed now.
        transport.topics()?;
        Ok(transport)
    }

    fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        bytes: usize,
        work: impl FnOnce(&mut Write<'_>, &Path) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let path = self.path.clone();
        let writer = self.writer.as_ref().ok_or(Error::ReadOnly { doing })?;
        writer.call(bytes, move |write| work(write, &path))
    }

    fn read_at<T>(
        &self,
        topic: &str,
        partition: u32,
        work: impl FnOnce(&rusqlite::Connection, Place<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.poison.check()?;
        let at = Place { path: &self.path, topic, partition };
        self.pool.read(|connection| work(connection, at))
    }
}

/// The work of a commit; all of it that needs no transaction is done here.
fn commit_work(
    batch: CommitBatch,
    path: PathBuf,
    now_ms: Timestamp,
) -> Result<(Work, usize), Error> {
    check_commit(&batch)?;
    let CommitBatch { task, commit, decisions, appends } = batch;
    let commit_body = pawl_codec::commit::encode(&commit);
    let mut sealed = Vec::new();
    for decision in decisions {
        let body = pawl_codec::decision::encode(&decision);
        sealed.push(Sealed { number: decision.number, body });
    }
    let mut bodies = Vec::new();
    for append in appends {
        bodies.push((append.topic, append.partition, body(append.batch)?));
    }
    let bytes = bodies.iter().map(|(_, _, body)| body.bytes.len()).sum();
    let work = move |write: &mut Write<'_>| {
        tasks::store(write.connection, &path, &task, &commit, &commit_body, &sealed)?;
        for (topic, partition, body) in bodies {
            write.append(&path, &topic, partition, &body, now_ms)?;
        }
        Ok(())
    };
    Ok((Box::new(work), bytes))
}

impl Write<'_> {
    fn append(
        &mut self,
        path: &Path,
        topic: &str,
        partition: u32,
        body: &Body,
        now_ms: Timestamp,
    ) -> Result<Offset, Error> {
        let at = Place { path, topic, partition };
        let (base, end) = log::append(self.connection, at, body, now_ms)?;
        if end > base {
            self.appended.push((topic.to_owned(), partition, end));
        }
        Ok(base)
    }
}

impl Transport for Embedded {
    fn identity(&self) -> Result<String, Error> {
        self.poison.check()?;
        self.pool.read(|connection| log::identity(connection, &self.path))
    }

    fn become_another(&self) -> Result<(), Error> {
        self.write("give a new identity to", 0, |write, path| {
            log::become_another(write.connection, path)
        })
    }

    fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), Error> {
        if partitions == 0 {
            return Err(Error::Invalid { what: format!("topic {topic} without partitions") });
        }
        let topic = topic.to_owned();
        self.write("make a topic", 0, move |write, path| {
            log::create_topic(write.connection, path, &topic, partitions)
        })
    }

    fn topics(&self) -> Result<Vec<Topic>, Error> {
        self.poison.check()?;
        self.pool.read(|connection| log::topics(connection, &self.path))
    }

    fn partitions(&self, topic: &str) -> Result<u32, Error> {
        self.poison.check()?;
        self.pool.read(|connection| log::partitions_of(connection, &self.path, topic))
    }

    fn range(&self, topic: &str, partition: u32) -> Result<(Offset, Offset), Error> {
        self.read_at(topic, partition, log::range)
    }

    fn read(
        &self,
        topic: &str,
        partition: u32,
        from: Offset,
        max: ReadMax,
    ) -> Result<Vec<LogBatch>, Error> {
        let stored =
            self.read_at(topic, partition, |connection, at| log::read(connection, at, from, max))?;
        log::decode(Place { path: &self.path, topic, partition }, &stored)
    }

    fn produce(
        &self,
        topic: &str,
        partition: u32,
        batch: LogBatch,
        now_ms: Timestamp,
    ) -> Result<Offset, Error> {
        let body = body(batch)?;
        let topic = topic.to_owned();
        self.write("produce", body.bytes.len(), move |write, path| {
            write.append(path, &topic, partition, &body, now_ms)
        })
    }

    fn claim(&self, task: &TaskId, above: u64) -> Result<u64, Error> {
        let task = task.clone();
        self.write("claim a task", 0, move |write, path| {
            tasks::claim(write.connection, path, &task, above)
        })
    }

    fn recovery(&self, task: &TaskId) -> Result<Recovery, Error> {
        self.poison.check()?;
        self.pool.read(|connection| tasks::recovery(connection, &self.path, task))
    }

    fn submit(&self, batch: CommitBatch, now_ms: Timestamp) -> Ticket {
        let Some(writer) = &self.writer else {
            return Ticket::settled(Err(Error::ReadOnly { doing: "commit" }));
        };
        let mark = Some(Mark::of(&batch));
        // Also what cannot be stored takes its place in the queue: the next commit of the task
        // must not pass it.
        let (work, bytes) = commit_work(batch, self.path.clone(), now_ms)
            .unwrap_or_else(|error| (Box::new(move |_: &mut Write<'_>| Err(error)), 0));
        writer.submit(Job { work, bytes, mark })
    }

    fn prune_decisions(&self, task: &TaskId, below: u64) -> Result<(), Error> {
        let task = task.clone();
        self.write("prune decisions", 0, move |write, path| {
            tasks::prune_decisions(write.connection, path, &task, below)
        })
    }

    fn trim(&self, topic: &str, partition: u32, below: Offset) -> Result<Trimmed, Error> {
        let topic = topic.to_owned();
        self.write("trim", 0, move |write, path| {
            log::trim(write.connection, Place { path, topic: &topic, partition }, below)
        })
    }

    fn retained(&self, topic: &str) -> Result<Retained, Error> {
        self.poison.check()?;
        self.pool.read(|connection| log::retained(connection, &self.path, topic))
    }

    fn drop_oldest(&self, topic: &str, max: Retained) -> Result<Dropped, Error> {
        let topic = topic.to_owned();
        self.write("drop rows", 0, move |write, path| {
            log::drop_oldest(write.connection, path, &topic, max)
        })
    }

    fn generation(&self, producers: &[Producer]) -> Result<u64, Error> {
        let mut sorted = producers.to_vec();
        sorted.sort();
        sorted.dedup();
        self.write("begin a generation", 0, move |write, path| {
            tasks::generation(write.connection, path, &sorted)
        })
    }

    fn wait(
        &self,
        topic: &str,
        partition: u32,
        beyond: Offset,
        timeout: Duration,
    ) -> Result<bool, Error> {
        let start = Instant::now();
        loop {
            if self.range(topic, partition)?.1 > beyond {
                return Ok(true);
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            if self.ends.wait(topic, partition, beyond, left.min(POLL)) {
                return self.poison.check().map(|()| true);
            }
        }
    }
}

/// Which partition of which file, for statements and their errors.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a Path,
    topic: &'a str,
    partition: u32,
}

impl Place<'_> {
    fn damaged(&self, offset: Offset, what: String) -> Error {
        Error::Damaged { topic: self.topic.to_owned(), partition: self.partition, offset, what }
    }
}

fn body(batch: LogBatch) -> Result<Body, Error> {
    let batch = without_place(batch);
    let bytes = pawl_codec::log_batch::encode(&batch)
        .map_err(|error| Error::Invalid { what: error.to_string() })?;
    if bytes.len() > BATCH_BYTES_MAX {
        return Err(Error::Invalid {
            what: format!("a batch of {} bytes, at most {BATCH_BYTES_MAX}", bytes.len()),
        });
    }
    Ok(Body { rows: batch.rows() as u64, records: batch.records.len() as u64, bytes })
}

/// A column that is never negative.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let found: i64 = row.get(column)?;
    u64::try_from(found).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, found))
}

/// A number as SQLite holds it.
fn stored_number(number: u64, what: &str) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::Invalid { what: format!("{what} {number}") })
}

/// An error of SQLite with its class.
fn storage(path: &Path, doing: &'static str, error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => return Error::Busy { doing },
        Some(ErrorCode::DiskFull) => StorageKind::Full,
        Some(ErrorCode::SystemIoFailure) => StorageKind::Io,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StorageKind::Corrupt,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StorageKind::Denied
        }
        Some(_) => StorageKind::Other,
        // Not from SQLite: a column is not what the tables say.
        None => StorageKind::Corrupt,
    };
    Error::Storage { path: path.to_owned(), doing, kind, what: error.to_string() }
}
