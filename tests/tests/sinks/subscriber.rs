//! An alert subscriber that acts on each alert, and a pipeline that tells it of them: windows over
//! observations, an HTTP sink, checkpoints in a remote tier, and the log on a disk of its own.

use crate::receiver::{Receiver, Request, Step};
use pawl_tests::folder::plugins;
use pawl_tests::{Folder, Letter, Random, input};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// `URL`, `REMOTE` and `SINK` stand for what differs.
const PIPELINE: &str = r#"
pawl = 1
name = "incident"
data = "data"
plugins = ["PLUGINS"]
transport = { kind = "embedded", path = "log/pawl.db" }
[topics.observations]
partitions = 2
key = { field = "/cell" }
[topics.alerts]
partitions = 2
retention_ms = 86400000
[commit]
records_max = 100
[checkpoint]
recovery_time_max_ms = 1
[checkpoint.remote]
url = "file://REMOTE"
[supervisor]
backoff_ms = 1
[[stage]]
name = "window"
input = "observations"
output = "alerts"
batch_records_max = 32
[[stage.operator]]
name = "window"
plugin = "WINDOW"
config = { window_ms = 1000, min_sensors = 1 }
[stage.operator.edge]
id = { field = "/observation_id" }
event_time = { field = "/t_ms", unit = "ms" }
watermark = { disorder_ms = 500 }
dedup = { horizon_ms = 60000, ids_max = 1000 }
[[sink]]
name = "subscriber"
input = "alerts"
backoff_ms = 1
backoff_max_ms = 10
[sink.http]
url = "URL"
timeout_ms = 300
concurrency_max = 3
SINK
"#;

/// Requests under way at once.
pub const UNDER_WAY: usize = 3;

/// What the sensors send.
pub static LINES: LazyLock<String> =
    LazyLock::new(|| input::joined(&input::observations(2009, 400)));

/// What a subscriber is told of by a run that nobody disturbs: bodies by id.
pub static ALERTS: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let receiver = Receiver::with_keys();
    let world = World::new("calm", receiver, "");
    world.folder.run(&["--until-idle", "--close-windows"]).success();
    let effects = world.receiver.effects();
    let alerts: BTreeMap<_, _> = effects.iter().cloned().collect();
    assert_eq!(alerts.len(), effects.len(), "a calm run repeats nothing");
    assert!(alerts.len() > 100, "{}", alerts.len());
    alerts
});

/// A subscriber and a pipeline with all its input.
pub struct World {
    pub receiver: Receiver,
    pub folder: Folder,
    /// Requests that it acted on, and of which it then told nobody.
    pub answers_lost: Arc<AtomicUsize>,
}

impl World {
    /// `sink` stands behind the fields of the HTTP sink.
    pub fn new(name: &str, receiver: Receiver, sink: &str) -> Self {
        let folder = Folder::new(name, "");
        let text = PIPELINE
            .replace("URL", &receiver.url())
            .replace("REMOTE", &folder.path().join("remote").display().to_string())
            .replace("SINK", sink);
        folder.write("template", text.as_bytes());
        folder.write_pipeline(&text.replace("WINDOW", "count-window"));
        folder.produce("observations", &LINES);
        Self { receiver, folder, answers_lost: Arc::default() }
    }

    /// The subscriber fails, stalls, and drops its answer after it has acted; `at_worst` of a
    /// thousand times each.
    pub fn misbehave(&self, seed: u64, at_worst: u64) {
        let mut random = Random::new(seed);
        let lost = Arc::clone(&self.answers_lost);
        self.receiver.plan(move |_: &Request| {
            let step = match random.below(1000) / at_worst.max(1) {
                0 => Step::status(503),
                1 => Step::Drop,
                2 => Step::TakeAndDrop,
                3 => Step::TakeAndAnswer(500),
                4 => Step::TakeAndStall,
                5 => Step::Stall,
                6 => Step::status(429),
                _ => Step::Take,
            };
            let told =
                !matches!(step, Step::TakeAndDrop | Step::TakeAndStall | Step::TakeAndAnswer(_));
            lost.fetch_add(usize::from(!told), Ordering::SeqCst);
            step
        });
    }

    /// The same plugin in other bytes, as a new version of it would be.
    pub fn replace_plugin(&self, version: u8) {
        let mut bytes = std::fs::read(plugins().join("count_window.wasm"))
            .expect("a plugin that was found can be read");
        // A custom section: kind 0, its length, the length of its name, the name, the content.
        bytes.extend([0, 3, 1, b'v', version]);
        self.folder.write("own.wasm", &bytes);
        let text = std::fs::read_to_string(self.folder.path().join("template"))
            .expect("it was written when the world began");
        self.folder.write_pipeline(&text.replace("WINDOW", "own.wasm"));
    }

    /// Everything local is gone but the log, which lies on another disk.
    pub fn lose_the_disk(&self) {
        std::fs::remove_dir_all(self.folder.data()).expect("the folder is writable");
    }

    /// The log, too.
    pub fn lose_everything(&self) {
        self.lose_the_disk();
        std::fs::remove_dir_all(self.folder.path().join("log")).expect("the folder is writable");
    }

    /// Kills the pipeline at a crash point that it must come to.
    #[track_caller]
    pub fn kill(&self, at: &str) {
        let died = self.folder.run_to_crash(at, &["--until-idle"]);
        assert!(died.was_killed(), "{at}: {}", died.err);
    }

    /// The recoveries that the last run counted on this path.
    pub fn recovered(&self, path: &str) -> u64 {
        let text = std::fs::read_to_string(self.folder.data().join("metrics.prom"))
            .expect("a run leaves its metrics");
        let name = format!("pawl_recovery_path_total{{path=\"{path}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{name} in\n{text}"))
    }

    /// What the sink gave up.
    pub fn letters(&self) -> Vec<Letter> {
        let mut letters = self.folder.stored().letters();
        letters.retain(|letter| letter.operator == "subscriber/subscriber");
        letters
    }

    /// Each alert was acted on exactly once, and is the right one.
    #[track_caller]
    pub fn acted_on_each_once(&self) {
        let effects = self.receiver.effects_by_id();
        let twice: Vec<_> = effects.iter().filter(|(_, count)| **count > 1).collect();
        let missing: Vec<_> = ALERTS.keys().filter(|id| !effects.contains_key(*id)).collect();
        assert!(
            twice.is_empty() && missing.is_empty(),
            "{} alerts acted on twice, {} never learnt of: {twice:?} {missing:?}",
            twice.len(),
            missing.len()
        );
        assert_eq!(BTreeMap::from_iter(self.receiver.effects()), *ALERTS);
    }
}
