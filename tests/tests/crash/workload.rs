//! The pipeline that is killed: two stages, windows, dedup, late records, refused ones, a guest
//! that traps now and then, and a sink; and what an undisturbed run makes of the same input.

use pawl_core::counters::Counters;
use pawl_tests::stored::Output;
use pawl_tests::{Folder, Letter, input};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Small batches, commits and checkpoints, so that every crash point is passed many times.
pub const PIPELINE: &str = r#"
pawl = 1
name = "crash"
data = "data"
plugins = ["PLUGINS"]
[topics.observations]
partitions = 2
key = { field = "/cell" }
[topics.alerts]
partitions = 2
[topics.final]
retention_ms = 86400000
[topics.side]
[commit]
records_max = 100
[checkpoint]
recovery_time_max_ms = 1
[supervisor]
backoff_ms = 1
[[stage]]
name = "window"
input = "observations"
output = "alerts"
late = "dead-letter"
batch_records_max = 32
[[stage.operator]]
name = "guest"
plugin = "misbehaving"
config = { mode = "by-value" }
outputs = { side = "side" }
[[stage.operator]]
name = "window"
plugin = "count-window"
config = { window_ms = 1000, min_sensors = 1 }
[stage.operator.edge]
id = { field = "/observation_id" }
event_time = { field = "/t_ms", unit = "ms" }
watermark = { disorder_ms = 500 }
dedup = { horizon_ms = 60000, ids_max = 100 }
[[stage]]
name = "copy"
input = "alerts"
output = "final"
batch_records_max = 32
[[stage.operator]]
name = "copy"
plugin = "identity"
edge = { dedup = { horizon_ms = 60000, ids_max = 1000 } }
[[sink]]
name = "files"
input = "final"
batch_records_max = 32
file = { folder = "out", file_bytes_max = 4000 }
"#;

/// What must be the same. The topic between the stages is trimmed as checkpoints come.
#[derive(Debug, PartialEq)]
pub struct Results {
    pub outputs: Vec<Output>,
    pub letters: Vec<Letter>,
    /// Lines of all files, sorted.
    pub delivered: Vec<String>,
    pub counters: BTreeMap<String, Counters>,
}

/// Of an undisturbed run: at the end of the input, and when windows were closed then.
pub struct Undisturbed {
    pub idle: Results,
    pub closed: Results,
}

/// The lines that go in.
pub static LINES: LazyLock<Vec<String>> = LazyLock::new(|| input::observations(2009, 2_000));

/// What the undisturbed run makes of them.
pub static UNDISTURBED: LazyLock<Undisturbed> = LazyLock::new(|| {
    let folder = prepared("undisturbed");
    folder.run(&["--until-idle"]).success();
    let idle = results(&folder);
    folder.run(&["--close-windows"]).success();
    let closed = results(&folder);
    let kinds: Vec<&str> = idle.letters.iter().map(|letter| letter.kind.as_str()).collect();
    for kind in ["trap", "late", "no-id", "deserialization"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert!(idle.outputs.len() > 100 && closed.outputs.len() > idle.outputs.len());
    assert_eq!(closed.delivered.len(), closed.outputs.len());
    let window = &idle.counters["window/0"].edges[1];
    assert!(window.duplicate > 0 && window.late > 0 && window.evicted_early > 0, "{window:?}");
    Undisturbed { idle, closed }
});

/// A folder with the pipeline and all its input.
pub fn prepared(name: &str) -> Folder {
    let folder = Folder::new(name, PIPELINE);
    folder.produce("observations", &input::joined(&LINES));
    folder
}

/// What is stored now.
pub fn results(folder: &Folder) -> Results {
    let stored = folder.stored();
    Results {
        outputs: stored.outputs("final"),
        letters: stored.letters(),
        delivered: delivered(folder),
        counters: stored.counters(),
    }
}

/// What the sink has written.
fn delivered(folder: &Folder) -> Vec<String> {
    let files = std::fs::read_dir(folder.path().join("out")).into_iter().flatten().flatten();
    let paths = files.map(|file| file.path());
    let read = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let texts = read.map(|path| std::fs::read_to_string(path).expect("lines are text"));
    let mut lines: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort();
    lines
}

/// Lets the pipeline come to its end and compares with the undisturbed run.
#[track_caller]
pub fn ends_as_undisturbed(folder: &Folder, what: &str) {
    folder.run(&["--until-idle"]).success();
    is_same(&results(folder), &UNDISTURBED.idle, what);
    folder.run(&["--close-windows"]).success();
    is_same(&results(folder), &UNDISTURBED.closed, what);
}

/// As `assert_eq`, but shows only what differs.
#[track_caller]
pub fn is_same(found: &Results, wanted: &Results, what: &str) {
    same_set(&found.letters, &wanted.letters, &format!("{what}: dead letters"));
    same_set(&found.outputs, &wanted.outputs, &format!("{what}: outputs"));
    same_set(&found.delivered, &wanted.delivered, &format!("{what}: delivered"));
    assert_eq!(found.counters, wanted.counters, "{what}: counters");
}

/// Both are sorted; what is there twice counts twice.
#[track_caller]
fn same_set<T: Ord + std::fmt::Debug>(found: &[T], wanted: &[T], what: &str) {
    let (mut more, mut missing) = (Vec::new(), Vec::new());
    let (mut at, mut of) = (found.iter().peekable(), wanted.iter().peekable());
    loop {
        match (at.peek(), of.peek()) {
            (Some(one), Some(two)) if one == two => drop((at.next(), of.next())),
            (Some(one), Some(two)) if one < two => more.extend(at.next()),
            (Some(_), None) => more.extend(at.next()),
            (_, Some(_)) => missing.extend(of.next()),
            (None, None) => break,
        }
    }
    let first =
        |list: &[&T]| list.iter().take(3).map(|it| format!("\n  {it:?}")).collect::<String>();
    assert!(
        more.is_empty() && missing.is_empty(),
        "{what}: {} of {} too many:{}\n{} of {} missing:{}",
        more.len(),
        found.len(),
        first(&more),
        missing.len(),
        wanted.len(),
        first(&missing)
    );
}
