//! What all tasks of a run share, and how the run is to go. Plain values and handles.

use crate::check::Ready;
use crate::checkpointer::Checkpointer;
use crate::clock::Clock;
use crate::journal::Journal;
use crate::monitor::Monitor;
use crate::plugins::Plugins;
use crate::stop::StopFlag;
use pawl_checkpoint::Store;
use pawl_core::record::Producer;
use pawl_pipeline::Pipeline;
use pawl_transport::Transport;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// How this run ends, and what a person allows it to do.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// End when every stage stands at the end of its input. Moves no time.
    pub until_idle: bool,
    /// Then move event time far enough to close every window, once.
    pub close_windows: bool,
    /// Where a task has committed and no checkpoint can be used: go on with an empty state.
    pub fresh: bool,
    /// Changed operators replay from the checkpoint, since the old ones cannot.
    pub switch_at_checkpoint: bool,
    /// Resume tasks that the circuit breaker stopped.
    pub resume: bool,
    /// Where metrics, health, status and the live page are served; port 0: any.
    pub listen: Option<SocketAddr>,
    /// The pipeline file as it was named: shown, so that commands can be typed. Never read.
    pub file: Option<PathBuf>,
}

/// What all tasks of a run share.
pub(crate) struct Context {
    pub pipeline: Arc<Pipeline>,
    pub transport: Arc<dyn Transport>,
    /// The room that is left for dead letters.
    pub letters: Arc<pawl_source::Letters>,
    /// Which log it is.
    pub log: String,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub stop: Arc<StopFlag>,
    pub plugins: Plugins,
    pub ready: BTreeMap<String, Ready>,
    pub journal: Arc<Journal>,
    pub checkpointer: Checkpointer,
    pub options: RunOptions,
    /// Number of the generation and all its producers.
    pub generation: (u64, Vec<Producer>),
    /// What the run shows of itself.
    pub monitor: Arc<Monitor>,
}
