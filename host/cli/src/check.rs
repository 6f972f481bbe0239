//! `pawl check`: all mistakes of a pipeline at once, those included that only the sandbox can see;
//! then what the pipeline promises and what it may take. Runs nothing and changes nothing.

use crate::file::Overrides;
use crate::out::{Out, json_line};
use crate::table::{Column, Table};
use crate::terminal::{self, Paint};
use anyhow::Result;
use clap::Args;
use pawl_pipeline::{Mistake, Mistakes, Pipeline, Warning};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Check a pipeline file and its plugins, and print what it promises, edge by edge
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// One JSON object, also if there are mistakes
    #[arg(long)]
    json: bool,
    /// Instead print all that holds, as a pipeline file: every default, every `--set`, no secret
    #[arg(long, conflicts_with = "json")]
    effective: bool,
    #[command(flatten)]
    overrides: Overrides,
}

/// Runs the command.
pub fn check(arguments: &Arguments) -> Result<()> {
    if arguments.effective {
        return effective(arguments);
    }
    let loaded = arguments.overrides.load(&arguments.file);
    let mut out = Out::new();
    match loaded {
        Ok((pipeline, warnings)) => {
            let plugins = pawl_service::check(&pipeline);
            match arguments.json {
                true => {
                    let mistakes = match &plugins {
                        Err(pawl_service::Error::Pipeline(mistakes)) => mistakes.as_slice(),
                        _ => &[],
                    };
                    let valid = plugins.is_ok();
                    out.line(json_line(&as_json(&pipeline, &warnings, mistakes, valid))?)?;
                }
                // What cannot run promises nothing.
                false if plugins.is_err() => show_warnings(&warnings, &mut out)?,
                false => show(&pipeline, &warnings, &mut out)?,
            }
            if plugins.is_ok() && !arguments.json {
                out.line("")?;
                out.line(terminal::paint(Paint::Green, &verdict(&pipeline)))?;
            }
            out.flush()?;
            Ok(plugins?)
        }
        Err(error) => {
            if let (true, Some(mistakes)) = (arguments.json, error.downcast_ref::<Mistakes>()) {
                let list: Vec<Value> = mistakes.list.iter().map(mistake_json).collect();
                out.line(json_line(&json!({ "valid": false, "mistakes": list }))?)?;
                out.flush()?;
            }
            Err(error)
        }
    }
}

fn effective(arguments: &Arguments) -> Result<()> {
    let (pipeline, _) = arguments.overrides.load(&arguments.file)?;
    let mut out = Out::new();
    out.bytes(pawl_pipeline::effective(&pipeline).as_bytes())?;
    out.flush()
}

fn show_warnings(warnings: &[Warning], out: &mut Out) -> Result<()> {
    if warnings.is_empty() {
        return Ok(());
    }
    out.line(terminal::paint(Paint::Yellow, "warnings"))?;
    for warning in warnings {
        out.line(format!("  {warning}"))?;
    }
    out.line("")
}

fn show(pipeline: &Pipeline, warnings: &[Warning], out: &mut Out) -> Result<()> {
    show_warnings(warnings, out)?;
    out.line(terminal::paint(Paint::Bold, "delivery"))?;
    let columns = ["from", "to", "what holds", "by what"].map(Column::left);
    let mut table = Table::indented(&columns, "  ");
    for row in pawl_pipeline::delivery(pipeline) {
        table.row(vec![row.from, row.to, row.holds, row.by_what]);
    }
    table.print(out)?;
    out.line("")?;
    out.line(terminal::paint(Paint::Bold, "memory"))?;
    for estimate in pawl_pipeline::memory_estimates(pipeline) {
        out.line(format!("  {estimate}"))?;
    }
    Ok(())
}

fn verdict(pipeline: &Pipeline) -> String {
    let sinks = pipeline.stages.iter().filter(|stage| stage.is_sink()).count();
    let stages = pipeline.stages.len() - sinks;
    let counted = |count: usize, what: &str| match count {
        0 => String::new(),
        1 => format!(", 1 {what}"),
        count => format!(", {count} {what}s"),
    };
    let mut text = counted(stages, "stage");
    text.push_str(&counted(pipeline.sources.len(), "source"));
    text.push_str(&counted(sinks, "sink"));
    format!("valid: {}{text}", pipeline.name)
}

fn as_json(pipeline: &Pipeline, warnings: &[Warning], mistakes: &[Mistake], valid: bool) -> Value {
    let delivery = pawl_pipeline::delivery(pipeline).into_iter().map(
        |row| json!({ "from": row.from, "to": row.to, "holds": row.holds, "by_what": row.by_what }),
    );
    let warnings = warnings.iter().map(|warning| {
        let Warning { path, what } = warning;
        json!({ "path": path, "what": what })
    });
    json!({
        "pipeline": pipeline.name,
        "valid": valid,
        "mistakes": mistakes.iter().map(mistake_json).collect::<Vec<_>>(),
        "warnings": warnings.collect::<Vec<_>>(),
        "delivery": delivery.collect::<Vec<_>>(),
        "memory": pawl_pipeline::memory_estimates(pipeline),
    })
}

fn mistake_json(mistake: &Mistake) -> Value {
    json!({ "path": mistake.path, "what": mistake.what })
}
