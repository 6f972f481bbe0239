//! The suite's part about tasks: commits, fences, decisions and generations.

use super::{append, batch, commit, decision, task, values};
use crate::error::{Class, Error};
use crate::transport::Transport;
use pawl_core::commit::{Append, Progress};
use pawl_core::decision::CheckpointName;
use pawl_core::record::Producer;
use std::collections::BTreeMap;

/// Position, outputs to several topics and decisions appear together; a commit with one bad part
/// leaves nothing, and other tasks' commits of the same moment are not touched by it.
pub fn a_commit_is_stored_whole_or_not_at_all(transport: &dyn Transport) {
    transport.create_topic("out", 1).unwrap();
    transport.create_topic("dead", 1).unwrap();
    let (good, bad) = (task("good"), task("bad"));
    assert_eq!(transport.recovery(&good).unwrap().commit, None);
    let epoch = transport.claim(&good, 0).unwrap();
    let bad_epoch = transport.claim(&bad, 0).unwrap();

    let mut whole = commit(&good, epoch, 5);
    whole.commit.input_sum = u128::MAX;
    whole.commit.witness = Some(CheckpointName { epoch: 1, sequence: 2 });
    whole.commit.counters.records_out = BTreeMap::from([("out".to_owned(), 3)]);
    whole.decisions = vec![decision(0, 70), decision(1, 71)];
    whole.appends = vec![
        append("out", batch(["a", "b"])),
        append("dead", batch(["d"])),
        append("out", batch(["c"])),
    ];
    let mut torn = commit(&bad, bad_epoch, 9);
    torn.decisions = vec![decision(0, 1)];
    torn.appends = vec![append("out", batch(["lost"])), append("nowhere", batch(["x"]))];
    let mut lying = commit(&bad, bad_epoch, 9);
    lying.appends = vec![append("out", batch(["lost"])), append("out", batch(["lies"]))];
    lying.appends[1].batch.records.keys.ends.clear();

    let tickets = [torn, whole.clone(), lying]
        .map(|one| transport.submit(one, 10))
        .map(|ticket| ticket.wait());
    assert!(matches!(&tickets[0], Err(Error::UnknownTopic { topic }) if topic == "nowhere"));
    assert_eq!(tickets[1], Ok(()));
    assert_eq!(tickets[2].clone().unwrap_err().class(), Class::Usage);

    assert_eq!(values(transport, "out", 0), ["a", "b", "c"]);
    assert_eq!(values(transport, "dead", 0), ["d"]);
    let recovery = transport.recovery(&good).unwrap();
    assert_eq!(recovery.commit, Some(whole.commit));
    assert_eq!(recovery.decisions, whole.decisions);
    let recovery = transport.recovery(&bad).unwrap();
    assert_eq!((recovery.commit, recovery.decisions), (None, Vec::new()));
}

/// FN-1: who was superseded, or never claimed, stores nothing.
pub fn a_fenced_owner_commits_nothing(transport: &dyn Transport) {
    transport.create_topic("out", 1).unwrap();
    let task = task("s");
    let mut never = commit(&task, 0, 1);
    never.appends = vec![append("out", batch(["x"]))];
    let refused = transport.submit(never.clone(), 0).wait();
    assert!(matches!(refused, Err(Error::Fenced { newest: 0, .. })), "{refused:?}");

    let old = transport.claim(&task, 0).unwrap();
    assert_eq!(transport.submit(commit(&task, old, 1), 0).wait(), Ok(()));
    let new = transport.claim(&task, 0).unwrap();
    assert_eq!((old, new), (1, 2));
    let mut late = never;
    late.commit.epoch = old;
    late.commit.progress.position = 2;
    late.decisions = vec![decision(0, 0)];
    let refused = transport.submit(late, 0).wait().unwrap_err();
    assert_eq!(refused, Error::Fenced { task: task.clone(), epoch: old, newest: new });
    assert_eq!(refused.class(), Class::Fenced);
    assert_eq!(values(transport, "out", 0).len(), 0);
    let recovery = transport.recovery(&task).unwrap();
    assert_eq!(recovery.commit.unwrap().progress.position, 1, "a claim leaves the commit");
    assert_eq!(recovery.decisions, []);
    assert_eq!(transport.submit(commit(&task, new, 2), 0).wait(), Ok(()));

    assert_eq!(transport.claim(&task, 40), Ok(41), "higher than epochs known from elsewhere");
    assert_eq!(transport.claim(&task, 7), Ok(42));
    assert_eq!(transport.claim(&super::task("other"), 0), Ok(1));
    assert!(transport.claim(&task, u64::MAX).is_err());
}

