//! What the two tiers want of each other: a checkpoint brought here from elsewhere, and the sums
//! that tell which parts of one need not be sent. Never replaces a checkpoint that is whole.

use super::{LocalStore, lock};
use crate::checkpoint::{Checkpoint, Draft, DraftPart, PartKey, bytes};
use crate::durable;
use crate::error::Error;
use crate::manifest;
use crate::paths;
use crate::reader::Reader;
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use std::collections::BTreeMap;

impl LocalStore {
    /// Stores a checkpoint that was read elsewhere, whole, even if later ones are here: what its
    /// owner writes next may refer to it. One of its name that is damaged here gives way to it.
    pub(crate) fn adopt(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let (task, name) = (&checkpoint.header.task, checkpoint.header.name);
        let folder = paths::task_folder(&self.root, task)?;
        let known = self.task(task);
        let mut known = lock(&known);
        self.ready(&mut known, &folder)?;
        if self.names_in(&folder)?.contains(&name) {
            match Reader::new(&*self.files, &folder).checkpoint(&self.expected(task), name) {
                Ok(here) if here == *checkpoint => return Ok(()),
                Ok(_) => return Err(Error::Exists { task: task.clone(), name }),
                Err(error) if error.is_damage() => {
                    known.verified.remove(&name);
                    self.remove(&folder, name)?;
                    self.noting_poison(durable::sync_folder(&*self.files, &folder))?;
                }
                Err(error) => return Err(error),
            }
        }
        let whole = |(key, data): &(PartKey, Vec<u8>)| {
            let data = Some(bytes(data.clone()));
            DraftPart { key: *key, data }
        };
        let draft = Draft {
            header: checkpoint.header.clone(),
            core: checkpoint.core.clone(),
            base: None,
            parts: checkpoint.parts.iter().map(whole).collect(),
        };
        self.noting_poison(self.write_file(&draft, &folder))?;
        self.noting_poison(self.read_back(&draft, &folder))?;
        known.verified.insert(name);
        Ok(())
    }

    /// Length and sum of each part of a checkpoint.
    pub(crate) fn sums(
        &self,
        task: &TaskId,
        name: CheckpointName,
    ) -> Result<BTreeMap<PartKey, (u64, u128)>, Error> {
        let folder = paths::task_folder(&self.root, task)?;
        let mut reader = Reader::new(&*self.files, &folder);
        let (manifest, _) = reader.manifest(&self.expected(task), name)?;
        let sum = |part: &manifest::Part| (part.key, (part.piece.length, part.piece.sum));
        Ok(manifest.parts.iter().map(sum).collect())
    }
}
