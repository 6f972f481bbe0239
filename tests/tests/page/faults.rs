//! Faults of every kind, put into a real host, and what somebody on call must then see: the state
//! of the task, `/readyz`, the series on which an alert looks, and the page's headline. Nothing
//! that is compared here was invented: a rule that waits for what no host shows is found out.

use crate::browser::{Browser, LIMIT};
use pawl_tests::input::{START_MS, joined, numbered, observation};
use pawl_tests::{Folder, wait_for};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// A fault, and what it must look like.
struct Fault {
    name: &'static str,
    pipeline: &'static str,
    /// Done before the start and once it runs. What it returns lives as long as the host.
    before: fn(&Folder),
    inject: fn(&Folder),
    /// Done again and again while somebody looks at the page.
    goes_on: fn(&Folder),
    /// Which task, in which state, with which code (none: none).
    task: (&'static str, &'static str, Option<&'static str>),
    ready: u16,
    /// Beginnings of samples, and whether the value is above this.
    above: &'static [(&'static str, f64)],
    /// Samples that are exactly this.
    equal: &'static [(&'static str, f64)],
    headline: &'static str,
    /// Words that stand below it.
    says: &'static [&'static str],
}

const HTTP: &str = r#"
pawl = 1
name = "faults"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[[stage]]
name = "copy"
input = "in"
output = "out"
[[stage.operator]]
name = "guest"
plugin = "identity"
[[sink]]
name = "hook"
input = "out"
backoff_ms = 5
backoff_max_ms = 50
retries_max = 1000000
[sink.http]
url = "http://127.0.0.1:PORT/"
"#;

const STAGE: &str = r#"
pawl = 1
name = "faults"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[topics.side]
[checkpoint]
interval_ms = 20
[commit]
interval_ms = 20
[[stage]]
name = "copy"
input = "in"
output = "out"
[[stage.operator]]
name = "guest"
plugin = "misbehaving"
config = { mode = "snapshot-traps" }
outputs = { side = "side" }
"#;

const WINDOWS: &str = r#"
pawl = 1
name = "faults"
data = "data"
plugins = ["PLUGINS"]
[topics.observations]
partitions = 2
key = { field = "/cell" }
[topics.between]
[topics.alerts]
[dead_letters]
age_max_ms = 3000000
[[stage]]
name = "observe"
input = "observations"
output = "between"
idle_after_ms = 100000000
breaker = { records = 400, failed_share_max = SHARE }
[[stage.operator]]
name = "first"
plugin = "identity"
[stage.operator.edge]
id = { field = "/observation_id" }
event_time = { field = "/t_ms", unit = "ms" }
watermark = { disorder_ms = 500 }
dedup = { horizon_ms = 60000, ids_max = 10000 }
[[stage]]
name = "window"
input = "between"
output = "alerts"
[[stage.operator]]
name = "window"
plugin = "count-window"
config = { window_ms = 1000, min_sensors = 1 }
"#;

const SOURCE: &str = r#"
pawl = 1
name = "faults"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[[source]]
name = "drop"
topic = "in"
[source.file]
path = "*.jsonl"
follow = true
look_ms = 5
[[stage]]
name = "copy"
input = "in"
output = "out"
[[stage.operator]]
name = "guest"
plugin = "identity"
"#;