/// No part of the progress may fall behind what is stored; standing still is allowed.
pub fn a_commit_never_goes_back(transport: &dyn Transport) {
    transport.create_topic("out", 1).unwrap();
    let task = task("s");
    let stored = Progress { position: 10, ticks: 5, decisions: 2, admitted: 3 };
    let epoch = transport.claim(&task, 0).unwrap();
    let with = |progress, epoch| {
        let mut one = commit(&task, epoch, 0);
        one.commit.progress = progress;
        one.appends = vec![append("out", batch(["x"]))];
        one
    };
    assert_eq!(transport.submit(with(stored, epoch), 0).wait(), Ok(()));
    assert_eq!(transport.submit(with(stored, epoch), 0).wait(), Ok(()));
    for back in [
        Progress { position: 9, ticks: 50, decisions: 50, admitted: 50 },
        Progress { position: 50, ticks: 4, decisions: 50, admitted: 50 },
        Progress { position: 50, ticks: 50, decisions: 1, admitted: 50 },
        Progress { position: 50, ticks: 50, decisions: 50, admitted: 2 },
    ] {
        let epoch = transport.claim(&task, 0).unwrap();
        let refused = transport.submit(with(back, epoch), 0).wait().unwrap_err();
        assert_eq!(refused.class(), Class::Fatal);
        assert_eq!(refused, Error::Backwards { task: task.clone(), stored, given: back });
    }
    assert_eq!(transport.recovery(&task).unwrap().commit.unwrap().progress, stored);
    assert_eq!(values(transport, "out", 0).len(), 2);
}

/// AL-1: commits may be on their way one behind the other; if one fails, none of the same owner
/// passes it.
pub fn a_commit_behind_a_failed_one_is_not_stored(transport: &dyn Transport) {
    transport.create_topic("out", 1).unwrap();
    let (task, other) = (task("s"), task("other"));
    let epoch = transport.claim(&task, 0).unwrap();
    let other_epoch = transport.claim(&other, 0).unwrap();
    let mut first = commit(&task, epoch, 1);
    first.appends = vec![append("later", batch(["a"]))];
    let mut second = commit(&task, epoch, 2);
    second.appends = vec![append("out", batch(["b"]))];
    let tickets = [first.clone(), second.clone(), commit(&other, other_epoch, 1)]
        .map(|one| transport.submit(one, 0))
        .map(|ticket| ticket.wait());
    assert!(matches!(&tickets[0], Err(Error::UnknownTopic { .. })));
    assert_eq!(tickets[1].clone().unwrap_err().class(), Class::Transient);
    assert_eq!(tickets[2], Ok(()));
    assert!(transport.submit(second.clone(), 0).wait().is_err());
    assert_eq!(transport.recovery(&task).unwrap().commit, None);

    transport.create_topic("later", 1).unwrap();
    assert_eq!(transport.submit(first, 0).wait(), Ok(()), "the failed one may come again");
    assert_eq!(transport.submit(second, 0).wait(), Ok(()), "and then those behind it");
    assert_eq!(values(transport, "later", 0), ["a"]);
    assert_eq!(values(transport, "out", 0), ["b"]);
}

