//! Traces: a span for each commit reaches a collector, and says what the commit held; a collector
//! that is away costs nothing; a record's trace context goes on to what is made from it.

use crate::monitor::Watched;
use pawl_tests::{Folder, input, wait_for};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const PIPELINE: &str = r#"
pawl = 1
name = "traced"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
[topics.out]
[topics.side]
[[stage]]
name = "copy"
input = "in"
output = "out"
[[stage.operator]]
name = "first"
plugin = "identity"
[[stage.operator]]
name = "guest"
plugin = "misbehaving"
config = { mode = "by-value" }
outputs = { side = "side" }
"#;

/// Path and body of a request.
type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A collector that takes everything.
fn collector() -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has ports");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    let requests = Requests::default();
    let taken = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let taken = Arc::clone(&taken);
            std::thread::spawn(move || while take(&stream, &taken).is_some() {});
        }
    });
    (address, requests)
}

fn take(mut stream: &std::net::TcpStream, taken: &Requests) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let (mut length, mut is_protobuf) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse().ok()?;
        }
        is_protobuf |= line == "content-type: application/x-protobuf";
    }
    assert!(is_protobuf, "OTLP over HTTP is protobuf");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    taken.lock().unwrap().push((first, body));
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()
}

/// The fields of a protobuf message that are numbers, or bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes);
        let field = match tag & 7 {
            0 => Field::Number(number(&mut bytes)),
            1 => Field::Bytes(bytes.split_off(..8).expect("eight bytes")),
            2 => {
                let length = number(&mut bytes) as usize;
                Field::Bytes(bytes.split_off(..length).expect("as many bytes as it says"))
            }
            5 => Field::Bytes(bytes.split_off(..4).expect("four bytes")),
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, field));
    }
    fields
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn number(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = *bytes.split_off_first().expect("a number has an end");
        value |= u64::from(byte & 127) << shift;
        shift += 7;
        if byte < 128 {
            return value;
        }
    }
}

fn parts(bytes: &[u8], which: u64) -> Vec<&[u8]> {
    let fields = fields(bytes).into_iter();
    let bytes = fields.filter_map(|(tag, field)| match field {
        Field::Bytes(bytes) if tag == which => Some(bytes),
        _ => None,
    });
    bytes.collect()
}

/// A span as the test looks at it.
#[derive(Debug, Default)]
struct Span {
    name: String,
    stage: String,
    records: u64,
    dead_letters: u64,
    linked_to: Vec<Vec<u8>>,
}

/// `ExportTraceServiceRequest`: resource spans (1), scope spans (2), spans (2).
fn spans(requests: &Requests) -> Vec<Span> {
    let requests = requests.lock().unwrap();
    let mut spans = Vec::new();
    for (first, body) in requests.iter() {
        assert!(first.starts_with("POST /v1/traces "), "{first}");
        for resource in parts(body, 1) {
            for scope in parts(resource, 2) {
                spans.extend(parts(scope, 2).into_iter().map(span));
            }
        }
    }
    spans
}

/// `Span`: name (5), attributes (9) of key (1) and value (2), links (13) with their trace (1).
fn span(bytes: &[u8]) -> Span {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut span = Span { name: text(parts(bytes, 5)[0]), ..Span::default() };
    for attribute in parts(bytes, 9) {
        let key = text(parts(attribute, 1)[0]);
        let value = parts(attribute, 2)[0];
        let number = fields(value).into_iter().find_map(|(tag, field)| match field {
            Field::Number(number) if tag == 3 => Some(number),
            _ => None,
        });
        match key.as_str() {
            "pawl.stage" => span.stage = text(parts(value, 1)[0]),
            "pawl.records" => span.records = number.unwrap_or(0),
            "pawl.dead_letters" => span.dead_letters = number.unwrap_or(0),
            _ => {}
        }
    }
    span.linked_to = parts(bytes, 13).into_iter().map(|link| parts(link, 1)[0].to_vec()).collect();
    span
}

#[test]
fn each_commit_is_a_span_linked_to_the_traces_of_its_records() {
    let (address, requests) = collector();
    let folder = Folder::new("traced", PIPELINE);
    let plain: String =
        input::numbered(0, 300).iter().map(|text| format!("{{\"value\":\"{text}\"}}\n")).collect();
    let bad = format!("{{\"value\":\"trap\",\"headers\":{{\"traceparent\":\"{TRACE}\"}}}}\n");
    let good = bad.replace("trap\"", "good\"");
    folder.produce_json("in", &format!("{plain}{bad}{good}"));
    let mut command = folder.command(&["run", "p.toml", "--until-idle"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &address);
    let ended = folder.start_command(command).wait().success();
    assert!(!ended.err.contains("could not be sent"), "{}", ended.err);
    let spans = spans(&requests);
    assert!(spans.iter().all(|span| span.name == "commit" && span.stage == "copy"));
    let total: u64 = spans.iter().map(|span| span.records).sum();
    assert_eq!(total, 302, "every row is in one commit: {spans:?}");
    assert_eq!(spans.iter().map(|span| span.dead_letters).sum::<u64>(), 1);
    let trace = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes().to_vec();
    assert!(spans.iter().any(|span| span.linked_to.contains(&trace)), "{spans:?}");

    // The context goes on with the record, and with the dead letter.
    let stored = folder.stored();
    let rows = stored.rows("out");
    let of = |value: &str| rows.iter().find(|row| row.value == value.as_bytes()).unwrap();
    let carried = |row: &pawl_tests::stored::Row| row.headers.get("traceparent").cloned();
    assert_eq!(carried(of("record 0")), None);
    let letters = stored.rows("traced.dlq");
    assert_eq!(carried(&letters[0]), Some(TRACE.as_bytes().to_vec()));
    assert_eq!(carried(of("good")), Some(TRACE.as_bytes().to_vec()));
}

#[test]
fn a_collector_that_is_away_or_takes_and_never_answers_stops_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("the loopback has ports");
    let silent = format!("http://{}", silent.local_addr().expect("it is bound"));
    for endpoint in ["http://127.0.0.1:9", &silent, "nonsense", "https://127.0.0.1:9"] {
        let folder = Folder::new("away", PIPELINE);
        folder.produce("in", &input::joined(&input::numbered(0, 300)));
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "2"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
        ];
        let watched = Watched::start(&folder, &["--set", "commit.records_max=1"], &environment);
        wait_for("all to be through", LIMIT, || {
            (folder.stored().texts("out").len() == 300).then_some(())
        });
        watched.running.signal("TERM");
        watched.running.wait().success();
    }
}
