//! The live page in a real browser: what it shows of healthy, broken and hostile pipelines, that it
//! can be read and used by everybody, and that it outlives its host. Whatever can be tested without
//! a browser is tested elsewhere.

mod browser;
mod documents;
mod faults;
mod looks;
mod real;
mod shown;
mod stand_in;

use browser::Browser;
use stand_in::StandIn;

/// Nothing was complained of, and nobody but the host was asked for anything.
#[track_caller]
fn is_clean(browser: &mut Browser, host: &str) {
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let requests = browser.requests();
    assert!(requests.iter().any(|url| url.ends_with("/api/status")), "{requests:?}");
    let strangers: Vec<&String> = requests.iter().filter(|url| !url.starts_with(host)).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

/// The page of a stand-in, once it has compared two answers.
#[track_caller]
fn open(browser: &mut Browser, host: &StandIn) {
    browser.open(&host.url());
    browser.wait("rates", "/[0-9]\\/s/.test(document.querySelector('#figures')?.innerText)");
}
