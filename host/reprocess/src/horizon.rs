//! What a task still remembers: whether a dead letter's time has passed, and whether the dedup
//! window before its operator may have forgotten a good copy of it. The smaller of the two bounds
//! of the window counts, event time and number of ids; what cannot be told counts as forgotten.

use crate::error::Error;
use crate::letter::{Letter, Meta};
use pawl_core::commit::{Commit, TaskId};
use pawl_core::record::{NO_TIME, Offset};
use pawl_pipeline::{Dedup, Pipeline, Stage};
use pawl_service::TaskTime;
use pawl_transport::Transport;
use std::collections::BTreeMap;

/// What is known of a record's chances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Its time has passed.
    pub late: bool,
    /// A good copy of it may have been forgotten.
    pub beyond: bool,
}

/// Reads of each task once what it says of itself.
pub(crate) struct Horizons<'a> {
    transport: &'a dyn Transport,
    pipeline: &'a Pipeline,
    tasks: BTreeMap<(usize, u32), Known>,
}

/// What a task says.
struct Known {
    /// None: it has committed nothing, and so has taken no copy of anything.
    commit: Option<Commit>,
    /// None: there is no checkpoint on this machine, or the stage has no event time.
    time: Option<TaskTime>,
}

impl<'a> Horizons<'a> {
    pub fn new(transport: &'a dyn Transport, pipeline: &'a Pipeline) -> Self {
        Self { transport, pipeline, tasks: BTreeMap::new() }
    }

    /// Judges a dead letter that enters before operator `entry` of a stage.
    pub fn judge(
        &mut self,
        letter: &Letter<'_>,
        stage: usize,
        entry: usize,
        partition: u32,
    ) -> Result<Judged, Error> {
        let pipeline = self.pipeline;
        let Some(own) = pipeline.stages.get(stage) else { return Ok(Judged::default()) };
        let has_time = pipeline.time_from(own).is_some();
        if !self.tasks.contains_key(&(stage, partition)) {
            let task = TaskId { stage: own.name.clone(), partition };
            let time = if has_time { pawl_service::task_time(pipeline, &task)? } else { None };
            let commit = self.transport.recovery(&task)?.commit;
            self.tasks.insert((stage, partition), Known { commit, time });
        }
        let Some(known) = self.tasks.get(&(stage, partition)) else {
            return Ok(Judged::default());
        };
        let dedup = own.operators.get(entry).and_then(|operator| operator.edge.dedup.as_ref());
        let by_count = dedup.is_some_and(|dedup| known.forgets(dedup, letter, own, entry));
        if !has_time || letter.event_time() == NO_TIME {
            return Ok(Judged { late: false, beyond: by_count });
        }
        let by_time = known.judge_time(dedup, letter, own, entry);
        Ok(Judged { late: by_time.late, beyond: by_time.beyond || by_count })
    }
}

impl Known {
    /// Whether so many ids came since the dead letter's root that they may have pushed one out
    /// before its time.
    fn forgets(&self, dedup: &Dedup, letter: &Letter<'_>, stage: &Stage, entry: usize) -> bool {
        let Some(commit) = &self.commit else { return false };
        let counters = &commit.counters;
        // Since the task's birth none was. Without event time every one is before its time.
        if counters.edges.get(entry).is_none_or(|edge| edge.evicted_early == 0) {
            return false;
        }
        // At the first edge no row brings more than one id; behind it nobody knows.
        let root = letter.number::<Offset>(Meta::Offset);
        let is_of_input = letter.text(Meta::Topic) == stage.input;
        let Some(root) = root.filter(|_| entry == 0 && is_of_input) else { return true };
        let since = commit.progress.position.saturating_sub(root);
        since.saturating_add(counters.readmitted) > dedup.ids_max
    }

    fn judge_time(
        &self,
        dedup: Option<&Dedup>,
        letter: &Letter<'_>,
        stage: &Stage,
        entry: usize,
    ) -> Judged {
        let time = letter.event_time();
        let judges_time = entry >= stage.watermark_at().unwrap_or(0);
        let dedup = dedup.filter(|_| judges_time);
        let Some(told) = &self.time else {
            return Judged { late: false, beyond: dedup.is_some() && self.commit.is_some() };
        };
        let watermark = told.watermark_at(stage, entry);
        if watermark == NO_TIME {
            return Judged::default();
        }
        let horizon = |dedup: &Dedup| watermark.saturating_sub_unsigned(dedup.horizon_ms);
        let beyond = dedup.is_some_and(|dedup| time < horizon(dedup));
        Judged { late: time < watermark, beyond }
    }
}
