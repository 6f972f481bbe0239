//! The one thread that writes: it drains a bounded queue into one transaction, makes that durable
//! with one sync, and then answers everybody in it. So commits of many tasks share one sync.
//!
//! It never tries again what failed at the storage: after a failed sync the system may have
//! forgotten the bytes and would call the second try a success. Instead it poisons the transport.

use super::notify::Ends;
use super::open::PAGE_BYTES;
use super::storage;
use crate::error::{Error, StorageKind};
use crate::order::{Mark, Order};
use crate::ticket::{Answer, Ticket};
use pawl_core::record::Offset;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// Jobs that may wait; who comes then waits for room.
const QUEUE_JOBS_MAX: usize = 64;

/// Jobs and bytes of one transaction at most, but for its first job: a bound for the time that
/// other processes wait.
const GROUP_JOBS_MAX: usize = 64;
const GROUP_BYTES_MAX: usize = 16 << 20;

/// After so many bytes the log is copied into the database.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// From this length on the writer waits for readers, so that the log can begin anew.
const WAL_BYTES_MAX: u64 = 128 << 20;

/// How long a checkpoint waits for readers, which are short; one that hangs must not stop commits.
const READERS_WAIT: Duration = Duration::from_millis(250);

/// What a small transaction costs beside its bytes.
const GROUP_BYTES_LEAST: u64 = 4 * PAGE_BYTES as u64;

/// What a job works with, inside of the transaction.
pub(super) struct Write<'a> {
    /// The connection, in a transaction.
    pub connection: &'a Connection,
    /// New ends of partitions, told to who waits once they are durable.
    pub appended: Vec<(String, u32, Offset)>,
}

/// Writes something inside of the transaction; on an error nothing of it stays.
pub(super) type Work = Box<dyn FnOnce(&mut Write<'_>) -> Result<(), Error> + Send>;

/// Something to be written.
pub(super) struct Job {
    /// Writes it, inside of the transaction.
    pub work: Work,
    /// About how many bytes it writes.
    pub bytes: usize,
    /// Whose commit it is, if it is one.
    pub mark: Option<Mark>,
}

/// A job in the queue.
struct Queued {
    job: Job,
    answer: Answer,
}

/// A job that was run, and what became of it if the group becomes durable.
struct Ran {
    answer: Answer,
    mark: Option<Mark>,
    own: Result<(), Error>,
}

/// The failure after which nothing is trusted any more.
#[derive(Debug, Default)]
pub(super) struct Poison(OnceLock<String>);

impl Poison {
    /// An error if there was a failure.
    pub fn check(&self) -> Result<(), Error> {
        match self.0.get() {
            Some(first) => Err(Error::Poisoned { first: first.clone() }),
            None => Ok(()),
        }
    }

    /// Remembers the first failure that poisons.
    fn take_in(&self, error: &Error) {
        if error.poisons() {
            self.0.get_or_init(|| error.to_string());
        }
    }
}

/// The handle of the writer. Dropping it finishes what is queued and closes the database.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<SyncSender<Queued>>,
    thread: Option<JoinHandle<()>>,
    poison: Arc<Poison>,
}

impl Writer {
    /// Starts the thread. `busy` is how long a transaction waits for those of other processes.
    pub fn start(
        connection: Connection,
        path: &Path,
        busy: Duration,
        poison: Arc<Poison>,
        ends: Arc<Ends>,
    ) -> Result<Self, Error> {
        let (queue, jobs) = sync_channel(QUEUE_JOBS_MAX);
        let writing = Loop {
            connection,
            path: path.to_owned(),
            busy,
            poison: poison.clone(),
            ends,
            order: Order::default(),
            // What processes left that were killed: else the log grows from kill to kill, and
            // every start reads all of it.
            unchecked: log_bytes(path),
        };
        let thread = std::thread::Builder::new()
            .name("transport-writer".to_owned())
            .spawn(move || writing.run(&jobs))
            .map_err(|error| Error::Storage {
                path: path.to_owned(),
                doing: "start the writer of",
                kind: StorageKind::Other,
                what: error.to_string(),
            })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), poison })
    }

    /// Queues a job; waits while the queue is full.
    pub fn submit(&self, job: Job) -> Ticket {
        if let Err(error) = self.poison.check() {
            return Ticket::settled(Err(error));
        }
        let (answer, ticket) = Ticket::pair();
        if let Some(queue) = &self.queue {
            // If the thread is gone the job and its answer are dropped, which the ticket tells.
            drop(queue.send(Queued { job, answer }));
        }
        ticket
    }

    /// Runs a job and waits until what it did is durable.
    pub fn call<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&mut Write<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = sync_channel(1);
        let work: Work = Box::new(move |write| {
            drop(sender.send(work(write)?));
            Ok(())
        });
        self.submit(Job { work, bytes, mark: None }).wait()?;
        receiver.recv().map_err(|_| Error::Poisoned { first: "a write without result".to_owned() })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there has been answered by dropped tickets already.
            drop(thread.join());
        }
    }
}

