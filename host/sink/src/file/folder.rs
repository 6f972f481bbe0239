//! The files of one partition in their folder: taking over, appending, finishing. The order of
//! steps is what `file` promises; nothing here may change it lightly. All of it runs under the
//! lock.

use super::Chunk;
use super::disk::{Disk, Fault, Lock};
use super::lines::Lines;
use super::state::{LineFormat, Log, OpenFile, State};
use crate::error::Error;
use crate::sink::Owner;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Digits of a position in a name, so that names sort as positions do.
const DIGITS: usize = 20;

/// Digits of a log in a name.
const LOG_DIGITS: usize = 8;

/// The folder on its disk.
pub(super) struct Folder<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) folder: &'a Path,
}

/// What an owner knows of its partition.
pub(super) struct Held {
    pub(super) owner: Owner,
    pub(super) state: State,
    /// The position file as this owner left it.
    bytes: Vec<u8>,
}

impl Folder<'_> {
    pub(super) fn lock(&self, owner: &Owner) -> Result<Lock, Error> {
        let path = self.folder.join(format!(".{}.lock", prefix(owner)));
        let lock = self.disk.lock(&path).map_err(|fault| error("lock", &path, fault))?;
        lock.ok_or_else(|| {
            let what = format!("another process holds {}", path.display());
            Error::Transient { kind: "locked".to_owned(), what }
        })
    }

    /// Finishes what is there, puts the owner's epoch beside it, and goes over to the owner's log.
    pub(super) fn take_over(&self, owner: &Owner) -> Result<Held, Error> {
        if owner.stage.is_empty() || owner.stage.contains(['/', '\\', '\0']) {
            let what =
                format!("the stage's name {:?} cannot be part of a file's name", owner.stage);
            return Err(Error::Fatal { code: "file-name", what });
        }
        let log = Log::parse(&owner.log).ok_or_else(|| {
            let what = format!(
                "the log has no identity ({:?}): its positions would say nothing",
                owner.log
            );
            Error::Fatal { code: "file-log", what }
        })?;
        let made = self.disk.make_folder(self.folder);
        made.map_err(|fault| error("make", self.folder, fault))?;
        let _lock = self.lock(owner)?;
        let names = self.disk.names(self.folder);
        let names = names.map_err(|fault| error("list", self.folder, fault))?;
        let mut state = self.found(owner, log, &names)?;
        if state.epoch > owner.epoch {
            return Err(Error::Fenced { epoch: state.epoch });
        }
        state.epoch = owner.epoch;
        let length = self.check_open(owner, &state)?;
        if let Some(open) = &mut state.open {
            open.finishing = true;
        }
        let mut held = Held { owner: owner.clone(), state: state.clone(), bytes: Vec::new() };
        self.store(&mut held, state)?;
        match (&held.state.open, length) {
            (Some(open), Some(length)) if length > open.length => {
                let path = self.folder.join(open_name(owner, &held.state.log, open));
                let cut = self.disk.put(&path, open.length, b"");
                cut.map_err(|fault| error("cut off", &path, fault))?;
            }
            (Some(_), None) => held.state.open = None,
            _ => {}
        }
        self.finish(&mut held)?;
        self.remove_strays(&held, &names)?;
        if held.state.log != log {
            // Strays must be gone for good before nothing names their log any more.
            self.sync()?;
            let mut state = held.state.clone();
            state.switch(log, finished_next(owner, &log, &names).unwrap_or(0));
            self.store(&mut held, state)?;
        }
        Ok(held)
    }

    /// What the position file says, or a new beginning.
    fn found(&self, owner: &Owner, log: Log, names: &[String]) -> Result<State, Error> {
        let path = self.position_path(owner);
        let unusable = |what: String| Error::Fatal { code: "file-position", what };
        let bytes = self.disk.read(&path).map_err(|fault| error("read", &path, fault))?;
        let Some(bytes) = bytes else {
            if let Some(open) = names.iter().find(|name| opened(owner, name).is_some()) {
                return Err(unusable(format!(
                    "{} is not there, but {open} is: put the one back or take the other away",
                    path.display()
                )));
            }
            let next = finished_next(owner, &log, names).unwrap_or(0);
            return Ok(State::new(owner, log, next));
        };
        let state = State::decode(&bytes).map_err(|what| {
            let advice = "put a good one back, or give the stage an empty folder";
            unusable(format!("{}: {what}: {advice}", path.display()))
        })?;
        if state.pipeline != owner.pipeline {
            return Err(unusable(format!(
                "{} belongs to the pipeline {:?}: give this one another folder",
                path.display(),
                state.pipeline
            )));
        }
        match finished_next(owner, &state.log, names) {
            Some(next) if next > state.next => Err(unusable(format!(
                "{} is older than the files beside it: it says {}, they reach {next}",
                path.display(),
                state.next
            ))),
            _ => Ok(state),
        }
    }

    /// The length of the open file, if it is there. Fails where something was lost.
    fn check_open(&self, owner: &Owner, state: &State) -> Result<Option<u64>, Error> {
        let Some(open) = &state.open else { return Ok(None) };
        let path = self.folder.join(open_name(owner, &state.log, open));
        let length = self.disk.length(&path).map_err(|fault| error("look at", &path, fault))?;
        let lost = |found: String| {
            let (path, valid) = (path.display(), open.length);
            let what = format!("{path} should hold {valid} bytes that were delivered, {found}");
            Err(Error::Fatal { code: "file-lost", what })
        };
        match length {
            Some(length) if length < open.length => lost(format!("but holds {length}")),
            None if !open.finishing => lost("but is not there".to_owned()),
            found => Ok(found),
        }
    }

    /// Open files that no position file ever named: nothing in them was delivered.
    fn remove_strays(&self, held: &Held, names: &[String]) -> Result<(), Error> {
        for name in names {
            let path = self.folder.join(name);
            match opened(&held.owner, name) {
                Some((log, first)) if log == held.state.log.short() && first >= held.state.next => {
                    self.disk.remove(&path).map_err(|fault| error("remove", &path, fault))?;
                }
                // The one that was just finished has another name now.
                Some(_) if self.is_there(&path)? => {
                    let what = format!("{} is not named in the position file", path.display());
                    return Err(Error::Fatal { code: "file-unknown", what });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn is_there(&self, path: &Path) -> Result<bool, Error> {
        let length = self.disk.length(path).map_err(|fault| error("look at", path, fault))?;
        Ok(length.is_some())
    }

    /// Whether all is as this owner left it.
    pub(super) fn verify(&self, held: &Held) -> Result<(), Error> {
        let path = self.position_path(&held.owner);
        let bytes = self.disk.read(&path).map_err(|fault| error("read", &path, fault))?;
        let bytes = bytes.unwrap_or_default();
        if bytes == held.bytes {
            return Ok(());
        }
        match State::decode(&bytes) {
            Ok(state) if state.epoch > held.owner.epoch => {
                Err(Error::Fenced { epoch: state.epoch })
            }
            Ok(_) => {
                let what = format!("{} was changed by another of this epoch", path.display());
                Err(Error::Transient { kind: "taken-over".to_owned(), what })
            }
            Err(what) => {
                let what = format!("{}: {what}", path.display());
                Err(Error::Fatal { code: "file-position", what })
            }
        }
    }

    /// Makes lines durable, first where they stand, then in the position file.
    pub(super) fn append(
        &self,
        held: &mut Held,
        lines: &Lines,
        chunk: Chunk,
        fills: bool,
    ) -> Result<(), Error> {
        if held.state.open.as_ref().is_some_and(|open| open.finishing) {
            self.finish(held)?;
        }
        let mut open = held.state.open.clone().unwrap_or(OpenFile {
            first: chunk.first.position,
            length: 0,
            format: lines.format(),
            finishing: false,
        });
        let path = self.folder.join(open_name(&held.owner, &held.state.log, &open));
        let (at, bytes) = match open.length {
            0 => (0, [lines.header(), &chunk.bytes].concat()),
            at => (at, chunk.bytes),
        };
        self.disk.put(&path, at, &bytes).map_err(|fault| error("write", &path, fault))?;
        if at == 0 {
            self.sync()?;
        }
        open.length += bytes.len() as u64;
        open.finishing = fills;
        let mut state = held.state.clone();
        state.advance(chunk.first, chunk.last);
        state.open = Some(open);
        let prepared = self.prepare(&held.owner, &state);
        if let Err(Error::Transient { .. }) = &prepared {
            // So that a full disk holds nothing of ours that is not valid. If this fails it is cut
            // off before more is appended.
            drop(match at {
                0 => self.disk.remove(&path),
                at => self.disk.put(&path, at, b""),
            });
        }
        self.replace(held, state, prepared?)
    }

    /// Gives the open file, if there is one, its last name.
    pub(super) fn finish(&self, held: &mut Held) -> Result<(), Error> {
        let Some(open) = held.state.open.clone() else { return Ok(()) };
        if !open.finishing {
            let mut state = held.state.clone();
            state.open = Some(OpenFile { finishing: true, ..open.clone() });
            self.store(held, state)?;
        }
        let (owner, log, next) = (&held.owner, &held.state.log, held.state.next);
        let from = self.folder.join(open_name(owner, log, &open));
        let to = self.folder.join(finished_name(owner, log, &open, next));
        self.disk.rename(&from, &to).map_err(|fault| error("rename", &from, fault))?;
        self.sync()?;
        held.state.open = None;
        Ok(())
    }

    fn store(&self, held: &mut Held, state: State) -> Result<(), Error> {
        let bytes = self.prepare(&held.owner, &state)?;
        self.replace(held, state, bytes)
    }

    /// Writes the next position file, durably, beside the one that counts.
    fn prepare(&self, owner: &Owner, state: &State) -> Result<Vec<u8>, Error> {
        let (bytes, new) = (state.encode(), self.new_position_path(owner));
        self.disk.put(&new, 0, &bytes).map_err(|fault| error("write", &new, fault))?;
        Ok(bytes)
    }

    /// Makes it the one that counts.
    fn replace(&self, held: &mut Held, state: State, bytes: Vec<u8>) -> Result<(), Error> {
        let new = self.new_position_path(&held.owner);
        let path = self.position_path(&held.owner);
        self.disk.rename(&new, &path).map_err(|fault| error("replace", &path, fault))?;
        self.sync()?;
        (held.state, held.bytes) = (state, bytes);
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        let synced = self.disk.sync_folder(self.folder);
        synced.map_err(|fault| error("synchronise", self.folder, fault))
    }

    fn position_path(&self, owner: &Owner) -> PathBuf {
        self.folder.join(format!(".{}.position", prefix(owner)))
    }

    fn new_position_path(&self, owner: &Owner) -> PathBuf {
        self.folder.join(format!(".{}.position.new", prefix(owner)))
    }
}

fn prefix(owner: &Owner) -> String {
    format!("{}-{}", owner.stage, owner.partition)
}

fn open_name(owner: &Owner, log: &Log, open: &OpenFile) -> String {
    let (prefix, log, first) = (prefix(owner), log.short(), open.first);
    format!("{prefix}-{log}-{first:0DIGITS$}.{}.open", open.format.extension())
}

fn finished_name(owner: &Owner, log: &Log, open: &OpenFile, next: u64) -> String {
    let (prefix, log, first) = (prefix(owner), log.short(), open.first);
    format!("{prefix}-{log}-{first:0DIGITS$}-{next:0DIGITS$}.{}", open.format.extension())
}

/// Where the finished files of this partition and log end.
fn finished_next(owner: &Owner, log: &Log, names: &[String]) -> Option<u64> {
    let log = log.short();
    let found = names.iter().filter_map(|name| finished(owner, name));
    found.filter(|(found, _)| *found == log).map(|(_, next)| next).max()
}

/// Log (in short) and next position of a finished file of this partition.
fn finished<'a>(owner: &Owner, name: &'a str) -> Option<(&'a str, u64)> {
    let stem = [LineFormat::Json, LineFormat::Csv].into_iter().find_map(|format| {
        name.strip_suffix(format.extension()).and_then(|name| name.strip_suffix('.'))
    })?;
    let (log, positions) = of_partition(owner, stem)?;
    let (first, next) = positions.split_once('-')?;
    position(first)?;
    Some((log, position(next)?))
}

/// Log (in short) and first position of an open file of this partition.
fn opened<'a>(owner: &Owner, name: &'a str) -> Option<(&'a str, u64)> {
    let (log, rest) = of_partition(owner, name)?;
    let (first, rest) = rest.split_once('.')?;
    let known = [LineFormat::Json, LineFormat::Csv]
        .into_iter()
        .any(|format| rest.strip_suffix(".open") == Some(format.extension()));
    known.then(|| Some((log, position(first)?))).flatten()
}

/// The log (in short) that a name of this partition bears, and what stands behind.
fn of_partition<'a>(owner: &Owner, name: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = name.strip_prefix(&*prefix(owner))?.strip_prefix('-')?;
    let (log, rest) = rest.split_once('-')?;
    let whole = log.len() == LOG_DIGITS
        && log.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    whole.then_some((log, rest))
}

