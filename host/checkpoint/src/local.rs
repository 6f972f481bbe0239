//! The store in a folder of the machine: one file per checkpoint, which holds what is new and
//! refers to earlier files for what is not. Nothing is read as a checkpoint that another task or
//! pipeline wrote, and after a failed sync nothing is written any more.

use crate::checkpoint::{Checkpoint, Draft, Header, PartKey};
use crate::durable::{self, Step};
use crate::error::Error;
use crate::files::{Disk, Files};
use crate::manifest::{self, Content, FORMAT, Manifest, Place};
use crate::paths;
use crate::reader::{Expected, Reader};
use crate::store::{Floor, Kept, Store, Written};
use pawl_codec::sealed;
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

mod adopt;

/// Called at each step; the crash tests end the process in there.
pub type Hook = Box<dyn Fn(Step) + Send + Sync>;

/// A checkpoint store in a folder.
pub struct LocalStore {
    root: PathBuf,
    pipeline: String,
    files: Arc<dyn Files>,
    hook: Hook,
    tasks: Mutex<BTreeMap<TaskId, Arc<Mutex<Task>>>>,
    /// Whether the folder of the objects was taken over.
    objects: Mutex<bool>,
    poisoned: OnceLock<String>,
}

/// What this process knows of a task's folder. Only saves work: losing it is harmless.
#[derive(Default)]
struct Task {
    taken_over: bool,
    /// Checkpoints that this process has read whole, or written and read back.
    verified: BTreeSet<CheckpointName>,
}

