//! SQLite. Statements run one by one: they are calls of a function, and one that fails leaves no
//! trace in its transaction.
//!
//! The journal's mode is the database's own; commits are made durable in any mode.

use super::name::{FENCE, Shape, qualified};
use super::row::{self, Given};
use super::{Database, Refusal};
use crate::column::Cell;
use crate::error::Error;
use crate::sink::{Delivery, Owner};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// A database in a file.
pub struct Sqlite {
    path: PathBuf,
    timeout: Duration,
    link: Option<Link>,
}

/// An open file whose table was checked.
struct Link {
    connection: Connection,
    insert: String,
    fence: String,
    kinds: Vec<Kind>,
}

/// What a column takes: SQLite's affinities, and those declared types that mean more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Integer,
    Real,
    Numeric,
    Text,
    Blob,
    Json,
    Any,
}

/// How a statement or transaction failed.
enum Failure {
    Row(Refusal),
    Sink(Error),
}

impl Sqlite {
    /// Opens nothing yet.
    pub fn new(path: PathBuf, timeout: Duration) -> Sqlite {
        Sqlite { path, timeout, link: None }
    }

    fn connect(&self, shape: &Shape) -> Result<Link, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(|error| {
            let what = format!(
                "could not open {}: {error}; it must exist: sqlite3 FILE '{}'",
                self.path.display(),
                shape.create_table()
            );
            escalate(error, "sql-database", what)
        })?;
        let setup = || -> rusqlite::Result<()> {
            connection.busy_timeout(self.timeout)?;
            // `EXTRA` also syncs the folder after a rollback journal is deleted: else a commit
            // could be undone by a power cut.
            connection.pragma_update(None, "synchronous", "EXTRA")
        };
        setup().map_err(failed)?;
        let kinds = kinds(&connection, shape)?;
        let marks = vec!["?"; kinds.len()].join(", ");
        // A table may say `ON CONFLICT REPLACE` for a constraint; rows of others are not ours to
        // delete, so `OR ABORT` overrides it.
        let insert = format!(
            "INSERT OR ABORT INTO {} ({}) VALUES ({marks}) {}",
            shape.quoted_table(),
            shape.quoted_all(),
            shape.on_conflict()
        );
        connection.prepare(&insert).map(drop).map_err(|error| {
            match error.to_string().contains("ON CONFLICT clause does not match") {
                true => super::no_key(shape),
                false => failed(error),
            }
        })?;
        let fence = qualified(shape.schema.as_deref(), FENCE);
        Ok(Link { connection, insert, fence, kinds })
    }
}

impl Database for Sqlite {
    fn open(&mut self, shape: &Shape, owner: &Owner) -> Result<(), Error> {
        let link = match self.link.take() {
            Some(link) => link,
            None => self.connect(shape)?,
        };
        link.claim(owner)?;
        self.link = Some(link);
        Ok(())
    }

    fn deliver(
        &mut self,
        shape: &Shape,
        owner: &Owner,
        records: &[Delivery<'_>],
    ) -> Result<Vec<Option<Refusal>>, Error> {
        let Some(link) = &mut self.link else {
            let what = "the database is not open".to_owned();
            return Err(Error::Transient { kind: "connection".to_owned(), what });
        };
        let mut refusals: Vec<Option<Refusal>> = Vec::with_capacity(records.len());
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let row = row::make(shape, &link.kinds, record, value, |value| *value == Sql::Null);
            refusals.push(row.as_ref().err().cloned());
            rows.push((record.position, row.unwrap_or_default()));
        }
        link.store(owner, &rows, 0..rows.len(), &mut refusals)?;
        Ok(refusals)
    }

    fn alive(&mut self) -> bool {
        self.link.is_some()
    }

    fn close(&mut self) {
        self.link = None;
    }
}

impl Link {
    /// Makes the table of fences if there is none, and raises the epoch.
    fn claim(&self, owner: &Owner) -> Result<(), Error> {
        let fence = &self.fence;
        let claimed = self.transaction(|connection| {
            connection
                .execute_batch(&format!(
                    "CREATE TABLE IF NOT EXISTS {fence} (pipeline TEXT NOT NULL, \
                     stage TEXT NOT NULL, \"partition\" INTEGER NOT NULL, \
                     epoch INTEGER NOT NULL, position INTEGER NOT NULL, \
                     PRIMARY KEY (pipeline, stage, \"partition\"))"
                ))
                .map_err(failure)?;
            let sql = format!(
                "INSERT INTO {fence} AS f VALUES (?, ?, ?, ?, 0) \
                 ON CONFLICT (pipeline, stage, \"partition\") DO UPDATE \
                 SET epoch = excluded.epoch WHERE f.epoch <= excluded.epoch"
            );
            let epoch = super::epoch(owner).map_err(Failure::Sink)?;
            let owned = params![owner.pipeline, owner.stage, owner.partition, epoch];
            match connection.execute(&sql, owned).map_err(failure)? {
                1 => Ok(()),
                _ => Err(Failure::Sink(self.fenced(owner))),
            }
        });
        claimed.map_err(|failure| match failure {
            Failure::Sink(error) => error,
            Failure::Row(refusal) => {
                let what = format!("the table {fence} refuses the owner: {}", refusal.message);
                Error::Fatal { code: "sql-fence", what }
            }
        })
    }