fn position(digits: &str) -> Option<u64> {
    let whole = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| digits.parse().ok()).flatten()
}

/// Who must act on a fault.
fn error(doing: &str, path: &Path, fault: Fault) -> Error {
    let path = path.display();
    let fault = match fault {
        Fault::Sync(error) => {
            let what = format!(
                "fsync failed ({doing} {path}): {error}; what is on the disk is not known: look \
                 at it, then start again"
            );
            return Error::Fatal { code: "file-fsync", what };
        }
        Fault::Io(error) => error,
    };
    let what = format!("could not {doing} {path}: {fault}");
    let kind = match fault.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "disk-full",
        ErrorKind::Interrupted
        | ErrorKind::WouldBlock
        | ErrorKind::TimedOut
        | ErrorKind::OutOfMemory
        | ErrorKind::ResourceBusy
        | ErrorKind::StaleNetworkFileHandle => "disk-busy",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            return Error::Fatal { code: "file-permission", what };
        }
        // EMFILE and ENFILE.
        _ if matches!(fault.raw_os_error(), Some(23 | 24)) => "disk-busy",
        _ => return Error::Fatal { code: "file-io", what },
    };
    Error::Transient { kind: kind.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_positions_do_and_tell_partitions_apart() {
        let owner = |stage: &str, partition| Owner {
            pipeline: "p".to_owned(),
            stage: stage.to_owned(),
            partition,
            epoch: 1,
            log: "00c0ffee".repeat(4),
        };
        let log = Log::parse(&owner("", 0).log).expect("32 digits");
        let file = OpenFile { first: 9, length: 1, format: LineFormat::Csv, finishing: false };
        let here = owner("a-1", 7);
        let open = open_name(&here, &log, &file);
        assert_eq!(open, "a-1-7-00c0ffee-00000000000000000009.csv.open");
        let name = finished_name(&here, &log, &file, 10);
        assert_eq!(name, "a-1-7-00c0ffee-00000000000000000009-00000000000000000010.csv");
        assert_eq!(finished(&here, &name), Some(("00c0ffee", 10)));
        assert_eq!(opened(&here, &open), Some(("00c0ffee", 9)));
        for other in [owner("a", 1), owner("a-1", 70), owner("a-1-7", 0), owner("b", 7)] {
            assert_eq!(finished(&other, &name), None);
            assert_eq!(opened(&other, &open), None);
        }
        // A partition of as many digits as a log has.
        let far = owner("a-1-7", 12_345_678);
        assert_eq!(finished(&here, &finished_name(&far, &log, &file, 10)), None);
        assert_eq!(opened(&here, &open_name(&far, &log, &file)), None);
        for text in ["", "00c0ffee", &"0".repeat(33), &"+".repeat(32), &"x".repeat(32)] {
            assert_eq!(Log::parse(text), None);
        }
        for foreign in ["a-1-7-00c0ffee-9-10.csv", "a-1-7-notes.csv", "x", &format!("{name}.gz")] {
            assert_eq!(finished(&here, foreign), None);
        }
    }
}
