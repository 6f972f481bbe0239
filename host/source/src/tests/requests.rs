//! The HTTP endpoint, as clients of many kinds see it.

use crate::host::spawn;
use crate::http::{Server, Times};
use crate::testing::{Folder, Mortal, headers, host, pipeline, source, texts, until};
use crate::{Handle, Host, start};
use pawl_pipeline::{HttpSource, Pipeline, SourceKind};
use pawl_transport::{Embedded, Memory, Options, Transport};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A pipeline with an endpoint on any port.
fn endpoint(folder: &Folder, settings: &str) -> Arc<Pipeline> {
    let source = format!(
        "record_bytes_max = 1000\nbacklog_records_max = 100\n\
         http = {{ listen = '127.0.0.1:0', path = '/in', body_bytes_max = 5000 {settings} }}"
    );
    pipeline(&folder.0, &source, "{ partitions = 1 }")
}

struct Endpoint {
    _folder: Folder,
    pipeline: Arc<Pipeline>,
    log: Arc<Memory>,
    handle: Option<Handle>,
}

impl Endpoint {
    fn new(settings: &str) -> Self {
        let folder = Folder::new("http");
        let pipeline = endpoint(&folder, settings);
        let log = Arc::new(Memory::new());
        let handle = Some(start(source(&pipeline), host(&pipeline, log.clone())).unwrap());
        Self { _folder: folder, pipeline, log, handle }
    }

    fn with_host(settings: &str, change: impl FnOnce(&mut Host)) -> Self {
        let mut endpoint = Self::new(settings);
        endpoint.stop();
        let mut host = host(&endpoint.pipeline, endpoint.log.clone());
        change(&mut host);
        endpoint.handle = Some(start(source(&endpoint.pipeline), host).unwrap());
        endpoint
    }

    fn address(&self) -> SocketAddr {
        self.handle.as_ref().unwrap().address().unwrap()
    }

    fn stop(&mut self) {
        let handle = self.handle.take().unwrap();
        handle.drain();
        handle.join().unwrap();
    }

    fn restart(&mut self) {
        self.stop();
        let host = host(&self.pipeline, self.log.clone());
        self.handle = Some(start(source(&self.pipeline), host).unwrap());
    }

    fn post(&self, headers: &str, body: &str) -> Answer {
        send(self.address(), &request("POST", "/in", headers, body.as_bytes())).unwrap()
    }

    fn records(&self) -> Vec<String> {
        texts(&*self.log, "in")
    }
}

/// Status, all of the head in lower case, body.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {headers}\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

fn send(address: SocketAddr, request: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(request)?;
    hear(&mut stream)
}

fn hear(stream: &mut TcpStream) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    };
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

const LINES: &str = "Content-Type: application/x-ndjson; charset=utf-8\r\n";

#[test]
fn a_record_is_durable_when_the_client_hears_202() {
    let endpoint = Endpoint::new("");
    let answer = endpoint.post("Content-Type: application/json\r\n", "{\"a\":\n1}");
    assert_eq!((answer.status, &*answer.body), (202, "{\"records\":1}"));
    assert_eq!(endpoint.records(), ["{\"a\":\n1}"]);
    let answer = endpoint.post(LINES, "1\n\n2\r\n3");
    assert_eq!((answer.status, &*answer.body), (202, "{\"records\":3}"));
    assert_eq!(endpoint.records()[1..], ["1", "2\r", "3"]);
    assert_eq!(endpoint.handle.as_ref().unwrap().standing().records, 4);
}

#[test]
fn what_is_no_record_is_refused_and_says_why() {
    let endpoint = Endpoint::new("");
    let status = |method: &str, path: &str, headers: &str, body: &str| {
        let bytes = request(method, path, headers, body.as_bytes());
        let answer = send(endpoint.address(), &bytes).unwrap();
        assert!(answer.body.starts_with("{\"error\":\""), "{answer:?}");
        answer.status
    };
    assert_eq!(status("POST", "/other", "", "1"), 404);
    assert_eq!(status("GET", "/in", "", ""), 405);
    assert_eq!(status("POST", "/in", "", ""), 400);
    assert_eq!(status("POST", "/in", LINES, "\n\n"), 400);
    assert_eq!(status("POST", "/in", "Idempotency-Key: \"open\r\n", "1"), 400);
    assert_eq!(status("POST", "/in", "Idempotency-Key: a\r\nIdempotency-Key: b\r\n", "1"), 400);
    assert_eq!(status("POST", "/in", "", &"x".repeat(1001)), 413);
    assert_eq!(status("POST", "/in", LINES, &format!("1\n{}\n", "x".repeat(1001))), 413);
    assert_eq!(status("POST", "/in", LINES, &"x\n".repeat(2501)), 413);
    assert!(endpoint.records().is_empty());
    assert_eq!(endpoint.post("", &"x".repeat(1000)).status, 202);
}

