//! The sink `http` against a receiver on the loopback that fails in all the ways receivers do.

#[path = "support/receiver.rs"]
mod receiver;

use pawl_pipeline::{HttpMode, HttpSink, Secret};
use pawl_sink::http::Http;
use pawl_sink::suite::{self, Place, Promises, Random, Record};
use pawl_sink::{Delivery, Sink, Verdict};
use receiver::{Receiver, Step};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn config(url: String) -> HttpSink {
    HttpSink {
        url: Secret::Text(url),
        mode: HttpMode::AtLeastOnce,
        idempotency_key: true,
        headers: BTreeMap::new(),
        signature: None,
        concurrency_max: 4,
        timeout_ms: 5_000,
    }
}

fn http(config: &HttpSink) -> Http {
    let mut http = Http::new(config).expect("a configuration that works");
    http.open(&suite::owner(0, 1)).expect("nothing to open");
    http
}

fn sink(receiver: &Receiver) -> Http {
    http(&config(receiver.url()))
}

fn impatient(receiver: &Receiver) -> Http {
    http(&HttpSink { timeout_ms: 300, ..config(receiver.url()) })
}

fn once(receiver: &Receiver) -> Http {
    let once = HttpSink { mode: HttpMode::AtMostOnce, ..config(receiver.url()) };
    http(&HttpSink { idempotency_key: false, timeout_ms: 300, ..once })
}

fn record<'a>(id: &'a str, key: Option<&'a str>, value: &'a str) -> Delivery<'a> {
    let (key, value) = (key.map(str::as_bytes), Some(value.as_bytes()));
    Delivery { position: 0, id, key, value, event_time: None, headers: vec![] }
}

fn deliver(sink: &mut Http, records: &[Delivery<'_>]) -> Vec<Verdict> {
    let verdicts = sink.deliver(records).expect("no verdict is an error");
    assert_eq!(verdicts.len(), records.len());
    verdicts
}

fn one(sink: &mut Http, id: &str, value: &str) -> Verdict {
    deliver(sink, &[record(id, None, value)]).remove(0)
}

/// Word and kind.
fn short(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Delivered => "delivered".to_owned(),
        Verdict::Waiting => "waiting".to_owned(),
        Verdict::Rejected { kind, .. } => format!("rejected {kind}"),
        Verdict::Failed { kind, .. } => format!("failed {kind}"),
        Verdict::Unknown { kind, .. } => format!("unknown {kind}"),
    }
}

struct Loopback(Receiver);

impl Place for Loopback {
    fn sink(&self) -> Box<dyn Sink> {
        let config = HttpSink { concurrency_max: 1, ..config(self.0.url()) };
        Box::new(Http::new(&config).expect("a configuration that works"))
    }

    fn effects(&self) -> Vec<(String, Vec<u8>)> {
        self.0.effects()
    }
}

#[test]
fn it_does_what_every_sink_does_if_the_receiver_honours_keys() {
    suite::all(Promises { fenced: false }, || Loopback(Receiver::with_keys()));
}

