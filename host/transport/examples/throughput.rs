//! Measures the embedded transport: commits of 10,000 records of 200 bytes, and reading them back.
//! Takes the folder to work in; the database made there is removed at the end.

use pawl_core::commit::{Append, Commit, CommitBatch, Progress, TaskId};
use pawl_core::record::{LogBatch, Record};
use pawl_transport::{Embedded, Error, Options, ReadMax, Transport};
use std::path::{Path, PathBuf};
use std::time::Instant;

const RECORDS: usize = 10_000;
const COMMITS: u64 = 200;

fn main() -> Result<(), Error> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let path = folder.join(format!("pawl-throughput-{}.db", std::process::id()));
    let outcome = measure(&path);
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        drop(std::fs::remove_file(name));
    }
    outcome
}

fn measure(path: &Path) -> Result<(), Error> {
    let transport = Embedded::open(path, &Options::default())?;
    transport.create_topic("t", 1)?;
    let task = TaskId { stage: "s".to_owned(), partition: 0 };
    let epoch = transport.claim(&task, 0)?;
    let mut batch = LogBatch::default();
    for number in 0..RECORDS {
        let value = [number as u8; 200];
        batch.records.push(Record { value: Some(&value), ..Record::default() });
    }
    let commit = |number, appends| {
        let progress = Progress { position: number, ..Progress::default() };
        let commit = Commit { epoch, progress, ..Commit::default() };
        CommitBatch { task: task.clone(), commit, decisions: Vec::new(), appends }
    };
    let append = || Append { topic: "t".to_owned(), partition: 0, batch: batch.clone() };

    let start = Instant::now();
    for number in 1..=COMMITS {
        transport.submit(commit(number, vec![append()]), 0).wait()?;
    }
    report("appended, one commit at a time", start);

    let start = Instant::now();
    let mut before = None;
    for number in COMMITS + 1..=2 * COMMITS {
        let ticket = transport.submit(commit(number, vec![append()]), 0);
        if let Some(before) = before.replace(ticket) {
            before.wait()?;
        }
    }
    before.map_or(Ok(()), |ticket| ticket.wait())?;
    report("appended, two commits on their way", start);

    let start = Instant::now();
    let (mut from, max) = (0, ReadMax { records: RECORDS, bytes: 16 << 20 });
    while from < COMMITS * RECORDS as u64 {
        from = transport.read("t", 0, from, max)?.last().map_or(u64::MAX, LogBatch::end);
    }
    report("read back", start);

    let start = Instant::now();
    for number in 2 * COMMITS + 1..=3 * COMMITS {
        transport.submit(commit(number, Vec::new()), 0).wait()?;
    }
    let each = start.elapsed().as_micros() as u64 / COMMITS;
    println!("{:<38}{each:>10} us each", "commits without rows");
    Ok(())
}

fn report(what: &str, start: Instant) {
    let records = (COMMITS as usize * RECORDS) as f64;
    let seconds = start.elapsed().as_secs_f64();
    let megabytes = records * 200.0 / 1e6 / seconds;
    println!("{what:<38}{:>10.0} records/s  {megabytes:>6.0} MB/s", records / seconds);
}
