//! Crashes at every step, on a disk that loses what was not synchronised; and what the sink does
//! about folders that are not as it left them.

use super::Files;
use super::memory::MemoryDisk;
use super::state::{Log, Mark, State};
use crate::error::Error;
use crate::sink::{Delivery, Owner, Sink, Verdict};
use crate::suite::{Random, Record, deliver, owner, records};
use pawl_pipeline::{ColumnSource, FileFormat, FileSink};
use std::path::{Path, PathBuf};

const FOLDER: &str = "/folder";

fn config(bytes_max: u64) -> FileSink {
    FileSink {
        folder: PathBuf::from(FOLDER),
        format: FileFormat::JsonLines,
        file_bytes_max: bytes_max,
        file_age_max_ms: 3_600_000,
    }
}

fn csv() -> FileSink {
    let columns = vec![
        ("id".to_owned(), ColumnSource::Id),
        ("n".to_owned(), ColumnSource::Field("/n".to_owned())),
    ];
    FileSink { format: FileFormat::Csv(columns), ..config(64) }
}

fn sink(disk: &MemoryDisk, config: &FileSink) -> Files {
    Files::on(Box::new(disk.clone()), config)
}

fn opened(disk: &MemoryDisk, config: &FileSink, epoch: u64) -> Files {
    let mut sink = sink(disk, config);
    sink.open(&owner(0, epoch)).expect("the folder is fine");
    sink
}

/// The lines of all finished files of a log in the order of their names, headers left out, and that
/// the names tell the truth.
fn lines_of(disk: &MemoryDisk, header: Option<&str>, log: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reached = 0;
    for (name, content) in disk.contents() {
        if name.starts_with('.') {
            continue;
        }
        assert!(!name.ends_with(".open"), "{name} is left");
        let stem = name.split('.').next().expect("a name");
        let parts: Vec<&str> = stem.rsplitn(4, '-').collect();
        if parts[2] != &log[..8] {
            continue;
        }
        let number = |part: &str| part.parse::<u64>().expect("a position");
        let (next, first) = (number(parts[0]), number(parts[1]));
        assert!(reached <= first && first < next, "{name} after {reached}");
        reached = next;
        let text = String::from_utf8(content).expect("lines are text");
        assert!(text.ends_with('\n'), "{name}: {text:?}");
        let mut of_file = text.lines();
        if let Some(header) = header {
            assert_eq!(of_file.next(), Some(header), "{name}");
        }
        lines.extend(of_file.map(str::to_owned));
    }
    lines
}

fn lines(disk: &MemoryDisk, header: Option<&str>) -> Vec<String> {
    lines_of(disk, header, &owner(0, 1).log)
}

fn expected(config: &FileSink, all: &[Record]) -> Vec<String> {
    let text = |record: &Record| String::from_utf8(record.value.clone()).expect("text");
    match &config.format {
        FileFormat::JsonLines => all.iter().map(text).collect(),
        FileFormat::Csv(_) => {
            all.iter().enumerate().map(|(n, record)| format!("{},{n}", record.id)).collect()
        }
    }
}

/// Delivers in batches from `committed` on and notes how far it got; stops at the first error.
fn run(sink: &mut Files, all: &[Record], committed: &mut usize, epoch: u64) -> Result<(), Error> {
    sink.open(&owner(0, epoch))?;
    while *committed < all.len() {
        let to = all.len().min(*committed + 3);
        for verdict in deliver(sink, &all[*committed..to])? {
            assert_eq!(verdict, Verdict::Delivered);
        }
        *committed = to;
    }
    Ok(())
}

/// Stops at every step, then at a step of the recovery, then goes on to the end. The caller begins
/// again at what it had committed, or some records before.
fn crash_everywhere(config: &FileSink, power: bool) {
    let all = records(0, 11);
    let whole = MemoryDisk::default();
    run(&mut sink(&whole, config), &all, &mut 0, 1).expect("no crash");
    let header = matches!(config.format, FileFormat::Csv(_)).then_some("id,n");
    assert_eq!(lines(&whole, header), expected(config, &all));
    let steps = whole.steps();
    assert!(steps > 40, "{steps} steps");
    for stop in 0..steps {
        for seed in 0..if power { 24 } else { 4 } {
            let random = &mut Random(stop * 1000 + seed);
            let disk = MemoryDisk::default();
            let mut committed = 0;
            let mut epoch = 1;
            for stops in [Some(stop), Some(random.below(30) as u64), None] {
                disk.stop_after(stops);
                let mut sink = sink(&disk, config);
                let result = run(&mut sink, &all, &mut committed, epoch);
                assert!(stops.is_some() || result.is_ok(), "stop {stop}, seed {seed}: {result:?}");
                if let Err(error) = result {
                    let fine = matches!(error, Error::Transient { .. });
                    assert!(fine, "stop {stop}, seed {seed}: {error}");
                }
                drop(sink);
                if power && stops.is_some() {
                    disk.lose_power(random);
                }
                epoch += random.below(2) as u64;
                committed -= random.below(committed.min(4) + 1);
            }
            let found = lines(&disk, header);
            assert_eq!(found, expected(config, &all), "stop {stop}, seed {seed}, power {power}");
        }
    }
}

