//! Makes what is sent back durable: rows of the replay topics and of the ledger in one commit of a
//! task of its own, `dlq.replay`. Whoever claims it last is the only one that can commit, so two
//! tools at once never send one dead letter twice. A commit that failed for a moment is tried again
//! as it was.

use crate::crash::{self, Point};
use crate::error::Error;
use crate::ledger;
use crate::letter::{Letter, Meta};
use crate::select::Target;
use pawl_core::commit::{Append, Commit, CommitBatch, TaskId};
use pawl_core::identity;
use pawl_core::record::{LogBatch, Records, Timestamp};
use pawl_pipeline::Pipeline;
use pawl_transport::{Class, Ticket, Transport};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The task whose commits these are. No stage can have this name.
const TASK: &str = "dlq.replay";

/// A commit is full with so many records, or with so many bytes of what its rows take in memory.
pub(crate) const RECORDS_MAX: u64 = 10_000;
const BYTES_MAX: usize = 16 << 20;

/// Bytes that a row takes in each column, beside its own.
const CELL_BYTES: usize = 8;

/// Commits on their way to the disk at once.
const PENDING_MAX: usize = 2;

/// How often a commit that failed for a moment is tried again, and the waits between.
const TRIES_MAX: u32 = 12;
const BACKOFF_MS: u64 = 5;
const BACKOFF_MS_MAX: u64 = 1000;

/// The owner of the task.
pub(crate) struct Sender<'a> {
    transport: &'a dyn Transport,
    pipeline: &'a Pipeline,
    now_ms: &'a dyn Fn() -> Timestamp,
    epoch: u64,
    /// Which run, 32 hex digits.
    pub run: String,
    open: BTreeMap<(usize, u32), Open>,
    ledger: Records,
    rows: u64,
    bytes: usize,
    /// The commit submitted last.
    last: Commit,
    pending: VecDeque<Pending>,
    /// Dead letters of this run that are durably sent.
    pub sent: u64,
}

/// Rows of one partition for the next commit, and what they take.
#[derive(Default)]
struct Open {
    records: Records,
    bytes: usize,
}

struct Pending {
    batch: CommitBatch,
    ticket: Ticket,
    rows: u64,
}

impl<'a> Sender<'a> {
    /// Takes the task over: from now on no earlier owner can send anything. `run`: the run that is
    /// gone on with, else a new one.
    pub fn claim(
        transport: &'a dyn Transport,
        pipeline: &'a Pipeline,
        now_ms: &'a dyn Fn() -> Timestamp,
        run: Option<&str>,
    ) -> Result<Self, Error> {
        transport.create_topic(&pipeline.ledger_topic(), 1)?;
        let task = task();
        let epoch = transport.claim(&task, 0)?;
        crash::at(Point::Claimed);
        let last = transport.recovery(&task)?.commit.unwrap_or_default();
        let new = || {
            let seed = format!("{} {epoch} {}", transport.identity()?, now_ms());
            Ok::<_, Error>(identity::hex_text(identity::hash(seed.as_bytes())))
        };
        Ok(Self {
            run: run.map_or_else(new, |run| Ok(run.to_owned()))?,
            transport,
            pipeline,
            now_ms,
            epoch,
            open: BTreeMap::new(),
            ledger: Records::default(),
            rows: 0,
            bytes: 0,
            last,
            pending: VecDeque::new(),
            sent: 0,
        })
    }