#[test]
fn a_body_without_a_length_is_bounded_too() {
    let endpoint = Endpoint::new("");
    let chunked = |body: &str| {
        let head = "POST /in HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        let head = format!("{head}{LINES}Transfer-Encoding: chunked\r\n\r\n");
        let chunks = body.as_bytes().chunks(700).map(|chunk| {
            let text = std::str::from_utf8(chunk).unwrap();
            format!("{:x}\r\n{text}\r\n", chunk.len())
        });
        let all = format!("{head}{}0\r\n\r\n", chunks.collect::<String>());
        send(endpoint.address(), all.as_bytes()).unwrap().status
    };
    assert_eq!(chunked(&"1\n".repeat(2501)), 413);
    assert_eq!(chunked(&"1\n".repeat(2500)), 202);
    assert_eq!(endpoint.records().len(), 2500);
}

#[test]
fn a_client_that_sends_far_too_much_still_hears_413() {
    let endpoint = Endpoint::new("");
    let answer = endpoint.post("", &"x".repeat(3 << 20));
    assert_eq!(answer.status, 413);
}

#[test]
fn without_the_token_nothing_is_taken() {
    // Any variable that is set will do.
    let name = "CARGO_PKG_NAME";
    let token = std::env::var(name).unwrap();
    let endpoint = Endpoint::new(&format!(", token_env = '{name}'"));
    let with = |token: &str| format!("Authorization: {token}\r\n");
    assert_eq!(endpoint.post("", "1").status, 401);
    assert_eq!(endpoint.post(&with("Bearer wrong"), "1").status, 401);
    assert_eq!(endpoint.post(&with(&token), "1").status, 401);
    let answer = endpoint.post("", "1");
    assert!(answer.head.contains("www-authenticate: bearer"), "{answer:?}");
    assert_eq!(endpoint.post(&with(&format!("bearer {token}")), "1").status, 202);
    assert_eq!(endpoint.records(), ["1"]);
}

#[test]
fn a_key_takes_a_request_once_over_restarts_too() {
    let mut endpoint = Endpoint::new("");
    let key = "Idempotency-Key: \"k 1\"\r\n";
    for round in 0..3 {
        let answer = endpoint.post(key, "1");
        assert_eq!((answer.status, &*answer.body), (202, "{\"records\":1}"));
        assert_eq!(answer.head.contains("idempotency-replayed: true"), round > 0);
        assert_eq!(endpoint.post(key, "2").status, 422);
        // The same bytes as many records are another request.
        assert_eq!(endpoint.post(&format!("{key}{LINES}"), "1").status, 422);
        endpoint.restart();
    }
    let lines = format!("Idempotency-Key: many\r\n{LINES}");
    for _ in 0..2 {
        assert_eq!(endpoint.post(&lines, "2\n3\n").body, "{\"records\":2}");
    }
    assert_eq!(endpoint.records(), ["1", "2", "3"]);
    let keys = headers(&*endpoint.log, "in", "idempotency-key");
    let expected = ["k 1", "many/0", "many/1"].map(|key| Some(key.to_owned()));
    assert_eq!(keys, expected);
}

#[test]
fn the_last_keys_are_remembered_in_few_rows() {
    let mut endpoint = Endpoint::new(", keys_max = 10");
    for key in 0..2500 {
        let key = format!("Idempotency-Key: {key}\r\n");
        // Faster than the backlog is asked for, one is told to wait.
        until(|| endpoint.post(&key, "1").status == 202);
    }
    let (first, end) = endpoint.log.range("p.source.lines", 0).unwrap();
    assert!(first > 0 && end - first <= 1010, "{first} to {end}");
    for _ in 0..2 {
        until(|| endpoint.post("Idempotency-Key: 2499\r\n", "2").status == 422);
        assert_eq!(endpoint.post("Idempotency-Key: 2490\r\n", "1").status, 202);
        endpoint.restart();
    }
    assert_eq!(endpoint.records().len(), 2500);
    assert_eq!(endpoint.post("Idempotency-Key: 5\r\n", "2").status, 202);
}

/// A gate in the clock, which is asked in the middle of a commit.
#[derive(Clone, Default)]
struct Gate {
    shut: Arc<Mutex<()>>,
    reached: Arc<AtomicU64>,
}

impl Gate {
    fn build(&self, host: &mut Host) {
        let gate = self.clone();
        host.now_ms = Arc::new(move || {
            gate.reached.fetch_add(1, Ordering::SeqCst);
            drop(gate.shut.lock().unwrap_or_else(PoisonError::into_inner));
            1
        });
    }

