//! Two tiers: a store on this machine, which is fast and decides, and a remote one, which survives
//! the machine. What is written is durable locally; a thread copies it to the remote store, and
//! neither slowness nor failure there ever holds a task up. Recovery takes the highest valid
//! checkpoint of both; a remote store that does not answer is never taken for an empty one.
//!
//! **What may be let go (AL-2).** Whoever loses this machine restores what the remote store holds,
//! so input and decisions are needed from the neediest checkpoint of *both* tiers on: see
//! `Kept::floor`. What the remote store holds is what it told after the last copy; until it told
//! anything, or while it holds fewer checkpoints than are to be kept, nothing is let go. So a
//! remote store that is down for long costs room for input, never data.
//!
//! **Whom the remote store believes (FN-1).** A copy is made only if no checkpoint of a higher
//! epoch is there, and refers only to files of its own epoch: an owner of long ago that wakes up
//! and tidies can therefore never take away what its successor's checkpoints need.

mod replicator;
mod status;

use crate::checkpoint::{Checkpoint, Draft, Header};
use crate::error::Error;
use crate::local::LocalStore;
use crate::remote::RemoteStore;
use crate::store::{Floor, Found, Kept, RecoveryPath, Store, Written};
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use replicator::Shared;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use status::{Replication, TaskReplication};

/// Which tiers a recovery looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// Both; the highest valid checkpoint wins, the local one if both hold it.
    #[default]
    Hybrid,
    /// The local one only, even if the remote one does not answer; epochs are then claimed above
    /// what is known locally, and an owner elsewhere may have gone further.
    Local,
    /// The remote one only, whatever lies locally.
    Remote,
}

impl Recovery {
    /// The mode of this name: `hybrid`, `local` or `remote`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "hybrid" => Some(Self::Hybrid),
            "local" => Some(Self::Local),
            "remote" => Some(Self::Remote),
            _ => None,
        }
    }
}

/// How two tiers work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TieredOptions {
    /// Which tiers a recovery looks at.
    pub recovery: Recovery,
    /// The longest wait after the first failed copy, in milliseconds; it doubles with each
    /// failure. The wait itself is anywhere between nothing and that.
    pub backoff_min_ms: u64,
    /// The longest wait ever, in milliseconds.
    pub backoff_max_ms: u64,
}

impl Default for TieredOptions {
    fn default() -> Self {
        Self { recovery: Recovery::Hybrid, backoff_min_ms: 500, backoff_max_ms: 60_000 }
    }
}

/// The host's clock: milliseconds since the Unix epoch.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A local store and a remote one.
pub struct TieredStore {
    shared: Arc<Shared>,
}

impl TieredStore {
    /// Starts the thread that copies. It ends with this value.
    pub fn start(
        local: LocalStore,
        remote: RemoteStore,
        options: TieredOptions,
        now: Now,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(local, remote, options, now));
        let working = Arc::clone(&shared);
        let address = shared.remote.address().to_owned();
        std::thread::Builder::new()
            .name("replicator".to_owned())
            .spawn(move || working.serve())
            .map_err(|error| Error::io("start a thread for", address, error))?;
        Ok(Self { shared })
    }

    /// A handle that tells how far the copies are.
    pub fn replication(&self) -> Replication {
        Replication::new(Arc::clone(&self.shared))
    }

    /// Ends the copying: waits, at most so many milliseconds, until the newest checkpoint of each
    /// task is in the remote store. An error names the tasks of which it is not. What is written
    /// afterwards stays local.
    pub fn close(&self, wait_max_ms: u64) -> Result<(), Error> {
        self.shared.close(wait_max_ms)
    }

    /// Names in the remote store; in mode `local` none if it does not answer.
    fn remote_names(&self, task: &TaskId) -> Result<Vec<CheckpointName>, Error> {
        self.unless_local(self.shared.remote.names(task))
    }

    fn unless_local<T: Default>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        match answer {
            Err(error) if self.shared.options.recovery == Recovery::Local => {
                tracing::warn!(%error, "the remote checkpoint store is left out, as asked for");
                Ok(T::default())
            }
            answer => answer,
        }
    }

    /// A read of both tiers: the remote one has what the local one has not, or only damaged.
    fn either<T>(&self, read: impl Fn(&dyn Store) -> Result<T, Error>) -> Result<T, Error> {
        match read(&self.shared.local) {
            Err(local) if local.is_damage() => match read(&self.shared.remote) {
                Err(remote) if remote.is_damage() => Err(local),
                answer => answer,
            },
            answer => answer,
        }
    }

    fn newest_of_both(&self, task: &TaskId) -> Result<Found, Error> {
        let local: BTreeSet<CheckpointName> = self.shared.local.names(task)?.into_iter().collect();
        let remote: BTreeSet<CheckpointName> =
            self.shared.remote.names(task)?.into_iter().collect();
        let both: BTreeSet<&CheckpointName> = local.union(&remote).collect();
        let mut rejected = Vec::new();
        for name in both.into_iter().rev() {
            let tiers: [(bool, &dyn Store, RecoveryPath); 2] = [
                (local.contains(name), &self.shared.local, RecoveryPath::Local),
                (remote.contains(name), &self.shared.remote, RecoveryPath::Remote),
            ];
            for (has, tier, path) in tiers {
                match has.then(|| tier.read(task, *name)) {
                    None => {}
                    Some(Ok(checkpoint)) => {
                        return Ok(Found { checkpoint: Some(checkpoint), rejected, path });
                    }
                    Some(Err(error)) if error.is_damage() => rejected.push((*name, error)),
                    Some(Err(error)) => return Err(error),
                }
            }
        }
        Ok(Found { checkpoint: None, rejected, path: RecoveryPath::Fresh })
    }

    /// Brings a checkpoint and its objects to this machine: what its owner writes next may refer
    /// to it, and the next recovery need not go far.
    fn fetch(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        for operator in &checkpoint.header.operators {
            for digest in [&operator.digest.component, &operator.digest.configuration] {
                match self.object(digest) {
                    // Whoever needs it will say so; it may have it from elsewhere.
                    Err(error) if error.is_damage() => {
                        tracing::error!(%error, "what a checkpoint ran with is nowhere");
                    }
                    fetched => drop(fetched?),
                }
            }
        }
        self.shared.local.adopt(checkpoint)
    }
}

