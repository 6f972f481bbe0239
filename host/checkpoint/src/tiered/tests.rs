//! Two tiers on a disk and an object store in memory, both of which fail as they are told to.

use super::*;
use crate::memory_disk::{Fault as DiskFault, MemoryDisk};
use crate::remote::RemoteOptions;
use crate::remote::faulty::{Fault, FaultyStore};
use crate::suite::{self, PIPELINE, Random, draft, header, key, name, task};
use crate::{OperatorRecord, PartKey};
use object_store::path::Path as Place;
use object_store::{ObjectStoreExt as _, PutPayload};
use pawl_core::decision::OperatorDigest;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

/// A machine with a disk, and a remote store that survives it.
#[derive(Clone, Default)]
struct World {
    disk: Arc<MemoryDisk>,
    remote: FaultyStore,
    time: Arc<AtomicI64>,
}

/// Longer than anything takes here; a wait that is this long has failed.
const LONG_MS: u64 = 20_000;

impl World {
    fn local(&self) -> LocalStore {
        LocalStore::new("root", PIPELINE).with_files(Arc::clone(&self.disk) as _)
    }

    fn far(&self) -> RemoteStore {
        let options = RemoteOptions { retries_max: 0, ..RemoteOptions::default() };
        RemoteStore::on_object_store(Arc::new(self.remote.clone()), PIPELINE, &options)
    }

    fn start_with(&self, recovery: Recovery) -> TieredStore {
        let options = TieredOptions { recovery, backoff_min_ms: 1, backoff_max_ms: 2 };
        let time = Arc::clone(&self.time);
        let now: Now = Arc::new(move || time.load(Ordering::Relaxed));
        TieredStore::start(self.local(), self.far(), options, now).unwrap()
    }

    fn start(&self) -> TieredStore {
        self.start_with(Recovery::Hybrid)
    }

    /// Another machine with the same remote store.
    fn elsewhere(&self) -> Self {
        Self { disk: Arc::default(), ..self.clone() }
    }

    fn place(&self, name: CheckpointName) -> Place {
        Place::from(format!("prefix/tasks/stage/0/{}", crate::paths::checkpoint_file(name)))
    }

    fn spoil_remote(&self, name: CheckpointName, bytes: &'static [u8]) {
        now(self.remote.inner.put(&self.place(name), PutPayload::from_static(bytes))).unwrap();
    }

    fn spoil_local(&self, name: CheckpointName) {
        use crate::files::Files as _;
        let file = format!("root/tasks/stage/0/{}", crate::paths::checkpoint_file(name));
        self.disk.create(Path::new(&file)).unwrap();
    }