    fn wait(&self) {
        until(|| self.reached.load(Ordering::SeqCst) > 0);
    }
}

#[test]
fn a_key_under_way_is_409_and_too_many_requests_are_429() {
    let gate = Gate::default();
    let endpoint = Endpoint::with_host(", requests_max = 2", |host| gate.build(host));
    let shut = gate.shut.lock().unwrap();
    let key = "Idempotency-Key: a\r\n";
    let mut first = TcpStream::connect(endpoint.address()).unwrap();
    first.write_all(&request("POST", "/in", key, b"1")).unwrap();
    gate.wait();
    let answer = endpoint.post(key, "1");
    assert!(answer.status == 409 && answer.head.contains("retry-after: 1"), "{answer:?}");
    assert_eq!(endpoint.post(key, "2").status, 422);
    let mut second = TcpStream::connect(endpoint.address()).unwrap();
    second.write_all(&request("POST", "/in", "", b"2")).unwrap();
    until(|| endpoint.post("Idempotency-Key: \"\r\n", "").status == 429);
    let answer = endpoint.post("", "3");
    assert!(answer.status == 429 && answer.head.contains("retry-after: 1"), "{answer:?}");
    drop(shut);
    assert_eq!(hear(&mut first).unwrap().status, 202);
    assert_eq!(hear(&mut second).unwrap().status, 202);
    assert_eq!(endpoint.post(key, "1").status, 202);
    assert_eq!(endpoint.records(), ["1", "2"]);
}

#[test]
fn while_the_readers_lag_behind_clients_are_told_to_wait() {
    let backlog = Arc::new(AtomicU64::new(101));
    let theirs = Arc::clone(&backlog);
    let endpoint = Endpoint::with_host("", |host| {
        host.backlog = Arc::new(move |_| theirs.load(Ordering::SeqCst));
    });
    let answer = endpoint.post("", "1");
    assert!(answer.status == 429 && answer.head.contains("retry-after: 1"), "{answer:?}");
    backlog.store(100, Ordering::SeqCst);
    until(|| endpoint.post("", "1").status == 202);
    assert_eq!(endpoint.records(), ["1"]);
}

#[test]
fn a_slow_client_is_not_waited_for_and_holds_nobody_up() {
    let folder = Folder::new("slow");
    let pipeline = endpoint(&folder, ", requests_max = 4");
    let log = Arc::new(Memory::new());
    let SourceKind::Http(settings) = &source(&pipeline).kind else { panic!() };
    let settings: &HttpSource = settings;
    let times = Times { head: Duration::from_millis(200), body: Duration::from_millis(200) };
    let host = host(&pipeline, log.clone());
    let server = Server::new(source(&pipeline), settings, host, times).unwrap();
    let address = server.address();
    let handle = spawn(source(&pipeline), Some(address), move |shared| server.run(shared)).unwrap();
    let mut slow: Vec<TcpStream> = (0..30)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            let part: &[u8] = match number < 3 {
                true => b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
                false => b"POST /in HTTP/1.1\r\nHos",
            };
            stream.write_all(part).unwrap();
            stream
        })
        .collect();
    assert_eq!(send(address, &request("POST", "/in", "", b"1")).unwrap().status, 202);
    for (number, stream) in slow.iter_mut().enumerate() {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        match number < 3 {
            true => assert_eq!(hear(stream).unwrap().status, 408),
            // Closed, with an answer or without.
            false => drop(stream.read_to_end(&mut Vec::new()).unwrap()),
        }
    }
    assert_eq!(texts(&*log, "in"), ["1"]);
    handle.drain();
    handle.join().unwrap();
}

