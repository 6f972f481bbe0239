//! What is asked of an object store, each a call that waits and has a bound. Nothing here knows
//! what the objects mean; nothing is ever written over.

use super::RemoteOptions;
use super::address::Opened;
use super::driver::Driver;
use super::failure::{Failure, Secrets};
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _,
    PutMode, PutOptions, PutPayload,
};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Objects are read in pieces of this size, after their beginning.
pub(super) const BLOCK_BYTES: u64 = 16 << 20;

/// Most manifests end before, so that one can be read without the state behind it.
const BEGINNING_BYTES: u64 = 64 << 10;

/// An object store and how to speak to it.
pub(super) struct Client {
    store: Arc<dyn ObjectStore>,
    driver: Driver,
    prefix: Path,
    secrets: Secrets,
    retries_max: usize,
    pub part_bytes: usize,
}

/// The beginning of an object, which may be all of it.
pub(super) struct Beginning {
    pub bytes: Vec<u8>,
    /// Of the whole object.
    pub size: u64,
}

impl Client {
    pub fn new(opened: Opened, driver: Driver, options: &RemoteOptions) -> Self {
        let Opened { store, prefix, secrets, .. } = opened;
        let (retries_max, part_bytes) = (options.retries_max, options.part_bytes.max(1));
        Self { store, driver, prefix, secrets, retries_max, part_bytes }
    }

    /// The place of `relative`, whose components are ours and well-behaved.
    pub fn place(&self, relative: &str) -> io::Result<Path> {
        let whole = format!("{}/{relative}", self.prefix);
        Path::parse(&whole).map_err(|error| io::Error::other(error.to_string()))
    }

    /// The names of the objects directly in a folder.
    pub fn list(&self, folder: Path) -> io::Result<Vec<String>> {
        let store = Arc::clone(&self.store);
        let listed = self.driver.run(async move { store.list_with_delimiter(Some(&folder)).await });
        let listed = listed.map_err(|failure| failure.into_io_without_place(&self.secrets))?;
        let name = |meta: &object_store::ObjectMeta| meta.location.filename().map(str::to_owned);
        Ok(listed.objects.iter().filter_map(name).collect())
    }

    /// How large an object is, if it is there.
    pub fn size(&self, at: Path) -> io::Result<Option<u64>> {
        let store = Arc::clone(&self.store);
        match self.driver.run(async move { store.head(&at).await }) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(failure) if failure.is_absent() => Ok(None),
            Err(failure) => Err(failure.into_io(&self.secrets)),
        }
    }

    /// The first bytes of an object, and how large it is.
    pub fn beginning(&self, at: Path) -> io::Result<Beginning> {
        let store = Arc::clone(&self.store);
        let range = Some(GetRange::Bounded(0..BEGINNING_BYTES));
        let options = GetOptions { range, ..GetOptions::default() };
        let place = at.clone();
        let read = self.driver.run(async move {
            let result = store.get_opts(&place, options).await?;
            let size = result.meta.size;
            Ok(Beginning { bytes: result.bytes().await?.to_vec(), size })
        });
        match read {
            Ok(beginning) => Ok(beginning),
            Err(failure) if failure.is_absent() => Err(failure.into_io(&self.secrets)),
            // An empty object has no range.
            Err(failure) => match self.size(at)? {
                Some(0) => Ok(Beginning { bytes: Vec::new(), size: 0 }),
                _ => Err(failure.into_io(&self.secrets)),
            },
        }
    }

    /// A piece of an object.
    pub fn piece(&self, at: Path, range: Range<u64>) -> io::Result<Vec<u8>> {
        let store = Arc::clone(&self.store);
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..Default::default() };
        let read = self.driver.run(async move {
            let result = store.get_opts(&at, options).await?;
            Ok(result.bytes().await?.to_vec())
        });
        read.map_err(|failure| failure.into_io(&self.secrets))
    }

    /// Creates an object. `AlreadyExists` if another is there. If an answer was lost on the way,
    /// the object that is there is ours: it is read back and compared.
    pub fn create(&self, at: Path, bytes: Vec<u8>) -> io::Result<()> {
        let (store, retries_max) = (Arc::clone(&self.store), self.retries_max);
        let created = self.driver.run(create(store, at, bytes.into(), retries_max));
        created.map_err(|failure| match failure.is_taken() {
            true => failure.into_io(&self.secrets),
            false => failure.into_io_without_place(&self.secrets),
        })
    }

    /// Removes an object, if it is there.
    pub fn remove(&self, at: Path) -> io::Result<()> {
        let store = Arc::clone(&self.store);
        match self.driver.run(async move { store.delete(&at).await }) {
            Err(failure) if !failure.is_absent() => Err(failure.into_io(&self.secrets)),
            _ => Ok(()),
        }
    }

    /// Begins an object that is sent in parts.
    pub fn begin(&self, at: Path) -> io::Result<Box<dyn MultipartUpload>> {
        let store = Arc::clone(&self.store);
        let begun = self.driver.run(async move { store.put_multipart(&at).await });
        begun.map_err(|failure| failure.into_io_without_place(&self.secrets))
    }

    /// Sends the next part.
    pub fn send(&self, upload: &mut dyn MultipartUpload, part: Vec<u8>) -> io::Result<()> {
        let sent = self.driver.run(upload.put_part(part.into()));
        sent.map_err(|failure| failure.into_io_without_place(&self.secrets))
    }

    /// Makes the object of the parts that were sent.
    pub fn complete(&self, mut upload: Box<dyn MultipartUpload>) -> io::Result<()> {
        let completed = self.driver.run(async move { upload.complete().await });
        completed.map(|_| ()).map_err(|failure| failure.into_io_without_place(&self.secrets))
    }

    /// Gives the parts that were sent up. If that fails too, a rule of the bucket has to do it.
    pub fn abort(&self, mut upload: Box<dyn MultipartUpload>) {
        if let Err(Failure::Store(error)) = self.driver.run(async move { upload.abort().await }) {
            let error = self.secrets.hide(&error.to_string());
            tracing::debug!(error, "the parts of an unfinished upload stay in the remote store");
        }
    }
}

async fn create(
    store: Arc<dyn ObjectStore>,
    at: Path,
    bytes: PutPayload,
    retries_max: usize,
) -> object_store::Result<()> {
    let random = RandomState::new();
    let mut attempt = 0;
    loop {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let error = match store.put_opts(&at, bytes.clone(), options).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match &error {
            StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => {
                match store.get(&at).await {
                    Ok(there) => {
                        let ours = there.meta.size == bytes.content_length() as u64
                            && there.bytes().await?.as_ref() == flat(&bytes);
                        return if ours { Ok(()) } else { Err(error) };
                    }
                    // Two at the same moment, and neither was served: once more.
                    Err(StoreError::NotFound { .. }) => {}
                    Err(unknown) => return Err(unknown),
                }
            }
            // `object_store` itself does not try this one again after a time-out, since only a
            // comparison as above tells what became of it.
            StoreError::Generic { .. } => {}
            _ => return Err(error),
        }
        if attempt >= retries_max {
            return Err(error);
        }
        attempt += 1;
        let most = 100_u64 << attempt.min(6);
        tokio::time::sleep(Duration::from_millis(random.hash_one(attempt) % most)).await;
    }
}

/// The bytes of a payload that was made of one piece.
fn flat(payload: &PutPayload) -> &[u8] {
    payload.as_ref().first().map_or(&[], |bytes| bytes.as_ref())
}
