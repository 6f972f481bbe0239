//! A receiver of alerts on the loopback, as threads of the test's process: it acts on what it is
//! sent, fails as it is told to, and remembers everything for questions.
//!
//! With keys it acts once for each key, answers 200 to a repetition, 422 to a repetition with
//! another body, and 409 while the first is in progress. Without keys it acts on every request.
//! It serves nobody but tests: its memory has no bound.

#![allow(dead_code, reason = "each test that includes this file uses a part of it")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything here waits for something to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the receiver does with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Acts and answers 200.
    Take,
    /// Acts, and closes the connection before it answers.
    TakeAndDrop,
    /// Acts, and never answers.
    TakeAndStall,
    /// Acts, answers 200, and closes the connection without having announced it.
    TakeAndClose,
    /// Acts, and answers 200 with a body that never ends.
    TakeAndFlood,
    /// Acts, answers 200, and stops in the middle of the body.
    TakeAndPause,
    /// Waits until so many requests are under way at once, then acts and answers 200.
    TakeTogether(usize),
    /// Acts, but answers with this status.
    TakeAndAnswer(u16),
    /// Begins to act, and never answers: in progress until `finish`.
    Begin,
    /// Does not act, and closes the connection.
    Drop,
    /// Does not act, and never answers.
    Stall,
    /// Does not act, and answers so.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Does not act, and answers with these bytes instead of HTTP.
    Garbage(&'static [u8]),
}

impl Step {
    /// Does not act, and answers with this status.
    pub fn status(status: u16) -> Step {
        Step::Answer(status, Vec::new(), Vec::new())
    }
}

/// One request, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `webhook-id`, or empty.
    pub id: String,
    /// `Idempotency-Key` as it stands in the header.
    pub key: Option<String>,
    /// Method and path.
    pub target: String,
    /// All headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Which connection it came by, counted from 0.
    pub connection: usize,
}

impl Request {
    /// The value of a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }
}

type Plan = Box<dyn FnMut(&Request) -> Step + Send>;

#[derive(Default)]
struct State {
    plan: Option<Plan>,
    script: VecDeque<Step>,
    requests: Vec<Request>,
    effects: Vec<(String, Vec<u8>)>,
    /// By key: the body, and whether it is done.
    known: BTreeMap<String, (Vec<u8>, bool)>,
    under_way: Vec<String>,
    under_way_max: usize,
    connections: usize,
    flooded: usize,
    streams: BTreeMap<usize, TcpStream>,
}

struct Shared {
    honours_keys: bool,
    state: Mutex<State>,
    changed: Condvar,
    stopped: AtomicBool,
}

/// A running receiver; it stops when dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One that honours `Idempotency-Key`.
    pub fn with_keys() -> Receiver {
        Receiver::start(true)
    }

    /// One that acts on every request.
    pub fn without_keys() -> Receiver {
        Receiver::start(false)
    }

    fn start(honours_keys: bool) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on the loopback");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            honours_keys,
            state: Mutex::default(),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
        });
        let of_thread = shared.clone();
        let accepting = std::thread::spawn(move || accept(&listener, &of_thread));
        Receiver { address, shared, accepting: Some(accepting) }
    }

    /// Where to POST to.
    pub fn url(&self) -> String {
        format!("http://{}/alerts", self.address)
    }

    /// What to do with the next requests, in the order in which they come; then `Take`, or what
    /// the plan says. What is known already is answered by its key, if keys are honoured, but a
    /// step is used up by it all the same.
    pub fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.shared.lock().script.extend(steps);
    }

    /// What to do with each request for which the script has nothing.
    pub fn plan(&self, plan: impl FnMut(&Request) -> Step + Send + 'static) {
        self.shared.lock().plan = Some(Box::new(plan));
    }

    /// Ends what `Begin` began, with its effect.
    pub fn finish(&self, id: &str) {
        let mut state = self.shared.lock();
        if let Some((body, done)) = state.known.get_mut(id) {
            *done = true;
            let body = body.clone();
            state.effects.push((id.to_owned(), body));
        }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// How often the record of this id was sent.
    pub fn attempts(&self, id: &str) -> usize {
        self.shared.lock().requests.iter().filter(|request| request.id == id).count()
    }

    /// Id and body of what the receiver acted on, in that order.
    pub fn effects(&self) -> Vec<(String, Vec<u8>)> {
        self.shared.lock().effects.clone()
    }

    /// How often the receiver acted on each id.
    pub fn effects_by_id(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (id, _) in &self.shared.lock().effects {
            *counts.entry(id.clone()).or_default() += 1;
        }
        counts
    }

    /// How many requests were under way at once at most.
    pub fn under_way_max(&self) -> usize {
        self.shared.lock().under_way_max
    }

    /// Bytes with which senders were flooded.
    pub fn flooded(&self) -> usize {
        self.shared.lock().flooded
    }

    /// Waits until so many requests have come. Panics after 20 s.
    pub fn wait_for_requests(&self, count: usize) {
        let arrived = self.shared.wait(self.shared.lock(), |state| state.requests.len() >= count);
        assert!(arrived.requests.len() >= count, "{} of {count} requests", arrived.requests.len());
    }

    /// Closes all connections, as a receiver does that restarts; it goes on accepting new ones.
    pub fn close_connections(&self) {
        for stream in self.shared.lock().streams.values() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.close_connections();
        self.shared.changed.notify_all();
        // Wakes whoever accepts.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.accepting.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        until: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let end = Instant::now() + PATIENCE;
        while !until(&state) && Instant::now() < end && !self.stopped.load(Ordering::SeqCst) {
            let waited = self.changed.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        state
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let mut state = shared.lock();
        let connection = state.connections;
        state.connections += 1;
        if let Ok(clone) = stream.try_clone() {
            state.streams.insert(connection, clone);
        }
        drop(state);
        let shared = shared.clone();
        std::thread::spawn(move || {
            drop(serve(&stream, connection, &shared));
            drop(stream.shutdown(Shutdown::Both));
            shared.lock().streams.remove(&connection);
        });
    }
}

/// Serves one connection to its end.
fn serve(stream: &TcpStream, connection: usize, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader, connection)? {
        let id = request.id.clone();
        let step = begin(request, shared);
        let goes_on = carry_out(&step, stream, shared);
        let mut state = shared.lock();
        if let Some(at) = state.under_way.iter().position(|under_way| *under_way == id) {
            state.under_way.remove(at);
        }
        drop(state);
        if !goes_on? {
            break;
        }
    }
    Ok(())
}