const FAULTS: [Fault; 9] = [
    Fault {
        name: "dry",
        pipeline: SOURCE,
        before: |folder| folder.write("a.jsonl", b"{}\n"),
        inject: |_| {},
        goes_on: |_| {},
        task: ("copy", "waiting", None),
        ready: 200,
        // In this century: the alert compares it with the clock.
        above: &[("pawl_source_last_record_timestamp_seconds{source=\"drop\"}", 1e9)],
        equal: &[("pawl_source_records_total{source=\"drop\",topic=\"in\"}", 1.0)],
        headline: "All is well",
        says: &["end of their input"],
    },
    Fault {
        name: "refused",
        pipeline: HTTP,
        before: |_| {},
        inject: |folder| folder.produce("in", &joined(&numbered(0, 30))),
        goes_on: |_| {},
        task: ("hook", "running", Some("connect")),
        ready: 200,
        above: &[
            ("pawl_sink_failures_total{stage=\"hook\",partition=\"0\",kind=\"connect\"}", 1.0),
            ("pawl_sink_failing_seconds{stage=\"hook\",partition=\"0\"}", 0.1),
            ("pawl_in_flight_records{stage=\"hook\",partition=\"0\"}", 0.0),
        ],
        equal: &[
            ("pawl_task_state{stage=\"hook\",partition=\"0\",state=\"running\"}", 1.0),
            ("pawl_lag_records{stage=\"hook\",partition=\"0\"}", 30.0),
        ],
        headline: "The receiver of hook fails: connect",
        says: &["30 records wait", "PawlSinkFailing"],
    },
    Fault {
        name: "slow",
        pipeline: HTTP,
        before: |_| {},
        inject: |folder| folder.produce("in", &joined(&numbered(0, 400))),
        goes_on: |_| {},
        task: ("hook", "running", None),
        ready: 200,
        above: &[
            ("pawl_delivery_seconds_total{stage=\"hook\",partition=\"0\"}", 2.0),
            ("pawl_lag_records{stage=\"hook\",partition=\"0\"}", 300.0),
        ],
        equal: &[("pawl_sink_failing_seconds{stage=\"hook\",partition=\"0\"}", 0.0)],
        headline: "The receiver of hook is slow",
        says: &["records wait", "PawlSinkSlow"],
    },
    Fault {
        name: "idle-producer",
        pipeline: WINDOWS,
        before: |_| {},
        inject: |folder| one_cell(folder, 870),
        goes_on: |_| {},
        task: ("window", "waiting", None),
        ready: 200,
        above: &[("pawl_records_in_total{stage=\"window\",partition=\"0\"}", 869.0)],
        equal: &[("pawl_watermark_known{stage=\"window\",partition=\"0\"}", 0.0), ("pawl_up", 1.0)],
        headline: "window has no event time yet",
        says: &["which has had no record yet", "PawlWatermarkStuck"],
    },
    Fault {
        name: "breaker",
        pipeline: WINDOWS,
        before: |_| {},
        inject: |folder| {
            folder.produce("observations", &joined(&vec!["no observation"; 2000]));
        },
        goes_on: |_| {},
        task: ("observe", "stopped", Some("circuit-breaker")),
        ready: 503,
        above: &[],
        equal: &[("pawl_up", 1.0)],
        headline: "stopped: circuit-breaker",
        says: &["pawl explain circuit-breaker", "PawlTaskStopped"],
    },
    Fault {
        name: "snapshot",
        pipeline: STAGE,
        before: |_| {},
        inject: |folder| folder.produce("in", &joined(&numbered(0, 10))),
        goes_on: |_| {},
        task: ("copy", "waiting", None),
        ready: 200,
        above: &[("pawl_task_restarts_total{stage=\"copy\",partition=\"0\"}", 0.0)],
        equal: &[("pawl_checkpoint_failed{stage=\"copy\",partition=\"0\"}", 1.0)],
        headline: "copy could not take a checkpoint: snapshot",
        says: &["pawl explain snapshot", "PawlCheckpointOld"],
    },
    Fault {
        name: "refusals",
        pipeline: WINDOWS,
        before: |folder| many_cells(folder, 2000),
        inject: half_refused,
        goes_on: half_refused,
        task: ("window", "waiting", None),
        ready: 200,
        above: &[("pawl_dlq_entries_total{stage=\"observe\"", 9.0)],
        equal: &[("pawl_dlq_stops_at_max", 1.0)],
        headline: "first refuses",
        says: &[
            "--window=5m",
            "PawlDeadLettersSpike",
            "at its bound in",
            "PawlDeadLettersNearBound",
        ],
    },
    Fault {
        name: "loop",
        pipeline: HTTP,
        before: |folder| {
            for _ in 0..3 {
                let mut running = folder.start(&["run", "p.toml", "--listen", "127.0.0.1:0"]);
                running.wait_until_it_says("serving metrics");
                wait_for("the journal", LIMIT, || {
                    folder.data().join("metrics.prom").is_file().then_some(())
                });
                assert!(running.kill().was_killed());
                std::fs::remove_file(folder.data().join("metrics.prom")).expect("it is there");
            }
        },
        inject: |_| {},
        goes_on: |_| {},
        task: ("hook", "waiting", None),
        ready: 200,
        above: &[("pawl_data_free_bytes", 0.0), ("pawl_log_bytes", 0.0)],
        equal: &[("pawl_unclean_ends", 3.0)],
        headline: "The host has died 3 times in a row",
        says: &["PawlProcessRestarts"],
    },
    Fault {
        name: "nothing",
        pipeline: HTTP,
        before: |_| {},
        inject: |_| {},
        goes_on: |_| {},
        task: ("hook", "waiting", None),
        ready: 200,
        above: &[],
        equal: &[("pawl_sink_failing_seconds{stage=\"hook\",partition=\"0\"}", 0.0)],
        headline: "All is well",
        says: &["end of their input"],
    },
];

/// Observations of one cell, so that one of two partitions stays empty.
fn one_cell(folder: &Folder, count: u64) {
    let line = |number: u64| observation(number, 7, START_MS + number as i64 * 20);
    let lines: Vec<String> = (0..count).map(line).collect();
    folder.produce("observations", &joined(&lines));
}

/// Observations of many cells, in both partitions.
fn many_cells(folder: &Folder, count: u64) {
    let line = |number: u64| observation(number, number % 40, START_MS + number as i64 * 20);
    folder.produce("observations", &joined(&(0..count).map(line).collect::<Vec<_>>()));
}

/// Some observations, and as many without a time.
fn half_refused(folder: &Folder) {
    static NUMBER: AtomicU64 = AtomicU64::new(100_000);
    let lines = (0..40).map(|_| {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        match number % 2 {
            0 => observation(number, number % 39, START_MS + number as i64 * 20),
            _ => format!("{{\"observation_id\":\"{number}\",\"cell\":\"{}\"}}", number % 39),
        }
    });
    folder.produce("observations", &joined(&lines.collect::<Vec<_>>()));
}

