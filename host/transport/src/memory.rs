//! A transport that lives as long as its value: for fast tests of what stands on a transport, and
//! to show that the suite asks nothing that only SQLite does. Never for anything that must last.

use crate::error::{Class, Error};
use crate::order::{Mark, Order};
use crate::ticket::Ticket;
use crate::transport::{
    Dropped, ReadMax, Recovery, Retained, Topic, Transport, Trimmed, check_commit, goes_on, place,
    without_place,
};
use pawl_core::commit::{Commit, CommitBatch, TaskId};
use pawl_core::decision::Decision;
use pawl_core::record::{LogBatch, Offset, Producer, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Batches dropped in one call at most; small, so that tests meet `more`.
const DROP_BATCHES_MAX: usize = 64;

/// The transport in memory. Each value is a log of its own.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    appended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    identity: String,
    topics: BTreeMap<String, Vec<Log>>,
    tasks: BTreeMap<TaskId, Task>,
    generations: Vec<Vec<Producer>>,
    batches: u64,
    order: Order,
    fault: Option<Error>,
    poison: Option<String>,
}

#[derive(Debug)]
struct Log {
    first: Offset,
    end: Offset,
    timestamp: Timestamp,
    batches: VecDeque<Stored>,
}

#[derive(Debug)]
struct Stored {
    /// Ascends over all partitions in the order of the appends.
    number: u64,
    bytes: usize,
    batch: LogBatch,
}

#[derive(Debug, Default)]
struct Task {
    epoch: u64,
    commit: Option<Commit>,
    decisions: BTreeMap<u64, Decision>,
}

impl Memory {
    /// An empty transport.
    pub fn new() -> Self {
        let state = State { identity: random_identity(), ..State::default() };
        Self { state: Mutex::new(state), appended: Condvar::new() }
    }

    /// Lets the next writing call fail with `error` and store nothing. After a fatal one every
    /// later call fails, as with a disk.
    pub fn fail_next_write(&self, error: Error) {
        self.locked().fault = Some(error);
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // A panic of another thread leaves whole values behind: each change is checked before it
        // is made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.locked();
        match &state.poison {
            Some(first) => Err(Error::Poisoned { first: first.clone() }),
            None => Ok(state),
        }
    }

    fn writing(&self) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.reading()?;
        match state.fault.take() {
            Some(error) => {
                if error.class() == Class::Fatal {
                    state.poison = Some(error.to_string());
                }
                Err(error)
            }
            None => Ok(state),
        }
    }

    fn commit(&self, batch: CommitBatch, now_ms: Timestamp) -> Result<(), Error> {
        check_commit(&batch)?;
        let mut appends = Vec::new();
        for append in batch.appends {
            appends.push((append.topic, append.partition, checked(append.batch)?));
        }
        let mut state = self.writing()?;
        state.check_owner(&batch.task, &batch.commit, &batch.decisions)?;
        for (topic, partition, _) in &appends {
            state.log(topic, *partition)?;
        }
        for (topic, partition, rows) in appends {
            state.append(&topic, partition, rows, now_ms)?;
        }
        let task = state.tasks.entry(batch.task).or_default();
        task.decisions.extend(batch.decisions.into_iter().map(|one| (one.number, one)));
        task.commit = Some(batch.commit);
        drop(state);
        self.appended.notify_all();
        Ok(())
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn topic(&self, topic: &str) -> Result<&Vec<Log>, Error> {
        self.topics.get(topic).ok_or_else(|| Error::UnknownTopic { topic: topic.to_owned() })
    }

    fn log(&self, topic: &str, partition: u32) -> Result<&Log, Error> {
        let logs = self.topic(topic)?;
        logs.get(partition as usize).ok_or_else(|| Error::UnknownPartition {
            topic: topic.to_owned(),
            partition,
            partitions: logs.len() as u32,
        })
    }

    fn log_mut(&mut self, topic: &str, partition: u32) -> Result<&mut Log, Error> {
        self.log(topic, partition)?;
        self.topics
            .get_mut(topic)
            .and_then(|logs| logs.get_mut(partition as usize))
            .ok_or_else(|| Error::UnknownTopic { topic: topic.to_owned() })
    }

    fn append(
        &mut self,
        topic: &str,
        partition: u32,
        mut batch: LogBatch,
        now_ms: Timestamp,
    ) -> Result<Offset, Error> {
        self.batches += 1;
        let number = self.batches;
        let log = self.log_mut(topic, partition)?;
        let base = log.end;
        if batch.rows() == 0 {
            return Ok(base);
        }
        log.timestamp = log.timestamp.max(now_ms);
        place(&mut batch, base, log.timestamp);
        log.end = batch.end();
        log.batches.push_back(Stored { number, bytes: batch.records.bytes(), batch });
        Ok(base)
    }

    fn check_owner(
        &self,
        task: &TaskId,
        commit: &Commit,
        decisions: &[Decision],
    ) -> Result<(), Error> {
        let stored = self.tasks.get(task);
        let newest = stored.map_or(0, |stored| stored.epoch);
        let Some(stored) = stored.filter(|_| newest == commit.epoch) else {
            return Err(Error::Fenced { task: task.clone(), epoch: commit.epoch, newest });
        };
        if let Some(last) = &stored.commit
            && !goes_on(&last.progress, &commit.progress)
        {
            return Err(Error::Backwards {
                task: task.clone(),
                stored: last.progress,
                given: commit.progress,
            });
        }
        let differs =
            |one: &&Decision| stored.decisions.get(&one.number).is_some_and(|kept| kept != *one);
        match decisions.iter().find(differs) {
            Some(one) => Err(Error::DecisionDiffers { task: task.clone(), number: one.number }),
            None => Ok(()),
        }
    }
}

