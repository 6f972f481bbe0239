//! What a run shows of itself: a thread looks at the boards of all tasks and at the log, twice a
//! second, and puts metrics and status where the server finds them, and into a file in the data
//! folder. It never holds a lock while a guest works, changes nothing, and what it cannot find out
//! stops nobody.

mod arrivals;
mod disk;
mod facts;
mod families;
mod letters;
mod outside;
mod status;

use crate::context::{Context, RunOptions};
use crate::error::Error;
use crate::progress::Board;
use crate::sources::SourceStanding;
use facts::{Facts, Looker};
use pawl_checkpoint::{RecoveryPath, Replication};
use pawl_core::commit::TaskId;
use pawl_monitor::spans::Spans;
use pawl_monitor::status::{RunState, Status};
use pawl_monitor::{Server, View, text};
use pawl_pipeline::Pipeline;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The name of the file in the data folder that holds what `/metrics` gives.
pub const FILE: &str = "metrics.prom";

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often the file is written.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// How long is waited for the last look. On a disk that hangs there is none.
const END_WAIT: Duration = Duration::from_secs(5);

/// A look may take one part in so many of all time: on a slow disk fewer are taken.
const REST_PARTS: u32 = 10;

/// What the threads of a run tell, and what is shown of it.
pub(crate) struct Monitor {
    started_ms: i64,
    shown: Arc<pawl_monitor::Board>,
    told: Mutex<Told>,
    recovered: [AtomicU64; RecoveryPath::ALL.len()],
    path: PathBuf,
    /// The last write of the file failed, which was said.
    warned: AtomicBool,
    /// The last facts, for the end, when there is nobody left to ask.
    last: Mutex<Option<Facts>>,
    /// Sends traces, if the environment asks for them.
    spans: Option<Spans>,
    /// Kept: without it nothing is served.
    _server: Option<Server>,
}

#[derive(Default)]
struct Told {
    tasks: Vec<(TaskId, Arc<Board>)>,
    sources: Vec<SourceStanding>,
}

impl Monitor {
    /// Listens, if so asked, and shows that the run starts.
    pub fn open(
        pipeline: &Pipeline,
        options: &RunOptions,
        now_ms: i64,
    ) -> Result<Arc<Self>, Error> {
        let shown = Arc::new(pawl_monitor::Board::default());
        let starting = status::starting(pipeline, options.file.as_deref(), now_ms);
        let process = families::process(&pipeline.name, RunState::Starting, now_ms);
        shown.show(view(&starting, text::render(&process)));
        let server =
            options.listen.map(|listen| Server::start(listen, Arc::clone(&shown))).transpose();
        let server = server.map_err(Error::Monitor)?;
        if let Some(server) = &server {
            let address = server.address();
            tracing::info!(%address, "serving metrics, health and the live page");
        }
        let spans = Spans::from_environment(&pipeline.name).unwrap_or_else(|error| {
            tracing::warn!(%error, "no traces are made: look at the variables OTEL_...");
            None
        });
        Ok(Arc::new(Self {
            spans,
            started_ms: now_ms,
            shown,
            told: Mutex::default(),
            recovered: Default::default(),
            path: pipeline.data.join(FILE),
            warned: AtomicBool::new(false),
            last: Mutex::default(),
            _server: server,
        }))
    }

    /// A task of this run, and its board.
    pub fn watch(&self, id: &TaskId, board: &Arc<Board>) {
        lock(&self.told).tasks.push((id.clone(), Arc::clone(board)));
    }

    /// How the sources do.
    pub fn sources(&self, sources: Vec<SourceStanding>) {
        lock(&self.told).sources = sources;
    }

    /// The supervisor lives.
    pub fn beat(&self) {
        self.shown.beat();
    }

    /// The supervisor has no more to do.
    pub fn rest(&self) {
        self.shown.rest();
    }

