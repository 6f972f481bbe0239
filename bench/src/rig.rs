//! One task and as much of a host around it as is asked for, driven in one thread: what the service
//! does for a record, without what it does for a person.

use crate::input::{ROWS, Source};
use crate::measure::{Spent, Timer};
use crate::work::Work;
use anyhow::{Context, Result, anyhow, ensure};
use pawl_checkpoint::{Draft, DraftPart, Header, LocalStore, Owner, PartKey, Store, bytes};
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use pawl_core::record::LogBatch;
use pawl_core::state::State;
use pawl_core::task::{Recovery, Step, Task, Wish};
use pawl_sandbox::Instance;
use pawl_transport::{Embedded, Options, ReadMax, Ticket, Transport};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Batches between two commits: about the default of 10,000 records.
pub const BATCHES_OF_COMMIT: usize = 10;

/// Topic that the task reads.
const INPUT: &str = "in";

/// Topic that it writes.
const OUTPUT: &str = "out";

/// How much of a host there is. Each has all that is above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The task alone: ids, event time, watermark, routing, hashes.
    Edge,
    /// Repeated ids are dropped.
    Dedup,
    /// Records come from the embedded transport, outputs go there.
    Transport,
    /// One checkpoint a round.
    Checkpoints,
    /// Two decisions with each commit.
    Decisions,
}

/// A task at work.
pub struct Rig {
    level: Level,
    task: Task,
    guests: [Instance; 1],
    source: Source,
    make: fn(&mut Source) -> LogBatch,
    transport: Option<Embedded>,
    store: LocalStore,
    newest: Option<CheckpointName>,
    known: BTreeSet<u64>,
    epoch: u64,
}

impl Rig {
    /// A new task in `folder`, with its dedup window filled by `ids` records.
    pub fn new(
        work: &Work,
        instance: Instance,
        level: Level,
        folder: &Path,
        ids: usize,
    ) -> Result<Self> {
        let mut spec = work.spec(instance.wiring().clone());
        if level < Level::Dedup {
            spec.operators.iter_mut().for_each(|operator| operator.edge.dedup = None);
        }
        let spec = Arc::new(spec);
        let id = spec.task.clone();
        let (mut transport, mut epoch) = (None, 1);
        if level >= Level::Transport {
            let log = Embedded::open(&folder.join("log.db"), &Options::default())?;
            [INPUT, OUTPUT, "dead"].into_iter().try_for_each(|topic| log.create_topic(topic, 1))?;
            epoch = log.claim(&id, 0)?;
            transport = Some(log);
        }
        let state = State::new(&spec);
        let recovery = Recovery { epoch, ..Recovery::default() };
        let task = Task::new(spec, state, recovery).map_err(|law| anyhow!("{law:?}"))?;
        let mut rig = Self {
            level,
            task,
            guests: [instance],
            source: Source::default(),
            make: work.batch,
            transport,
            store: LocalStore::new(folder.join("checkpoints"), "bench"),
            newest: None,
            known: BTreeSet::new(),
            epoch,
        };
        rig.round(ids.div_ceil(ROWS))?;
        Ok(rig)
    }

    /// Takes so many batches through; making them, and putting them into the topic, is not
    /// measured.
    pub fn round(&mut self, batches: usize) -> Result<Spent> {
        let input: Vec<LogBatch> = (0..batches).map(|_| (self.make)(&mut self.source)).collect();
        let records = batches * ROWS;
        let spent = match self.transport.take() {
            None => {
                let timer = Timer::start();
                self.alone(&input)?;
                timer.stop(records)
            }
            Some(transport) => {
                for batch in input {
                    transport.produce(INPUT, 0, batch, 0)?;
                }
                let timer = Timer::start();
                self.through(&transport)?;
                let spent = timer.stop(records);
                self.forget(&transport)?;
                self.transport = Some(transport);
                spent
            }
        };
        Ok(spent)
    }

    /// Puts so many batches into the topic, one sync each, takes them through, and reads what came
    /// out: all of it is measured.
    pub fn pass(&mut self, batches: usize) -> Result<Spent> {
        let input: Vec<LogBatch> = (0..batches).map(|_| (self.make)(&mut self.source)).collect();
        let transport = self.transport.take().context("this rig has no transport")?;
        let (mut next, _) = transport.range(OUTPUT, 0)?;
        let first = next;
        let timer = Timer::start();
        for batch in input {
            transport.produce(INPUT, 0, batch, 0)?;
        }
        self.through(&transport)?;
        let max = ReadMax { records: BATCHES_OF_COMMIT * ROWS, bytes: 16 << 20 };
        while let Some(last) = transport.read(OUTPUT, 0, next, max)?.last() {
            next = last.end();
        }
        let spent = timer.stop(batches * ROWS);
        ensure!(next - first == (batches * ROWS) as u64, "records were lost on the way");
        self.forget(&transport)?;
        self.transport = Some(transport);
        Ok(spent)
    }

