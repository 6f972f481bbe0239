//! What is answered to whom: the paths, the rules, the headers that keep a browser from doing
//! anything else with it. A request changes nothing.

use crate::page::{ASSETS, INDEX};
use crate::text::MEDIA_TYPE;
use crate::view::{Board, Health};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

/// An answer on its way.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Nothing but the files of the page and what it asks for; nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers a request. `only_local`: who names another host than this machine is refused, since a
/// page of a stranger could have its name point here.
pub(crate) fn answer<B>(board: &Board, only_local: bool, request: &Request<B>) -> Answer {
    if only_local && !request.headers().get(HOST).is_some_and(is_local) {
        let why = "this address answers to localhost only: ask for 127.0.0.1, or for [::1]\n";
        return told(StatusCode::MISDIRECTED_REQUEST, TEXT, why);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused =
            told(StatusCode::METHOD_NOT_ALLOWED, TEXT, "everything here is only looked at\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/" | "/index.html" => told(StatusCode::OK, "text/html; charset=utf-8", INDEX),
        "/metrics" => metrics(board),
        "/api/status" => {
            board.asked();
            told(StatusCode::OK, JSON, board.look().status.clone())
        }
        "/healthz" => health(board),
        "/readyz" => readiness(board),
        path => {
            let name = path.strip_prefix("/page/");
            match ASSETS.iter().find(|asset| name == Some(asset.name)) {
                Some(asset) => told(StatusCode::OK, asset.media_type, asset.bytes),
                None => told(
                    StatusCode::NOT_FOUND,
                    TEXT,
                    "there are /, /metrics, /healthz, /readyz and /api/status\n",
                ),
            }
        }
    }
}

fn health(board: &Board) -> Answer {
    match board.health() {
        Health::Alive => told(StatusCode::OK, JSON, &b"{\"alive\":true}\n"[..]),
        Health::Stuck(ms) => {
            let what = serde_json::json!({
                "alive": false,
                "reason": format!("the supervisor has not looked at its tasks for {ms} ms"),
            });
            told(StatusCode::SERVICE_UNAVAILABLE, JSON, format!("{what}\n"))
        }
    }
}

/// Old numbers would be taken for new ones: there are none then, and `up` is 0.
fn metrics(board: &Board) -> Answer {
    match board.outdated_ms() {
        None => told(StatusCode::OK, MEDIA_TYPE, board.look().metrics.clone()),
        Some(ms) => told(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT,
            format!("nothing is known of the tasks since {ms} ms\n"),
        ),
    }
}

fn readiness(board: &Board) -> Answer {
    let view = board.look();
    if let Some(ms) = board.outdated_ms().filter(|_| view.ready) {
        let message = format!("nothing is known of the tasks since {ms} ms");
        let reason = serde_json::json!({ "what": "run", "state": "stuck", "message": message });
        let what = serde_json::json!({ "ready": false, "reasons": [reason] });
        return told(StatusCode::SERVICE_UNAVAILABLE, JSON, format!("{what}\n"));
    }
    let status = if view.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    told(status, JSON, view.readiness.clone())
}

/// Whether a `Host` header names this machine.
fn is_local(host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || port.starts_with(':') => name,
            _ => return false,
        },
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let address = name.parse::<std::net::IpAddr>();
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback())
}

fn told(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::View;

    fn ask(board: &Board, method: &str, host: Option<&str>, path: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        answer(board, true, &request.body(()).unwrap())
    }

    #[test]
    fn names_of_this_machine_are_answered_and_no_other() {
        let board = Board::default();
        for host in [
            "localhost",
            "LOCALHOST:9464",
            "pawl.localhost:80",
            "127.0.0.1:9464",
            "127.9.9.9",
            "[::1]:9464",
            "[::1]",
        ] {
            assert_eq!(ask(&board, "GET", Some(host), "/").status(), 200, "{host}");
        }
        let strangers = [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:9464",
            "[::2]",
            "[::1]evil",
            "127.0.0.1.evil.example",
            "",
            "[",
        ];
        for host in strangers {
            assert_eq!(ask(&board, "GET", Some(host), "/").status(), 421, "{host}");
        }
        assert_eq!(ask(&board, "GET", None, "/").status(), 421);
    }

    #[test]
    fn nothing_can_be_changed_and_nothing_else_is_there() {
        let board = Board::default();
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
            let refused = ask(&board, method, Some("localhost"), "/api/status");
            assert_eq!(refused.status(), 405);
            assert_eq!(refused.headers()[ALLOW], "GET, HEAD");
        }
        for path in ["/page/", "/page/../Cargo.toml", "/page/index.html", "/x", "//", "/metrics/"] {
            assert_eq!(ask(&board, "GET", Some("localhost"), path).status(), 404, "{path}");
        }
        for path in ["/page/style.css", "/page/page.js", "/", "/metrics?x=1"] {
            let there = ask(&board, "GET", Some("localhost"), path);
            assert_eq!(there.status(), 200, "{path}");
            let policy = there.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        }
    }

    #[test]
    fn a_run_is_ready_when_its_view_says_so() {
        let board = Board::default();
        assert_eq!(ask(&board, "GET", Some("localhost"), "/readyz").status(), 503);
        board.show(View { ready: true, ..View::default() });
        assert_eq!(ask(&board, "GET", Some("localhost"), "/readyz").status(), 200);
        assert_eq!(ask(&board, "GET", Some("localhost"), "/healthz").status(), 200);
        assert!(!board.was_asked_within(1000));
        ask(&board, "GET", Some("localhost"), "/api/status");
        assert!(board.was_asked_within(1000));
    }

    #[test]
    fn old_numbers_are_not_given_out_as_new_ones() {
        let mut board = Board::default();
        board.show(View { metrics: "pawl_up 1\n".into(), ready: true, ..View::default() });
        board.beat();
        assert_eq!(ask(&board, "GET", Some("localhost"), "/metrics").status(), 200);
        board.make_outdated();
        assert_eq!(ask(&board, "GET", Some("localhost"), "/metrics").status(), 503);
        assert_eq!(ask(&board, "GET", Some("localhost"), "/readyz").status(), 503);
        board.rest();
        assert_eq!(ask(&board, "GET", Some("localhost"), "/metrics").status(), 200, "it ends");
    }

    #[test]
    fn the_page_has_nothing_inline() {
        let page = std::str::from_utf8(INDEX).unwrap();
        for (start, _) in page.match_indices("<script") {
            let tag = page[start..].split('>').next().unwrap();
            assert!(tag.contains("src="), "{tag}");
        }
        assert!(!page.contains("<style") && !page.contains(" style="));
        assert!(!page.contains("http://") && !page.contains("https://"), "no network is needed");
    }
}
