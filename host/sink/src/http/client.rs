//! The client: one request for one record, and what came of it.
//!
//! HTTP/1.1, no proxy, no redirects, no retries. Where a record may be sent once only each request
//! has a connection of its own: on one that was idle nobody can tell a request that came too late
//! from one that was taken. Errors name scheme, host and port of the receiver, never more.

use super::answer::{self, Answer, Lost};
use super::signing::{Signer, key_text, quoted};
use crate::error::Error;
use crate::sink::{Delivery, Verdict};
use crate::tls;
use pawl_pipeline::{HttpMode, HttpSink, Secret};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url};
use std::time::Duration;

/// Bytes of an answer that are read; of more the connection is given up.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// How long to wait for the rest of an answer whose status is known.
const ANSWER_REST: Duration = Duration::from_secs(1);

/// How long a connection may be idle and still be used.
const IDLE: Duration = Duration::from_secs(15);

/// Headers that belong to this sink or to the protocol.
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "pawl-signature",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
];

/// Whoever sends requests to one receiver.
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    keyed: bool,
    signer: Option<Signer>,
    mode: HttpMode,
    timeout: Duration,
    shown: String,
    secrets: answer::Secrets,
}

impl Client {
    pub(super) fn new(config: &HttpSink) -> Result<Self, Error> {
        let url = url(&config.url)?;
        let shown = shown(&url);
        let mut secrets = answer::Secrets::of_url(&url);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &config.headers {
            let value = reveal(value, name)?;
            let (name, value) = header(name, &value)?;
            secrets.add(value.to_str().unwrap_or_default());
            headers.insert(name, value);
        }
        let signature = config.signature.as_ref().map(|secret| reveal(secret, "the signature"));
        let signature = signature.transpose()?;
        if signature.as_deref() == Some("") {
            return Err(fatal("signature", "the secret for signatures is empty".to_owned()));
        }
        Ok(Self {
            http: http(config, &url)?,
            keyed: config.idempotency_key,
            signer: signature.as_deref().map(Signer::new),
            mode: config.mode,
            timeout: Duration::from_millis(config.timeout_ms),
            url,
            headers,
            shown,
            secrets,
        })
    }

    /// Sends one record once.
    pub(super) async fn send(&self, record: &Delivery<'_>) -> Verdict {
        let body = record.value.unwrap_or_default();
        let headers = match self.headers_of(record, body) {
            Ok(headers) => headers,
            Err(error) => {
                return Verdict::Rejected { kind: "header".to_owned(), message: error.to_string() };
            }
        };
        let request = self.http.post(self.url.clone()).headers(headers);
        match request.body(body.to_vec()).timeout(self.timeout).send().await {
            Ok(response) => {
                let answer = Answer::of(&response);
                let body = self.rest(response).await;
                let said = self.secrets.hide(&String::from_utf8_lossy(&body));
                answer.verdict(self.mode, self.keyed, &format!("{}: {said}", self.shown))
            }
            Err(error) => self.no_answer(error),
        }
    }

    fn headers_of(
        &self,
        record: &Delivery<'_>,
        body: &[u8],
    ) -> Result<HeaderMap, reqwest::header::InvalidHeaderValue> {
        let mut headers = self.headers.clone();
        let key = key_text(record.id);
        headers.insert("webhook-id", HeaderValue::from_str(&key)?);
        if self.keyed {
            headers.insert("idempotency-key", HeaderValue::from_str(&quoted(&key))?);
        }
        if let Some(signer) = &self.signer {
            let signature = HeaderValue::from_str(&signer.sign(&key, body))?;
            headers.insert("pawl-signature", signature);
        }
        Ok(headers)
    }

    /// The body of an answer, as far as it is worth having. Its end decides nothing.
    async fn rest(&self, mut response: Response) -> Vec<u8> {
        let mut body = Vec::new();
        let read = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                let room = ANSWER_BYTES_MAX - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if body.len() == ANSWER_BYTES_MAX {
                    break;
                }
            }
        };
        // Too slow is as good as too long.
        drop(tokio::time::timeout(ANSWER_REST, read).await);
        body
    }

    fn no_answer(&self, error: reqwest::Error) -> Verdict {
        let lost = match () {
            () if error.is_dns() => Lost::Before("dns"),
            () if error.is_connect() => Lost::Before("connect"),
            () if error.is_builder() => Lost::Before("request"),
            () if error.is_timeout() => Lost::Perhaps("timeout"),
            () => Lost::Perhaps("connection-lost"),
        };
        let why = self.secrets.hide(&causes(&error.without_url()));
        lost.verdict(self.mode, &format!("{}: {why}", self.shown))
    }
}

