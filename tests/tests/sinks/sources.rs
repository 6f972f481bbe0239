//! Records that come in from outside while Pawl is killed: files that grow, standard input, HTTP
//! clients that ask again for what they were not answered.

use crate::client::{free_port, post};
use crate::receiver::{Receiver, Step};
use pawl_core::commit::TaskId;
use pawl_tests::process::LIMIT;
use pawl_tests::{Folder, Random, wait_for, within};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// `SOURCE` stands for what feeds the topic, `SINK` for what takes it out besides the stage.
const PIPELINE: &str = r#"
pawl = 1
name = "sources"
data = "data"
plugins = ["PLUGINS"]
[topics.lines]
partitions = 2
retention_ms = 86400000
[topics.seen]
[checkpoint]
recovery_time_max_ms = 1
[supervisor]
backoff_ms = 1
[[stage]]
name = "look"
input = "lines"
output = "seen"
[[stage.operator]]
name = "look"
plugin = "identity"
[[source]]
name = "outside"
topic = "lines"
SOURCE
"#;

fn folder(name: &str, source: &str) -> Folder {
    let folder = Folder::new(name, &PIPELINE.replace("SOURCE", source));
    // So that there is a log to be looked at before anything is in it.
    folder.produce("lines", "");
    folder
}

/// The values in a topic, and how often each is there.
fn counts(folder: &Folder, topic: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for text in folder.stored().texts(topic) {
        *counts.entry(text).or_default() += 1;
    }
    counts
}

/// Each of these is in the topic once, and in the one behind the stage, and nothing else is.
#[track_caller]
fn each_is_there_once(folder: &Folder, due: impl IntoIterator<Item = String>) {
    let due: BTreeMap<String, usize> = due.into_iter().map(|line| (line, 1)).collect();
    for topic in ["lines", "seen"] {
        let found = counts(folder, topic);
        let missing = due.keys().filter(|line| !found.contains_key(*line)).count();
        let twice = found.values().filter(|count| **count > 1).count();
        assert!(missing + twice == 0, "{topic}: {missing} lost, {twice} there twice");
        assert_eq!(found, due, "{topic}");
    }
}

/// Records of the source that are durable.
fn durable(folder: &Folder) -> u64 {
    let source = TaskId { stage: "source.outside".to_owned(), partition: 0 };
    folder.stored().commit(&source).map_or(0, |commit| commit.progress.position)
}

/// Kills it again and again at moments of chance until `done`, at least so often, and several times
/// just after more became durable.
fn kill_until(folder: &Folder, random: &mut Random, kills_min: usize, done: impl Fn() -> bool) {
    let (mut kills, mut got_on) = (0, 0);
    while kills < kills_min || got_on < 4 || !done() {
        let before = durable(folder);
        let running = folder.start(&["run", "p.toml"]);
        let more = || (durable(folder) > before).then_some(());
        if random.chance(700) && within(Duration::from_millis(500), more).is_some() {
            // Not always by force: an end in good order must lose nothing either.
            if random.chance(200) {
                running.signal("TERM");
                running.wait().success();
                continue;
            }
            got_on += 1;
        }
        let ended = running.kill_after(Duration::from_millis(random.below(15)));
        assert!(ended.was_killed(), "{}", ended.err);
        kills += 1;
        assert!(kills < 500, "it does not get on");
    }
    println!("{kills} kills, {got_on} of them in the middle");
}

/// Lines of all lengths, unlike each other.
fn lines(file: &str, count: usize) -> Vec<String> {
    let line = |number| {
        format!("{{\"file\":\"{file}\",\"n\":{number},\"pad\":\"{}\"}}", "x".repeat(number % 90))
    };
    (0..count).map(line).collect()
}

