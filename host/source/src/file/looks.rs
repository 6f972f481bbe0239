//! What lies in the folder now, matched with what is known: which files can be read on, which are
//! new, which were renamed, replaced, cut short or removed. Reads no line of them.

use super::entry::Entry;
use super::folder::{Look, Seen, see};
use super::known::{Known, Now};
use super::{Files, GONE_MAX, OPEN_MAX};
use crate::error::Error;
use std::time::{Duration, Instant};

/// A file that was removed while it was open is read on for so long after the last that came.
const GONE_QUIET: Duration = Duration::from_secs(5);

/// A file that so many looks in a row did not find is gone.
const MISSED_MAX: u32 = 3;

impl Files {
    /// Whether it is still to be found out if files are gone.
    pub(super) fn is_unsure(&self) -> bool {
        self.entries.values().any(|entry| !entry.here && !entry.known.gone)
    }

    /// Looks into the folder; the numbers of files that hold something new, in the order in which
    /// they are to be read: those begun before, then by name.
    pub(super) fn look(&mut self) -> Result<Vec<u64>, Error> {
        let look = self.pattern.look()?;
        self.entries.values_mut().for_each(|entry| entry.here = false);
        let mut ready = Vec::new();
        let mut unknown = Vec::new();
        for seen in &look.files {
            match self.places.get(&(seen.device, seen.inode)).copied() {
                Some(number) => match self.check(number, seen, &mut ready) {
                    true => {}
                    false => unknown.push(seen),
                },
                None => unknown.push(seen),
            }
        }
        self.check_others(&look, &mut ready);
        for seen in unknown {
            self.enter(seen, &mut ready);
        }
        self.forget_some();
        let order = |number: &u64| {
            let entry = self.entries.get(number);
            entry.map(|entry| (entry.known.position == 0, entry.path.clone()))
        };
        ready.sort_by_cached_key(order);
        Ok(ready)
    }

    /// A file lies where one is known. False if it is another one.
    fn check(&mut self, number: u64, seen: &Seen, ready: &mut Vec<u64>) -> bool {
        let follow = self.manner.follow;
        let Some(entry) = self.entries.get_mut(&number) else { return false };
        if entry.here {
            // The same file under two names.
            return true;
        }
        if entry.known.is_succeeded_by(seen) {
            self.lose(number, false);
            return false;
        }
        let stamp = (seen.size, seen.changed);
        if entry.checked == Some(stamp) || (entry.visited && !follow) {
            entry.see(seen);
            return true;
        }
        let opened = seen.open();
        let compared = match opened {
            // It was renamed while we looked: the next look finds it.
            Ok(None) => {
                entry.here = true;
                return true;
            }
            Ok(Some(file)) => entry.known.compare(&file),
            Err(error) => Err(error),
        };
        match compared {
            Ok(Now::Other) => {
                let path = seen.path.display();
                tracing::warn!(%path, "a file was replaced, or cut short and written anew; it is \
                    read from its start");
                self.lose(number, true);
                return false;
            }
            // Renamed and cut short: nobody does that. It is another file.
            Ok(Now::Shrunk) if entry.known.name != seen.name => {
                self.lose(number, false);
                return false;
            }
            Ok(Now::Shrunk) => {
                entry.see(seen);
                entry.set_shrunk();
                entry.reader = None;
            }
            Ok(Now::Same) => {
                entry.see(seen);
                entry.trouble = None;
                if !entry.known.is_done(seen.size) {
                    ready.push(number);
                }
            }
            Err(error) => {
                entry.see(seen);
                entry.set_io(&error);
                entry.visited = true;
                return true;
            }
        }
        entry.checked = Some(stamp);
        entry.visited |= entry.trouble.is_some();
        true
    }

    /// Files that were not seen: under a name that the pattern does not mean, or nowhere.
    fn check_others(&mut self, look: &Look, ready: &mut Vec<u64>) {
        let missing = self.entries.iter().filter(|(_, entry)| !entry.here && !entry.known.gone);
        let missing: Vec<u64> = missing.map(|(number, _)| *number).collect();
        for number in missing {
            let Some(entry) = self.entries.get_mut(&number) else { continue };
            entry.missed += 1;
            let seen = look.others.get(&entry.known.inode).and_then(|path| see(path));
            let seen = seen.filter(|seen| seen.device == entry.known.device);
            if seen.is_some_and(|seen| self.check(number, &seen, ready)) {
                continue;
            }
            let Some(entry) = self.entries.get(&number) else { continue };
            if !entry.known.gone {
                if entry.missed < MISSED_MAX {
                    // What is renamed while a folder is read may be missing in it.
                    continue;
                }
                if entry.reader.is_none() && !entry.known.is_done(entry.known.size_read) {
                    let name = &entry.known.name;
                    tracing::warn!(name, "a file was removed before it was read to its end");
                }
                self.lose(number, false);
            }
        }
        let open = self.entries.iter().filter(|(_, e)| !e.here && e.reader.is_some());
        ready.extend(open.map(|(number, _)| *number));
    }