    fn remote_size(&self, name: CheckpointName) -> u64 {
        now(self.remote.inner.head(&self.place(name))).unwrap().size
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn stage() -> TaskId {
    task("stage", 0)
}

fn write(store: &dyn Store, epoch: u64, sequence: u64) {
    store.write(&draft(header(&stage(), name(epoch, sequence)), None, &[])).unwrap();
}

fn copied(store: &TieredStore, epoch: u64, sequence: u64) {
    let newest = Some(name(epoch, sequence));
    let is_there = |tasks: &[TaskReplication]| tasks.iter().any(|t| t.newest_remote == newest);
    let tasks = store.replication();
    assert!(tasks.wait(LONG_MS, is_there), "{epoch}-{sequence}: {:?}", tasks.tasks());
}

fn failed(store: &TieredStore) {
    let failures = store.replication().task(&stage()).map_or(0, |task| task.failures_total);
    let again = |tasks: &[TaskReplication]| tasks.iter().any(|t| t.failures_total > failures);
    assert!(store.replication().wait(LONG_MS, again));
}

fn found(store: &TieredStore) -> (Option<CheckpointName>, RecoveryPath, usize) {
    let found = store.newest(&stage()).unwrap();
    (found.checkpoint.map(|it| it.header.name), found.path, found.rejected.len())
}

#[test]
fn the_suite_passes_while_nothing_can_be_copied() {
    suite::all(|| {
        let world = World::default();
        world.remote.set(Fault::ReadOnly);
        world.start()
    });
}

#[test]
fn the_suite_passes_while_all_is_copied() {
    let store = || World::default().start();
    suite::what_was_written_comes_back(&store());
    suite::a_checkpoint_is_created_only_once(&store());
    suite::a_superseded_owner_stores_nothing(&store());
    suite::a_draft_that_makes_no_sense_is_refused(&store());
    suite::an_object_comes_back_and_must_come_first(&store());
    suite::a_base_need_not_be_the_newest(&store());
    suite::tasks_do_not_see_each_other(&store());
}

#[test]
fn the_newest_is_copied_once_the_remote_store_is_back_and_older_ones_are_skipped() {
    let world = World::default();
    let store = world.start();
    world.time.store(1_000, Ordering::Relaxed);
    world.remote.set(Fault::Down);
    for sequence in 1..=5 {
        write(&store, 1, sequence);
        world.time.fetch_add(1_000, Ordering::Relaxed);
    }
    failed(&store);
    let behind = store.replication().task(&stage()).unwrap();
    assert_eq!((behind.newest_local, behind.newest_remote), (Some(name(1, 5)), None));
    assert_eq!(behind.lag_ms, 5_000);
    let why = behind.last_error.unwrap();
    assert!(why.contains("test://store/prefix") && why.contains("connection refused"), "{why}");

    world.remote.set(Fault::None);
    copied(&store, 1, 5);
    let there = store.replication().task(&stage()).unwrap();
    assert_eq!((there.lag_ms, there.last_error, there.superseded_by), (0, None, None));
    assert_eq!(there.skipped_total, 4);
    assert_eq!(world.far().names(&stage()).unwrap(), [name(1, 5)]);
}

#[test]
fn components_are_in_the_remote_store_before_the_checkpoint_that_names_them() {
    let world = World::default();
    let store = world.start();
    let component = store.put_object(b"component").unwrap();
    let configuration = store.put_object(b"{}").unwrap();
    let digest = OperatorDigest { operator: "cell".to_owned(), component, configuration };
    let operator_version = "1".to_owned();
    let operator = OperatorRecord { digest: digest.clone(), state_version: 1, operator_version };
    let with = Header { operators: vec![operator], ..header(&stage(), name(1, 1)) };
    store.write(&draft(with, None, &[])).unwrap();
    copied(&store, 1, 1);
    let puts: Vec<String> = world.remote.requests();
    let puts: Vec<&String> = puts.iter().filter(|request| request.starts_with("put")).collect();
    assert_eq!(puts.len(), 3, "{puts:?}");
    assert!(puts[2].ends_with(".ckpt"), "{puts:?}");

    // An empty machine gets checkpoint and objects, and needs nobody for the next start.
    let other = world.elsewhere();
    let moved = other.start();
    moved.take_over(&stage()).unwrap();
    assert_eq!(found(&moved), (Some(name(1, 1)), RecoveryPath::Remote, 0));
    drop(moved);
    assert_eq!(other.local().object(&digest.component).unwrap(), b"component");
    assert_eq!(other.local().object(&digest.configuration).unwrap(), b"{}");
    assert_eq!(found(&other.start()), (Some(name(1, 1)), RecoveryPath::Local, 0));
}

#[test]
fn who_only_looks_changes_nothing_on_this_machine() {
    let world = World::default();
    let store = world.start();
    write(&store, 1, 1);
    copied(&store, 1, 1);
    let other = world.elsewhere();
    assert_eq!(found(&other.start()), (Some(name(1, 1)), RecoveryPath::Remote, 0));
    assert_eq!(other.local().names(&stage()).unwrap(), []);
}

#[test]
fn unchanged_parts_of_a_checkpoint_from_far_are_there_for_the_next_one() {
    let world = World::default();
    let store = world.start();
    let large = vec![7; 4_000];
    let both: [(PartKey, Option<&[u8]>); 2] = [(key(1), Some(&large)), (key(2), Some(b"two"))];
    store.write(&draft(header(&stage(), name(1, 1)), None, &both)).unwrap();
    let one: [(PartKey, Option<&[u8]>); 2] = [(key(1), None), (key(2), Some(b"three"))];
    store.write(&draft(header(&stage(), name(1, 2)), Some(name(1, 1)), &one)).unwrap();
    copied(&store, 1, 2);

    let other = world.elsewhere();
    let moved = other.start();
    moved.take_over(&stage()).unwrap();
    assert_eq!(found(&moved), (Some(name(1, 2)), RecoveryPath::Remote, 0));
    let next: [(PartKey, Option<&[u8]>); 2] = [(key(1), None), (key(2), Some(b"four"))];
    moved.write(&draft(header(&stage(), name(2, 3)), Some(name(1, 2)), &next)).unwrap();
    copied(&moved, 2, 3);
    for read in [moved.read(&stage(), name(2, 3)), world.far().read(&stage(), name(2, 3))] {
        let parts = read.unwrap().parts;
        assert_eq!(parts, [(key(1), large.clone()), (key(2), b"four".to_vec())]);
    }
}

#[test]
fn only_what_changed_is_sent_but_a_new_owner_sends_all() {
    let world = World::default();
    let store = world.start();
    let large = vec![7; 4_000];
    let all: [(PartKey, Option<&[u8]>); 2] = [(key(1), Some(&large)), (key(2), Some(b"two"))];
    for (epoch, sequence) in [(1, 1), (1, 2), (2, 3), (2, 4)] {
        store.write(&draft(header(&stage(), name(epoch, sequence)), None, &all)).unwrap();
        copied(&store, epoch, sequence);
        let whole = world.remote_size(name(epoch, sequence)) > 4_000;
        assert_eq!(whole, sequence % 2 == 1, "{epoch}-{sequence}");
    }
    // Without the file that the next one would refer to, it is whole as well.
    now(world.remote.inner.delete(&world.place(name(2, 3)))).unwrap();
    store.write(&draft(header(&stage(), name(2, 5)), None, &all)).unwrap();
    copied(&store, 2, 5);
    assert_eq!(world.far().read(&stage(), name(2, 5)).unwrap().parts.len(), 2);
}

#[test]
fn the_higher_of_both_tiers_wins_and_a_stale_disk_does_not() {
    for (here, far, expected) in [
        (Some((1, 2)), Some((1, 1)), (Some(name(1, 2)), RecoveryPath::Local, 0)),
        (Some((1, 2)), Some((1, 2)), (Some(name(1, 2)), RecoveryPath::Local, 0)),
        (Some((1, 2)), Some((1, 3)), (Some(name(1, 3)), RecoveryPath::Remote, 0)),
        (Some((1, 9)), Some((2, 4)), (Some(name(2, 4)), RecoveryPath::Remote, 0)),
        (None, Some((1, 1)), (Some(name(1, 1)), RecoveryPath::Remote, 0)),
        (Some((1, 1)), None, (Some(name(1, 1)), RecoveryPath::Local, 0)),
        (None, None, (None, RecoveryPath::Fresh, 0)),
    ] {
        let world = World::default();
        if let Some((epoch, sequence)) = here {
            write(&world.local(), epoch, sequence);
        }
        if let Some((epoch, sequence)) = far {
            write(&world.far(), epoch, sequence);
        }
        let store = world.start();
        store.take_over(&stage()).unwrap();
        let (checkpoint, path, rejected) = found(&store);
        assert_eq!((checkpoint, path, rejected), expected, "{here:?} {far:?}");
        let told = store.replication().task(&stage()).unwrap();
        let far = far.map(|(epoch, sequence)| name(epoch, sequence));
        assert!(told.newest_remote >= far && told.superseded_by.is_none(), "{told:?}");
        let mut names: Vec<CheckpointName> =
            here.map(|(e, s)| name(e, s)).into_iter().chain(far).collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        names.dedup();
        assert_eq!(store.names(&stage()).unwrap(), names);
        if let Some(checkpoint) = checkpoint {
            let (epoch, sequence) = (checkpoint.epoch + 1, checkpoint.sequence + 1);
            write(&store, epoch, sequence);
            copied(&store, epoch, sequence);
        }
    }
}

#[test]
fn damage_in_one_tier_is_made_up_for_by_the_other() {
    for bytes in [&b""[..], b"PAWLCKPT", b"rotten from end to end, and longer than any header is"] {
        let world = World::default();
        let store = world.start();
        for sequence in 1..=2 {
            write(&store, 1, sequence);
            copied(&store, 1, sequence);
        }
        world.spoil_remote(name(1, 2), bytes);
        assert_eq!(found(&store), (Some(name(1, 2)), RecoveryPath::Local, 0));
        store.read(&stage(), name(1, 2)).unwrap();
        let other = world.elsewhere();
        assert_eq!(found(&other.start()), (Some(name(1, 1)), RecoveryPath::Remote, 1));

        let world = World::default();
        let store = world.start();
        write(&store, 1, 1);
        copied(&store, 1, 1);
        world.spoil_local(name(1, 1));
        store.read(&stage(), name(1, 1)).unwrap();
        store.header(&stage(), name(1, 1)).unwrap();
        store.take_over(&stage()).unwrap();
        assert_eq!(found(&store), (Some(name(1, 1)), RecoveryPath::Remote, 1));
        // It was healed on the way.
        assert_eq!(found(&store), (Some(name(1, 1)), RecoveryPath::Local, 0));
    }
}

#[test]
fn with_both_tiers_damaged_nothing_is_found_and_all_is_told() {
    let world = World::default();
    let store = world.start();
    write(&store, 1, 1);
    copied(&store, 1, 1);
    world.spoil_local(name(1, 1));
    world.spoil_remote(name(1, 1), b"rotten");
    assert_eq!(found(&store), (None, RecoveryPath::Fresh, 2));
    assert_eq!(store.names(&stage()).unwrap(), [name(1, 1)]);
    assert!(store.read(&stage(), name(1, 1)).unwrap_err().is_damage());
}

#[test]
fn a_remote_store_that_does_not_answer_at_the_start_is_an_error_unless_left_out() {
    let world = World::default();
    write(&world.local(), 1, 1);
    world.remote.set(Fault::Down);
    for recovery in [Recovery::Hybrid, Recovery::Remote] {
        let store = world.start_with(recovery);
        for error in [
            store.take_over(&stage()).unwrap_err(),
            store.names(&stage()).unwrap_err(),
            store.newest(&stage()).unwrap_err(),
            store.read(&stage(), name(9, 9)).unwrap_err(),
            store.object(&"0".repeat(64)).unwrap_err(),
        ] {
            assert!(error.is_transient() && !error.is_damage(), "{error:?}");
        }
    }
    let store = world.start_with(Recovery::Local);
    store.take_over(&stage()).unwrap();
    assert_eq!(store.names(&stage()).unwrap(), [name(1, 1)]);
    assert_eq!(found(&store), (Some(name(1, 1)), RecoveryPath::Local, 0));
    write(&store, 2, 2);
    world.remote.set(Fault::None);
    copied(&store, 2, 2);
}

#[test]
fn the_disk_that_does_not_answer_is_not_made_up_for_by_something_older() {
    let world = World::default();
    let store = world.start();
    write(&store, 1, 1);
    copied(&store, 1, 1);
    world.disk.set_fault(Some(DiskFault::NoAnswer));
    assert!(matches!(store.newest(&stage()), Err(Error::Io { .. })));
}

#[test]
fn asked_to_go_by_one_tier_alone_the_other_does_not_count() {
    let world = World::default();
    write(&world.far(), 1, 3);
    write(&world.local(), 1, 5);
    let store = world.start_with(Recovery::Remote);
    store.take_over(&stage()).unwrap();
    assert_eq!(store.names(&stage()).unwrap(), [name(1, 5), name(1, 3)]);
    assert_eq!(found(&store), (Some(name(1, 3)), RecoveryPath::Remote, 0));
    let base = Some(name(1, 3));
    store.write(&draft(header(&stage(), name(2, 6)), base, &[])).unwrap();
    copied(&store, 2, 6);
    assert_eq!(world.far().names(&stage()).unwrap(), [name(2, 6), name(1, 3)]);

    let world = World::default();
    write(&world.far(), 1, 5);
    write(&world.local(), 1, 3);
    let store = world.start_with(Recovery::Local);
    store.take_over(&stage()).unwrap();
    assert_eq!(store.names(&stage()).unwrap(), [name(1, 5), name(1, 3)]);
    assert_eq!(found(&store), (Some(name(1, 3)), RecoveryPath::Local, 0));
    for (text, mode) in
        [("hybrid", Recovery::Hybrid), ("local", Recovery::Local), ("remote", Recovery::Remote)]
    {
        assert_eq!(Recovery::named(text), Some(mode));
    }
    assert_eq!(Recovery::named("both"), None);
}

#[test]
fn nothing_is_let_go_that_a_lagging_remote_store_needs() {
    let world = World::default();
    let store = world.start();
    store.take_over(&stage()).unwrap();
    let floor = |store: &TieredStore| store.keep(&stage(), 3).unwrap().floor.map(|f| f.position);
    for sequence in 1..=2 {
        write(&store, 1, sequence);
        copied(&store, 1, sequence);
        assert_eq!(floor(&store), None, "only {sequence} there");
    }
    write(&store, 1, 3);
    copied(&store, 1, 3);
    assert_eq!(floor(&store), Some(10));
    world.remote.set(Fault::Down);
    for sequence in 4..=9 {
        write(&store, 1, sequence);
        let kept = store.keep(&stage(), 3).unwrap();
        assert_eq!(kept.floor.map(|floor| floor.position), Some(10));
        let last = kept.headers.last().map(|header| header.name);
        assert_eq!(last, Some(name(1, 1)));
    }
    failed(&store);
    world.remote.set(Fault::None);
    copied(&store, 1, 9);
    // The remote store now holds 2, 3 and 9; the disk 7, 8 and 9.
    let kept = store.keep(&stage(), 3).unwrap();
    let names: Vec<CheckpointName> = kept.headers.iter().map(|header| header.name).collect();
    assert_eq!(names, [name(1, 9), name(1, 8), name(1, 7), name(1, 3), name(1, 2)]);
    assert_eq!(kept.floor.map(|floor| floor.position), Some(20));

    // Started again, it is unknown what the remote store holds until it tells.
    drop(store);
    world.remote.set(Fault::ReadOnly);
    let store = world.start();
    store.take_over(&stage()).unwrap();
    world.remote.set(Fault::Down);
    write(&store, 2, 10);
    failed(&store);
    let unknown = store.replication().task(&stage()).unwrap().newest_remote.is_none();
    assert!(!unknown || floor(&store).is_none());
    world.remote.set(Fault::None);
    copied(&store, 2, 10);
    assert_eq!(floor(&store), Some(30));
}

#[test]
fn the_remote_store_keeps_as_many_as_the_disk() {
    let world = World::default();
    let store = world.start();
    for sequence in 1..=9 {
        write(&store, 1, sequence);
        store.keep(&stage(), 4).unwrap();
        copied(&store, 1, sequence);
    }
    let names = world.far().names(&stage()).unwrap();
    assert_eq!(names, [name(1, 9), name(1, 8), name(1, 7), name(1, 6)]);
    assert_eq!(store.names(&stage()).unwrap(), names);
}

#[test]
fn an_owner_of_long_ago_copies_nothing_and_takes_nothing_away() {
    let world = World::default();
    let old = world.start();
    old.take_over(&stage()).unwrap();
    write(&old, 1, 1);
    copied(&old, 1, 1);
    let other = world.elsewhere();
    let new = other.start();
    new.take_over(&stage()).unwrap();
    assert_eq!(found(&new), (Some(name(1, 1)), RecoveryPath::Remote, 0));
    write(&new, 2, 2);
    copied(&new, 2, 2);

    for sequence in 2..=6 {
        write(&old, 1, sequence);
        old.keep(&stage(), 1).unwrap();
    }
    let fenced = |tasks: &[TaskReplication]| tasks[0].superseded_by == Some(name(2, 2));
    assert!(old.replication().wait(LONG_MS, fenced), "{:?}", old.replication().tasks());
    let told = |tasks: &[TaskReplication]| tasks[0].lag_ms == 0;
    assert!(old.replication().wait(LONG_MS, told));
    old.close(LONG_MS).unwrap();
    assert_eq!(world.far().names(&stage()).unwrap(), [name(2, 2), name(1, 1)]);
    // Started again on its old disk, it takes up its successor's.
    let back = world.start();
    back.take_over(&stage()).unwrap();
    assert_eq!(found(&back), (Some(name(2, 2)), RecoveryPath::Remote, 0));
}

#[test]
fn a_checkpoint_of_the_same_name_and_other_content_is_never_taken_for_ours() {
    let world = World::default();
    write(&world.far(), 1, 1);
    let store = world.start();
    let parts: [(PartKey, Option<&[u8]>); 1] = [(key(1), Some(b"other"))];
    store.write(&draft(header(&stage(), name(1, 1)), None, &parts)).unwrap();
    failed(&store);
    let told = store.replication().task(&stage()).unwrap();
    assert_eq!(told.newest_remote, None);
    assert!(told.last_error.unwrap().contains("exists already"));
    assert_eq!(world.far().read(&stage(), name(1, 1)).unwrap().parts, []);
}

#[test]
fn a_clean_end_waits_for_the_copies_and_says_which_are_missing() {
    let world = World::default();
    let store = world.start();
    for sequence in 1..=3 {
        write(&store, 1, sequence);
    }
    store.close(LONG_MS).unwrap();
    assert_eq!(world.far().names(&stage()).unwrap()[0], name(1, 3));

    let store = world.start();
    world.remote.set(Fault::Down);
    write(&store, 1, 4);
    failed(&store);
    let error = store.close(20).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::NotReplicated { .. }), "{text}");
    assert!(text.contains("1-4 of task stage/0") && text.contains("connection refused"), "{text}");
    drop(store);
    // The next start goes on.
    world.remote.set(Fault::None);
    let store = world.start();
    store.take_over(&stage()).unwrap();
    store.close(LONG_MS).unwrap();
    assert_eq!(world.far().names(&stage()).unwrap()[0], name(1, 4));
}

