//! The store in an object store: S3 and what speaks like it, Google's, Azure's, a folder. The same
//! files under the same names as in `local`, each created only once and read back. Never takes
//! silence for emptiness, and never shows a credential.
//!
//! ```text
//! <prefix>/tasks/<stage>/<partition>/<epoch>-<sequence>.ckpt   as in a folder
//! <prefix>/objects/<sha-256>
//! <prefix>/.../<name>.<16 hex digits>.data                     bytes of a large one, see `objects`
//! ```
//!
//! Since the epoch is part of the name, a slot that was tidied up is never opened again: an owner
//! of long ago that wakes up can only create what is older than all that counts.

mod address;
mod client;
mod driver;
mod failure;
mod objects;
mod reader;
mod upload;

use crate::checkpoint::{Checkpoint, Draft, Header, PartKey};
use crate::error::Error;
use crate::local::LocalStore;
use crate::store::{Found, Kept, RecoveryPath, Store, Written, newest_of};
use driver::Driver;
use objects::Objects;
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How to speak to a remote store. Each time-out and count is a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Options by the names that `object_store` knows (`aws_endpoint`, `region`, ...); they win
    /// over the environment (`AWS_...`, `GOOGLE_...`, `AZURE_...`).
    pub options: BTreeMap<String, String>,
    /// How long one request may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long connecting may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How often a request is tried again within one operation.
    pub retries_max: usize,
    /// How long one operation may take, all its tries together, in milliseconds. Writing a large
    /// file is one operation per part.
    pub operation_timeout_ms: u64,
    /// Larger files are sent in parts of this many bytes. Most stores want 5 MiB at least.
    pub part_bytes: usize,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            options: BTreeMap::new(),
            request_timeout_ms: 30_000,
            connect_timeout_ms: 5_000,
            retries_max: 3,
            operation_timeout_ms: 120_000,
            part_bytes: 8 << 20,
        }
    }
}

/// A checkpoint store in an object store.
pub struct RemoteStore {
    /// All that is said in `local` about files holds here as well.
    store: LocalStore,
    shown: String,
}

impl RemoteStore {
    /// The store of `pipeline` at `address`: `s3://bucket/prefix`, `gs://`, `az://`,
    /// `file:///folder`, or `memory:///` for tests. Asks nothing of it yet.
    pub fn open(
        address: &str,
        pipeline: impl Into<String>,
        options: &RemoteOptions,
    ) -> Result<Self, Error> {
        // `reqwest` takes the provider of the process; if there is one already, that is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        Self::on(address::open(address, options)?, pipeline, options)
    }

    fn on(
        opened: address::Opened,
        pipeline: impl Into<String>,
        options: &RemoteOptions,
    ) -> Result<Self, Error> {
        let shown = opened.shown.clone();
        let root = PathBuf::from(&shown);
        let driver = Driver::start(Duration::from_millis(options.operation_timeout_ms))
            .map_err(|error| Error::io("start a thread for", &root, error))?;
        let objects = Objects::new(opened, driver, root.clone(), options);
        let store = LocalStore::new(root, pipeline).with_files(Arc::new(objects));
        Ok(Self { store, shown })
    }

    /// On a store that tests have in their hands.
    #[cfg(test)]
    pub(crate) fn on_object_store(
        store: Arc<dyn object_store::ObjectStore>,
        pipeline: &str,
        options: &RemoteOptions,
    ) -> Self {
        let prefix = object_store::path::Path::from("prefix");
        let shown = "test://store/prefix".to_owned();
        let opened = address::Opened { store, prefix, shown, secrets: Default::default() };
        Self::on(opened, pipeline, options).unwrap()
    }

    /// The address, without credentials.
    pub fn address(&self) -> &str {
        &self.shown
    }

    /// Length and sum of each part of a checkpoint.
    pub(crate) fn sums(
        &self,
        task: &TaskId,
        name: CheckpointName,
    ) -> Result<BTreeMap<PartKey, (u64, u128)>, Error> {
        self.store.sums(task, name)
    }
}

impl Store for RemoteStore {
    fn take_over(&self, task: &TaskId) -> Result<(), Error> {
        self.store.take_over(task)
    }

    fn write(&self, draft: &Draft) -> Result<Written, Error> {
        self.store.write(draft)
    }

    fn names(&self, task: &TaskId) -> Result<Vec<CheckpointName>, Error> {
        self.store.names(task)
    }

    fn header(&self, task: &TaskId, name: CheckpointName) -> Result<Header, Error> {
        self.store.header(task, name)
    }

    fn read(&self, task: &TaskId, name: CheckpointName) -> Result<Checkpoint, Error> {
        self.store.read(task, name)
    }

    fn keep(&self, task: &TaskId, newest: usize) -> Result<Kept, Error> {
        self.store.keep(task, newest)
    }

    fn put_object(&self, bytes: &[u8]) -> Result<String, Error> {
        self.store.put_object(bytes)
    }

    fn object(&self, digest: &str) -> Result<Vec<u8>, Error> {
        self.store.object(digest)
    }

    fn newest(&self, task: &TaskId) -> Result<Found, Error> {
        newest_of(self, task, RecoveryPath::Remote)
    }
}

#[cfg(test)]
pub(crate) mod faulty;
#[cfg(test)]
mod tests;
