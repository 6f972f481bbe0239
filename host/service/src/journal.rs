//! The journal against a record that kills the host. After an unclean end in which a task made no
//! progress it names the one row of it that is in hand, and no other guest of the process is
//! called meanwhile; a row that stood there alone at `host_kills_max` unclean ends in a row,
//! without progress, is convicted.
//!
//! `running` lies in the data folder while a host runs: `ends` and how many unclean ends came right
//! before this run, a line for each task that began, with the root of its commit then, and `lasted`
//! once the run has lasted so long that what comes is no loop. `journal` holds a line for each
//! suspect: `hand` for the one row in hand or `held` for one that an earlier end was blamed on,
//! stage, partition, position, its offset if it was sent back or `-`, root of the commit, unclean
//! ends before. Suspects of several tasks stand beside each other, since else records that kill the
//! host in turns would acquit each other.
//! Neither file is synced: what they guard against is the death of the process, not of the machine.
//! An innocent record is never blamed for a kill from outside, unless that hits the same record
//! every time; and a task that gets on between kills goes at full speed.

use pawl_core::commit::TaskId;
use pawl_core::decision::Root;
use pawl_core::record::Offset;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    task: TaskId,
    row: Row,
    root: u64,
    ends: u64,
}

/// A row of a task: the position at which it stands, or before which it was admitted, and what it
/// is called there.
pub(crate) type Row = (Offset, Root);

/// The row is in hand.
const HAND: &str = "hand";

/// The row was in hand at earlier ends.
const HELD: &str = "held";

impl Entry {
    fn write(&self, word: &str, lines: &mut String) {
        let Self { task, row: (position, name), root, ends } = self;
        let sent_back = match name {
            Root::SentBack(offset) => offset.to_string(),
            Root::Row | Root::Tick(_) => NOT_SENT_BACK.to_owned(),
        };
        let TaskId { stage, partition } = task;
        lines.push_str(&format!(
            "{word} {stage} {partition} {position} {sent_back} {root} {ends}\n"
        ));
    }
}

/// In place of an offset of rows that were sent back.
const NOT_SENT_BACK: &str = "-";

/// So many unclean ends came before, one right after the other.
const ENDS: &str = "ends";

/// The run lasted.
const LASTED: &str = "lasted";

/// The journal of one run.
pub(crate) struct Journal {
    marker: PathBuf,
    unclean: bool,
    ends: AtomicU64,
    /// What earlier ends were blamed on, one row of a task at most.
    suspects: BTreeMap<TaskId, Entry>,
    /// Where each task stood when it last began in the run before.
    began: BTreeMap<TaskId, u64>,
    begins: Mutex<File>,
    /// Whoever is named in the journal is alone in there; all others share it.
    gate: RwLock<()>,
    file: Mutex<File>,
}

/// A row is in hand while this lives.
pub(crate) struct InHand<'a> {
    file: MutexGuard<'a, File>,
    suspects: &'a BTreeMap<TaskId, Entry>,
    _alone: RwLockWriteGuard<'a, ()>,
}

/// A guest call that nobody is named for; others may run meanwhile.
pub(crate) struct Among<'a> {
    _shared: RwLockReadGuard<'a, ()>,
}

impl Journal {
    /// Opens the journal and notes that a host runs.
    pub fn open(data: &Path) -> std::io::Result<Self> {
        let marker = data.join("running");
        let path = data.join("journal");
        let unclean = marker.exists();
        let before = std::fs::read_to_string(&marker).unwrap_or_default();
        let ends = if unclean { ends_before(&before) + 1 } else { 0 };
        let began = before.lines().filter_map(begun).collect();
        let suspects = match std::fs::read_to_string(&path) {
            Ok(text) if unclean => suspects(&text),
            _ => BTreeMap::new(),
        };
        let mut begins = File::create(&marker)?;
        begins.write_all(format!("{ENDS} {ends}\n").as_bytes())?;
        let ends = AtomicU64::new(ends);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        write(&mut file, &held(suspects.values()))?;
        let (begins, gate, file) = (Mutex::new(begins), RwLock::new(()), Mutex::new(file));
        Ok(Self { marker, unclean, ends, suspects, began, begins, gate, file })
    }

