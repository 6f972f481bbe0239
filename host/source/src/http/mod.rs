//! HTTP requests as a source: a bounded endpoint that says 202 only of what is durable. Requests
//! are answered on a small runtime of their own; whoever commits is the source's thread.

mod answer;
mod front;
mod keys;
mod request;

use crate::error::Error;
use crate::host::{Host, Shared};
use crate::state::State;
use crate::writer::Writer;
use front::{Front, Job, Phase};
use hyper::header::HeaderName;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keys::Keys;
use pawl_pipeline::{HttpSource, Source};
use request::KEY_HEADER;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Records, and bytes of bodies, that are committed together, but for the last request's.
const RECORDS_MAX: usize = 1000;
const BYTES_MAX: usize = 4 << 20;

/// How often is looked for the end.
const LOOK: Duration = Duration::from_millis(20);

/// How long connections have to close.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How long clients are waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub head: Duration,
    pub body: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { head: Duration::from_secs(10), body: Duration::from_secs(30) }
    }
}

/// The endpoint.
pub(crate) struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    front: Arc<Front>,
    jobs: Receiver<Job>,
    writer: Writer,
    state: State,
    keys_max: u64,
    head_time: Duration,
    key_header: Option<String>,
}

impl Server {
    /// Takes the task over, reads the keys and begins to listen.
    pub fn new(
        source: &Source,
        settings: &HttpSource,
        host: Host,
        times: Times,
    ) -> Result<Self, Error> {
        let token = settings.token.as_ref().map(|token| token.reveal()).transpose();
        let token = token.map_err(|what| Error::fatal("source-token", what))?;
        if token.as_deref() == Some("") {
            return Err(Error::fatal("source-token", "the token of the source is empty"));
        }
        let writer = Writer::claim(source, host.clone())?;
        let state = State::open(&source.name, host.clone())?;
        let keys = Keys::read(&state, settings.keys_max)?;
        let doing = || format!("listen on {}", settings.listen);
        let failed = |error: std::io::Error| {
            let advice = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    format!("; stop who listens there, or set source.{}.http.listen", source.name)
                }
                _ => String::new(),
            };
            Error::System { doing: doing(), what: format!("{error}{advice}") }
        };
        let listener = std::net::TcpListener::bind(settings.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let requests_max = settings.requests_max as usize;
        let (give, jobs) = sync_channel(requests_max);
        let key_header = writer.placement.key_header().map(str::to_ascii_lowercase);
        let front = Front {
            path: settings.path.clone(),
            token: token.map(|token| keys::hash(&[token.as_bytes()])),
            body_bytes_max: settings.body_bytes_max,
            record_bytes_max: source.record_bytes_max,
            body_time: times.body,
            key_header: key_header.as_ref().and_then(|name| name.parse::<HeaderName>().ok()),
            requests: Semaphore::new(requests_max),
            requests_max,
            connections: Arc::new(Semaphore::new(connections_max(requests_max))),
            phase: watch::channel(Phase::Open).0,
            jobs: give,
            keys: Mutex::new(keys),
            topic: source.topic.clone(),
            backlog_max: source.backlog_records_max,
            backlog: Mutex::new(None),
            host,
        };
        let key_header = writer.placement.key_header().map(str::to_owned);
        let (front, keys_max, head_time) = (Arc::new(front), settings.keys_max, times.head);
        Ok(Self { listener, address, front, jobs, writer, state, keys_max, head_time, key_header })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until it is drained.
    pub fn run(mut self, shared: &Arc<Shared>) -> Result<(), Error> {
        let failed = |error: std::io::Error| Error::System {
            doing: "start the runtime of an HTTP source".to_owned(),
            what: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("http-source")
            .enable_all()
            .build()
            .map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            self.listener.try_clone().and_then(TcpListener::from_std).map_err(failed)?
        };
        runtime.spawn(accept(listener, Arc::clone(&self.front), self.head_time));
        let (records, dead_letters) = self.writer.durable();
        shared.tell(|standing| {
            (standing.records, standing.dead_letters) = (records, dead_letters);
            standing.position = format!("listens on {}", self.address);
        });
        let outcome = self.commit_all(shared);
        self.front.phase.send_replace(Phase::Closed);
        // After a failure: who waits behind it is told.
        drop(std::mem::replace(&mut self.jobs, sync_channel(0).1));
        let all = u32::try_from(connections_max(self.front.requests_max)).unwrap_or(u32::MAX);
        let closed = Arc::clone(&self.front);
        runtime.block_on(async move {
            let closed = closed.connections.acquire_many(all);
            // Those that are still open then are cut.
            drop(tokio::time::timeout(CLOSE_TIME, closed).await);
        });
        runtime.shutdown_background();
        outcome
    }

    fn commit_all(&mut self, shared: &Shared) -> Result<(), Error> {
        loop {
            if shared.is_draining() {
                self.front.phase.send_replace(Phase::Draining);
                // Requests that have their answer let go of the permit a moment later.
                if self.front.is_quiet() {
                    return Ok(());
                }
            }
            match self.jobs.recv_timeout(LOOK) {
                Ok(first) => self.commit(first, shared)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Commits a request and those that wait behind it.
    fn commit(&mut self, first: Job, shared: &Shared) -> Result<(), Error> {
        let mut jobs = vec![first];
        let (mut records, mut bytes) = (0, 0);
        while let Some(job) = jobs.last() {
            records += job.records.len();
            bytes += job.bytes.len();
            if records >= RECORDS_MAX || bytes >= BYTES_MAX {
                break;
            }
            let Ok(next) = self.jobs.try_recv() else { break };
            jobs.push(next);
        }
        jobs.iter().for_each(|job| add(&mut self.writer, job, self.key_header.as_deref()));
        let rows = jobs.iter().filter_map(|job| {
            let (key, body, _) = job.key.as_ref()?;
            Some(keys::row(key, body, job.records.len() as u64))
        });
        let own = self.state.append(rows);
        let outcome = self.writer.commit(own, shared).and_then(|()| self.writer.settle(shared));
        let stored = outcome.is_ok();
        self.front.added(records as u64);
        for job in jobs {
            if let Some((key, body, _)) = &job.key {
                let mut keys = self.front.keys();
                match stored {
                    true => keys.done(*key, *body, job.records.len() as u64),
                    false => keys.forget(key),
                }
            }
            // Who went away learns it from the key, if there is one.
            job.answer.send(stored).unwrap_or_default();
        }
        outcome?;
        keys::trim(&mut self.state, self.keys_max)
    }
}

fn add(writer: &mut Writer, job: &Job, key_header: Option<&str>) {
    for (at, record) in job.records.iter().enumerate() {
        let value = job.bytes.get(record.clone()).unwrap_or_default();
        // Equal keys would be one id to a reader: those of many records are told apart.
        let key = job.key.as_ref().map(|(_, _, key)| match job.many {
            true => format!("{key}/{at}"),
            false => key.clone(),
        });
        let mut headers: Vec<(&str, &[u8])> = Vec::new();
        if let Some(key) = &key {
            headers.push((KEY_HEADER, key.as_bytes()));
        }
        if let (Some(name), Some(value)) = (key_header, &job.key_header)
            && !name.eq_ignore_ascii_case(KEY_HEADER)
        {
            headers.push((name, value));
        }
        headers.sort();
        writer.add(value, &headers);
    }
}

/// More than requests: those above are told to come later.
fn connections_max(requests_max: usize) -> usize {
    requests_max * 4 + 64
}

/// Takes connections, no more than can be needed, until they are to be closed.
async fn accept(listener: TcpListener, front: Arc<Front>, head_time: Duration) {
    let mut phase = front.phase.subscribe();
    loop {
        let Ok(permit) = Arc::clone(&front.connections).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = phase.wait_for(|phase| *phase == Phase::Closed) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let front = Arc::clone(&front);
                tokio::spawn(async move {
                    serve(stream, front, head_time).await;
                    drop(permit);
                });
            }
            // Such as no more open files: a moment later there may be.
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, front: Arc<Front>, head_time: Duration) {
    // Answers are small and waited for.
    drop(stream.set_nodelay(true));
    let mut phase = front.phase.subscribe();
    let service = service_fn(|request| {
        let front = Arc::clone(&front);
        async move { Ok::<_, Infallible>(request::answer(&front, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = phase.wait_for(|phase| *phase == Phase::Closed) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