#[test]
fn a_silent_remote_store_holds_no_task_up() {
    let world = World::default();
    let store = world.start();
    store.take_over(&stage()).unwrap();
    world.remote.set(Fault::Silent);
    for sequence in 1..=9 {
        write(&store, 1, sequence);
        assert_eq!(store.keep(&stage(), 3).unwrap().floor, None);
    }
    assert!(matches!(store.close(20), Err(Error::NotReplicated { .. })));
}

#[test]
fn the_copy_goes_on_wherever_the_remote_store_broke_off() {
    for requests in 0..40 {
        let world = World::default();
        let store = world.start();
        let parts: [(PartKey, Option<&[u8]>); 1] = [(key(1), Some(&[7; 100]))];
        store.write(&draft(header(&stage(), name(1, 1)), None, &parts)).unwrap();
        copied(&store, 1, 1);
        world.remote.set(Fault::DownAfter(requests));
        store.write(&draft(header(&stage(), name(1, 2)), Some(name(1, 1)), &parts)).unwrap();
        let tried = |tasks: &[TaskReplication]| {
            tasks[0].failures_total > 0 || tasks[0].newest_remote == Some(name(1, 2))
        };
        assert!(store.replication().wait(LONG_MS, tried));
        let done = store.replication().task(&stage()).unwrap().failures_total == 0;
        world.remote.set(Fault::None);
        copied(&store, 1, 2);
        world.far().read(&stage(), name(1, 2)).unwrap();
        if done {
            assert!(requests > 5, "{requests}");
            return;
        }
    }
    panic!("a copy takes more than 40 requests");
}

