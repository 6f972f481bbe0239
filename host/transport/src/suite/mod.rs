//! What every transport must pass, run by each implementation's own tests. Takes only the trait,
//! so it never asks for what a transport does inside.
//!
//! Each function takes a fresh transport, and panics, as a test does, where the transport breaks
//! its promise.

#![allow(clippy::unwrap_used, reason = "these are tests, though other packages call them")]

mod commits;
mod log;

pub use commits::{
    a_commit_behind_a_failed_one_is_not_stored, a_commit_is_stored_whole_or_not_at_all,
    a_commit_never_goes_back, a_fenced_owner_commits_nothing, a_generation_is_a_set_of_producers,
    decisions_are_kept_until_pruned, tasks_commit_side_by_side,
};
pub use log::{
    a_batch_comes_back_as_it_was, a_log_has_one_identity, concurrent_producers_leave_no_gap,
    dropping_the_oldest_keeps_the_bound, logs_made_anew_are_other_logs, reads_keep_their_limits,
    timestamps_never_go_back, topics_grow_and_never_shrink,
    trimmed_rows_are_an_error_and_not_a_gap, waiting_ends_with_rows,
};

use crate::transport::{ReadMax, Transport};
use pawl_core::commit::{Append, Commit, CommitBatch, Progress, TaskId};
use pawl_core::decision::{Decision, DecisionKind};
use pawl_core::record::{LogBatch, Offset, Record};

/// Makes a fresh transport.
pub type Make<'a> = &'a mut dyn FnMut() -> Box<dyn Transport>;

/// Runs everything, each on a fresh transport.
pub fn all(make: Make<'_>) {
    let functions: [fn(&dyn Transport); 16] = [
        a_log_has_one_identity,
        a_batch_comes_back_as_it_was,
        topics_grow_and_never_shrink,
        timestamps_never_go_back,
        reads_keep_their_limits,
        concurrent_producers_leave_no_gap,
        trimmed_rows_are_an_error_and_not_a_gap,
        dropping_the_oldest_keeps_the_bound,
        waiting_ends_with_rows,
        a_commit_is_stored_whole_or_not_at_all,
        a_fenced_owner_commits_nothing,
        a_commit_never_goes_back,
        a_commit_behind_a_failed_one_is_not_stored,
        decisions_are_kept_until_pruned,
        tasks_commit_side_by_side,
        a_generation_is_a_set_of_producers,
    ];
    for function in functions {
        function(make().as_ref());
    }
    logs_made_anew_are_other_logs(make);
}

/// No limit for a read.
pub const ALL: ReadMax = ReadMax { records: usize::MAX, bytes: usize::MAX };

/// A batch of records with these values.
pub fn batch<'a>(values: impl IntoIterator<Item = &'a str>) -> LogBatch {
    let mut batch = LogBatch::default();
    for value in values {
        batch.records.push(Record { value: Some(value.as_bytes()), ..Record::default() });
    }
    batch
}

/// The task of stage `stage` on partition 0.
pub fn task(stage: &str) -> TaskId {
    TaskId { stage: stage.to_owned(), partition: 0 }
}

/// A commit up to `position` without any output or decision.
pub fn commit(task: &TaskId, epoch: u64, position: Offset) -> CommitBatch {
    let progress = Progress { position, ..Progress::default() };
    let commit = Commit { epoch, progress, ..Commit::default() };
    CommitBatch { task: task.clone(), commit, decisions: Vec::new(), appends: Vec::new() }
}

/// Rows to be appended to partition 0 of `topic`.
pub fn append(topic: &str, batch: LogBatch) -> Append {
    Append { topic: topic.to_owned(), partition: 0, batch }
}

/// A decision with a time that can be told apart.
pub fn decision(number: u64, time: i64) -> Decision {
    Decision { number, position: number, kind: DecisionKind::Close { time }, epoch: 1 }
}

/// All values of a partition, after checking that its batches have no gap.
pub fn values(transport: &dyn Transport, topic: &str, partition: u32) -> Vec<String> {
    let (mut from, end) = transport.range(topic, partition).unwrap();
    let mut found = Vec::new();
    for batch in transport.read(topic, partition, from, ALL).unwrap() {
        assert_eq!(batch.base, from, "a gap in {topic}/{partition}");
        from = batch.end();
        for row in 0..batch.records.len() {
            let value = batch.records.values.get(row).unwrap_or_default();
            found.push(String::from_utf8_lossy(value).into_owned());
        }
    }
    assert!(from >= end, "{topic}/{partition} ends at {end} and reads only to {from}");
    found
}