impl Drop for TieredStore {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl Store for TieredStore {
    fn take_over(&self, task: &TaskId) -> Result<(), Error> {
        self.shared.local.take_over(task)?;
        self.unless_local(self.shared.remote.take_over(task))?;
        let local = self.shared.local.names(task)?.first().copied();
        let remote = self.remote_names(task)?.first().copied();
        self.shared.taken_over(task, local, remote);
        Ok(())
    }

    fn write(&self, draft: &Draft) -> Result<Written, Error> {
        let written = self.shared.local.write(draft)?;
        self.shared.enqueue(&draft.header.task, draft.header.name);
        Ok(written)
    }

    fn names(&self, task: &TaskId) -> Result<Vec<CheckpointName>, Error> {
        let mut names = self.shared.local.names(task)?;
        names.extend(self.remote_names(task)?);
        names.sort_unstable_by(|a, b| b.cmp(a));
        names.dedup();
        Ok(names)
    }

    fn header(&self, task: &TaskId, name: CheckpointName) -> Result<Header, Error> {
        self.either(|tier| tier.header(task, name))
    }

    fn read(&self, task: &TaskId, name: CheckpointName) -> Result<Checkpoint, Error> {
        self.either(|tier| tier.read(task, name))
    }

    /// Tidies the local tier; the remote one is tidied after each copy, and keeps as many.
    fn keep(&self, task: &TaskId, newest: usize) -> Result<Kept, Error> {
        let Kept { headers, floor, removed } = self.shared.local.keep(task, newest)?;
        let retained = self.shared.retained(task, newest.max(1));
        let floor = match (floor, &retained) {
            (Some(floor), Some(headers)) if headers.len() >= newest.max(1) => {
                Floor::of(headers.iter()).map(|remote| remote.lower(floor))
            }
            _ => None,
        };
        let both = headers.into_iter().chain(retained.unwrap_or_default());
        let by_name: BTreeMap<CheckpointName, Header> =
            both.map(|header| (header.name, header)).collect();
        Ok(Kept { headers: by_name.into_values().rev().collect(), floor, removed })
    }

    fn put_object(&self, bytes: &[u8]) -> Result<String, Error> {
        self.shared.local.put_object(bytes)
    }

    fn object(&self, digest: &str) -> Result<Vec<u8>, Error> {
        match self.shared.local.object(digest) {
            Err(local) if local.is_damage() => match self.shared.remote.object(digest) {
                Ok(bytes) => {
                    // Who only looks changes nothing.
                    if self.shared.has_taken_over() {
                        self.shared.local.put_object(&bytes)?;
                    }
                    Ok(bytes)
                }
                Err(remote) if remote.is_damage() => Err(local),
                Err(remote) => Err(remote),
            },
            answer => answer,
        }
    }

    fn newest(&self, task: &TaskId) -> Result<Found, Error> {
        let found = match self.shared.options.recovery {
            Recovery::Hybrid => self.newest_of_both(task)?,
            Recovery::Local => self.shared.local.newest(task)?,
            Recovery::Remote => self.shared.remote.newest(task)?,
        };
        if let (Some(checkpoint), RecoveryPath::Remote) = (&found.checkpoint, found.path)
            && self.shared.is_taken_over(task)
        {
            self.fetch(checkpoint)?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
