//! What lies in a folder, and which of it a pattern means. Looks and never changes anything.

use crate::error::Error;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files that one pattern may mean.
const FILES_MAX: usize = 100_000;

/// A folder, and the names in it that count.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    folder: PathBuf,
    name: String,
}

/// A file that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub name: String,
    pub path: PathBuf,
    pub device: u64,
    pub inode: u64,
    /// When the inode was made, in milliseconds; 0 if the file system does not say.
    pub born: u64,
    pub size: u64,
    pub changed: Option<SystemTime>,
}

/// What one look found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Files that the pattern means, in the order of their names.
    pub files: Vec<Seen>,
    /// All others, by inode.
    pub others: HashMap<u64, PathBuf>,
}

impl Pattern {
    /// Takes a path apart. Only its last part may hold `*` and `?`.
    pub fn new(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            return Err(Error::fatal("source-path", format!("{shown} names no file")));
        };
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        if folder.to_string_lossy().contains(['*', '?']) {
            let what =
                format!("{shown} has * or ? in the name of a folder, where they mean nothing");
            return Err(Error::fatal("source-path", what));
        }
        Ok(Self { folder, name })
    }

    /// Whether it means one file alone.
    pub fn is_plain(&self) -> bool {
        !self.name.contains(['*', '?'])
    }

    /// Looks into the folder. One that is not there is empty.
    pub fn look(&self) -> Result<Look, Error> {
        let failed = |error| Error::file("read the folder", &self.folder, &error);
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Look::default());
            }
            Err(error) => return Err(failed(error)),
        };
        let mut look = Look::default();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !means(self.name.as_bytes(), name.as_bytes()) {
                look.others.insert(entry.ino(), entry.path());
                continue;
            }
            // Through links, to the file itself. What vanished since is not there.
            let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
            if metadata.is_file() {
                look.files.push(seen(name, entry.path(), &metadata));
            }
        }
        if look.files.len() > FILES_MAX {
            let what = format!(
                "{} means {} files, at most {FILES_MAX} are followed: move those that are done \
                 elsewhere",
                self.folder.join(&self.name).display(),
                look.files.len()
            );
            return Err(Error::fatal("source-files", what));
        }
        look.files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(look)
    }
}

impl Seen {
    /// Opens the file, if it is still the one that lies there.
    pub fn open(&self) -> io::Result<Option<File>> {
        let file = open_at(&self.path, self.device, self.inode);
        match file {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file,
        }
    }
}

/// Opens the file of this device and inode; none if another lies there now.
pub(crate) fn open_at(path: &Path, device: u64, inode: u64) -> io::Result<Option<File>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    Ok(((metadata.dev(), metadata.ino()) == (device, inode)).then_some(file))
}

/// A file by its path, if it is there.
pub(crate) fn see(path: &Path) -> Option<Seen> {
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(seen(name, path.to_owned(), &metadata))
}

fn seen(name: String, path: PathBuf, metadata: &std::fs::Metadata) -> Seen {
    Seen {
        name,
        path,
        device: metadata.dev(),
        inode: metadata.ino(),
        born: born(metadata),
        size: metadata.len(),
        changed: metadata.modified().ok(),
    }
}

fn born(metadata: &std::fs::Metadata) -> u64 {
    let born = metadata.created().ok();
    let born = born.and_then(|born| born.duration_since(SystemTime::UNIX_EPOCH).ok());
    born.map_or(0, |born| u64::try_from(born.as_millis()).unwrap_or(0))
}

/// Whether a name is meant: `*` stands for any bytes, `?` for one; neither for a dot in front, as
/// in a shell.
fn means(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut at, mut of) = (0, 0);
    // Where to go back to: behind the last star, and what it has swallowed so far.
    let mut star = None;
    while of < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, of));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[of] => {
                at += 1;
                of += 1;
            }
            _ => {
                let Some((behind, swallowed)) = star else { return false };
                star = Some((behind, swallowed + 1));
                (at, of) = (behind, swallowed + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_parts_of_a_name() {
        for (pattern, name, meant) in [
            ("*.jsonl", "a.jsonl", true),
            ("*.jsonl", "a.jsonl.gz", false),
            ("*.jsonl*", "a.jsonl.gz", true),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxaxbx", true),
            ("*a*b", "xxaxxbx", false),
            ("a.csv", "a.csv", true),
            ("a.csv", "b.csv", false),
        ] {
            assert_eq!(means(pattern.as_bytes(), name.as_bytes()), meant, "{pattern} {name}");
        }
    }

    #[test]
    fn a_star_in_a_folder_is_refused() {
        assert!(Pattern::new(Path::new("a/*/b.csv")).is_err());
        assert!(Pattern::new(Path::new("/")).is_err());
        assert!(Pattern::new(Path::new("b.csv")).unwrap().is_plain());
    }
}