/// Decisions come back in order; one number has one content; pruning takes only those below.
pub fn decisions_are_kept_until_pruned(transport: &dyn Transport) {
    let task = task("s");
    let mut epoch = transport.claim(&task, 0).unwrap();
    let decide = |epoch, position, decisions: &[(u64, i64)]| {
        let mut one = commit(&task, epoch, position);
        one.decisions = decisions.iter().map(|(number, time)| decision(*number, *time)).collect();
        transport.submit(one, 0).wait()
    };
    let numbers = || -> Vec<u64> {
        transport.recovery(&task).unwrap().decisions.iter().map(|one| one.number).collect()
    };
    assert_eq!(decide(epoch, 1, &[(0, 10), (1, 11)]), Ok(()));
    assert_eq!(decide(epoch, 2, &[(1, 11), (2, 12)]), Ok(()), "the same again is no harm");
    let differs = decide(epoch, 3, &[(2, 99), (3, 13)]).unwrap_err();
    assert_eq!(differs, Error::DecisionDiffers { task: task.clone(), number: 2 });
    assert_eq!(differs.class(), Class::Fatal);
    assert_eq!(numbers(), [0, 1, 2]);
    epoch = transport.claim(&task, 0).unwrap();
    assert!(matches!(decide(epoch, 3, &[(4, 0), (3, 0)]), Err(Error::Invalid { .. })));
    assert_eq!(numbers(), [0, 1, 2]);

    transport.prune_decisions(&task, 2).unwrap();
    assert_eq!(numbers(), [2]);
    transport.prune_decisions(&task, u64::MAX).unwrap();
    transport.prune_decisions(&super::task("unknown"), 1).unwrap();
    assert_eq!(numbers(), Vec::<u64>::new());
    assert_eq!(transport.recovery(&task).unwrap().commit.unwrap().progress.position, 2);
}

/// Tasks that commit at the same time, many commits each on their way, all get their own in.
pub fn tasks_commit_side_by_side(transport: &dyn Transport) {
    const TASKS: u32 = 4;
    const COMMITS: u64 = 40;
    transport.create_topic("own", TASKS).unwrap();
    transport.create_topic("shared", 1).unwrap();
    std::thread::scope(|scope| {
        for partition in 0..TASKS {
            scope.spawn(move || {
                let mut task = task("s");
                task.partition = partition;
                let epoch = transport.claim(&task, 0).unwrap();
                let mut tickets = Vec::new();
                for position in 1..=COMMITS {
                    let mut one = commit(&task, epoch, position);
                    let value = format!("{partition}:{position:04}");
                    let rows = batch([value.as_str()]);
                    let topic = "own".to_owned();
                    one.appends = vec![Append { topic, partition, batch: rows.clone() }];
                    one.appends.push(append("shared", rows));
                    tickets.push(transport.submit(one, 0));
                }
                for ticket in tickets {
                    assert_eq!(ticket.wait(), Ok(()));
                }
                let commit = transport.recovery(&task).unwrap().commit.unwrap();
                assert_eq!(commit.progress.position, COMMITS);
            });
        }
    });
    let mut all = Vec::new();
    for partition in 0..TASKS {
        let own = values(transport, "own", partition);
        assert!(own.is_sorted() && own.len() as u64 == COMMITS);
        all.extend(own);
    }
    let mut shared = values(transport, "shared", 0);
    shared.sort();
    assert_eq!(shared, all);
}

/// The number changes when the set changes and only then; the order does not matter.
pub fn a_generation_is_a_set_of_producers(transport: &dyn Transport) {
    let producer = |stage: &str, partition| Producer { stage: stage.to_owned(), partition };
    let one = [producer("a", 0), producer("b", 10), producer("b", 9)];
    let same = [producer("b", 9), producer("a", 0), producer("b", 10), producer("a", 0)];
    assert_eq!(transport.generation(&one), Ok(1));
    assert_eq!(transport.generation(&same), Ok(1));
    assert_eq!(transport.generation(&one[..2]), Ok(2));
    assert_eq!(transport.generation(&[]), Ok(3));
    assert_eq!(transport.generation(&[]), Ok(3));
    assert_eq!(transport.generation(&one), Ok(4), "the same set later is a new generation");
}
