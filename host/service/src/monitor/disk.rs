//! How much room there is, and how much the log takes. It only asks; what cannot be found out is
//! not known.

use std::path::Path;

/// Bytes that may still be written where this folder lies.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes of the log, with what was written ahead of it.
pub(super) fn log_bytes(log: &Path) -> Option<u64> {
    let mut ahead = log.as_os_str().to_owned();
    ahead.push("-wal");
    let ahead = std::fs::metadata(Path::new(&ahead)).map_or(0, |file| file.len());
    Some(std::fs::metadata(log).ok()?.len().saturating_add(ahead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_and_a_log_that_is_not_there_has_no_size() {
        let folder = std::env::temp_dir();
        assert!(free_bytes(&folder).is_some_and(|free| free > 0));
        assert_eq!(free_bytes(&folder.join("pawl-nothing-there")), None);
        assert_eq!(log_bytes(&folder.join("pawl-nothing-there")), None);
    }
}
