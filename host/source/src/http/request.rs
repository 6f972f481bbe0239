//! One request, from its head to its answer. Nothing is held of a request that is refused, and no
//! client is waited for longer than it was told.

use super::answer::{Answer, Refusal, accepted, later, refused};
use super::front::{Front, Job, Phase};
use super::keys::{self, Hash, Verdict};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT, HeaderMap};
use hyper::{Method, Request, StatusCode};
use std::ops::Range;
use std::time::Duration;
use tokio::sync::oneshot;

/// The name of the header of records and requests.
pub(crate) const KEY_HEADER: &str = "idempotency-key";

/// Bytes of a refused body that are read, so that the client hears why; and for how long.
const DISCARD_BYTES_MAX: usize = 16 << 20;
const DISCARD_BYTES_MAX_STRANGER: usize = 64 << 10;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Answers a request.
pub(crate) async fn answer(front: &Front, request: Request<Incoming>) -> Answer {
    let (head, mut body) = request.into_parts();
    // Who waits for a go-ahead sends nothing before it.
    let waits = head.headers.contains_key(EXPECT);
    let stranger = !is_known(front, &head.headers);
    let outcome = match refuse_head(front, &head.method, head.uri.path(), stranger) {
        Err(refusal) => Err(refusal),
        Ok(()) => take(front, &head.headers, &mut body).await,
    };
    match outcome {
        Ok(answer) => answer,
        Err(refusal) => {
            let max = if stranger { DISCARD_BYTES_MAX_STRANGER } else { DISCARD_BYTES_MAX };
            if !waits && !body.is_end_stream() && refusal.status != StatusCode::REQUEST_TIMEOUT {
                discard(body, max).await;
            }
            refusal.into_answer()
        }
    }
}

fn refuse_head(front: &Front, method: &Method, path: &str, stranger: bool) -> Result<(), Refusal> {
    if path != front.path {
        return Err(refused(StatusCode::NOT_FOUND, "records are posted to another path"));
    }
    if method != Method::POST {
        return Err(refused(StatusCode::METHOD_NOT_ALLOWED, "records are posted"));
    }
    if stranger {
        return Err(refused(StatusCode::UNAUTHORIZED, "the bearer token is missing or wrong"));
    }
    Ok(())
}

/// Whether the token is right, if there must be one. Hashes are compared: how long that takes
/// tells nothing about the token.
fn is_known(front: &Front, headers: &HeaderMap) -> bool {
    let Some(token) = &front.token else { return true };
    let given = headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let scheme = given.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    scheme && keys::hash(&[given.get(7..).unwrap_or_default()]) == *token
}

async fn take(front: &Front, headers: &HeaderMap, body: &mut Incoming) -> Result<Answer, Refusal> {
    let Ok(_permit) = front.requests.try_acquire() else {
        return Err(later(StatusCode::TOO_MANY_REQUESTS, "too many requests are under way"));
    };
    // Behind the permit: whoever ends the source waits for those that hold one.
    let mut phase = front.phase.subscribe();
    if *phase.borrow() != Phase::Open {
        return Err(draining());
    }
    let key = key_of(headers)?;
    let many = is_many(headers);
    if body.size_hint().lower() > front.body_bytes_max {
        return Err(too_large(front));
    }
    if !front.has_room() {
        return Err(later(StatusCode::TOO_MANY_REQUESTS, "the readers of the topic lag behind"));
    }
    let max = usize::try_from(front.body_bytes_max).unwrap_or(usize::MAX);
    let collected = tokio::select! {
        collected = tokio::time::timeout(front.body_time, Limited::new(&mut *body, max).collect())
            => collected,
        _ = phase.wait_for(|phase| *phase != Phase::Open) => return Err(draining()),
    };
    let bytes = match collected {
        Err(_) => {
            return Err(refused(StatusCode::REQUEST_TIMEOUT, "the body took too long"));
        }
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(too_large(front));
        }
        Ok(Err(_)) => return Err(refused(StatusCode::BAD_REQUEST, "the body broke off")),
        Ok(Ok(collected)) => collected.to_bytes(),
    };
    let records = records_of(front, &bytes, many)?;
    let key_header = front.key_header.as_ref().and_then(|name| headers.get(name));
    let key_header = key_header.map(|value| value.as_bytes().to_vec());
    let body = keys::hash(&[&[u8::from(many)], &bytes]);
    let key = key.map(|key| (keys::hash(&[key.as_bytes()]), body, key));
    hand_over(front, key, |key, answer| Job { bytes, records, many, key, key_header, answer }).await
}