/// Writes in pieces that end anywhere, slowly.
fn grow(path: &Path, bytes: &[u8], mut random: Random) {
    let mut file = std::fs::File::create(path).expect("the folder is writable");
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(1 + random.below(2000) as usize));
        file.write_all(piece).expect("a file can be written");
        // Nobody waits for this: time passes for a writer, too.
        std::thread::park_timeout(Duration::from_millis(8));
        rest = behind;
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip");
    gzip.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut gzip = gzip.spawn().expect("gzip is on every machine");
    let mut stdin = gzip.stdin.take().expect("it is piped");
    let bytes = bytes.to_vec();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
    let output = gzip.wait_with_output().expect("gzip ends");
    feeder.join().expect("the feeder only writes");
    output.stdout
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn each_line_of_files_that_grow_comes_once_however_often_pawl_is_killed() {
    let source = "[source.file]\npath = \"in/*.jsonl*\"\nfollow = true\nlook_ms = 5";
    let folder = folder("growing", source);
    let inside = folder.path().join("in");
    std::fs::create_dir_all(&inside).unwrap();
    let all = [lines("a", 3000), lines("b", 3000), lines("packed", 3000)];
    std::fs::write(inside.join("c.jsonl.gz"), packed(text(&all[2]).as_bytes())).unwrap();
    let mut random = Random::from_environment();
    let seeds = [random.number(), random.number()];
    std::thread::scope(|scope| {
        let writers: Vec<_> = ["a.jsonl", "b.jsonl"]
            .iter()
            .zip(&all)
            .zip(seeds)
            .map(|((name, lines), seed)| {
                let path = inside.join(name);
                scope.spawn(move || grow(&path, text(lines).as_bytes(), Random::new(seed)))
            })
            .collect();
        let written = || writers.iter().all(|writer| writer.is_finished());
        kill_until(&folder, &mut random, 12, written);
    });
    // A rotated file is known by what it is, not by its name.
    std::fs::rename(inside.join("a.jsonl"), inside.join("z.jsonl")).unwrap();
    folder.run(&["--until-idle"]).success();
    each_is_there_once(&folder, all.concat());
    folder.run(&["--until-idle"]).success();
    each_is_there_once(&folder, all.concat());
}

#[test]
fn each_row_of_packed_and_plain_tables_comes_once_as_an_object_however_often_pawl_is_killed() {
    let source =
        "backlog_records_max = 2000\n[source.file]\npath = \"in/*.csv*\"\nformat = \"csv\"";
    let folder = folder("tables", source);
    let inside = folder.path().join("in");
    std::fs::create_dir_all(&inside).unwrap();
    let mut due = Vec::new();
    for (at, name) in ["a.csv", "b.csv.gz", "c.csv"].iter().enumerate() {
        let rows: Vec<String> = (0..40_000).map(|row| format!("{at}-{row},\"of, {at}\"")).collect();
        let table = format!("id,what\n{}", text(&rows));
        let bytes = table.as_bytes();
        let bytes = if name.ends_with(".gz") { packed(bytes) } else { bytes.to_vec() };
        std::fs::write(inside.join(name), bytes).unwrap();
        due.extend(
            (0..40_000).map(|row| format!("{{\"id\":\"{at}-{row}\",\"what\":\"of, {at}\"}}")),
        );
    }
    kill_until(&folder, &mut Random::from_environment(), 10, || true);
    folder.run(&["--until-idle"]).success();
    each_is_there_once(&folder, due);
}

#[test]
fn standard_input_is_taken_to_its_end_its_last_line_too() {
    let folder = folder("stdin", "[source.stdin]");
    let lines = lines("stdin", 20_000);
    let input = lines.join("\n"); // no end of line at the end
    folder.pawl(&["run", "p.toml", "--until-idle"], input.as_bytes()).success();
    each_is_there_once(&folder, lines.clone());
    // A second run has an input of its own.
    let more = "one more\n";
    folder.pawl(&["run", "p.toml", "--until-idle"], more.as_bytes()).success();
    each_is_there_once(&folder, lines.into_iter().chain(["one more".to_owned()]));
}

