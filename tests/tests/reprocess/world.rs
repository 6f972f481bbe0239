//! The pipeline of these tests, and what they ask of it.

use pawl_tests::stored::Row;
use pawl_tests::{Ended, Folder};
use std::collections::BTreeMap;
use std::process::Command;

/// Stage `pass` lets everything through, `order` obeys its values, `window` needs event time.
pub const PIPELINE: &str = r#"
pawl = 1
name = "t"
data = "data"
plugins = ["PLUGINS"]
[topics.in]
partitions = 3
[topics.passed]
[topics.orders]
[topics.obeyed]
[topics.times]
[topics.alerts]
[[stage]]
name = "pass"
input = "in"
output = "passed"
[[stage.operator]]
name = "pass"
plugin = "identity"
[[stage]]
name = "order"
input = "orders"
output = "obeyed"
breaker = { records = 100, failed_share_max = 1.0 }
[[stage.operator]]
name = "order"
plugin = "misbehaving"
config = { mode = "by-value" }
# On a busy machine one that hoards must not be out of time before it is out of memory.
limits = { time_per_call_ms = 5000 }
outputs = { side = "obeyed" }
[[stage]]
name = "window"
input = "times"
output = "alerts"
breaker = { records = 100, failed_share_max = 1.0 }
[[stage.operator]]
name = "window"
plugin = "count-window"
config = { window_ms = 1000 }
[stage.operator.edge]
id = { field = "/observation_id" }
event_time = { field = "/t_ms" }
watermark = { disorder_ms = 1000, agree = 1 }
dedup = { horizon_ms = 10000, ids_max = 1000 }
"#;

/// `sda-reprocess` with these arguments, to be started in the folder.
pub fn reprocess(folder: &Folder, arguments: &[&str]) -> Command {
    let pawl = folder.command(&[]);
    let program = std::path::Path::new(pawl.get_program()).with_file_name("sda-reprocess");
    assert!(program.is_file(), "{} is not built: run `just build` first", program.display());
    let mut command = Command::new(program);
    command.args(["-p", "p.toml"]).args(arguments).current_dir(folder.path());
    for variable in ["PAWL_LOG", "PAWL_CRASH_AT"] {
        command.env_remove(variable);
    }
    command
}

/// `pawl dlq replay` to its end.
pub fn replay(folder: &Folder, arguments: &[&str]) -> Ended {
    folder.pawl(&[&["dlq", "replay", "-p", "p.toml"], arguments].concat(), b"")
}

/// What a command printed as one JSON object.
pub fn json(ended: &Ended) -> serde_json::Value {
    serde_json::from_slice(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// How often each dead letter lies in a stage's replay topic, by `pawl-id`.
pub fn sent(folder: &Folder, stage: &str) -> BTreeMap<String, u64> {
    let mut sent = BTreeMap::new();
    for row in rows_sent(folder, stage) {
        *sent.entry(text(&row, "pawl-id")).or_default() += 1;
    }
    sent
}

/// The rows of a stage's replay topic.
pub fn rows_sent(folder: &Folder, stage: &str) -> Vec<Row> {
    folder.stored().rows(&format!("t.{stage}.replay"))
}

/// A header as text.
pub fn text(row: &Row, header: &str) -> String {
    let bytes = row.headers.get(header).map(Vec::as_slice).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}
