//! The remote store: the suite on what needs no server, and what can go wrong on the way.

use super::faulty::{Fault, FaultyStore};
use super::*;
use crate::store::Store;
use crate::suite::{self, PIPELINE, draft, header, key, name, task};
use object_store::path::Path as Place;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutPayload};

fn quick() -> RemoteOptions {
    RemoteOptions { operation_timeout_ms: 50, retries_max: 0, ..RemoteOptions::default() }
}

fn patient() -> RemoteOptions {
    RemoteOptions { retries_max: 2, ..RemoteOptions::default() }
}

fn on(store: &FaultyStore, options: &RemoteOptions) -> RemoteStore {
    RemoteStore::on_object_store(Arc::new(store.clone()), PIPELINE, options)
}

/// Waits for something asynchronous that is answered at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn places(store: &FaultyStore, folder: &str) -> Vec<String> {
    let listed = now(store.inner.list_with_delimiter(Some(&Place::from(folder)))).unwrap();
    listed.objects.iter().map(|meta| meta.location.filename().unwrap().to_owned()).collect()
}

#[test]
fn the_suite_passes_in_memory() {
    suite::all(|| RemoteStore::open("memory:///", PIPELINE, &RemoteOptions::default()).unwrap());
}

#[test]
fn the_suite_passes_in_a_folder() {
    let folder = std::env::temp_dir().join(format!("pawl-remote-{}", std::process::id()));
    let mut number = 0;
    suite::all(|| {
        number += 1;
        let address = format!("file://{}/a%20b/{number}", folder.display());
        RemoteStore::open(&address, PIPELINE, &RemoteOptions::default()).unwrap()
    });
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_suite_passes_with_large_files_in_parts() {
    let options = RemoteOptions { part_bytes: 100, ..RemoteOptions::default() };
    suite::all(|| on(&FaultyStore::default(), &options));
}

#[test]
fn a_list_that_lags_behind_hides_nothing_that_can_be_asked_for() {
    let (faulty, task) = (FaultyStore::default(), task("stage", 0));
    let store = on(&faulty, &patient());
    store.write(&draft(header(&task, name(1, 1)), None, &[])).unwrap();
    store.write(&draft(header(&task, name(1, 2)), None, &[])).unwrap();
    faulty.set(Fault::StaleList(0));
    assert_eq!(store.names(&task).unwrap(), [name(1, 2)]);
    store.write(&draft(header(&task, name(1, 3)), None, &[])).unwrap();
    let twice = store.write(&draft(header(&task, name(1, 3)), None, &[])).unwrap_err();
    assert!(matches!(twice, Error::Exists { .. }), "{twice}");
    assert_eq!(store.newest(&task).unwrap().checkpoint.unwrap().header.name, name(1, 3));
}

#[test]
fn what_others_wrote_after_the_listed_ones_is_found_by_its_name() {
    let (faulty, task) = (FaultyStore::default(), task("stage", 0));
    let written = [name(1, 1), name(1, 2), name(2, 3), name(2, 4)];
    for name in written {
        on(&faulty, &patient()).write(&draft(header(&task, name), None, &[])).unwrap();
    }
    faulty.set(Fault::StaleList(1));
    let mut found = on(&faulty, &patient()).names(&task).unwrap();
    found.reverse();
    assert_eq!(found, written);
}

#[test]
fn who_loses_the_race_for_a_name_leaves_what_is_there_alone() {
    let task = task("stage", 0);
    for part_bytes in [1 << 20, 64] {
        let faulty = FaultyStore::default();
        let options = RemoteOptions { part_bytes, ..patient() };
        let parts: [(_, Option<&[u8]>); 1] = [(key(1), Some(&[5; 200]))];
        let first = draft(header(&task, name(1, 3)), None, &parts);
        on(&faulty, &options).write(&first).unwrap();
        let before = places(&faulty, "prefix/tasks/stage/0");
        // The rival has looked before, and saw nothing.
        faulty.set(Fault::StaleList(0));
        let second = draft(header(&task, name(1, 3)), None, &[(key(1), Some(&[6; 200]))]);
        let lost = on(&faulty, &options).write(&second).unwrap_err();
        assert!(matches!(lost, Error::Exists { .. }), "{lost}");
        assert_eq!(places(&faulty, "prefix/tasks/stage/0"), before);
        assert_eq!(on(&faulty, &options).read(&task, name(1, 3)).unwrap().core, first.core);
    }
}

#[test]
fn a_failure_on_the_way_of_a_large_file_is_not_taken_for_a_broken_disk() {
    let (faulty, task) = (FaultyStore::default(), task("stage", 0));
    let store = on(&faulty, &RemoteOptions { part_bytes: 64, ..quick() });
    let parts: [(_, Option<&[u8]>); 1] = [(key(1), Some(&[5; 200]))];
    let given = draft(header(&task, name(1, 1)), None, &parts);
    for fault in [Fault::Part(0), Fault::Part(2), Fault::Complete] {
        faulty.set(fault);
        let error = store.write(&given).unwrap_err();
        assert!(error.is_transient() && !error.is_fatal(), "{fault:?}: {error:?}");
    }
    faulty.set(Fault::None);
    store.write(&given).unwrap();
    store.read(&task, name(1, 1)).unwrap();
}

#[test]
fn an_empty_object_is_one_and_a_headers_state_is_not_read() {
    let (faulty, task) = (FaultyStore::default(), task("stage", 0));
    let store = on(&faulty, &patient());
    let digest = store.put_object(b"").unwrap();
    assert_eq!(store.object(&digest).unwrap(), b"");
    let large = vec![7; 1 << 20];
    let parts: [(_, Option<&[u8]>); 1] = [(key(1), Some(&large))];
    store.write(&draft(header(&task, name(1, 1)), None, &parts)).unwrap();
    faulty.requests();
    store.header(&task, name(1, 1)).unwrap();
    assert_eq!(faulty.requests().len(), 1);
    assert_eq!(store.read(&task, name(1, 1)).unwrap().parts, [(key(1), large)]);
    assert_eq!(faulty.requests().len(), 2);
}

#[test]
fn a_lost_answer_is_made_up_for_by_reading_back() {
    let (faulty, task) = (FaultyStore::default(), task("stage", 0));
    for part_bytes in [1 << 20, 64] {
        let store = on(&faulty, &RemoteOptions { part_bytes, ..patient() });
        let sequence = part_bytes as u64;
        let sequence = if sequence == 64 { 2 } else { 1 };
        faulty.set(Fault::LoseAnswer);
        let given = draft(header(&task, name(1, sequence)), None, &[(key(1), Some(&[7; 300]))]);
        store.write(&given).unwrap();
        assert_eq!(store.read(&task, name(1, sequence)).unwrap().core, given.core);
        faulty.set(Fault::LoseAnswer);
        let object = sequence.to_le_bytes();
        let digest = store.put_object(&object).unwrap();
        assert_eq!(store.object(&digest).unwrap(), object);
    }
}

#[test]
fn a_store_that_does_not_answer_is_neither_empty_nor_damaged_and_is_named() {
    let (faulty, task) = (FaultyStore::default(), task("stage", 0));
    let store = on(&faulty, &quick());
    store.write(&draft(header(&task, name(1, 1)), None, &[])).unwrap();
    for fault in [Fault::Down, Fault::Silent] {
        faulty.set(fault);
        let next = draft(header(&task, name(1, 2)), None, &[]);
        for error in [
            store.names(&task).unwrap_err(),
            store.newest(&task).unwrap_err(),
            store.read(&task, name(1, 1)).unwrap_err(),
            store.write(&next).unwrap_err(),
            store.keep(&task, 1).unwrap_err(),
            store.put_object(b"x").unwrap_err(),
            on(&faulty, &quick()).take_over(&task).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Io { .. }) && !error.is_damage(), "{error:?}");
            assert!(error.is_transient() && !error.is_fatal(), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("test://store/prefix/"), "{text}");
            assert!(text.contains("check the"), "{text}");
        }
    }
    faulty.set(Fault::None);
    assert_eq!(store.names(&task).unwrap(), [name(1, 1)]);
}

