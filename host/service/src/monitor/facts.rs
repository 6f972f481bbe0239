//! What is known of a run at one moment, gathered from the boards of tasks and from the log. What
//! could not be read is not known, and is never taken for 0.

use super::arrivals::{Arrivals, last_written_ms};
use super::letters::Letters;
use super::{Told, disk, lock};
use crate::context::Context;
use crate::meter::{FAILURES, ReceiverFacts};
use crate::progress::{Board, Standing};
use crate::sources::SourceStanding;
use pawl_checkpoint::{Replication, TaskReplication};
use pawl_core::commit::TaskId;
use pawl_core::counters::Counters;
use pawl_core::record::NO_TIME;
use pawl_monitor::status::{Letter, Operator, RunState, TaskState, Topic};
use pawl_pipeline::{Pipeline, SourceKind};
use pawl_transport::Retained;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Whoever looked at the status within so many milliseconds wants to see the dead letters.
const ASKED_MS: u64 = 5_000;

/// What is known of a run at one moment.
pub(super) struct Facts {
    pub pipeline: Arc<Pipeline>,
    pub state: RunState,
    pub now_ms: i64,
    pub started_ms: i64,
    /// The pipeline file as it was named.
    pub file: Option<PathBuf>,
    /// Upstream first.
    pub tasks: Vec<TaskFacts>,
    pub sources: Vec<SourceFacts>,
    pub topics: Vec<Topic>,
    /// Of each stage, by name.
    pub operators: BTreeMap<String, Vec<Operator>>,
    pub retained: Option<Retained>,
    /// When the oldest dead letter was written.
    pub oldest_letter_ms: Option<i64>,
    pub letters: Vec<Letter>,
    pub replication: Option<Vec<TaskReplication>>,
    /// Runs that ended without a word right before this one.
    pub unclean_ends: u64,
    /// Bytes that may still be written in the data folder, and bytes of the log.
    pub data_free_bytes: Option<u64>,
    pub log_bytes: Option<u64>,
}

/// What is known of a task.
pub(super) struct TaskFacts {
    pub id: TaskId,
    pub standing: Standing,
    pub used: Used,
    pub in_flight_max: u64,
    /// The first offset kept of its input, and the end.
    pub range: Option<(u64, u64)>,
}

/// What a task used in this run.
#[derive(Clone, Debug, Default)]
pub(super) struct Used {
    pub withheld_seconds: f64,
    pub delivering_seconds: f64,
    pub receiver: ReceiverFacts,
    pub restarts: u64,
    pub commits: u64,
    pub checkpoints: u64,
    pub operators: Vec<UsedByOperator>,
}

