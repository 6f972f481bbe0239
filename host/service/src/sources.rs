//! The sources of a run: started beside the tasks, started again after a failure that may pass,
//! ended before the run ends. What they read is durable in their topics before anybody sees it.

use crate::context::Context;
use pawl_core::backoff::{full_jitter, scramble};
use pawl_core::commit::TaskId;
use pawl_pipeline::{Source, SourceKind};
use pawl_source::{Class, Error, Handle, Host, Standing};
use std::sync::Arc;

/// All sources of a run.
pub(crate) struct Sources {
    host: Host,
    list: Vec<Watched>,
}

/// How a source does, for whoever looks.
#[derive(Clone, Debug)]
pub(crate) struct SourceStanding {
    pub source: Source,
    pub runs: bool,
    /// It failed and will be started again.
    pub waits_to_start: bool,
    pub standing: Standing,
    /// Code and text of its last failure, until it runs again.
    pub failed: Option<(String, String)>,
}

/// One source and how it does.
struct Watched {
    source: Source,
    handle: Option<Handle>,
    failures: u32,
    /// When it is started again, if it is to be.
    again_us: Option<u64>,
    standing: Standing,
    /// Why it failed, code and text, until it runs again; for good if it is not started again.
    failed: Option<(String, String)>,
}

impl Sources {
    /// Starts all of them. One that cannot start is told by `failures`.
    pub fn start(context: &Arc<Context>) -> Self {
        let (clock, of_backlog) = (Arc::clone(&context.clock), Arc::clone(context));
        let host = Host {
            pipeline: Arc::clone(&context.pipeline),
            transport: Arc::clone(&context.transport),
            letters: Arc::clone(&context.letters),
            now_ms: Arc::new(move || clock.now_ms()),
            backlog: Arc::new(move |topic| backlog(&of_backlog, topic)),
        };
        let watched = |source: &Source| Watched {
            source: source.clone(),
            handle: None,
            failures: 0,
            again_us: Some(0),
            standing: Standing::default(),
            failed: None,
        };
        let list = context.pipeline.sources.iter().map(watched).collect();
        let mut sources = Self { host, list };
        sources.look(context);
        sources
    }

    /// Sees what has ended, and starts again what is due.
    pub fn look(&mut self, context: &Context) {
        let now = context.clock.elapsed_us();
        for watched in &mut self.list {
            watched.see(context, now);
            let due = watched.again_us.is_some_and(|at| now >= at);
            if due && !context.stop.is_draining() {
                watched.again_us = None;
                match pawl_source::start(&watched.source, self.host.clone()) {
                    Ok(handle) => {
                        if let Some(address) = handle.address() {
                            tracing::info!(source = %watched.source.name, %address, "listening");
                        }
                        (watched.handle, watched.failed) = (Some(handle), None);
                    }
                    Err(error) => watched.failed(&error, context, now),
                }
            }
        }
    }

    /// Whether everything that lies before the sources now is read and durable.
    pub fn are_done(&self) -> bool {
        self.list.iter().all(|watched| {
            let endless = matches!(watched.source.kind, SourceKind::Http(_));
            let ended = watched.handle.is_none() && watched.again_us.is_none();
            let at_end = |handle: &Handle| handle.is_done() || handle.standing().at_end;
            endless || ended || watched.handle.as_ref().is_some_and(at_end)
        })
    }

    /// How each of them does.
    pub fn standings(&self) -> Vec<SourceStanding> {
        let one = |watched: &Watched| SourceStanding {
            source: watched.source.clone(),
            runs: watched.handle.is_some(),
            waits_to_start: watched.again_us.is_some(),
            standing: watched.standing.clone(),
            failed: watched.failed.clone(),
        };
        self.list.iter().map(one).collect()
    }

    /// Asks all of them to end.
    pub fn drain(&self) {
        self.list.iter().filter_map(|watched| watched.handle.as_ref()).for_each(Handle::drain);
    }

    /// Waits for their ends. Gives those that failed, as tasks, and why.
    pub fn join(mut self) -> Vec<(TaskId, String)> {
        let mut failed = Vec::new();
        for watched in &mut self.list {
            if let Some(handle) = watched.handle.take() {
                handle.drain();
                watched.standing = handle.standing();
                if let Err(error) = handle.join() {
                    watched.failed = Some((error.code().to_owned(), error.to_string()));
                }
            }
            let (name, standing) = (&watched.source.name, &watched.standing);
            let (records, dead, position) =
                (standing.records, standing.dead_letters, &standing.position);
            tracing::info!(source = %name, records, dead_letters = dead, %position, "source ended");
            // One that was to be started again has lost nothing.
            let given_up = watched.again_us.is_none();
            if let Some((_, why)) = watched.failed.take().filter(|_| given_up) {
                failed.push((TaskId { stage: format!("source.{name}"), partition: 0 }, why));
            }
        }
        failed
    }
}

impl Watched {
    fn see(&mut self, context: &Context, now: u64) {
        let Some(handle) = &self.handle else { return };
        let standing = handle.standing();
        for trouble in &standing.troubles {
            if !self.standing.troubles.contains(trouble) {
                tracing::warn!(source = %self.source.name, %trouble, "source is in trouble");
            }
        }
        if standing.records > self.standing.records {
            self.failures = 0;
        }
        self.standing = standing;
        if !handle.has_ended() {
            return;
        }
        let Some(handle) = self.handle.take() else { return };
        if let Err(error) = handle.join() {
            self.failed(&error, context, now);
        }
    }

    /// Nothing is lost by it: it goes on where its last commit stands.
    fn failed(&mut self, error: &Error, context: &Context, now: u64) {
        tracing::error!(
            source = %self.source.name, code = error.code(), %error, "source failed"
        );
        self.failures += 1;
        self.failed = Some((error.code().to_owned(), error.to_string()));
        let given = &context.pipeline.supervisor;
        if error.class() == Class::Fatal || self.failures >= given.failures_max {
            return;
        }
        let (first, max) = (given.backoff_ms, given.backoff_max_ms);
        let wait_ms = full_jitter(self.failures - 1, scramble(now), first, max);
        self.again_us = Some(now.saturating_add(wait_ms.saturating_mul(1000)));
    }
}

/// Records of a topic that its slowest reader has not committed. 0 where that cannot be told.
fn backlog(context: &Context, topic: &str) -> u64 {
    let partitions = context.transport.partitions(topic).unwrap_or(0);
    let behind = |stage: &str, partition: u32| {
        let task = TaskId { stage: stage.to_owned(), partition };
        let (_, end) = context.transport.range(topic, partition).ok()?;
        let commit = context.transport.recovery(&task).ok()?.commit;
        Some(end.saturating_sub(commit.map_or(0, |commit| commit.progress.position)))
    };
    let readers = context.pipeline.readers(topic).into_iter();
    let of_reader = |stage: &pawl_pipeline::Stage| -> u64 {
        (0..partitions).filter_map(|partition| behind(&stage.name, partition)).sum()
    };
    readers.map(of_reader).max().unwrap_or(0)
}
