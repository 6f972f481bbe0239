//! Writes checkpoints off the tasks' threads, and afterwards lets go of what no kept checkpoint
//! needs: older checkpoints, decisions, input. Never lets go of anything before the newer
//! checkpoint was read back and verified.

use crate::clock::Clock;
use crate::crash::{self, CrashPoint};
use crate::error::Error;
use pawl_checkpoint::{Draft, DraftPart, Header, Owner, PartKey, Replication, Store, bytes};
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use pawl_core::record::Offset;
use pawl_core::state::{EdgeSegment, Image};
use pawl_pipeline::Pipeline;
use pawl_transport::{ReadMax, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// What a task hands over: its state at one place.
pub(crate) struct Job {
    pub header: Header,
    pub image: Image,
    pub segments: Vec<EdgeSegment>,
    /// Segments that the base holds already.
    pub known: BTreeSet<(usize, u64)>,
    /// For each operator its parts; none: as in the base.
    pub parts: Vec<Vec<Option<Vec<u8>>>>,
    pub base: Option<CheckpointName>,
    /// When it was begun, by the clock's microseconds.
    pub began_us: u64,
    pub reply: SyncSender<Result<Done, Error>>,
}

/// A checkpoint that is durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    /// When its state was.
    pub created_ms: i64,
    /// Bytes that it takes itself.
    pub bytes: u64,
    /// From its begin until it was durable.
    pub seconds: f64,
}

/// The handle; the thread ends when the last one is gone.
#[derive(Clone)]
pub(crate) struct Checkpointer {
    jobs: SyncSender<Job>,
}

/// Jobs that may wait: more tasks than that wait at the door.
const JOBS_MAX: usize = 16;

impl Checkpointer {
    /// Starts the thread.
    pub fn start(
        pipeline: Arc<Pipeline>,
        store: Arc<dyn Store>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        replication: Option<Replication>,
    ) -> Result<(Self, std::thread::JoinHandle<()>), Error> {
        let (jobs, inbox) = sync_channel(JOBS_MAX);
        let floors = Mutex::default();
        let room = Room { pipeline, store, transport, clock, replication, floors };
        let thread = std::thread::Builder::new()
            .name("checkpointer".to_owned())
            .spawn(move || room.serve(&inbox))
            .map_err(|error| Error::System { doing: "start a thread", error })?;
        Ok((Self { jobs }, thread))
    }

    /// Hands a job over; its outcome comes through `Job::reply`.
    pub fn submit(&self, job: Job) {
        if let Err(refused) = self.jobs.send(job) {
            let error = Error::Panicked("the checkpointer has ended".to_owned());
            drop(refused.0.reply.send(Err(error)));
        }
    }
}

struct Room {
    pipeline: Arc<Pipeline>,
    store: Arc<dyn Store>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    /// How far the copies in the remote tier are, if there is one.
    replication: Option<Replication>,
    /// From where each task needs its input.
    floors: Mutex<BTreeMap<TaskId, Offset>>,
}

impl Room {
    fn serve(&self, inbox: &Receiver<Job>) {
        while let Ok(job) = inbox.recv() {
            let reply = job.reply.clone();
            let task = job.header.task.clone();
            let outcome = self.write(job);
            let written = outcome.is_ok();
            // A task that has gone meanwhile does not need the answer.
            drop(reply.send(outcome));
            if written && let Err(error) = self.let_go(&task) {
                tracing::warn!(%task, %error, "failed to let go of what is no longer needed");
            }
        }
    }

