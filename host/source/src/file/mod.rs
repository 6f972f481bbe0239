//! Files as a source: each once, in the order of their names; those that grow are followed. Lines
//! and the position in their file are one commit. A file is never skipped because of its name, and
//! never read twice because of it.
//!
//! | what happens to a file | what becomes of it |
//! |---|---|
//! | renamed, in the pattern or out of it | read on; before files that were not begun |
//! | moved to another inode under its name | read on, if it holds what was read and more |
//! | removed | read to its end if it is open, its last line too |
//! | cut short and written anew | read from its start; what was not read before is lost |
//! | copied, then cut short | the copy is read on, if the pattern means it |
//! | cut short, and the rest is as it was | an error of this file; nothing is guessed |
//! | packed and cut off | read as far as it goes; then it is waited for, or an error |
//! | cannot be read | an error of this file; all others are read |
//!
//! With `follow` errors of files are shown and looked at again; without it they are told in the
//! end, when all other files are read.

mod entry;
mod folder;
mod known;
mod looks;
mod reader;

use crate::error::Error;
use crate::host::{Host, Shared};
use crate::state::State;
use crate::writer::Writer;
use entry::Entry;
use folder::Pattern;
use known::{Known, VERSION};
use pawl_pipeline::{FileSource, Source};
use reader::{Brought, Manner};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often is looked for room in the topic.
const ROOM_LOOK: Duration = Duration::from_millis(20);

/// Files kept open though nothing comes from them: one that is renamed and removed at once is
/// still read to its end.
const OPEN_MAX: usize = 64;

/// Files remembered that lie nowhere any more.
const GONE_MAX: usize = 10_000;

/// Rows beyond twice those that count, at which all are written anew.
const STALE_ROWS_MAX: u64 = 1000;

/// Files of one folder.
pub(crate) struct Files {
    pattern: Pattern,
    manner: Manner,
    look_time: Duration,
    backlog_max: u64,
    writer: Writer,
    state: State,
    entries: BTreeMap<u64, Entry>,
    /// The number of the file that lies at a device and inode.
    places: HashMap<(u64, u64), u64>,
    next_number: u64,
    /// Those whose rows must be written.
    dirty: BTreeSet<u64>,
    /// Those that have rows, and none that counts any more.
    removed: BTreeSet<u64>,
}

impl Files {
    /// Takes the task over and reads what is known.
    pub fn new(source: &Source, settings: &FileSource, host: Host) -> Result<Self, Error> {
        let pattern = Pattern::new(&settings.path)?;
        let writer = Writer::claim(source, host.clone())?;
        let state = State::open(&source.name, host)?;
        let bytes_max = usize::try_from(source.record_bytes_max).unwrap_or(usize::MAX);
        let mut files = Self {
            pattern,
            manner: Manner { format: settings.format, follow: settings.follow, bytes_max },
            look_time: Duration::from_millis(settings.look_ms),
            backlog_max: source.backlog_records_max,
            writer,
            state,
            entries: BTreeMap::new(),
            places: HashMap::new(),
            next_number: 0,
            dirty: BTreeSet::new(),
            removed: BTreeSet::new(),
        };
        files.read_state()?;
        Ok(files)
    }

    fn read_state(&mut self) -> Result<(), Error> {
        let bad = |what: &str| {
            let advice = "another version of pawl wrote it, or it is damaged";
            Error::fatal("source-state", format!("the position of a file source: {what}; {advice}"))
        };
        let (entries, next) = (&mut self.entries, &mut self.next_number);
        self.state.for_each(|key, value| {
            let key = std::str::from_utf8(key).ok().and_then(|key| key.parse::<u64>().ok());
            let number = key.ok_or_else(|| bad("a key is no number"))?;
            *next = (*next).max(number + 1);
            let Some(value) = value else {
                entries.remove(&number);
                return Ok(());
            };
            let known: Known =
                serde_json::from_slice(value).map_err(|error| bad(&error.to_string()))?;
            if known.version != VERSION {
                return Err(bad(&format!("version {}, not {VERSION}", known.version)));
            }
            entries.insert(number, Entry::new(known, PathBuf::new()));
            Ok(())
        })?;
        for (number, entry) in &self.entries {
            if !entry.known.gone {
                self.places.insert((entry.known.device, entry.known.inode), *number);
            }
        }
        Ok(())
    }