fn read(reader: &mut BufReader<&TcpStream>, connection: usize) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => break,
        }
    }
    let mut request =
        Request { id: String::new(), key: None, target, headers, body: Vec::new(), connection };
    let length = request.header("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    request.body = body;
    request.key = request.header("idempotency-key").map(str::to_owned);
    request.id = request.header("webhook-id").unwrap_or_default().to_owned();
    Ok(Some(request))
}

/// Notes a request, acts if it is to, and says what the sender gets to see.
fn begin(request: Request, shared: &Shared) -> Step {
    let mut guard = shared.lock();
    let state = &mut *guard;
    let step = match (state.script.pop_front(), &mut state.plan) {
        (Some(step), _) => step,
        (None, Some(plan)) => plan(&request),
        (None, None) => Step::Take,
    };
    state.requests.push(request.clone());
    state.under_way.push(request.id.clone());
    state.under_way_max = state.under_way_max.max(state.under_way.len());
    let known = match request.key {
        Some(_) if shared.honours_keys => state.known.get(&request.id),
        _ => None,
    };
    let acts = !matches!(step, Step::Drop | Step::Stall | Step::Answer(..) | Step::Garbage(_));
    let step = match known {
        Some((body, _)) if acts && *body != request.body => Step::status(422),
        Some((_, false)) if acts => Step::status(409),
        Some((_, true)) => step,
        _ if acts => {
            let done = step != Step::Begin;
            state.known.insert(request.id.clone(), (request.body.clone(), done));
            if done {
                state.effects.push((request.id, request.body));
            }
            step
        }
        _ => step,
    };
    shared.changed.notify_all();
    step
}

/// Lets the sender see what it is to see; whether the connection goes on.
fn carry_out(step: &Step, mut stream: &TcpStream, shared: &Shared) -> std::io::Result<bool> {
    match step {
        Step::Take => answer(stream, 200, &[], b"taken").map(|()| true),
        Step::TakeAndAnswer(status) => answer(stream, *status, &[], b"").map(|()| true),
        Step::Answer(status, headers, body) => {
            answer(stream, *status, headers, body).map(|()| true)
        }
        Step::TakeAndClose => answer(stream, 200, &[], b"taken").map(|()| false),
        Step::TakeAndDrop | Step::Drop => Ok(false),
        Step::TakeAndStall | Step::Begin | Step::Stall => {
            // Until the sender gives up.
            let mut byte = [0];
            stream.read(&mut byte).map(|_| false)
        }
        Step::TakeAndFlood => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n")?;
            while !shared.stopped.load(Ordering::SeqCst) {
                stream.write_all(&[b'x'; 4096])?;
                shared.lock().flooded += 4096;
            }
            Ok(false)
        }
        Step::TakeAndPause => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")?;
            let mut byte = [0];
            stream.read(&mut byte).map(|_| false)
        }
        Step::TakeTogether(count) => {
            let state = shared.lock();
            drop(shared.wait(state, |state| state.under_way_max >= *count));
            answer(stream, 200, &[], b"taken").map(|()| true)
        }
        Step::Garbage(bytes) => stream.write_all(bytes).map(|()| false),
    }
}

fn answer(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes)
}

/// An address on which nobody listens.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on the loopback");
    format!("http://{}/", listener.local_addr().expect("it is bound"))
}

/// Whether each of these was acted on exactly once, and nothing else was.
pub fn each_once<'a>(receiver: &Receiver, ids: impl IntoIterator<Item = &'a str>) -> bool {
    let counts = receiver.effects_by_id();
    let ids: BTreeSet<&str> = ids.into_iter().collect();
    counts.values().all(|count| *count == 1) && counts.keys().map(|id| &**id).eq(ids)
}