#[test]
fn a_checkpoint_that_is_stored_wrong_is_found_out_and_taken_back() {
    let (faulty, task) = (FaultyStore::default(), task("stage", 0));
    let store = on(&faulty, &patient());
    store.write(&draft(header(&task, name(1, 1)), None, &[])).unwrap();
    for fault in [Fault::OtherBytes, Fault::Torn] {
        faulty.set(fault);
        let parts: [(_, Option<&[u8]>); 1] = [(key(1), Some(&[5; 500]))];
        let error = store.write(&draft(header(&task, name(1, 2)), None, &parts)).unwrap_err();
        assert!(error.is_damage(), "{fault:?}: {error}");
        assert_eq!(store.names(&task).unwrap(), [name(1, 1)]);
        assert!(store.put_object(b"component").unwrap_err().is_damage());
    }
    faulty.set(Fault::None);
    store.write(&draft(header(&task, name(1, 2)), None, &[])).unwrap();
    let digest = store.put_object(b"component").unwrap();
    assert_eq!(store.object(&digest).unwrap(), b"component");
}

#[test]
fn wherever_writing_breaks_off_what_was_there_stays_and_the_next_try_succeeds() {
    let task = task("stage", 0);
    for part_bytes in [1 << 20, 64] {
        let options = RemoteOptions { part_bytes, ..quick() };
        for requests in 0.. {
            let faulty = FaultyStore::default();
            let store = on(&faulty, &options);
            store.take_over(&task).unwrap();
            let parts: [(_, Option<&[u8]>); 1] = [(key(1), Some(&[5; 200]))];
            store.write(&draft(header(&task, name(1, 1)), None, &parts)).unwrap();
            faulty.set(Fault::DownAfter(requests));
            let next = draft(header(&task, name(1, 2)), Some(name(1, 1)), &parts);
            let outcome = store.write(&next);
            faulty.set(Fault::None);
            store.read(&task, name(1, 1)).unwrap();
            if outcome.is_ok() {
                assert!(requests > 2, "{requests}");
                break;
            }
            // The next owner goes on; what lies around half done is tidied up.
            let successor = on(&faulty, &options);
            successor.take_over(&task).unwrap();
            let newest = successor.newest(&task).unwrap();
            assert!(newest.rejected.is_empty(), "{requests}: {:?}", newest.rejected);
            successor.write(&draft(header(&task, name(2, 3)), None, &parts)).unwrap();
            successor.keep(&task, 1).unwrap();
            let mut left = places(&faulty, "prefix/tasks/stage/0");
            left.retain(|file| !file.starts_with("00000000000000000002-"));
            assert_eq!(left, [""; 0], "after {requests} requests");
        }
    }
}

