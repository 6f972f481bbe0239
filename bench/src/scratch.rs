//! A folder to work in, removed at the end. It lies in the target folder, on the disk on which the
//! project is built: temporary folders are often in memory, where a sync costs nothing.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The folder.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new folder.
    pub fn new(name: &str) -> Result<Self> {
        let me = std::env::current_exe().context("this process does not know its own file")?;
        let target = me.ancestors().nth(2).context("this program lies in no target folder")?;
        let path = target.join("bench").join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A folder in it.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::create_dir_all(&path)
            .with_context(|| format!("failed to make {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