/// An HTTP source on a port, with further fields of the source and its table.
fn http(port: u16, source: &str, table: &str) -> String {
    format!("{source}\n[source.http]\nlisten = \"127.0.0.1:{port}\"\npath = \"/in\"\n{table}")
}

#[test]
fn clients_that_repeat_with_their_key_what_was_not_answered_add_each_record_once() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 100;
    let port = free_port();
    let folder = folder("clients", &http(port, "", ""));
    let repeated = AtomicUsize::new(0);
    let client = |client: usize| {
        for number in 0..REQUESTS {
            let key = format!("{client}-{number}");
            // Some bring many records at once.
            let many = number % 5 == 0;
            let kind = if many { "application/x-ndjson" } else { "application/json" };
            let body = body(client, number);
            let mut tries = 0;
            while !matches!(post(port, Some(&key), kind, body.as_bytes()), Some((202, _))) {
                tries += 1;
                assert!(tries < 20_000, "{key} is never taken");
                std::thread::park_timeout(Duration::from_millis(2));
            }
            repeated.fetch_add(usize::from(tries > 0), Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        let done = || clients.iter().all(|client| client.is_finished());
        kill_until(&folder, &mut Random::from_environment(), 10, done);
    });
    assert!(repeated.load(Ordering::SeqCst) > 10, "some must have been repeated");
    folder.run(&["--until-idle"]).success();
    let all = (0..CLIENTS).flat_map(|client| (0..REQUESTS).map(move |number| body(client, number)));
    let due: Vec<String> =
        all.flat_map(|body| body.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    each_is_there_once(&folder, due.clone());
    // What was answered long ago is still known.
    let running = folder.start(&["run", "p.toml"]);
    for client in 0..CLIENTS {
        let again = || {
            post(port, Some(&format!("{client}-1")), "application/json", body(client, 1).as_bytes())
        };
        let (status, answer) = wait_for("an answer", LIMIT, again);
        assert_eq!(status, 202, "{answer}");
        assert!(answer.contains("idempotency-replayed: true"), "{answer}");
        let other = post(port, Some(&format!("{client}-1")), "application/json", b"other");
        assert!(matches!(other, Some((422, _))), "{other:?}");
    }
    running.signal("TERM");
    running.wait().success();
    folder.run(&["--until-idle"]).success();
    each_is_there_once(&folder, due);
}

/// What a client sends: every fifth time many records.
fn body(client: usize, number: usize) -> String {
    let record = |part: usize| format!("{{\"client\":{client},\"n\":{number},\"part\":{part}}}");
    match number % 5 {
        0 => text(&(0..7).map(record).collect::<Vec<_>>()),
        _ => record(0),
    }
}

#[test]
fn a_202_is_said_of_what_is_durable_and_a_kill_behind_it_takes_nothing_back() {
    let port = free_port();
    let folder = folder("durable", &http(port, "", ""));
    for number in 0..6 {
        let running = folder.start(&["run", "p.toml"]);
        let body = format!("record {number}");
        let (status, answer) =
            wait_for("an answer", LIMIT, || post(port, None, "text/plain", body.as_bytes()));
        let ended = running.kill();
        assert!(ended.was_killed() && status == 202, "{answer} {}", ended.err);
        assert_eq!(counts(&folder, "lines").get(&body), Some(&1));
    }
}

#[test]
fn clients_are_told_to_wait_while_a_sink_is_away_and_nothing_that_was_taken_is_lost() {
    const ROOM: usize = 20;
    let port = free_port();
    let receiver = Receiver::with_keys();
    receiver.plan(|_| Step::status(503));
    let source = http(port, &format!("backlog_records_max = {ROOM}"), "");
    let sink = format!(
        "[[sink]]\nname = \"away\"\ninput = \"lines\"\nbackoff_ms = 1\nbackoff_max_ms = 5\n\
         [sink.http]\nurl = \"{}\"\n",
        receiver.url()
    );
    let folder = Folder::new("wait", &(PIPELINE.replace("SOURCE", &source) + &sink));
    let mut taken = Vec::new();
    let mut number = 0;
    let mut send = |taken: &mut Vec<String>| {
        let body = format!("record {number}");
        let (status, answer) =
            wait_for("an answer", LIMIT, || post(port, Some(&body), "text/plain", body.as_bytes()));
        if status == 202 {
            taken.push(body);
            number += 1;
        } else {
            assert_eq!(status, 429, "{answer}");
            assert!(answer.contains("retry-after: "), "{answer}");
        }
        status
    };
    for _ in 0..2 {
        // Also after a kill, when nothing in memory says how much waits.
        let running = folder.start(&["run", "p.toml"]);
        while send(&mut taken) == 202 {
            assert!(taken.len() <= ROOM + 1, "a bound is a bound");
        }
        assert!(taken.len() > ROOM / 2);
        assert!(running.kill().was_killed());
    }
    let running = folder.start(&["run", "p.toml"]);
    assert_eq!(send(&mut taken), 429);
    receiver.plan(|_| Step::Take);
    wait_for("room", LIMIT, || (send(&mut taken) == 202).then_some(()));
    running.signal("TERM");
    running.wait().success();
    folder.run(&["--until-idle"]).success();
    each_is_there_once(&folder, taken.clone());
    let effects: Vec<_> = receiver.effects().into_iter().map(|(_, body)| body).collect();
    let mut acted: Vec<String> =
        effects.into_iter().map(|body| String::from_utf8(body).unwrap()).collect();
    acted.sort();
    taken.sort();
    assert_eq!(acted, taken);
}

#[test]
fn check_says_what_each_source_and_each_sink_promises() {
    let mut text = PIPELINE.replace("SOURCE", "[source.file]\npath = \"in/*\"");
    text.push_str(
        r#"
[[source]]
name = "pipe"
topic = "lines"
stdin = {}
[[source]]
name = "posts"
topic = "lines"
http = { listen = "127.0.0.1:0" }
[[sink]]
name = "rows"
input = "seen"
[sink.sql]
url = "sqlite:rows.db"
table = "rows"
columns = { id = "id", value = "value" }
key = ["id"]
[[sink]]
name = "files"
input = "seen"
[sink.file]
folder = "out"
[[sink]]
name = "with-keys"
input = "seen"
[sink.http]
url = "http://127.0.0.1:9/"
[[sink]]
name = "without-keys"
input = "seen"
[sink.http]
url = "http://127.0.0.1:9/"
idempotency_key = false
concurrency_max = 7
[[sink]]
name = "once-at-most"
input = "seen"
[sink.http]
url = "http://127.0.0.1:9/"
mode = "at-most-once"
"#,
    );
    let folder = Folder::new("promises", &text);
    let said = folder.pawl(&["check", "p.toml"], b"").success().text();
    for (from, to, holds, by_what) in [
        ("file outside", "topic lines", "exactly once", "one transaction"),
        ("stdin pipe", "topic lines", "at most once", "lost with the pipe"),
        ("http posts", "topic lines", "once with a key", "202 only when durable"),
        ("topic seen", "sql rows", "effectively once", "UPSERT by id, fenced by epoch"),
        ("topic seen", "file files", "exactly once", "fenced by epoch"),
        ("topic seen", "http with-keys", "if the receiver honours Idempotency-Key", "byte-stable"),
        ("topic seen", "http without-keys", "at least once", "at most 7 records come twice"),
        ("topic seen", "http once-at-most", "at most once", "delivery-unknown"),
        ("rows, dead letters", "topic sources.dlq", "exactly once", "the receiver refuses"),
    ] {
        let starts = |line: &&str| line.trim_start().starts_with(from) && line.contains(to);
        let line = said.lines().find(starts);
        let line = line.unwrap_or_else(|| panic!("nothing of {from} to {to} in\n{said}"));
        assert!(line.contains(holds) && line.contains(by_what), "{line}");
    }
}