/// What an operator of a task used in this run.
#[derive(Clone, Debug, Default)]
pub(super) struct UsedByOperator {
    pub name: String,
    pub seconds: f64,
    pub memory_bytes: u64,
    pub failures: [(&'static str, u64); FAILURES.len()],
}

/// What is known of a source.
pub(super) struct SourceFacts {
    pub told: SourceStanding,
    /// Of its last commit.
    pub counters: Option<Counters>,
    /// When it last brought a record, as far as is known. None of one that has read all.
    pub last_record_ms: Option<i64>,
}

impl TaskFacts {
    /// Where it stands.
    pub fn state(&self) -> TaskState {
        let standing = &self.standing;
        match () {
            () if standing.ended.is_some() => TaskState::Stopped,
            () if standing.running && standing.quiescent => TaskState::Waiting,
            () if standing.running => TaskState::Running,
            () if standing.known || standing.failure.is_some() => TaskState::Recovering,
            () => TaskState::Starting,
        }
    }

    /// Counters of its last durable commit, once that was found.
    pub fn counters(&self) -> Option<&Counters> {
        self.standing.known.then_some(&self.standing.counters)
    }

    /// Whether it has a watermark; none where there is no event time, or nothing is known yet.
    pub fn has_watermark(&self) -> Option<bool> {
        let watermark = self.standing.watermark.filter(|_| self.standing.known)?;
        Some(watermark != NO_TIME)
    }

    /// Rows that it has not committed.
    pub fn lag(&self) -> Option<u64> {
        let (_, end) = self.range.filter(|_| self.standing.known)?;
        Some(end.saturating_sub(self.standing.committed.position))
    }
}

impl SourceFacts {
    /// Whether more may come from it.
    fn goes_on(told: &SourceStanding) -> bool {
        told.runs || told.waits_to_start
    }

    /// Where it stands. What has read to its end has nothing more to do, as who waits.
    pub fn state(&self) -> TaskState {
        let told = &self.told;
        let endless = matches!(told.source.kind, SourceKind::Http(_));
        match () {
            () if told.waits_to_start && told.failed.is_some() => TaskState::Recovering,
            () if told.waits_to_start => TaskState::Starting,
            () if told.failed.is_some() => TaskState::Stopped,
            () if !told.runs => TaskState::Waiting,
            () if told.standing.at_end && !endless => TaskState::Waiting,
            () => TaskState::Running,
        }
    }
}

/// Whoever gathers facts, and what it remembers from the last time.
pub(super) struct Looker<'a> {
    context: &'a Context,
    replication: Option<Replication>,
    operators: BTreeMap<String, Vec<Operator>>,
    letters: Letters,
    arrivals: Arrivals,
}

impl<'a> Looker<'a> {
    /// Has not looked yet.
    pub fn new(context: &'a Context, replication: Option<Replication>) -> Self {
        let operators = context.pipeline.stages.iter().map(|stage| {
            let ready = context.ready.get(&stage.name);
            let operators = stage.operators.iter().enumerate().map(|(at, operator)| Operator {
                name: operator.name.clone(),
                plugin: operator.plugin.clone(),
                version: ready
                    .and_then(|ready| ready.told.get(at))
                    .map_or(String::new(), |told| told.description.version.clone()),
                component: ready
                    .and_then(|ready| ready.running.get(at))
                    .map_or(String::new(), |running| running.component_digest()),
            });
            let operators = if stage.is_sink() { Vec::new() } else { operators.collect() };
            (stage.name.clone(), operators)
        });
        let operators = operators.collect();
        let (letters, arrivals) = (Letters::default(), Arrivals::default());
        Self { context, replication, operators, letters, arrivals }
    }

    /// What is known now.
    pub fn look(&mut self) -> Facts {
        let context = self.context;
        let Told { tasks, sources } = {
            let told = lock(&context.monitor.told);
            Told { tasks: told.tasks.clone(), sources: told.sources.clone() }
        };
        let state = match context.stop.is_draining() {
            true => RunState::Draining,
            false => RunState::Running,
        };
        let now_ms = context.clock.now_ms();
        let names = context.pipeline.topics.keys();
        let topics: Vec<Topic> = names.map(|name| self.topic(name, now_ms)).collect();
        let tasks = tasks.iter().map(|(id, board)| self.task(id, board, &topics)).collect();
        let rules = &context.pipeline.dead_letters;
        let letters = topics.iter().find(|topic| topic.name == rules.topic);
        let partitions = letters.map_or(&[][..], |topic| &topic.partitions);
        let transport = context.transport.as_ref();
        let wanted = context.monitor.shown.was_asked_within(ASKED_MS);
        self.letters.look(transport, &rules.topic, partitions, wanted);
        let sources = sources.into_iter().map(|told| self.source(told, &topics, now_ms)).collect();
        Facts {
            state,
            now_ms,
            started_ms: context.monitor.started_ms,
            file: context.options.file.clone(),
            tasks,
            sources,
            operators: self.operators.clone(),
            retained: transport.retained(&rules.topic).ok(),
            oldest_letter_ms: self.letters.oldest_ms(),
            letters: self.letters.last(),
            replication: self.replication.as_ref().map(Replication::tasks),
            unclean_ends: context.journal.unclean_ends(),
            data_free_bytes: disk::free_bytes(&context.pipeline.data),
            log_bytes: disk::log_bytes(&context.pipeline.log),
            pipeline: Arc::clone(&context.pipeline),
            topics,
        }
    }

