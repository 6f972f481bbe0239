//! Files that grow, are rotated and removed while they are followed.

use crate::testing::{Folder, Mortal, Random, host, pipeline, source, texts};
use crate::{Handle, start};
use flate2::Compression;
use flate2::write::GzEncoder;
use pawl_pipeline::Pipeline;
use pawl_transport::{Memory, Transport};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

fn follow(folder: &Folder, path: &str) -> Arc<Pipeline> {
    let settings = format!("file = {{ path = '{path}', follow = true, look_ms = 1 }}");
    pipeline(&folder.0, &settings, "{ partitions = 1 }")
}

fn begin(pipeline: &Arc<Pipeline>, log: &Arc<Memory>) -> Handle {
    start(source(pipeline), host(pipeline, log.clone())).unwrap()
}

/// Waits for so many records in the topic.
fn until(log: &Memory, count: u64) {
    assert!(log.wait("in", 0, count - 1, Duration::from_secs(10)).unwrap(), "{count} records");
}

#[test]
fn a_line_is_taken_when_it_is_whole() {
    let folder = Folder::new("grows");
    let pipeline = follow(&folder, "*.log");
    let log = Arc::new(Memory::new());
    let handle = begin(&pipeline, &log);
    folder.append("a.log", "1\nun");
    until(&log, 1);
    folder.append("a.log", "fini");
    folder.append("b.log", "2\n");
    until(&log, 2);
    folder.append("a.log", "shed\n");
    until(&log, 3);
    crate::testing::until(|| handle.standing().at_end);
    assert!(!handle.is_done());
    handle.drain();
    handle.join().unwrap();
    assert_eq!(texts(&*log, "in"), ["1", "2", "unfinished"]);
}

#[test]
fn a_rotated_file_is_read_to_its_end_before_the_next_one() {
    let folder = Folder::new("rotates");
    let pipeline = follow(&folder, "app.log");
    let log = Arc::new(Memory::new());
    let handle = begin(&pipeline, &log);
    folder.append("app.log", "1\n");
    until(&log, 1);
    let mut old = std::fs::OpenOptions::new().append(true).open(folder.path("app.log")).unwrap();
    std::fs::rename(folder.path("app.log"), folder.path("app.log.1")).unwrap();
    old.write_all(b"2\n").unwrap();
    until(&log, 2);
    folder.append("app.log", "3\n");
    until(&log, 3);
    // Whoever writes learns of the rotation late.
    old.write_all(b"4\n").unwrap();
    until(&log, 4);
    handle.drain();
    handle.join().unwrap();
    assert_eq!(texts(&*log, "in"), ["1", "2", "3", "4"]);
}

#[test]
fn a_file_that_is_removed_is_still_read_to_its_end() {
    let folder = Folder::new("removed");
    let pipeline = follow(&folder, "app.log");
    let log = Arc::new(Memory::new());
    let handle = begin(&pipeline, &log);
    folder.append("app.log", "1\n");
    until(&log, 1);
    let mut old = std::fs::OpenOptions::new().append(true).open(folder.path("app.log")).unwrap();
    std::fs::remove_file(folder.path("app.log")).unwrap();
    old.write_all(b"2\n3").unwrap();
    until(&log, 2);
    folder.append("app.log", "4\n");
    until(&log, 3);
    handle.drain();
    handle.join().unwrap();
    // Nothing more can come behind the last line of a file that is gone.
    assert_eq!(texts(&*log, "in"), ["1", "2", "4", "3"]);
}

#[test]
fn a_packed_file_that_grows_is_unpacked_as_it_comes() {
    let folder = Folder::new("packed");
    let pipeline = follow(&folder, "*.gz");
    let log = Arc::new(Memory::new());
    let mut handle = begin(&pipeline, &log);
    let mut lines = 0;
    for round in 0..6 {
        // Each round is a member of its own, and comes in two parts.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        for _ in 0..3000 {
            writeln!(encoder, "line {lines}").unwrap();
            lines += 1;
        }
        let member = encoder.finish().unwrap();
        let (one, two) = member.split_at(member.len() / 3 * 2);
        folder.append("a.gz", one);
        until(&log, lines - 2900);
        if round % 2 == 1 {
            handle.drain();
            handle.join().unwrap();
            handle = begin(&pipeline, &log);
        }
        folder.append("a.gz", two);
        until(&log, lines);
    }
    handle.drain();
    handle.join().unwrap();
    let expected: Vec<String> = (0..lines).map(|line| format!("line {line}")).collect();
    assert_eq!(texts(&*log, "in"), expected);
}

