//! What requests and whoever commits them share: bounds, keys, and the queue between.

use super::keys::{Hash, Keys};
use crate::host::Host;
use bytes::Bytes;
use hyper::header::HeaderName;
use std::ops::Range;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, oneshot, watch};

/// For so long an answer about the backlog holds that lets requests in, and one that does not.
const ROOM_AGE_MAX: Duration = Duration::from_millis(50);
const NO_ROOM_AGE_MAX: Duration = Duration::from_millis(10);

/// Records to be made durable together, and who waits for it.
pub(crate) struct Job {
    pub bytes: Bytes,
    /// Where each record lies in `bytes`.
    pub records: Vec<Range<usize>>,
    /// The body may hold many, and not one alone.
    pub many: bool,
    /// Hash of the key, hash of the body, the key.
    pub key: Option<(Hash, Hash, String)>,
    /// The request's header in which the topic's `key` finds the key of records.
    pub key_header: Option<Vec<u8>>,
    pub answer: oneshot::Sender<bool>,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Requests are taken.
    Open,
    /// None is taken any more; all are answered.
    Draining,
    /// Connections are closed.
    Closed,
}

/// What all requests share.
pub(crate) struct Front {
    pub path: String,
    pub token: Option<Hash>,
    pub body_bytes_max: u64,
    pub record_bytes_max: u64,
    pub body_time: Duration,
    pub key_header: Option<HeaderName>,
    pub requests: Semaphore,
    pub requests_max: usize,
    pub connections: Arc<Semaphore>,
    pub phase: watch::Sender<Phase>,
    pub jobs: SyncSender<Job>,
    pub keys: Mutex<Keys>,
    pub topic: String,
    pub backlog_max: u64,
    pub backlog: Mutex<Option<(Instant, u64)>>,
    pub host: Host,
}

impl Front {
    pub fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the topic's readers keep up.
    pub fn has_room(&self) -> bool {
        let mut asked = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        let age_max = |count| match count <= self.backlog_max {
            true => ROOM_AGE_MAX,
            false => NO_ROOM_AGE_MAX,
        };
        let count = match *asked {
            Some((when, count)) if when.elapsed() < age_max(count) => count,
            _ => {
                let count = (self.host.backlog)(&self.topic);
                *asked = Some((Instant::now(), count));
                count
            }
        };
        count <= self.backlog_max
    }

    /// So many records were added since.
    pub fn added(&self, records: u64) {
        let mut asked = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = &mut *asked {
            *count += records;
        }
    }

    /// Whether no request is under way.
    pub fn is_quiet(&self) -> bool {
        self.requests.available_permits() == self.requests_max
    }
}
