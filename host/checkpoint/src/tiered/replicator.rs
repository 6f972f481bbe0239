//! The thread that copies checkpoints to the remote store. The newest of each task counts: older
//! ones that were not copied yet are skipped, so what waits is bounded by the number of tasks.
//! A failure is tried again for ever, later and later, and is nobody else's business.

use super::status::TaskReplication;
use super::{Now, TieredOptions};
use crate::checkpoint::{Checkpoint, Draft, DraftPart, Header, bytes};
use crate::error::{Error, shown};
use crate::local::LocalStore;
use crate::manifest;
use crate::remote::RemoteStore;
use crate::store::Store;
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the store and its thread share.
pub(super) struct Shared {
    pub local: LocalStore,
    pub remote: RemoteStore,
    pub options: TieredOptions,
    now: Now,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    tasks: BTreeMap<TaskId, Task>,
    /// The thread is to end.
    ended: bool,
}

#[derive(Default)]
struct Task {
    taken_over: bool,
    /// How many checkpoints the local tier was asked to keep.
    keep: usize,
    pending: Option<Pending>,
    /// The one that is being copied right now: whether it is skipped is not known yet.
    copying: Option<CheckpointName>,
    /// Since when the remote store has been behind, by the host's clock.
    behind_since_ms: i64,
    /// Failures in a row.
    attempts: u32,
    not_before: Option<Instant>,
    /// The last checkpoint that this process copied: whole, since it was read back.
    copied: Option<CheckpointName>,
    newest_local: Option<CheckpointName>,
    newest_remote: Option<CheckpointName>,
    /// The valid checkpoints that the remote store holds, once it has told.
    retained: Option<Vec<Header>>,
    failures_total: u64,
    skipped_total: u64,
    last_error: Option<String>,
    superseded_by: Option<CheckpointName>,
}

#[derive(Clone, Copy)]
struct Pending {
    name: CheckpointName,
    written_ms: i64,
}

/// What is copied next.
struct Job {
    task: TaskId,
    name: CheckpointName,
    keep: usize,
    copied: Option<CheckpointName>,
}

/// Kept if nobody has said how many.
const KEEP: usize = 3;

