//! What the embedded transport promises beyond the suite: its file survives, other processes take
//! part, and a disk that is full, read-only or damaged gives an error that says so.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod common;

use common::{Folder, Random, child, role};
use pawl_core::record::{LogBatch, Record};
use pawl_transport::suite::{ALL, append, batch, commit, decision, task, values};
use pawl_transport::{Class, Embedded, Error, Lock, Options, StorageKind, Transport};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

fn open(path: &Path) -> Result<Embedded, Error> {
    Embedded::open(path, &Options::default())
}

fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A database with some rows, a commit and a decision, closed.
fn filled(path: &Path) {
    let transport = open(path).unwrap();
    transport.create_topic("t", 1).unwrap();
    for number in 0..40 {
        let value = format!("{number:04}").repeat(300);
        transport.produce("t", 0, batch([value.as_str(); 4]), number).unwrap();
    }
    let epoch = transport.claim(&task("s"), 0).unwrap();
    let mut one = commit(&task("s"), epoch, 3);
    one.decisions = vec![decision(0, 1)];
    transport.submit(one, 0).wait().unwrap();
}

#[test]
fn embedded_passes_the_suite() {
    let mut folders = Vec::new();
    pawl_transport::suite::all(&mut || {
        let folder = Folder::new();
        let transport = open(&folder.database()).unwrap();
        folders.push(folder);
        Box::new(transport)
    });
}

#[test]
fn what_was_stored_survives_the_end_of_the_process() {
    let folder = Folder::new();
    let path = folder.0.join("deep/er/transport.db");
    filled(&path);
    assert!(!beside(&path, "-wal").exists(), "a clean end leaves no log behind");
    for _ in 0..2 {
        let transport = open(&path).unwrap();
        assert_eq!(values(&transport, "t", 0).len(), 160);
        let recovery = transport.recovery(&task("s")).unwrap();
        assert_eq!(recovery.commit.unwrap().progress.position, 3);
        assert_eq!(recovery.decisions, [decision(0, 1)]);
    }
    let transport = open(&path).unwrap();
    assert_eq!(transport.claim(&task("s"), 0), Ok(2));
    assert_eq!(transport.produce("t", 0, batch(["x"]), -5), Ok(160));
    let last = transport.read("t", 0, 160, ALL).unwrap();
    assert_eq!(last[0].records.timestamps, [39], "the clock does not go back over a restart");
}

#[test]
fn a_log_keeps_its_identity_and_a_copy_of_it_is_the_same_log() {
    let folder = Folder::new();
    filled(&folder.database());
    let identity = open(&folder.database()).unwrap().identity().unwrap();
    let read_only = Options { read_only: true, ..Options::default() };
    let reader = Embedded::open(&folder.database(), &read_only).unwrap();
    assert_eq!(reader.identity(), Ok(identity.clone()));
    drop(reader);
    let copy = folder.0.join("copy.db");
    std::fs::copy(folder.database(), &copy).unwrap();
    assert_eq!(open(&copy).unwrap().identity(), Ok(identity.clone()));
    std::fs::remove_file(folder.database()).unwrap();
    assert_ne!(open(&folder.database()).unwrap().identity(), Ok(identity), "a log made anew");
    let connection = rusqlite::Connection::open(&copy).unwrap();
    for damage in ["UPDATE identity SET id = 'x'", "DELETE FROM identity"] {
        connection.execute(damage, []).unwrap();
        let error = open(&copy).unwrap().identity().unwrap_err();
        assert_eq!(error.class(), Class::Fatal, "{damage}: {error}");
    }
}