#[test]
fn many_clients_at_once_lose_nothing_and_get_nothing_twice() {
    let endpoint = Endpoint::new(", requests_max = 8");
    let address = endpoint.address();
    std::thread::scope(|scope| {
        for client in 0..16 {
            scope.spawn(move || {
                for number in 0..40 {
                    let text = format!("{client} {number}");
                    let key = format!("Idempotency-Key: \"{text}\"\r\n");
                    let bytes = request("POST", "/in", &key, text.as_bytes());
                    // Each is sent again until it is taken, and then once more.
                    for _ in 0..2 {
                        until(|| send(address, &bytes).is_ok_and(|answer| answer.status == 202));
                    }
                }
            });
        }
    });
    let mut found = endpoint.records();
    found.sort();
    let mut expected: Vec<String> =
        (0..16).flat_map(|c| (0..40).map(move |n| format!("{c} {n}"))).collect();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn killed_before_or_after_a_request_was_stored_it_is_taken_once() {
    for stores_last in [false, true] {
        let folder = Folder::new("http-killed");
        let pipeline = endpoint(&folder, "");
        let log = Arc::new(Memory::new());
        let mut taken = 0;
        for number in 0..30 {
            let text = format!("record {number}");
            let key = format!("Idempotency-Key: key-{number}\r\n");
            let bytes = request("POST", "/in", &key, text.as_bytes());
            // Topics and claim are four writes; then some requests are stored before the end.
            let mortal = Mortal::new(&log, 4 + number % 2, stores_last);
            let handle = start(source(&pipeline), host(&pipeline, mortal.clone())).unwrap();
            let address = handle.address().unwrap();
            let first = send(address, &bytes).unwrap();
            match number % 2 {
                0 => {
                    assert_eq!(first.status, 503, "{first:?}");
                    assert!(handle.join().is_err());
                }
                _ => {
                    assert_eq!(first.status, 202);
                    drop(send(address, &request("POST", "/in", "", b"never")));
                    assert!(handle.join().is_err());
                }
            }
            // The next life; the client comes again.
            let handle = start(source(&pipeline), host(&pipeline, log.clone())).unwrap();
            let again = send(handle.address().unwrap(), &bytes).unwrap();
            assert_eq!((again.status, &*again.body), (202, "{\"records\":1}"));
            handle.drain();
            handle.join().unwrap();
            taken += 1;
            let found = texts(&*log, "in");
            let found: Vec<_> = found.iter().filter(|text| *text != "never").collect();
            assert_eq!(found.len(), taken, "{number} {stores_last}");
        }
    }
}

#[test]
fn a_drain_answers_what_was_taken_and_refuses_the_rest() {
    let gate = Gate::default();
    let mut endpoint = Endpoint::with_host("", |host| gate.build(host));
    let shut = gate.shut.lock().unwrap();
    let address = endpoint.address();
    let mut first = TcpStream::connect(address).unwrap();
    first.write_all(&request("POST", "/in", "", b"1")).unwrap();
    gate.wait();
    // One that has sent half of its body.
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345").unwrap();
    endpoint.handle.as_ref().unwrap().drain();
    drop(shut);
    assert_eq!(hear(&mut first).unwrap().status, 202);
    half.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(hear(&mut half).map_or(503, |answer| answer.status), 503);
    endpoint.handle.take().unwrap().join().unwrap();
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(endpoint.records(), ["1"]);
}

#[test]
fn keys_survive_in_a_reopened_database() {
    let folder = Folder::new("http-embedded");
    let pipeline = endpoint(&folder, "");
    for round in 0..3 {
        let path = folder.path("log.db");
        let log = Arc::new(Embedded::open(&path, &Options::default()).unwrap());
        let handle = start(source(&pipeline), host(&pipeline, log.clone())).unwrap();
        let key = "Idempotency-Key: k\r\n";
        let bytes = request("POST", "/in", key, b"1");
        let answer = send(handle.address().unwrap(), &bytes).unwrap();
        assert_eq!(answer.status, 202, "round {round}");
        handle.drain();
        handle.join().unwrap();
        assert_eq!(texts(&*log, "in"), ["1"]);
    }
}

#[test]
fn an_address_that_is_taken_is_said_at_once() {
    let endpoint = Endpoint::new("");
    let folder = Folder::new("http-taken");
    let listen = endpoint.address();
    let settings = format!("http = {{ listen = '{listen}' }}");
    let pipeline = pipeline(&folder.0, &settings, "{ partitions = 1 }");
    let error = start(source(&pipeline), host(&pipeline, Arc::new(Memory::new()))).unwrap_err();
    assert!(error.to_string().contains(&listen.to_string()), "{error}");
}

#[test]
fn a_key_of_the_topic_can_be_a_header_of_the_request() {
    let folder = Folder::new("http-header");
    let pipeline = pipeline(
        &folder.0,
        "http = { listen = '127.0.0.1:0', path = '/in' }",
        "{ partitions = 1, key = { header = 'X-Device' } }",
    );
    let log = Arc::new(Memory::new());
    let handle = start(source(&pipeline), host(&pipeline, log.clone())).unwrap();
    let bytes = request("POST", "/in", "x-device: seven\r\n", b"1");
    assert_eq!(send(handle.address().unwrap(), &bytes).unwrap().status, 202);
    let max = pawl_transport::ReadMax { records: 10, bytes: 1000 };
    let batches = log.read("in", 0, 0, max).unwrap();
    assert_eq!(batches[0].records.keys.get(0), Some(&b"seven"[..]));
    assert_eq!(headers(&*log, "in", "X-Device"), [Some("seven".to_owned())]);
}
