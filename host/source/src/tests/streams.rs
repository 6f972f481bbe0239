//! Standard input: to its end, and what a drain keeps.

use crate::host::spawn;
use crate::stdin::Lines;
use crate::testing::{Folder, Mortal, host, pipeline, source, texts, until};
use pawl_pipeline::{LineFormat, Pipeline};
use pawl_transport::{Memory, Transport};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

fn stream(pipeline: &Arc<Pipeline>, log: Arc<dyn Transport>, from: std::io::PipeReader) -> Lines {
    Lines::new(source(pipeline), LineFormat::JsonLines, host(pipeline, log), from).unwrap()
}

#[test]
fn all_lines_of_a_stream_become_records_the_last_one_without_newline_too() {
    let folder = Folder::new("stdin");
    let pipeline = pipeline(&folder.0, "stdin = {}", "{ partitions = 1 }");
    let log = Arc::new(Memory::new());
    let (reader, mut writer) = std::io::pipe().unwrap();
    let lines = stream(&pipeline, log.clone(), reader);
    let handle = spawn(source(&pipeline), None, move |shared| lines.run(shared)).unwrap();
    writer.write_all(b"1\n\n2\n").unwrap();
    assert!(log.wait("in", 0, 1, Duration::from_secs(10)).unwrap());
    assert!(!handle.is_done());
    writer.write_all(b"3").unwrap();
    drop(writer);
    until(|| handle.has_ended());
    assert!(handle.is_done());
    assert_eq!(handle.standing().records, 3);
    assert_eq!(texts(&*log, "in"), ["1", "2", "3"]);
}

#[test]
fn a_drain_keeps_what_was_read_and_does_not_wait_for_more() {
    let folder = Folder::new("stdin-drain");
    let pipeline = pipeline(&folder.0, "stdin = {}", "{ partitions = 1 }");
    let log = Arc::new(Memory::new());
    let (reader, mut writer) = std::io::pipe().unwrap();
    let lines = stream(&pipeline, log.clone(), reader);
    let handle = spawn(source(&pipeline), None, move |shared| lines.run(shared)).unwrap();
    writer.write_all(b"1\n2\nunfini").unwrap();
    assert!(log.wait("in", 0, 1, Duration::from_secs(10)).unwrap());
    handle.drain();
    handle.join().unwrap();
    assert_eq!(texts(&*log, "in"), ["1", "2"]);
}

#[test]
fn what_is_lost_with_a_failure_is_said() {
    let folder = Folder::new("stdin-lost");
    let pipeline = pipeline(&folder.0, "stdin = {}", "{ partitions = 1 }");
    let log = Arc::new(Memory::new());
    let (reader, mut writer) = std::io::pipe().unwrap();
    let lines = stream(&pipeline, Mortal::new(&log, 3, false), reader);
    writer.write_all(b"1\n").unwrap();
    drop(writer);
    let error = lines.run(&Arc::default()).unwrap_err();
    assert_eq!(error.code(), "stdin-lost");
    assert!(texts(&*log, "in").is_empty());
}
