//! The order of steps in which a file becomes durable, in one place. Every step is there because
//! leaving it out loses data at some crash; `write_loss` proves that for each.
//!
//! Temporary file, written; file synced (else its name could be durable before its bytes); given
//! its name, which is refused if the name is taken; folder synced (else the name is lost).

use crate::error::Error;
use crate::files::Files;
use crate::paths::TEMPORARY;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The places in writing and removing checkpoints at which a crash makes a difference. The crash
/// tests kill the process at each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// All bytes are written to a temporary file.
    TemporaryWritten,
    /// The temporary file is durable.
    TemporarySynced,
    /// The file has its name.
    Renamed,
    /// Its name is durable.
    DirectorySynced,
    /// It was read back and verified.
    Verified,
    /// An old checkpoint is removed.
    OldRemoved,
}

impl Step {
    /// All steps, in their order.
    pub const ALL: [Step; 6] = [
        Step::TemporaryWritten,
        Step::TemporarySynced,
        Step::Renamed,
        Step::DirectorySynced,
        Step::Verified,
        Step::OldRemoved,
    ];
}

/// Writes a new file durably. `AlreadyExists` if the name is taken. On other errors that are not
/// fatal nothing is left behind.
pub fn write_new(
    files: &dyn Files,
    path: &Path,
    chunks: &[&[u8]],
    hook: &dyn Fn(Step),
) -> Result<(), Error> {
    let temporary = temporary(path);
    let written = write_temporary(files, &temporary, chunks, hook).and_then(|()| {
        files.publish(&temporary, path).map_err(|error| Error::io("name", path, error))
    });
    if written.is_err() && files.remove(&temporary).is_err() {
        // It may not even be there; if it is, the next owner of the folder removes it.
    }
    written?;
    hook(Step::Renamed);
    sync_folder(files, path.parent().unwrap_or(path))?;
    hook(Step::DirectorySynced);
    Ok(())
}

fn write_temporary(
    files: &dyn Files,
    path: &Path,
    chunks: &[&[u8]],
    hook: &dyn Fn(Step),
) -> Result<(), Error> {
    let mut file = files.create(path).map_err(|error| Error::io("create", path, error))?;
    for chunk in chunks {
        file.write_all(chunk).map_err(|error| Error::io("write", path, error))?;
    }
    hook(Step::TemporaryWritten);
    // A full disk may show only here. Nothing relies on the file yet, so that is no reason to stop
    // believing the disk; any other failure is.
    file.sync().map_err(|error| match Error::io("sync", path, error) {
        Error::Io { path, error, .. } => Error::Sync { path, error },
        other => other,
    })?;
    hook(Step::TemporarySynced);
    Ok(())
}

/// Makes a folder that a new owner can rely on: it is there, all names down to it and all names in
/// it are durable, and no temporary file is left. A folder that is there already may have been
/// made, and its files named, by an owner that was killed before it could sync them; that holds
/// for the folders above `root` too.
pub fn take_over_folder(files: &dyn Files, root: &Path, folder: &Path) -> Result<(), Error> {
    let mut missing = Vec::new();
    for ancestor in folder.ancestors() {
        if files.exists(ancestor).map_err(|error| Error::io("look for", ancestor, error))? {
            break;
        }
        missing.push(ancestor);
    }
    for ancestor in missing.iter().rev() {
        match files.create_folder(ancestor) {
            // The owner of another partition of the stage was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(|error| Error::io("create", *ancestor, error))?,
        }
    }
    let names = files.list(folder).map_err(|error| Error::io("list", folder, error))?;
    for name in names.iter().filter(|name| name.ends_with(TEMPORARY)) {
        let path = folder.join(name);
        files.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
    }
    for ancestor in folder.ancestors() {
        match sync_folder(files, ancestor) {
            // Somebody else's folder, which need not let itself be opened.
            Err(Error::Sync { error, .. }) if above(root, ancestor) && not_ours(&error) => {}
            synced => synced?,
        }
    }
    Ok(())
}

fn above(root: &Path, folder: &Path) -> bool {
    folder != root && root.starts_with(folder)
}

fn not_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), PermissionDenied | Unsupported | InvalidInput)
}

/// Makes the names in a folder durable; a failure is fatal.
pub fn sync_folder(files: &dyn Files, folder: &Path) -> Result<(), Error> {
    files.sync_folder(folder).map_err(|error| Error::Sync { path: folder.to_owned(), error })
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    name.into()
}
