//! The task of a source: takes records and dead letters in, and makes them durable in one piece
//! with the source's own rows. Never lets records become durable without the position that names
//! them, nor the reverse; a commit that failed for a moment is tried again as it was.

use crate::error::Error;
use crate::host::{Host, Shared, task_name};
use crate::place::Placement;
use pawl_core::commit::{Append, Commit, CommitBatch, TaskId};
use pawl_core::dead_letter::{self, Cause, Refused};
use pawl_core::identity;
use pawl_core::record::{LogBatch, NO_TIME, PRIORITY_DEFAULT, Record, Records};
use pawl_core::spec::{EdgeSpec, LateRoute, OperatorSpec, Spec, TimeOrigin};
use pawl_pipeline::Source;
use pawl_transport::room::Place;
use pawl_transport::{Class, Retained, Ticket};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A commit is due with so many records, or so many bytes, or after this time.
const RECORDS_MAX: usize = 1000;
const BYTES_MAX: usize = 4 << 20;
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Commits on their way to the disk at once.
const PENDING_MAX: usize = 4;

/// How often a commit that failed for a moment is tried again, and the waits between.
const TRIES_MAX: u32 = 12;
const BACKOFF_MS: u64 = 5;
const BACKOFF_MS_MAX: u64 = 1000;

/// A piece of input that can never be a record.
pub(crate) struct Letter<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Where it begins.
    pub offset: u64,
    /// Short stable name.
    pub kind: &'static str,
    /// For a person.
    pub message: String,
}

/// A source's task.
pub(crate) struct Writer {
    host: Host,
    topic: String,
    pub placement: Placement,
    spec: Spec,
    epoch: u64,
    partitions: Vec<Records>,
    letters: Records,
    rows: usize,
    bytes: usize,
    since: Option<Instant>,
    /// The commit submitted last.
    last: Commit,
    /// What the last durable commit counts.
    durable: (u64, u64),
    pending: VecDeque<Pending>,
}

struct Pending {
    batch: CommitBatch,
    ticket: Ticket,
    letters: Held,
}

/// Dead letters of a commit, and the room that they hold until it is settled.
struct Held {
    count: usize,
    _place: Option<Place>,
}

