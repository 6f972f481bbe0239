//! Connections for reading, kept for the next reader. Reads are short and copy what they return, so
//! that no reader holds the log of the database for long.

use super::{open, storage};
use crate::error::Error;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Idle connections kept at most.
const IDLE_MAX: usize = 8;

/// Connections for reading.
#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    busy: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    /// A pool that opens its connections when they are needed.
    pub fn new(path: PathBuf, busy: Duration) -> Self {
        Self { path, busy, idle: Mutex::default() }
    }

    /// Runs `work` on one consistent state of the database.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::reader(&self.path, self.busy)?,
        };
        let failed = |error| storage(&self.path, "read", error);
        let outcome = {
            let transaction =
                Transaction::new_unchecked(&connection, TransactionBehavior::Deferred)
                    .map_err(failed)?;
            let outcome = work(&transaction);
            transaction.finish().map_err(failed)?;
            outcome
        };
        // After an error the connection is not used again.
        if outcome.is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push(connection);
            }
        }
        outcome
    }
}