#[test]
fn every_attempt_is_the_same_request() {
    let receiver = Receiver::with_keys();
    let mut config = config(receiver.url());
    config.headers.insert("X-Team".to_owned(), Secret::Text("orbit".to_owned()));
    config.signature = Some(Secret::Text("secret".to_owned()));
    receiver.script([Step::status(503), Step::Drop]);
    for expected in ["failed http-503", "failed connection-lost", "delivered"] {
        assert_eq!(short(&one(&mut http(&config), "alert-7", "{\"n\":1}")), expected);
    }
    let requests = receiver.requests();
    for request in &requests {
        assert_eq!(request.target, "POST /alerts");
        assert_eq!(request.body, b"{\"n\":1}");
        assert_eq!(request.headers, requests[0].headers);
    }
    let request = &requests[0];
    assert_eq!(request.key.as_deref(), Some("\"alert-7\""));
    let signature = "sha256=3d7ac1ae298e60e2f6795bdb932f706ed493234931d6665adcaa14fc7d163fb1";
    for (name, value) in [
        ("webhook-id", "alert-7"),
        ("content-type", "application/json"),
        ("x-team", "orbit"),
        ("pawl-signature", signature),
        ("content-length", "7"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
}

#[test]
fn a_content_type_can_be_configured_and_the_key_left_out() {
    let receiver = Receiver::without_keys();
    let mut config = HttpSink { idempotency_key: false, ..config(receiver.url()) };
    config.headers.insert("Content-Type".to_owned(), Secret::Text("text/plain".to_owned()));
    let empty = Delivery { value: None, ..record("a", None, "") };
    assert_eq!(deliver(&mut http(&config), &[empty]), [Verdict::Delivered]);
    let request = receiver.requests().remove(0);
    assert_eq!(request.header("content-type"), Some("text/plain"));
    let types = request.headers.iter().filter(|(name, _)| name == "content-type");
    assert_eq!(types.count(), 1);
    assert_eq!((request.key, request.body), (None, vec![]));
}

#[test]
fn what_was_taken_before_the_answer_got_lost_is_taken_once() {
    for step in [Step::TakeAndDrop, Step::TakeAndStall, Step::TakeAndAnswer(500)] {
        let receiver = Receiver::with_keys();
        receiver.script([step.clone()]);
        let sink = &mut impatient(&receiver);
        let first = short(&one(sink, "a", "1"));
        assert!(first.starts_with("failed "), "{step:?}: {first}");
        assert_eq!(one(sink, "a", "1"), Verdict::Delivered);
        assert_eq!((receiver.attempts("a"), receiver.effects().len()), (2, 1));
    }
}

#[test]
fn a_request_in_progress_is_tried_again_until_it_is_done() {
    let receiver = Receiver::with_keys();
    receiver.script([Step::Begin]);
    let sink = &mut impatient(&receiver);
    assert_eq!(short(&one(sink, "a", "1")), "failed timeout");
    assert_eq!(short(&one(sink, "a", "1")), "failed http-409");
    assert_eq!(short(&one(sink, "a", "1")), "failed http-409");
    receiver.finish("a");
    assert_eq!(one(sink, "a", "1"), Verdict::Delivered);
    assert_eq!(receiver.effects(), [("a".to_owned(), b"1".to_vec())]);
}

#[test]
fn a_key_with_another_body_is_rejected() {
    let receiver = Receiver::with_keys();
    let sink = &mut sink(&receiver);
    assert_eq!(one(sink, "a", "1"), Verdict::Delivered);
    assert_eq!(short(&one(sink, "a", "2")), "rejected http-422");
}

#[test]
fn the_receiver_may_ask_to_wait() {
    let receiver = Receiver::with_keys();
    let wait = vec![("retry-after", "3".to_owned())];
    receiver.script([429, 503, 409].map(|status| Step::Answer(status, wait.clone(), vec![])));
    for status in [429, 503, 409] {
        match one(&mut sink(&receiver), "a", "1") {
            Verdict::Failed { kind, retry_after_ms, .. } => {
                assert_eq!((kind, retry_after_ms), (format!("http-{status}"), Some(3000)));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_rejection_says_why_without_repeating_secrets() {
    let receiver = Receiver::with_keys();
    let url = format!("{}/T0K3N-of-ours?sig=abcdefgh", receiver.url());
    let body = format!("\u{7}no: POST /alerts/T0K3N-of-ours, sig=abcdefgh\n{}", "x".repeat(5000));
    receiver.script([Step::Answer(400, vec![], body.into_bytes())]);
    let Verdict::Rejected { kind, message } = one(&mut http(&config(url)), "a", "1") else {
        panic!("400 is permanent");
    };
    assert_eq!(kind, "http-400");
    assert!(message.contains("no: POST ***"), "{message}");
    assert!(!message.contains("T0K3N") && !message.contains("abcdefgh"), "{message}");
    assert!(message.len() < 400 && !message.contains(char::is_control), "{message}");
}

#[test]
fn a_redirect_is_not_followed() {
    let (receiver, elsewhere) = (Receiver::with_keys(), Receiver::with_keys());
    for status in [301, 302, 303, 307, 308] {
        receiver.script([Step::Answer(status, vec![("location", elsewhere.url())], vec![])]);
        let verdict = one(&mut sink(&receiver), "a", "1");
        assert_eq!(short(&verdict), format!("rejected http-{status}"));
    }
    assert_eq!(elsewhere.requests(), []);
}

#[test]
fn a_receiver_that_never_answers_costs_the_time_out_and_no_more() {
    let receiver = Receiver::with_keys();
    receiver.plan(|_| Step::Stall);
    let begun = Instant::now();
    let ids = ["a", "b", "c", "d"].map(|id| record(id, Some(id), "1"));
    for verdict in deliver(&mut impatient(&receiver), &ids) {
        assert_eq!(short(&verdict), "failed timeout");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let receiver = Receiver::with_keys();
    receiver.script([Step::TakeAndFlood]);
    let sink = &mut sink(&receiver);
    assert_eq!(one(sink, "a", "1"), Verdict::Delivered);
    assert_eq!(one(sink, "b", "1"), Verdict::Delivered);
    let connections: Vec<_> = receiver.requests().iter().map(|by| by.connection).collect();
    assert_eq!(connections, [0, 1]);
    // What sockets hold, and no more.
    assert!(receiver.flooded() < 64 << 20, "{} bytes", receiver.flooded());
}

#[test]
fn an_answer_that_stops_in_its_middle_is_an_answer() {
    let receiver = Receiver::without_keys();
    receiver.plan(|_| Step::TakeAndPause);
    let begun = Instant::now();
    assert_eq!(
        one(&mut http(&HttpSink { timeout_ms: 60_000, ..config(receiver.url()) }), "a", "1"),
        Verdict::Delivered
    );
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(one(&mut once(&receiver), "b", "1"), Verdict::Delivered);
}

#[test]
fn an_answer_that_is_not_http_is_a_failure() {
    let receiver = Receiver::with_keys();
    receiver.script([Step::Garbage(b"SSH-2.0-x\r\n"), Step::Garbage(b"HTTP/1.1 2")]);
    let sink = &mut sink(&receiver);
    assert_eq!(short(&one(sink, "a", "1")), "failed connection-lost");
    assert_eq!(short(&one(sink, "a", "1")), "failed connection-lost");
    assert_eq!(one(sink, "a", "1"), Verdict::Delivered);
}

#[test]
fn connections_are_kept_and_those_that_were_closed_meanwhile_are_not_used() {
    let receiver = Receiver::without_keys();
    let sink = &mut sink(&receiver);
    assert_eq!(one(sink, "a", "1"), Verdict::Delivered);
    assert_eq!(one(sink, "b", "1"), Verdict::Delivered);
    assert_eq!(receiver.requests()[1].connection, 0);
    for round in 0..20 {
        receiver.close_connections();
        sink.rest().expect("nothing can fail");
        assert_eq!(one(sink, &format!("c{round}"), "1"), Verdict::Delivered);
    }
    assert!(receiver.effects_by_id().values().all(|count| *count == 1));
}

#[test]
fn different_keys_are_sent_at_once_up_to_the_bound() {
    let receiver = Receiver::with_keys();
    receiver.plan(|_| Step::TakeTogether(4));
    let ids: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let records: Vec<_> = ids.iter().map(|id| record(id, Some(id), "1")).collect();
    let verdicts = deliver(&mut sink(&receiver), &records);
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Delivered), "{verdicts:?}");
    assert_eq!(receiver.under_way_max(), 4);
}

#[test]
fn equal_keys_are_sent_one_after_another_and_wait_behind_one_that_failed() {
    let receiver = Receiver::with_keys();
    receiver.plan(|request| match &*request.id {
        "a2" => Step::status(500),
        "b1" => Step::status(400),
        _ => Step::Take,
    });
    let records = [
        record("a1", Some("a"), "1"),
        record("b1", Some("b"), "1"),
        record("a2", Some("a"), "1"),
        record("x", None, "1"),
        record("a3", Some("a"), "1"),
        record("b2", Some("b"), "1"),
    ];
    let verdicts: Vec<_> = deliver(&mut sink(&receiver), &records).iter().map(short).collect();
    let expected =
        ["delivered", "rejected http-400", "failed http-500", "delivered", "waiting", "delivered"];
    assert_eq!(verdicts, expected);
    assert_eq!(receiver.attempts("a3"), 0);
    let order = |of: char| -> Vec<String> {
        let ids = receiver.requests().into_iter().map(|request| request.id);
        ids.filter(|id| id.starts_with(of)).collect()
    };
    assert_eq!(
        (order('a'), order('b')),
        (vec!["a1".into(), "a2".into()], vec!["b1".into(), "b2".into()])
    );
}

#[test]
fn behind_slow_ones_of_its_key_a_record_is_not_begun_after_its_time() {
    let receiver = Receiver::with_keys();
    receiver.script([Step::Take, Step::Stall]);
    let records = ["1", "2", "3"].map(|id| record(id, Some("k"), "1"));
    let verdicts: Vec<_> = deliver(&mut impatient(&receiver), &records).iter().map(short).collect();
    assert_eq!(verdicts, ["delivered", "failed timeout", "waiting"]);
}

#[test]
fn at_most_once_tells_what_was_not_sent_from_what_may_have_been() {
    let receiver = Receiver::without_keys();
    let sink = &mut once(&receiver);
    for (step, expected) in [
        (Step::Take, "delivered"),
        (Step::TakeAndClose, "delivered"),
        (Step::TakeAndDrop, "unknown connection-lost"),
        (Step::TakeAndStall, "unknown timeout"),
        (Step::Drop, "unknown connection-lost"),
        (Step::Stall, "unknown timeout"),
        (Step::Garbage(b"?\r\n\r\n"), "unknown connection-lost"),
        (Step::status(500), "unknown http-500"),
        (Step::status(503), "unknown http-503"),
        (Step::status(408), "unknown http-408"),
        (Step::status(429), "failed http-429"),
        (Step::status(400), "rejected http-400"),
    ] {
        receiver.script([step.clone()]);
        let sent = receiver.requests().len();
        assert_eq!(short(&one(sink, "a", "1")), expected, "{step:?}");
        assert_eq!(receiver.requests().len(), sent + 1, "{step:?}");
    }
    let connections: Vec<_> = receiver.requests().iter().map(|by| by.connection).collect();
    assert_eq!(connections, (0..12).collect::<Vec<_>>(), "each has a connection of its own");
}

#[test]
fn at_most_once_may_try_again_what_never_got_a_connection() {
    let receiver = Receiver::without_keys();
    let at =
        |url: String| HttpSink { mode: HttpMode::AtMostOnce, timeout_ms: 2_000, ..config(url) };
    for (url, kinds) in [
        (receiver::nobody(), &["failed connect"][..]),
        (receiver.url().replace("http:", "https:"), &["failed connect"]),
        ("http://name.invalid/".to_owned(), &["failed dns", "failed connect"]),
    ] {
        let Ok(mut sink) = Http::new(&at(url.clone())) else {
            assert!(url.starts_with("https:"), "{url}: only a machine without authorities");
            continue;
        };
        let verdict = short(&one(&mut sink, "a", "1"));
        assert!(kinds.contains(&&*verdict), "{url}: {verdict}");
    }
    assert_eq!(receiver.effects(), []);
}

/// The caller in small: batches of four, what failed again and alone, and now and then a kill
/// after a call whose verdicts are then forgotten.
fn drive(receiver: &Receiver, seed: u64, mode: HttpMode, keyed: bool) -> (usize, Vec<Record>) {
    let random = &mut Random(seed);
    let base = config(receiver.url());
    let config = HttpSink { mode, idempotency_key: keyed, timeout_ms: 200, ..base };
    let all = suite::records(0, 60);
    let (mut kills, mut sink) = (0, http(&config));
    let mut at = 0;
    while at < all.len() {
        let mut left: Vec<&Record> = all[at..all.len().min(at + 4)].iter().collect();
        at += left.len();
        while !left.is_empty() {
            let deliveries: Vec<_> = left.iter().map(|record| record.delivery()).collect();
            let verdicts = deliver(&mut sink, &deliveries);
            if random.below(8) == 0 {
                kills += 1;
                sink = http(&config);
                if mode == HttpMode::AtMostOnce {
                    // Their intents are durable: they are `Unknown` and never sent again.
                    break;
                }
                continue;
            }
            let again =
                |verdict: &Verdict| matches!(verdict, Verdict::Failed { .. } | Verdict::Waiting);
            let pairs = left.into_iter().zip(&verdicts);
            left = pairs.filter(|(_, verdict)| again(verdict)).map(|(record, _)| record).collect();
        }
    }
    (kills, all)
}

fn misbehave(receiver: &Receiver, seed: u64) {
    let mut random = Random(!seed);
    receiver.plan(move |_| match random.below(20) {
        0 => Step::TakeAndDrop,
        1 => Step::TakeAndClose,
        2 => Step::Drop,
        3 => Step::status(503),
        4 => Step::status(429),
        5 => Step::TakeAndAnswer(500),
        6 if random.below(4) == 0 => Step::TakeAndStall,
        _ => Step::Take,
    });
}

#[test]
fn with_keys_each_takes_effect_once_whatever_fails_and_whoever_is_killed() {
    for seed in 0..6 {
        let receiver = Receiver::with_keys();
        misbehave(&receiver, seed);
        let (_, all) = drive(&receiver, seed, HttpMode::AtLeastOnce, true);
        let ids = all.iter().map(|record| &*record.id);
        assert!(receiver::each_once(&receiver, ids), "seed {seed}: {:?}", receiver.effects_by_id());
    }
}

#[test]
fn without_keys_a_kill_repeats_no_more_than_was_under_way() {
    for seed in 0..6 {
        // A receiver that answers what it did: what is left are the kills.
        let receiver = Receiver::without_keys();
        let (kills, all) = drive(&receiver, seed, HttpMode::AtLeastOnce, false);
        let (effects, counts) = (receiver.effects().len(), receiver.effects_by_id());
        assert_eq!(counts.len(), all.len(), "seed {seed}: nothing is lost");
        assert!(effects <= all.len() + 4 * kills, "seed {seed}: {effects} effects, {kills} kills");
    }
}

#[test]
fn at_most_once_nothing_takes_effect_twice_whatever_fails_and_whoever_is_killed() {
    for seed in 0..6 {
        let receiver = Receiver::without_keys();
        misbehave(&receiver, seed);
        drive(&receiver, seed, HttpMode::AtMostOnce, false);
        let twice: Vec<_> =
            receiver.effects_by_id().into_iter().filter(|(_, count)| *count > 1).collect();
        assert_eq!(twice, [], "seed {seed}");
    }
}