impl Writer {
    /// Makes the topics that are missing and takes the task over: from now on no earlier owner can
    /// commit anything.
    pub fn claim(source: &Source, host: Host) -> Result<Self, Error> {
        let (pipeline, transport) = (&host.pipeline, &host.transport);
        for topic in [&source.topic, &pipeline.dead_letters.topic] {
            let declared = pipeline.topics.get(topic).map_or(1, |declared| declared.partitions);
            match transport.create_topic(topic, declared) {
                // Who shrinks a topic in the file is told by the host.
                Ok(()) | Err(pawl_transport::Error::PartitionsShrink { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let task = TaskId { stage: task_name(&source.name), partition: 0 };
        let epoch = transport.claim(&task, 0)?;
        let last = transport.recovery(&task)?.commit.unwrap_or_default();
        let partitions = transport.partitions(&source.topic)?;
        let dead = last.counters.dead_letters.values().sum();
        Ok(Self {
            topic: source.topic.clone(),
            placement: Placement::new(pipeline, &source.topic, partitions),
            spec: spec(source, task, pipeline),
            epoch,
            partitions: (0..partitions).map(|_| Records::default()).collect(),
            letters: Records::default(),
            rows: 0,
            bytes: 0,
            since: None,
            durable: (last.progress.position, dead),
            last,
            pending: VecDeque::new(),
            host,
        })
    }

    /// Adds a record that has value and headers; its key and partition are found here.
    pub fn add(&mut self, value: &[u8], headers: &[(&str, &[u8])]) {
        let mut record = Record {
            value: Some(value),
            event_time: NO_TIME,
            priority: PRIORITY_DEFAULT,
            headers,
            ..Record::default()
        };
        let key = self.placement.key_of(&record);
        record.key = key.as_deref();
        let partition = self.placement.partition_of(&record, self.ordinal()) as usize;
        let Some(records) = self.partitions.get_mut(partition) else { return };
        records.push(record);
        self.count(value.len() + key.map_or(0, |key| key.len()));
    }

    /// Adds a dead letter.
    pub fn refuse(&mut self, letter: &Letter<'_>) {
        let mut alone = Records::default();
        alone.push(Record {
            value: Some(letter.bytes),
            event_time: NO_TIME,
            priority: PRIORITY_DEFAULT,
            ..Record::default()
        });
        // The same number after a crash, and no other piece of the input ever has it.
        let id = identity::of_position(&self.spec.task.stage, 0, self.ordinal());
        let refused = Refused {
            records: &alone,
            row: 0,
            id,
            event_time: NO_TIME,
            path: &[],
            operator: 0,
            root_id: id,
            offset: letter.offset,
            root: None,
            sent_back: None,
        };
        let cause = Cause {
            class: "permanent",
            disposition: "rejected".to_owned(),
            kind: letter.kind.to_owned(),
            message: letter.message.clone(),
            retries: 0,
        };
        let now = (self.host.now_ms)();
        let letters = &mut self.letters;
        dead_letter::write(letters, &refused, &cause, &self.spec, self.epoch, now);
        let name = self.spec.operators.first().map_or("", |operator| operator.name.as_str());
        let counted = format!("{name}/{}", letter.kind);
        *self.last.counters.dead_letters.entry(counted).or_default() += 1;
        self.count(letter.bytes.len());
    }

    fn count(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
        self.touch();
    }

    /// Something waits to be committed.
    pub fn touch(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// The number of the next record of this source's input.
    fn ordinal(&self) -> u64 {
        self.last.progress.position + self.rows as u64
    }

    /// Whether a commit is due.
    pub fn is_due(&self) -> bool {
        self.is_full() || self.since.is_some_and(|since| since.elapsed() >= WAIT_MAX)
    }

    /// Whether no more should be added before the next commit.
    pub fn is_full(&self) -> bool {
        // Its dead letters must fit into their topic.
        let letters_max = self.host.pipeline.dead_letters.records_max;
        self.rows >= RECORDS_MAX
            || self.bytes >= BYTES_MAX
            || self.letters.len() as u64 >= letters_max
    }

    /// Whether something waits to be committed.
    pub fn has_some(&self) -> bool {
        self.since.is_some()
    }

    /// Waits for the readers of the topic while they lag too far behind; all that was added is
    /// committed before.
    pub fn has_room(&self, backlog_max: u64) -> bool {
        (self.host.backlog)(&self.topic) <= backlog_max
    }

    /// Sends what was added on its way to the disk, in one piece with `own`, the source's rows.
    pub fn commit(&mut self, own: Option<Append>, shared: &Shared) -> Result<(), Error> {
        self.since = None;
        let letters_held = self.take_room()?;
        let mut appends = Vec::new();
        for (partition, records) in self.partitions.iter_mut().enumerate() {
            if !records.is_empty() {
                let records = std::mem::take(records);
                let written = &mut self.last.counters.records_out;
                *written.entry(self.topic.clone()).or_default() += records.len() as u64;
                appends.push(append(&self.topic, partition as u32, records));
            }
        }
        let letters = std::mem::take(&mut self.letters);
        if !letters.is_empty() {
            let topic = &self.host.pipeline.dead_letters.topic;
            let written = &mut self.last.counters.records_out;
            *written.entry(topic.clone()).or_default() += letters.len() as u64;
            appends.push(append(topic, 0, letters));
        }
        appends.extend(own);
        let rows = std::mem::take(&mut self.rows) as u64;
        self.bytes = 0;
        self.last.epoch = self.epoch;
        self.last.semantics = pawl_core::SEMANTICS;
        self.last.progress.position += rows;
        // So that no two commits look alike, also where only the source's own rows changed.
        self.last.progress.ticks += 1;
        self.last.counters.records_in += rows;
        let task = self.spec.task.clone();
        let commit = self.last.clone();
        let batch = CommitBatch { task, commit, decisions: Vec::new(), appends };
        let ticket = self.host.transport.submit(batch.clone(), (self.host.now_ms)());
        self.pending.push_back(Pending { batch, ticket, letters: letters_held });
        while self.pending.len() > PENDING_MAX {
            self.settle_first(shared)?;
        }
        Ok(())
    }

    /// Waits until all that was committed is durable.
    pub fn settle(&mut self, shared: &Shared) -> Result<(), Error> {
        while !self.pending.is_empty() {
            self.settle_first(shared)?;
        }
        Ok(())
    }

    fn settle_first(&mut self, shared: &Shared) -> Result<(), Error> {
        let mut tries = 0;
        while let Some(first) = self.pending.pop_front() {
            let Pending { batch, ticket, letters } = first;
            let Err(error) = ticket.wait() else {
                let counters = &batch.commit.counters;
                let dead = counters.dead_letters.values().sum();
                self.durable = (batch.commit.progress.position, dead);
                shared.tell(|standing| (standing.records, standing.dead_letters) = self.durable);
                return if letters.count > 0 { self.host.letters.drop_oldest() } else { Ok(()) };
            };
            tries += 1;
            if error.class() != Class::Transient || tries > TRIES_MAX {
                return Err(error.into());
            }
            tracing::warn!(task = %batch.task, %error, tries, "a commit is tried again");
            std::thread::sleep(Duration::from_millis((BACKOFF_MS << tries).min(BACKOFF_MS_MAX)));
            self.submit_again(batch, letters);
        }
        Ok(())
    }

    /// Submits a commit that was not stored, and those behind it: they were refused with it.
    fn submit_again(&mut self, first: CommitBatch, letters: Held) {
        let behind = std::mem::take(&mut self.pending).into_iter().map(|one| {
            drop(one.ticket.wait());
            (one.batch, one.letters)
        });
        let all: Vec<_> = std::iter::once((first, letters)).chain(behind).collect();
        for (batch, letters) in all {
            let ticket = self.host.transport.submit(batch.clone(), (self.host.now_ms)());
            self.pending.push_back(Pending { batch, ticket, letters });
        }
    }

    /// Dead letters must have room before the commit that writes them.
    fn take_room(&self) -> Result<Held, Error> {
        let (count, bytes) = (self.letters.len(), self.letters.bytes() as u64);
        let more = Retained { records: count as u64, bytes };
        Ok(Held { count, _place: self.host.letters.take(more, (self.host.now_ms)())? })
    }

    /// Records durable since the source's birth, and the dead letters among them.
    pub fn durable(&self) -> (u64, u64) {
        self.durable
    }
}

fn append(topic: &str, partition: u32, records: Records) -> Append {
    let batch = LogBatch { records, ..LogBatch::default() };
    Append { topic: topic.to_owned(), partition, batch }
}

/// A source as the dead letters' format sees it: a stage with one operator of its name.
fn spec(source: &Source, task: TaskId, pipeline: &pawl_pipeline::Pipeline) -> Spec {
    let operator = OperatorSpec {
        name: source.name.clone(),
        version: String::new(),
        component: String::new(),
        edge: EdgeSpec::default(),
        wiring: pawl_core::operator::Wiring::default(),
        routes: Vec::new(),
        seed: 0,
    };
    Spec {
        pipeline: pipeline.name.clone(),
        input: task.stage.clone(),
        task,
        replay: String::new(),
        copies: false,
        operators: vec![operator],
        time: TimeOrigin::None,
        time_edge: 0,
        topics: Vec::new(),
        late: LateRoute::Drop,
        dead_letters: 0,
        breaker: pawl_core::breaker::BreakerRules::default(),
        call_records_max: 1,
        call_bytes_max: 1,
        sink: false,
    }
}
