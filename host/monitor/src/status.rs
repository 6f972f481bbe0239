//! The shape of `GET /api/status`. Plain values; the page and scripts read them. Times are
//! milliseconds since 1970 (UTC) unless the name says seconds; counts are totals since a task's
//! birth unless said otherwise; what is not known is absent (`null`), never 0.

use serde::Serialize;

/// What a run shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Version of the program.
    pub pawl: String,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Its file, as the run was given it.
    pub file: Option<String>,
    /// Where the run stands.
    pub state: RunState,
    /// Every task runs or waits for its input, and every source does.
    pub ready: bool,
    /// When this was true.
    pub now_ms: i64,
    /// When the run began.
    pub started_ms: i64,
    /// The process.
    pub pid: u32,
    /// Runs that ended without a word right before this one; 0 once this one has lasted.
    pub unclean_ends: u64,
    /// Bytes that the disk of the data folder has.
    pub data_free_bytes: Option<u64>,
    /// Bytes that the log takes.
    pub log_bytes: Option<u64>,
    /// In the order of the pipeline file.
    pub sources: Vec<Source>,
    /// Ascending by name, that of the dead letters included.
    pub topics: Vec<Topic>,
    /// Upstream first.
    pub stages: Vec<Stage>,
    /// What is joined to what.
    pub edges: Vec<Edge>,
    /// What could not be processed.
    pub dead_letters: DeadLetters,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Plugins are made ready, the log is opened.
    #[default]
    Starting,
    /// Tasks run.
    Running,
    /// It was asked to end.
    Draining,
    /// Nothing runs any more.
    Stopped,
}

/// Where a task or source stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// It has not found its state yet.
    #[default]
    Starting,
    /// It restores its state, replays, or waits to be started again after a failure.
    Recovering,
    /// It has something to do.
    Running,
    /// It stands at the end of its input.
    Waiting,
    /// It has ended: drained, or given up for a reason.
    Stopped,
}

impl TaskState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Starting, Self::Recovering, Self::Running, Self::Waiting, Self::Stopped];

    /// Its name in JSON and in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Recovering => "recovering",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
        }
    }

    /// Whether all is well.
    pub fn is_well(self) -> bool {
        matches!(self, Self::Running | Self::Waiting)
    }
}

/// Why something stands still, or was started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// As `docs/errors.md` and `pawl explain` know it.
    pub code: String,
    /// For a person.
    pub message: String,
}

/// A source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// `file`, `stdin` or `http`.
    pub kind: String,
    /// The topic that it feeds.
    pub topic: String,
    /// Where it stands.
    pub state: TaskState,
    /// Records that it made durable, dead letters included. Absent before it has started.
    pub records: Option<u64>,
    /// Dead letters among them.
    pub dead_letters: Option<u64>,
    /// When it last brought a record, as far as is known; absent of one that has read all.
    pub last_record_ms: Option<i64>,
    /// More may come from it.
    pub goes_on: bool,
    /// How far it has come, for a person.
    pub position: String,
    /// Why it stands still, or what it could not read.
    pub reason: Option<Reason>,
}

/// A topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Ascending.
    pub partitions: Vec<Partition>,
    /// When the last record came in, where no stage writes it.
    pub last_record_ms: Option<i64>,
}

/// A partition of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Its number.
    pub partition: u32,
    /// The first offset kept.
    pub begin: u64,
    /// The offset behind the last row.
    pub end: u64,
}

/// A stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// `sql`, `http` or `file`, if it delivers to the outside.
    pub sink: Option<String>,
    /// The topic it reads.
    pub input: String,
    /// The topics it writes.
    pub outputs: Vec<String>,
    /// Whether it has event time.
    pub time: bool,
    /// In the order in which records pass; none of a sink.
    pub operators: Vec<Operator>,
    /// One for each partition of the input, ascending.
    pub tasks: Vec<Task>,
}

/// An operator of a stage, as the pipeline file names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Operator {
    /// Its name.
    pub name: String,
    /// As in the pipeline file.
    pub plugin: String,
    /// What the component says of itself.
    pub version: String,
    /// SHA-256 of the component.
    pub component: String,
}