fn http(config: &HttpSink, url: &Url) -> Result<reqwest::Client, Error> {
    let tls = match url.scheme() {
        "https" => tls::client_config()?,
        _ => tls::no_authorities()?,
    };
    let timeout = Duration::from_millis(config.timeout_ms);
    let idle_max = match config.mode {
        HttpMode::AtLeastOnce => config.concurrency_max as usize,
        HttpMode::AtMostOnce => 0,
    };
    let builder = reqwest::Client::builder()
        .user_agent("pawl")
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        // So that a time-out while connecting is told from one after.
        .connect_timeout(timeout / 2)
        .pool_max_idle_per_host(idle_max)
        .pool_idle_timeout(IDLE)
        .tls_backend_preconfigured(tls);
    builder.build().map_err(|error| fatal("http-client", causes(&error)))
}

fn url(secret: &Secret) -> Result<Url, Error> {
    let text = reveal(secret, "the address")?;
    // The parser's error would be fine, the text might be a secret.
    let url = Url::parse(&text).map_err(|error| {
        fatal("http-url", format!("the address of the receiver is none: {error}"))
    })?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => {
            let what = "the address of the receiver should begin with http:// or https://";
            Err(fatal("http-url", what.to_owned()))
        }
    }
}

/// Scheme, host and port.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&&*lower) {
        return Err(fatal("http-header", format!("the header {name} is set by Pawl: remove it")));
    }
    let bad = |what: &str| fatal("http-header", format!("the header {name:?} has {what}"));
    let header = HeaderName::from_bytes(lower.as_bytes()).map_err(|_| bad("no valid name"))?;
    let mut value =
        HeaderValue::from_str(value).map_err(|_| bad("a value that no header can hold"))?;
    value.set_sensitive(true);
    Ok((header, value))
}

fn reveal(secret: &Secret, of: &str) -> Result<String, Error> {
    secret.reveal().map_err(|what| fatal("secret", format!("{of}: {what}")))
}

fn fatal(code: &'static str, what: String) -> Error {
    Error::Fatal { code, what }
}

/// An error and what caused it, each said once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn config(url: &str, headers: &[(&str, &str)]) -> HttpSink {
        let headers: BTreeMap<_, _> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::Text((*value).to_owned())))
            .collect();
        HttpSink {
            url: Secret::Text(url.to_owned()),
            mode: HttpMode::AtLeastOnce,
            idempotency_key: true,
            headers,
            signature: None,
            concurrency_max: 1,
            timeout_ms: 1000,
        }
    }

    fn code(config: &HttpSink) -> &'static str {
        match Client::new(config).map(|_| ()) {
            Err(Error::Fatal { code, what }) => {
                assert!(!what.contains("hush"), "{what}");
                code
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused_without_showing_it() {
        assert_eq!(code(&config("ftp://hush/", &[])), "http-url");
        assert_eq!(code(&config("http://:hush/", &[])), "http-url");
        assert_eq!(code(&config("hush", &[])), "http-url");
        let url = "http://127.0.0.1/";
        assert_eq!(code(&config(url, &[("Idempotency-Key", "hush")])), "http-header");
        assert_eq!(code(&config(url, &[("a b", "hush")])), "http-header");
        assert_eq!(code(&config(url, &[("a", "hush\n")])), "http-header");
        let unset = Secret::Environment("PAWL_TEST_UNSET".to_owned());
        assert_eq!(code(&HttpSink { url: unset.clone(), ..config(url, &[]) }), "secret");
        let empty = Secret::Text(String::new());
        assert_eq!(code(&HttpSink { signature: Some(empty), ..config(url, &[]) }), "signature");
    }

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        let url = Url::parse("https://me:hush@host.example:8443/hush?hush#hush").expect("a URL");
        assert_eq!(shown(&url), "https://host.example:8443");
    }
}
