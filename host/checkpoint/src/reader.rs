//! Reads checkpoint files and believes no byte of them before its sum fits, nor any length before
//! it was compared with the file's.

use crate::checkpoint::{Checkpoint, PartKey};
use crate::error::Error;
use crate::files::{Files, Readable};
use crate::manifest::{self, FORMAT, Manifest, Place, Source};
use crate::paths;
use pawl_codec::{envelope, sealed};
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};

/// The checkpoint files of one task, each opened at most once.
pub struct Reader<'a> {
    files: &'a dyn Files,
    folder: &'a Path,
    opened: BTreeMap<CheckpointName, Opened>,
}

struct Opened {
    file: Box<dyn Readable>,
    path: PathBuf,
    bytes: u64,
}

/// Whose checkpoints are expected in the folder.
pub struct Expected<'a> {
    /// Name of the pipeline.
    pub pipeline: &'a str,
    /// The task.
    pub task: &'a TaskId,
}

impl<'a> Reader<'a> {
    /// For the checkpoints in `folder`.
    pub fn new(files: &'a dyn Files, folder: &'a Path) -> Self {
        Self { files, folder, opened: BTreeMap::new() }
    }

    /// The manifest of a checkpoint and the offset in its file at which its data begin.
    pub fn manifest(
        &mut self,
        expected: &Expected<'_>,
        name: CheckpointName,
    ) -> Result<(Manifest, u64), Error> {
        let opened = self.opened(name)?;
        let path = opened.path.clone();
        let format = |error| Error::Format { path: path.clone(), error };
        let beginning = opened.read(0, opened.bytes.min(envelope::HEADER_BYTES as u64))?;
        let data_at = envelope::sealed_bytes(&FORMAT, &beginning).map_err(format)?;
        // A length beyond the file is left to `decode`, which says that it is truncated.
        let bytes = opened.read(0, opened.bytes.min(data_at))?;
        let manifest: Manifest = sealed::decode(&FORMAT, &bytes).map_err(format)?;

        let damaged = |what| Error::Damaged { path: path.clone(), at: data_at, what };
        if data_at.checked_add(manifest.data_bytes) != Some(opened.bytes) {
            let is = opened.bytes - data_at;
            let what = format!("{is} bytes of data instead of {}", manifest.data_bytes);
            return Err(damaged(what));
        }
        let header = &manifest.header;
        let is = (header.pipeline.as_str(), &header.task, header.name);
        let must_be = (expected.pipeline, expected.task, name);
        if is != must_be {
            let (expected, found) = (described(must_be), described(is));
            return Err(Error::Foreign { path, expected, found });
        }
        manifest.check().map_err(damaged)?;
        Ok((manifest, data_at))
    }

    /// Some bytes of a file's data, verified; `what` they are for messages.
    pub fn piece(&mut self, place: &Place, what: &dyn Display) -> Result<Vec<u8>, Error> {
        let opened = self.opened(place.source.name)?;
        let piece = place.piece;
        let at = place.source.data_at.saturating_add(piece.offset);
        if at.checked_add(piece.length).is_none_or(|end| end > opened.bytes) {
            let what = format!("{what} is {} bytes long, and the file ends before", piece.length);
            return Err(Error::Damaged { path: opened.path.clone(), at, what });
        }
        let bytes = opened.read(at, piece.length)?;
        let (found, sum) = (manifest::sum(&bytes), piece.sum);
        if found != sum {
            let length = piece.length;
            let what = format!(
                "the {length} bytes of {what} have checksum {found:032x} instead of {sum:032x}"
            );
            return Err(Error::Damaged { path: opened.path.clone(), at, what });
        }
        Ok(bytes)
    }

    /// A whole checkpoint.
    pub fn checkpoint(
        &mut self,
        expected: &Expected<'_>,
        name: CheckpointName,
    ) -> Result<Checkpoint, Error> {
        let mut core = Vec::new();
        let mut parts = Vec::new();
        let manifest = self.walk(
            expected,
            name,
            |_| true,
            |key, bytes| match key {
                None => core = bytes,
                Some(key) => parts.push((key, bytes)),
            },
        )?;
        Ok(Checkpoint { header: manifest.header, core, parts })
    }

    /// Reads a whole checkpoint to see whether it can be read, a part at a time.
    pub fn verify(
        &mut self,
        expected: &Expected<'_>,
        name: CheckpointName,
    ) -> Result<Manifest, Error> {
        self.walk(expected, name, |_| true, |_, _| {})
    }

    /// As `verify`, but only what lies in the checkpoint's own file.
    pub fn verify_own(
        &mut self,
        expected: &Expected<'_>,
        name: CheckpointName,
    ) -> Result<(), Error> {
        self.walk(expected, name, |source| source == name, |_, _| {}).map(|_| ())
    }

    /// Whether a file that is going to be referred to can be opened.
    pub fn must_be_there(&mut self, name: CheckpointName) -> Result<(), Error> {
        self.opened(name).map(|_| ())
    }

    /// Hands out the core's state and then those parts whose file is `wanted`, ascending by key.
    fn walk(
        &mut self,
        expected: &Expected<'_>,
        name: CheckpointName,
        wanted: impl Fn(CheckpointName) -> bool,
        mut each: impl FnMut(Option<PartKey>, Vec<u8>),
    ) -> Result<Manifest, Error> {
        let (manifest, data_at) = self.manifest(expected, name)?;
        let source = Source { name, data_at, data_bytes: manifest.data_bytes };
        each(None, self.piece(&Place { source, piece: manifest.core }, &"the state")?);
        for (key, place) in manifest.places(data_at) {
            if wanted(place.source.name) {
                each(Some(key), self.piece(&place, &key)?);
            }
        }
        Ok(manifest)
    }

    fn opened(&mut self, name: CheckpointName) -> Result<&mut Opened, Error> {
        use std::collections::btree_map::Entry;
        match self.opened.entry(name) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let path = self.folder.join(paths::checkpoint_file(name));
                let opened = self.files.open(&path).and_then(|mut file| {
                    let bytes = file.seek(SeekFrom::End(0))?;
                    Ok((file, bytes))
                });
                let (file, bytes) = opened.map_err(|error| Error::io("open", &path, error))?;
                Ok(entry.insert(Opened { file, path, bytes }))
            }
        }
    }
}

impl Opened {
    /// `length` bytes from `at` on. The caller has compared them with the file's length.
    fn read(&mut self, at: u64, length: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length as usize];
        let read =
            self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|error| Error::reading(&self.path, at, error))?;
        Ok(bytes)
    }
}

fn described((pipeline, task, name): (&str, &TaskId, CheckpointName)) -> String {
    let name = crate::error::shown(&name);
    format!("checkpoint {name} of task {task} of pipeline {pipeline}")
}