struct Loop {
    connection: Connection,
    path: PathBuf,
    busy: Duration,
    poison: Arc<Poison>,
    ends: Arc<Ends>,
    order: Order,
    /// Bytes written since the log was last copied into the database.
    unchecked: u64,
}

impl Loop {
    fn run(mut self, jobs: &Receiver<Queued>) {
        while let Ok(first) = jobs.recv() {
            if let Err(error) = self.poison.check() {
                first.answer.tell(Err(error));
                continue;
            }
            let mut group = Vec::new();
            let outcome = self.group(first, jobs, &mut group);
            if let Err(error) = &outcome {
                self.poison.take_in(error);
            }
            for ran in group {
                let outcome = ran.own.and(outcome.clone());
                self.order.settle(ran.mark, outcome.is_ok());
                ran.answer.tell(outcome);
            }
            if outcome.is_ok() {
                self.checkpoint_if_due();
            }
        }
        if self.poison.check().is_ok() {
            // At a clean end the log is copied and cut. If a reader of another process prevents
            // it nothing is lost: the next one to open the file does it.
            drop(self.checkpoint("TRUNCATE"));
        } else {
            // Else SQLite copies the log on closing, which would be one more try after a failure.
            drop(self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
        }
    }

    /// One transaction. An error is that of the whole group; those of single jobs stand in it.
    fn group(
        &mut self,
        first: Queued,
        jobs: &Receiver<Queued>,
        group: &mut Vec<Ran>,
    ) -> Result<(), Error> {
        let Self { connection, path, order, .. } = self;
        let failed = |error| storage(path, "write", error);
        let mut transaction =
            match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
                Ok(transaction) => transaction,
                Err(error) => {
                    let Queued { job, answer } = first;
                    group.push(Ran { answer, mark: job.mark, own: Ok(()) });
                    return Err(failed(error));
                }
            };
        let (mut appended, mut bytes, mut next) = (Vec::new(), 0, Some(first));
        while let Some(Queued { job, answer }) = next.take() {
            bytes += job.bytes;
            let ready = order.check(job.mark.as_ref());
            let own = ready.and_then(|()| apply(&mut transaction, path, job.work, &mut appended));
            let failure = own.clone().err();
            if failure.is_some() {
                // At once, so that a later commit of the task in this group does not pass it.
                order.settle(job.mark.clone(), false);
            }
            group.push(Ran { answer, mark: job.mark, own });
            if let Some(error) = failure.filter(Error::poisons) {
                return Err(error);
            }
            if group.len() < GROUP_JOBS_MAX && bytes < GROUP_BYTES_MAX {
                next = jobs.try_recv().ok();
            }
        }
        transaction.commit().map_err(failed)?;
        self.unchecked += GROUP_BYTES_LEAST + bytes as u64;
        self.ends.advance(appended);
        Ok(())
    }

    fn checkpoint_if_due(&mut self) {
        if self.unchecked < CHECKPOINT_BYTES {
            return;
        }
        let outcome = self.checkpoint("PASSIVE").and_then(|wal_bytes| {
            if wal_bytes > WAL_BYTES_MAX { self.checkpoint("RESTART") } else { Ok(wal_bytes) }
        });
        self.unchecked = 0;
        if let Err(error) = outcome {
            self.poison.take_in(&error);
        }
    }

    /// Copies the log into the database as far as readers allow; returns the log's length.
    fn checkpoint(&self, how: &str) -> Result<u64, Error> {
        let copy = || -> rusqlite::Result<i64> {
            self.connection.busy_timeout(READERS_WAIT)?;
            let pragma = format!("PRAGMA wal_checkpoint({how})");
            let pages = self.connection.query_row(&pragma, [], |row| row.get(1));
            self.connection.busy_timeout(self.busy)?;
            pages
        };
        let pages = copy().map_err(|error| storage(&self.path, "checkpoint the log of", error))?;
        Ok(u64::try_from(pages).unwrap_or(0) * u64::from(PAGE_BYTES))
    }
}

/// The length of the write-ahead log.
fn log_bytes(path: &Path) -> u64 {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(name).map_or(0, |log| log.len())
}

/// Runs one job so that it leaves nothing behind if it fails.
fn apply(
    transaction: &mut Transaction<'_>,
    path: &Path,
    work: Work,
    appended: &mut Vec<(String, u32, Offset)>,
) -> Result<(), Error> {
    let failed = |error| storage(path, "write", error);
    let mut savepoint = transaction.savepoint().map_err(failed)?;
    let mut write = Write { connection: &savepoint, appended: Vec::new() };
    let outcome = work(&mut write);
    let new = std::mem::take(&mut write.appended);
    if let Err(error) = outcome {
        // A failure of the storage may have ended the transaction; then it ends here anyway.
        if !error.poisons() {
            savepoint.rollback().map_err(failed)?;
        }
        return Err(error);
    }
    savepoint.commit().map_err(failed)?;
    appended.extend(new);
    Ok(())
}
