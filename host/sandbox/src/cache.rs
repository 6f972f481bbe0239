//! Compiled components on disk, so that a start loads what an earlier one compiled (LV-1).
//!
//! It never hands out what it did not write itself, byte for byte, for this component and this
//! engine; and it is never a reason to fail: what cannot be read is compiled, what cannot be
//! written is told to the caller and left out.
//!
//! Layout: `<folder>/<component>-<engine>.compiled`, the names being the SHA-256 of the component
//! in 64 digits and the hash of wasmtime's version, settings and processor in 16. In it: 32 bytes
//! of SHA-256 over `LABEL`, that name and the code; then the code as wasmtime serializes it. A
//! file is written as `<component>-<engine>.<random>.tmp` and renamed.
//!
//! Decision: a cache of our own, without fsync. Why: wasmtime's (48.0.8) has no checksum over
//! what it loads, so that 307 of 400 flipped bits came out of it as other machine code; a
//! temporary file that a kill left behind keeps its component out of it until a cleanup, which
//! only another component's compilation brings about; and it has a thread, a statistics file for
//! each entry, and zstd. fsync would spare a compilation after a power failure, whose torn files
//! the checksum finds, and would lengthen the time in which a kill loses what was compiled. Given
//! up: compression (a megabyte or two an operator), and eviction by use: the oldest written goes.

use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Begins what is hashed; another layout gets another label.
const LABEL: &[u8] = b"pawl compiled component 1\n";
/// Bytes of the SHA-256 before the code.
const SEAL: usize = 32;
/// What a file counts on top of its length: empty ones take room too.
const FILE: u64 = 4096;
const KEPT: &str = "compiled";
const TEMPORARY: &str = "tmp";

/// Where compiled components are kept between starts. Making one touches no file.
///
/// Whoever can write the folder can run code in the host: the checksum is against damage, not
/// against people. So it belongs into the pipeline's own data directory; it is made with mode
/// 0700, and not used if its group or others may write it. Threads and processes may share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The folder, made when it is first written to. Nothing else belongs in there.
    pub folder: PathBuf,
    /// Bytes of all its files together, of which each counts 4096 on top; the oldest go.
    /// Default: 256 MiB.
    pub bytes_max: u64,
}