    /// Runs until it is drained, or without `follow` to the end of the last file.
    pub fn run(mut self, shared: &Arc<Shared>) -> Result<(), Error> {
        let mut looks = 0u64;
        while !shared.is_draining() {
            let ready = self.look()?;
            if looks == 0 && !self.manner.follow && self.pattern.is_plain() {
                self.refuse_missing()?;
            }
            looks += 1;
            let came = !ready.is_empty();
            for number in ready {
                self.read(number, shared)?;
            }
            self.bury(false);
            if self.writer.has_some() || !self.dirty.is_empty() {
                self.commit(shared)?;
            }
            if self.manner.follow {
                self.close_some();
                self.writer.settle(shared)?;
                self.tell(shared, !came && !self.is_unsure());
                shared.wait(self.look_time);
            } else if !came && !self.is_unsure() {
                break;
            }
        }
        self.commit(shared)?;
        self.bury(true);
        self.commit(shared)?;
        self.writer.settle(shared)?;
        self.tell(shared, !shared.is_draining());
        let trouble = self.entries.values().find_map(|entry| entry.trouble.clone());
        match trouble.filter(|_| !self.manner.follow && !shared.is_draining()) {
            Some(trouble) => Err(Error::fatal(trouble.code, trouble.what)),
            None => Ok(()),
        }
    }

    fn refuse_missing(&self) -> Result<(), Error> {
        if !self.entries.is_empty() {
            return Ok(());
        }
        Err(Error::fatal("source-missing", "the file of the source is not there"))
    }

    /// Reads a file to its end, as it is now.
    fn read(&mut self, number: u64, shared: &Shared) -> Result<(), Error> {
        let manner = self.manner;
        self.wait_for_room(shared)?;
        let Some(entry) = self.entries.get_mut(&number) else { return Ok(()) };
        (entry.visited, entry.at_end) = (true, false);
        if !entry.open(manner) {
            // Looked into again, whether or not it changes: permissions may.
            entry.checked = None;
            return Ok(());
        }
        let before = entry.reader.as_ref().and_then(|reader| reader.file.metadata().ok());
        let mut ended = false;
        while !shared.is_draining() {
            // What was read is handed over before more is read.
            let end = ended && !manner.follow;
            if !self.hand_over(number, end, shared)? {
                return Ok(());
            }
            let Some(entry) = self.entries.get_mut(&number) else { return Ok(()) };
            if ended {
                entry.at_end = true;
                break;
            }
            let Some(reader) = &mut entry.reader else { return Ok(()) };
            match reader.read() {
                Ok(Brought::More) => entry.came = Instant::now(),
                Ok(Brought::End) => ended = true,
                Ok(Brought::CutOff) => {
                    let path = entry.path.display();
                    let what = format!("{path} ends in the middle of what was packed");
                    entry.set_trouble("gzip-cut-off", what);
                    return Ok(());
                }
                Err(error) => {
                    entry.set_io(&error);
                    entry.reader = None;
                    if !entry.known.packed {
                        // What is damaged stays so; a disk may come back.
                        entry.checked = None;
                    }
                    return Ok(());
                }
            }
        }
        let Some(entry) = self.entries.get_mut(&number) else { return Ok(()) };
        if let Some(reader) = &mut entry.reader {
            reader.rest();
            if ended && reader.cutter.splitter.rest() == 0 {
                let size = before.map_or(0, |metadata| metadata.len());
                if entry.known.size_read != size {
                    entry.known.size_read = size;
                    self.dirty.insert(number);
                }
            }
        }
        if !self.manner.follow {
            self.remember(number);
            if let Some(entry) = self.entries.get_mut(&number) {
                entry.reader = None;
            }
        }
        Ok(())
    }