    /// Whether the run before ended without a word.
    pub fn is_unclean(&self) -> bool {
        self.unclean
    }

    /// How many runs before this one ended without a word, one right after the other. 0 once this
    /// one has lasted.
    pub fn unclean_ends(&self) -> u64 {
        self.ends.load(Ordering::Relaxed)
    }

    /// The run has lasted: whatever ends it later is no loop.
    pub fn lasted(&self) -> std::io::Result<()> {
        self.ends.store(0, Ordering::Relaxed);
        lock(&self.begins).write_all(format!("{LASTED}\n").as_bytes())
    }

    /// Notes that a task begins with its last commit at this root. Says whether that is where it
    /// began before, in a run that ended without a word: then it may be one of its rows that
    /// killed the host.
    pub fn begin(&self, task: &TaskId, root: u64) -> std::io::Result<bool> {
        let line = format!("{} {} {root}\n", task.stage, task.partition);
        lock(&self.begins).write_all(line.as_bytes())?;
        Ok(self.unclean && self.began.get(task) == Some(&root))
    }

    /// The position of the row to convict, if one of this task stood here often enough.
    pub fn convicted(&self, task: &TaskId, root: u64, kills_max: u32) -> Option<Row> {
        let suspect = self.suspects.get(task)?;
        (suspect.root == root && suspect.ends >= u64::from(kills_max.max(1))).then_some(suspect.row)
    }

    /// Names a row as the only one in hand, until the returned value is dropped.
    pub fn hold(&self, task: &TaskId, row: Row, root: u64) -> std::io::Result<InHand<'_>> {
        let alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut file = lock(&self.file);
        let same = self.suspects.get(task).filter(|it| it.row == row && it.root == root);
        let ends = same.map_or(0, |suspect| suspect.ends);
        let task = task.clone();
        let mut lines = held(self.suspects.values());
        Entry { task, row, root, ends }.write(HAND, &mut lines);
        write(&mut file, &lines)?;
        Ok(InHand { file, suspects: &self.suspects, _alone: alone })
    }

    /// Keeps other guests from being called meanwhile, and names no row.
    pub fn hold_nothing(&self) -> std::io::Result<InHand<'_>> {
        let alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        Ok(InHand { file: lock(&self.file), suspects: &self.suspects, _alone: alone })
    }

    /// Waits while somebody is named.
    pub fn share(&self) -> Among<'_> {
        Among { _shared: self.gate.read().unwrap_or_else(PoisonError::into_inner) }
    }

    /// The host ends in good order.
    pub fn close(&self) -> std::io::Result<()> {
        write(&mut lock(&self.file), "")?;
        std::fs::remove_file(&self.marker)
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        // If this fails the row stays named, and is named wrongly only until the next one is.
        if let Err(error) = write(&mut self.file, &held(self.suspects.values())) {
            tracing::warn!(%error, "failed to clear the journal");
        }
    }
}

fn lock(file: &Mutex<File>) -> MutexGuard<'_, File> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many unclean ends the run that wrote this counted before itself.
fn ends_before(marker: &str) -> u64 {
    if marker.lines().any(|line| line == LASTED) {
        return 0;
    }
    let mut counts = marker.lines().filter_map(|line| line.strip_prefix(ENDS)?.trim().parse().ok());
    counts.next().unwrap_or(0)
}

fn begun(line: &str) -> Option<(TaskId, u64)> {
    let mut words = line.split(' ');
    let task = TaskId { stage: words.next()?.to_owned(), partition: words.next()?.parse().ok()? };
    Some((task, words.next()?.parse().ok()?))
}

fn write(file: &mut File, line: &str) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(line.as_bytes())?;
    file.set_len(line.len() as u64)
}

/// The lines of those that earlier ends were blamed on.
fn held<'a>(suspects: impl Iterator<Item = &'a Entry>) -> String {
    let mut lines = String::new();
    suspects.for_each(|suspect| suspect.write(HELD, &mut lines));
    lines
}

/// Who is suspected after an unclean end: the row in hand once more, and in its task none other.
fn suspects(text: &str) -> BTreeMap<TaskId, Entry> {
    let mut suspects = BTreeMap::new();
    for line in text.split_inclusive('\n') {
        let Some((word, mut entry)) = parse(line) else { continue };
        entry.ends += u64::from(word == HAND);
        suspects.insert(entry.task.clone(), entry);
    }
    suspects
}