    fn write(&self, job: Job) -> Result<Done, Error> {
        let Job { header, image, segments, known, parts, base, began_us, .. } = job;
        let (name, created_ms) = (header.name, header.created_ms);
        let mut drafts = Vec::new();
        for EdgeSegment { edge, segment } in segments {
            let held = known.contains(&(edge, segment.first()));
            let key = PartKey { owner: Owner::Window(edge as u16), number: segment.first() };
            let data = (!held).then(|| bytes(segment.to_bytes()));
            drafts.push(DraftPart { key, data });
        }
        for (operator, parts) in parts.into_iter().enumerate() {
            for (number, part) in parts.into_iter().enumerate() {
                let owner = Owner::Operator(operator as u16);
                let key = PartKey { owner, number: number as u64 };
                drafts.push(DraftPart { key, data: part.map(bytes) });
            }
        }
        let core = pawl_codec::state::encode(&image).map_err(|error| Error::State {
            code: "state",
            what: format!("the state could not be encoded: {error}"),
        })?;
        if let Some(by) = self.superseded(&header.task) {
            let task = header.task.clone();
            return Err(pawl_checkpoint::Error::Superseded { task, name, by }.into());
        }
        let written = self.store.write(&Draft { header, core, base, parts: drafts })?;
        tracing::debug!(?name, ?written, "checkpoint written");
        let took_us = self.clock.elapsed_us().saturating_sub(began_us);
        Ok(Done { created_ms, bytes: written.bytes, seconds: took_us as f64 / 1e6 })
    }

    /// The checkpoint of another owner in the remote tier, where that was noticed (FN-1).
    fn superseded(&self, task: &TaskId) -> Option<CheckpointName> {
        self.replication.as_ref()?.task(task)?.superseded_by
    }

    fn let_go(&self, task: &TaskId) -> Result<(), Error> {
        let kept_min = self.pipeline.checkpoint.kept_min.max(3) as usize;
        let kept = self.store.keep(task, kept_min)?;
        // What any checkpoint of any tier needs to be replayed from; none while there are few.
        let Some(needed) = kept.floor else { return Ok(()) };
        self.transport.prune_decisions(task, needed.decisions)?;
        let floor = {
            let mut floors = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
            floors.insert(task.clone(), needed.position);
            self.floor_of(task, &floors)
        };
        if let Some((topic, floor)) = floor {
            crash::at(CrashPoint::MidTrim);
            let below = self.retained_from(topic, task.partition, floor)?;
            while self.transport.trim(topic, task.partition, below)?.more {}
        }
        if let Some(stage) = self.pipeline.stage(&task.stage) {
            let (first, _) = self.transport.range(&stage.replay, task.partition)?;
            let below = needed.admitted;
            while first < below && self.transport.trim(&stage.replay, task.partition, below)?.more {
            }
        }
        Ok(())
    }

    /// The lowest position that any stage needs of the task's input, once all have told.
    fn floor_of(&self, task: &TaskId, floors: &BTreeMap<TaskId, Offset>) -> Option<(&str, Offset)> {
        let topic = &self.pipeline.stage(&task.stage)?.input;
        let readers = self.pipeline.readers(topic);
        let needs = readers.iter().map(|stage| {
            let id = TaskId { stage: stage.name.clone(), partition: task.partition };
            floors.get(&id).copied()
        });
        let needs: Option<Vec<Offset>> = needs.collect();
        Some((topic, needs?.into_iter().min()?))
    }

    /// Up to where a topic may be trimmed: below `floor`, and nothing younger than its retention.
    fn retained_from(&self, topic: &str, partition: u32, floor: Offset) -> Result<Offset, Error> {
        let retention = self.pipeline.topics.get(topic).map_or(0, |topic| topic.retention_ms);
        if retention == 0 {
            return Ok(floor);
        }
        let oldest = self.clock.now_ms().saturating_sub_unsigned(retention);
        let (mut below, _) = self.transport.range(topic, partition)?;
        while below < floor {
            let some = ReadMax { records: 1000, bytes: 1 << 20 };
            for batch in self.transport.read(topic, partition, below, some)? {
                let young = batch.records.timestamps.iter().any(|time| *time >= oldest);
                if young || batch.end() > floor {
                    return Ok(below);
                }
                below = batch.end();
            }
        }
        Ok(below)
    }
}

/// The hook of the checkpoint store: its steps are crash points.
pub(crate) fn crash_hook(step: pawl_checkpoint::Step) {
    use pawl_checkpoint::Step;
    crash::at(match step {
        Step::TemporaryWritten => CrashPoint::MidCheckpoint,
        Step::TemporarySynced => CrashPoint::CheckpointSynced,
        Step::Renamed => CrashPoint::CheckpointRenamed,
        Step::DirectorySynced => CrashPoint::CheckpointDirectorySynced,
        Step::Verified => CrashPoint::CheckpointVerified,
        Step::OldRemoved => CrashPoint::CheckpointRemoved,
    });
}
