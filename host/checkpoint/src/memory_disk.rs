//! A disk in memory that knows what was synced and what was not, for tests. After a loss of power
//! it keeps what was synced, and of the rest whatever chance says: names in a folder each for
//! itself, bytes of a file up to any place or with holes.
//!
//! It is as hard as the standard allows a file system to be, and harder than most are.

use crate::files::{Files, Readable, Writable};
use crate::suite::Random;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// What goes wrong from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    FullOnWrite,
    FullOnSync,
    Sync,
    SyncFolder,
    OtherBytes,
    /// Files of this sequence cannot be read.
    BadSectorIn(u64),
    NoAnswer,
}

#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

struct State {
    nodes: Vec<Node>,
    fault: Option<Fault>,
    /// How many more operations succeed before the process is dead.
    left: Option<usize>,
}

#[derive(Clone, Debug)]
enum Node {
    File { now: Vec<u8>, synced: Vec<u8> },
    Folder { now: BTreeMap<String, usize>, synced: BTreeMap<String, usize> },
}

impl Default for State {
    fn default() -> Self {
        let root = Node::Folder { now: BTreeMap::new(), synced: BTreeMap::new() };
        Self { nodes: vec![root], fault: None, left: None }
    }
}

impl MemoryDisk {
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// The process dies after this many more operations: all later ones fail and change nothing.
    pub fn die_after(&self, operations: usize) {
        self.state().left = Some(operations);
    }

    /// The process is started again; the machine ran on.
    pub fn start_again(&self) {
        self.state().left = None;
    }

    /// The machine lost power and is started again.
    pub fn lose_power(&self, random: &mut Random) {
        let mut state = self.state();
        state.left = None;
        for node in &mut state.nodes {
            match node {
                Node::File { now, synced } => {
                    if now != synced {
                        *now = torn(now, synced, random);
                    }
                    synced.clone_from(now);
                }
                Node::Folder { now, synced } => {
                    let names: Vec<String> = now.keys().chain(synced.keys()).cloned().collect();
                    for name in names {
                        let from = if random.below(2) == 0 { &*now } else { &*synced };
                        let entry = from.get(&name).copied();
                        for side in [&mut *now, &mut *synced] {
                            match entry {
                                Some(node) => side.insert(name.clone(), node),
                                None => side.remove(&name),
                            };
                        }
                    }
                }
            }
        }
    }

    pub fn names(&self, folder: &str) -> Vec<String> {
        self.list(Path::new(folder)).unwrap()
    }

    /// Syncs a file by name, whatever faults are set. For planted bugs.
    pub fn sync_late(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operation()?;
        let node = state.find(path)?;
        state.sync(node)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn operation(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if let Some(left) = &mut state.left {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("the process is dead"))?;
        }
        Ok(state)
    }
}

/// What a file may be when only `synced` is sure.
fn torn(now: &[u8], synced: &[u8], random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => synced.to_vec(),
        1 => now.to_vec(),
        2 => now[..random.below(now.len() + 1)].to_vec(),
        _ => {
            let hole = random.below(now.len() + 1);
            let end = (hole + random.below(512)).min(now.len());
            let mut torn = now.to_vec();
            torn[hole..end].fill(0);
            torn
        }
    }
}

impl State {
    fn find(&self, path: &Path) -> io::Result<usize> {
        let mut at = 0;
        for component in path.components() {
            let name = component.as_os_str().to_str().unwrap();
            match &self.nodes[at] {
                Node::Folder { now, .. } => {
                    at = *now.get(name).ok_or(io::ErrorKind::NotFound)?;
                }
                Node::File { .. } => return Err(io::ErrorKind::NotADirectory.into()),
            }
        }
        Ok(at)
    }

    fn folder(&mut self, path: &Path) -> io::Result<&mut BTreeMap<String, usize>> {
        let at = self.find(path)?;
        match &mut self.nodes[at] {
            Node::Folder { now, .. } => Ok(now),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn enter(&mut self, path: &Path, node: usize) -> io::Result<()> {
        self.folder(path.parent().unwrap())?.insert(last(path), node);
        Ok(())
    }

    fn sync(&mut self, node: usize) -> io::Result<()> {
        match &mut self.nodes[node] {
            Node::File { now, synced } => synced.clone_from(now),
            Node::Folder { now, synced } => synced.clone_from(now),
        }
        Ok(())
    }
}

fn last(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// A file that is being written.
struct Handle {
    disk: MemoryDisk,
    node: usize,
}

impl Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.operation()?;
        let fault = state.fault;
        if fault == Some(Fault::FullOnWrite) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Node::File { now, .. } = &mut state.nodes[self.node] {
            now.extend_from_slice(bytes);
            if let (Some(Fault::OtherBytes), Some(byte)) = (fault, now.last_mut()) {
                *byte ^= 1;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Writable for Handle {
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.operation()?;
        match state.fault {
            Some(Fault::FullOnSync) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Sync) => Err(io::Error::other("input/output error")),
            _ => state.sync(self.node),
        }
    }
}

/// Bytes of a file whose sector is bad.
struct BadSector(Cursor<Vec<u8>>);

impl io::Read for BadSector {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(5))
    }
}

impl io::Seek for BadSector {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Files for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Writable>> {
        let mut state = self.operation()?;
        let node = state.nodes.len();
        state.nodes.push(Node::File { now: Vec::new(), synced: Vec::new() });
        state.enter(path, node)?;
        Ok(Box::new(Handle { disk: self.clone(), node }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Readable>> {
        let state = self.operation()?;
        if state.fault == Some(Fault::NoAnswer) {
            return Err(io::Error::other("no answer"));
        }
        let Node::File { now, .. } = &state.nodes[state.find(path)?] else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        match state.fault {
            Some(Fault::BadSectorIn(sequence))
                if last(path).ends_with(&format!("{sequence}.ckpt")) =>
            {
                Ok(Box::new(BadSector(Cursor::new(now.clone()))))
            }
            _ => Ok(Box::new(Cursor::new(now.clone()))),
        }
    }

    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.operation()?;
        let node = state.find(from)?;
        if state.find(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.enter(to, node)?;
        drop(state);
        self.remove(from)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operation()?;
        let removed = state.folder(path.parent().unwrap())?.remove(&last(path));
        removed.map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        Ok(self.operation()?.folder(folder)?.keys().cloned().collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.operation()?.find(path).is_ok())
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.operation()?;
        if state.find(folder).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = state.nodes.len();
        state.nodes.push(Node::Folder { now: BTreeMap::new(), synced: BTreeMap::new() });
        state.enter(folder, node)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.operation()?;
        if state.fault == Some(Fault::SyncFolder) {
            return Err(io::Error::other("input/output error"));
        }
        let node = state.find(folder)?;
        state.sync(node)
    }
}