    /// Puts those rows of the range that are not refused into the table, in one transaction where
    /// that is possible: a constraint that is checked at the commit names no row, so halves are
    /// tried then.
    fn store(
        &self,
        owner: &Owner,
        rows: &[(u64, Vec<Sql>)],
        range: Range<usize>,
        refusals: &mut [Option<Refusal>],
    ) -> Result<(), Error> {
        let before = refusals.to_vec();
        let stored = self.transaction(|connection| {
            self.check(owner, rows[range.clone()].last().map_or(0, |(position, _)| *position))?;
            let mut insert = connection.prepare(&self.insert).map_err(failure)?;
            for at in range.clone() {
                if refusals[at].is_some() {
                    continue;
                }
                match insert.execute(rusqlite::params_from_iter(&rows[at].1)).map_err(failure) {
                    Ok(_) => {}
                    // A trigger may end the transaction: RAISE(ROLLBACK, ...).
                    Err(Failure::Row(refusal)) if connection.is_autocommit() => {
                        return Err(Failure::Row(refusal));
                    }
                    Err(Failure::Row(refusal)) => refusals[at] = Some(refusal),
                    Err(other) => return Err(other),
                }
            }
            Ok(())
        });
        match stored {
            Ok(()) => Ok(()),
            Err(Failure::Sink(error)) => Err(error),
            Err(Failure::Row(refusal)) => {
                refusals.clone_from_slice(&before);
                if range.len() == 1 {
                    refusals[range.start] = Some(refusal);
                    return Ok(());
                }
                let middle = range.start + range.len() / 2;
                self.store(owner, rows, range.start..middle, refusals)?;
                self.store(owner, rows, middle..range.end, refusals)
            }
        }
    }

    /// Notes the position if no higher epoch has claimed the place.
    fn check(&self, owner: &Owner, position: u64) -> Result<(), Failure> {
        let sql = format!(
            "UPDATE {} SET epoch = ?4, position = ?5 \
             WHERE pipeline = ?1 AND stage = ?2 AND \"partition\" = ?3 AND epoch <= ?4",
            self.fence
        );
        let epoch = super::epoch(owner).map_err(Failure::Sink)?;
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let mut update = self.connection.prepare(&sql).map_err(failure)?;
        let owned = params![owner.pipeline, owner.stage, owner.partition, epoch, position];
        match update.execute(owned).map_err(failure)? {
            1 => Ok(()),
            _ => Err(Failure::Sink(self.fenced(owner))),
        }
    }

    /// Who has the place, for an owner that has it no more.
    fn fenced(&self, owner: &Owner) -> Error {
        let sql = format!(
            "SELECT epoch FROM {} WHERE pipeline = ? AND stage = ? AND \"partition\" = ?",
            self.fence
        );
        let owned = params![owner.pipeline, owner.stage, owner.partition];
        let found = self.connection.query_row(&sql, owned, |row| row.get::<_, i64>(0)).optional();
        match found {
            Ok(Some(epoch)) => Error::Fenced { epoch: u64::try_from(epoch).unwrap_or(0) },
            Ok(None) => super::fence_lost(),
            Err(error) => failed(error),
        }
    }

    /// Whatever `work` does is committed or rolled back.
    fn transaction<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // Immediate: a transaction that first reads could not wait for its turn to write.
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(failure)?;
        let done = work(&self.connection).and_then(|value| {
            self.connection.execute_batch("COMMIT").map_err(failure)?;
            Ok(value)
        });
        if done.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK").map_err(failure)?;
        }
        done
    }
}

/// The kinds of the columns, as they are declared.
fn kinds(connection: &Connection, shape: &Shape) -> Result<Vec<Kind>, Error> {
    let schema = shape.schema.as_deref().unwrap_or("main");
    let read = || -> rusqlite::Result<Vec<(String, String)>> {
        let sql = "SELECT name, type FROM pragma_table_xinfo(?, ?)";
        let mut statement = connection.prepare(sql)?;
        let column = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        statement.query_map(params![shape.table, schema], column)?.collect()
    };
    let found = read().map_err(failed)?;
    if found.is_empty() {
        return Err(super::no_table(shape));
    }
    let kind = |(name, source): &(String, _)| {
        // SQLite does not distinguish upper and lower case in names.
        match found.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)) {
            Some((_, declared)) => Ok(Kind::of(declared)),
            None => Err(super::no_column(shape, name, source)),
        }
    };
    shape.columns.iter().map(kind).collect()
}

