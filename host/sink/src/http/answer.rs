//! What an answer, or the lack of one, means for a record.
//!
//! | answer | at least once | at most once |
//! |---|---|---|
//! | 2xx | delivered | delivered |
//! | 425, 429 | failed | failed: the receiver says that it did nothing |
//! | 409 to a request with a key: it is in progress | failed | unknown |
//! | 408, 5xx, and what is no status | failed | unknown |
//! | 3xx, 422 (key reused, or refused), 409 without a key, other 4xx | rejected | rejected |
//! | no connection: name, TCP, TLS | failed | failed: nothing was sent |
//! | time is up, connection lost, answer garbled | failed | unknown |
//!
//! What is shown of an answer is short and clean: no control characters, no secret of ours that
//! the receiver repeats.

use crate::sink::Verdict;
use pawl_pipeline::HttpMode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, Url};

/// Bytes of an answer's body that a message shows.
const SHOWN_BYTES_MAX: usize = 200;

/// More than this nobody is waited for, whatever it asks.
const RETRY_AFTER_MAX_MS: u64 = 3_600_000;

/// Shorter texts are no secrets, and hiding them would spoil messages.
const SECRET_CHARS_MIN: usize = 6;

/// Status and wish of a receiver.
pub(super) struct Answer {
    status: u16,
    retry_after_ms: Option<u64>,
}

impl Answer {
    pub(super) fn of(response: &Response) -> Self {
        let retry_after_ms = retry_after_ms(response.headers());
        Self { status: response.status().as_u16(), retry_after_ms }
    }

    /// What it means. `keyed`: whether an idempotency key was sent.
    pub(super) fn verdict(&self, mode: HttpMode, keyed: bool, said: &str) -> Verdict {
        let status = self.status;
        let kind = format!("http-{status}");
        let message = format!("answered {status}: {said}");
        match status {
            200..=299 => Verdict::Delivered,
            300..=399 => {
                let why = "redirects are not followed, since a POST would become something else: \
                    configure the final address";
                Verdict::Rejected { kind, message: format!("answered {status}; {why}: {said}") }
            }
            422 if keyed => {
                let why = "the key was used for another body, or the body is refused";
                Verdict::Rejected { kind, message: format!("answered {status}; {why}: {said}") }
            }
            425 | 429 => self.failed(kind, message),
            409 if !keyed => Verdict::Rejected { kind, message },
            408 | 409 | 0..=199 | 500.. => match mode {
                HttpMode::AtLeastOnce => self.failed(kind, message),
                HttpMode::AtMostOnce => Verdict::Unknown { kind, message },
            },
            400..=499 => Verdict::Rejected { kind, message },
        }
    }

    fn failed(&self, kind: String, message: String) -> Verdict {
        Verdict::Failed { kind, message, retry_after_ms: self.retry_after_ms }
    }
}

/// No answer came; holds the short name of why.
pub(super) enum Lost {
    /// Nothing of the request was sent.
    Before(&'static str),
    /// Some of it may have been.
    Perhaps(&'static str),
}

impl Lost {
    pub(super) fn verdict(&self, mode: HttpMode, message: &str) -> Verdict {
        let message = message.to_owned();
        match (self, mode) {
            (Lost::Perhaps(kind), HttpMode::AtMostOnce) => {
                Verdict::Unknown { kind: (*kind).to_owned(), message }
            }
            (Lost::Before(kind) | Lost::Perhaps(kind), _) => {
                Verdict::Failed { kind: (*kind).to_owned(), message, retry_after_ms: None }
            }
        }
    }
}

/// `Retry-After`: seconds, or a date, which is held against the receiver's own `Date`, since our
/// clocks may differ.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let ms = match text.parse::<u64>() {
        Ok(seconds) => seconds.saturating_mul(1000),
        Err(_) => {
            let now = headers.get(DATE)?.to_str().ok()?;
            let until = date_ms(text)?.checked_sub(date_ms(now)?)?;
            u64::try_from(until).unwrap_or(0)
        }
    };
    Some(ms.min(RETRY_AFTER_MAX_MS))
}

fn date_ms(text: &str) -> Option<i64> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    parser.parse_timestamp(text).ok().map(|time| time.as_millisecond())
}

