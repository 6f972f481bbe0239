//! The checkpoint store as the pipeline file wants it: the local disk, and beside it the remote
//! tier if there is one.

use crate::checkpointer::crash_hook;
use crate::clock::Clock;
use crate::error::Error;
use pawl_checkpoint::{
    LocalStore, Recovery, RemoteOptions, RemoteStore, Replication, Store, TieredOptions,
    TieredStore,
};
use pawl_pipeline::{Pipeline, RecoveryMode, Remote};
use std::sync::Arc;

/// The store of a run.
pub(crate) struct Tiers {
    pub store: Arc<dyn Store>,
    /// The remote tier's part, if there is one.
    tiered: Option<(Arc<TieredStore>, u64)>,
}

/// The pipeline's local checkpoint store.
pub fn store_of(pipeline: &Pipeline) -> LocalStore {
    LocalStore::new(pipeline.data.join("checkpoints"), &pipeline.name)
}

/// The remote tier of the pipeline's checkpoints. It is not asked anything yet.
pub fn remote_store_of(pipeline: &Pipeline, remote: &Remote) -> Result<RemoteStore, Error> {
    Ok(RemoteStore::open(&remote.url, &pipeline.name, &options_of(remote))?)
}

impl Tiers {
    /// Opens both tiers. The remote one is not asked anything yet.
    pub fn open(pipeline: &Pipeline, clock: &Arc<dyn Clock>) -> Result<Self, Error> {
        let local = store_of(pipeline).with_hook(Box::new(crash_hook));
        let Some(remote) = &pipeline.checkpoint.remote else {
            return Ok(Self { store: Arc::new(local), tiered: None });
        };
        let clock = Arc::clone(clock);
        let options = TieredOptions { recovery: mode(remote.recovery), ..TieredOptions::default() };
        let far = remote_store_of(pipeline, remote)?;
        let now = Arc::new(move || clock.now_ms());
        let tiered = Arc::new(TieredStore::start(local, far, options, now)?);
        let store: Arc<dyn Store> = Arc::<TieredStore>::clone(&tiered);
        Ok(Self { store, tiered: Some((tiered, remote.drain_time_max_ms)) })
    }

    /// How far the copies in the remote tier are.
    pub fn replication(&self) -> Option<Replication> {
        self.tiered.as_ref().map(|(tiered, _)| tiered.replication())
    }

    /// Waits, within its bound, until the newest checkpoints are in the remote tier. If they are
    /// not in the end, that is said and no failure: they are on this machine.
    pub fn close(&self) {
        if let Some((tiered, wait_max_ms)) = &self.tiered
            && let Err(error) = tiered.close(*wait_max_ms)
        {
            tracing::error!(%error, "checkpoints are not all in the remote tier");
        }
    }
}

fn mode(mode: RecoveryMode) -> Recovery {
    match mode {
        RecoveryMode::Hybrid => Recovery::Hybrid,
        RecoveryMode::Local => Recovery::Local,
        RecoveryMode::Remote => Recovery::Remote,
    }
}

fn options_of(remote: &Remote) -> RemoteOptions {
    RemoteOptions {
        options: remote.options.clone(),
        request_timeout_ms: remote.timeout_ms,
        ..RemoteOptions::default()
    }
}