impl Shared {
    pub fn new(local: LocalStore, remote: RemoteStore, options: TieredOptions, now: Now) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { local, remote, options, now, state, changed }
    }

    /// A task has a new owner, here, and these are its newest checkpoints. What was not copied yet
    /// is caught up with.
    pub fn taken_over(
        &self,
        task: &TaskId,
        local: Option<CheckpointName>,
        remote: Option<CheckpointName>,
    ) {
        let mut state = self.lock();
        let known = state.tasks.entry(task.clone()).or_default();
        // Whatever was known of the remote store, another owner may have changed it.
        let (failures_total, skipped_total) = (known.failures_total, known.skipped_total);
        let (keep, copying) = (known.keep, known.copying);
        *known = Task { keep, copying, failures_total, skipped_total, ..Task::default() };
        known.taken_over = true;
        (known.newest_local, known.newest_remote) = (local, remote);
        drop(state);
        // Even if it is there already: copying it tells what the remote store holds. But whoever
        // asked to go by the remote store alone does not want it changed first.
        if let Some(name) = local
            && remote <= local
            && self.options.recovery != super::Recovery::Remote
        {
            self.enqueue(task, name);
        }
    }

    /// A checkpoint is there to be copied.
    pub fn enqueue(&self, task: &TaskId, name: CheckpointName) {
        let written_ms = (self.now)();
        let mut state = self.lock();
        let known = state.tasks.entry(task.clone()).or_default();
        known.newest_local = Some(name);
        match known.pending {
            Some(pending) if known.copying == Some(pending.name) => {}
            Some(_) => known.skipped_total += 1,
            None => known.behind_since_ms = written_ms,
        }
        known.pending = Some(Pending { name, written_ms });
        drop(state);
        self.changed.notify_all();
    }

    /// What the remote store holds, as far as it has told; and how many it is to keep.
    pub fn retained(&self, task: &TaskId, keep: usize) -> Option<Vec<Header>> {
        let mut state = self.lock();
        let known = state.tasks.entry(task.clone()).or_default();
        known.keep = keep;
        known.retained.clone()
    }

    pub fn is_taken_over(&self, task: &TaskId) -> bool {
        self.lock().tasks.get(task).is_some_and(|known| known.taken_over)
    }

    pub fn has_taken_over(&self) -> bool {
        self.lock().tasks.values().any(|known| known.taken_over)
    }

    pub fn statuses(&self) -> Vec<TaskReplication> {
        self.statuses_in(&self.lock())
    }

    fn statuses_in(&self, state: &State) -> Vec<TaskReplication> {
        let now_ms = (self.now)();
        let status = |(task, known): (&TaskId, &Task)| TaskReplication {
            task: task.clone(),
            newest_local: known.newest_local,
            newest_remote: known.newest_remote,
            lag_ms: match known.pending {
                Some(_) => u64::try_from(now_ms.saturating_sub(known.behind_since_ms)).unwrap_or(0),
                None => 0,
            },
            failures_total: known.failures_total,
            skipped_total: known.skipped_total,
            last_error: known.last_error.clone(),
            superseded_by: known.superseded_by,
        };
        state.tasks.iter().map(status).collect()
    }

    /// Waits until what is told of the tasks is enough, or for so long.
    pub fn wait(&self, max_ms: u64, enough: &dyn Fn(&[TaskReplication]) -> bool) -> bool {
        let end = Instant::now() + Duration::from_millis(max_ms);
        let mut state = self.lock();
        loop {
            if enough(&self.statuses_in(&state)) {
                return true;
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else { return false };
            state = self.wait_for(state, left);
        }
    }

    /// Waits until nothing is left to copy, or for so long, and ends the thread.
    pub fn close(&self, wait_max_ms: u64) -> Result<(), Error> {
        let end = Instant::now() + Duration::from_millis(wait_max_ms);
        let mut state = self.lock();
        for known in state.tasks.values_mut() {
            (known.attempts, known.not_before) = (0, None);
        }
        self.changed.notify_all();
        while !state.ended && state.tasks.values().any(|known| known.pending.is_some()) {
            let Some(left) = end.checked_duration_since(Instant::now()) else { break };
            state = self.wait_for(state, left);
        }
        let left = |(task, known): (&TaskId, &Task)| {
            let (pending, error) = (known.pending?, known.last_error.as_deref());
            let why = error.unwrap_or("there was not enough time");
            Some(format!("{} of task {task} ({why})", shown(&pending.name)))
        };
        let left: Vec<String> = state.tasks.iter().filter_map(left).collect();
        drop(state);
        self.end();
        if left.is_empty() {
            return Ok(());
        }
        let store = self.remote.address().to_owned();
        Err(Error::NotReplicated { store, checkpoints: left, wait_max_ms })
    }

    /// Ends the thread as soon as it is done with what it is doing.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// The thread.
    pub fn serve(&self) {
        let mut objects = BTreeSet::new();
        let mut state = self.lock();
        while !state.ended {
            let now = Instant::now();
            let due = |known: &Task| known.not_before.is_none_or(|then| then <= now);
            let ready = state.tasks.iter().filter(|(_, known)| due(known));
            let ready = ready.filter_map(|(task, known)| Some((task, known, known.pending?)));
            let next = ready.min_by_key(|(_, known, _)| known.behind_since_ms);
            let Some((task, known, pending)) = next else {
                let times = state.tasks.values().filter(|known| known.pending.is_some());
                let wake = times.filter_map(|known| known.not_before).min();
                let pause = wake.map(|then| then.saturating_duration_since(now));
                state = self.wait_for(state, pause.unwrap_or(Duration::from_secs(3600)));
                continue;
            };
            let keep = if known.keep == 0 { KEEP } else { known.keep };
            let (task, name, copied) = (task.clone(), pending.name, known.copied);
            if let Some(known) = state.tasks.get_mut(&task) {
                known.copying = Some(name);
            }
            drop(state);
            let job = Job { task, name, keep, copied };
            let outcome = self.copy(&job, &mut objects);
            state = self.lock();
            self.note(&mut state, &job, outcome);
            self.changed.notify_all();
        }
    }

    /// Takes note of what became of a copy; on success, of what the remote store now holds.
    fn note(&self, state: &mut State, job: &Job, outcome: Result<Vec<Header>, Error>) {
        let Some(known) = state.tasks.get_mut(&job.task) else { return };
        known.copying = None;
        let is_newest = known.pending.is_some_and(|pending| pending.name == job.name);
        let done = match outcome {
            Ok(retained) => {
                known.newest_remote = Some(job.name);
                known.copied = Some(job.name);
                known.retained = Some(retained);
                (known.last_error, known.superseded_by) = (None, None);
                true
            }
            Err(error) => {
                let (task, text) = (&job.task, error.to_string());
                known.failures_total += 1;
                // If it was for want of something that it was to refer to, the next one is whole.
                known.copied = None;
                known.last_error = Some(text);
                match error {
                    Error::Superseded { by, .. } => {
                        tracing::error!(%task, %error, "checkpoint is not copied");
                        known.newest_remote = Some(by);
                        known.superseded_by = Some(by);
                        true
                    }
                    error => {
                        tracing::warn!(%task, %error, "failed to copy a checkpoint, trying again");
                        false
                    }
                }
            }
        };
        if done {
            (known.attempts, known.not_before) = (0, None);
            match known.pending {
                Some(pending) if !is_newest => {
                    known.behind_since_ms = pending.written_ms;
                }
                _ => known.pending = None,
            }
            return;
        }
        known.skipped_total += u64::from(!is_newest);
        let longest = self.options.backoff_min_ms.saturating_mul(1 << known.attempts.min(20));
        let longest = longest.min(self.options.backoff_max_ms).max(1);
        known.attempts = known.attempts.saturating_add(1);
        let wait = RandomState::new().hash_one(known.attempts) % longest;
        known.not_before = Some(Instant::now() + Duration::from_millis(wait));
    }

    /// Copies one checkpoint and tidies up behind it. Returns what the remote store then holds.
    fn copy(&self, job: &Job, objects: &mut BTreeSet<String>) -> Result<Vec<Header>, Error> {
        let Job { task, name, keep, copied } = job;
        let by = self.remote.names(task)?.first().copied();
        match by {
            Some(by) if by.epoch > name.epoch => {
                return Err(Error::Superseded { task: task.clone(), name: *name, by });
            }
            // A later one of this owner's is there: all the better.
            Some(by) if by > *name => return Ok(self.remote.keep(task, *keep)?.headers),
            _ => {}
        }
        let checkpoint = self.local.read(task, *name)?;
        for operator in &checkpoint.header.operators {
            for digest in [&operator.digest.component, &operator.digest.configuration] {
                if !objects.contains(digest) {
                    self.remote.put_object(&self.local.object(digest)?)?;
                    objects.insert(digest.clone());
                }
            }
        }
        // Only what this owner copied is referred to: no other owner can tidy it away.
        let base = copied.filter(|copied| by == Some(*copied) && copied.epoch == name.epoch);
        let held = match base {
            Some(base) if base != *name => self.remote.sums(task, base)?,
            _ => BTreeMap::new(),
        };
        let part = |(key, data): (_, Vec<u8>)| {
            let same = held.get(&key) == Some(&(data.len() as u64, manifest::sum(&data)));
            DraftPart { key, data: (!same).then(|| bytes(data)) }
        };
        let Checkpoint { header, core, parts } = checkpoint;
        let parts = parts.into_iter().map(part).collect();
        match self.remote.write(&Draft { header, core, base, parts }) {
            // Ours if it is the same: an answer was lost, or the process was killed in between.
            Err(error @ Error::Exists { .. }) => {
                if self.remote.read(task, *name)? != self.local.read(task, *name)? {
                    return Err(error);
                }
            }
            outcome => drop(outcome?),
        }
        Ok(self.remote.keep(task, *keep)?.headers)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for<'a>(&self, state: MutexGuard<'a, State>, pause: Duration) -> MutexGuard<'a, State> {
        match self.changed.wait_timeout(state, pause) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }
}
