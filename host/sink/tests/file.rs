//! The sink `file` on a real disk, and with a process that is killed while it writes.

use pawl_pipeline::{ColumnSource, FileFormat, FileSink};
use pawl_sink::Sink;
use pawl_sink::file::Files;
use pawl_sink::suite::{self, Place, Promises, Random};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder that goes when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let process = std::process::id();
        let root = std::env::temp_dir().join(format!("pawl-sink-{name}-{process}-{number}"));
        Folder(root)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn config(folder: &Path, format: FileFormat) -> FileSink {
    FileSink { folder: folder.join("a/b"), format, file_bytes_max: 150, file_age_max_ms: 3_600_000 }
}

/// Contents of the finished files of all partitions in order of their names.
fn contents(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.file_name().expect("a name").to_string_lossy().starts_with('.'))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).expect("text"))
        })
        .collect();
    files.sort();
    files
}

struct JsonFolder(Folder);

impl Place for JsonFolder {
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Files::new(&config(&self.0.0, FileFormat::JsonLines)).expect("fine"))
    }

    fn effects(&self) -> Vec<(String, Vec<u8>)> {
        let mut effects = Vec::new();
        for (name, text) in contents(&self.0.0.join("a/b")) {
            assert!(name.ends_with(".jsonl"), "{name}");
            for line in text.lines() {
                let id = line.split('"').nth(3).expect("the id").to_owned();
                effects.push((id, line.as_bytes().to_vec()));
            }
        }
        effects
    }
}

struct CsvFolder(Folder);

impl Place for CsvFolder {
    fn sink(&self) -> Box<dyn Sink> {
        let columns =
            vec![("id".to_owned(), ColumnSource::Id), ("value".to_owned(), ColumnSource::Value)];
        Box::new(Files::new(&config(&self.0.0, FileFormat::Csv(columns))).expect("fine"))
    }

    fn effects(&self) -> Vec<(String, Vec<u8>)> {
        let mut effects = Vec::new();
        for (name, text) in contents(&self.0.0.join("a/b")) {
            assert!(name.ends_with(".csv"), "{name}");
            let lines = text.strip_prefix("id,value\n").expect("a header");
            for line in lines.lines() {
                let (id, value) = line.split_once(",\"").expect("two fields, one in quotes");
                let value = value.strip_suffix('"').expect("a quote").replace("\"\"", "\"");
                effects.push((id.to_owned(), value.into_bytes()));
            }
        }
        effects
    }
}

#[test]
fn json_lines_do_what_every_sink_does_and_are_fenced() {
    suite::all(Promises { fenced: true }, || JsonFolder(Folder::new("json")));
}

#[test]
fn comma_separated_values_do_what_every_sink_does_and_are_fenced() {
    suite::all(Promises { fenced: true }, || CsvFolder(Folder::new("csv")));
}

const CHILD: &str = "PAWL_TEST_FILE_SINK";
const RECORDS: u64 = 400;

/// What the child does, when it is one: delivers from a position on and says how far it got.
#[test]
fn child_that_is_killed() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let mut words = task.splitn(3, ' ');
    let epoch = words.next().and_then(|word| word.parse().ok()).expect("an epoch");
    let mut at: usize = words.next().and_then(|word| word.parse().ok()).expect("a number");
    let folder = PathBuf::from(words.next().expect("a folder"));
    let all = suite::records(0, RECORDS);
    let mut sink = Files::new(&config(&folder, FileFormat::JsonLines)).expect("fine");
    sink.open(&suite::owner(0, epoch)).expect("the folder is fine");
    let mut out = std::io::stdout();
    while at < all.len() {
        let to = all.len().min(at + 1 + at % 4);
        suite::deliver_all(&mut sink, &all[at..to]);
        at = to;
        writeln!(out, "delivered {at}").and_then(|()| out.flush()).expect("somebody reads");
    }
}

#[test]
fn a_process_killed_again_and_again_writes_each_line_once() {
    let folder = Folder::new("kill");
    let random = &mut Random(u64::from(std::process::id()));
    println!("seed {}", random.0);
    let mut at = 0;
    let (mut epoch, mut kills) = (1, 0);
    while at < RECORDS {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "child_that_is_killed", "--nocapture"])
            .env(CHILD, format!("{epoch} {at} {}", folder.0.display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        // A few batches, then a moment that lies anywhere in the next.
        let batches = random.below(12);
        let mut seen = 0;
        for line in out.lines() {
            let line = line.expect("text");
            let Some((_, number)) = line.split_once("delivered ") else { continue };
            at = number.parse().expect("a number");
            seen += 1;
            if seen > batches {
                // Not a wait: it is the moment of the kill.
                std::thread::sleep(std::time::Duration::from_micros(random.below(3000) as u64));
                child.kill().expect("it is ours");
                kills += 1;
                break;
            }
        }
        child.wait().expect("it ends");
        epoch += random.below(2) as u64;
    }
    assert!(kills > 5, "{kills} kills");
    // The last one was killed, or was not; a new owner finishes its file.
    let place = JsonFolder(folder);
    place.sink().open(&suite::owner(0, epoch)).expect("the folder is fine");
    let all = suite::records(0, RECORDS);
    let expected: Vec<_> = all.into_iter().map(|record| (record.id, record.value)).collect();
    assert_eq!(place.effects(), expected);
}