/// A task.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Task {
    /// The partition that it works on.
    pub partition: u32,
    /// Where it stands.
    pub state: TaskState,
    /// Its owner's number.
    pub epoch: Option<u64>,
    /// What became of its records; absent before it has found its state.
    pub records: Option<Records>,
    /// Rows that it has not committed.
    pub lag_records: Option<u64>,
    /// Its watermark.
    pub watermark_ms: Option<i64>,
    /// How far that lies behind the clock of the machine.
    pub watermark_lag_seconds: Option<f64>,
    /// The task whose event time it waits for, as `STAGE/PARTITION`, where it hears time from
    /// others.
    pub held_by: Option<String>,
    /// Its newest durable checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// How much it may take.
    pub credit: Credit,
    /// How its receiver does, of a sink.
    pub delivery: Option<Delivery>,
    /// Why the last checkpoint could not be taken, until one is durable.
    pub checkpoint_failure: Option<Reason>,
    /// Starts after a failure, in this run.
    pub restarts: u64,
    /// Guest calls that failed, in this run.
    pub traps: u64,
    /// Where its state came from, the last time.
    pub recovery_path: Option<String>,
    /// What its guests used, in this run.
    pub guest: Guest,
    /// Why it stands still, or failed the last time; of a sink that runs: why its receiver does not
    /// take what it is given.
    pub reason: Option<Reason>,
}

/// How the receiver of a sink does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Delivery {
    /// Time in which it was at work, in this run.
    pub seconds: f64,
    /// Attempts that failed and were made again, in this run.
    pub failures: u64,
    /// Since when it has not taken what it is given; absent: it takes it.
    pub failing_since_ms: Option<i64>,
}

/// What became of a task's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    /// Taken from the input.
    #[serde(rename = "in")]
    pub taken: u64,
    /// Written to topics, dead letters not counted.
    pub out: u64,
    /// Behind the watermark.
    pub late: u64,
    /// Dropped because the id was seen before.
    pub duplicate: u64,
    /// To the dead letters.
    pub dead: u64,
}

/// A durable checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Checkpoint {
    /// The owner that wrote it.
    pub epoch: u64,
    /// Its number among those of the owner.
    pub sequence: u64,
    /// Since it was made.
    pub age_seconds: f64,
    /// Bytes that it takes itself; absent if another run wrote it.
    pub bytes: Option<u64>,
    /// From its begin until it was durable; absent if another run wrote it.
    pub seconds: Option<f64>,
}

/// How much a task may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Credit {
    /// Records taken whose outcome is not durable.
    pub in_flight: u64,
    /// At most so many.
    pub max: u64,
    /// How long it took nothing because of that, for a checkpoint, or between two attempts of a
    /// sink, in this run.
    pub withheld_seconds: f64,
}

/// What guests used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Guest {
    /// Time in guest calls, in this run.
    pub seconds: f64,
    /// Memory that they hold now.
    pub memory_bytes: u64,
}

/// What is joined to what: `source:NAME`, `topic:NAME`, `stage:NAME`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Edge {
    /// Where from.
    pub from: String,
    /// Where to.
    pub to: String,
    /// Rows of the topic that the stage has not committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_records: Option<u64>,
    /// How long the stage took nothing, all its tasks together, in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit_withheld_seconds: Option<f64>,
}

/// What could not be processed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeadLetters {
    /// Where it lies.
    pub topic: String,
    /// So many were written since the pipeline's birth.
    pub total: u64,
    /// So many lie there.
    pub records: Option<u64>,
    /// So many may.
    pub records_max: u64,
    /// Bytes that lie there.
    pub bytes: Option<u64>,
    /// So many may.
    pub bytes_max: u64,
    /// What happens at a bound: `stop` or `drop-oldest`.
    pub at_max: String,
    /// Until the oldest is let go, or the next one stops its task; absent: no bound of age.
    pub headroom_seconds: Option<f64>,
    /// How many of which kind were written.
    pub by_kind: Vec<Kind>,
    /// The last ones, newest first.
    pub last: Vec<Letter>,
}

/// How many dead letters of a kind were written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Kind {
    /// The stage; of a source: `source.NAME`.
    pub stage: String,
    /// The operator that refused them.
    pub operator: String,
    /// The kind of error.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// A dead letter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Its id.
    pub id: String,
    /// When it was written.
    pub time_ms: i64,
    /// Where it was refused.
    pub stage: String,
    /// By which operator.
    pub operator: String,
    /// The kind of error.
    pub kind: String,
    /// `permanent`, `transient` or `late`.
    pub class: String,
    /// `rejected`, `trap`, ...
    pub disposition: String,
    /// For a person.
    pub message: String,
    /// Where the record came from.
    pub topic: String,
    /// Its partition.
    pub partition: Option<u32>,
    /// Its offset.
    pub offset: Option<u64>,
    /// How often it was sent back.
    pub replay_count: u64,
    /// The beginning of its value, as text.
    pub payload: String,
    /// Bytes of its value.
    pub payload_bytes: u64,
}
