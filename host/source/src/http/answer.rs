//! What clients are told: a status, a small JSON body, and when to come again.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use std::borrow::Cow;

/// An answer on its way.
pub(crate) type Answer = Response<Full<Bytes>>;

/// So many records are durable. `repeated`: they were before.
pub(crate) fn accepted(records: u64, repeated: bool) -> Answer {
    let mut answer = json(StatusCode::ACCEPTED, &serde_json::json!({ "records": records }));
    if repeated {
        let said = HeaderValue::from_static("true");
        answer.headers_mut().insert("idempotency-replayed", said);
    }
    answer
}

/// Why a request is not taken.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    why: Cow<'static, str>,
    later: bool,
}

/// The request is wrong, and will be.
pub(crate) fn refused(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal { status, why: why.into(), later: false }
}

/// The request may be right a little later.
pub(crate) fn later(status: StatusCode, why: &'static str) -> Refusal {
    Refusal { status, why: why.into(), later: true }
}

impl Refusal {
    /// As the client hears it.
    pub fn into_answer(self) -> Answer {
        let mut answer = json(self.status, &serde_json::json!({ "error": self.why }));
        let headers = answer.headers_mut();
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // More of the body may be on its way: it must not be taken for a request.
            StatusCode::REQUEST_TIMEOUT => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        if self.later {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        answer
    }
}

fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
