//! An object store in memory that fails as it is told to, for tests.

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, UploadPart,
};
use std::sync::{Arc, Mutex};

/// What goes wrong from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Every request fails.
    Down,
    /// The first so many requests succeed, all later ones fail.
    DownAfter(usize),
    /// No request is ever answered.
    Silent,
    /// The next object is stored, and the answer is lost.
    LoseAnswer,
    /// Objects are stored with one bit wrong.
    OtherBytes,
    /// Objects are stored only in part.
    Torn,
    /// Of what is there only the first so many are listed.
    StaleList(usize),
    /// Nothing can be stored.
    ReadOnly,
    /// Of an upload in parts, this part fails.
    Part(usize),
    /// Uploads in parts fail at the end.
    Complete,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyStore {
    pub inner: Arc<InMemory>,
    fault: Arc<Mutex<Fault>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl FaultyStore {
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// The requests that were made since the last call.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    async fn pass(&self, what: &str, at: &Path) -> Result<Fault> {
        self.log.lock().unwrap().push(format!("{what} {at}"));
        let fault = {
            let mut fault = self.fault.lock().unwrap();
            match &mut *fault {
                Fault::DownAfter(0) => Fault::Down,
                Fault::DownAfter(left) => {
                    *left -= 1;
                    Fault::None
                }
                fault => *fault,
            }
        };
        match fault {
            Fault::Down => Err(error("connection refused, with password hunter2")),
            Fault::Silent => std::future::pending().await,
            fault => Ok(fault),
        }
    }
}

fn error(what: &str) -> Error {
    Error::Generic { store: "faulty", source: what.to_owned().into() }
}

impl std::fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("faulty")
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    fault: Fault,
    parts: usize,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        self.parts += 1;
        match self.fault {
            Fault::Part(which) if which + 1 == self.parts => {
                Box::pin(std::future::ready(Err(error("connection reset"))))
            }
            _ => self.inner.put_part(part),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        match self.fault {
            Fault::Complete => Err(error("connection reset")),
            _ => self.inner.complete().await,
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        let mut stored: Vec<u8> = bytes.iter().flat_map(|bytes| bytes.to_vec()).collect();
        match self.pass("put", at).await? {
            Fault::ReadOnly => return Err(error("read-only")),
            Fault::LoseAnswer => {
                self.inner.put_opts(at, bytes, how).await?;
                self.set(Fault::None);
                return Err(error("operation timed out"));
            }
            Fault::OtherBytes => {
                let middle = stored.len() / 2;
                stored[middle] ^= 1;
            }
            Fault::Torn => stored.truncate(stored.len() / 2),
            _ => {}
        }
        self.inner.put_opts(at, stored.into(), how).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        match self.pass("upload", at).await? {
            Fault::ReadOnly => Err(error("read-only")),
            fault => {
                let inner = self.inner.put_multipart_opts(at, how).await?;
                Ok(Box::new(FaultyUpload { inner, fault, parts: 0 }))
            }
        }
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        self.pass(if how.head { "head" } else { "get" }, at).await?;
        self.inner.get_opts(at, how).await
    }

    fn delete_stream(
        &self,
        places: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |at: Result<Path>| {
            let this = this.clone();
            async move {
                let at = at?;
                this.pass("delete", &at).await?;
                this.inner.delete(&at).await?;
                Ok(at)
            }
        };
        places.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let fault = self.pass("list", prefix.unwrap_or(&Path::default())).await?;
        let mut listed = self.inner.list_with_delimiter(prefix).await?;
        if let Fault::StaleList(first) = fault {
            listed.objects.truncate(first);
        }
        Ok(listed)
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(error("nothing is copied"))
    }
}