fn parse(line: &str) -> Option<(&str, Entry)> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let word = words.next().filter(|word| [HELD, HAND].contains(word))?;
    let task = TaskId { stage: words.next()?.to_owned(), partition: words.next()?.parse().ok()? };
    let position = words.next()?.parse().ok()?;
    let name = match words.next()? {
        NOT_SENT_BACK => Root::Row,
        offset => Root::SentBack(offset.parse().ok()?),
    };
    let mut number = || words.next()?.parse().ok();
    let (root, ends) = (number()?, number()?);
    Some((word, Entry { task, row: (position, name), root, ends }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("pawl-journal-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn task() -> TaskId {
        TaskId { stage: "a-b".into(), partition: 3 }
    }

    #[test]
    fn a_row_that_was_in_hand_at_three_unclean_ends_is_convicted_and_not_before() {
        let data = folder("convicts");
        for ends in 0..4 {
            let journal = Journal::open(&data).unwrap();
            let convicted = journal.convicted(&task(), 7, 3);
            assert_eq!(convicted, (ends >= 3).then_some((42, Root::Row)), "after {ends} ends");
            // It dies with it in hand.
            std::mem::forget(journal.hold(&task(), (42, Root::Row), 7).unwrap());
        }
    }

    #[test]
    fn rows_of_two_tasks_that_take_turns_in_killing_the_host_are_both_convicted() {
        let data = folder("turns");
        let tasks = [3, 4].map(|partition| TaskId { stage: "a-b".into(), partition });
        for end in 0..6 {
            let journal = Journal::open(&data).unwrap();
            let convicted = tasks.each_ref().map(|task| journal.convicted(task, 7, 3).is_some());
            assert_eq!(convicted, [end >= 5, false], "after {end} ends");
            drop(journal.hold(&tasks[(end + 1) % 2], (40, Root::Row), 7).unwrap()); // survives
            std::mem::forget(journal.hold(&tasks[end % 2], (42, Root::Row), 7).unwrap());
        }
        let journal = Journal::open(&data).unwrap();
        assert!(tasks.iter().all(|task| journal.convicted(task, 7, 3) == Some((42, Root::Row))));
    }

    #[test]
    fn a_task_that_got_on_before_the_end_is_not_suspected() {
        let data = folder("suspects");
        for (root, stuck) in [(0, false), (5, false), (5, true), (5, true), (6, false)] {
            let journal = Journal::open(&data).unwrap();
            assert_eq!(journal.begin(&task(), root).unwrap(), stuck, "{root}");
        }
        Journal::open(&data).unwrap().close().unwrap();
        assert!(!Journal::open(&data).unwrap().begin(&task(), 6).unwrap(), "a clean end");
    }

    #[test]
    fn unclean_ends_are_counted_until_a_run_lasts_or_ends_well() {
        let data = folder("ends");
        for ends in 0..4 {
            let journal = Journal::open(&data).unwrap();
            assert_eq!(journal.unclean_ends(), ends);
            journal.begin(&task(), 5).unwrap();
        }
        let journal = Journal::open(&data).unwrap();
        journal.lasted().unwrap();
        assert_eq!(journal.unclean_ends(), 0);
        let journal = Journal::open(&data).unwrap();
        assert_eq!(journal.unclean_ends(), 1, "the one that lasted ended badly too");
        journal.close().unwrap();
        assert_eq!(Journal::open(&data).unwrap().unclean_ends(), 0);
    }

    #[test]
    fn progress_and_a_clean_end_acquit() {
        let data = folder("acquits");
        for root in 0..5 {
            let journal = Journal::open(&data).unwrap();
            assert_eq!(journal.convicted(&task(), root, 3), None);
            std::mem::forget(journal.hold(&task(), (42, Root::Row), root).unwrap());
        }
        let journal = Journal::open(&data).unwrap();
        assert!(journal.is_unclean());
        drop(journal.hold(&task(), (42, Root::Row), 9).unwrap());
        journal.close().unwrap();
        assert!(!Journal::open(&data).unwrap().is_unclean());
    }
}