/// Gives the request to whoever commits, and waits for the word that it is durable.
async fn hand_over(
    front: &Front,
    key: Option<(Hash, Hash, String)>,
    job: impl FnOnce(Option<(Hash, Hash, String)>, oneshot::Sender<bool>) -> Job,
) -> Result<Answer, Refusal> {
    if let Some((key, body, _)) = &key {
        match front.keys().enter(*key, *body) {
            Verdict::New => {}
            Verdict::Taken(records) => return Ok(accepted(records, true)),
            Verdict::UnderWay => {
                let why = "a request with this key is still under way";
                return Err(later(StatusCode::CONFLICT, why));
            }
            Verdict::Differs => {
                let why = "the key came with another body before";
                return Err(refused(StatusCode::UNPROCESSABLE_ENTITY, why));
            }
        }
    }
    let entered = key.as_ref().map(|(key, _, _)| *key);
    let (tell, told) = oneshot::channel();
    let job = job(key, tell);
    let count = job.records.len() as u64;
    if front.jobs.try_send(job).is_err() {
        if let Some(key) = entered {
            front.keys().forget(&key);
        }
        return Err(draining());
    }
    match told.await {
        Ok(true) => Ok(accepted(count, false)),
        // Whether it is durable may be unknown: with a key the client can find out.
        _ => Err(later(StatusCode::SERVICE_UNAVAILABLE, "the records could not be made durable")),
    }
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut all = headers.get_all(KEY_HEADER).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let key = keys::parse(first.as_bytes()).filter(|_| all.next().is_none());
    let why = "Idempotency-Key should be one quoted text of at most 255 printable characters";
    key.map(Some).ok_or_else(|| refused(StatusCode::BAD_REQUEST, why))
}

/// Whether the body holds a record in each line.
fn is_many(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"]
        .iter()
        .any(|many| kind.eq_ignore_ascii_case(many))
}

/// Where the records lie in a body.
fn records_of(front: &Front, body: &Bytes, many: bool) -> Result<Vec<Range<usize>>, Refusal> {
    let mut records = Vec::new();
    if many {
        let mut start = 0;
        for line in body.split(|byte| *byte == b'\n') {
            if !line.is_empty() && line != b"\r" {
                records.push(start..start + line.len());
            }
            start += line.len() + 1;
        }
    } else if !body.is_empty() {
        records.push(0..body.len());
    }
    if records.is_empty() {
        return Err(refused(StatusCode::BAD_REQUEST, "the body holds no record"));
    }
    match records.iter().position(|record| record.len() as u64 > front.record_bytes_max) {
        None => Ok(records),
        Some(at) => {
            let max = front.record_bytes_max;
            let why = format!("record {} has more than {max} bytes; none was taken", at + 1);
            Err(refused(StatusCode::PAYLOAD_TOO_LARGE, why))
        }
    }
}

fn too_large(front: &Front) -> Refusal {
    let why = format!("the body has more than {} bytes", front.body_bytes_max);
    refused(StatusCode::PAYLOAD_TOO_LARGE, why)
}

fn draining() -> Refusal {
    later(StatusCode::SERVICE_UNAVAILABLE, "the source is being ended")
}

/// Reads what a client still sends: closed at once, it would hear of a reset instead of an answer.
async fn discard(body: Incoming, max: usize) {
    let mut left = max;
    let mut body = body;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(bytes) else { return };
            left = rest;
        }
    };
    // What does not come in time is not waited for.
    drop(tokio::time::timeout(DISCARD_TIME, reading).await);
}
