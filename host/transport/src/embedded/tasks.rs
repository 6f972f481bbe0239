//! Statements about tasks: epochs, commits, decisions and generations, inside of a transaction of
//! the caller. What is fenced or goes backwards is refused before anything is written.

use super::{number, storage, stored_number};
use crate::error::Error;
use crate::transport::{Recovery, goes_on};
use pawl_codec::{commit, decision};
use pawl_core::commit::{Commit, Progress, TaskId};
use pawl_core::record::Producer;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::Path;

/// A sealed decision.
pub(super) struct Sealed {
    pub number: u64,
    pub body: Vec<u8>,
}

pub(super) fn claim(
    connection: &Connection,
    path: &Path,
    task: &TaskId,
    above: u64,
) -> Result<u64, Error> {
    let failed = |error| storage(path, "claim a task in", error);
    let newest = owner(connection, task).map_err(failed)?.map_or(0, |owner| owner.epoch);
    let epoch = newest.max(above).saturating_add(1);
    let stored = stored_number(epoch, "epoch")?;
    let upsert = || {
        let mut upsert = connection.prepare_cached(
            "INSERT INTO task (stage, number, epoch) VALUES (?1, ?2, ?3)
             ON CONFLICT (stage, number) DO UPDATE SET epoch = ?3",
        )?;
        upsert.execute(params![task.stage, task.partition, stored])
    };
    upsert().map_err(failed)?;
    Ok(epoch)
}

/// Who holds a task, and how far its commit is.
struct Owner {
    epoch: u64,
    progress: Option<Progress>,
}

fn owner(connection: &Connection, task: &TaskId) -> rusqlite::Result<Option<Owner>> {
    let mut select = connection.prepare_cached(
        "SELECT epoch, body IS NULL, position, ticks, decisions, admitted FROM task
         WHERE stage = ?1 AND number = ?2",
    )?;
    let owner = |row: &Row<'_>| {
        let progress = match row.get(1)? {
            true => None,
            false => Some(Progress {
                position: number(row, 2)?,
                ticks: number(row, 3)?,
                decisions: number(row, 4)?,
                admitted: number(row, 5)?,
            }),
        };
        Ok(Owner { epoch: number(row, 0)?, progress })
    };
    select.query_row(params![task.stage, task.partition], owner).optional()
}

/// Checks the fence and that the commit goes on, then stores it with its decisions.
pub(super) fn store(
    connection: &Connection,
    path: &Path,
    task: &TaskId,
    commit: &Commit,
    body: &[u8],
    decisions: &[Sealed],
) -> Result<(), Error> {
    let failed = |error| storage(path, "commit to", error);
    let owner = owner(connection, task).map_err(failed)?;
    let newest = owner.as_ref().map_or(0, |owner| owner.epoch);
    let Some(owner) = owner.filter(|owner| owner.epoch == commit.epoch) else {
        return Err(Error::Fenced { task: task.clone(), epoch: commit.epoch, newest });
    };
    if let Some(stored) = owner.progress
        && !goes_on(&stored, &commit.progress)
    {
        return Err(Error::Backwards { task: task.clone(), stored, given: commit.progress });
    }
    for decision in decisions {
        store_decision(connection, path, task, decision)?;
    }
    let position = stored_number(commit.progress.position, "position")?;
    let ticks = stored_number(commit.progress.ticks, "ticks")?;
    let applied = stored_number(commit.progress.decisions, "decisions")?;
    let admitted = stored_number(commit.progress.admitted, "admitted")?;
    let update = || {
        let mut update = connection.prepare_cached(
            "UPDATE task SET position = ?3, ticks = ?4, decisions = ?5, admitted = ?6, body = ?7
             WHERE stage = ?1 AND number = ?2",
        )?;
        let (stage, number) = (&task.stage, task.partition);
        update.execute(params![stage, number, position, ticks, applied, admitted, body])
    };
    update().map_err(failed)?;
    Ok(())
}

