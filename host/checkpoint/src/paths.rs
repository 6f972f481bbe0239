//! Names in the store's folder, and nothing else. Stage names are never trusted as paths.
//!
//! ```text
//! <root>/tasks/<stage>/<partition>/<epoch>-<sequence>.ckpt   20 digits each, so that names sort
//! <root>/objects/<sha-256>                                   components and configurations
//! <anything>.tmp                                             not finished; never read
//! ```

use crate::error::Error;
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use std::path::{Path, PathBuf};

/// File systems allow 255 bytes in one name.
const STAGE_BYTES_MAX: usize = 200;

/// The ending of files that are not finished.
pub const TEMPORARY: &str = ".tmp";

/// The folder of a task's checkpoints.
pub fn task_folder(root: &Path, task: &TaskId) -> Result<PathBuf, Error> {
    let stage = encoded(&task.stage);
    if stage.is_empty() || stage.len() > STAGE_BYTES_MAX {
        let what = format!("stage name of {} bytes cannot be stored", task.stage.len());
        return Err(Error::Refused { what });
    }
    Ok(root.join("tasks").join(stage).join(task.partition.to_string()))
}

/// The folder of the objects.
pub fn objects_folder(root: &Path) -> PathBuf {
    root.join("objects")
}

/// The file of an object. The digest must look like one, since it becomes part of a path.
pub fn object_file(root: &Path, digest: &str) -> Result<PathBuf, Error> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digest.len() != 64 || !digest.bytes().all(hex) {
        let what = format!("\"{}\" is not a lower-case SHA-256", digest.escape_debug());
        return Err(Error::Refused { what });
    }
    Ok(objects_folder(root).join(digest))
}

/// The name of a checkpoint's file.
pub fn checkpoint_file(name: CheckpointName) -> String {
    format!("{:020}-{:020}.ckpt", name.epoch, name.sequence)
}

/// Which checkpoint a file of this name holds, if any.
pub fn checkpoint_name(file: &str) -> Option<CheckpointName> {
    let (epoch, sequence) = file.strip_suffix(".ckpt")?.split_once('-')?;
    let name = CheckpointName { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? };
    (checkpoint_file(name) == file).then_some(name)
}

/// Lower-case letters, digits, `-` and `_` as they are, other bytes as `%` and two hex digits: no
/// path, no hidden file, and no two names that differ only in case.
fn encoded(stage: &str) -> String {
    let mut encoded = String::new();
    for byte in stage.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02x}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_name_never_leads_out_of_the_folder() {
        for stage in ["..", ".", "../../etc", "/etc", "a/b", "a\\b", "C:", "a\0b", "%2e"] {
            let task = TaskId { stage: stage.to_owned(), partition: 3 };
            let folder = task_folder(Path::new("root"), &task).unwrap();
            assert_eq!(folder.components().count(), 4, "{folder:?}");
            let name = folder.components().nth(2).unwrap().as_os_str().to_str().unwrap();
            assert!(!name.contains(['.', '/', '\\', ':', '\0']), "{name}");
        }
        for stage in [String::new(), "x".repeat(201)] {
            let task = TaskId { stage, partition: 0 };
            assert!(matches!(task_folder(Path::new("r"), &task), Err(Error::Refused { .. })));
        }
        assert_ne!(encoded("A"), encoded("a"));
        assert_ne!(encoded("%41"), encoded("A"));
    }

    #[test]
    fn file_names_sort_as_checkpoints_do_and_read_back() {
        let name = |epoch, sequence| CheckpointName { epoch, sequence };
        let names = [name(0, 1), name(0, 10), name(1, 2), name(10, 0), name(u64::MAX, u64::MAX)];
        let files: Vec<String> = names.iter().map(|name| checkpoint_file(*name)).collect();
        assert!(files.is_sorted());
        assert_eq!(
            files.iter().map(|file| checkpoint_name(file).unwrap()).collect::<Vec<_>>(),
            names
        );
        for strange in ["1-2.ckpt", "a.ckpt", &format!("{}.tmp", files[0]), "", ".ckpt", "-.ckpt"] {
            assert_eq!(checkpoint_name(strange), None);
        }
        let wanting = "00000000000000000001-+0000000000000000002.ckpt";
        assert_eq!(checkpoint_name(wanting), None);
    }

    #[test]
    fn an_object_is_found_only_by_a_digest() {
        for digest in ["", "../x", &"A".repeat(64), &"g".repeat(64), &"a".repeat(63)] {
            assert!(matches!(object_file(Path::new("r"), digest), Err(Error::Refused { .. })));
        }
        assert!(object_file(Path::new("r"), &"0a".repeat(32)).is_ok());
    }
}