#[test]
fn a_database_of_before_gets_an_identity_when_it_is_opened_for_writing() {
    let folder = Folder::new();
    filled(&folder.database());
    let connection = rusqlite::Connection::open(folder.database()).unwrap();
    connection.execute_batch("DROP TABLE identity").unwrap();
    drop(connection);
    let read_only = Options { read_only: true, ..Options::default() };
    let reader = Embedded::open(&folder.database(), &read_only).unwrap();
    let error = reader.identity().unwrap_err();
    assert!(error.to_string().contains("open it for writing"), "{error}");
    // Several at once, as processes may.
    let identities: Vec<_> = std::thread::scope(|scope| {
        let identity = || open(&folder.database()).unwrap().identity().unwrap();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(identity)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(identities.iter().all(|identity| *identity == identities[0]), "{identities:?}");
    assert_eq!(reader.identity().as_ref(), Ok(&identities[0]));
    let again = open(&folder.database()).unwrap();
    assert_eq!(again.identity().as_ref(), Ok(&identities[0]));
    assert_eq!(values(&again, "t", 0).len(), 160);
}

#[test]
fn dropping_the_transport_finishes_what_was_submitted() {
    let folder = Folder::new();
    let transport = open(&folder.database()).unwrap();
    let epoch = transport.claim(&task("s"), 0).unwrap();
    let tickets: Vec<_> =
        (1..30).map(|position| transport.submit(commit(&task("s"), epoch, position), 0)).collect();
    drop(transport);
    assert!(tickets.into_iter().all(|ticket| ticket.wait() == Ok(())));
}

#[test]
fn a_line_of_a_hundred_megabytes_is_stored_and_read() {
    let folder = Folder::new();
    let transport = open(&folder.database()).unwrap();
    transport.create_topic("t", 1).unwrap();
    let mut large = LogBatch::default();
    large.records.push(Record { value: Some(&vec![7; 100 << 20]), ..Record::default() });
    transport.produce("t", 0, large.clone(), 0).unwrap();
    transport.produce("t", 0, batch(["next"]), 0).unwrap();
    assert!(transport.read("t", 0, 0, ALL).unwrap()[0].records.values == large.records.values);
    let kept = transport.trim("t", 0, 1).unwrap();
    assert_eq!((kept.first, kept.more), (1, false));
    assert_eq!(values(&transport, "t", 0), ["next"]);
}

#[test]
fn the_log_of_the_database_stays_bounded_while_others_read() {
    let folder = Folder::new();
    let (writer, reader) = (open(&folder.database()).unwrap(), open(&folder.database()).unwrap());
    writer.create_topic("t", 1).unwrap();
    let value = "x".repeat(1 << 20);
    let done = std::sync::atomic::AtomicBool::new(false);
    let mut longest = 0;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let (first, _) = reader.range("t", 0).unwrap();
                    let one = pawl_transport::ReadMax { bytes: 0, ..ALL };
                    match reader.read("t", 0, first, one) {
                        Ok(_) | Err(Error::Trimmed { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        let outcome = (0..400).try_for_each(|_| {
            let base = writer.produce("t", 0, batch([value.as_str()]), 0)?;
            writer.trim("t", 0, base)?;
            let log = std::fs::metadata(beside(&folder.database(), "-wal")).unwrap().len();
            longest = longest.max(log);
            Ok::<_, Error>(())
        });
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        outcome.unwrap();
    });
    let file = std::fs::metadata(folder.database()).unwrap().len();
    println!(
        "of 400 MB written the log took at most {} MB, the file {} MB",
        longest >> 20,
        file >> 20
    );
    assert!(longest < 200 << 20, "the log grew to {longest} bytes");
    assert!(file < 200 << 20, "freed space is used again, yet the file has {file} bytes");
}

#[test]
fn a_full_disk_is_fatal_and_loses_nothing() {
    let folder = Folder::new();
    let options = Options { database_bytes_max: Some(2 << 20), ..Options::default() };
    let transport = Embedded::open(&folder.database(), &options).unwrap();
    transport.create_topic("t", 1).unwrap();
    let epoch = transport.claim(&task("s"), 0).unwrap();
    let value = "x".repeat(200_000);
    let mut stored = 0;
    let error = loop {
        let mut one = commit(&task("s"), epoch, stored + 1);
        one.appends = vec![append("t", batch([value.as_str()]))];
        match transport.submit(one, 0).wait() {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(stored > 3, "only {stored} commits fitted");
    assert_eq!(error.class(), Class::Fatal);
    assert!(matches!(error, Error::Storage { kind: StorageKind::Full, .. }), "{error}");
    let later = transport.produce("t", 0, batch(["small"]), 0).unwrap_err();
    assert!(matches!(later, Error::Poisoned { .. }), "{later}");
    assert!(transport.range("t", 0).is_err());
    drop(transport);

    let transport = open(&folder.database()).unwrap();
    assert_eq!(values(&transport, "t", 0).len() as u64, stored);
    let commit = transport.recovery(&task("s")).unwrap().commit.unwrap();
    assert_eq!(commit.progress.position, stored);
    assert_eq!(transport.produce("t", 0, batch([value.as_str()]), 0), Ok(stored));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let locked = folder.0.join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    // A privileged user writes there nevertheless; nobody makes folders in sysfs.
    let privileged = std::fs::write(locked.join("probe"), b"").is_ok();
    let denied = if privileged { Path::new("/sys/pawl").to_owned() } else { locked };
    let error = open(&denied.join("transport.db")).unwrap_err();
    assert!(matches!(error, Error::Storage { kind: StorageKind::Denied, .. }), "{error}");
    assert!(error.to_string().contains("transport.db"), "{error}");
    let error = Lock::acquire(&denied, 0).unwrap_err();
    assert!(matches!(error, Error::Storage { kind: StorageKind::Denied, .. }), "{error}");

    let in_the_way = folder.0.join("file");
    std::fs::write(&in_the_way, b"x").unwrap();
    assert!(open(&in_the_way.join("transport.db")).is_err());
    assert!(matches!(open(&folder.0), Err(Error::NotPawl { .. })), "a folder is no database");
}

#[test]
fn a_reader_makes_nothing_and_writes_nothing() {
    let folder = Folder::new();
    let options = Options { read_only: true, ..Options::default() };
    let missing = Embedded::open(&folder.database(), &options).unwrap_err();
    assert!(matches!(missing, Error::Missing { .. }), "{missing}");
    assert!(!folder.database().exists());
    filled(&folder.database());
    let reader = Embedded::open(&folder.database(), &options).unwrap();
    assert_eq!(values(&reader, "t", 0).len(), 160);
    assert!(matches!(reader.produce("t", 0, batch(["x"]), 0), Err(Error::ReadOnly { .. })));
    assert!(reader.submit(commit(&task("s"), 1, 9), 0).wait().is_err());
    assert!(reader.claim(&task("s"), 0).is_err());
}

#[test]
fn a_database_of_a_newer_version_or_of_others_is_refused() {
    let folder = Folder::new();
    filled(&folder.database());
    let connection = rusqlite::Connection::open(folder.database()).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    drop(connection);
    let error = open(&folder.database()).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 2, known: 1, .. }), "{error}");
    assert_eq!(error.class(), Class::Usage);

    let other = folder.0.join("other.db");
    let connection = rusqlite::Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(connection);
    let error = open(&other).unwrap_err();
    assert!(matches!(error, Error::NotPawl { .. }), "{error}");

    let text = folder.0.join("text.db");
    std::fs::write(&text, "not a database at all\n".repeat(500)).unwrap();
    let error = open(&text).unwrap_err();
    assert!(matches!(error, Error::NotPawl { .. }), "{error}");
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("not a"), "left as it was");
}

/// Opens a damaged database and reads all there is: errors are allowed, panics and wrong rows are
/// not. Returns whether something was noticed.
fn read_damaged(path: &Path) -> bool {
    let looked = || -> Result<(), Error> {
        let transport = open(path)?;
        let (first, _) = transport.range("t", 0)?;
        for (number, one) in transport.read("t", 0, first, ALL)?.iter().enumerate() {
            let value = format!("{number:04}").repeat(300);
            for row in 0..one.records.len() {
                assert_eq!(one.records.values.get(row), Some(value.as_bytes()));
            }
        }
        transport.recovery(&task("s"))?;
        Ok(())
    };
    match looked() {
        Ok(()) => false,
        Err(error) => {
            let named = matches!(error.class(), Class::Fatal | Class::Usage);
            assert!(named && !error.to_string().is_empty(), "{error}");
            true
        }
    }
}

#[test]
fn a_database_cut_short_anywhere_is_an_error_and_never_a_panic() {
    let folder = Folder::new();
    filled(&folder.database());
    let whole = std::fs::read(folder.database()).unwrap();
    let cut = folder.0.join("cut.db");
    for length in (0..whole.len()).step_by(4999).chain([1, 15, 16, 99, 100, 16384]) {
        std::fs::write(&cut, &whole[..length]).unwrap();
        assert!(read_damaged(&cut), "nobody noticed a cut at {length} of {}", whole.len());
        for suffix in ["-wal", "-shm"] {
            drop(std::fs::remove_file(beside(&cut, suffix)));
        }
    }
}

#[test]
fn damaged_bytes_never_come_back_as_rows() {
    let mut random = Random::new();
    let folder = Folder::new();
    filled(&folder.database());
    let whole = std::fs::read(folder.database()).unwrap();
    let damaged = folder.0.join("damaged.db");
    let mut noticed = 0;
    for _ in 0..150 {
        let mut bytes = whole.clone();
        let at = random.below(bytes.len() as u64) as usize;
        let until = (at + 1 + random.below(64) as usize).min(bytes.len());
        bytes[at..until].iter_mut().for_each(|byte| *byte ^= 1 + random.below(255) as u8);
        std::fs::write(&damaged, bytes).unwrap();
        noticed += u32::from(read_damaged(&damaged));
        for suffix in ["-wal", "-shm"] {
            drop(std::fs::remove_file(beside(&damaged, suffix)));
        }
    }
    println!("{noticed} of 150 damages noticed; the others hit unused bytes");
    assert!(noticed > 50);
}

#[test]
fn a_damaged_row_names_its_place() {
    let folder = Folder::new();
    filled(&folder.database());
    let connection = rusqlite::Connection::open(folder.database()).unwrap();
    let damage = "UPDATE batch SET body =
                  CAST(substr(body, 1, 60) || x'a7' || substr(body, 62) AS BLOB) WHERE base = 8";
    assert_eq!(connection.execute(damage, []), Ok(1));
    connection.execute("DELETE FROM batch WHERE base = 20", []).unwrap();
    connection.execute("UPDATE decision SET body = x'00'", []).unwrap();
    drop(connection);
    let transport = open(&folder.database()).unwrap();
    let damaged = |from| match transport.read("t", 0, from, ALL) {
        Err(Error::Damaged { topic, partition: 0, offset, .. }) if topic == "t" => offset,
        other => panic!("{other:?}"),
    };
    let one = pawl_transport::ReadMax { records: 1, ..ALL };
    assert_eq!(damaged(0), 20, "a gap is damage");
    assert_eq!(damaged(20), 20);
    assert!(matches!(transport.read("t", 0, 8, one), Err(Error::Damaged { offset: 8, .. })));
    assert_eq!(transport.read("t", 0, 4, one).unwrap().len(), 1, "what is whole can be read");
    let error = transport.recovery(&task("s")).unwrap_err();
    assert!(matches!(&error, Error::DamagedTask { what, .. } if what.contains("decision 0")));
}

#[test]
fn a_write_lock_held_too_long_is_transient() {
    let folder = Folder::new();
    let options = Options { busy_timeout_ms: 20, ..Options::default() };
    let transport = Embedded::open(&folder.database(), &options).unwrap();
    transport.create_topic("t", 1).unwrap();
    let other = rusqlite::Connection::open(folder.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = transport.produce("t", 0, batch(["x"]), 0).unwrap_err();
    assert_eq!((busy.class(), &busy), (Class::Transient, &Error::Busy { doing: "write" }));
    assert_eq!(transport.range("t", 0), Ok((0, 0)), "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(transport.produce("t", 0, batch(["x"]), 0), Ok(0));
}

/// What the children do; as a test of its own it does nothing.
#[test]
fn the_child_takes_part() {
    let Some((role, database)) = role() else { return };
    match role.as_str() {
        "produce" => {
            let transport = open(&database).unwrap();
            for number in 0..150 {
                let value = format!("child:{number:04}");
                transport.produce("t", 0, batch([value.as_str(); 2]), 0).unwrap();
            }
        }
        "lock" => {
            let lock = Lock::acquire(&database, 1_234_567_890_123).unwrap();
            std::io::stderr().write_all(b"locked\n").unwrap();
            // Until the parent lets go, or kills.
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            drop(lock);
        }
        other => panic!("no role {other}"),
    }
}

#[test]
fn two_processes_produce_and_read_at_once_and_lose_nothing() {
    let folder = Folder::new();
    let transport = open(&folder.database()).unwrap();
    transport.create_topic("t", 1).unwrap();
    let mut other = child("the_child_takes_part", "produce", &folder.database());
    let due = 600;
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..150 {
                let value = format!("parent:{number:04}");
                transport.produce("t", 0, batch([value.as_str(); 2]), 0).unwrap();
            }
        });
        let mut position = 0;
        while position < due {
            let came = transport.wait("t", 0, position, Duration::from_secs(60)).unwrap();
            assert!(came, "nothing came after {position} rows");
            for one in transport.read("t", 0, position, ALL).unwrap() {
                assert_eq!(one.base, position);
                position = one.end();
                let row = |row| String::from_utf8_lossy(one.records.values.get(row).unwrap());
                seen.extend((0..one.records.len()).map(|at| row(at).into_owned()));
            }
        }
    });
    assert!(other.wait().unwrap().success());
    for producer in ["child:", "parent:"] {
        let own: Vec<&String> = seen.iter().filter(|one| one.starts_with(producer)).collect();
        assert!(own.len() == 300 && own.is_sorted(), "{producer} {}", own.len());
    }
    assert_eq!(values(&transport, "t", 0), seen);
}

