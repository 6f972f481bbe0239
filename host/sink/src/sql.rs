//! The sink `sql`: each record is one row of a table, put there by UPSERT over its key columns, so
//! that it may come again and the table stays the same. SQLite and PostgreSQL.
//!
//! In the same transaction as the rows, the owner's row in the table `pawl_fence` (beside the
//! target table) is updated only while its epoch is not higher than the owner's; `open` raises it.
//! So an owner that was superseded commits nothing, not even what it had begun. The position in
//! that row is for people only: were it used to leave records out, a log that was replaced by
//! another one, whose positions begin again, would lose its first records.
//!
//! A row that the database refuses is rejected alone. Nothing here may show the URL's password, nor
//! put a name or a value into a statement unquoted.

mod classify;
mod connect;
mod name;
mod postgres;
mod row;
mod sqlite;

use crate::error::Error;
use crate::sink::{Delivery, Owner, Sink, Verdict};
use name::Shape;
use pawl_pipeline::{ColumnSource, SqlSink as Config};
use std::time::Duration;

/// A table that takes records.
pub struct SqlSink {
    database: Box<dyn Database>,
    shape: Shape,
    owner: Option<Owner>,
    /// Whether the database was opened for the owner and has not failed since.
    ready: bool,
}

/// One kind of database. Every call is bounded in time.
trait Database: Send {
    /// Connects unless it is connected, checks the table, claims the owner's place.
    fn open(&mut self, shape: &Shape, owner: &Owner) -> Result<(), Error>;
    /// One transaction; for each record why it was refused, if it was.
    fn deliver(
        &mut self,
        shape: &Shape,
        owner: &Owner,
        records: &[Delivery<'_>],
    ) -> Result<Vec<Option<Refusal>>, Error>;
    /// Whether the connection stands, as far as can be told without asking.
    fn alive(&mut self) -> bool;
    /// Gives the connection up, and with it what was not committed.
    fn close(&mut self);
}

/// Why a row cannot be put into the table, now or ever.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    /// `constraint` or `data`.
    kind: &'static str,
    /// For a person.
    message: String,
}

impl Refusal {
    fn data(message: impl Into<String>) -> Refusal {
        Refusal { kind: "data", message: bounded(message.into()) }
    }

    fn constraint(message: impl Into<String>) -> Refusal {
        Refusal { kind: "constraint", message: bounded(message.into()) }
    }
}

/// A database's message may repeat the value that it refuses, however long that is.
fn bounded(mut message: String) -> String {
    const BYTES_MAX: usize = 500;
    if message.len() > BYTES_MAX {
        let end = (0..=BYTES_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push_str("...");
    }
    message
}

/// The owner's epoch as databases store it.
fn epoch(owner: &Owner) -> Result<i64, Error> {
    i64::try_from(owner.epoch).map_err(|_| Error::Fatal {
        code: "sql-epoch",
        what: format!("the epoch {} does not fit into 63 bits", owner.epoch),
    })
}

fn no_table(shape: &Shape) -> Error {
    let (table, create) = (shape.quoted_table(), shape.create_table());
    Error::Fatal { code: "sql-table", what: format!("there is no table {table}: {create}") }
}

fn no_column(shape: &Shape, name: &str, source: &ColumnSource) -> Error {
    let (table, add) = (shape.quoted_table(), shape.add_column(name, source));
    let what = format!("the table {table} has no column \"{name}\": {add}");
    Error::Fatal { code: "sql-column", what }
}

fn no_key(shape: &Shape) -> Error {
    let what = format!(
        "no unique constraint of {} covers exactly the key ({}): {}",
        shape.quoted_table(),
        shape.quoted_key(),
        shape.create_index()
    );
    Error::Fatal { code: "sql-key", what }
}

/// Somebody removed the owner's row: it must claim its place again before it may write.
fn fence_lost() -> Error {
    let what = format!("the owner's row in {} is gone; claiming it again", name::FENCE);
    Error::Transient { kind: "fence-lost".to_owned(), what }
}

impl SqlSink {
    /// Nothing is connected yet. Fails, fatally, where the configuration cannot be right.
    pub fn new(config: &Config) -> Result<SqlSink, Error> {
        let fatal = |what: String| Error::Fatal { code: "sql-config", what };
        let url = config.url.reveal().map_err(fatal)?;
        let shape = Shape::new(config).map_err(fatal)?;
        let timeout = Duration::from_millis(config.timeout_ms.max(1));
        let database: Box<dyn Database> = if let Some(path) = url.strip_prefix("sqlite:") {
            Box::new(sqlite::Sqlite::new(path.into(), timeout))
        } else {
            Box::new(postgres::Postgres::new(connect::Target::parse(&url)?, timeout)?)
        };
        Ok(SqlSink { database, shape, owner: None, ready: false })
    }

    /// After a failure nothing is known of the connection: the next call begins with a new one.
    fn settle<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        self.ready = result.is_ok();
        if !self.ready {
            self.database.close();
        }
        result
    }
}

impl Sink for SqlSink {
    fn open(&mut self, owner: &Owner) -> Result<(), Error> {
        self.owner = Some(owner.clone());
        let opened = self.database.open(&self.shape, owner);
        self.settle(opened)
    }

    fn deliver(&mut self, records: &[Delivery<'_>]) -> Result<Vec<Verdict>, Error> {
        let Some(owner) = self.owner.clone() else {
            let what = "a sink must be opened before it delivers".to_owned();
            return Err(Error::Fatal { code: "sql-not-open", what });
        };
        if records.is_empty() {
            return Ok(Vec::new());
        }
        if !self.ready || !self.database.alive() {
            self.open(&owner)?;
        }
        let delivered = self.database.deliver(&self.shape, &owner, records);
        let refusals = self.settle(delivered)?;
        let verdict = |refusal: Option<Refusal>| match refusal {
            None => Verdict::Delivered,
            Some(refusal) => {
                Verdict::Rejected { kind: refusal.kind.to_owned(), message: refusal.message }
            }
        };
        Ok(refusals.into_iter().map(verdict).collect())
    }

    fn rest(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
