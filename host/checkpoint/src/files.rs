//! All that the store asks of a file system. Nothing here decides in which order; see `durable`.
//!
//! A trait, because the tests run the store on a disk that forgets what was not synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// A file that is being written.
pub trait Writable: Write {
    /// Makes what was written durable, but not the file's name.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is being read.
pub trait Readable: Read + Seek {}

impl<T: Read + Seek> Readable for T {}

/// A file system.
pub trait Files: Send + Sync {
    /// A new, empty file, in place of one of that name.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Writable>>;

    /// A file to read.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Readable>>;

    /// Gives a file another name in the same folder. `AlreadyExists` if that name is taken: the
    /// file that bears it is never replaced.
    fn publish(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, in any order. Names that are no UTF-8 are left out: none is ours.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Whether there is a file or folder of that name.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// A new folder; the one it lies in must be there.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable: new ones, and the absence of removed ones.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Writable for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Writable>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Readable>> {
        Ok(Box::new(File::open(path)?))
    }

    fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        // A rename would replace; a link is refused if the name is taken, even by a rival that
        // takes it at this very moment.
        match fs::hard_link(from, to) {
            // If the old name stays, the folder's next owner removes it.
            Ok(()) => fs::remove_file(from).or(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // Some file systems know no links. The transport's lock keeps rivals out as well.
            Err(_) if to.try_exists()? => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(from, to),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        here(path).try_exists()
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(here(folder))?.sync_all()
    }
}

/// The parent of a relative name is the empty path, which the system does not know.
fn here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