/// Random lives on machines that are lost, with a remote store that comes and goes: a recovery
/// finds what was written, never older than what was copied, and never below what was let go.
#[test]
fn whatever_machines_are_lost_what_was_copied_is_found_and_its_input_was_kept() {
    for seed in 0..60 {
        let random = &mut Random(seed);
        let mut world = World::default();
        let mut written: BTreeMap<CheckpointName, Vec<(PartKey, Vec<u8>)>> = BTreeMap::new();
        let (mut sure, mut let_go, mut sequence) = (None, 0, 0);
        for epoch in 1..8 {
            world.remote.set(Fault::None);
            let store = world.start();
            store.take_over(&stage()).unwrap();
            let before = store.newest(&stage()).unwrap();
            let mut base = before.checkpoint.map(|it| it.header.name);
            assert!(base >= sure, "seed {seed}: {base:?} instead of {sure:?}");
            if let Some(found) = base {
                let read = store.read(&stage(), found).unwrap();
                assert_eq!(read.parts, written[&found], "seed {seed}");
                assert!(read.header.progress.position >= let_go, "seed {seed}: {let_go} let go");
                // What was abandoned is never built upon.
                sequence = store.names(&stage()).unwrap()[0].sequence;
            }
            for _ in 0..random.below(8) {
                let faults = [Fault::None, Fault::None, Fault::Down, Fault::DownAfter(4)];
                world.remote.set(faults[random.below(4)]);
                sequence += 1;
                let this = name(epoch, sequence);
                let mut parts: BTreeMap<PartKey, Vec<u8>> =
                    base.map(|base| written[&base].iter().cloned().collect()).unwrap_or_default();
                let changed = key(random.below(4) as u64);
                parts.insert(changed, random.bytes(200));
                let given: Vec<(PartKey, Option<&[u8]>)> = parts
                    .iter()
                    .map(|(key, data)| (*key, (*key == changed).then_some(&data[..])))
                    .collect();
                store.write(&draft(header(&stage(), this), base, &given)).unwrap();
                written.insert(this, parts.into_iter().collect());
                base = Some(this);
                if random.below(2) == 0 {
                    let floor = store.keep(&stage(), 3).unwrap().floor;
                    let_go = let_go.max(floor.map_or(0, |floor| floor.position));
                }
                if random.below(3) == 0 {
                    world.remote.set(Fault::None);
                    copied(&store, epoch, sequence);
                }
            }
            let told = store.replication().task(&stage()).unwrap().newest_remote;
            if random.below(2) == 0 {
                world = world.elsewhere();
                sure = told;
            } else {
                sure = base;
            }
        }
    }
}