    /// A task recovered from there.
    pub fn recovered(&self, path: RecoveryPath) {
        let all = RecoveryPath::ALL.iter().zip(&self.recovered);
        all.filter(|(one, _)| **one == path).for_each(|(_, count)| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// What sends traces, if anybody wants them.
    pub fn spans(&self) -> Option<&Spans> {
        self.spans.as_ref()
    }

    /// How often tasks recovered from where.
    fn recoveries(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let all = RecoveryPath::ALL.iter().zip(&self.recovered);
        all.map(|(path, count)| (path.name(), count.load(Ordering::Relaxed)))
    }

    /// Shows these facts; with `write` also in the file.
    fn show(&self, facts: Facts, write: bool) {
        let metrics = text::render(&families::of(&facts, self.recoveries()));
        if write {
            self.write(&metrics);
        }
        let status = status::of(&facts);
        self.shown.show(view(&status, metrics));
        *lock(&self.last) = Some(facts);
    }

    /// The run has ended: what was known last, and that nothing runs any more. Where the watcher
    /// hangs nothing is written: it would hang too.
    pub fn end(&self, watched: bool, replication: Option<&Replication>) {
        if !watched {
            return;
        }
        let Some(mut facts) = lock(&self.last).take() else { return };
        facts.state = RunState::Stopped;
        facts.replication = replication.map(Replication::tasks);
        self.show(facts, true);
    }

    /// Writes the file, whole or not at all.
    fn write(&self, metrics: &str) {
        let temporary = self.path.with_extension("tmp");
        let written = std::fs::write(&temporary, metrics)
            .and_then(|()| std::fs::rename(&temporary, &self.path));
        let warned = self.warned.swap(written.is_err(), Ordering::Relaxed);
        if let Err(error) = written
            && !warned
        {
            tracing::warn!(path = %self.path.display(), %error, "failed to write metrics");
        }
    }
}

/// The thread that looks.
pub(crate) struct Watcher {
    end: SyncSender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Watcher {
    /// Looks from now on.
    pub fn start(context: &Arc<Context>, replication: Option<Replication>) -> Result<Self, Error> {
        let (end, ended) = sync_channel(1);
        let context = Arc::clone(context);
        let thread = std::thread::Builder::new()
            .name("monitor".to_owned())
            .spawn(move || {
                let mut looker = Looker::new(&context, replication);
                let mut written: Option<Instant> = None;
                loop {
                    let began = Instant::now();
                    let write = written.is_none_or(|at| at.elapsed() >= WRITE_EVERY);
                    if write {
                        written = Some(began);
                    }
                    context.monitor.show(looker.look(), write);
                    let wait = LOOK_EVERY.max(began.elapsed() * REST_PARTS);
                    if ended.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                        return context.monitor.show(looker.look(), true);
                    }
                }
            })
            .map_err(|error| Error::System { doing: "start a thread", error })?;
        Ok(Self { end, thread })
    }

    /// Looks once more, and no more then. Says whether the thread has ended: one that hangs is let
    /// go, since nothing durable depends on it and the run is to end.
    pub fn end(self) -> bool {
        drop(self.end);
        let began = Instant::now();
        while !self.thread.is_finished() {
            if began.elapsed() > END_WAIT {
                tracing::error!(
                    "nothing was seen of the run for long; look at the disk of the data folder"
                );
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.thread.join().is_err() {
            tracing::error!("the monitor's thread panicked; a bug of the host, please report it");
        }
        true
    }
}

fn view(status: &Status, metrics: String) -> View {
    View {
        metrics: metrics.into(),
        status: json(status),
        ready: status.ready,
        readiness: status::readiness(status).into(),
    }
}

fn json(status: &Status) -> pawl_monitor::Bytes {
    serde_json::to_vec(status).expect("plain values with text as keys").into()
}

/// The name of where a state came from.
fn path_name(path: Option<RecoveryPath>) -> Option<String> {
    path.map(|path| path.name().to_owned())
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
