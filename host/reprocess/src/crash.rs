//! Places at which tests let the tool kill itself with a real `kill -9`, chosen by
//! `PAWL_CRASH_AT=point` or `point:n` (the n-th time), as in the service. Without it they cost one
//! load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A place at which the tool can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// The task was taken over, nothing was read yet.
    Claimed,
    /// A commit is put together and not handed over.
    Gathered,
    /// A commit is handed over, nobody knows whether it is durable.
    Submitted,
    /// A commit is durable.
    Durable,
}

impl Point {
    fn name(self) -> &'static str {
        match self {
            Point::Claimed => "replay-claimed",
            Point::Gathered => "replay-gathered",
            Point::Submitted => "replay-submitted",
            Point::Durable => "replay-durable",
        }
    }
}

/// Dies here, if this is the chosen point.
pub(crate) fn at(point: Point) {
    static CHOSEN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static HITS: AtomicU64 = AtomicU64::new(0);
    let chosen = CHOSEN.get_or_init(|| {
        let text = std::env::var("PAWL_CRASH_AT").ok()?;
        let (name, hit) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), hit.parse().ok()?))
    });
    if let Some((name, hit)) = chosen
        && name == point.name()
        && HITS.fetch_add(1, Ordering::SeqCst) + 1 == *hit
    {
        let me = std::process::id().to_string();
        drop(std::process::Command::new("kill").args(["-9", &me]).status());
        std::process::abort();
    }
}