#[test]
fn killed_at_any_step_each_line_is_there_once() {
    crash_everywhere(&config(100), false);
    crash_everywhere(&csv(), false);
}

#[test]
fn when_the_power_goes_at_any_step_each_line_is_there_once() {
    crash_everywhere(&config(100), true);
    crash_everywhere(&csv(), true);
}

/// A log that counts from 0 as the suite's does.
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn on(log: &str, epoch: u64) -> Owner {
    Owner { log: log.to_owned(), ..owner(0, epoch) }
}

/// Records of one log, delivered up to some number before the log is lost.
struct Phase<'a> {
    log: &'a str,
    /// Which of the logs of the story.
    number: usize,
    until: usize,
}

/// The story of a folder: a log, another one in its place, and the first one, found again.
fn story(old: &str) -> [Phase<'_>; 3] {
    let phase = |log, number, until| Phase { log, number, until };
    [phase(old, 0, 5), phase(OTHER, 1, 5), phase(old, 0, 9)]
}

/// How far a story got.
#[derive(Default)]
struct Told {
    phase: usize,
    /// Of each log: where its task begins again, and how many records were ever said to be there.
    committed: [usize; 2],
    delivered: [usize; 2],
}

/// One process: goes on with the story on one sink, which is not dropped between two logs, so that
/// the file of the log before is open. Stops at the first error.
fn tell(
    sink: &mut Files,
    all: &[Vec<Record>; 2],
    told: &mut Told,
    epoch: &mut u64,
) -> Result<(), Error> {
    let old = owner(0, 1).log;
    let story = story(&old);
    loop {
        let phase = &story[told.phase];
        sink.open(&on(phase.log, *epoch))?;
        let at = phase.number;
        while told.committed[at] < phase.until {
            let to = phase.until.min(told.committed[at] + 2);
            for verdict in deliver(sink, &all[at][told.committed[at]..to])? {
                assert_eq!(verdict, Verdict::Delivered);
            }
            told.committed[at] = to;
            told.delivered[at] = told.delivered[at].max(to);
        }
        if told.phase + 1 == story.len() {
            return Ok(());
        }
        told.phase += 1;
        *epoch += 1;
    }
}

/// Stops at every step of the story, then at a step of what follows, then goes on to the end.
/// After a stop the log may be lost before all of it was delivered.
fn crash_in_every_step_of_a_story(config: &FileSink, power: bool) {
    let old = owner(0, 1).log;
    // The same positions and ids: only the values tell the logs apart.
    let changed = |mut record: Record| {
        record.value = format!("{{\"other\":\"{}\",\"n\":{}}}", record.id, record.n).into_bytes();
        record
    };
    let all = [records(0, 9), records(0, 5).into_iter().map(changed).collect()];
    let header = matches!(config.format, FileFormat::Csv(_)).then_some("id,n");
    let whole = MemoryDisk::default();
    tell(&mut sink(&whole, config), &all, &mut Told::default(), &mut 1).expect("no crash");
    assert_eq!(lines_of(&whole, header, &old), expected(config, &all[0]));
    assert_eq!(lines_of(&whole, header, OTHER), expected(config, &all[1]));
    let steps = whole.steps();
    assert!(steps > 60, "{steps} steps");
    for stop in 0..steps {
        for seed in 0..if power { 24 } else { 6 } {
            let random = &mut Random(stop * 1000 + seed);
            let disk = MemoryDisk::default();
            let (mut told, mut epoch) = (Told::default(), 1);
            for stops in [Some(stop), Some(random.below(30) as u64), None] {
                disk.stop_after(stops);
                let mut sink = sink(&disk, config);
                let result = tell(&mut sink, &all, &mut told, &mut epoch);
                assert!(stops.is_some() || result.is_ok(), "stop {stop}, seed {seed}: {result:?}");
                if let Err(error) = result {
                    let fine = matches!(error, Error::Transient { .. });
                    assert!(fine, "stop {stop}, seed {seed}: {error}");
                }
                drop(sink);
                if power && stops.is_some() {
                    disk.lose_power(random);
                }
                epoch += random.below(2) as u64;
                for committed in &mut told.committed {
                    *committed -= random.below((*committed).min(4) + 1);
                }
                if told.phase < 2 && random.below(4) == 0 {
                    told.phase += 1;
                    epoch += 1;
                }
            }
            let place = format!("stop {stop}, seed {seed}, power {power}");
            assert_eq!(lines_of(&disk, header, &old), expected(config, &all[0]), "{place}");
            // The log in between may have been lost before all of it was here; what was said to be
            // here is.
            let between = lines_of(&disk, header, OTHER);
            assert!(expected(config, &all[1]).starts_with(&between), "{place}: {between:?}");
            assert!(between.len() >= told.delivered[1], "{place}: {between:?}");
        }
    }
}

