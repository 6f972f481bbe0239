//! A run from its beginning to its end: the folder is taken, the transport opened, plugins made
//! ready, tasks watched over, and everything closed again.

use crate::check;
use crate::checkpointer::Checkpointer;
use crate::clock::{Clock, SystemClock};
use crate::context::{Context, RunOptions};
use crate::error::Error;
use crate::journal::Journal;
use crate::monitor::{Monitor, Watcher};
use crate::plugins::Plugins;
use crate::progress::Standing;
use crate::stop::StopFlag;
use crate::supervisor::{self, Outcomes};
use crate::tiers::Tiers;
use pawl_checkpoint::{Header, Store};
use pawl_core::commit::{Progress, TaskId};
use pawl_core::counters::Counters;
use pawl_core::record::{Producer, Timestamp};
use pawl_pipeline::Pipeline;
use pawl_transport::{Embedded, Lock, Options, Transport};
use std::sync::Arc;

/// What became of a run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Upstream first.
    pub tasks: Vec<TaskSummary>,
}

/// What became of one task.
#[derive(Clone, Debug)]
pub struct TaskSummary {
    /// Which.
    pub task: TaskId,
    /// Its last durable commit.
    pub committed: Progress,
    /// What became of its records since its birth.
    pub counters: Counters,
    /// Its watermark when it last rested.
    pub watermark: Option<Timestamp>,
}

/// Runs a pipeline until it is asked to stop, or, if so asked, until it is idle.
pub fn run(
    pipeline: &Pipeline,
    options: &RunOptions,
    stop: &Arc<StopFlag>,
) -> Result<Summary, Error> {
    run_with_clock(pipeline, options, stop, Arc::new(SystemClock::default()))
}

/// As `run`, by another clock.
pub fn run_with_clock(
    pipeline: &Pipeline,
    options: &RunOptions,
    stop: &Arc<StopFlag>,
    clock: Arc<dyn Clock>,
) -> Result<Summary, Error> {
    let lock = Lock::acquire(&pipeline.data, clock.now_ms())?;
    let monitor = Monitor::open(pipeline, options, clock.now_ms())?;
    let plugins = Plugins::new(pipeline, true)?;
    let ready = check::ready(pipeline, &plugins)?;
    let transport: Arc<dyn Transport> = Arc::new(open_transport(pipeline, false)?);
    let tiers = Tiers::open(pipeline, &clock)?;
    let store = Arc::clone(&tiers.store);
    if options.fresh && is_rewound(pipeline, transport.as_ref(), store.as_ref())? {
        tracing::warn!(
            "the log is not the one that the checkpoints know; it is another from here on"
        );
        transport.become_another()?;
    }
    for object in ready.values().flat_map(|ready| &ready.objects) {
        store.put_object(object)?;
    }
    let producers = producers(pipeline, transport.as_ref())?;
    let generation = (transport.generation(&producers)?, producers);
    let journal = open_journal(pipeline)?;
    let shared = Arc::new(pipeline.clone());
    let (checkpointer, thread) = Checkpointer::start(
        Arc::clone(&shared),
        Arc::clone(&store),
        Arc::clone(&transport),
        Arc::clone(&clock),
        tiers.replication(),
    )?;
    let letters = pawl_source::Letters::new(&pipeline.dead_letters, Arc::clone(&transport));
    let context = Arc::new(Context {
        pipeline: shared,
        letters: Arc::new(letters),
        log: transport.identity()?,
        transport,
        store,
        clock,
        stop: Arc::clone(stop),
        plugins,
        ready,
        journal: Arc::new(journal),
        checkpointer,
        options: options.clone(),
        generation,
        monitor: Arc::clone(&monitor),
    });
    let watcher = Watcher::start(&context, tiers.replication())?;
    let outcomes = supervisor::supervise(&context);
    let asked = options.until_idle || stop.is_draining();
    let watched_to_the_end = watcher.end();
    let journal_closed = context.journal.close();
    drop(context); // the checkpointer ends with its last handle
    // A watcher that hangs keeps a handle. No task is left that waits for a checkpoint.
    if watched_to_the_end && thread.join().is_err() {
        return Err(Error::Panicked("the checkpointer".to_owned()));
    }
    tiers.close();
    monitor.end(watched_to_the_end, tiers.replication().as_ref());
    drop(lock);
    let summary = summary(outcomes?, asked)?;
    journal_closed.map_err(|error| Error::System { doing: "close the journal", error })?;
    Ok(summary)
}

fn open_journal(pipeline: &Pipeline) -> Result<Journal, Error> {
    let journal = Journal::open(&pipeline.data)
        .map_err(|error| Error::System { doing: "open the journal", error })?;
    if journal.is_unclean() {
        tracing::warn!("the last run ended without a word; recovering");
    }
    Ok(journal)
}

/// Opens the pipeline's transport, with all its topics unless only to look at.
pub fn open_transport(pipeline: &Pipeline, read_only: bool) -> Result<Embedded, Error> {
    if let Some(folder) = pipeline.log.parent()
        && !read_only
    {
        std::fs::create_dir_all(folder).map_err(|error| Error::State {
            code: "log-folder",
            what: format!("failed to make {} for the log: {error}", folder.display()),
        })?;
    }
    let transport = Embedded::open(&pipeline.log, &Options { read_only, ..Options::default() })?;
    if !read_only {
        for (name, topic) in &pipeline.topics {
            transport.create_topic(name, topic.partitions)?;
        }
    }
    Ok(transport)
}

/// All tasks that write topics, ascending.
fn producers(pipeline: &Pipeline, transport: &dyn Transport) -> Result<Vec<Producer>, Error> {
    let mut producers = Vec::new();
    for stage in pipeline.stages.iter().filter(|stage| !stage.is_sink()) {
        for partition in 0..transport.partitions(&stage.input)? {
            producers.push(Producer { stage: stage.name.clone(), partition });
        }
    }
    producers.sort();
    Ok(producers)
}

/// Whether checkpoints of any task are ahead of what the log says: it was put back from an older
/// copy, or made anew.
fn is_rewound(
    pipeline: &Pipeline,
    transport: &dyn Transport,
    store: &dyn Store,
) -> Result<bool, Error> {
    let log = transport.identity()?;
    for stage in &pipeline.stages {
        for partition in 0..transport.partitions(&stage.input)? {
            let task = TaskId { stage: stage.name.clone(), partition };
            let commit = transport.recovery(&task)?.commit;
            let root = commit.map_or(0, |commit| commit.progress.root());
            let names = store.names(&task)?.into_iter();
            let mut headers = names.filter_map(|name| store.header(&task, name).ok());
            // Of another log: then this one has an identity of its own already.
            let ahead = |header: Header| header.log == log && header.progress.root() > root;
            if headers.next().is_some_and(ahead) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn summary(outcomes: Outcomes, asked: bool) -> Result<Summary, Error> {
    let mut failed = Vec::new();
    let mut tasks = Vec::new();
    for (task, standing) in outcomes {
        let Standing { ended, committed, counters, watermark, .. } = standing;
        if let Some(Err(why)) = ended {
            failed.push((task.clone(), why));
        }
        tasks.push(TaskSummary { task, committed, counters, watermark });
    }
    match failed.is_empty() {
        true => Ok(Summary { tasks }),
        false if asked => Err(Error::Tasks(failed)),
        false => Err(Error::GivenUp(failed)),
    }
}
