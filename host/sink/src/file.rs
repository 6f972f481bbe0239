//! Lines in the files of a folder, each record's once, whatever is killed and whenever the power
//! goes.
//!
//! This never puts a line of its own into a file (but the header of comma-separated values), never
//! goes on after an fsync failed, and never deletes what may have been delivered.
//!
//! **Layout.** Of the stage `alerts` on partition 3; positions as 20 digits, `<log>` the first 8
//! digits of the identity of the log that they belong to:
//!
//! ```text
//! alerts-3-<log>-<first>-<next>.jsonl   finished: records from position <first> on, below <next>
//! alerts-3-<log>-<first>.jsonl.open     being written, at most one; not for readers
//! .alerts-3.position                    what is valid (see `state`); replaced, never changed
//! .alerts-3.position.new                its successor being written
//! .alerts-3.lock                        empty; locked during each call
//! ```
//!
//! Sorted by name, finished files hold the records of a partition and a log in order. They never
//! change again: whoever reads them may take them away. Positions have gaps, so `<next>` minus
//! `<first>` is not the number of lines. Files of comma-separated values end in `.csv`.
//!
//! **Writing.** Under the lock, in this order: lines are appended to the open file; fsync of it
//! (and of the folder, if it is new); the position file is written under its other name; fsync;
//! rename over the old one; fsync of the folder. Only then are the records `Delivered`. What the
//! open file holds beyond the length in the position file was never delivered, and is cut off
//! before more is appended. To finish a file the position file says so first (together with the
//! last lines, if these fill it), then it is renamed, then the folder is synchronised. So after any
//! crash the position file alone says what to do: cut off, finish, or nothing, if the file is gone.
//!
//! **Coming again.** Records below the position file's next position are there already, and are
//! `Delivered` without being written. One that is refused is refused again each time: what is
//! refused depends on the record and the format alone. (Change the format only where the stage has
//! been drained: a refusal that was not yet noted would be judged by the new one.)
//!
//! **Taking over.** `open` finishes the file that it finds, so that a file holds one format and one
//! owner's lines, and puts its epoch into the position file. A lower epoch finds that there, under
//! the same lock, before it writes anything, and is fenced. That holds as far as the file system's
//! locks do: on one machine always, on shared ones (NFS) if they keep advisory locks.
//!
//! **Another log.** A log that was lost and made anew counts from 0 again, so positions are those
//! of one log. `open` with another log than that of the position file first finishes what is there
//! under the old log's name. Then one new position file makes the switch: the new log begins at no
//! position, or goes on where it was left if it was here before; the old one and its next position
//! are noted. There is one lock and one position file for all logs of a partition, so that epochs
//! fence an owner that still lives on the old log.
//!
//! An older copy of a log is the same log, and if it went on by itself its positions mean other
//! records from some point on. The position file holds the ids of the first and of the last record
//! that was written: if one of these positions comes again with another id the sink stops,
//! `file-other-log`. Other positions cannot be told apart, and their records would be taken for
//! written. So where an older copy is put back, give the stage a new name.
//!
//! **Rotation.** The next file begins where a line would make one longer than `file_bytes_max` (a
//! line that is longer by itself has a file to itself), `file_age_max_ms` after a file's first
//! line, and when an owner begins or ends.

mod disk;
mod folder;
mod lines;
mod state;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::sink::{Delivery, Owner, Sink, Verdict};
use disk::{Disk, RealDisk};
use folder::{Folder, Held};
use lines::Lines;
use pawl_pipeline::FileSink;
use state::Mark;
use std::time::{Duration, Instant};

/// Puts records into files of a folder.
pub struct Files {
    disk: Box<dyn Disk>,
    config: FileSink,
    lines: Lines,
    held: Option<Held>,
    /// Since when the open file is open.
    open_since: Option<Instant>,
    /// Why nothing may be written any more.
    broken: Option<Error>,
}

impl Files {
    /// A sink that has not looked at the folder yet.
    pub fn new(config: &FileSink) -> Result<Self, Error> {
        Ok(Self::on(Box::new(RealDisk), config))
    }

    fn on(disk: Box<dyn Disk>, config: &FileSink) -> Self {
        let lines = Lines::new(&config.format);
        let (held, open_since) = (None, None);
        Self { disk, config: config.clone(), lines, held, open_since, broken: None }
    }