    fn forget(&self, transport: &Embedded) -> Result<()> {
        while transport.trim(INPUT, 0, self.task.position())?.more {}
        let (_, end) = transport.range(OUTPUT, 0)?;
        while transport.trim(OUTPUT, 0, end)?.more {}
        Ok(())
    }

    fn alone(&mut self, input: &[LogBatch]) -> Result<()> {
        for some in input.chunks(BATCHES_OF_COMMIT) {
            some.iter().try_for_each(|batch| self.take(batch))?;
            self.task.seal(None);
            drop(self.task.take_sealed());
        }
        Ok(())
    }

    /// From topic to topic: one commit is on its way while the next is made.
    fn through(&mut self, transport: &Embedded) -> Result<()> {
        let (_, end) = transport.range(INPUT, 0)?;
        let mut before: Option<Ticket> = None;
        while self.task.position() < end {
            let max = ReadMax { records: BATCHES_OF_COMMIT * ROWS, bytes: 16 << 20 };
            let read = transport.read(INPUT, 0, self.task.position(), max)?;
            if self.level >= Level::Decisions {
                // It is taken back, by another decision, at the next row.
                self.step(None, Some(&Wish::Idle))?;
            }
            read.iter().try_for_each(|batch| self.take(batch))?;
            if let Some(before) = before.take() {
                before.wait()?;
            }
            before = self.commit(transport);
        }
        before.map_or(Ok(()), |ticket| ticket.wait())?;
        if self.level >= Level::Checkpoints {
            self.checkpoint()?;
        }
        Ok(())
    }

    fn take(&mut self, batch: &LogBatch) -> Result<()> {
        while self.task.position() < batch.end() {
            self.step(Some(batch), None)?;
        }
        Ok(())
    }

    fn step(&mut self, batch: Option<&LogBatch>, wish: Option<&Wish>) -> Result<Step> {
        let step = self.task.step(batch, ROWS, wish, &mut self.guests, 0);
        step.map_err(|stop| anyhow!("the benchmark's own records are refused: {stop}"))
    }

    fn commit(&mut self, transport: &Embedded) -> Option<Ticket> {
        self.task.seal(self.newest);
        self.task.take_sealed().map(|batch| transport.submit(batch, 0))
    }

    /// As the service's, but written by the task itself.
    fn checkpoint(&mut self) -> Result<()> {
        self.task.settle_counters();
        let parts = self.guests[0].snapshot(self.newest.is_none());
        let parts = parts.map_err(|failure| anyhow!("{}", failure.message().to_owned()))?;
        let (image, segments) = self.task.state().image();
        let mut drafts: Vec<DraftPart> = Vec::with_capacity(parts.len() + segments.len());
        for (number, part) in parts.into_iter().enumerate() {
            let key = PartKey { owner: Owner::Operator(0), number: number as u64 };
            drafts.push(DraftPart { key, data: part.data.map(bytes) });
        }
        let now: BTreeSet<u64> = segments.iter().map(|segment| segment.segment.first()).collect();
        for segment in segments.into_iter().map(|segment| segment.segment) {
            let key = PartKey { owner: Owner::Window(0), number: segment.first() };
            let held = self.known.contains(&segment.first());
            drafts.push(DraftPart { key, data: (!held).then(|| bytes(segment.to_bytes())) });
        }
        let sequence = self.newest.map_or(0, |name| name.sequence) + 1;
        let name = CheckpointName { epoch: self.epoch, sequence };
        let header = self.header(name);
        let core = pawl_codec::state::encode(&image)?;
        let task = header.task.clone();
        self.store.write(&Draft { header, core, base: self.newest, parts: drafts })?;
        self.store.keep(&task, 3)?;
        (self.newest, self.known) = (Some(name), now);
        Ok(())
    }

    fn header(&self, name: CheckpointName) -> Header {
        let plain = &self.task.state().plain;
        Header {
            pipeline: "bench".to_owned(),
            task: TaskId { stage: "bench".to_owned(), partition: 0 },
            name,
            progress: self.task.progress(),
            semantics: pawl_core::SEMANTICS,
            input_sum: plain.input_sum,
            output_sum: plain.output_sum,
            operators: Vec::new(),
            created_ms: 0,
            log: "bench".to_owned(),
        }
    }
}
