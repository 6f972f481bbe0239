//! Crash points: named places at which the crash tests let the process kill itself with a real
//! `kill -9`. Chosen by the environment variable `PAWL_CRASH_AT=point` or `point:n` (the n-th
//! time); without it they cost one load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A place at which a process can be killed. The crash tests loop over `ALL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// A task was taken over, nothing was restored yet.
    Claimed,
    /// A guest call is on the stack (the kill comes from another thread meanwhile).
    MidCall,
    /// A step is done and its outputs computed, nothing of it is committed.
    MidEmit,
    /// A commit is handed over, nobody knows whether it is durable.
    CommitSubmitted,
    /// A commit is durable, the task has not heard of it.
    CommitDurable,
    /// The state is copied, nothing of it is written.
    SnapshotTaken,
    /// The checkpoint's temporary file is written.
    MidCheckpoint,
    /// The temporary file is synced and not renamed.
    CheckpointSynced,
    /// It is renamed and the folder not synced.
    CheckpointRenamed,
    /// The folder is synced.
    CheckpointDirectorySynced,
    /// The checkpoint was read back.
    CheckpointVerified,
    /// An older checkpoint was removed.
    CheckpointRemoved,
    /// A replay is under way.
    MidReplay,
    /// Input is about to be trimmed.
    MidTrim,
    /// The task drains.
    MidDrain,
    /// A sink is about to deliver.
    BeforeDelivery,
    /// The receiver has taken it, nothing of that is noted.
    AfterDelivery,
}

impl CrashPoint {
    /// All of them, in the order in which a task meets them.
    pub const ALL: [CrashPoint; 17] = [
        CrashPoint::Claimed,
        CrashPoint::MidCall,
        CrashPoint::MidEmit,
        CrashPoint::CommitSubmitted,
        CrashPoint::CommitDurable,
        CrashPoint::SnapshotTaken,
        CrashPoint::MidCheckpoint,
        CrashPoint::CheckpointSynced,
        CrashPoint::CheckpointRenamed,
        CrashPoint::CheckpointDirectorySynced,
        CrashPoint::CheckpointVerified,
        CrashPoint::CheckpointRemoved,
        CrashPoint::MidReplay,
        CrashPoint::MidTrim,
        CrashPoint::MidDrain,
        CrashPoint::BeforeDelivery,
        CrashPoint::AfterDelivery,
    ];

    /// The name, as in `PAWL_CRASH_AT`.
    pub fn name(self) -> &'static str {
        match self {
            CrashPoint::Claimed => "claimed",
            CrashPoint::MidCall => "mid-call",
            CrashPoint::MidEmit => "mid-emit",
            CrashPoint::CommitSubmitted => "commit-submitted",
            CrashPoint::CommitDurable => "commit-durable",
            CrashPoint::SnapshotTaken => "snapshot-taken",
            CrashPoint::MidCheckpoint => "mid-checkpoint",
            CrashPoint::CheckpointSynced => "checkpoint-synced",
            CrashPoint::CheckpointRenamed => "checkpoint-renamed",
            CrashPoint::CheckpointDirectorySynced => "checkpoint-directory-synced",
            CrashPoint::CheckpointVerified => "checkpoint-verified",
            CrashPoint::CheckpointRemoved => "checkpoint-removed",
            CrashPoint::MidReplay => "mid-replay",
            CrashPoint::MidTrim => "mid-trim",
            CrashPoint::MidDrain => "mid-drain",
            CrashPoint::BeforeDelivery => "before-delivery",
            CrashPoint::AfterDelivery => "after-delivery",
        }
    }
}

struct Chosen {
    point: CrashPoint,
    hit: u64,
    /// Only calls whose values contain these bytes count, for `MidCall`.
    value: Option<Vec<u8>>,
    hits: AtomicU64,
}

fn chosen() -> Option<&'static Chosen> {
    static CHOSEN: OnceLock<Option<Chosen>> = OnceLock::new();
    CHOSEN
        .get_or_init(|| {
            let text = std::env::var("PAWL_CRASH_AT").ok()?;
            let (name, hit) = text.split_once(':').unwrap_or((&text, "1"));
            let point = CrashPoint::ALL.into_iter().find(|point| point.name() == name)?;
            let value = std::env::var("PAWL_CRASH_ON_VALUE").ok().map(String::into_bytes);
            Some(Chosen { point, hit: hit.parse().ok()?, value, hits: AtomicU64::new(0) })
        })
        .as_ref()
}

/// Dies here, if this is the chosen point.
pub fn at(point: CrashPoint) {
    if let Some(chosen) = chosen()
        && chosen.point == point
        && chosen.hits.fetch_add(1, Ordering::SeqCst) + 1 == chosen.hit
    {
        die();
    }
}

/// Before a guest call over `values`: lets another thread kill the process while it runs.
pub(crate) fn around_call(values: &[u8]) {
    let Some(chosen) = chosen().filter(|chosen| chosen.point == CrashPoint::MidCall) else {
        return;
    };
    let wanted = |value: &Vec<u8>| values.windows(value.len().max(1)).any(|part| part == value);
    if chosen.value.as_ref().is_some_and(|value| !wanted(value)) {
        return;
    }
    if chosen.hits.fetch_add(1, Ordering::SeqCst) + 1 == chosen.hit {
        match &chosen.value {
            // A record that kills the host does so every time, and at once.
            Some(_) => die(),
            None => drop(std::thread::spawn(die)),
        }
    }
}

fn die() {
    let me = std::process::id().to_string();
    let killed = std::process::Command::new("kill").args(["-9", &me]).status();
    tracing::error!(?killed, "the kill at a crash point did not come");
    std::process::abort();
}
