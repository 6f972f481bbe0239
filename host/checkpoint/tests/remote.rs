//! The remote store and the two tiers against a real server, which is killed and started again.

mod s3_server;

use pawl_checkpoint::suite::{self, PIPELINE, Random, draft, header, key, name, task};
use pawl_checkpoint::{
    Error, LocalStore, PartKey, Recovery, RecoveryPath, RemoteOptions, RemoteStore, Store,
    TieredOptions, TieredStore,
};
use pawl_core::commit::TaskId;
use pawl_core::decision::CheckpointName;
use s3_server::S3Server;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything takes here; a wait that is this long has failed.
const LONG_MS: u64 = 60_000;

fn options(server: &S3Server) -> RemoteOptions {
    RemoteOptions {
        options: server.options(),
        request_timeout_ms: 10_000,
        retries_max: 1,
        operation_timeout_ms: 20_000,
        ..RemoteOptions::default()
    }
}

fn remote(server: &S3Server, prefix: &str) -> RemoteStore {
    RemoteStore::open(&server.address(prefix), PIPELINE, &options(server)).expect("an address")
}

/// A folder of its own that is gone when the test is over.
struct Machine(PathBuf);

impl Machine {
    fn new(test: &str, number: u32) -> Self {
        let folder = format!("pawl-remote-{}-{test}-{number}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    fn start(&self, remote: RemoteStore) -> TieredStore {
        let options =
            TieredOptions { recovery: Recovery::Hybrid, backoff_min_ms: 20, backoff_max_ms: 100 };
        let local = LocalStore::new(&self.0, PIPELINE);
        TieredStore::start(local, remote, options, Arc::new(|| 0)).expect("a thread")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("the folder is there");
    }
}

fn stage() -> TaskId {
    task("stage", 0)
}

fn copied(store: &TieredStore, newest: CheckpointName) {
    let there = |tasks: &[pawl_checkpoint::TaskReplication]| {
        tasks.iter().any(|task| task.newest_remote == Some(newest))
    };
    let replication = store.replication();
    assert!(replication.wait(LONG_MS, there), "{newest:?}: {:?}", replication.tasks());
}

#[test]
fn the_suite_passes_on_a_server() {
    let Some(server) = S3Server::start() else { return };
    let mut number = 0;
    suite::all(|| {
        number += 1;
        remote(&server, &format!("suite/{number}"))
    });
}

#[test]
fn what_is_large_goes_in_parts_and_comes_back() {
    let Some(server) = S3Server::start() else { return };
    let options = RemoteOptions { part_bytes: 5 << 20, ..options(&server) };
    let store = RemoteStore::open(&server.address("large"), PIPELINE, &options).unwrap();
    let large: Vec<u8> = (0..3_u32 << 20).flat_map(u32::to_le_bytes).collect();
    let parts: [(PartKey, Option<&[u8]>); 1] = [(key(1), Some(&large))];
    store.write(&draft(header(&stage(), name(1, 1)), None, &parts)).unwrap();
    assert!(store.read(&stage(), name(1, 1)).unwrap().parts[0].1 == large);
    let digest = store.put_object(&large).unwrap();
    assert!(store.object(&digest).unwrap() == large);
    let folder = server.bucket().join("large/tasks/stage/0");
    let mut sizes: Vec<u64> =
        fs::read_dir(folder).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).collect();
    sizes.sort_unstable();
    assert!(sizes.len() == 2 && sizes[0] < 200, "{sizes:?}");
    assert_eq!(store.object(&store.put_object(b"").unwrap()).unwrap(), b"");
    for sequence in 2..=3 {
        store.write(&draft(header(&stage(), name(1, sequence)), None, &[])).unwrap();
    }
    store.keep(&stage(), 1).unwrap();
    let left: Vec<_> = fs::read_dir(server.bucket().join("large/tasks/stage/0")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn wrong_keys_a_wrong_bucket_and_no_server_are_told_apart_and_tell_no_secret() {
    let Some(mut server) = S3Server::start() else { return };
    let wrong_secret = "not-the-secret-of-the-tests";
    let mut wrong_keys = options(&server);
    wrong_keys.options.insert("aws_secret_access_key".to_owned(), wrong_secret.to_owned());
    let wrong_keys = RemoteStore::open(&server.address("keys"), PIPELINE, &wrong_keys).unwrap();
    let no_bucket =
        RemoteStore::open("s3://no-such-bucket/prefix", PIPELINE, &options(&server)).unwrap();
    let mut texts = Vec::new();
    for store in [&wrong_keys, &no_bucket] {
        let write = draft(header(&stage(), name(1, 1)), None, &[]);
        for error in [
            store.take_over(&stage()).unwrap_err(),
            store.newest(&stage()).unwrap_err(),
            store.write(&write).unwrap_err(),
            store.put_object(b"component").unwrap_err(),
        ] {
            assert!(!error.is_damage() && error.is_transient(), "{error:?}");
            texts.push(error.to_string());
        }
    }
    assert!(texts[0].contains("s3://pawl-test/keys") && texts[0].contains("key"), "{}", texts[0]);
    assert!(texts[4].contains("check the name of the bucket"), "{}", texts[4]);
    let store = remote(&server, "down");
    server.kill();
    let error = store.newest(&stage()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.is_transient(), "{error:?}");
    texts.push(error.to_string());
    for text in texts {
        for secret in [wrong_secret, server.secret()] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn the_server_is_killed_in_the_middle_of_copies_again_and_again() {
    let Some(mut server) = S3Server::start() else { return };
    let machine = Machine::new("killed", 0);
    let seed = 4;
    println!("seed {seed}");
    let random = &mut Random(seed);
    let options = RemoteOptions { part_bytes: 5 << 20, ..options(&server) };
    let far = || RemoteStore::open(&server.address("killed"), PIPELINE, &options).unwrap();
    let (address, far_again) = (far(), far());
    let store = machine.start(address);
    store.take_over(&stage()).unwrap();
    let (mut sequence, mut failures) = (0, 0);
    for round in 0..8 {
        let large = vec![round as u8; 12 << 20];
        for _ in 0..3 {
            sequence += 1;
            let small = random.bytes(1_000);
            let parts: [(PartKey, Option<&[u8]>); 2] =
                [(key(1), Some(&large)), (key(2), Some(&small))];
            store.write(&draft(header(&stage(), name(1, sequence)), None, &parts)).unwrap();
        }
        // Not a wait: the moment of the kill, anywhere in the copy.
        std::thread::sleep(Duration::from_millis(random.below(150) as u64));
        server.kill();
        failures = store.replication().tasks()[0].failures_total;
        sequence += 1;
        let last = draft(header(&stage(), name(1, sequence)), None, &[(key(1), Some(&large))]);
        store.write(&last).unwrap();
        let failed =
            |tasks: &[pawl_checkpoint::TaskReplication]| tasks[0].failures_total > failures;
        assert!(store.replication().wait(LONG_MS, failed), "round {round}");
        server.restart();
        copied(&store, name(1, sequence));
        store.keep(&stage(), 3).unwrap();
        let found = far_again.newest(&stage()).unwrap();
        assert!(found.rejected.is_empty(), "round {round}: {:?}", found.rejected);
        let checkpoint = found.checkpoint.unwrap();
        assert_eq!(checkpoint.header.name, name(1, sequence));
        assert!(checkpoint.parts[0].1 == large, "round {round}");
    }
    assert!(failures > 0);
    store.close(LONG_MS).unwrap();
}

#[test]
fn a_machine_is_lost_and_another_goes_on_while_the_old_one_wakes_up() {
    let Some(mut server) = S3Server::start() else { return };
    let (first, second) = (Machine::new("moved", 0), Machine::new("moved", 1));
    let old = first.start(remote(&server, "moved"));
    old.take_over(&stage()).unwrap();
    let large = vec![7; 100_000];
    let all: [(PartKey, Option<&[u8]>); 1] = [(key(1), Some(&large))];
    for sequence in 1..=4 {
        old.write(&draft(header(&stage(), name(1, sequence)), None, &all)).unwrap();
        copied(&old, name(1, sequence));
        old.keep(&stage(), 3).unwrap();
    }

    // While the server is down, an empty disk is not a fresh start.
    server.kill();
    let new = second.start(remote(&server, "moved"));
    assert!(new.take_over(&stage()).unwrap_err().is_transient());
    assert!(new.newest(&stage()).unwrap_err().is_transient());
    server.restart();
    new.take_over(&stage()).unwrap();
    assert_eq!(new.names(&stage()).unwrap()[0], name(1, 4));
    let found = new.newest(&stage()).unwrap();
    assert_eq!((found.path, found.path.name()), (RecoveryPath::Remote, "remote"));
    assert_eq!(found.checkpoint.unwrap().parts, [(key(1), large.clone())]);
    let unchanged: [(PartKey, Option<&[u8]>); 1] = [(key(1), None)];
    let base = Some(name(1, 4));
    new.write(&draft(header(&stage(), name(2, 5)), base, &unchanged)).unwrap();
    copied(&new, name(2, 5));

    old.write(&draft(header(&stage(), name(1, 5)), Some(name(1, 4)), &unchanged)).unwrap();
    let fenced =
        |tasks: &[pawl_checkpoint::TaskReplication]| tasks[0].superseded_by == Some(name(2, 5));
    assert!(old.replication().wait(LONG_MS, fenced), "{:?}", old.replication().tasks());
    let far = remote(&server, "moved");
    assert!(!far.names(&stage()).unwrap().contains(&name(1, 5)));

    // A file on the server rots: the one before is used, and that is told.
    let folder = server.bucket().join("moved/tasks/stage/0");
    let file = folder.join("00000000000000000002-00000000000000000005.ckpt");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let found = far.newest(&stage()).unwrap();
    assert_eq!(found.rejected.len(), 1);
    assert_eq!(found.checkpoint.unwrap().header.name, name(1, 4));
    // Here it is whole.
    assert_eq!(new.newest(&stage()).unwrap().path, RecoveryPath::Local);
}
