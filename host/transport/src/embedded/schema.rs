//! The tables, in words and in SQL. Nothing here runs; a change here that a host of before could
//! not live with is a new `VERSION`.
//!
//! - `identity`: one row, which log this is. A database made before there was this table gets it
//!   when it is next opened for writing.
//! - `topic`: a name and how many partitions it has.
//! - `log`: one row per partition. Rows from `first` (kept) to `next` (the end) exist; `timestamp`
//!   is that of the last append; `records` (data rows) and `bytes` say how much is kept.
//! - `batch`: consecutive rows of one partition, from `base` to before `next`, all appended at
//!   `timestamp`. `body` is a sealed log batch of the codec with base 0 and timestamps 0: place
//!   and time are known only inside of the transaction, and so the body can be made outside of
//!   it. `id` ascends over all partitions in the order of the appends. The body comes last, so
//!   that the other columns are read without it.
//! - `task`: the epoch claimed last, and the last commit: its progress in the open, to be looked
//!   at, and all of it as sealed `body`; both null before the first commit.
//! - `decision`: sealed decisions by number.
//! - `generation`: the sets of producers, one row per member; an empty set has one row without
//!   names.
//!
//! Numbers that are `u64` in Rust are stored as SQLite's `i64` and never exceed it.

/// "Pawl" in the header of the file: tells our databases from others.
pub(super) const APPLICATION_ID: i64 = 0x5061_776c;

/// Version of the tables below, in the header of the file.
pub(super) const VERSION: i64 = 1;

/// Which log this is. Does nothing where it is known. SQLite seeds `randomblob` from the operating
/// system's random numbers.
pub(super) const IDENTITY: &str = "
CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL) STRICT;
INSERT INTO identity (id) SELECT lower(hex(randomblob(16)))
    WHERE NOT EXISTS (SELECT 1 FROM identity);
";

pub(super) const TABLES: &str = "
CREATE TABLE topic (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    partitions INTEGER NOT NULL
) STRICT;

CREATE TABLE log (
    id        INTEGER PRIMARY KEY,
    topic     INTEGER NOT NULL REFERENCES topic (id),
    number    INTEGER NOT NULL,
    first     INTEGER NOT NULL DEFAULT 0,
    next      INTEGER NOT NULL DEFAULT 0,
    timestamp INTEGER NOT NULL DEFAULT -9223372036854775808,
    records   INTEGER NOT NULL DEFAULT 0,
    bytes     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic, number)
) STRICT;

CREATE TABLE batch (
    id        INTEGER PRIMARY KEY,
    log       INTEGER NOT NULL REFERENCES log (id),
    base      INTEGER NOT NULL,
    next      INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    records   INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    body      BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX batch_by_offset ON batch (log, base);

CREATE TABLE task (
    stage     TEXT NOT NULL,
    number    INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    position  INTEGER,
    ticks     INTEGER,
    decisions INTEGER,
    admitted  INTEGER,
    body      BLOB,
    PRIMARY KEY (stage, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE decision (
    stage  TEXT NOT NULL,
    task   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    body   BLOB NOT NULL,
    PRIMARY KEY (stage, task, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE generation (
    number INTEGER NOT NULL,
    stage  TEXT NOT NULL,
    task   INTEGER NOT NULL,
    PRIMARY KEY (number, stage, task)
) STRICT, WITHOUT ROWID;
";