impl Cache {
    /// A cache in this folder, with the default bound.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), bytes_max: 256 << 20 }
    }

    /// What was stored under this key, if anything was. The error is a warning: there is
    /// something, and it is not to be used.
    pub(crate) fn load(&self, engine: &Engine, key: &Key) -> Result<Option<Component>, String> {
        if !self.exists_safely()? {
            return Ok(None);
        }
        let path = self.path(key);
        let Some(file) = self.read(&path)? else { return Ok(None) };
        let unusable = |what: &str| format!("{} {what}: compiled anew", path.display());
        let (seal, code) =
            file.split_at_checked(SEAL).ok_or_else(|| unusable("is damaged or foreign"))?;
        if key.seal(code) != seal {
            return Err(unusable("is damaged or foreign"));
        }
        #[allow(unsafe_code, reason = "what was compiled can be loaded in no other way")]
        // SAFETY: wasmtime asks for bytes that `Component::serialize` gave. The seal says that
        // these are: only `store` makes one, over such bytes and a name that holds the very
        // version and settings of this engine; and only who runs the host can write the folder.
        // They are in memory, so that nobody changes them between the check and this.
        let component = unsafe { Component::deserialize(engine, code) };
        component.map(Some).map_err(|error| unusable(&format!("does not load ({error:#})")))
    }

    /// Keeps what was compiled. The error is a warning: it is not kept.
    pub(crate) fn store(&self, key: &Key, component: &Component) -> Result<(), String> {
        let code = component.serialize().map_err(|error| format!("not serialized: {error:#}"))?;
        let (size, max) = (SEAL as u64 + code.len() as u64 + FILE, self.bytes_max);
        if size > max {
            return Err(format!("compiled component takes {size} bytes, bytes_max is {max}"));
        }
        let cannot = |error| format!("could not make {}: {error}", self.folder.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(cannot)?;
        self.exists_safely()?;
        let path = self.path(key);
        // Random, since process identifiers come again, in containers most of all.
        let random = RandomState::new().build_hasher().finish();
        let temporary = self.folder.join(format!("{}.{random:016x}.{TEMPORARY}", key.name));
        let written = write(&temporary, &[&key.seal(&code), &code]);
        match written.and_then(|()| fs::rename(&temporary, &path)) {
            Ok(()) => self.tidy(key),
            // Another thread or process stored the same and cleared up behind it.
            Err(error) if is_absent(&error) && path.is_file() => Ok(()),
            Err(error) => {
                // If that fails too it counts towards the bound, and goes first.
                fs::remove_file(&temporary).unwrap_or_default();
                Err(format!("could not write {}: {error}", path.display()))
            }
        }
    }

    /// Whether there is a folder, and nobody else may write it.
    fn exists_safely(&self) -> Result<bool, String> {
        let folder = self.folder.display();
        match fs::metadata(&self.folder) {
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(format!("could not read {folder}: {error}")),
            Ok(data) if !data.is_dir() => Err(format!("{folder} is not a folder")),
            Ok(data) if data.mode() & 0o022 != 0 => {
                Err(format!("{folder} is not used, since others may write it: chmod 700 it"))
            }
            Ok(_) => Ok(true),
        }
    }

    /// The bytes of a file; what is larger than all files may be is cut, and so found damaged.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map(|file| file.take(self.bytes_max));
        match file.and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(format!("could not read {}: {error}", path.display())),
        }
    }

    /// Removes what writers of the same left behind, and the oldest files beyond the bound:
    /// temporary ones first. It never removes what was just written, nor what is not its own.
    fn tidy(&self, just_written: &Key) -> Result<(), String> {
        let cannot = |error| format!("could not clear up {}: {error}", self.folder.display());
        let mut files = Vec::new();
        let mut total = 0;
        for entry in fs::read_dir(&self.folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            let kept = path.extension().is_some_and(|extension| extension == KEPT);
            if !kept && path.extension().is_none_or(|extension| extension != TEMPORARY) {
                continue;
            }
            let data = match fs::symlink_metadata(&path) {
                Err(error) if is_absent(&error) => continue,
                data => data.map_err(cannot)?,
            };
            let of = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !kept && of.starts_with(&just_written.name) {
                remove(&path).map_err(cannot)?;
                continue;
            }
            total += data.len() + FILE;
            files.push((kept, data.mtime(), data.mtime_nsec(), data.len() + FILE, path));
        }
        files.sort();
        let fresh = self.path(just_written);
        for (_, _, _, size, path) in files.iter().filter(|(.., path)| *path != fresh) {
            if total <= self.bytes_max {
                break;
            }
            remove(path).map_err(cannot)?;
            total -= size;
        }
        Ok(())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{}.{KEPT}", key.name))
    }
}

/// What one compiled component is the compilation of, and for.
pub(crate) struct Key {
    name: String,
}

impl Key {
    /// The component by its digest, and the engine. wasmtime itself asks only for the same major
    /// version, while the hash has all of it: a patch may mend the compiler.
    pub fn new(engine: &Engine, digest: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self { name: format!("{digest}-{:016x}", hasher.finish()) }
    }

    fn seal(&self, code: &[u8]) -> [u8; SEAL] {
        let hasher = Sha256::new().chain_update(LABEL).chain_update(&self.name);
        hasher.chain_update(code).finalize().into()
    }
}

fn write(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

/// Removes a file, which another process may have done already.
fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if is_absent(&error) => Ok(()),
        removed => removed,
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component there is.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn no_file_cut_short_or_with_a_flipped_bit_is_ever_loaded() {
        let name = format!("pawl-cache-{}", std::process::id());
        let cache = Cache::new(std::env::temp_dir().join(name));
        let engine = Engine::default();
        let key = Key::new(&engine, "digest");
        assert!(matches!(cache.load(&engine, &key), Ok(None)), "no folder is nothing kept");
        cache.store(&key, &Component::from_binary(&engine, EMPTY).unwrap()).unwrap();
        assert!(matches!(cache.load(&engine, &key), Ok(Some(_))));
        let path = cache.path(&key);
        let mut bytes = fs::read(&path).unwrap();
        for cut in (0..bytes.len()).step_by(7) {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(cache.load(&engine, &key).is_err(), "cut at {cut}");
        }
        // One more than a multiple of eight, so that each bit has its turn.
        for bit in (0..8 * bytes.len()).step_by(25) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            assert!(cache.load(&engine, &key).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(cache.load(&engine, &key), Ok(Some(_))));
        fs::remove_dir_all(&cache.folder).unwrap();
    }
}
