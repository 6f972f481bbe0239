//! What a run counts beside what its tasks commit: from where tasks recovered, and how far their
//! checkpoints are in the remote tier. Written to a file in the data folder in the text format of
//! Prometheus, whole or not at all. Never stops anything: a file that cannot be written is a
//! warning.

use pawl_checkpoint::{RecoveryPath, Replication};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The name of the file in the data folder.
pub const FILE: &str = "metrics.prom";

/// The counters of one run.
pub(crate) struct Metrics {
    path: PathBuf,
    replication: Option<Replication>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    recovered: [u64; RecoveryPath::ALL.len()],
    warned: bool,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(data: &Path, replication: Option<Replication>) -> Self {
        Self { path: data.join(FILE), replication, counts: Mutex::default() }
    }

    /// A task recovered from there.
    pub fn recovered(&self, path: RecoveryPath) {
        let mut counts = self.lock();
        let all = RecoveryPath::ALL.iter().zip(&mut counts.recovered);
        all.filter(|(one, _)| **one == path).for_each(|(_, count)| *count += 1);
    }

    /// Writes the file.
    pub fn write(&self) {
        let temporary = self.path.with_extension("tmp");
        let written = std::fs::write(&temporary, self.text())
            .and_then(|()| std::fs::rename(&temporary, &self.path));
        let mut counts = self.lock();
        if let Err(error) = &written
            && !counts.warned
        {
            tracing::warn!(path = %self.path.display(), %error, "failed to write metrics");
        }
        counts.warned = written.is_err();
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "# HELP recovery_path_total Recoveries of tasks, by where their state came from.\n\
             # TYPE recovery_path_total counter\n",
        );
        let counts = self.lock();
        for (path, count) in RecoveryPath::ALL.iter().zip(&counts.recovered) {
            push(&mut text, "recovery_path_total", &format!("path=\"{}\"", path.name()), *count);
        }
        let Some(replication) = &self.replication else { return text };
        let tasks = replication.tasks();
        text.push_str(
            "# HELP checkpoint_remote_lag_seconds Since when a newer checkpoint is local only.\n\
             # TYPE checkpoint_remote_lag_seconds gauge\n",
        );
        for task in &tasks {
            let label = format!("task=\"{}\"", task.task);
            push(&mut text, "checkpoint_remote_lag_seconds", &label, task.lag_ms as f64 / 1000.0);
        }
        text.push_str(
            "# HELP checkpoint_remote_failures_total Copies to the remote tier that failed.\n\
             # TYPE checkpoint_remote_failures_total counter\n",
        );
        for task in &tasks {
            let label = format!("task=\"{}\"", task.task);
            push(&mut text, "checkpoint_remote_failures_total", &label, task.failures_total);
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    writeln!(text, "{name}{{{labels}}} {value}").expect("writing to a string does not fail");
}
