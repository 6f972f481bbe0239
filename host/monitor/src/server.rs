//! The HTTP server: a thread and a small runtime of its own, which only gives out what lies ready.
//! It must never touch what the stream runs on.

use crate::answer;
use crate::connections::Connections;
use crate::view::Board;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Connections at once.
const CONNECTIONS_MAX: usize = 128;

/// How long a client may take for the head of a request, and stay silent between two.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long a connection lasts at most: who reads slowly must come again.
const CONNECTION_TIME: Duration = Duration::from_secs(300);

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// After a failure to accept, such as no more open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a server could not be started.
#[derive(Debug)]
pub struct Error {
    listen: SocketAddr,
    doing: &'static str,
    error: std::io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "; another process uses it: choose another port, or 0 for any that is free"
            }
            std::io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
            std::io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            _ => "",
        };
        let Self { listen, doing, error } = self;
        write!(f, "failed to {doing} {listen}: {error}{advice}")
    }
}

impl std::error::Error for Error {}

/// A server that listens. Dropped, it ends.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Listens on this address and gives out what lies on the board.
    pub fn start(listen: SocketAddr, board: Arc<Board>) -> Result<Self, Error> {
        let failed = |doing| move |error| Error { listen, doing, error };
        let listener = std::net::TcpListener::bind(listen).map_err(failed("listen on"))?;
        listener.set_nonblocking(true).map_err(failed("listen on"))?;
        let address = listener.local_addr().map_err(failed("listen on"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed("start the runtime for"))?;
        let (stop, stopped) = oneshot::channel();
        let only_local = address.ip().is_loopback();
        let thread = std::thread::Builder::new()
            .name("monitor-http".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let listener = match TcpListener::from_std(listener) {
                        Ok(listener) => listener,
                        Err(error) => {
                            tracing::error!(%error, "the monitor cannot listen");
                            return;
                        }
                    };
                    tokio::select! {
                        () = accept(listener, board, only_local) => {}
                        _ = stopped => {}
                    }
                });
                // Connections that are still open end with the runtime.
                runtime.shutdown_background();
            })
            .map_err(failed("start a thread for"))?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It gives out what lies ready; a panic of it harms nobody.
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener, board: Arc<Board>, only_local: bool) {
    let connections = Connections::new(CONNECTIONS_MAX);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = tokio::spawn(serve(stream, Arc::clone(&board), only_local));
                connections.add(served.abort_handle());
            }
            Err(error) => {
                tracing::debug!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, board: Arc<Board>, only_local: bool) {
    // Answers are small and waited for.
    drop(stream.set_nodelay(true));
    let service = service_fn(|request| {
        let answer = answer::answer(&board, only_local, &request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIME, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::trace!(%error, "a connection to the monitor ended badly"),
    }
}