    /// Hands over what was read of a file; false if that cannot go on.
    fn hand_over(&mut self, number: u64, end: bool, shared: &Shared) -> Result<bool, Error> {
        loop {
            let Some(entry) = self.entries.get_mut(&number) else { return Ok(false) };
            let Some(reader) = &mut entry.reader else { return Ok(false) };
            let before = reader.cutter.splitter.position();
            let full = reader.cutter.hand_over(end, &mut self.writer);
            if reader.cutter.splitter.position() != before {
                self.dirty.insert(number);
            }
            let full = match full {
                Ok(full) => full,
                Err(what) => {
                    // Its rows would have no names. Nothing of it was taken.
                    entry.set_trouble("csv-header", what);
                    entry.reader = None;
                    self.dirty.remove(&number);
                    return Ok(false);
                }
            };
            if self.writer.is_due() {
                self.commit(shared)?;
                self.wait_for_room(shared)?;
            }
            if !full || shared.is_draining() {
                return Ok(true);
            }
        }
    }

    /// Nothing is read while the topic's readers lag too far behind.
    fn wait_for_room(&mut self, shared: &Shared) -> Result<(), Error> {
        while !shared.is_draining() && !self.writer.has_room(self.backlog_max) {
            self.writer.settle(shared)?;
            shared.wait(ROOM_LOOK);
        }
        Ok(())
    }

    fn remember(&mut self, number: u64) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.remember();
        }
    }

    /// Commits what was handed over, with the positions that say so.
    fn commit(&mut self, shared: &Shared) -> Result<(), Error> {
        let stale = self.state.rows() > 2 * self.entries.len() as u64 + STALE_ROWS_MAX;
        let anew = stale.then(|| self.state.end());
        if stale {
            // Those that were never committed have no position worth a row.
            let all = self.entries.iter().filter(|(_, entry)| entry.known.position > 0);
            self.dirty.extend(all.map(|(number, _)| *number));
            self.removed.clear();
        }
        let dirty = std::mem::take(&mut self.dirty);
        let mut rows = Vec::new();
        for number in std::mem::take(&mut self.removed) {
            rows.push((number.to_string(), None));
        }
        for number in dirty {
            self.remember(number);
            let Some(entry) = self.entries.get(&number) else { continue };
            let value = serde_json::to_vec(&entry.known).expect("numbers and texts are JSON");
            rows.push((number.to_string(), Some(value)));
        }
        if rows.is_empty() && !self.writer.has_some() {
            return Ok(());
        }
        let own = self.state.append(rows);
        self.writer.commit(own, shared)?;
        if let Some(base) = anew {
            self.writer.settle(shared)?;
            self.state.trim(base)?;
        }
        Ok(())
    }

    fn tell(&self, shared: &Shared, at_end: bool) {
        let done = |entry: &&Entry| entry.known.size_read > 0;
        let (count, read) = (self.entries.len(), self.entries.values().filter(done).count());
        let newest = self.entries.values().max_by_key(|entry| entry.came);
        let newest = newest.map_or(String::new(), |entry| {
            format!(", {} to byte {}", entry.known.name, entry.known.position)
        });
        let troubles = self.entries.values().filter_map(|entry| entry.trouble.as_ref());
        let troubles: Vec<String> = troubles.map(|trouble| trouble.what.clone()).collect();
        let (records, dead_letters) = self.writer.durable();
        shared.tell(|standing| {
            (standing.records, standing.dead_letters) = (records, dead_letters);
            standing.at_end = at_end;
            standing.position = format!("{read} of {count} files read{newest}");
            standing.troubles = troubles;
        });
    }
}