/// Texts that no message may show.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// All of an address but scheme, host and port.
    pub(super) fn of_url(url: &Url) -> Self {
        let mut secrets = Self(Vec::new());
        secrets.add(url.username());
        secrets.add(url.password().unwrap_or_default());
        let path = url.path();
        secrets.add(path);
        path.split('/').for_each(|part| secrets.add(part));
        let query = url.query().unwrap_or_default();
        secrets.add(query);
        query.split(['&', '=']).for_each(|part| secrets.add(part));
        url.query_pairs().for_each(|(_, value)| secrets.add(&value));
        secrets
    }

    /// One more, and each word of it.
    pub(super) fn add(&mut self, text: &str) {
        let words = std::iter::once(text).chain(text.split_whitespace());
        let words = words.filter(|word| word.len() >= SECRET_CHARS_MIN);
        self.0.extend(words.map(str::to_owned));
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self.0.dedup();
    }

    /// A text that may be shown to a person.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret, "***");
        }
        let clean: String = text.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect();
        let clean = clean.split_whitespace().collect::<Vec<_>>().join(" ");
        match clean.len() {
            0 => "nothing more".to_owned(),
            1..=SHOWN_BYTES_MAX => clean,
            _ => format!("{}...", &clean[..clean.floor_char_boundary(SHOWN_BYTES_MAX)]),
        }
    }
}

/// Neither a control character nor one that turns the direction of writing.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use HttpMode::{AtLeastOnce, AtMostOnce};

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Delivered => "delivered",
            Verdict::Rejected { .. } => "rejected",
            Verdict::Failed { .. } => "failed",
            Verdict::Waiting => "waiting",
            Verdict::Unknown { .. } => "unknown",
        }
    }

    #[test]
    fn each_status_means_what_the_table_says() {
        let table = [
            (200, "delivered", "delivered"),
            (204, "delivered", "delivered"),
            (301, "rejected", "rejected"),
            (307, "rejected", "rejected"),
            (400, "rejected", "rejected"),
            (404, "rejected", "rejected"),
            (408, "failed", "unknown"),
            (409, "failed", "unknown"),
            (413, "rejected", "rejected"),
            (422, "rejected", "rejected"),
            (425, "failed", "failed"),
            (429, "failed", "failed"),
            (500, "failed", "unknown"),
            (503, "failed", "unknown"),
            (599, "failed", "unknown"),
            (600, "failed", "unknown"),
        ];
        for (status, least, most) in table {
            let answer = Answer { status, retry_after_ms: Some(5) };
            let verdict = answer.verdict(AtLeastOnce, true, "");
            assert_eq!(word(&verdict), least, "{status}");
            if let Verdict::Failed { kind, retry_after_ms, .. } = verdict {
                assert_eq!((kind, retry_after_ms), (format!("http-{status}"), Some(5)));
            }
            assert_eq!(word(&answer.verdict(AtMostOnce, true, "")), most, "{status}");
        }
        let conflict = Answer { status: 409, retry_after_ms: None };
        assert_eq!(word(&conflict.verdict(AtLeastOnce, false, "")), "rejected");
        for (lost, least, most) in [
            (Lost::Before("connect"), "failed", "failed"),
            (Lost::Perhaps("x"), "failed", "unknown"),
        ] {
            assert_eq!(word(&lost.verdict(AtLeastOnce, "")), least);
            assert_eq!(word(&lost.verdict(AtMostOnce, "")), most);
        }
    }

    #[test]
    fn a_receiver_may_ask_for_time_in_seconds_or_until_a_date() {
        let ms = |after: &'static str, date: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, after.parse().expect("a value"));
            if let Some(date) = date {
                headers.insert(DATE, date.parse().expect("a value"));
            }
            retry_after_ms(&headers)
        };
        let date = Some("Tue, 24 Nov 2026 11:00:00 GMT");
        assert_eq!(ms("7", None), Some(7000));
        assert_eq!(ms("99999999999999999999", None), None);
        assert_eq!(ms("999999999999999999", None), Some(RETRY_AFTER_MAX_MS));
        assert_eq!(ms("Tue, 24 Nov 2026 11:00:30 GMT", date), Some(30_000));
        assert_eq!(ms("Tue, 24 Nov 2026 10:00:30 GMT", date), Some(0));
        assert_eq!(ms("Tue, 24 Nov 2026 11:00:30 GMT", None), None);
        assert_eq!(ms("soon", date), None);
        assert_eq!(ms("-1", date), None);
    }

    #[test]
    fn messages_are_short_clean_and_hold_no_secret() {
        let url = Url::parse("https://user12:pass%2012@h/hooks/T0123456?token=abcdefgh&x=1");
        let mut secrets = Secrets::of_url(&url.expect("a URL"));
        secrets.add("Bearer 0123456789");
        let said = "no\r\n\x1b[31m \u{202e}T0123456, /hooks/T0123456?token=abcdefgh 0123456789";
        assert_eq!(secrets.hide(said), "no [31m ***, ***?token=*** ***");
        assert_eq!(secrets.hide(" \n"), "nothing more");
        let long = format!("{}é", "x".repeat(199));
        assert_eq!(secrets.hide(&long), format!("{}...", "x".repeat(199)));
    }
}