impl Kind {
    /// By SQLite's rules of affinity, in their order.
    fn of(declared: &str) -> Kind {
        let declared = declared.to_ascii_uppercase();
        let has = |part: &str| declared.contains(part);
        if has("INT") {
            Kind::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Kind::Text
        } else if has("BLOB") {
            Kind::Blob
        } else if declared.is_empty() || declared == "ANY" {
            Kind::Any
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Kind::Real
        } else if declared.starts_with("JSON") {
            Kind::Json
        } else {
            Kind::Numeric
        }
    }
}

/// What a column of this kind is given. Fails where it would hold something else than its kind.
fn value(given: Given<'_>, kind: Kind) -> Result<Sql, String> {
    match given.cell {
        Cell::Null => Ok(Sql::Null),
        Cell::Bytes(bytes) if matches!(kind, Kind::Blob | Kind::Any) => Ok(bytes.to_vec().into()),
        Cell::Bytes(_) => Err("the bytes are no UTF-8 text".to_owned()),
        Cell::Text(text) if kind == Kind::Json && !given.raw => Ok(row::json_text(&text).into()),
        Cell::Text(text) => text_value(&text, kind),
        Cell::Time(ms) => match kind {
            Kind::Text => Ok(row::time_text(ms)?.into()),
            Kind::Real => Ok((ms as f64).into()),
            Kind::Blob => Err("a time is no BLOB".to_owned()),
            Kind::Integer | Kind::Numeric | Kind::Json | Kind::Any => Ok(ms.into()),
        },
        Cell::Number(number) => match (kind, row::integer(number)) {
            (Kind::Integer | Kind::Numeric | Kind::Any, Some(integer)) => Ok(integer.into()),
            (Kind::Any, None) => text_value(number, Kind::Real),
            (kind, _) => text_value(number, kind),
        },
        Cell::Bool(truth) => match kind {
            Kind::Integer | Kind::Numeric | Kind::Any => Ok(i64::from(truth).into()),
            kind => text_value(if truth { "true" } else { "false" }, kind),
        },
        Cell::Json(json) => text_value(json, kind),
    }
}

fn text_value(text: &str, kind: Kind) -> Result<Sql, String> {
    match kind {
        // What looks like a number becomes one in a column of numeric affinity.
        Kind::Text | Kind::Numeric | Kind::Json | Kind::Any => Ok(text.to_owned().into()),
        Kind::Blob => Ok(text.as_bytes().to_vec().into()),
        Kind::Integer => match text.trim().parse::<i64>() {
            Ok(integer) => Ok(integer.into()),
            Err(_) => Err(format!("{text:?} is no integer of 64 bits")),
        },
        Kind::Real => match text.trim().parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(float.into()),
            _ => Err(format!("{text:?} is no number")),
        },
    }
}

/// A failure of a statement: of a row, or of everything.
fn failure(error: rusqlite::Error) -> Failure {
    use rusqlite::ffi;
    let rusqlite::Error::SqliteFailure(code, _) = &error else {
        return Failure::Sink(failed(error));
    };
    match (code.code, code.extended_code) {
        (_, ffi::SQLITE_CONSTRAINT_DATATYPE) | (ErrorCode::TypeMismatch | ErrorCode::TooBig, _) => {
            Failure::Row(Refusal::data(error.to_string()))
        }
        (ErrorCode::ConstraintViolation, _) => Failure::Row(Refusal::constraint(error.to_string())),
        _ => Failure::Sink(failed(error)),
    }
}

/// A failure that is of no row.
fn failed(error: rusqlite::Error) -> Error {
    let what = error.to_string();
    escalate(error, "sql-refused", what)
}

/// Who must act. A full disk is this machine's own here, so it is fatal as everywhere in the host.
fn escalate(error: rusqlite::Error, code: &'static str, what: String) -> Error {
    let transient = |kind: &str| Error::Transient { kind: kind.to_owned(), what: what.clone() };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => transient("busy"),
        Some(ErrorCode::SchemaChanged) => transient("schema-changed"),
        Some(ErrorCode::OutOfMemory) => transient("memory"),
        Some(ErrorCode::DiskFull) => Error::Fatal { code: "sql-disk-full", what },
        Some(ErrorCode::SystemIoFailure) => Error::Fatal { code: "sql-io", what },
        _ => Error::Fatal { code, what },
    }
}