    fn topic(&mut self, name: &str, now_ms: i64) -> Topic {
        let transport = &self.context.transport;
        let count = transport.partitions(name).unwrap_or(0);
        let partitions = (0..count).filter_map(|partition| {
            let (begin, end) = transport.range(name, partition).ok()?;
            Some(pawl_monitor::status::Partition { partition, begin, end })
        });
        let partitions: Vec<_> = partitions.collect();
        let pipeline = &self.context.pipeline;
        let from_outside = pipeline.stages.iter().any(|stage| stage.input == name)
            && !pipeline.stages.iter().any(|stage| stage.writes().contains(name))
            && name != pipeline.dead_letters.topic;
        let last_record_ms = from_outside.then(|| {
            let end = partitions.iter().map(|partition| partition.end).sum();
            let first = || last_written_ms(transport.as_ref(), name, &partitions);
            self.arrivals.see(format!("topic:{name}"), end, now_ms, first)
        });
        Topic { name: name.to_owned(), partitions, last_record_ms: last_record_ms.flatten() }
    }

    fn source(&mut self, told: SourceStanding, topics: &[Topic], now_ms: i64) -> SourceFacts {
        let task = TaskId { stage: format!("source.{}", told.source.name), partition: 0 };
        let recovery = self.context.transport.recovery(&task).ok();
        let counters = recovery.and_then(|recovery| recovery.commit).map(|commit| commit.counters);
        let topic = topics.iter().find(|topic| topic.name == told.source.topic);
        let name = format!("source:{}", told.source.name);
        let last_record_ms = counters.as_ref().and_then(|counters| {
            // What lies last in its topic may be another's: then it was silent for longer.
            let first = || topic?.last_record_ms.filter(|_| counters.records_in > 0);
            self.arrivals.see(name, counters.records_in, now_ms, first)
        });
        let last_record_ms = last_record_ms.filter(|_| SourceFacts::goes_on(&told));
        SourceFacts { told, counters, last_record_ms }
    }

    fn task(&self, id: &TaskId, board: &Board, topics: &[Topic]) -> TaskFacts {
        let stage = self.context.pipeline.stage(&id.stage);
        let input = stage.and_then(|stage| topics.iter().find(|topic| topic.name == stage.input));
        let mut partitions = input.into_iter().flat_map(|topic| &topic.partitions);
        let range = partitions.find(|partition| partition.partition == id.partition);
        let is_sink = stage.is_some_and(pawl_pipeline::Stage::is_sink);
        let meter = &board.meter;
        let operators = meter.operators().filter(|_| !is_sink).map(|(name, operator)| {
            let mut failures = [("", 0); FAILURES.len()];
            failures.iter_mut().zip(operator.failures()).for_each(|(to, from)| *to = from);
            let (seconds, memory_bytes) = (operator.busy.seconds(), operator.memory_bytes());
            UsedByOperator { name: name.to_owned(), seconds, memory_bytes, failures }
        });
        let used = Used {
            withheld_seconds: meter.withheld.seconds(),
            delivering_seconds: meter.delivering.seconds(),
            receiver: meter.receiver.look(),
            restarts: meter.restarts(),
            commits: meter.commits(),
            checkpoints: meter.checkpoints(),
            operators: operators.collect(),
        };
        TaskFacts {
            id: id.clone(),
            // The board is read behind the topics' ends: a lag is never shown too small.
            standing: board.look(),
            used,
            in_flight_max: stage.map_or(0, |stage| stage.in_flight_records_max),
            range: range.map(|partition| (partition.begin, partition.end)),
        }
    }
}
