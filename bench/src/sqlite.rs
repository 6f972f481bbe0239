//! Plain SQLite, as somebody would use it who keeps records in a table: what the embedded transport
//! is compared with. Write-ahead log, every transaction synced, one row for each record.

use crate::input::{ROWS, Source};
use crate::measure::{Spent, Timer};
use anyhow::{Result, ensure};
use pawl_core::record::LogBatch;
use rusqlite::{Connection, params};
use std::hint::black_box;
use std::path::Path;

/// How records lie in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One row for each record.
    Records,
    /// One row for each batch, its columns encoded as the transport does.
    Batches,
}

/// A database with one table.
pub struct Sqlite {
    connection: Connection,
    shape: Shape,
    source: Source,
}

impl Sqlite {
    /// A new database in `folder`.
    pub fn new(folder: &Path, shape: Shape) -> Result<Self> {
        let connection = Connection::open(folder.join("plain.db"))?;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL;
             CREATE TABLE record (id INTEGER PRIMARY KEY, key BLOB, time INTEGER, value BLOB)",
        )?;
        Ok(Self { connection, shape, source: Source::default() })
    }

    /// Inserts so many batches, a transaction each, and reads all of it.
    pub fn round(&mut self, batches: usize) -> Result<Spent> {
        let input: Vec<LogBatch> = (0..batches).map(|_| self.source.plain()).collect();
        let timer = Timer::start();
        for batch in &input {
            self.insert(batch)?;
        }
        let rows = self.read()?;
        let spent = timer.stop(batches * ROWS);
        ensure!(rows == batches * ROWS, "{rows} rows instead of {}", batches * ROWS);
        self.connection.execute("DELETE FROM record", [])?;
        Ok(spent)
    }

    fn insert(&mut self, batch: &LogBatch) -> Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO record (key, time, value) VALUES (?1, ?2, ?3)")?;
            match self.shape {
                Shape::Batches => {
                    let body = pawl_codec::log_batch::encode(batch)?;
                    insert.execute(params![None::<&[u8]>, 0, body])?;
                }
                Shape::Records => {
                    for row in 0..batch.rows() {
                        let records = &batch.records;
                        let (key, value) = (records.keys.get(row), records.values.get(row));
                        insert.execute(params![key, records.event_times[row], value])?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn read(&self) -> Result<usize> {
        let mut select =
            self.connection.prepare_cached("SELECT key, time, value FROM record ORDER BY id")?;
        let (mut rows, mut count) = (select.query([])?, 0);
        while let Some(row) = rows.next()? {
            match self.shape {
                Shape::Batches => {
                    let body = row.get_ref(2)?.as_blob()?;
                    count += black_box(pawl_codec::log_batch::decode(body)?).rows();
                }
                Shape::Records => {
                    let key = row.get_ref(0)?.as_blob()?.to_vec();
                    let value = row.get_ref(2)?.as_blob()?.to_vec();
                    black_box((key, row.get::<_, i64>(1)?, value));
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}