#[test]
fn killed_at_any_step_of_a_change_of_logs_no_line_is_lost_or_there_twice() {
    crash_in_every_step_of_a_story(&config(100), false);
    crash_in_every_step_of_a_story(&csv(), false);
}

#[test]
fn when_the_power_goes_in_a_change_of_logs_no_line_is_lost_or_there_twice() {
    crash_in_every_step_of_a_story(&config(100), true);
    crash_in_every_step_of_a_story(&csv(), true);
}

#[test]
fn an_owner_on_a_log_that_was_replaced_is_fenced_and_its_file_has_its_own_name() {
    let disk = MemoryDisk::default();
    let all = records(0, 4);
    let mut zombie = opened(&disk, &config(1000), 1);
    deliver(&mut zombie, &all[..2]).expect("the disk is fine");
    let mut heir = sink(&disk, &config(1000));
    heir.open(&on(OTHER, 2)).expect("the folder is fine");
    assert_eq!(deliver(&mut zombie, &all[2..]), Err(Error::Fenced { epoch: 2 }));
    assert_eq!(zombie.open(&owner(0, 1)), Err(Error::Fenced { epoch: 2 }));
    deliver(&mut heir, &all[..1]).expect("the disk is fine");
    drop((zombie, heir));
    let names: Vec<_> = disk.contents().into_keys().filter(|name| !name.starts_with('.')).collect();
    let expected = [
        "sink-0-01234567-00000000000000000000-00000000000000000005.jsonl",
        "sink-0-fedcba98-00000000000000000000-00000000000000000001.jsonl",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_log_that_comes_back_goes_on_where_it_was_left_though_its_files_were_taken_away() {
    let disk = MemoryDisk::default();
    let all = records(0, 4);
    let mut sink = opened(&disk, &config(1000), 1);
    deliver(&mut sink, &all[..2]).expect("the disk is fine");
    sink.open(&on(OTHER, 2)).expect("the folder is fine");
    let name = "sink-0-01234567-00000000000000000000-00000000000000000005.jsonl";
    assert!(disk.contents().contains_key(name));
    disk.set(&Path::new(FOLDER).join(name), None);
    sink.open(&owner(0, 3)).expect("the folder is fine");
    deliver(&mut sink, &all).expect("the disk is fine");
    drop(sink);
    assert_eq!(lines(&disk, None), expected(&config(1000), &all[2..]));
}

#[test]
fn an_open_file_of_the_log_before_that_was_never_noted_goes() {
    let disk = MemoryDisk::default();
    drop(opened(&disk, &config(1000), 1));
    let never_noted = "sink-0-01234567-00000000000000000007.jsonl.open";
    disk.set(&Path::new(FOLDER).join(never_noted), Some(b"1\n"));
    sink(&disk, &config(1000)).open(&on(OTHER, 2)).expect("the folder is fine");
    assert!(disk.contents().into_keys().all(|name| name.starts_with('.')));
    disk.set(&Path::new(FOLDER).join(never_noted), Some(b"1\n"));
    let result = sink(&disk, &config(1000)).open(&on(OTHER, 2));
    assert_eq!(code(result), "file-unknown", "of another log than the position file's");
}

#[test]
fn a_thousand_logs_are_remembered() {
    let disk = MemoryDisk::default();
    let mut sink = sink(&disk, &config(1000));
    for number in 0..1010 {
        sink.open(&on(&format!("{number:032x}"), 1)).expect("the folder is fine");
    }
    let position = disk.contents().remove(".sink-0.position").expect("the position file");
    let others = State::decode(&position).expect("it reads").others;
    let log = |number: u32| Log::parse(&format!("{number:032x}")).expect("a log");
    assert_eq!(others.len(), 1000);
    assert_eq!((others[0].log, others[999].log), (log(9), log(1008)));
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    match result {
        Err(Error::Fatal { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_disk_leaves_nothing_half_written_and_is_tried_again() {
    let all = records(0, 8);
    for room in 0..400 {
        let disk = MemoryDisk::default();
        let config = config(100);
        let mut sink = opened(&disk, &config, 1);
        disk.room(Some(room));
        let mut committed = 0;
        let result = (0..4).try_for_each(|_| {
            deliver(&mut sink, &all[committed..committed + 2])?;
            committed += 2;
            Ok(())
        });
        if let Err(error) = result {
            let full = matches!(&error, Error::Transient { kind, .. } if kind == "disk-full");
            assert!(full, "room {room}: {error}");
        }
        let mut contents = disk.contents();
        let position = contents.remove(".sink-0.position").expect("the position file");
        let open = State::decode(&position).expect("it reads").open;
        let valid = open.filter(|open| !open.finishing).map_or(0, |open| open.length);
        let found = contents.iter().find(|(name, _)| name.ends_with(".open"));
        let whole = found.is_none_or(|(_, content)| content.len() as u64 == valid);
        assert!(whole, "room {room}: {found:?}, {valid} bytes valid");
        disk.room(None);
        if room % 2 == 0 {
            sink.open(&owner(0, 1)).expect("there is room again");
        }
        deliver(&mut sink, &all[committed..]).expect("there is room again");
        drop(sink);
        assert_eq!(lines(&disk, None), expected(&config, &all), "room {room}");
    }
}

#[test]
fn after_an_fsync_failed_nothing_is_tried_again() {
    let disk = MemoryDisk::default();
    let all = records(0, 4);
    let mut sink = opened(&disk, &config(1000), 1);
    deliver(&mut sink, &all[..2]).expect("the disk is fine");
    disk.sync_fails(true);
    assert_eq!(code(deliver(&mut sink, &all[2..])), "file-fsync");
    disk.sync_fails(false);
    assert_eq!(code(deliver(&mut sink, &all[2..])), "file-fsync");
    assert_eq!(code(sink.rest().and(sink.open(&owner(0, 1)))), "file-fsync");
    drop(sink);
    let mut heir = opened(&disk, &config(1000), 2);
    deliver(&mut heir, &all).expect("a new process looks at what is there");
    drop(heir);
    assert_eq!(lines(&disk, None), expected(&config(1000), &all));
}

#[test]
fn a_refused_record_is_refused_again_and_the_others_are_written() {
    let disk = MemoryDisk::default();
    let values: [Option<&[u8]>; 4] = [Some(b"1"), Some(b"not\njson"), None, Some(b"2")];
    let records: Vec<_> = values
        .into_iter()
        .enumerate()
        .map(|(n, value)| Delivery {
            position: n as u64,
            id: ["a", "b", "c", "d"][n],
            key: None,
            value,
            event_time: None,
            headers: vec![],
        })
        .collect();
    for epoch in [1, 2] {
        let mut sink = opened(&disk, &config(1000), epoch);
        let verdicts = sink.deliver(&records).expect("the disk is fine");
        let kinds: Vec<_> = verdicts
            .iter()
            .map(|verdict| match verdict {
                Verdict::Delivered => "delivered",
                Verdict::Rejected { kind, .. } => kind,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(kinds, ["delivered", "not-one-line", "no-value", "delivered"]);
    }
    assert_eq!(lines(&disk, None), ["1", "2"]);
}

#[test]
fn files_end_at_their_size_and_at_their_age() {
    let disk = MemoryDisk::default();
    let line = records(0, 1)[0].value.len() as u64 + 1;
    let mut small = opened(&disk, &config(3 * line), 1);
    deliver(&mut small, &records(0, 7)).expect("the disk is fine");
    let names: Vec<_> = disk.contents().into_keys().filter(|name| !name.starts_with('.')).collect();
    let expected = [
        "sink-0-01234567-00000000000000000000-00000000000000000007.jsonl",
        "sink-0-01234567-00000000000000000010-00000000000000000017.jsonl",
        "sink-0-01234567-00000000000000000018.jsonl.open",
    ];
    assert_eq!(names, expected);
    drop(small);
    let disk = MemoryDisk::default();
    let mut short = opened(&disk, &FileSink { file_age_max_ms: 0, ..config(1000) }, 1);
    for batch in records(0, 4).chunks(2) {
        deliver(&mut short, batch).expect("the disk is fine");
    }
    short.rest().expect("the disk is fine");
    let files = disk.contents().into_keys().filter(|name| name.ends_with(".jsonl")).count();
    assert_eq!(files, 2);
    let tiny = MemoryDisk::default();
    let mut sink = opened(&tiny, &config(1), 1);
    deliver(&mut sink, &records(0, 3)).expect("the disk is fine");
    drop(sink);
    assert_eq!(tiny.contents().len(), 4, "a line that is too long has a file to itself");
}

#[test]
fn an_older_copy_of_the_log_is_noticed_at_the_first_and_the_last_record() {
    let all = records(0, 4);
    for (known, was_away) in [(0, false), (3, false), (0, true), (3, true)] {
        let disk = MemoryDisk::default();
        let mut sink = opened(&disk, &config(1000), 1);
        deliver(&mut sink, &all).expect("the disk is fine");
        if was_away {
            sink.open(&on(OTHER, 2)).expect("the folder is fine");
            sink.open(&owner(0, 3)).expect("the folder is fine");
        }
        let other = Record { id: "other".to_owned(), ..all[known].clone() };
        assert_eq!(code(deliver(&mut sink, &[other])), "file-other-log");
    }
}

#[test]
fn a_folder_that_is_not_as_it_was_left_is_refused() {
    let all = records(0, 4);
    let position = Path::new(FOLDER).join(".sink-0.position");
    let open = Path::new(FOLDER).join("sink-0-01234567-00000000000000000000.jsonl.open");
    let finished =
        Path::new(FOLDER).join("sink-0-01234567-00000000000000000000-00000000000000000099.jsonl");
    let later = Path::new(FOLDER).join("sink-0-01234567-00000000000000000001.jsonl.open");
    type Harm<'a> = &'a dyn Fn(&MemoryDisk);
    let harms: [(&str, Harm<'_>); 6] = [
        ("file-position", &|disk| disk.set(&position, None)),
        ("file-position", &|disk| disk.set(&position, Some(b"PAWLFILE\x01\0nonsense"))),
        ("file-position", &|disk| disk.set(&finished, Some(b"1\n"))),
        ("file-lost", &|disk| disk.set(&open, None)),
        ("file-lost", &|disk| disk.set(&open, Some(b"1\n"))),
        ("file-unknown", &|disk| disk.set(&later, Some(b"1\n"))),
    ];
    for (n, (expected, harm)) in harms.into_iter().enumerate() {
        let disk = MemoryDisk::default();
        let mut first = opened(&disk, &config(1000), 1);
        deliver(&mut first, &all).expect("the disk is fine");
        std::mem::forget(first);
        harm(&disk);
        let before = disk.contents();
        let result = sink(&disk, &config(1000)).open(&owner(0, 2));
        assert_eq!(code(result), expected, "harm {n}");
        assert!(expected == "file-unknown" || disk.contents() == before, "harm {n}");
    }
    let disk = MemoryDisk::default();
    drop(opened(&disk, &config(1000), 1));
    let other = Owner { pipeline: "other".to_owned(), ..owner(0, 2) };
    assert_eq!(code(sink(&disk, &config(1000)).open(&other)), "file-position");
    let nameless = Owner { log: String::new(), ..owner(0, 2) };
    assert_eq!(code(sink(&disk, &config(1000)).open(&nameless)), "file-log");
    let slash = Owner { stage: "a/b".to_owned(), ..owner(0, 2) };
    assert_eq!(code(sink(&disk, &config(1000)).open(&slash)), "file-name");
}

#[test]
fn an_open_file_that_was_never_noted_goes() {
    let disk = MemoryDisk::default();
    drop(opened(&disk, &config(1000), 1));
    for name in [
        "sink-0-01234567-00000000000000000007.csv.open",
        "sink-1-01234567-00000000000000000007.csv.open",
    ] {
        disk.set(&Path::new(FOLDER).join(name), Some(b"id,n\np0-3"));
    }
    drop(opened(&disk, &config(1000), 1));
    let names: Vec<_> = disk.contents().into_keys().filter(|name| !name.starts_with('.')).collect();
    assert_eq!(
        names,
        ["sink-1-01234567-00000000000000000007.csv.open"],
        "another partition's stays"
    );
}

#[test]
fn finished_files_may_be_taken_away_and_without_a_position_file_their_names_tell_it() {
    let disk = MemoryDisk::default();
    let all = records(0, 4);
    let mut sink = opened(&disk, &config(1000), 1);
    deliver(&mut sink, &all[..2]).expect("the disk is fine");
    drop(sink);
    let name = "sink-0-01234567-00000000000000000000-00000000000000000005.jsonl";
    let content = disk.contents().remove(name).expect("the finished file");
    disk.set(&Path::new(FOLDER).join(name), None);
    let mut heir = opened(&disk, &config(1000), 1);
    deliver(&mut heir, &all).expect("the disk is fine");
    drop(heir);
    assert_eq!(lines(&disk, None), expected(&config(1000), &all[2..]));
    let disk = MemoryDisk::default();
    disk.set(&Path::new(FOLDER).join(name), Some(&content));
    let mut heir = opened(&disk, &config(1000), 1);
    deliver(&mut heir, &all).expect("the disk is fine");
    drop(heir);
    assert_eq!(lines(&disk, None), expected(&config(1000), &all));
}

#[test]
fn a_new_format_begins_with_a_new_file() {
    let disk = MemoryDisk::default();
    let all = records(0, 2);
    let mut first = opened(&disk, &config(1000), 1);
    deliver(&mut first, &all[..1]).expect("the disk is fine");
    std::mem::forget(first);
    let mut second = opened(&disk, &csv(), 2);
    deliver(&mut second, &all).expect("the disk is fine");
    drop(second);
    let contents = disk.contents();
    let of = |end: &str| {
        let name = contents.keys().find(|name| name.ends_with(end)).expect("a file");
        String::from_utf8_lossy(&contents[name]).into_owned()
    };
    assert_eq!(
        (of(".jsonl"), of(".csv")),
        ("{\"id\":\"p0-0\",\"n\":0}\n".into(), "id,n\np0-1,1\n".into())
    );
}

#[test]
fn two_of_one_epoch_do_not_write_over_each_other() {
    let disk = MemoryDisk::default();
    let all = records(0, 6);
    let mut one = opened(&disk, &config(1000), 1);
    deliver(&mut one, &all[..2]).expect("the disk is fine");
    let mut two = opened(&disk, &config(1000), 1);
    let taken = deliver(&mut one, &all[2..4]).expect_err("the other has it");
    assert!(matches!(taken, Error::Transient { ref kind, .. } if kind == "taken-over"), "{taken}");
    deliver(&mut two, &all[2..4]).expect("the disk is fine");
    one.open(&owner(0, 1)).expect("the epoch is its own");
    deliver(&mut one, &all[2..]).expect("the disk is fine");
    drop((one, two));
    assert_eq!(lines(&disk, None), expected(&config(1000), &all));
}

/// Bytes of versions 2 and 3, which must always read.
#[test]
fn position_files_of_versions_2_and_3_still_read() {
    let disk = MemoryDisk::default();
    let mut sink = sink(&disk, &config(1000));
    sink.open(&on(OTHER, 4)).expect("the folder is fine");
    deliver(&mut sink, &records(0, 2)).expect("the disk is fine");
    sink.open(&owner(0, 5)).expect("the folder is fine");
    deliver(&mut sink, &records(0, 3)).expect("the disk is fine");
    let bytes = disk.contents().remove(".sink-0.position").expect("the position file");
    std::mem::forget(sink);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, include_str!("../../fixtures/position-v3.hex").trim_end());
    let old = unhex(include_str!("../../fixtures/position-v2.hex").trim_end());
    for (bytes, has_marks) in [(&bytes, true), (&old, false)] {
        let state = State::decode(bytes).expect("it reads");
        assert_eq!((state.epoch, state.next, &*state.pipeline), (5, 7, "suite"));
        assert_eq!(Some(state.log), Log::parse(&owner(0, 5).log));
        let [other] = state.others.as_slice() else { panic!("one other log") };
        assert_eq!((Some(other.log), other.next), (Log::parse(OTHER), 5));
        assert_eq!(other.first_written != Mark::default(), has_marks);
        assert_eq!(other.last_written.position, if has_marks { 4 } else { 0 });
        let open = state.open.expect("a file is open");
        assert_eq!((open.first, open.length, open.finishing), (0, 60, false));
    }
    for cut in 0..bytes.len() {
        assert!(State::decode(&bytes[..cut]).is_err());
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
