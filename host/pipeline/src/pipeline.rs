//! The checked form of a pipeline file: plain values that are known to fit together.
//!
//! Nothing here reads a file or guesses: whoever holds a `Pipeline` need not check it again.
//! That plugins exist and fit is not known here; the service finds that out with the sandbox.

use crate::edge::Edge;
use crate::json;
use crate::outside::{Sink, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A pipeline: stages joined by topics.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Lower-case letters, digits and `-`.
    pub name: String,
    /// The folder of the pipeline file; other relative paths start there.
    pub base: PathBuf,
    /// Folder of everything local: checkpoints, locks, and the log unless it lies elsewhere.
    pub data: PathBuf,
    /// Where topics live.
    pub transport: Transport,
    /// The file of the embedded transport: topics, commits and decisions.
    pub log: PathBuf,
    /// Folders in which a plugin's bare name is looked up, in order.
    pub plugin_folders: Vec<PathBuf>,
    /// All topics by name, that of the dead letters included.
    pub topics: BTreeMap<String, Topic>,
    /// When a commit is due.
    pub commit: Commit,
    /// When a checkpoint is due, and how many are kept.
    pub checkpoint: Checkpoint,
    /// Where dead letters go, and how many may lie there.
    pub dead_letters: DeadLetters,
    /// How often failed tasks are started again.
    pub supervisor: Supervisor,
    /// In the order of the file; sinks behind the stages.
    pub stages: Vec<Stage>,
    /// In the order of the file.
    pub sources: Vec<Source>,
}

/// Where topics live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One file.
    Embedded,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// At least 1.
    pub partitions: u32,
    /// Where `pawl produce` takes a record's key from if its line has none. `None`: no key.
    pub key: Option<KeySource>,
    /// Milliseconds for which rows stay though all readers are done with them.
    pub retention_ms: u64,
}

/// Where `pawl produce` takes keys from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JSON pointer into the value.
    Field(String),
    /// The header of this name.
    Header(String),
}

/// A commit is due when either is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Milliseconds since the last one.
    pub interval_ms: u64,
    /// Input rows since the last one.
    pub records_max: u64,
}

/// A checkpoint is due after the interval, or when a replay would take too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Milliseconds since the last one.
    pub interval_ms: u64,
    /// How many milliseconds a replay from the last one may take, as estimated.
    pub recovery_time_max_ms: u64,
    /// Checkpoints kept of each task; at least 3.
    pub kept_min: u32,
    /// Where they go beside the local disk.
    pub remote: Option<Remote>,
}

/// A second place for checkpoints, which outlives the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Of an object store.
    pub url: String,
    /// As the object store names them; they come before what the environment says.
    pub options: BTreeMap<String, String>,
    /// Where a task recovers from.
    pub recovery: RecoveryMode,
    /// Milliseconds that one request may take.
    pub timeout_ms: u64,
    /// Milliseconds that a clean end waits for the newest checkpoints to be there.
    pub drain_time_max_ms: u64,
}

/// Where a task recovers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryMode {
    /// From the newest of both tiers.
    Hybrid,
    /// From the local disk alone.
    Local,
    /// From the remote tier alone.
    Remote,
}

/// Where dead letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// Always one of `Pipeline::topics`; unless declared it has as many partitions as the input
    /// with the most, so that a dead letter can lie in the partition with its root's number.
    pub topic: String,
    /// Dead letters in the topic.
    pub records_max: u64,
    /// Bytes of their values, keys and headers in the topic.
    pub bytes_max: u64,
    /// Age in milliseconds; `None`: no bound by age.
    pub age_max_ms: Option<u64>,
    /// What happens at a bound.
    pub at_max: AtMax,
    /// A dead letter that was sent back so often is parked: it is not sent again unasked.
    pub replays_max: u32,
}

/// What happens when the dead letters reach a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtMax {
    /// The task stops.
    Stop,
    /// The oldest dead letters go.
    DropOldest,
}

/// How often a failed task is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    /// Failures within the window at which a task is given up.
    pub failures_max: u32,
    /// Milliseconds.
    pub failures_window_ms: u64,
    /// Milliseconds before the first restart; doubled for each further one.
    pub backoff_ms: u64,
    /// Milliseconds at which doubling ends.
    pub backoff_max_ms: u64,
    /// Unclean ends in a row at which a record alone in the journal is convicted.
    pub host_kills_max: u32,
}

