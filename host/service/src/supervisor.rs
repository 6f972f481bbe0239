//! One thread per task; a failed task is started again from its checkpoint after a backoff with
//! full jitter, and given up after too many failures, saying why. What fails never stops the rest,
//! unless what is on the disk is unknown.

use crate::context::Context;
use crate::dead_letters;
use crate::error::Error;
use crate::life::live;
use crate::meter::Meter;
use crate::progress::{Board, Standing};
use crate::sources::Sources;
use pawl_core::backoff::{Backoff, BackoffRules};
use pawl_core::clock::largest_of_all;
use pawl_core::commit::TaskId;
use pawl_core::record::{NO_TIME, Timestamp};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// How often the supervisor looks at its tasks.
const LOOK: Duration = Duration::from_millis(10);

/// How often is told how the sources do.
const TELL_EVERY_US: u64 = 100_000;

/// How often dead letters are let go that are too old.
const AGE_EVERY_US: u64 = 1_000_000;

/// A run that has lasted so long is no loop of starts and ends, in microseconds.
const LASTED_US: u64 = 600_000_000;

/// A guest runs on the task's stack; wasmtime takes 512 KiB of it and does not check the rest.
const STACK_BYTES: usize = 8 << 20;

/// One task and where it stands.
struct Watched {
    id: TaskId,
    board: Arc<Board>,
    thread: std::thread::JoinHandle<()>,
}

/// What became of each task.
pub(crate) type Outcomes = Vec<(TaskId, Standing)>;

/// Runs all tasks until they have ended; where somebody can look at the run, until it is asked to
/// end: that every task was given up is then to be seen, and no restart goes past it.
pub(crate) fn supervise(context: &Arc<Context>) -> Result<Outcomes, Error> {
    let mut tasks = Vec::new();
    let (mut closed, mut failed) = (None, None);
    let mut due = Due::new(context);
    if let Err(error) = start_all(context, &mut tasks) {
        // Those that run must end before the folder is let go.
        failed = Some(error);
        context.stop.drain();
    }
    let mut sources = Sources::start(context);
    while is_awaited(context, &tasks) {
        sources.look(context);
        context.monitor.beat();
        if context.stop.is_draining() {
            sources.drain();
        }
        if let Err(error) = end_if_idle(context, &tasks, &sources, &mut closed) {
            // The tasks must end before the folder is let go.
            failed = Some(error);
            context.stop.drain();
        }
        due.look(context, &sources);
        std::thread::sleep(LOOK);
    }
    context.monitor.rest();
    dead_letters::drop_old(context);
    let mut outcomes = Vec::new();
    for (task, why) in sources.join() {
        outcomes.push((task, Standing { ended: Some(Err(why)), ..Standing::default() }));
    }
    for task in tasks {
        outcomes.push((task.id, task.board.look()));
        if task.thread.join().is_err() {
            failed = Some(Error::Panicked("a task's thread".to_owned()));
        }
    }
    failed.map_or(Ok(outcomes), Err)
}

/// What the supervisor does now and then.
struct Due {
    began_us: u64,
    told_us: Option<u64>,
    aged_us: u64,
    lasted: bool,
}

impl Due {
    fn new(context: &Context) -> Self {
        let now = context.clock.elapsed_us();
        Self { began_us: now, told_us: None, aged_us: now, lasted: false }
    }

    fn look(&mut self, context: &Context, sources: &Sources) {
        let now = context.clock.elapsed_us();
        if self.told_us.is_none_or(|at| now.saturating_sub(at) >= TELL_EVERY_US) {
            self.told_us = Some(now);
            context.monitor.sources(sources.standings());
        }
        if now.saturating_sub(self.aged_us) >= AGE_EVERY_US {
            self.aged_us = now;
            dead_letters::drop_old(context);
        }
        if !self.lasted && now.saturating_sub(self.began_us) >= LASTED_US {
            self.lasted = true;
            if let Err(error) = context.journal.lasted() {
                tracing::warn!(%error, "failed to note that the run lasted");
            }
        }
    }
}

/// Whether there is something to wait for.
fn is_awaited(context: &Context, tasks: &[Watched]) -> bool {
    let options = &context.options;
    let is_seen = options.listen.is_some() && !options.until_idle;
    (is_seen && !context.stop.is_draining())
        || !tasks.iter().all(|task| task.board.look().ended.is_some())
}

/// Asks the run to end where it is to end when it is idle, and is.
fn end_if_idle(
    context: &Context,
    tasks: &[Watched],
    sources: &Sources,
    closed: &mut Option<Timestamp>,
) -> Result<(), Error> {
    let options = &context.options;
    let may_end = options.until_idle && !context.stop.is_draining() && sources.are_done();
    if !may_end || !all_idle(context, tasks)? {
        return Ok(());
    }
    match *closed {
        None if options.close_windows => {
            let time = close_time(context, tasks);
            tracing::info!(time, "closing windows");
            tasks.iter().for_each(|task| task.board.close_at(time));
            *closed = Some(time);
        }
        Some(time) if !has_closed(tasks, time) => {}
        _ => context.stop.drain(),
    }
    Ok(())
}

fn start_all(context: &Arc<Context>, tasks: &mut Vec<Watched>) -> Result<(), Error> {
    for stage in context.pipeline.upstream_first() {
        for partition in 0..context.transport.partitions(&stage.input)? {
            let id = TaskId { stage: stage.name.clone(), partition };
            tasks.push(watch(context, id)?);
        }
    }
    Ok(())
}