#[test]
fn nothing_is_read_while_the_readers_of_the_topic_lag_behind() {
    let folder = Folder::new("lag");
    folder.write("a.log", "1\n".repeat(10_000));
    let settings = "backlog_records_max = 500\nfile = { path = 'a.log' }";
    let pipeline = pipeline(&folder.0, settings, "{ partitions = 1 }");
    let log = Arc::new(Memory::new());
    let read = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let most = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut host = host(&pipeline, log.clone());
    let (theirs, seen, asked) = (Arc::clone(&log), Arc::clone(&most), Arc::clone(&read));
    host.backlog = Arc::new(move |topic| {
        use std::sync::atomic::Ordering::SeqCst;
        let behind = theirs.range(topic, 0).unwrap().1 - asked.load(SeqCst);
        seen.fetch_max(behind, SeqCst);
        // The reader takes some each time it is asked.
        asked.fetch_add(behind.min(300), SeqCst);
        behind
    });
    start(source(&pipeline), host).unwrap().join().unwrap();
    assert_eq!(texts(&*log, "in").len(), 10_000);
    let most = most.load(std::sync::atomic::Ordering::SeqCst);
    assert!((500..=1500).contains(&most), "{most}");
}

/// Lines are written in pieces to files that are renamed and removed, while lives of the source
/// begin and are killed at random writes; then the rest is read.
#[test]
fn each_line_comes_once_whatever_happens_to_files_and_process() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let folder = Folder::new("random");
        let pipeline = follow(&folder, "app*.log*");
        let log = Arc::new(Memory::new());
        let mut written = Vec::new();
        let (mut name, mut files) = ("app.log".to_owned(), 0);
        for _life in 0..6 {
            let mortal = Mortal::new(&log, 4 + random.below(40), random.below(2) == 0);
            let handle = start(source(&pipeline), host(&pipeline, mortal.clone()));
            for _ in 0..random.below(60) {
                match random.below(10) {
                    0 => {
                        files += 1;
                        let to = match random.below(3) {
                            0 => format!("app.log.{files}"),
                            1 => format!("old.{files}"),
                            _ => format!("app.{files}.log"),
                        };
                        if folder.path(&name).exists() {
                            std::fs::rename(folder.path(&name), folder.path(&to)).unwrap();
                        }
                    }
                    1 => name = format!("app{}.log", random.below(3)),
                    _ => {
                        for _ in 0..random.below(30) {
                            let line = format!("line {} of {name}", written.len());
                            let (one, two) = line.split_at(random.below(5) as usize);
                            folder.append(&name, one);
                            folder.append(&name, format!("{two}\n"));
                            written.push(line);
                        }
                    }
                }
            }
            if let Ok(handle) = handle {
                handle.drain();
                assert_eq!(handle.join().is_err(), mortal.is_dead(), "seed {seed}");
            }
        }
        // What was renamed out of the pattern and never begun is not meant any more.
        for entry in std::fs::read_dir(&folder.0).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            if file.starts_with("old.") {
                std::fs::rename(&path, folder.path(&format!("app.{file}.log"))).unwrap();
            }
        }
        let last = pipeline_to_the_end(&folder);
        start(source(&last), host(&last, log.clone())).unwrap().join().unwrap();
        let mut found = texts(&*log, "in");
        found.sort();
        written.sort();
        let lost: Vec<_> = written.iter().filter(|line| !found.contains(line)).collect();
        assert!(lost.is_empty(), "seed {seed}: {} lost: {:?}", lost.len(), lost.first());
        let twice: Vec<_> = found.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "seed {seed}: {} twice: {:?}", twice.len(), twice.first());
        assert_eq!(found.len(), written.len(), "seed {seed}");
    }
}

fn pipeline_to_the_end(folder: &Folder) -> Arc<Pipeline> {
    pipeline(&folder.0, "file = { path = 'app*.log*' }", "{ partitions = 1 }")
}
