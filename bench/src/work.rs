//! The two operators that the ladder is climbed with, and what a task around them looks like.

use crate::input::{DISORDER_MS, ROWS, Source};
use crate::native::{self, Native};
use anyhow::{Context, Result};
use pawl_core::breaker::BreakerRules;
use pawl_core::clock::WatermarkRules;
use pawl_core::commit::TaskId;
use pawl_core::identity::{IdSource, TimeSource};
use pawl_core::operator::{Batch, Wiring};
use pawl_core::record::LogBatch;
use pawl_core::spec::{
    DedupRules, EdgeSpec, LateRoute, OperatorSpec, Route, Spec, TimeOrigin, TopicSpec,
};
use std::path::PathBuf;

/// How far the watermark goes in one step.
const STEP_MS: i64 = 100;

/// An operator and its input.
pub struct Work {
    /// For the table.
    pub name: &'static str,
    /// Its file.
    pub plugin: &'static str,
    /// Its configuration, JSON.
    pub config: &'static str,
    /// Its native twin, not configured.
    pub native: fn() -> Box<dyn Native>,
    /// Makes its input.
    pub batch: fn(&mut Source) -> LogBatch,
    /// Where ids come from.
    pub id: fn() -> IdSource,
    /// Where event times come from.
    pub time: fn() -> TimeSource,
    /// Whether the edge drops repeated ids and makes a watermark.
    pub judges: bool,
    /// Its configuration in a pipeline file.
    pub config_text: &'static str,
    /// The edge in a pipeline file.
    pub edge_text: &'static str,
}

/// Every record goes on as it is: only the way is measured.
pub const IDENTITY: Work = Work {
    name: "identity",
    plugin: "identity.wasm",
    config: "{}",
    native: native::new::<identity::Identity>,
    batch: Source::plain,
    id: || IdSource::Own,
    time: || TimeSource::Own,
    judges: true,
    config_text: "{}",
    edge_text: r#"{
                    id = "own", event_time = "own",
                    watermark = { disorder_ms = 500 }, dedup = { horizon_ms = 60000 } }"#,
};

/// The same without anything that a pipeline file need not ask for.
pub const PASS: Work = Work {
    id: || IdSource::Position,
    time: || TimeSource::None,
    judges: false,
    edge_text: r#"{ id = "position" }"#,
    ..IDENTITY
};

/// Windows over observations: JSON is parsed, state is kept.
pub const WINDOW: Work = Work {
    name: "count-window",
    plugin: "count_window.wasm",
    config: r#"{"window_ms":1000,"min_sensors":2}"#,
    native: native::new::<count_window::CountWindow>,
    batch: Source::observations,
    id: || IdSource::Field("/observation_id".to_owned()),
    time: || TimeSource::Field("/t_ms".to_owned()),
    judges: true,
    config_text: "{ window_ms = 1000, min_sensors = 2 }",
    edge_text: r#"{
                    id = { field = "/observation_id" }, event_time = { field = "/t_ms" },
                    watermark = { disorder_ms = 500 }, dedup = { horizon_ms = 60000 } }"#,
};

/// What an operator gets in one call, and the tick behind it.
pub struct Call {
    /// The records.
    pub batch: Batch,
    /// Where time stands then, if it moved.
    pub tick: Option<i64>,
}

/// Cuts batches as a task does: a call ends where a tick is due.
#[derive(Default)]
pub struct Cutter {
    newest: i64,
    watermark: Option<i64>,
}

impl Cutter {
    /// The calls for these rows.
    pub fn cut(&mut self, batch: &LogBatch) -> Vec<Call> {
        let (mut calls, mut first) = (Vec::new(), 0);
        for (row, time) in batch.records.event_times.iter().enumerate() {
            self.newest = self.newest.max(*time);
            let due = (self.newest - DISORDER_MS).div_euclid(STEP_MS) * STEP_MS;
            let tick = self.watermark.is_none_or(|watermark| due > watermark).then_some(due);
            if tick.is_some() || row + 1 == batch.rows() {
                self.watermark = tick.or(self.watermark);
                calls.push(Call { batch: rows(batch, first, row + 1), tick });
                first = row + 1;
            }
        }
        calls
    }
}

fn rows(from: &LogBatch, first: usize, end: usize) -> Batch {
    let (mut batch, records) = (Batch::default(), &from.records);
    batch.keys.extend_rows(&records.keys, first, end);
    batch.values.extend_rows(&records.values, first, end);
    batch.event_times.extend_from_slice(records.event_times.get(first..end).unwrap_or_default());
    batch
}

impl Work {
    /// The bytes of its component.
    pub fn component(&self) -> Result<Vec<u8>> {
        let path = plugins()?.join(self.plugin);
        std::fs::read(&path).with_context(|| format!("no {}: run `just plugins`", path.display()))
    }

    /// A task around it, which drops repeated ids if so asked.
    pub fn spec(&self, wiring: Wiring) -> Spec {
        let topic = |name: &str| TopicSpec {
            name: name.to_owned(),
            partitions: 1,
            controls: false,
            writers: vec!["bench".to_owned()],
        };
        let edge = EdgeSpec {
            id: (self.id)(),
            time: (self.time)(),
            dedup: self.judges.then_some(DedupRules { horizon: 60_000, ids_max: 1_000_000 }),
        };
        let rules =
            WatermarkRules { disorder: DISORDER_MS, step: STEP_MS, ..WatermarkRules::default() };
        Spec {
            replay: String::new(),
            pipeline: "bench".to_owned(),
            task: TaskId { stage: "bench".to_owned(), partition: 0 },
            input: "in".to_owned(),
            copies: false,
            operators: vec![OperatorSpec {
                name: self.name.to_owned(),
                version: String::new(),
                component: String::new(),
                edge,
                routes: vec![Route::Topic(0); wiring.outputs.len()],
                wiring,
                seed: OperatorSpec::seed_of("bench", self.name),
            }],
            time: match self.judges {
                true => TimeOrigin::Records(rules),
                false => TimeOrigin::None,
            },
            time_edge: 0,
            topics: vec![topic("out"), topic("dead")],
            late: LateRoute::Drop,
            dead_letters: 1,
            breaker: BreakerRules::default(),
            call_records_max: ROWS,
            call_bytes_max: 8 << 20,
            sink: false,
        }
    }
}

/// Where `just plugins` puts plugins: beside this program's folder.
pub fn plugins() -> Result<PathBuf> {
    let me = std::env::current_exe().context("this process does not know its own file")?;
    let target = me.ancestors().nth(2).context("this program lies in no target folder")?;
    Ok(target.join("wasm32-unknown-unknown/release"))
}