impl LocalStore {
    /// The store of `pipeline` in the folder `root`. Touches nothing yet; a store that is only
    /// read from never changes anything in the folder, so other processes may look into it.
    pub fn new(root: impl Into<PathBuf>, pipeline: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            pipeline: pipeline.into(),
            files: Arc::new(Disk),
            hook: Box::new(|_| {}),
            tasks: Mutex::default(),
            objects: Mutex::default(),
            poisoned: OnceLock::new(),
        }
    }

    /// On another file system than the machine's.
    pub fn with_files(mut self, files: Arc<dyn Files>) -> Self {
        self.files = files;
        self
    }

    /// With a hook that is called at each step of writing and removing checkpoints.
    pub fn with_hook(mut self, hook: Hook) -> Self {
        self.hook = hook;
        self
    }

    fn expected<'a>(&'a self, task: &'a TaskId) -> Expected<'a> {
        Expected { pipeline: &self.pipeline, task }
    }

    fn task(&self, task: &TaskId) -> Arc<Mutex<Task>> {
        Arc::clone(lock(&self.tasks).entry(task.clone()).or_default())
    }

    /// Takes the task's folder over unless this process has done so already.
    fn ready(&self, task: &mut Task, folder: &Path) -> Result<(), Error> {
        if let Some(by) = self.poisoned.get() {
            return Err(Error::Poisoned { by: by.clone() });
        }
        if !task.taken_over {
            self.noting_poison(durable::take_over_folder(&*self.files, &self.root, folder))?;
            task.taken_over = true;
        }
        Ok(())
    }

    fn noting_poison<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error @ Error::Sync { .. }) = &result {
            self.poisoned.get_or_init(|| error.to_string());
        }
        result
    }

    fn names_in(&self, folder: &Path) -> Result<Vec<CheckpointName>, Error> {
        let listed = self.files.list(folder).map_err(|error| Error::io("list", folder, error));
        let files = match listed {
            Err(Error::Absent { .. }) => Vec::new(),
            listed => listed?,
        };
        let mut names: Vec<CheckpointName> =
            files.iter().filter_map(|file| paths::checkpoint_name(file)).collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    /// Whether this checkpoint may be written: it is this pipeline's, it is the newest, and what
    /// it names is stored.
    fn admit(&self, header: &Header, folder: &Path) -> Result<(), Error> {
        let (task, name) = (header.task.clone(), header.name);
        if header.pipeline != self.pipeline {
            let what = format!("pipeline {} instead of {}", header.pipeline, self.pipeline);
            return Err(Error::Refused { what });
        }
        match self.names_in(folder)?.first() {
            Some(by) if *by == name => return Err(Error::Exists { task, name }),
            Some(by) if *by > name => return Err(Error::Superseded { task, name, by: *by }),
            _ => {}
        }
        for operator in &header.operators {
            for digest in [&operator.digest.component, &operator.digest.configuration] {
                let path = paths::object_file(&self.root, digest)?;
                let exists = self.files.exists(&path);
                if !exists.map_err(|error| Error::io("look for", &path, error))? {
                    return Err(Error::Absent { path });
                }
            }
        }
        Ok(())
    }

    /// Where the unchanged parts of a draft lie.
    fn unchanged(
        &self,
        draft: &Draft,
        reader: &mut Reader<'_>,
    ) -> Result<BTreeMap<PartKey, Place>, Error> {
        let wanted = draft.parts.iter().filter(|part| part.data.is_none());
        let wanted: Vec<PartKey> = wanted.map(|part| part.key).collect();
        let base = match draft.base {
            Some(name) if !wanted.is_empty() => {
                let expected = self.expected(&draft.header.task);
                let (manifest, data_at) = reader.manifest(&expected, name)?;
                manifest.places(data_at)
            }
            _ => BTreeMap::new(),
        };
        let find = |key: PartKey| match base.get(&key) {
            Some(place) => Ok((key, *place)),
            None => Err(Error::NoSuchPart { key, base: draft.base }),
        };
        wanted.into_iter().map(find).collect()
    }

    fn write_file(&self, draft: &Draft, folder: &Path) -> Result<Written, Error> {
        let mut reader = Reader::new(&*self.files, folder);
        let unchanged = self.unchanged(draft, &mut reader)?;
        let referenced = manifest::worth_keeping(unchanged.values());
        let mut copied = BTreeMap::new();
        for (key, place) in &unchanged {
            if !referenced.contains(&place.source.name) {
                copied.insert(*key, reader.piece(place, key)?);
            }
        }
        for name in &referenced {
            reader.must_be_there(*name)?;
        }

        let mut contents = BTreeMap::new();
        for part in &draft.parts {
            let content = match (&part.data, copied.get(&part.key), unchanged.get(&part.key)) {
                (Some(data), _, _) => Content::Own((**data).as_ref()),
                (None, Some(bytes), _) => Content::Own(bytes),
                (None, None, Some(place)) => Content::At(*place),
                (None, None, None) => {
                    return Err(Error::NoSuchPart { key: part.key, base: draft.base });
                }
            };
            if contents.insert(part.key, content).is_some() {
                return Err(Error::Refused { what: format!("{} is given twice", part.key) });
            }
        }
        let manifest = Manifest::lay_out(draft.header.clone(), &draft.core, &contents);
        manifest.check().map_err(|what| Error::Refused { what })?;
        let path = folder.join(paths::checkpoint_file(draft.header.name));
        let beginning = sealed::encode(&FORMAT, &manifest)
            .map_err(|error| Error::Format { path: path.clone(), error })?;
        let mut chunks = vec![beginning.as_slice(), &draft.core];
        chunks.extend(contents.values().filter_map(|content| match content {
            Content::Own(bytes) => Some(*bytes),
            Content::At(_) => None,
        }));
        durable::write_new(&*self.files, &path, &chunks, &*self.hook).map_err(|error| {
            let (task, name) = (draft.header.task.clone(), draft.header.name);
            if error.is_taken() { Error::Exists { task, name } } else { error }
        })?;
        let given = draft.parts.iter().filter(|part| part.data.is_some()).count();
        Ok(Written {
            bytes: beginning.len() as u64 + manifest.data_bytes,
            parts_given: given,
            parts_copied: copied.len(),
            parts_referenced: unchanged.len() - copied.len(),
            files_referenced: manifest.files.len(),
        })
    }

    /// Reads back what was just written. What does not come back as it went in is removed again:
    /// it is the newest, and everybody would stumble over it.
    fn read_back(&self, draft: &Draft, folder: &Path) -> Result<(), Error> {
        let (task, name) = (&draft.header.task, draft.header.name);
        let read = Reader::new(&*self.files, folder).verify_own(&self.expected(task), name);
        if let Err(error) = read {
            // What could not be read for want of an answer may be whole.
            if error.is_damage() {
                self.remove(folder, name)?;
                durable::sync_folder(&*self.files, folder)?;
            }
            return Err(error);
        }
        (self.hook)(Step::Verified);
        Ok(())
    }

    fn remove(&self, folder: &Path, name: CheckpointName) -> Result<(), Error> {
        let path = folder.join(paths::checkpoint_file(name));
        self.files.remove(&path).map_err(|error| Error::io("remove", &path, error))
    }

    /// The newest valid checkpoints, at most `newest`, and those that no file down to the last of
    /// them refers to, newest first. None of these if it cannot be told what may go.
    fn kept_and_rest(
        &self,
        task: &TaskId,
        known: &mut Task,
        folder: &Path,
        newest: usize,
    ) -> Result<(Vec<Header>, Vec<CheckpointName>), Error> {
        let mut headers = Vec::new();
        let mut needed = BTreeSet::new();
        // One list for all: what another owner adds meanwhile is not looked at.
        let names = self.names_in(folder)?;
        for name in names.iter().copied() {
            let mut reader = Reader::new(&*self.files, folder);
            let expected = self.expected(task);
            needed.insert(name);
            let read = if known.verified.contains(&name) {
                reader.manifest(&expected, name).map(|(manifest, _)| manifest)
            } else {
                reader.verify(&expected, name)
            };
            let manifest = match read {
                Ok(manifest) => manifest,
                Err(error) if error.is_damage() => {
                    known.verified.remove(&name);
                    continue;
                }
                // Nobody knows what a newer Pawl's checkpoint refers to.
                Err(Error::Format { .. }) => return Ok((headers, Vec::new())),
                Err(error) => return Err(error),
            };
            known.verified.insert(name);
            needed.extend(manifest.files.iter().map(|source| source.name));
            headers.push(manifest.header);
            if headers.len() == newest {
                let rest = names.into_iter().filter(|name| !needed.contains(name)).collect();
                return Ok((headers, rest));
            }
        }
        Ok((headers, Vec::new()))
    }

    fn read_object(&self, digest: &str) -> Result<Vec<u8>, Error> {
        let path = paths::object_file(&self.root, digest)?;
        let mut bytes = Vec::new();
        let read = self.files.open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)
        });
        if let Err(error) = read {
            return Err(Error::reading(&path, 0, error));
        }
        let found = digest_of(&bytes);
        if found != digest {
            let what = format!("its {} bytes have the SHA-256 {found}", bytes.len());
            return Err(Error::Damaged { path, at: 0, what });
        }
        Ok(bytes)
    }
}