/// A receiver that takes as long as it likes over each request; it ends with the test.
fn slow_receiver() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer_slowly(stream));
        }
    });
    port
}

fn answer_slowly(stream: TcpStream) {
    let mut lines = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                let line = line.trim().to_ascii_lowercase();
                if let Some(bytes) = line.strip_prefix("content-length:") {
                    length = bytes.trim().parse().unwrap_or(0);
                }
                if line.is_empty() {
                    break;
                }
            } else {
                return;
            }
        }
        let mut body = vec![0; length];
        if lines.read_exact(&mut body).is_err() {
            return;
        }
        // That is how slow it is; nobody waits here for something to be true.
        let (_keep, never) = sync_channel::<()>(0);
        assert!(never.recv_timeout(Duration::from_secs(3)).is_err(), "nobody sends");
        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        if lines.get_mut().write_all(ok).is_err() {
            return;
        }
    }
}

/// A port on which nobody listens.
fn no_receiver() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

impl Fault {
    /// Puts it into a host and sees what that shows.
    fn is_seen(&self, browser: &mut Option<Browser>) {
        let port = if self.name == "slow" { slow_receiver() } else { no_receiver() };
        let share = if self.name == "breaker" { "0.5" } else { "1.0" };
        let pipeline = self.pipeline.replace("PORT", &port.to_string()).replace("SHARE", share);
        let folder = Folder::new(&format!("fault-{}", self.name), &pipeline);
        (self.before)(&folder);
        let (running, address) = crate::real::start(&folder, "127.0.0.1:0");
        self.wait("to rest first", &address, |status| {
            let mut tasks = tasks(status);
            status["ready"] == true && tasks.all(|task| task["state"] == "waiting")
        });
        (self.inject)(&folder);
        self.is_on_status(&address);
        let metrics = wait_for(&format!("{}: the series", self.name), LIMIT, || {
            let (_, text) = get(&address, "/metrics")?;
            let value = |name: &str| {
                let line = text.lines().find(|line| line.starts_with(name))?;
                line.rsplit(' ').next()?.parse::<f64>().ok()
            };
            let above = |(name, least): &(&str, f64)| value(name).is_some_and(|it| it > *least);
            let equal = |(name, is): &(&str, f64)| value(name) == Some(*is);
            (self.above.iter().all(above) && self.equal.iter().all(equal)).then_some(text)
        });
        if self.ready == 503 {
            assert!(metrics.contains("pawl_task_stopped{"), "{}: {metrics}", self.name);
        }
        if let Some(browser) = browser {
            browser.open(&format!("http://{address}/"));
            let headline = "document.querySelector('#verdict h1')?.innerText";
            wait_for(&format!("{}: {}", self.name, self.headline), LIMIT, || {
                (self.goes_on)(&folder);
                let said = browser.eval(&format!("!!{headline}?.includes({:?})", self.headline));
                (said == true).then_some(())
            });
            for text in self.says {
                let said =
                    format!("document.querySelector('#verdict').innerText.includes({text:?})");
                browser.wait(&format!("{}: {text}", self.name), &said);
            }
        }
        // Whatever is wrong, it ends when it is asked to.
        running.signal("TERM");
        running.wait();
    }

    fn wait(&self, what: &str, address: &str, is: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("{} {what}", self.name), LIMIT, || {
            let (_, text) = get(address, "/api/status")?;
            let status: Value = serde_json::from_str(&text).ok()?;
            is(&status).then_some(status)
        })
    }

    fn is_on_status(&self, address: &str) {
        let (stage, state, code) = self.task;
        let status = self.wait("to be seen", address, |status| {
            let stages = status["stages"].as_array().into_iter().flatten();
            let mut tasks = stages
                .filter(|one| one["name"] == stage)
                .flat_map(|one| one["tasks"].as_array().into_iter().flatten());
            let seen =
                |task: &Value| task["state"] == state && task["reason"]["code"].as_str() == code;
            tasks.any(seen)
        });
        let (ready, text) = get(address, "/readyz").expect("it answers");
        assert_eq!(ready, self.ready, "{}: {text}\n{status}", self.name);
        // What stands in the way of a sink is told to whoever asks whether all is ready.
        assert!(code.is_none_or(|code| text.contains(code)), "{}: {text}", self.name);
    }
}

fn tasks(status: &Value) -> impl Iterator<Item = &Value> {
    let stages = status["stages"].as_array().into_iter().flatten();
    stages.flat_map(|stage| stage["tasks"].as_array().into_iter().flatten())
}

#[test]
fn each_fault_of_a_real_host_is_seen_on_status_readiness_metrics_and_the_page() {
    let mut browser = Browser::start();
    if let Some(browser) = &mut browser {
        browser.look(1280, 900, "light");
    }
    let only = std::env::var("PAWL_FAULT").ok();
    for fault in FAULTS.iter().filter(|fault| only.as_ref().is_none_or(|it| it == fault.name)) {
        println!("{}", fault.name);
        fault.is_seen(&mut browser);
    }
}