fn watch(context: &Arc<Context>, id: TaskId) -> Result<Watched, Error> {
    let operators = context.pipeline.stage(&id.stage).map(|stage| &stage.operators);
    let names = operators.into_iter().flatten().map(|operator| operator.name.as_str());
    let board = Arc::new(Board::new(Meter::new(names)));
    context.monitor.watch(&id, &board);
    let (shared, theirs, named) = (Arc::clone(context), Arc::clone(&board), id.clone());
    let thread = std::thread::Builder::new()
        .name(id.to_string())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let outcome = again_and_again(&shared, &named, &theirs);
            theirs.tell(|standing| {
                standing.quiescent = false;
                standing.ended = Some(outcome);
            });
        })
        .map_err(|error| Error::System { doing: "start a thread", error })?;
    Ok(Watched { id, board, thread })
}

/// The lives of a task.
fn again_and_again(context: &Context, id: &TaskId, board: &Board) -> Result<(), String> {
    let given = &context.pipeline.supervisor;
    let rules = BackoffRules {
        first: given.backoff_ms,
        max: given.backoff_max_ms,
        failures_max: given.failures_max,
        window: given.failures_window_ms,
    };
    let mut backoff = Backoff::default();
    loop {
        let lived = std::panic::catch_unwind(AssertUnwindSafe(|| live(context, id, board)));
        board.meter.let_go();
        let error = match lived {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(panic) => Error::Panicked(text_of(panic.as_ref())),
        };
        board.tell(|standing| {
            (standing.running, standing.quiescent) = (false, false);
            standing.failure = Some((error.code().to_owned(), error.to_string()));
            if error.is_of_checkpoint() {
                standing.checkpoint_failure.clone_from(&standing.failure);
            }
        });
        tracing::error!(
            task = %id, stage = %id.stage, code = error.code(), %error, "task failed"
        );
        if error.ends_process() {
            context.stop.drain();
        }
        if error.is_final() {
            return Err(error.to_string());
        }
        if context.stop.is_draining() {
            return Err(format!("failed while it drained: {error}"));
        }
        let now = context.clock.elapsed_us();
        let Some(wait) = backoff.failed(now / 1000, scramble(now, id), &rules) else {
            let failures = backoff.failures();
            let seconds = rules.window / 1000;
            return Err(format!(
                "given up after {failures} failures within {seconds} s, the last: {error}"
            ));
        };
        let until = now + wait * 1000;
        while context.clock.elapsed_us() < until && !context.stop.is_draining() {
            std::thread::sleep(LOOK.min(Duration::from_millis(wait)));
        }
        board.meter.restarted();
    }
}

/// Whether every stage, upstream first, stands at the end of its input. A task that was given up
/// is not waited for.
fn all_idle(context: &Context, tasks: &[Watched]) -> Result<bool, Error> {
    for task in tasks {
        let standing = task.board.look();
        if standing.ended.is_some() {
            continue;
        }
        let Some(stage) = context.pipeline.stage(&task.id.stage) else { continue };
        let (_, end) = context.transport.range(&stage.input, task.id.partition)?;
        if !standing.quiescent || standing.committed.position != end {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Up to which event time windows are closed: the largest that records brought, and all that the
/// longest path may hold back or stamp ahead.
fn close_time(context: &Context, tasks: &[Watched]) -> Timestamp {
    let clocks: Vec<_> = tasks.iter().filter_map(|task| task.board.look().clock).collect();
    let largest = largest_of_all(clocks.iter().map(|(clock, jump_max)| (clock, *jump_max)));
    if largest == NO_TIME {
        return NO_TIME;
    }
    let longest = context.pipeline.stages.iter().map(|stage| path_ms(context, &stage.name, 0));
    largest.saturating_add(longest.max().unwrap_or(0))
}

/// What the path that begins with `stage` may hold back: disorder, step, delay and ahead of all
/// its operators. Stages form no circle; `depth` only guards against one.
fn path_ms(context: &Context, stage: &str, depth: usize) -> i64 {
    let (Some(stage), Some(ready)) = (context.pipeline.stage(stage), context.ready.get(stage))
    else {
        return 0;
    };
    if depth > context.pipeline.stages.len() {
        return 0;
    }
    let own = ready.told.iter().map(|told| told.wiring.delay.saturating_add(told.wiring.ahead));
    let own = own.fold(0u64, u64::saturating_add);
    let marks = ready.running.iter().filter_map(|running| running.configuration.watermark);
    let marks = marks
        .fold(0i64, |sum, rules| sum.saturating_add(rules.disorder).saturating_add(rules.step));
    let writes = stage.writes();
    let next = writes.iter().flat_map(|topic| context.pipeline.readers(topic));
    let next = next.map(|stage| path_ms(context, &stage.name, depth + 1)).max().unwrap_or(0);
    marks.saturating_add_unsigned(own).saturating_add(next)
}

fn has_closed(tasks: &[Watched], time: Timestamp) -> bool {
    tasks.iter().all(|task| {
        let standing = task.board.look();
        let open = |(clock, _): (pawl_core::clock::Clock, i64)| clock.largest() < time;
        standing.ended.is_some() || !standing.clock.is_some_and(open)
    })
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Jitter needs to differ between tasks and times, nothing more.
fn scramble(now: u64, id: &TaskId) -> u64 {
    let seed = now ^ (u64::from(id.partition) << 40) ^ ((id.stage.len() as u64) << 50);
    pawl_core::backoff::scramble(seed)
}