/// A chain of operators that run together on each partition of one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Lower-case letters, digits and `-`: usable as a folder's name.
    pub name: String,
    /// The topic it reads.
    pub input: String,
    /// Where the first output of the last operator goes. `None`: it has none.
    pub output: Option<String>,
    /// What becomes of late records.
    pub late: Late,
    /// Milliseconds at the end of the input after which a task counts as idle.
    pub idle_after_ms: u64,
    /// Rows of one guest call.
    pub batch_records_max: u32,
    /// Rows read whose outcome is not durable yet.
    pub in_flight_records_max: u64,
    /// Bytes of these rows.
    pub in_flight_bytes_max: u64,
    /// Stops the task before the topic drains into the dead letters.
    pub breaker: Breaker,
    /// In the order in which records pass; at least one. That of a sink stands for what delivers.
    pub operators: Vec<Operator>,
    /// Where the records go, if the stage is a sink.
    pub sink: Option<Sink>,
    /// The topic in which dead letters are sent back to it, always one of `Pipeline::topics`; it
    /// has the partitions of the input. Nothing but that is written there.
    pub replay: String,
}

/// What becomes of late records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Late {
    /// Dropped and counted.
    Drop,
    /// To the dead letters.
    DeadLetter,
    /// To this topic.
    Topic(String),
}

/// When too many records fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// The last so many records are looked at.
    pub records: u64,
    /// The share of them that may fail as permanent or late; above 0, at most 1.
    pub failed_share_max: f64,
}

/// A plugin, configured, and the edge before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// Unique in its stage.
    pub name: String,
    /// As in the file; `Pipeline::resolve_plugin` finds it.
    pub plugin: String,
    /// The configuration as canonical JSON: keys sorted, no white space.
    pub config_json: String,
    /// Topics of further outputs, by the operator's own name of the output.
    pub outputs: BTreeMap<String, String>,
    /// What the guest may use. Does not belong to what determines results.
    pub limits: Limits,
    /// What joins the source, or the operator before, to this one.
    pub edge: Edge,
}

/// What one instance of an operator may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, in bytes.
    pub memory_bytes_max: u64,
    /// Elements of all tables.
    pub table_elements_max: u64,
    /// Milliseconds that a call may take, plus `time_per_record_us` for each of its rows.
    pub time_per_call_ms: u64,
    /// Microseconds.
    pub time_per_record_us: u64,
    /// Bytes that one call may return.
    pub output_bytes_max: u64,
    /// Bytes of a snapshot, all parts together.
    pub state_bytes_max: u64,
    /// Bytes of the component's file.
    pub component_bytes_max: u64,
    /// Milliseconds that compiling it may take.
    pub compile_time_max_ms: u64,
    /// Fuel for each row; `None`: fuel is not counted.
    pub fuel_per_record: Option<u64>,
}

impl Default for Limits {
    /// What holds where the file says nothing, and in `pawl conformance`.
    fn default() -> Self {
        Self {
            memory_bytes_max: 256 << 20,
            table_elements_max: 100_000,
            time_per_call_ms: 1_000,
            time_per_record_us: 1_000,
            output_bytes_max: 64 << 20,
            state_bytes_max: 256 << 20,
            component_bytes_max: 64 << 20,
            compile_time_max_ms: 120_000,
            fuel_per_record: None,
        }
    }
}

impl Pipeline {
    /// The stage of this name.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// Topics that a stage of this pipeline writes (late records too), without the dead letters.
    pub fn internal_topics(&self) -> BTreeSet<&str> {
        self.stages.iter().flat_map(Stage::writes).collect()
    }

    /// Topics that only others write.
    pub fn external_topics(&self) -> BTreeSet<&str> {
        let internal = self.internal_topics();
        let others = self.topics.keys().map(String::as_str);
        others.filter(|topic| !internal.contains(topic) && !self.is_own(topic)).collect()
    }

    /// Whether the topic is the pipeline's own: of its dead letters, or of those sent back.
    pub fn is_own(&self, topic: &str) -> bool {
        topic == self.dead_letters.topic || self.stages.iter().any(|stage| stage.replay == topic)
    }

    /// The stages that write this topic, late records included, in the order of the file.
    pub fn writers(&self, topic: &str) -> Vec<&Stage> {
        self.stages.iter().filter(|stage| stage.writes().contains(&topic)).collect()
    }

    /// The stages that read this topic.
    pub fn readers(&self, topic: &str) -> Vec<&Stage> {
        self.stages.iter().filter(|stage| stage.input == topic).collect()
    }

    /// All stages, each behind those whose topics it reads.
    pub fn upstream_first(&self) -> Vec<&Stage> {
        let mut sorted: Vec<&Stage> = Vec::new();
        while sorted.len() < self.stages.len() {
            let before = sorted.len();
            for stage in &self.stages {
                let done = |other: &Stage| sorted.iter().any(|s| s.name == other.name);
                if !done(stage) && self.writers(&stage.input).into_iter().all(done) {
                    sorted.push(stage);
                }
            }
            if sorted.len() == before {
                break;
            }
        }
        sorted
    }

    /// Whether a stage has event time: it makes a watermark, or hears one through its input.
    pub fn reads_time(&self, stage: &str) -> bool {
        self.stage(stage).is_some_and(|stage| self.time_from(stage).is_some())
    }

