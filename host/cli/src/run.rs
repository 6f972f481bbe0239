//! `pawl run`: the service, and the signals that end it. The first SIGTERM or SIGINT drains, a
//! second one of either stops at once.

use crate::file::Overrides;
use crate::out::{Out, json_line, note};
use anyhow::{Context, Result};
use clap::Args;
use pawl_pipeline::Stage;
use pawl_service::{RunOptions, StopFlag, TaskSummary};
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Run a pipeline until SIGTERM or Ctrl-C, which finish what is in hand; a second one stops at once
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// End when every stage stands at the end of its input; no time is moved, a later run goes on
    #[arg(long)]
    until_idle: bool,
    /// As `--until-idle`, then close every window and end
    #[arg(long)]
    close_windows: bool,
    /// Begin anew where a task's checkpoints are gone or cannot be used: what it held is lost
    #[arg(long)]
    fresh: bool,
    /// Let changed plugins take over at the last checkpoint where the old ones cannot go on
    #[arg(long)]
    switch_at_checkpoint: bool,
    /// Go on with tasks that the circuit breaker stopped
    #[arg(long)]
    resume: bool,
    /// Serve metrics, health, status and the live page there, as in 127.0.0.1:9464 (port 0: any).
    /// Whoever reaches the address sees all of them, dead letters included: keep to the loopback
    /// unless the network is yours
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// How logs are written on stderr; else as PAWL_LOG_FORMAT says, else as text
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<crate::log::Format>,
    /// What became of all records as one JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    overrides: Overrides,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (pipeline, warnings) = arguments.overrides.load(&arguments.file)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let stop = Arc::new(StopFlag::default());
    listen(Arc::clone(&stop))?;
    let options = RunOptions {
        until_idle: arguments.until_idle || arguments.close_windows,
        close_windows: arguments.close_windows,
        fresh: arguments.fresh,
        switch_at_checkpoint: arguments.switch_at_checkpoint,
        resume: arguments.resume,
        listen: arguments.listen,
        file: Some(arguments.file.clone()),
    };
    let summary = pawl_service::run(&pipeline, &options, &stop)?;
    let mut out = Out::new();
    if arguments.json {
        let tasks = summary.tasks.iter();
        let tasks: Vec<Value> =
            tasks.map(|task| as_json(task, pipeline.stage(&task.task.stage))).collect();
        out.line(json_line(&json!({ "pipeline": pipeline.name, "tasks": tasks }))?)?;
        return out.flush();
    }
    for task in &summary.tasks {
        out.line(line(task, pipeline.stage(&task.task.stage)))?;
    }
    out.flush()
}

/// What became of a task's records since its birth, in a line.
fn line(summary: &TaskSummary, stage: Option<&Stage>) -> String {
    let counters = &summary.counters;
    let mut line = format!("{}: {} records in", summary.task, counters.records_in);
    for (at, edge) in counters.edges.iter().enumerate() {
        let operator = stage.and_then(|stage| stage.operators.get(at));
        line.push_str(&format!("; {}", operator.map_or("?", |operator| operator.name.as_str())));
        line.push_str(&format!(" absorbed {}", edge.absorbed));
        let others = [
            ("dead-lettered", edge.dead_lettered),
            ("discarded", edge.discarded),
            ("duplicate", edge.duplicate),
            ("late", edge.late),
        ];
        for (what, count) in others.into_iter().filter(|(_, count)| *count > 0) {
            line.push_str(&format!(", {what} {count}"));
        }
    }
    for (topic, count) in &counters.records_out {
        line.push_str(&format!("; {count} to {topic}"));
    }
    line
}

/// As `line`, for machines.
fn as_json(summary: &TaskSummary, stage: Option<&Stage>) -> Value {
    let counters = &summary.counters;
    let operators = counters.edges.iter().enumerate().map(|(at, edge)| {
        let operator = stage.and_then(|stage| stage.operators.get(at));
        json!({
            "operator": operator.map(|operator| operator.name.as_str()),
            "absorbed": edge.absorbed,
            "dead_lettered": edge.dead_lettered,
            "discarded": edge.discarded,
            "duplicate": edge.duplicate,
            "late": edge.late,
        })
    });
    json!({
        "task": summary.task.to_string(),
        "position": summary.committed.position,
        "records_in": counters.records_in,
        "operators": operators.collect::<Vec<_>>(),
        "records_out": counters.records_out,
    })
}

/// From here on signals are obeyed on a thread of their own; it ends with the process.
fn listen(stop: Arc<StopFlag>) -> Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("failed to listen to signals")?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut asked = false;
            for signal in signals.forever() {
                if asked {
                    // At once: whatever is half done is what a crash leaves, and is recovered so.
                    signal_hook::low_level::exit(128 + signal);
                }
                note("finishing what is in hand; once more to stop at once");
                asked = true;
                stop.drain();
            }
        })
        .context("failed to start the thread for signals")?;
    Ok(())
}
