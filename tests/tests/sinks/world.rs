//! The pipeline that these tests run: windows over observations that give alerts, and behind them
//! whatever a test appends. What comes of it undisturbed is known.

use pawl_tests::{Folder, input};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Without whatever takes the alerts. The log is a disk of its own.
const PIPELINE: &str = r#"
pawl = 1
name = "effects"
data = "data"
plugins = ["PLUGINS"]
transport = { kind = "embedded", path = "log/pawl.db" }
[topics.observations]
partitions = 2
key = { field = "/cell" }
[topics.alerts]
partitions = 2
[commit]
records_max = 100
[checkpoint]
recovery_time_max_ms = 1
CHECKPOINT
[supervisor]
backoff_ms = 1
[[stage]]
name = "window"
input = "observations"
output = "alerts"
batch_records_max = 32
[[stage.operator]]
name = "window"
plugin = "count-window"
config = { window_ms = 1000, min_sensors = 1 }
[stage.operator.edge]
id = { field = "/observation_id" }
event_time = { field = "/t_ms", unit = "ms" }
watermark = { disorder_ms = 500 }
dedup = { horizon_ms = 60000, ids_max = 1000 }
"#;

/// Closes all windows when everything is read.
pub const TO_THE_END: [&str; 2] = ["--until-idle", "--close-windows"];

/// What the sensors send.
static LINES: LazyLock<Vec<String>> = LazyLock::new(|| input::observations(2010, 1500));

/// An alert as it lies in its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub id: String,
    pub key: String,
    pub body: String,
    pub event_time: i64,
}

/// The alerts of a run that nobody disturbs, by id.
pub static ALERTS: LazyLock<BTreeMap<String, Alert>> = LazyLock::new(|| {
    let folder = Folder::new("undisturbed", &pipeline("", ""));
    produce(&folder, 0, 1);
    folder.run(&TO_THE_END).success();
    let rows = folder.stored().rows("alerts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("alerts are text");
    let alerts: BTreeMap<_, _> = rows
        .into_iter()
        .map(|row| {
            let id = text(row.id.expect("an alert has an id"));
            let (key, body) = (text(row.key.expect("it has a key")), text(row.value));
            (id.clone(), Alert { id, key, body, event_time: row.event_time })
        })
        .collect();
    assert!(alerts.len() > 500, "{}", alerts.len());
    alerts
});

/// The pipeline with something in its table of checkpoints, and something at its end.
pub fn pipeline(checkpoint: &str, end: &str) -> String {
    PIPELINE.replace("CHECKPOINT", checkpoint) + end
}

/// Appends a part of what the sensors send, of so many equal ones.
pub fn produce(folder: &Folder, part: usize, of: usize) {
    let place = |part: usize| LINES.len() * part / of;
    folder.produce("observations", &input::joined(&LINES[place(part)..place(part + 1)]));
}