fn store_decision(
    connection: &Connection,
    path: &Path,
    task: &TaskId,
    decision: &Sealed,
) -> Result<(), Error> {
    let failed = |error| storage(path, "store a decision in", error);
    let number = stored_number(decision.number, "number of a decision")?;
    let find = || -> rusqlite::Result<Option<Vec<u8>>> {
        let mut select = connection.prepare_cached(
            "SELECT body FROM decision WHERE stage = ?1 AND task = ?2 AND number = ?3",
        )?;
        select.query_row(params![task.stage, task.partition, number], |row| row.get(0)).optional()
    };
    match find().map_err(failed)? {
        Some(stored) if stored == decision.body => return Ok(()),
        Some(_) => {
            return Err(Error::DecisionDiffers { task: task.clone(), number: decision.number });
        }
        None => {}
    }
    let insert = || {
        let mut insert = connection.prepare_cached(
            "INSERT INTO decision (stage, task, number, body) VALUES (?1, ?2, ?3, ?4)",
        )?;
        insert.execute(params![task.stage, task.partition, number, decision.body])
    };
    insert().map_err(failed)?;
    Ok(())
}

pub(super) fn recovery(
    connection: &Connection,
    path: &Path,
    task: &TaskId,
) -> Result<Recovery, Error> {
    let failed = |error| storage(path, "read a task of", error);
    let damaged = |what: String| Error::DamagedTask { task: task.clone(), what };
    let body = || -> rusqlite::Result<Option<Vec<u8>>> {
        let mut select =
            connection.prepare_cached("SELECT body FROM task WHERE stage = ?1 AND number = ?2")?;
        let found = select.query_row(params![task.stage, task.partition], |row| row.get(0));
        found.optional().map(Option::flatten)
    };
    let commit = match body().map_err(failed)? {
        Some(body) => {
            Some(commit::decode(&body).map_err(|error| damaged(format!("commit: {error}")))?)
        }
        None => None,
    };
    let bodies = || -> rusqlite::Result<Vec<Sealed>> {
        let mut select = connection.prepare_cached(
            "SELECT number, body FROM decision WHERE stage = ?1 AND task = ?2 ORDER BY number",
        )?;
        let sealed = |row: &Row<'_>| Ok(Sealed { number: number(row, 0)?, body: row.get(1)? });
        select.query_map(params![task.stage, task.partition], sealed)?.collect()
    };
    let mut decisions = Vec::new();
    for sealed in bodies().map_err(failed)? {
        let at = |what: String| damaged(format!("decision {}: {what}", sealed.number));
        let decision = decision::decode(&sealed.body).map_err(|error| at(error.to_string()))?;
        if decision.number != sealed.number {
            return Err(at(format!("has the number {} inside", decision.number)));
        }
        decisions.push(decision);
    }
    Ok(Recovery { commit, decisions })
}

pub(super) fn prune_decisions(
    connection: &Connection,
    path: &Path,
    task: &TaskId,
    below: u64,
) -> Result<(), Error> {
    let below = i64::try_from(below).unwrap_or(i64::MAX);
    let delete = || {
        let mut delete = connection.prepare_cached(
            "DELETE FROM decision WHERE stage = ?1 AND task = ?2 AND number < ?3",
        )?;
        delete.execute(params![task.stage, task.partition, below])
    };
    delete().map_err(|error| storage(path, "prune decisions in", error))?;
    Ok(())
}

/// The number of the generation with these producers, sorted and each once.
pub(super) fn generation(
    connection: &Connection,
    path: &Path,
    producers: &[Producer],
) -> Result<u64, Error> {
    let read = || -> rusqlite::Result<(u64, Vec<Producer>)> {
        let mut newest =
            connection.prepare_cached("SELECT coalesce(max(number), 0) FROM generation")?;
        let newest = newest.query_row([], |row| number(row, 0))?;
        let mut select = connection.prepare_cached(
            "SELECT stage, task FROM generation WHERE number = ?1 AND stage <> ''
             ORDER BY stage, task",
        )?;
        let producer = |row: &Row<'_>| Ok(Producer { stage: row.get(0)?, partition: row.get(1)? });
        let members = select.query_map([newest as i64], producer)?.collect::<Result<_, _>>()?;
        Ok((newest, members))
    };
    let failed = |error| storage(path, "read the generation of", error);
    let (newest, members) = read().map_err(failed)?;
    if newest > 0 && members == producers {
        return Ok(newest);
    }
    let next = newest + 1;
    let insert = || -> rusqlite::Result<()> {
        let mut insert = connection
            .prepare_cached("INSERT INTO generation (number, stage, task) VALUES (?1, ?2, ?3)")?;
        for producer in producers {
            insert.execute(params![next as i64, producer.stage, producer.partition])?;
        }
        if producers.is_empty() {
            insert.execute(params![next as i64, "", 0])?;
        }
        Ok(())
    };
    insert().map_err(|error| storage(path, "begin a generation in", error))?;
    Ok(next)
}
