//! What a source is given, and the handle by which whoever started it watches and ends it. A source
//! runs on a thread of its own and is driven by nobody.

use crate::error::Error;
use crate::letters::Letters;
use crate::{file, http, stdin};
use pawl_core::record::Timestamp;
use pawl_pipeline::{Pipeline, Source, SourceKind};
use pawl_transport::Transport;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a source is given.
#[derive(Clone)]
pub struct Host {
    /// The pipeline that the source belongs to: its topics, their keys and readers, the dead
    /// letters.
    pub pipeline: Arc<Pipeline>,
    /// Where records go.
    pub transport: Arc<dyn Transport>,
    /// The room that is left for dead letters, which others take from too.
    pub letters: Arc<Letters>,
    /// The host's clock: milliseconds since the Unix epoch.
    pub now_ms: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Records of a topic that its slowest reader has not dealt with. Asked for each commit of a
    /// file, and at most a hundred times a second for HTTP.
    pub backlog: Arc<dyn Fn(&str) -> u64 + Send + Sync>,
}

/// Where a source stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Records that it made durable since its birth, dead letters included.
    pub records: u64,
    /// Dead letters among them.
    pub dead_letters: u64,
    /// A file source has read all that lies there now, and it is durable: with `follow` it is
    /// never done, and this is the nearest to it.
    pub at_end: bool,
    /// How far it has come, for a person.
    pub position: String,
    /// What it could not read, or what it waits for, for a person. Empty: nothing.
    pub troubles: Vec<String>,
}

/// A source that runs. Dropping it asks the source to end and does not wait.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), Error>>>,
    address: Option<SocketAddr>,
}

/// Starts a source. Fails if it can be known at once that it cannot run: an address that is taken,
/// a token that is not set, a task that cannot be claimed.
pub fn start(source: &Source, host: Host) -> Result<Handle, Error> {
    match &source.kind {
        SourceKind::File(settings) => {
            let files = file::Files::new(source, settings, host)?;
            spawn(source, None, move |shared| files.run(shared))
        }
        SourceKind::Stdin(format) => {
            let lines = stdin::Lines::new(source, *format, host, std::io::stdin())?;
            spawn(source, None, move |shared| lines.run(shared))
        }
        SourceKind::Http(settings) => {
            let server = http::Server::new(source, settings, host, http::Times::default())?;
            let address = server.address();
            spawn(source, Some(address), move |shared| server.run(shared))
        }
    }
}

pub(crate) fn spawn(
    source: &Source,
    address: Option<SocketAddr>,
    run: impl FnOnce(&Arc<Shared>) -> Result<(), Error> + Send + 'static,
) -> Result<Handle, Error> {
    let shared = Arc::new(Shared::default());
    let (theirs, name) = (Arc::clone(&shared), source.name.clone());
    let thread = std::thread::Builder::new().name(task_name(&source.name)).spawn(move || {
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| run(&theirs)));
        let outcome = ran.unwrap_or_else(|_| {
            Err(Error::System {
                doing: format!("run source {name}"),
                what: "it panicked; this is a bug".to_owned(),
            })
        });
        let mut state = theirs.locked();
        state.ended = true;
        state.done = outcome.is_ok() && !state.draining;
        drop(state);
        outcome
    });
    let thread = thread.map_err(|error| Error::System {
        doing: format!("start a thread for source {}", source.name),
        what: error.to_string(),
    })?;
    Ok(Handle { shared, thread: Some(thread), address })
}

/// The stage's name in the id of a source's task.
pub(crate) fn task_name(source: &str) -> String {
    format!("source.{source}")
}

impl Handle {
    /// Whether it has read to its end, and all of it is durable. Never for what has no end.
    pub fn is_done(&self) -> bool {
        self.shared.locked().done
    }

    /// Whether it has ended, be it well, drained or failed: `join` does not wait any more.
    pub fn has_ended(&self) -> bool {
        self.shared.locked().ended
    }

    /// Asks it to end: what was taken is made durable, and nothing new is taken.
    pub fn drain(&self) {
        self.shared.drain();
    }

    /// Waits for its end.
    pub fn join(mut self) -> Result<(), Error> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|_| {
            Err(Error::fatal("source-panicked", "the thread of a source panicked"))
        })
    }

    /// Where it listens, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        self.shared.locked().standing.clone()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.drain();
    }
}

/// Shared by a source's thread and its handle.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    drained: Condvar,
}

#[derive(Debug, Default)]
struct State {
    draining: bool,
    ended: bool,
    done: bool,
    standing: Standing,
}

impl Shared {
    pub fn drain(&self) {
        self.locked().draining = true;
        self.drained.notify_all();
    }

    pub fn is_draining(&self) -> bool {
        self.locked().draining
    }

    /// Waits for so long, or until it is to end.
    pub fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.locked();
        while !state.draining {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            let woken = self.drained.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn tell(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.locked().standing);
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // Whole values are written; a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