    /// Whether a topic carries watermarks: its readers need event time and all writers have it.
    pub fn carries_time(&self, topic: &str) -> bool {
        self.readers(topic).iter().any(|stage| !stage.is_sink()) && self.topic_has_time(topic)
    }

    /// The operator from which on a stage has event time; 0 if control rows bring it.
    pub fn time_from(&self, stage: &Stage) -> Option<usize> {
        if stage.is_sink() {
            return None;
        }
        match stage.watermark_at() {
            Some(at) => Some(at),
            None => self.topic_has_time(&stage.input).then_some(0),
        }
    }

    /// Canonical text of all that determines the results of operator `at` of a stage: its
    /// configuration, its edge, where things go and how they are spread there; not its limits.
    /// Empty if there is no such operator.
    pub fn configuration_text(&self, stage: &Stage, at: usize) -> String {
        let Some((config, joined)) = stage.configuration(at) else { return String::new() };
        let topics: BTreeMap<&str, serde_json::Value> = stage
            .writes()
            .into_iter()
            .chain([self.dead_letters.topic.as_str()])
            .map(|name| {
                let partitions = self.topics.get(name).map_or(1, |topic| topic.partitions);
                let writers: Vec<&str> =
                    self.writers(name).iter().map(|stage| stage.name.as_str()).collect();
                let time = self.carries_time(name);
                let facts = serde_json::json!({
                    "partitions": partitions, "time": time, "writers": writers,
                });
                (name, facts)
            })
            .collect();
        let around = serde_json::json!({
            "dead_letters": self.dead_letters.topic,
            "input": stage.input,
            "input_time": !stage.is_sink() && self.carries_time(&stage.input),
            "topics": topics,
        });
        format!(
            "{{\"around\":{},\"config\":{config},\"joined\":{}}}",
            json::canonical(&around),
            json::canonical(&joined)
        )
    }

    /// Where a plugin's file is: a path as it is, a bare name in each of the plugin folders, also
    /// with `.wasm` and with `_` for `-`. If there is none: all paths that were tried.
    pub fn resolve_plugin(&self, plugin: &str) -> Result<PathBuf, Vec<PathBuf>> {
        let tried = self.plugin_candidates(plugin);
        match tried.iter().find(|path| path.is_file()) {
            Some(path) => Ok(path.clone()),
            None => Err(tried),
        }
    }

    fn plugin_candidates(&self, plugin: &str) -> Vec<PathBuf> {
        if plugin.ends_with(".wasm") || Path::new(plugin).components().count() != 1 {
            return vec![self.base.join(plugin)];
        }
        let mut names = vec![format!("{plugin}.wasm")];
        if plugin.contains('-') {
            names.push(format!("{}.wasm", plugin.replace('-', "_")));
        }
        let folders = self.plugin_folders.iter();
        folders.flat_map(|folder| names.iter().map(|name| folder.join(name))).collect()
    }

    /// Whether there are writers and each of them knows the time of what it writes. Upstream
    /// stages are followed; stages in a circle (a mistake) have no time.
    fn topic_has_time(&self, topic: &str) -> bool {
        let times = crate::time::of_topics(&self.stages);
        times.get(topic).is_some_and(|writers| writers.iter().all(|writer| writer.has_time))
    }
}

impl Stage {
    /// Whether it delivers to the outside instead of running plugins.
    pub fn is_sink(&self) -> bool {
        self.sink.is_some()
    }

    /// The operator of this name.
    pub fn operator(&self, name: &str) -> Option<&Operator> {
        self.operators.iter().find(|operator| operator.name == name)
    }

    /// Topics that it writes, late records included, dead letters not; each once.
    pub fn writes(&self) -> BTreeSet<&str> {
        let outputs = self.operators.iter().flat_map(|o| o.outputs.values());
        outputs.chain(&self.output).map(String::as_str).chain(self.late.topic()).collect()
    }

    /// The operator whose edge makes the stage's watermark.
    pub fn watermark_at(&self) -> Option<usize> {
        self.operators.iter().position(|operator| operator.edge.watermark.is_some())
    }

    /// The configuration of operator `at`, and its edge and outputs.
    fn configuration(&self, at: usize) -> Option<(&str, serde_json::Value)> {
        let operator = self.operators.get(at)?;
        let last = at + 1 == self.operators.len();
        let joined = serde_json::json!({
            "edge": operator.edge.to_json(),
            "late": self.late.topic().unwrap_or(self.late.word()),
            "output": if last { self.output.as_deref() } else { None },
            "outputs": operator.outputs,
        });
        Some((&operator.config_json, joined))
    }
}

impl Late {
    /// The side topic, if late records go to one.
    pub fn topic(&self) -> Option<&str> {
        match self {
            Late::Topic(topic) => Some(topic),
            Late::Drop | Late::DeadLetter => None,
        }
    }

    /// As in the file.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Late::Drop => "drop",
            Late::DeadLetter => "dead-letter",
            Late::Topic(_) => "topic",
        }
    }
}