    /// Runs something with the folder locked and found as this owner left it. After an error that
    /// only a person can mend nothing is tried any more.
    fn with_folder<T>(
        &mut self,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let Some(held) = &mut self.held else {
            let what = "the folder was not opened, or that failed: open it again".to_owned();
            return Err(Error::Transient { kind: "not-open".to_owned(), what });
        };
        let folder = Folder { disk: &*self.disk, folder: &self.config.folder };
        let result = folder.lock(&held.owner).and_then(|_lock| {
            folder.verify(held)?;
            let (lines, config) = (&self.lines, &self.config);
            work(&mut Writer { folder, held, lines, config, open_since: &mut self.open_since })
        });
        self.note(result)
    }

    fn note<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error @ (Error::Fatal { .. } | Error::Fenced { .. })) = &result {
            self.broken = Some(error.clone());
            self.open_since = None;
        }
        result
    }

    fn is_due(&self) -> bool {
        let age_max = Duration::from_millis(self.config.file_age_max_ms);
        self.open_since.is_some_and(|since| since.elapsed() >= age_max)
    }
}

impl Sink for Files {
    fn open(&mut self, owner: &Owner) -> Result<(), Error> {
        if let Some(error @ Error::Fatal { .. }) = &self.broken {
            return Err(error.clone());
        }
        (self.held, self.open_since, self.broken) = (None, None, None);
        let folder = Folder { disk: &*self.disk, folder: &self.config.folder };
        let result = folder.take_over(owner);
        self.held = Some(self.note(result)?);
        Ok(())
    }

    fn deliver(&mut self, records: &[Delivery<'_>]) -> Result<Vec<Verdict>, Error> {
        let due = self.is_due();
        self.with_folder(|writer| {
            if due {
                writer.finish()?;
            }
            writer.write(records)
        })
    }

    fn rest(&mut self) -> Result<(), Error> {
        match self.is_due() {
            true => self.with_folder(|writer| writer.finish()),
            false => Ok(()),
        }
    }
}

impl Drop for Files {
    /// Finishes the open file for its readers. Where that fails the next owner does it.
    fn drop(&mut self) {
        if self.open_since.is_some() {
            drop(self.with_folder(|writer| writer.finish()));
        }
    }
}

/// The folder while it is locked.
struct Writer<'a> {
    folder: Folder<'a>,
    held: &'a mut Held,
    lines: &'a Lines,
    config: &'a FileSink,
    open_since: &'a mut Option<Instant>,
}

/// Lines that become durable together.
struct Chunk {
    bytes: Vec<u8>,
    first: Mark,
    last: Mark,
}

impl Writer<'_> {
    fn write(&mut self, records: &[Delivery<'_>]) -> Result<Vec<Verdict>, Error> {
        let mut verdicts = Vec::with_capacity(records.len());
        let mut chunk: Option<Chunk> = None;
        let mut line = Vec::new();
        for record in records {
            line.clear();
            if let Err(refusal) = self.lines.append(record, &mut line) {
                verdicts.push(refusal.into());
                continue;
            }
            verdicts.push(Verdict::Delivered);
            let mark = Mark::of(record);
            self.held.state.refuse_other_log(&mark)?;
            let next = chunk.as_ref().map_or(self.held.state.next, |chunk| chunk.last.next());
            if record.position < next {
                continue;
            }
            if self.is_full(chunk.as_ref(), line.len()) {
                self.flush(chunk.take(), true)?;
            }
            match &mut chunk {
                Some(chunk) => {
                    chunk.bytes.extend_from_slice(&line);
                    chunk.last = mark;
                }
                None => {
                    let bytes = std::mem::take(&mut line);
                    chunk = Some(Chunk { bytes, first: mark, last: mark });
                }
            }
        }
        self.flush(chunk, false)?;
        Ok(verdicts)
    }

    /// Whether the open file, with what is about to be added, has no room for one more line.
    fn is_full(&self, chunk: Option<&Chunk>, line: usize) -> bool {
        let open = self.held.state.open.as_ref();
        let waiting = chunk.map_or(0, |chunk| chunk.bytes.len());
        let header = self.lines.header().len();
        let bytes = open.map_or(header as u64, |open| open.length) + waiting as u64;
        let empty = open.is_none() && chunk.is_none();
        !empty && bytes + line as u64 > self.config.file_bytes_max
    }

    /// Makes lines durable, and finishes the file if they fill it.
    fn flush(&mut self, chunk: Option<Chunk>, fills: bool) -> Result<(), Error> {
        if let Some(chunk) = chunk {
            self.folder.append(self.held, self.lines, chunk, fills)?;
            self.open_since.get_or_insert_with(Instant::now);
        }
        match fills {
            true => self.finish(),
            false => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.folder.finish(self.held)?;
        *self.open_since = None;
        Ok(())
    }
}
