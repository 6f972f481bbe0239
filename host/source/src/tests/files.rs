//! Files that are read to their end: once each, also if the process is killed anywhere.

use crate::testing::{
    Folder, Mortal, Random, headers, host, pipeline, source, texts, until, values,
};
use crate::{Class, Error, start};
use flate2::Compression;
use flate2::write::GzEncoder;
use pawl_pipeline::Pipeline;
use pawl_transport::{Embedded, Memory, Options, Transport};
use std::io::Write;
use std::sync::Arc;

fn files(folder: &Folder, settings: &str) -> Arc<Pipeline> {
    pipeline(&folder.0, &format!("file = {{ {settings} }}"), "{ partitions = 1 }")
}

/// Runs the source to its end.
fn run(pipeline: &Arc<Pipeline>, transport: Arc<dyn Transport>) -> Result<(), Error> {
    let handle = start(source(pipeline), host(pipeline, transport))?;
    handle.join()
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn many(from: usize, to: usize) -> String {
    (from..to).map(|number| format!("{{\"n\":{number}}}\n")).collect()
}

#[test]
fn files_are_read_in_the_order_of_their_names_and_once() {
    let folder = Folder::new("order");
    folder.write("b.jsonl", "3\n4");
    folder.write("a.jsonl", "1\n\n2\n");
    folder.write("c.txt", "no\n");
    let pipeline = files(&folder, "path = '*.jsonl'");
    let log = Arc::new(Memory::new());
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in"), ["1", "2", "3", "4"]);
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in"), ["1", "2", "3", "4"]);
    // A later file with a lower name, and a file that grew.
    folder.write("0.jsonl", "0\n");
    folder.append("a.jsonl", "2b\n");
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in"), ["1", "2", "3", "4", "2b", "0"]);
}

#[test]
fn bytes_go_into_the_topic_as_they_are() {
    let folder = Folder::new("bytes");
    folder.write("a.jsonl", b"\xff\xfe{\n{\"a\": 1 }\r\n");
    let pipeline = files(&folder, "path = 'a.jsonl'");
    let log = Arc::new(Memory::new());
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(values(&*log, "in"), [b"\xff\xfe{".to_vec(), b"{\"a\": 1 }\r".to_vec()]);
}

#[test]
fn a_line_comes_once_wherever_the_process_is_killed() {
    let folder = Folder::new("killed");
    folder.write("a.jsonl", many(0, 2500));
    folder.write("b.csv.gz.jsonl", many(2500, 2600));
    folder.write("c.jsonl.gz", packed(&many(2600, 5000)));
    let pipeline = files(&folder, "path = '*.jsonl*'");
    let expected: Vec<String> = many(0, 5000).lines().map(str::to_owned).collect();
    for stores_last in [false, true] {
        for writes in 0..20 {
            let log = Arc::new(Memory::new());
            let mortal = Mortal::new(&log, writes, stores_last);
            let first = run(&pipeline, mortal.clone());
            assert_eq!(first.is_err(), mortal.is_dead());
            run(&pipeline, log.clone()).unwrap();
            assert_eq!(texts(&*log, "in"), expected, "killed at write {writes}, {stores_last}");
        }
    }
}

#[test]
fn a_line_comes_once_however_often_the_process_is_killed() {
    let folder = Folder::new("often");
    folder.write(
        "a.csv",
        "n,t\n".to_owned() + &(0..4000).map(|n| format!("{n},\"x\n\"\n")).collect::<String>(),
    );
    let pipeline = files(&folder, "path = '*.csv', format = 'csv'");
    for seed in 0..10 {
        let mut random = Random(seed);
        let log = Arc::new(Memory::new());
        while run(&pipeline, Mortal::new(&log, 3 + random.below(5), random.below(2) == 0)).is_err()
        {
        }
        let expected: Vec<String> =
            (0..4000).map(|n| format!("{{\"n\":\"{n}\",\"t\":\"x\\n\"}}")).collect();
        assert_eq!(texts(&*log, "in"), expected, "seed {seed}");
    }
}

#[test]
fn it_goes_on_in_a_reopened_database() {
    let folder = Folder::new("embedded");
    folder.write("a.jsonl", many(0, 1500));
    let pipeline = files(&folder, "path = '*.jsonl'");
    let open = || Arc::new(Embedded::open(&folder.path("log.db"), &Options::default()).unwrap());
    run(&pipeline, open()).unwrap();
    folder.append("a.jsonl", many(1500, 3000));
    let log = open();
    run(&pipeline, log.clone()).unwrap();
    let expected: Vec<String> = many(0, 3000).lines().map(str::to_owned).collect();
    assert_eq!(texts(&*log, "in"), expected);
}

#[test]
fn an_owner_that_was_replaced_can_commit_nothing() {
    let folder = Folder::new("fenced");
    folder.write("a.jsonl", many(0, 10));
    let pipeline = files(&folder, "path = '*.jsonl'");
    let log = Arc::new(Memory::new());
    let SourceKind::File(settings) = &source(&pipeline).kind else { panic!() };
    let old = Files::new(source(&pipeline), settings, host(&pipeline, log.clone())).unwrap();
    run(&pipeline, log.clone()).unwrap();
    let error = old.run(&Arc::default()).unwrap_err();
    assert_eq!((error.code(), error.class()), ("fenced", Class::Fatal));
    assert_eq!(texts(&*log, "in").len(), 10);
}

use crate::file::Files;
use pawl_pipeline::SourceKind;

#[test]
fn records_lie_where_their_key_sends_them() {
    let folder = Folder::new("keys");
    folder.write("a.jsonl", many(0, 100) + "{\"n\":0}\nno json\nno json\n");
    let pipeline = pipeline(
        &folder.0,
        "file = { path = 'a.jsonl' }",
        "{ partitions = 4, key = { field = '/n' } }",
    );
    let log = Arc::new(Memory::new());
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in").len(), 103);
    for partition in 0..4 {
        let max = pawl_transport::ReadMax { records: 1000, bytes: 1 << 20 };
        for batch in log.read("in", partition, 0, max).unwrap() {
            for row in 0..batch.records.len() {
                if let Some(key) = batch.records.keys.get(row) {
                    assert_eq!(pawl_core::partition::of(Some(key), 0, 4), partition);
                }
            }
        }
    }
}

#[test]
fn a_row_that_does_not_fit_is_a_dead_letter_byte_for_byte() {
    let folder = Folder::new("misfits");
    folder.write("a.csv", b"x,y\r\n1,2\r\n3\r\n\xff,5\r\n6,7\r\n");
    let pipeline = files(&folder, "path = 'a.csv', format = 'csv'");
    let log = Arc::new(Memory::new());
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in"), [r#"{"x":"1","y":"2"}"#, r#"{"x":"6","y":"7"}"#]);
    assert_eq!(values(&*log, "p.dlq"), [b"3".to_vec(), b"\xff,5".to_vec()]);
    let header = |name| headers(&*log, "p.dlq", name);
    assert_eq!(header("pawl-stage")[0].as_deref(), Some("source.lines"));
    assert_eq!(header("pawl-operator")[0].as_deref(), Some("lines"));
    assert_eq!(header("pawl-class")[0].as_deref(), Some("permanent"));
    assert_eq!(header("pawl-error-kind")[1].as_deref(), Some("not-text"));
    let message = "a.csv, line 3, bytes 10 to 13: 1 fields where the header has 2";
    assert_eq!(header("pawl-error-message")[0].as_deref(), Some(message));
    let ids = header("pawl-id");
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_line_that_is_too_long_is_a_dead_letter_and_the_stream_goes_on() {
    let folder = Folder::new("long");
    folder.write("a.jsonl", format!("1\n{}\n2\n", "x".repeat(5000)));
    let base = "record_bytes_max = 100\nfile = { path = 'a.jsonl' }";
    let pipeline = pipeline(&folder.0, base, "{ partitions = 1 }");
    let log = Arc::new(Memory::new());
    let handle = start(source(&pipeline), host(&pipeline, log.clone())).unwrap();
    let standing = || handle.standing();
    until(|| handle.has_ended());
    assert!(handle.is_done());
    assert_eq!((standing().records, standing().dead_letters), (3, 1));
    assert_eq!(texts(&*log, "in"), ["1", "2"]);
    assert_eq!(texts(&*log, "p.dlq"), ["x".repeat(100)]);
    let message = headers(&*log, "p.dlq", "pawl-error-message")[0].clone().unwrap();
    assert!(message.starts_with("a.jsonl, line 2, bytes 2 to 5003: "), "{message}");
}

#[test]
fn a_packed_file_that_is_cut_off_is_read_as_far_as_it_goes_and_then_is_an_error() {
    let folder = Folder::new("cut-off");
    let text = many(0, 20_000);
    let whole = packed(&text);
    folder.write("a.jsonl.gz", &whole[..whole.len() / 2]);
    folder.write("b.jsonl", "last\n");
    let pipeline = files(&folder, "path = '*.jsonl*'");
    let log = Arc::new(Memory::new());
    let error = run(&pipeline, log.clone()).unwrap_err();
    assert_eq!((error.code(), error.class()), ("gzip-cut-off", Class::Fatal));
    let found = texts(&*log, "in");
    let (last, lines) = found.split_last().unwrap();
    assert_eq!(last, "last");
    assert!(lines.len() > 1000);
    assert!(lines.iter().map(String::as_str).eq(text.lines().take(lines.len())));
    // The rest arrives.
    folder.write("a.jsonl.gz", &whole);
    run(&pipeline, log.clone()).unwrap();
    let mut found = texts(&*log, "in");
    found.retain(|line| line != "last");
    assert!(found.iter().map(String::as_str).eq(text.lines()));
}

#[test]
fn a_damaged_packed_file_does_not_stop_the_others() {
    let folder = Folder::new("damaged");
    folder.write("a.gz", b"this is not packed at all, whatever its name says");
    folder.write("b.gz", packed("1\n2\n"));
    let pipeline = files(&folder, "path = '*.gz'");
    let log = Arc::new(Memory::new());
    let error = run(&pipeline, log.clone()).unwrap_err();
    assert_eq!(error.code(), "gzip-damaged");
    assert_eq!(texts(&*log, "in"), ["1", "2"]);
}

#[test]
fn a_file_that_was_renamed_is_not_read_again() {
    let folder = Folder::new("renamed");
    folder.write("app.log", "1\n2\n");
    let pipeline = files(&folder, "path = 'app.log*'");
    let log = Arc::new(Memory::new());
    run(&pipeline, log.clone()).unwrap();
    std::fs::rename(folder.path("app.log"), folder.path("app.log.1")).unwrap();
    folder.append("app.log.1", "3\n");
    folder.write("app.log", "4\n");
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in"), ["1", "2", "3", "4"]);
}

#[test]
fn a_file_that_was_renamed_out_of_the_pattern_is_still_read_to_its_end() {
    let folder = Folder::new("out");
    folder.write("app.log", "1\n2\n");
    let pipeline = files(&folder, "path = 'app.log'");
    let log = Arc::new(Memory::new());
    run(&pipeline, log.clone()).unwrap();
    folder.append("app.log", "3\n");
    std::fs::rename(folder.path("app.log"), folder.path("app.log.1")).unwrap();
    folder.write("app.log", "4\n");
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in"), ["1", "2", "3", "4"]);
}

#[test]
fn a_file_on_another_inode_under_its_name_is_the_same_if_it_holds_the_same() {
    let folder = Folder::new("moved");
    folder.write("a.jsonl", many(0, 100));
    let pipeline = files(&folder, "path = '*.jsonl'");
    let log = Arc::new(Memory::new());
    run(&pipeline, log.clone()).unwrap();
    folder.write("copy", many(0, 150));
    std::fs::rename(folder.path("copy"), folder.path("a.jsonl")).unwrap();
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in").len(), 150);
    // Other content under the same name is another file.
    folder.write("copy", many(1000, 1010));
    std::fs::rename(folder.path("copy"), folder.path("a.jsonl")).unwrap();
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in").len(), 160);
}

#[test]
fn a_file_cut_short_and_written_anew_is_read_from_its_start() {
    let folder = Folder::new("anew");
    folder.write("a.jsonl", many(0, 100));
    let pipeline = files(&folder, "path = '*.jsonl*'");
    let log = Arc::new(Memory::new());
    run(&pipeline, log.clone()).unwrap();
    // As logs are rotated by copying: the copy holds what was not read yet.
    folder.append("a.jsonl", many(100, 110));
    std::fs::copy(folder.path("a.jsonl"), folder.path("a.jsonl.1")).unwrap();
    folder.write("a.jsonl", many(200, 500));
    run(&pipeline, log.clone()).unwrap();
    let expected: Vec<String> =
        (many(0, 110) + &many(200, 500)).lines().map(str::to_owned).collect();
    let mut found = texts(&*log, "in");
    found.sort_by_key(|line| line[5..line.len() - 1].parse::<u64>().unwrap());
    assert_eq!(found, expected);
}

#[test]
fn a_file_that_lost_its_end_is_an_error_and_nothing_is_read_twice() {
    let folder = Folder::new("shrunk");
    folder.write("a.jsonl", many(0, 100));
    folder.write("b.jsonl", "1\n");
    let pipeline = files(&folder, "path = '*.jsonl'");
    let log = Arc::new(Memory::new());
    run(&pipeline, log.clone()).unwrap();
    folder.write("a.jsonl", many(0, 50));
    folder.append("b.jsonl", "2\n");
    let error = run(&pipeline, log.clone()).unwrap_err();
    assert_eq!((error.code(), error.class()), ("file-shrunk", Class::Fatal));
    assert_eq!(texts(&*log, "in").len(), 102);
}

#[test]
fn a_file_written_anew_in_place_with_the_same_beginning_is_another_one() {
    let folder = Folder::new("in-place");
    let header = format!("{{\"about\":\"{}\"}}\n", "x".repeat(400));
    folder.write("a.jsonl", header.clone() + &many(0, 50));
    let pipeline = files(&folder, "path = '*.jsonl'");
    let log = Arc::new(Memory::new());
    run(&pipeline, log.clone()).unwrap();
    folder.write("a.jsonl", header + &many(100, 200));
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in").len(), 51 + 101);
}

#[test]
fn a_file_that_cannot_be_opened_does_not_stop_the_others_and_is_read_when_it_can() {
    let folder = Folder::new("denied");
    folder.write("target", "1\n");
    folder.write("b.jsonl", "2\n");
    // A folder that cannot be entered would do, but not for root; a loop of links does for all.
    std::os::unix::fs::symlink(folder.path("a.jsonl"), folder.path("a.jsonl")).unwrap();
    let pipeline = files(&folder, "path = '*.jsonl'");
    let log = Arc::new(Memory::new());
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in"), ["2"]);
    std::fs::remove_file(folder.path("a.jsonl")).unwrap();
    std::os::unix::fs::symlink(folder.path("target"), folder.path("a.jsonl")).unwrap();
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in"), ["2", "1"]);
}

#[test]
fn dead_letters_that_do_not_fit_stop_the_source_before_anything_is_lost() {
    let folder = Folder::new("full");
    folder.write("a.csv", "x,y\n1,2\n3\n4\n5\n6,7\n");
    let pipeline = files(&folder, "path = 'a.csv', format = 'csv'");
    let mut small = (*pipeline).clone();
    small.dead_letters.records_max = 2;
    let log = Arc::new(Memory::new());
    let small = Arc::new(small);
    let error = run(&small, log.clone()).unwrap_err();
    assert_eq!((error.code(), error.class()), ("dead-letters-full", Class::Fatal));
    // As many as fit are taken, and what comes behind them waits.
    assert_eq!((texts(&*log, "in").len(), texts(&*log, "p.dlq").len()), (1, 2));
    run(&pipeline, log.clone()).unwrap();
    assert_eq!(texts(&*log, "in").len(), 2);
    assert_eq!(texts(&*log, "p.dlq"), ["3", "4", "5"]);
    let mut dropping = (*small).clone();
    dropping.dead_letters.at_max = pawl_pipeline::AtMax::DropOldest;
    folder.append("a.csv", "8\n");
    run(&Arc::new(dropping), log.clone()).unwrap();
    assert!(texts(&*log, "p.dlq").len() <= 2);
}

#[test]
fn a_file_that_got_the_inode_of_another_is_read() {
    let folder = Folder::new("inode");
    let header = "a-long-name,".repeat(30) + "x";
    let header: Vec<String> =
        header.split(',').enumerate().map(|(at, name)| format!("{name}{at}")).collect();
    let table = |rows: usize| {
        let row = vec!["1"; header.len()].join(",") + "\n";
        format!("{}\n{}", header.join(","), row.repeat(rows))
    };
    let pipeline = files(&folder, "path = '*.csv', format = 'csv'");
    let log = Arc::new(Memory::new());
    let mut rows = 0;
    for round in 0..6 {
        // Each has the same long beginning; some file systems give it the same inode again.
        folder.write(&format!("{round}.csv"), table(10 - round));
        run(&pipeline, log.clone()).unwrap();
        rows += 10 - round;
        assert_eq!(texts(&*log, "in").len(), rows, "round {round}");
        std::fs::remove_file(folder.path(&format!("{round}.csv"))).unwrap();
    }
}

#[test]
fn a_header_that_is_none_is_an_error_of_its_file_alone() {
    let folder = Folder::new("header");
    folder.write("a.csv", "x,x\n1,2\n");
    folder.write("b.csv", "x\n1\n");
    let pipeline = files(&folder, "path = '*.csv', format = 'csv'");
    let log = Arc::new(Memory::new());
    assert_eq!(run(&pipeline, log.clone()).unwrap_err().code(), "csv-header");
    assert_eq!(texts(&*log, "in"), [r#"{"x":"1"}"#]);
    assert_eq!(run(&pipeline, log.clone()).unwrap_err().code(), "csv-header");
    assert_eq!(texts(&*log, "in").len(), 1);
}

#[test]
fn positions_of_many_files_stay_few_rows() {
    let folder = Folder::new("rows");
    let pipeline = files(&folder, "path = '*.jsonl'");
    let log = Arc::new(Memory::new());
    for round in 0..1300 {
        folder.append(&format!("{}.jsonl", round % 3), format!("{round}\n"));
        run(&pipeline, log.clone()).unwrap();
    }
    assert_eq!(texts(&*log, "in").len(), 1300);
    let (first, end) = log.range("p.source.lines", 0).unwrap();
    assert!(first > 0 && end - first < 1100, "{first} to {end}");
}

#[test]
fn a_file_that_is_missing_is_an_error_and_an_empty_pattern_is_none() {
    let folder = Folder::new("missing");
    let log = Arc::new(Memory::new());
    let error = run(&files(&folder, "path = 'a.jsonl'"), log.clone()).unwrap_err();
    assert_eq!(error.code(), "source-missing");
    run(&files(&folder, "path = '*.jsonl'"), log.clone()).unwrap();
}

#[test]
fn a_commit_that_failed_for_a_moment_is_tried_again() {
    let folder = Folder::new("busy");
    folder.write("a.jsonl", many(0, 3000));
    let pipeline = files(&folder, "path = '*.jsonl'");
    let log = Arc::new(Memory::new());
    let handle = {
        let SourceKind::File(settings) = &source(&pipeline).kind else { panic!() };
        let files = Files::new(source(&pipeline), settings, host(&pipeline, log.clone())).unwrap();
        log.fail_next_write(pawl_transport::Error::Busy { doing: "test" });
        files.run(&Arc::default())
    };
    handle.unwrap();
    assert_eq!(texts(&*log, "in").len(), 3000);
}
