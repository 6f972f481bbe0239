//! Kills a real process with SIGKILL while it commits, and while it makes the database: what it was
//! told is durable is there, and each commit is there whole or not at all.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod common;

use common::{Folder, Random, child, role};
use pawl_core::commit::{Append, TaskId};
use pawl_transport::suite::{append, batch, commit, decision, values};
use pawl_transport::{Embedded, Options, Transport};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

const TASKS: u32 = 2;

/// Commits that a task has on their way.
const ON_THEIR_WAY: usize = 3;

fn task(partition: u32) -> TaskId {
    TaskId { stage: "s".to_owned(), partition }
}

/// What the children do; as a test of its own it does nothing.
#[test]
fn the_child_commits_until_it_is_killed() {
    let Some((role, database)) = role() else { return };
    let transport = Embedded::open(&database, &Options::default()).unwrap();
    transport.create_topic("own", TASKS).unwrap();
    transport.create_topic("shared", 1).unwrap();
    if role == "produce" {
        produce_for_ever(&transport);
    }
    if role == "commit" {
        std::thread::scope(|scope| {
            for partition in 0..TASKS {
                scope.spawn({
                    let transport = &transport;
                    move || commit_for_ever(transport, partition)
                });
            }
        });
    }
}

/// Each commit writes its number to two topics and as a decision; what is durable is reported.
fn commit_for_ever(transport: &Embedded, partition: u32) {
    let task = task(partition);
    let epoch = transport.claim(&task, 0).unwrap();
    let done = transport.recovery(&task).unwrap().commit;
    let mut number = done.map_or(0, |commit| commit.progress.position);
    let mut tickets = VecDeque::new();
    loop {
        number += 1;
        let mut one = commit(&task, epoch, number);
        let value = format!("{partition}:{number:08}");
        let rows = batch([value.as_str(); 20]);
        one.decisions = vec![decision(number - 1, number as i64)];
        one.appends = vec![append("shared", rows.clone())];
        one.appends.push(Append { topic: "own".to_owned(), partition, batch: rows });
        tickets.push_back((number, transport.submit(one, 0)));
        if tickets.len() == ON_THEIR_WAY {
            let (durable, ticket) = tickets.pop_front().unwrap();
            ticket.wait().unwrap();
            let line = format!("durable {partition} {durable}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        }
    }
}

/// A megabyte at a time, each reported when it is durable.
fn produce_for_ever(transport: &Embedded) {
    let value = "x".repeat(1 << 20);
    loop {
        transport.produce("shared", 0, batch([value.as_str()]), 0).unwrap();
        std::io::stderr().write_all(b"durable\n").unwrap();
    }
}

#[test]
fn killed_again_and_again_after_a_few_commits_the_write_ahead_log_does_not_grow() {
    let folder = Folder::new();
    let mut log = folder.database().into_os_string();
    log.push("-wal");
    let mut longest = 0;
    for _ in 0..20 {
        let mut killed =
            child("the_child_commits_until_it_is_killed", "produce", &folder.database());
        let lines = BufReader::new(killed.stderr.take().unwrap()).lines();
        assert_eq!(lines.take(4).map_while(Result::ok).count(), 4, "it ended by itself");
        killed.kill().unwrap();
        killed.wait().unwrap();
        longest = longest.max(std::fs::metadata(&log).map_or(0, |log| log.len()));
    }
    assert!(longest < 48 << 20, "{longest} bytes after 20 lives of 4 megabytes or a little more");
}

#[test]
fn after_a_kill_each_commit_is_there_whole_or_not_at_all() {
    let mut random = Random::new();
    let folder = Folder::new();
    let mut durable = [0; TASKS as usize];
    for _ in 0..12 {
        let mut killed =
            child("the_child_commits_until_it_is_killed", "commit", &folder.database());
        let mut lines = BufReader::new(killed.stderr.take().unwrap()).lines();
        for _ in 0..1 + random.below(80) {
            let line = lines.next().expect("the child ended by itself").unwrap();
            note_durable(&line, &mut durable);
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
        // What it still said before it died holds as well.
        lines.map_while(Result::ok).for_each(|line| note_durable(&line, &mut durable));
        check(&folder, &durable);
    }
}

fn note_durable(line: &str, durable: &mut [u64; TASKS as usize]) {
    let Some(rest) = line.strip_prefix("durable ") else {
        panic!("the child says: {line}");
    };
    let (partition, number) = rest.split_once(' ').unwrap();
    // The last line may be cut short by the kill: a prefix of a number is lower, so no claim.
    let number: u64 = number.parse().unwrap_or(0);
    let slot = &mut durable[partition.parse::<usize>().unwrap()];
    *slot = number.max(*slot);
}

fn check(folder: &Folder, durable: &[u64; TASKS as usize]) {
    let transport = Embedded::open(&folder.database(), &Options::default()).unwrap();
    let shared = values(&transport, "shared", 0);
    for partition in 0..TASKS {
        let recovery = transport.recovery(&task(partition)).unwrap();
        let position = recovery.commit.map_or(0, |commit| commit.progress.position);
        let told = durable[partition as usize];
        assert!(position >= told, "{told} was durable, {position} is there");
        let due: Vec<String> = (1..=position)
            .flat_map(|number| vec![format!("{partition}:{number:08}"); 20])
            .collect();
        assert!(values(&transport, "own", partition) == due, "own rows of {partition}");
        let own = format!("{partition}:");
        let in_shared: Vec<String> =
            shared.iter().filter(|one| one.starts_with(&own)).cloned().collect();
        assert!(in_shared == due, "shared rows of {partition}");
        let numbers: Vec<u64> = recovery.decisions.iter().map(|one| one.number).collect();
        assert_eq!(numbers, (0..position).collect::<Vec<_>>());
    }
}

#[test]
fn a_kill_while_the_database_is_made_leaves_none_or_a_whole_one() {
    let mut random = Random::new();
    let mut made = 0;
    for _ in 0..25 {
        let folder = Folder::new();
        let mut killed = child("the_child_commits_until_it_is_killed", "make", &folder.database());
        // Not a wait for anything: it is the moment of the kill.
        std::thread::sleep(Duration::from_micros(random.below(30_000)));
        killed.kill().unwrap();
        killed.wait().unwrap();
        made += u32::from(folder.database().exists());
        let transport = Embedded::open(&folder.database(), &Options::default()).unwrap();
        assert!(transport.identity().is_ok());
        transport.create_topic("own", TASKS).unwrap();
        assert_eq!(transport.produce("own", 1, batch(["x"]), 0), Ok(0));
    }
    println!("{made} of 25 had a database when they were killed");
}