#[test]
fn bytes_whose_pointer_never_came_are_removed_by_the_next_owner() {
    let (faulty, task) = (FaultyStore::default(), task("stage", 0));
    let options = RemoteOptions { part_bytes: 64, ..quick() };
    let store = on(&faulty, &options);
    let parts: [(_, Option<&[u8]>); 1] = [(key(1), Some(&[5; 200]))];
    store.write(&draft(header(&task, name(1, 1)), None, &parts)).unwrap();
    let orphan =
        "prefix/tasks/stage/0/00000000000000000001-00000000000000000002.0123456789abcdef.data";
    now(faulty.inner.put(&Place::from(orphan), PutPayload::from_static(b"half"))).unwrap();
    assert_eq!(places(&faulty, "prefix/tasks/stage/0").len(), 3);
    on(&faulty, &options).take_over(&task).unwrap();
    assert_eq!(places(&faulty, "prefix/tasks/stage/0").len(), 2);
    store.read(&task, name(1, 1)).unwrap();
    // And if the bytes are gone the pointer is no checkpoint.
    let data = places(&faulty, "prefix/tasks/stage/0").into_iter().find(|n| n.ends_with(".data"));
    let data = format!("prefix/tasks/stage/0/{}", data.unwrap());
    now(faulty.inner.delete(&Place::from(data))).unwrap();
    assert!(store.read(&task, name(1, 1)).unwrap_err().is_damage());
}

#[test]
fn a_list_that_was_taken_before_a_successor_wrote_never_takes_its_checkpoints_away() {
    let (faulty, task) = (FaultyStore::default(), task("stage", 0));
    let (zombie, owner) = (on(&faulty, &patient()), on(&faulty, &patient()));
    for sequence in 1..=4 {
        zombie.write(&draft(header(&task, name(1, sequence)), None, &[])).unwrap();
    }
    owner.write(&draft(header(&task, name(2, 5)), None, &[])).unwrap();
    let late = zombie.write(&draft(header(&task, name(1, 6)), None, &[])).unwrap_err();
    assert!(matches!(late, Error::Superseded { by, .. } if by == name(2, 5)), "{late}");
    assert_eq!(zombie.keep(&task, 1).unwrap().headers[0].name, name(2, 5));
    assert_eq!(owner.names(&task).unwrap(), [name(2, 5)]);
    // A slot that was tidied up and is created again is older than what counts.
    let slot = crate::paths::checkpoint_file(name(1, 4));
    let place = format!("prefix/tasks/stage/0/{slot}");
    now(faulty.inner.put(&Place::from(place), PutPayload::from_static(b"late"))).unwrap();
    let found = owner.newest(&task).unwrap();
    assert_eq!(found.checkpoint.unwrap().header.name, name(2, 5));
    assert!(found.rejected.is_empty());
}

#[test]
fn addresses_and_options_that_make_no_sense_are_refused_without_telling_secrets() {
    let with = |name: &str, value: &str| RemoteOptions {
        options: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        ..RemoteOptions::default()
    };
    let open = |address: &str, options: &RemoteOptions| {
        RemoteStore::open(address, PIPELINE, options).map(|_| ()).unwrap_err()
    };
    let none = RemoteOptions::default();
    let hidden = "hunter2hunter2";
    for error in [
        open("nonsense", &none),
        open("ftp://host/folder", &none),
        open("http://host/folder", &none),
        open(&format!("s3://key:{hidden}@bucket/prefix"), &none),
        open(&format!("az://container/prefix?sig={hidden}"), &none),
        open("s3://bucket/prefix", &with("no_such_option", hidden)),
        open("memory:///", &with("aws_secret_access_key", hidden)),
        open("s3://bucket/prefix", &with("aws_conditional_put", "whatever")),
    ] {
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert!(!error.to_string().contains(hidden), "{error}");
    }
    let region = with("aws_region", "us-east-1");
    assert_eq!(
        RemoteStore::open("s3://bucket/prefix/", PIPELINE, &region).unwrap().address(),
        "s3://bucket/prefix"
    );
    RemoteStore::open("gs://bucket/prefix", PIPELINE, &with("google_skip_signature", "true"))
        .unwrap();
    RemoteStore::open("az://container/p", PIPELINE, &with("azure_storage_account_name", "account"))
        .unwrap();
}
