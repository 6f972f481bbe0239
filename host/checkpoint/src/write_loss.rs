//! Random lives of a store that end by a kill or a loss of power at any operation. `kill -9` alone
//! proves nothing about syncing, because the system still has the bytes. Each bug that is planted
//! here, one step of `durable` left out or moved, must be caught.

use crate::files::{Files, Readable, Writable};
use crate::memory_disk::MemoryDisk;
use crate::suite::{PIPELINE, Random, draft, header, key, name, task};
use crate::{Error, LocalStore, PartKey, Store};
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const LIVES: usize = 12;
const SEEDS: u64 = 1_500;

/// A step left out or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    NoFileSync,
    NameBeforeFileSync,
    NoFolderSync,
    NoSyncOfParents,
    /// What an earlier owner did and could not sync before it was killed.
    NoSyncOfInheritedNames,
}

/// The disk as a store with a bug uses it.
struct Buggy {
    disk: MemoryDisk,
    bug: Option<Bug>,
    /// Folders in which this process made or removed a name.
    touched: Mutex<BTreeSet<PathBuf>>,
}

impl Buggy {
    fn touch(&self, path: &Path) {
        self.touched.lock().unwrap().insert(path.parent().unwrap().to_owned());
    }
}

struct NeverSynced(Box<dyn Writable>);

impl Write for NeverSynced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Writable for NeverSynced {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Files for Buggy {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Writable>> {
        let file = self.disk.create(path)?;
        match self.bug {
            Some(Bug::NoFileSync | Bug::NameBeforeFileSync) => Ok(Box::new(NeverSynced(file))),
            _ => Ok(file),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Readable>> {
        self.disk.open(path)
    }

    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.touch(to);
        self.disk.publish(from, to)?;
        match self.bug {
            Some(Bug::NameBeforeFileSync) => {
                // The name may reach the disk at once, as it may on a real one.
                self.disk.sync_folder(to.parent().unwrap())?;
                self.disk.sync_late(to)
            }
            _ => Ok(()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.touch(path);
        self.disk.remove(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.touch(folder);
        self.disk.create_folder(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let leaf = folder.ends_with("stage/0");
        match self.bug {
            Some(Bug::NoFolderSync) if leaf => Ok(()),
            Some(Bug::NoSyncOfParents) if !leaf => Ok(()),
            Some(Bug::NoSyncOfInheritedNames) if !self.touched.lock().unwrap().contains(folder) => {
                Ok(())
            }
            _ => self.disk.sync_folder(folder),
        }
    }
}

type Parts = BTreeMap<PartKey, Vec<u8>>;

/// What the world outside relies on, whatever happens.
#[derive(Default)]
struct Promises {
    /// All that was ever handed to `write`.
    handed: BTreeMap<CheckpointName, Parts>,
    /// The newest of which somebody knows: its write returned, or an owner restored it.
    newest: Option<CheckpointName>,
    /// Those that `keep` said are kept.
    kept: BTreeSet<CheckpointName>,
}

impl Promises {
    /// Whether the store still has what it promised; the newest valid checkpoint.
    fn check(&self, store: &LocalStore, task: &TaskId) -> Result<Option<CheckpointName>, Broken> {
        let found = store.newest(task)?.checkpoint;
        let name = found.as_ref().map(|checkpoint| checkpoint.header.name);
        if name < self.newest {
            return Err(Broken::Law(format!("{:?} is lost, newest is {name:?}", self.newest)));
        }
        for name in self.kept.iter().copied().chain(name) {
            match store.read(task, name) {
                Ok(read) if read.parts.iter().cloned().eq(self.handed[&name].clone()) => {}
                Ok(_) => return Err(Broken::Law(format!("{name:?} is another one"))),
                Err(error) if error.is_damage() => {
                    return Err(Broken::Law(format!("{name:?} was kept: {error}")));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(name)
    }
}

/// Why a life ended.
enum Broken {
    /// The process died, as it should sooner or later.
    Dead,
    /// A promise was broken.
    Law(String),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        match error.to_string() {
            text if text.contains("the process is dead") => Broken::Dead,
            text => Broken::Law(text),
        }
    }
}

/// One owner: takes over, restores, writes and keeps, until it dies.
fn live(store: &LocalStore, promises: &mut Promises, random: &mut Random) -> Result<(), Broken> {
    let task = task("stage", 0);
    store.take_over(&task)?;
    let mut base = promises.check(store, &task)?;
    promises.newest = base;
    loop {
        let mut parts = base.map(|base| promises.handed[&base].clone()).unwrap_or_default();
        let changed = key(random.below(6) as u64);
        parts.insert(changed, random.bytes(700));
        let drafted: Vec<(PartKey, Option<&[u8]>)> = parts
            .iter()
            .map(|(key, data)| (*key, (*key == changed).then_some(data.as_slice())))
            .collect();
        // Never twice the same, so that what is read tells who wrote it.
        let last = promises.handed.keys().next_back().map_or(0, |name| name.sequence);
        let this = name(last + 1, last + 1);
        let draft = draft(header(&task, this), base, &drafted);
        promises.handed.insert(this, parts);
        store.write(&draft)?;
        promises.newest = Some(this);
        base = Some(this);
        if random.below(2) == 0 {
            promises.kept.clear();
            let kept = store.keep(&task, 3)?;
            promises.kept = kept.headers.iter().map(|header| header.name).collect();
        }
    }
}

/// Many owners, one after the other. What went wrong, if anything.
fn history(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let random = &mut Random(seed);
    let disk = MemoryDisk::default();
    let mut promises = Promises::default();
    for _ in 0..LIVES {
        let files = Buggy { disk: disk.clone(), bug, touched: Mutex::default() };
        let store = LocalStore::new("data/checkpoints", PIPELINE).with_files(Arc::new(files));
        disk.die_after(random.below(120));
        match live(&store, &mut promises, random) {
            Err(Broken::Law(what)) => return Err(what),
            Err(Broken::Dead) | Ok(()) => {}
        }
        if random.below(2) == 0 {
            disk.lose_power(random);
        } else {
            disk.start_again();
        }
    }
    Ok(())
}

#[test]
fn whatever_is_killed_or_loses_power_what_was_promised_is_there() {
    for seed in 0..SEEDS {
        if let Err(what) = history(seed, None) {
            panic!("seed {seed}: {what}");
        }
    }
}

#[test]
fn each_step_left_out_or_moved_is_caught() {
    let bugs = [
        Bug::NoFileSync,
        Bug::NameBeforeFileSync,
        Bug::NoFolderSync,
        Bug::NoSyncOfParents,
        Bug::NoSyncOfInheritedNames,
    ];
    for bug in bugs {
        let caught = (0..SEEDS).find_map(|seed| history(seed, Some(bug)).err());
        assert!(caught.is_some(), "{bug:?} goes unnoticed");
    }
}