fn random_identity() -> String {
    // Its keys are random numbers of the operating system, and differ for each value.
    let random = RandomState::new();
    format!("{:016x}{:016x}", random.hash_one(0), random.hash_one(1))
}

impl Log {
    fn new() -> Self {
        Self { first: 0, end: 0, timestamp: Timestamp::MIN, batches: VecDeque::new() }
    }

    fn drop_first(&mut self) -> Option<Stored> {
        let dropped = self.batches.pop_front()?;
        self.first = dropped.batch.end();
        Some(dropped)
    }
}

fn checked(batch: LogBatch) -> Result<LogBatch, Error> {
    let batch = without_place(batch);
    batch.check().map_err(|what| Error::Invalid { what })?;
    Ok(batch)
}

impl Transport for Memory {
    fn identity(&self) -> Result<String, Error> {
        Ok(self.locked().identity.clone())
    }

    fn become_another(&self) -> Result<(), Error> {
        self.writing()?.identity = random_identity();
        Ok(())
    }

    fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), Error> {
        if partitions == 0 {
            return Err(Error::Invalid { what: format!("topic {topic} without partitions") });
        }
        let mut state = self.writing()?;
        let logs = state.topics.entry(topic.to_owned()).or_default();
        let stored = logs.len() as u32;
        if stored > partitions {
            let topic = topic.to_owned();
            return Err(Error::PartitionsShrink { topic, stored, asked: partitions });
        }
        logs.resize_with(partitions as usize, Log::new);
        Ok(())
    }

    fn topics(&self) -> Result<Vec<Topic>, Error> {
        let state = self.reading()?;
        let topic = |(name, logs): (&String, &Vec<Log>)| Topic {
            name: name.clone(),
            partitions: logs.len() as u32,
        };
        Ok(state.topics.iter().map(topic).collect())
    }

    fn partitions(&self, topic: &str) -> Result<u32, Error> {
        Ok(self.reading()?.topic(topic)?.len() as u32)
    }

    fn range(&self, topic: &str, partition: u32) -> Result<(Offset, Offset), Error> {
        let state = self.reading()?;
        let log = state.log(topic, partition)?;
        Ok((log.first, log.end))
    }

    fn read(
        &self,
        topic: &str,
        partition: u32,
        from: Offset,
        max: ReadMax,
    ) -> Result<Vec<LogBatch>, Error> {
        let state = self.reading()?;
        let log = state.log(topic, partition)?;
        let (first, end, topic) = (log.first, log.end, topic.to_owned());
        if from < first {
            return Err(Error::Trimmed { topic, partition, from, first });
        }
        if from > end {
            return Err(Error::BeyondEnd { topic, partition, from, end });
        }
        let start = log.batches.partition_point(|stored| stored.batch.end() <= from);
        let (mut rows, mut bytes, mut found) = (0, 0, Vec::new());
        for stored in log.batches.iter().skip(start) {
            rows += stored.batch.rows();
            bytes += stored.bytes;
            if !found.is_empty() && (rows > max.records || bytes > max.bytes) {
                break;
            }
            found.push(stored.batch.clone());
        }
        Ok(found)
    }

    fn produce(
        &self,
        topic: &str,
        partition: u32,
        batch: LogBatch,
        now_ms: Timestamp,
    ) -> Result<Offset, Error> {
        let batch = checked(batch)?;
        let base = self.writing()?.append(topic, partition, batch, now_ms)?;
        self.appended.notify_all();
        Ok(base)
    }

    fn claim(&self, task: &TaskId, above: u64) -> Result<u64, Error> {
        let mut state = self.writing()?;
        let task = state.tasks.entry(task.clone()).or_default();
        let next = task.epoch.max(above).checked_add(1);
        task.epoch = next.ok_or_else(|| Error::Invalid { what: format!("epoch {above}") })?;
        Ok(task.epoch)
    }

    fn recovery(&self, task: &TaskId) -> Result<Recovery, Error> {
        let state = self.reading()?;
        let recovery = state.tasks.get(task).map(|task| Recovery {
            commit: task.commit.clone(),
            decisions: task.decisions.values().cloned().collect(),
        });
        Ok(recovery.unwrap_or_default())
    }

    fn submit(&self, batch: CommitBatch, now_ms: Timestamp) -> Ticket {
        let mark = Mark::of(&batch);
        let ready = self.locked().order.check(Some(&mark));
        let outcome = ready.and_then(|()| self.commit(batch, now_ms));
        self.locked().order.settle(Some(mark), outcome.is_ok());
        Ticket::settled(outcome)
    }

    fn prune_decisions(&self, task: &TaskId, below: u64) -> Result<(), Error> {
        if let Some(task) = self.writing()?.tasks.get_mut(task) {
            task.decisions = task.decisions.split_off(&below);
        }
        Ok(())
    }

    fn trim(&self, topic: &str, partition: u32, below: Offset) -> Result<Trimmed, Error> {
        let mut state = self.writing()?;
        let log = state.log_mut(topic, partition)?;
        let whole = |log: &Log| log.batches.front().is_some_and(|one| one.batch.end() <= below);
        let mut dropped = 0;
        while whole(log) && dropped < DROP_BATCHES_MAX {
            log.drop_first();
            dropped += 1;
        }
        Ok(Trimmed { first: log.first, more: whole(log) })
    }

    fn retained(&self, topic: &str) -> Result<Retained, Error> {
        Ok(retained(self.reading()?.topic(topic)?))
    }

    fn drop_oldest(&self, topic: &str, max: Retained) -> Result<Dropped, Error> {
        let mut state = self.writing()?;
        state.topic(topic)?;
        let logs = state.topics.entry(topic.to_owned()).or_default();
        let mut dropped = Dropped::default();
        for _ in 0..DROP_BATCHES_MAX {
            // The newest batch stays, however large.
            if within(retained(logs), max)
                || logs.iter().map(|log| log.batches.len()).sum::<usize>() <= 1
            {
                return Ok(dropped);
            }
            let age = |log: &&mut Log| log.batches.front().map_or(u64::MAX, |one| one.number);
            let Some(oldest) = logs.iter_mut().min_by_key(age).and_then(Log::drop_first) else {
                break;
            };
            dropped.records += oldest.batch.records.len() as u64;
        }
        dropped.more = !within(retained(logs), max);
        Ok(dropped)
    }

    fn generation(&self, producers: &[Producer]) -> Result<u64, Error> {
        let mut sorted = producers.to_vec();
        sorted.sort();
        sorted.dedup();
        let mut state = self.writing()?;
        if state.generations.last() != Some(&sorted) {
            state.generations.push(sorted);
        }
        Ok(state.generations.len() as u64)
    }

    fn wait(
        &self,
        topic: &str,
        partition: u32,
        beyond: Offset,
        timeout: Duration,
    ) -> Result<bool, Error> {
        let start = Instant::now();
        let mut state = self.reading()?;
        loop {
            if state.log(topic, partition)?.end > beyond {
                return Ok(true);
            }
            let Some(left) = timeout.checked_sub(start.elapsed()) else {
                return Ok(false);
            };
            let woken = self.appended.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn retained(logs: &[Log]) -> Retained {
    let mut sum = Retained::default();
    for stored in logs.iter().flat_map(|log| &log.batches) {
        sum.records += stored.batch.records.len() as u64;
        sum.bytes += stored.bytes as u64;
    }
    sum
}

fn within(kept: Retained, max: Retained) -> bool {
    kept.records <= max.records && kept.bytes <= max.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StorageKind;

    #[test]
    fn memory_passes_the_suite() {
        crate::suite::all(&mut || Box::new(Memory::new()));
    }

    #[test]
    fn after_a_fatal_fault_nothing_is_accepted() {
        let memory = Memory::new();
        memory.create_topic("a", 1).unwrap();
        memory.fail_next_write(Error::Busy { doing: "commit" });
        assert_eq!(memory.claim(&task(), 0).unwrap_err().class(), Class::Transient);
        assert_eq!(memory.claim(&task(), 0), Ok(1));
        memory.fail_next_write(Error::Storage {
            path: "x".into(),
            doing: "write",
            kind: StorageKind::Full,
            what: "full".to_owned(),
        });
        assert_eq!(memory.claim(&task(), 0).unwrap_err().class(), Class::Fatal);
        assert!(matches!(memory.topics(), Err(Error::Poisoned { .. })));
    }

    fn task() -> TaskId {
        TaskId { stage: "s".to_owned(), partition: 0 }
    }
}
