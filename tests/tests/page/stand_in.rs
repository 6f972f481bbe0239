//! Stands in for the host: serves the files of the page and a status that the test sets. With it
//! the page is shown what a real pipeline shows only in a bad night.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

/// What is answered to `/api/status`, from the seconds since the start.
pub type Answer = Box<dyn Fn(f64) -> Option<Value> + Send>;

/// A server on the loopback. Dropped, nobody listens there any more.
pub struct StandIn {
    port: u16,
    answer: Arc<Mutex<Answer>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// On any port.
    pub fn start(status: impl Fn(f64) -> Value + Send + 'static) -> Self {
        Self::start_at(0, status)
    }

    /// On this port.
    pub fn start_at(port: u16, status: impl Fn(f64) -> Value + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let answer: Answer = Box::new(move |seconds| Some(status(seconds)));
        let answer = Arc::new(Mutex::new(answer));
        let ends = Arc::new(AtomicBool::new(false));
        let (its_answer, its_ends) = (Arc::clone(&answer), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            for stream in listener.incoming().map_while(Result::ok) {
                if its_ends.load(Ordering::SeqCst) {
                    return;
                }
                let answer = its_answer.lock().expect("an answer that panics ends its test");
                // A browser that hangs up is no failure.
                drop(serve(stream, &**answer, began.elapsed().as_secs_f64()));
            }
        });
        Self { port, answer, ends, thread: Some(thread) }
    }

    /// From now on another status; none is an answer with status 500.
    pub fn set(&self, answer: impl Fn(f64) -> Option<Value> + Send + 'static) {
        *self.answer.lock().expect("an answer that panics ends its test") = Box::new(answer);
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of the page.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for whoever comes next.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Answers the one request of a connection.
fn serve(
    stream: TcpStream,
    status: &dyn Fn(f64) -> Option<Value>,
    seconds: f64,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(std::time::Duration::from_secs(2)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (code, kind, body) = match path {
        "/api/status" => match status(seconds) {
            Some(status) => (200, "application/json", status.to_string().into_bytes()),
            None => (500, "text/plain", Vec::new()),
        },
        path => file(path.strip_prefix("/page/").unwrap_or(match path {
            "/" => "index.html",
            _ => "",
        })),
    };
    let head = format!(
        "HTTP/1.1 {code} it\r\nconnection: close\r\ncontent-type: {kind}\r\n\
         content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; \
         img-src 'self'; connect-src 'self'\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    stream.write_all(&[head.as_bytes(), &body].concat())
}

fn file(name: &str) -> (u16, &'static str, Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/monitor/page");
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain",
    };
    match std::fs::read(folder.join(name)) {
        Ok(bytes) if !name.is_empty() && !name.contains('/') => (200, kind, bytes),
        _ => (404, "text/plain", Vec::new()),
    }
}
