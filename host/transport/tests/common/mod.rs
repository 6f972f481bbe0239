//! What the tests of the embedded transport share: a folder that goes away, and children that are
//! this test program again, in another role.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Names the role of a child and the database it works on.
pub const ROLE: &str = "PAWL_TEST_ROLE";
pub const DATABASE: &str = "PAWL_TEST_DATABASE";

/// A folder of its own for one test, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pawl-transport-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Where the database of the test lies.
    pub fn database(&self) -> PathBuf {
        self.0.join("transport.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Starts this test program again, only with its test `test`, in a role. What it writes to its
/// standard error (its standard output is the test harness's) is piped.
pub fn child(test: &str, role: &str, database: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(DATABASE, database)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The role and database of this process, if it is a child.
pub fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var(ROLE).ok()?, PathBuf::from(std::env::var_os(DATABASE)?)))
}

/// Numbers that look random; the seed is printed, and taken from PAWL_TEST_SEED to run it again.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let seed = match std::env::var("PAWL_TEST_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => {
                use std::hash::{BuildHasher, Hasher};
                std::collections::hash_map::RandomState::new().build_hasher().finish()
            }
        };
        println!("PAWL_TEST_SEED={seed}");
        Self(seed | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