#[test]
fn a_second_process_on_a_folder_is_refused_naming_the_first() {
    let folder = Folder::new();
    // A file that a dead process left says nothing about the living.
    std::fs::write(folder.0.join("pawl.lock"), "process 1 since long ago".repeat(50)).unwrap();
    let mut first = child("the_child_takes_part", "lock", &folder.0);
    let mut lines = BufReader::new(first.stderr.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "locked");
    let refused = Lock::acquire(&folder.0, 0).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, Error::Locked { .. }), "{text}");
    assert!(text.contains(&format!("process {} since 2009-02-13T23:31:30", first.id())), "{text}");
    first.kill().unwrap();
    first.wait().unwrap();
    let own = Lock::acquire(&folder.0, 0).unwrap();
    assert!(Lock::acquire(&folder.0, 0).is_err(), "also within one process");
    drop(own);
    Lock::acquire(&folder.0, 0).unwrap();
}

#[test]
fn a_log_left_by_a_crash_is_read_and_a_damaged_log_only_loses_what_is_behind_the_damage() {
    let folder = Folder::new();
    let transport = open(&folder.database()).unwrap();
    transport.create_topic("t", 1).unwrap();
    for number in 0..10 {
        transport.produce("t", 0, batch([format!("{number}").as_str()]), 0).unwrap();
    }
    let crashed = folder.0.join("crashed.db");
    std::fs::copy(folder.database(), &crashed).unwrap();
    std::fs::copy(beside(&folder.database(), "-wal"), beside(&crashed, "-wal")).unwrap();
    drop(transport);
    let log = beside(&crashed, "-wal");
    let length = std::fs::metadata(&log).unwrap().len();
    let mut file = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
    file.seek(SeekFrom::Start(length - 20_000)).unwrap();
    file.write_all(&[0xff; 64]).unwrap();
    drop(file);
    let read = values(&open(&crashed).unwrap(), "t", 0);
    let due: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert!(!read.is_empty() && read.len() < 10 && due.starts_with(&read), "{read:?}");
}
