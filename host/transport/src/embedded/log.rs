//! Statements about topics, partitions and batches, inside of a transaction of the caller. A row
//! that is not what was written is an error that names its place, never a guess.

use super::{Place, number, storage};
use crate::error::{Error, StorageKind};
use crate::transport::{Dropped, ReadMax, Retained, Topic, Trimmed, place};
use pawl_codec::log_batch;
use pawl_core::record::{LogBatch, Offset, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::Path;

/// Batches and bytes that one call drops at most, but for the first batch.
const DROP_BATCHES_MAX: usize = 256;
const DROP_BYTES_MAX: u64 = 16 << 20;

/// One partition as it stands in `log`.
struct Log {
    id: i64,
    first: Offset,
    end: Offset,
    timestamp: Timestamp,
}

/// A batch ready to be appended.
pub(super) struct Body {
    pub rows: u64,
    pub records: u64,
    pub bytes: Vec<u8>,
}

/// Gives the log another identity.
pub(super) fn become_another(connection: &Connection, path: &Path) -> Result<(), Error> {
    connection
        .execute("UPDATE identity SET id = lower(hex(randomblob(16)))", [])
        .map(drop)
        .map_err(|error| storage(path, "give a new identity to", error))
}

/// Which log this is.
pub(super) fn identity(connection: &Connection, path: &Path) -> Result<String, Error> {
    let failed = |error| storage(path, "read the identity of", error);
    let corrupt = |what: &str| Error::Storage {
        path: path.to_owned(),
        doing: "read the identity of",
        kind: StorageKind::Corrupt,
        what: what.to_owned(),
    };
    if !connection.table_exists(None, "identity").map_err(failed)? {
        // Opening for writing makes one, so this was opened for reading.
        let what = "the database is of before there were identities: open it for writing once";
        return Err(Error::Invalid { what: what.to_owned() });
    }
    let id: Option<String> = connection
        .query_row("SELECT id FROM identity", [], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    let id = id.ok_or_else(|| corrupt("there is none"))?;
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    match id.len() == 32 && id.bytes().all(digit) {
        true => Ok(id),
        false => Err(corrupt("it is not 32 hexadecimal digits")),
    }
}

pub(super) fn create_topic(
    connection: &Connection,
    path: &Path,
    topic: &str,
    partitions: u32,
) -> Result<(), Error> {
    let stored = partitions_of(connection, path, topic).or_else(|error| match error {
        Error::UnknownTopic { .. } => Ok(0),
        error => Err(error),
    })?;
    if stored > partitions {
        return Err(Error::PartitionsShrink { topic: topic.to_owned(), stored, asked: partitions });
    }
    let make = || -> rusqlite::Result<()> {
        let mut upsert = connection.prepare_cached(
            "INSERT INTO topic (name, partitions) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET partitions = ?2",
        )?;
        upsert.execute(params![topic, partitions])?;
        let mut insert = connection.prepare_cached(
            "INSERT INTO log (topic, number) SELECT id, ?2 FROM topic WHERE name = ?1",
        )?;
        for partition in stored..partitions {
            insert.execute(params![topic, partition])?;
        }
        Ok(())
    };
    make().map_err(|error| storage(path, "make a topic in", error))
}

pub(super) fn topics(connection: &Connection, path: &Path) -> Result<Vec<Topic>, Error> {
    let read = || -> rusqlite::Result<Vec<Topic>> {
        let mut select =
            connection.prepare_cached("SELECT name, partitions FROM topic ORDER BY name")?;
        let topic = |row: &Row<'_>| Ok(Topic { name: row.get(0)?, partitions: row.get(1)? });
        select.query_map([], topic)?.collect()
    };
    read().map_err(|error| storage(path, "read the topics of", error))
}

pub(super) fn partitions_of(
    connection: &Connection,
    path: &Path,
    topic: &str,
) -> Result<u32, Error> {
    let read = || {
        let mut select =
            connection.prepare_cached("SELECT partitions FROM topic WHERE name = ?1")?;
        select.query_row([topic], |row| row.get(0)).optional()
    };
    read()
        .map_err(|error| storage(path, "read a topic of", error))?
        .ok_or_else(|| Error::UnknownTopic { topic: topic.to_owned() })
}

fn log(connection: &Connection, at: Place<'_>) -> Result<Log, Error> {
    let read = || {
        let mut select = connection.prepare_cached(
            "SELECT log.id, first, next, timestamp FROM topic JOIN log ON log.topic = topic.id
             WHERE topic.name = ?1 AND log.number = ?2",
        )?;
        let log = |row: &Row<'_>| {
            Ok(Log {
                id: row.get(0)?,
                first: number(row, 1)?,
                end: number(row, 2)?,
                timestamp: row.get(3)?,
            })
        };
        select.query_row(params![at.topic, at.partition], log).optional()
    };
    match read().map_err(|error| storage(at.path, "read a partition of", error))? {
        Some(log) => Ok(log),
        None => Err(Error::UnknownPartition {
            topic: at.topic.to_owned(),
            partition: at.partition,
            partitions: partitions_of(connection, at.path, at.topic)?,
        }),
    }
}

pub(super) fn range(connection: &Connection, at: Place<'_>) -> Result<(Offset, Offset), Error> {
    log(connection, at).map(|log| (log.first, log.end))
}

/// Appends a batch; returns the offsets of its first row and of the end.
pub(super) fn append(
    connection: &Connection,
    at: Place<'_>,
    body: &Body,
    now_ms: Timestamp,
) -> Result<(Offset, Offset), Error> {
    let log = log(connection, at)?;
    if body.rows == 0 {
        return Ok((log.end, log.end));
    }
    let end = log.end + body.rows;
    let timestamp = log.timestamp.max(now_ms);
    let bytes = body.bytes.len() as i64;
    let (base, next, records) = (log.end as i64, end as i64, body.records as i64);
    let insert = || -> rusqlite::Result<()> {
        let mut insert = connection.prepare_cached(
            "INSERT INTO batch (log, base, next, timestamp, records, bytes, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        insert.execute(params![log.id, base, next, timestamp, records, bytes, body.bytes])?;
        let mut update = connection.prepare_cached(
            "UPDATE log SET next = ?2, timestamp = ?3, records = records + ?4, bytes = bytes + ?5
             WHERE id = ?1",
        )?;
        update.execute(params![log.id, next, timestamp, records, bytes])?;
        Ok(())
    };
    insert().map_err(|error| storage(at.path, "append to", error))?;
    Ok((log.end, end))
}

/// A batch as it lies in the table.
pub(super) struct Stored {
    base: Offset,
    next: Offset,
    timestamp: Timestamp,
    body: Vec<u8>,
}

/// Copies the batches from `from` on; they are decoded when the transaction is over.
pub(super) fn read(
    connection: &Connection,
    at: Place<'_>,
    from: Offset,
    max: ReadMax,
) -> Result<Vec<Stored>, Error> {
    let log = log(connection, at)?;
    let (topic, partition) = (at.topic.to_owned(), at.partition);
    if from < log.first {
        return Err(Error::Trimmed { topic, partition, from, first: log.first });
    }
    if from > log.end {
        return Err(Error::BeyondEnd { topic, partition, from, end: log.end });
    }
    if from == log.end {
        return Ok(Vec::new());
    }
    let found = select_batches(connection, log.id, from as i64, max)
        .map_err(|error| storage(at.path, "read", error))?;
    let mut next = found.first().filter(|one| one.base <= from).map_or(from, |one| one.base);
    for one in &found {
        if one.base != next || one.next <= one.base {
            break;
        }
        next = one.next;
    }
    let whole = next > from && found.last().is_some_and(|one| one.next == next);
    if whole { Ok(found) } else { Err(at.damaged(next, "a batch is missing".to_owned())) }
}

fn select_batches(
    connection: &Connection,
    log: i64,
    from: i64,
    max: ReadMax,
) -> rusqlite::Result<Vec<Stored>> {
    let mut select = connection.prepare_cached(
        "SELECT base, next, timestamp, bytes, body FROM batch WHERE log = ?1 AND base >=
             (SELECT max(base) FROM batch WHERE log = ?1 AND base <= ?2) ORDER BY base",
    )?;
    let mut rows = select.query(params![log, from])?;
    let (mut records, mut bytes, mut found) = (0, 0, Vec::new());
    while let Some(row) = rows.next()? {
        let (base, next) = (number(row, 0)?, number(row, 1)?);
        records += next.saturating_sub(base);
        bytes += number(row, 3)?;
        if !found.is_empty() && (records > max.records as u64 || bytes > max.bytes as u64) {
            break;
        }
        found.push(Stored { base, next, timestamp: row.get(2)?, body: row.get(4)? });
    }
    Ok(found)
}

/// Decodes what `read` brought.
pub(super) fn decode(at: Place<'_>, stored: &[Stored]) -> Result<Vec<LogBatch>, Error> {
    let one = |stored: &Stored| {
        let damaged = |what| at.damaged(stored.base, what);
        let mut batch =
            log_batch::decode(&stored.body).map_err(|error| damaged(error.to_string()))?;
        batch.check().map_err(damaged)?;
        let (rows, due) = (batch.rows() as u64, stored.next - stored.base);
        if rows != due {
            return Err(damaged(format!("the batch has {rows} rows where {due} are due")));
        }
        place(&mut batch, stored.base, stored.timestamp);
        Ok(batch)
    };
    stored.iter().map(one).collect()
}

pub(super) fn retained(
    connection: &Connection,
    path: &Path,
    topic: &str,
) -> Result<Retained, Error> {
    partitions_of(connection, path, topic)?;
    let read = || {
        let mut select = connection.prepare_cached(
            "SELECT sum(records), sum(bytes) FROM topic JOIN log ON log.topic = topic.id
             WHERE topic.name = ?1",
        )?;
        select.query_row([topic], |row| {
            Ok(Retained { records: number(row, 0)?, bytes: number(row, 1)? })
        })
    };
    read().map_err(|error| storage(path, "measure a topic of", error))
}

/// The oldest batch of a partition.
struct Oldest {
    id: i64,
    log: i64,
    next: Offset,
    records: u64,
    bytes: u64,
}

pub(super) fn trim(
    connection: &Connection,
    at: Place<'_>,
    below: Offset,
) -> Result<Trimmed, Error> {
    let mut log = log(connection, at)?;
    let failed = |error| storage(at.path, "trim", error);
    let (mut batches, mut bytes) = (0, 0);
    loop {
        let oldest = oldest_of(connection, log.id).map_err(failed)?;
        let Some(oldest) = oldest.filter(|oldest| oldest.next <= below) else {
            return Ok(Trimmed { first: log.first, more: false });
        };
        batches += 1;
        bytes += oldest.bytes;
        if batches > 1 && (batches > DROP_BATCHES_MAX || bytes > DROP_BYTES_MAX) {
            return Ok(Trimmed { first: log.first, more: true });
        }
        drop_batch(connection, &oldest).map_err(failed)?;
        log.first = oldest.next;
    }
}

pub(super) fn drop_oldest(
    connection: &Connection,
    path: &Path,
    topic: &str,
    max: Retained,
) -> Result<Dropped, Error> {
    let mut kept = retained(connection, path, topic)?;
    let failed = |error| storage(path, "drop rows of", error);
    let (mut dropped, mut batches, mut bytes) = (Dropped::default(), 0, 0);
    while kept.records > max.records || kept.bytes > max.bytes {
        let oldest = oldest_in(connection, topic).map_err(failed)?;
        // The newest batch stays, however large: else what was just written would go with the rest.
        let Some(oldest) = oldest.filter(|oldest| oldest.records < kept.records) else {
            return Ok(dropped);
        };
        batches += 1;
        bytes += oldest.bytes;
        if batches > 1 && (batches > DROP_BATCHES_MAX || bytes > DROP_BYTES_MAX) {
            dropped.more = true;
            return Ok(dropped);
        }
        drop_batch(connection, &oldest).map_err(failed)?;
        dropped.records += oldest.records;
        kept.records = kept.records.saturating_sub(oldest.records);
        kept.bytes = kept.bytes.saturating_sub(oldest.bytes);
    }
    Ok(dropped)
}

fn oldest_of(connection: &Connection, log: i64) -> rusqlite::Result<Option<Oldest>> {
    let mut select = connection.prepare_cached(
        "SELECT id, log, next, records, bytes FROM batch WHERE log = ?1 ORDER BY base LIMIT 1",
    )?;
    select.query_row([log], oldest).optional()
}

/// The oldest batch of a topic: ids ascend in the order of the appends.
fn oldest_in(connection: &Connection, topic: &str) -> rusqlite::Result<Option<Oldest>> {
    let mut select = connection.prepare_cached(
        "SELECT batch.id, batch.log, batch.next, batch.records, batch.bytes
         FROM topic JOIN log ON log.topic = topic.id
         JOIN batch ON batch.log = log.id AND batch.base = log.first
         WHERE topic.name = ?1 ORDER BY batch.id LIMIT 1",
    )?;
    select.query_row([topic], oldest).optional()
}

fn oldest(row: &Row<'_>) -> rusqlite::Result<Oldest> {
    Ok(Oldest {
        id: row.get(0)?,
        log: row.get(1)?,
        next: number(row, 2)?,
        records: number(row, 3)?,
        bytes: number(row, 4)?,
    })
}

fn drop_batch(connection: &Connection, oldest: &Oldest) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM batch WHERE id = ?1")?.execute([oldest.id])?;
    let mut update = connection.prepare_cached(
        "UPDATE log SET first = ?2, records = records - ?3, bytes = bytes - ?4 WHERE id = ?1",
    )?;
    let (next, records, bytes) = (oldest.next as i64, oldest.records as i64, oldest.bytes as i64);
    update.execute(params![oldest.log, next, records, bytes])?;
    Ok(())
}
