//! What is known of a run at one moment, gathered from the boards of tasks and from the log. What
//! could not be read is not known, and is never taken for 0.

use super::letters::Letters;
use super::{Told, lock};
use crate::context::Context;
use crate::meter::FAILURES;
use crate::progress::{Board, Standing};
use crate::sources::SourceStanding;
use pawl_checkpoint::{Replication, TaskReplication};
use pawl_core::commit::TaskId;
use pawl_core::counters::Counters;
use pawl_monitor::status::{Letter, Operator, RunState, TaskState, Topic};
use pawl_pipeline::{Pipeline, SourceKind};
use pawl_transport::{Retained, Transport};
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

    /// Rows that it has not committed.
    pub fn lag(&self) -> Option<u64> {
        let (_, end) = self.range.filter(|_| self.standing.known)?;
        Some(end.saturating_sub(self.standing.committed.position))
    }
}

impl SourceFacts {
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
        Self { context, replication, operators, letters: Letters::default() }
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
        let topics: Vec<Topic> = context.pipeline.topics.keys().map(|t| self.topic(t)).collect();
        let tasks = tasks.iter().map(|(id, board)| self.task(id, board, &topics)).collect();
        let rules = &context.pipeline.dead_letters;
        let letters = topics.iter().find(|topic| topic.name == rules.topic);
        let partitions = letters.map_or(&[][..], |topic| &topic.partitions);
        let transport = context.transport.as_ref();
        let wanted = context.monitor.shown.was_asked_within(ASKED_MS);
        self.letters.look(transport, &rules.topic, partitions, wanted);
        Facts {
            state,
            now_ms: context.clock.now_ms(),
            started_ms: context.monitor.started_ms,
            file: context.options.file.clone(),
            tasks,
            sources: sources.into_iter().map(|told| source(transport, told)).collect(),
            operators: self.operators.clone(),
            retained: transport.retained(&rules.topic).ok(),
            oldest_letter_ms: self.letters.oldest_ms(),
            letters: self.letters.last(),
            replication: self.replication.as_ref().map(Replication::tasks),
            pipeline: Arc::clone(&context.pipeline),
            topics,
        }
    }

    fn topic(&self, name: &str) -> Topic {
        let transport = &self.context.transport;
        let count = transport.partitions(name).unwrap_or(0);
        let partitions = (0..count).filter_map(|partition| {
            let (begin, end) = transport.range(name, partition).ok()?;
            Some(pawl_monitor::status::Partition { partition, begin, end })
        });
        Topic { name: name.to_owned(), partitions: partitions.collect() }
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

fn source(transport: &dyn Transport, told: SourceStanding) -> SourceFacts {
    let task = TaskId { stage: format!("source.{}", told.source.name), partition: 0 };
    let commit = transport.recovery(&task).ok().and_then(|recovery| recovery.commit);
    SourceFacts { told, counters: commit.map(|commit| commit.counters) }
}
