//! The store in a folder: the suite, and what can happen to files.

use crate::memory_disk::{Fault, MemoryDisk};
use crate::suite::{self, PIPELINE, draft, header, key, name, task};
use crate::{Checkpoint, Error, LocalStore, OperatorRecord, Step, Store};
use pawl_codec::envelope;
use pawl_core::commit::TaskId;
use pawl_core::decision::OperatorDigest;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A folder of its own that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("pawl-checkpoint-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn store(&self) -> LocalStore {
        LocalStore::new(self.0.join("checkpoints"), PIPELINE)
    }

    fn file(&self, stage: &str, epoch: u64, sequence: u64) -> PathBuf {
        let file = format!("{epoch:020}-{sequence:020}.ckpt");
        self.0.join("checkpoints/tasks").join(stage).join("0").join(file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Two checkpoints of one task; the second refers to the first.
fn write_two(store: &LocalStore, task: &TaskId) {
    let large = [5; 100];
    let first: [(_, Option<&[u8]>); 2] = [(key(1), Some(&large)), (key(2), Some(b"two"))];
    store.write(&draft(header(task, name(1, 1)), None, &first)).unwrap();
    let second: [(_, Option<&[u8]>); 2] = [(key(1), None), (key(2), Some(b"three"))];
    store.write(&draft(header(task, name(1, 2)), Some(name(1, 1)), &second)).unwrap();
}

fn newest(store: &LocalStore, task: &TaskId) -> Checkpoint {
    store.newest(task).unwrap().checkpoint.unwrap()
}

#[test]
fn the_suite_passes_in_a_folder_and_on_a_disk_in_memory() {
    let mut folders = Vec::new();
    suite::all(|| {
        folders.push(Folder::new());
        folders.last().unwrap().store()
    });
    suite::all(|| LocalStore::new("root", PIPELINE).with_files(Arc::new(MemoryDisk::default())));
}

#[test]
fn truncated_at_any_byte_or_longer_it_is_refused_and_the_one_before_is_used() {
    let (folder, task) = (Folder::new(), task("stage", 0));
    let store = folder.store();
    write_two(&store, &task);
    let path = folder.file("stage", 1, 2);
    let bytes = fs::read(&path).unwrap();
    let mut versions: Vec<Vec<u8>> = (0..bytes.len()).map(|at| bytes[..at].to_vec()).collect();
    versions.push([&bytes[..], b"x"].concat());
    for version in versions {
        fs::write(&path, &version).unwrap();
        let found = store.newest(&task).unwrap();
        assert_eq!(found.rejected.len(), 1, "{} bytes", version.len());
        assert_eq!(found.rejected[0].0, name(1, 2));
        assert!(found.rejected[0].1.to_string().contains(".ckpt"), "{}", found.rejected[0].1);
        assert_eq!(found.checkpoint.unwrap().header.name, name(1, 1));
        assert!(store.header(&task, name(1, 2)).is_err());
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(newest(&store, &task).header.name, name(1, 2));
}

#[test]
fn with_any_bit_flipped_it_is_refused_and_the_one_before_is_used() {
    let (folder, task) = (Folder::new(), task("stage", 0));
    let store = folder.store();
    write_two(&store, &task);
    let path = folder.file("stage", 1, 2);
    let mut bytes = fs::read(&path).unwrap();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let found = store.newest(&task).unwrap();
        assert_eq!(found.rejected.len(), 1, "bit {bit}");
        assert_eq!(found.checkpoint.unwrap().header.name, name(1, 1), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn damage_in_a_file_that_is_referred_to_is_found_and_located() {
    let (folder, task) = (Folder::new(), task("stage", 0));
    let store = folder.store();
    write_two(&store, &task);
    let path = folder.file("stage", 1, 1);
    let mut bytes = fs::read(&path).unwrap();
    let begins = bytes.windows(100).position(|part| part == [5; 100]).unwrap();
    bytes[begins + 50] = 6;
    fs::write(&path, &bytes).unwrap();
    let error = store.read(&task, name(1, 2)).unwrap_err();
    assert!(matches!(&error, Error::Damaged { at, .. } if *at == begins as u64), "{error}");
    assert!(error.to_string().contains("part 1 of operator 0"), "{error}");
    fs::remove_file(&path).unwrap();
    assert!(matches!(store.read(&task, name(1, 2)), Err(Error::Absent { .. })));
    // Its header is whole, and a draft that relies on the lost bytes is refused.
    store.header(&task, name(1, 2)).unwrap();
    let next = draft(header(&task, name(1, 3)), Some(name(1, 2)), &[(key(1), None)]);
    assert!(matches!(store.write(&next), Err(Error::Absent { .. })));
}

#[test]
fn another_tasks_or_pipelines_or_moments_file_is_refused() {
    let (folder, mine, other) = (Folder::new(), task("stage", 0), task("other", 0));
    let store = folder.store();
    write_two(&store, &mine);
    store.write(&draft(header(&other, name(1, 3)), None, &[])).unwrap();
    fs::copy(folder.file("other", 1, 3), folder.file("stage", 1, 3)).unwrap();
    fs::copy(folder.file("stage", 1, 1), folder.file("stage", 1, 4)).unwrap();
    for foreign in [name(1, 3), name(1, 4)] {
        let error = store.read(&mine, foreign).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
    }
    assert_eq!(newest(&store, &mine).header.name, name(1, 2));
    let elsewhere = LocalStore::new(folder.0.join("checkpoints"), "another");
    assert!(matches!(elsewhere.read(&mine, name(1, 1)), Err(Error::Foreign { .. })));
}

#[test]
fn what_was_left_half_done_is_never_read_and_removed_only_by_the_next_owner() {
    let (folder, task) = (Folder::new(), task("stage", 0));
    write_two(&folder.store(), &task);
    let left = folder.file("stage", 1, 3).with_extension("ckpt.tmp");
    fs::write(&left, b"half").unwrap();
    fs::write(folder.file("stage", 1, 1).with_file_name("notes.txt"), b"mine").unwrap();
    let reading = folder.store();
    assert_eq!(newest(&reading, &task).header.name, name(1, 2));
    assert!(left.exists());
    folder.store().take_over(&task).unwrap();
    assert!(!left.exists());
    assert!(folder.file("stage", 1, 1).with_file_name("notes.txt").exists());
    assert_eq!(folder.store().names(&task).unwrap(), [name(1, 2), name(1, 1)]);
}

#[test]
fn a_checkpoint_of_a_newer_pawl_is_not_passed_over_and_nothing_it_may_need_is_removed() {
    let (folder, task) = (Folder::new(), task("stage", 0));
    let store = folder.store();
    store.write(&draft(header(&task, name(0, 1)), None, &[])).unwrap();
    write_two(&store, &task);
    let format = envelope::Format { version: 2, ..crate::manifest::FORMAT };
    fs::write(folder.file("stage", 1, 3), envelope::seal(&format, b"future")).unwrap();
    let error = store.newest(&task).unwrap_err();
    assert!(!error.is_damage());
    assert!(error.to_string().contains("format version 2, this pawl reads up to 1"), "{error}");
    assert_eq!(store.keep(&task, 1).unwrap().removed, []);
    fs::remove_file(folder.file("stage", 1, 3)).unwrap();
    assert_eq!(store.keep(&task, 1).unwrap().removed, [name(0, 1)]);
}

#[test]
fn damaged_checkpoints_do_not_count_as_kept_and_go_when_they_are_old() {
    let (folder, task) = (Folder::new(), task("stage", 0));
    let store = folder.store();
    for sequence in 1..=6 {
        store.write(&draft(header(&task, name(1, sequence)), None, &[])).unwrap();
    }
    for bad in [2, 5] {
        fs::write(folder.file("stage", 1, bad), b"rotten").unwrap();
    }
    let store = folder.store();
    let kept = store.keep(&task, 3).unwrap();
    let names: Vec<_> = kept.headers.iter().map(|header| header.name).collect();
    assert_eq!(names, [name(1, 6), name(1, 4), name(1, 3)]);
    assert_eq!(kept.removed, [name(1, 2), name(1, 1)]);
    assert_eq!(store.names(&task).unwrap().len(), 4);
    assert_eq!(store.keep(&task, 9).unwrap().removed, []);
}

#[test]
fn a_damaged_object_is_refused_and_can_be_stored_again() {
    let folder = Folder::new();
    let store = folder.store();
    let digest = store.put_object(b"component").unwrap();
    fs::write(folder.0.join("checkpoints/objects").join(&digest), b"componenT").unwrap();
    assert!(matches!(store.object(&digest), Err(Error::Damaged { .. })));
    assert_eq!(store.put_object(b"component").unwrap(), digest);
    assert_eq!(store.object(&digest).unwrap(), b"component");
}

#[test]
fn the_steps_come_in_their_order_and_only_for_checkpoints() {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let (folder, task, seen) = (Folder::new(), task("stage", 0), Arc::clone(&steps));
    let store = folder.store().with_hook(Box::new(move |step| seen.lock().unwrap().push(step)));
    store.put_object(b"object").unwrap();
    store.write(&draft(header(&task, name(1, 1)), None, &[])).unwrap();
    assert_eq!(*steps.lock().unwrap(), Step::ALL[..5]);
    steps.lock().unwrap().clear();
    store.write(&draft(header(&task, name(1, 2)), None, &[])).unwrap();
    store.keep(&task, 1).unwrap();
    assert_eq!(*steps.lock().unwrap(), Step::ALL);
}

fn on(disk: &Arc<MemoryDisk>) -> LocalStore {
    LocalStore::new("root", PIPELINE).with_files(Arc::clone(disk) as _)
}

#[test]
fn a_full_disk_costs_nothing_and_is_named() {
    let (disk, task) = (Arc::new(MemoryDisk::default()), task("stage", 0));
    let store = on(&disk);
    write_two(&store, &task);
    let files = disk.names("root/tasks/stage/0");
    for fault in [Fault::FullOnWrite, Fault::FullOnSync] {
        disk.set_fault(Some(fault));
        let error = store.write(&draft(header(&task, name(1, 3)), None, &[])).unwrap_err();
        assert!(matches!(error, Error::Full { .. }) && !error.is_fatal(), "{error}");
        assert!(error.to_string().contains("free some space"), "{error}");
        assert_eq!(disk.names("root/tasks/stage/0"), files);
    }
    disk.set_fault(None);
    assert_eq!(newest(&store, &task).header.name, name(1, 2));
    store.write(&draft(header(&task, name(1, 3)), None, &[])).unwrap();
}

#[test]
fn after_a_failed_sync_nothing_is_written_any_more() {
    for fault in [Fault::Sync, Fault::SyncFolder] {
        let (disk, task) = (Arc::new(MemoryDisk::default()), task("stage", 0));
        let store = on(&disk);
        write_two(&store, &task);
        disk.set_fault(Some(fault));
        let error = store.write(&draft(header(&task, name(1, 3)), None, &[])).unwrap_err();
        assert!(matches!(error, Error::Sync { .. }) && error.is_fatal(), "{error}");
        disk.set_fault(None);
        let next = draft(header(&task, name(1, 4)), None, &[]);
        for refused in [
            store.write(&next).map(|_| ()),
            store.keep(&task, 1).map(|_| ()),
            store.put_object(b"x").map(|_| ()),
        ] {
            assert!(matches!(refused, Err(Error::Poisoned { .. })), "{refused:?}");
        }
        // Reading goes on, and so does the next process.
        store.newest(&task).unwrap();
        on(&disk).write(&next).unwrap();
    }
}

#[test]
fn a_disk_that_stores_other_bytes_is_found_out_before_anyone_relies_on_them() {
    let (disk, task) = (Arc::new(MemoryDisk::default()), task("stage", 0));
    let store = on(&disk);
    write_two(&store, &task);
    disk.set_fault(Some(Fault::OtherBytes));
    let error = store.write(&draft(header(&task, name(1, 3)), None, &[(key(1), Some(b"abc"))]));
    assert!(error.unwrap_err().is_damage());
    disk.set_fault(None);
    assert_eq!(store.names(&task).unwrap(), [name(1, 2), name(1, 1)]);
}

#[test]
fn a_bad_sector_falls_back_and_a_disk_that_does_not_answer_does_not() {
    let (disk, task) = (Arc::new(MemoryDisk::default()), task("stage", 0));
    let store = on(&disk);
    write_two(&store, &task);
    disk.set_fault(Some(Fault::BadSectorIn(2)));
    let found = store.newest(&task).unwrap();
    assert_eq!(found.rejected.len(), 1);
    assert_eq!(found.checkpoint.unwrap().header.name, name(1, 1));
    disk.set_fault(Some(Fault::NoAnswer));
    assert!(matches!(store.newest(&task), Err(Error::Io { .. })));
}

/// A store as Pawl 0.1 wrote it: two checkpoints, the second refers to the first. Written anew
/// with `PAWL_WRITE_FIXTURES=1` if it is not there; never replaced.
#[test]
fn checkpoints_of_version_1_still_read_and_are_still_written() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/version-1");
    let write = |store: &LocalStore, task: &TaskId| {
        let component = store.put_object(b"a component").unwrap();
        let configuration = store.put_object(b"{}").unwrap();
        let digest = OperatorDigest { operator: "cell".to_owned(), component, configuration };
        let operator_version = "0.1.0".to_owned();
        let operator = OperatorRecord { digest, state_version: 3, operator_version };
        for sequence in 1..3 {
            let mut header = header(task, name(1, sequence));
            header.operators = vec![operator.clone()];
            let large: Option<&[u8]> = if sequence == 1 { Some(&[5; 100]) } else { None };
            let window = crate::PartKey { owner: crate::Owner::Window(0), number: 16_384 };
            let parts: [(_, Option<&[u8]>); 2] = [(key(1), large), (window, Some(b"segment"))];
            let base = (sequence == 2).then_some(name(1, 1));
            store.write(&draft(header, base, &parts)).unwrap();
        }
    };
    let task = task("stage", 0);
    if std::env::var_os("PAWL_WRITE_FIXTURES").is_some() && !kept.exists() {
        fs::create_dir_all(&kept).unwrap();
        write(&LocalStore::new(&kept, PIPELINE), &task);
    }
    let folder = Folder::new();
    write(&folder.store(), &task);
    let old = LocalStore::new(&kept, PIPELINE);
    for sequence in [1, 2] {
        let today = folder.store().read(&task, name(1, sequence)).unwrap();
        assert_eq!(old.read(&task, name(1, sequence)).unwrap(), today);
        let file = folder.file("stage", 1, sequence);
        let file_name = file.file_name().unwrap();
        let old_file = kept.join("tasks/stage/0").join(file_name);
        assert_eq!(fs::read(old_file).unwrap(), fs::read(file).unwrap());
        let digest = &today.header.operators[0].digest;
        assert_eq!(old.object(&digest.component).unwrap(), b"a component");
    }
}