    /// Makes the replay topic of a stage, if the host has not made it yet.
    pub fn make_topic(&self, stage: usize, partitions: u32) -> Result<(), Error> {
        let Some(stage) = self.pipeline.stages.get(stage) else { return Ok(()) };
        match self.transport.create_topic(&stage.replay, partitions) {
            Ok(()) | Err(pawl_transport::Error::PartitionsShrink { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a dead letter to the next commit.
    pub fn add(&mut self, letter: &Letter<'_>, target: Target) {
        let open = self.open.entry((target.stage, target.partition)).or_default();
        copy(letter, &self.run, &mut open.records);
        ledger::push(&mut self.ledger, letter, &self.run, (self.now_ms)());
        self.rows += 1;
        let before = std::mem::replace(&mut open.bytes, size_of(&open.records));
        self.bytes += open.bytes - before;
    }

    /// Rows of the next commit so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether no more should be added before the next commit.
    pub fn is_full(&self) -> bool {
        self.rows >= RECORDS_MAX || self.bytes + size_of(&self.ledger) >= BYTES_MAX
    }

    /// Sends what was added on its way to the disk.
    pub fn commit(&mut self) -> Result<(), Error> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut appends = Vec::new();
        for ((stage, partition), Open { records, .. }) in std::mem::take(&mut self.open) {
            let Some(stage) = self.pipeline.stages.get(stage) else { continue };
            appends.push(append(stage.replay.clone(), partition, records));
        }
        appends.push(append(self.pipeline.ledger_topic(), 0, std::mem::take(&mut self.ledger)));
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        self.last.epoch = self.epoch;
        self.last.semantics = pawl_core::SEMANTICS;
        self.last.progress.position += rows;
        self.last.counters.records_in += rows;
        for append in &appends {
            let written = &mut self.last.counters.records_out;
            *written.entry(append.topic.clone()).or_default() += append.batch.rows() as u64;
        }
        crash::at(Point::Gathered);
        let commit = self.last.clone();
        let batch = CommitBatch { task: task(), commit, decisions: Vec::new(), appends };
        let ticket = self.transport.submit(batch.clone(), (self.now_ms)());
        crash::at(Point::Submitted);
        self.pending.push_back(Pending { batch, ticket, rows });
        while self.pending.len() > PENDING_MAX {
            self.settle_first()?;
        }
        Ok(())
    }

    /// Waits until all that was committed is durable.
    pub fn settle(&mut self) -> Result<(), Error> {
        while !self.pending.is_empty() {
            self.settle_first()?;
        }
        Ok(())
    }

    fn settle_first(&mut self) -> Result<(), Error> {
        let mut tries = 0;
        while let Some(first) = self.pending.pop_front() {
            let Pending { batch, ticket, rows } = first;
            let error = match ticket.wait() {
                Ok(()) => {
                    crash::at(Point::Durable);
                    self.sent += rows;
                    return Ok(());
                }
                Err(pawl_transport::Error::Fenced { .. }) => {
                    return Err(Error::Fenced { sent: self.sent });
                }
                Err(error) => error,
            };
            tries += 1;
            if error.class() != Class::Transient || tries > TRIES_MAX {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis((BACKOFF_MS << tries).min(BACKOFF_MS_MAX)));
            self.submit_again(batch, rows);
        }
        Ok(())
    }

    /// Submits a commit that was not stored, and those behind it: they were refused with it.
    fn submit_again(&mut self, first: CommitBatch, rows: u64) {
        let behind = std::mem::take(&mut self.pending).into_iter().map(|one| {
            drop(one.ticket.wait());
            (one.batch, one.rows)
        });
        let all: Vec<_> = std::iter::once((first, rows)).chain(behind).collect();
        for (batch, rows) in all {
            let ticket = self.transport.submit(batch.clone(), (self.now_ms)());
            self.pending.push_back(Pending { batch, ticket, rows });
        }
    }
}

/// What rows take in memory, about. Headers that few rows have take room in all of them.
fn size_of(records: &Records) -> usize {
    records.bytes() + records.len() * (records.headers.len() + 3) * CELL_BYTES
}

fn task() -> TaskId {
    TaskId { stage: TASK.to_owned(), partition: 0 }
}

fn append(topic: String, partition: u32, records: Records) -> Append {
    Append { topic, partition, batch: LogBatch { records, ..LogBatch::default() } }
}

/// Copies a dead letter as it stands, one sending on.
fn copy(letter: &Letter<'_>, run: &str, to: &mut Records) {
    let (from, row, at) = (letter.records(), letter.row, to.len());
    to.keys.extend_rows(&from.keys, row, row + 1);
    to.values.extend_rows(&from.values, row, row + 1);
    to.ids.extend_rows(&from.ids, row, row + 1);
    to.event_times.extend(from.event_times.get(row));
    to.timestamps.push(0);
    to.priorities.extend(from.priorities.get(row));
    let ours = [Meta::ReplayCount.header(), Meta::ReplayId.header()];
    for header in &from.headers {
        if ours.contains(&header.name.as_str()) || header.column.get(row).is_none() {
            continue;
        }
        let column = to.header_mut(&header.name, at);
        if column.len() == at {
            column.extend_rows(&header.column, row, row + 1);
        }
    }
    let count = letter.replays().saturating_add(1).to_string();
    to.header_mut(Meta::ReplayCount.header(), at).push(Some(count.as_bytes()));
    to.header_mut(Meta::ReplayId.header(), at).push(Some(run.as_bytes()));
    to.pad_headers();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::Columns;
    use pawl_core::record::Record;
    use pawl_transport::Memory;
    use std::path::Path;

    const PIPELINE: &str = "pawl = 1\nname = \"t\"\ntopics.in = {}\n[[stage]]\nname = \"s\"\n\
                            input = \"in\"\n[[stage.operator]]\nname = \"o\"\nplugin = \"x\"\n";

    /// How many of these letters a commit takes.
    fn taken(letters: &Records) -> usize {
        let (pipeline, _) = pawl_pipeline::parse(PIPELINE, Path::new(""), &[]).unwrap();
        let transport = Memory::new();
        let mut sender = Sender::claim(&transport, &pipeline, &|| 0, None).unwrap();
        let columns = Columns::of(letters);
        let target = Target { stage: 0, entry: 0, partition: 0, late: false };
        for row in 0..letters.len() {
            let letter = Letter { partition: 0, offset: row as u64, row, columns: &columns };
            sender.add(&letter, target);
            if sender.is_full() {
                return row + 1;
            }
        }
        usize::MAX
    }

    #[test]
    fn a_commit_is_bounded_by_all_bytes_of_its_rows_and_not_by_payloads_alone() {
        let long = vec![b'x'; 64 << 10];
        let with = |headers: &[(&str, &[u8])], key: Option<&[u8]>, value: &[u8]| {
            let mut letters = Records::default();
            for _ in 0..1000 {
                letters.push(Record { key, value: Some(value), headers, ..Record::default() });
            }
            taken(&letters)
        };
        let max = BYTES_MAX / long.len();
        for taken in [
            with(&[("pawl-root", &long)], None, b""),
            with(&[("own", &long)], None, b""),
            with(&[], Some(&long), b""),
            with(&[], None, &long),
        ] {
            assert!((max / 2..=max).contains(&taken), "{taken} of {max}");
        }
        // Each with a header that no other one has: empty places count.
        let mut letters = Records::default();
        for number in 0..2000 {
            let name = format!("h{number}");
            letters.push(Record { headers: &[(&name, b"")], ..Record::default() });
        }
        assert!(taken(&letters) < 1600);
    }

    #[test]
    fn a_copy_differs_in_how_often_and_by_which_run_and_in_nothing_else() {
        let mut records = Records::default();
        let headers: &[(&str, &[u8])] =
            &[("own", b"\xff"), ("pawl-id", b"0a"), ("pawl-replay-count", b"1")];
        let base = Record { event_time: -7, priority: 9, ..Record::default() };
        records.push(Record {
            key: Some(b""),
            value: Some(b"v\0"),
            id: Some(b"i"),
            headers,
            ..base
        });
        records.push(Record { headers: &[("pawl-replay-id", b"old"), ("x", b"")], ..base });
        let columns = Columns::of(&records);
        let mut copies = Records::default();
        for row in [1, 0, 1] {
            copy(&Letter { partition: 0, offset: 0, row, columns: &columns }, "new", &mut copies);
        }
        copies.check().unwrap();
        let mut wanted = Records::default();
        let second: &[(&str, &[u8])] =
            &[("pawl-replay-count", b"1"), ("pawl-replay-id", b"new"), ("x", b"")];
        let first: &[(&str, &[u8])] = &[
            ("own", b"\xff"),
            ("pawl-id", b"0a"),
            ("pawl-replay-count", b"2"),
            ("pawl-replay-id", b"new"),
        ];
        wanted.push(Record { headers: second, ..base });
        wanted.push(Record {
            key: Some(b""),
            value: Some(b"v\0"),
            id: Some(b"i"),
            headers: first,
            ..base
        });
        wanted.push(Record { headers: second, ..base });
        for records in [&mut copies, &mut wanted] {
            records.headers.sort_by(|one, two| one.name.cmp(&two.name));
        }
        assert_eq!(copies, wanted);
    }
}