    /// A file is no longer where it was.
    fn lose(&mut self, number: u64, replaced: bool) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        self.places.remove(&(entry.known.device, entry.known.inode));
        if replaced {
            // The open file is the other one.
            entry.reader = None;
        }
        (entry.known.gone, entry.known.replaced) = (true, replaced);
        (entry.checked, entry.trouble) = (None, None);
        match entry.known.position > 0 || entry.reader.is_some() {
            true => drop(self.dirty.insert(number)),
            false => drop(self.entries.remove(&number)),
        }
    }

    /// A file that lies where none is known: one that was lost, or a new one. One that was lost
    /// comes back under its name, as after a move to another disk; or under any name if something
    /// else was put in its place, as where logs are copied and then cut short.
    fn enter(&mut self, seen: &Seen, ready: &mut Vec<u64>) {
        if self.places.contains_key(&(seen.device, seen.inode)) {
            // The same file under two names.
            return;
        }
        let file = match seen.open() {
            // It was renamed while we looked: the next look finds it.
            Ok(None) => return,
            opened => opened.ok().flatten(),
        };
        let found = file.and_then(|file| {
            let mut lost = self.entries.iter().filter(|(_, entry)| {
                let known = &entry.known;
                let lost = known.gone || !entry.here;
                let may = lost && (known.name == seen.name || known.replaced);
                may && known.packed == seen.name.ends_with(".gz") && known.head_bytes > 0
            });
            lost.find(|(_, entry)| entry.known.compare(&file).is_ok_and(|now| now == Now::Same))
                .map(|(number, _)| *number)
        });
        let number = found.unwrap_or_else(|| {
            let number = self.next_number;
            self.next_number += 1;
            self.entries.insert(number, Entry::new(Known::new(seen), seen.path.clone()));
            number
        });
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if found.is_some() {
            self.places.remove(&(entry.known.device, entry.known.inode));
            self.dirty.insert(number);
            entry.reader = None;
        }
        entry.see(seen);
        entry.checked = Some((seen.size, seen.changed));
        self.places.insert((seen.device, seen.inode), number);
        if !entry.known.is_done(seen.size) {
            ready.push(number);
        }
    }

    /// Lets go of files that were removed and from which nothing comes any more; what stands on
    /// their last line without a newline counts. `now`: of all of them.
    pub(super) fn bury(&mut self, now: bool) {
        for (number, entry) in &mut self.entries {
            let removed = match now {
                true => entry.known.gone || entry.is_unlinked(),
                false => entry.known.gone && entry.came.elapsed() > GONE_QUIET,
            };
            if !removed || !entry.at_end {
                continue;
            }
            let Some(mut reader) = entry.reader.take() else { continue };
            self.dirty.insert(*number);
            match reader.cutter.hand_over(true, &mut self.writer) {
                Ok(true) => {
                    // The writer is full: the rest at the next look.
                    entry.reader = Some(reader);
                }
                Ok(false) => {
                    entry.reader = Some(reader);
                    entry.remember();
                    entry.reader = None;
                }
                Err(what) => entry.set_trouble("csv-header", what),
            }
        }
    }

    /// Those lost first are forgotten when there are too many.
    fn forget_some(&mut self) {
        let gone = self.entries.iter().filter(|(_, e)| e.known.gone && e.reader.is_none());
        let gone: Vec<u64> = gone.map(|(number, _)| *number).collect();
        let excess = gone.len().saturating_sub(GONE_MAX);
        for number in gone.into_iter().take(excess) {
            self.entries.remove(&number);
            self.dirty.remove(&number);
            self.removed.insert(number);
        }
    }

    /// Closes files from which nothing came for long, if too many are open.
    pub(super) fn close_some(&mut self) {
        let open = self.entries.iter().filter(|(_, entry)| entry.reader.is_some());
        let mut open: Vec<(Instant, u64)> =
            open.map(|(number, entry)| (entry.came, *number)).collect();
        let excess = open.len().saturating_sub(OPEN_MAX);
        open.sort();
        for (_, number) in open.into_iter().take(excess) {
            if let Some(entry) = self.entries.get_mut(&number) {
                entry.remember();
                entry.reader = None;
            }
        }
    }
}