impl Store for LocalStore {
    fn take_over(&self, task: &TaskId) -> Result<(), Error> {
        let folder = paths::task_folder(&self.root, task)?;
        self.ready(&mut lock(&self.task(task)), &folder)
    }

    fn write(&self, draft: &Draft) -> Result<Written, Error> {
        let task = &draft.header.task;
        let folder = paths::task_folder(&self.root, task)?;
        let known = self.task(task);
        let mut known = lock(&known);
        self.ready(&mut known, &folder)?;
        self.admit(&draft.header, &folder)?;
        let written = self.noting_poison(self.write_file(draft, &folder))?;
        self.noting_poison(self.read_back(draft, &folder))?;
        known.verified.insert(draft.header.name);
        Ok(written)
    }

    fn names(&self, task: &TaskId) -> Result<Vec<CheckpointName>, Error> {
        self.names_in(&paths::task_folder(&self.root, task)?)
    }

    fn header(&self, task: &TaskId, name: CheckpointName) -> Result<Header, Error> {
        let folder = paths::task_folder(&self.root, task)?;
        let mut reader = Reader::new(&*self.files, &folder);
        Ok(reader.manifest(&self.expected(task), name)?.0.header)
    }

    fn read(&self, task: &TaskId, name: CheckpointName) -> Result<Checkpoint, Error> {
        let folder = paths::task_folder(&self.root, task)?;
        Reader::new(&*self.files, &folder).checkpoint(&self.expected(task), name)
    }

    fn keep(&self, task: &TaskId, newest: usize) -> Result<Kept, Error> {
        let folder = paths::task_folder(&self.root, task)?;
        let known = self.task(task);
        let mut known = lock(&known);
        self.ready(&mut known, &folder)?;
        let newest = newest.max(1);
        let (headers, removed) = self.kept_and_rest(task, &mut known, &folder, newest)?;
        // Newest first: a checkpoint goes before those that it refers to, so that a crash in
        // between leaves none that cannot be read.
        for name in &removed {
            self.remove(&folder, *name)?;
            known.verified.remove(name);
            (self.hook)(Step::OldRemoved);
        }
        if !removed.is_empty() {
            self.noting_poison(durable::sync_folder(&*self.files, &folder))?;
        }
        let floor = Floor::of(headers.iter()).filter(|_| headers.len() == newest);
        Ok(Kept { headers, floor, removed })
    }

    fn put_object(&self, bytes: &[u8]) -> Result<String, Error> {
        let digest = digest_of(bytes);
        let path = paths::object_file(&self.root, &digest)?;
        let mut taken_over = lock(&self.objects);
        let mut folder = Task { taken_over: *taken_over, ..Task::default() };
        self.ready(&mut folder, &paths::objects_folder(&self.root))?;
        *taken_over = true;
        match self.read_object(&digest) {
            Ok(_) => return Ok(digest),
            Err(Error::Absent { .. }) => {}
            Err(error) if error.is_damage() => {
                self.files.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
            }
            Err(error) => return Err(error),
        }
        let no_hook = |_| {};
        self.noting_poison(durable::write_new(&*self.files, &path, &[bytes], &no_hook))?;
        self.read_object(&digest).map(|_| digest)
    }

    fn object(&self, digest: &str) -> Result<Vec<u8>, Error> {
        self.read_object(digest)
    }
}

/// A panic elsewhere cannot have left what we know of a task wrong: it is only ever added to after
/// the fact.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
