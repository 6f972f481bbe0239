//! `pawl check`: all mistakes of a pipeline at once, those included that only the sandbox can see;
//! then what the pipeline promises and what it may take. Runs nothing and changes nothing.

use crate::file::Overrides;
use crate::out::Out;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Check a pipeline file and its plugins, and print what it promises, edge by edge
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

/// Runs the command.
pub fn check(arguments: &Arguments) -> Result<()> {
    let (pipeline, warnings) = arguments.overrides.load(&arguments.file)?;
    let plugins = pawl_service::check(&pipeline);
    let mut out = Out::new();
    if !warnings.is_empty() {
        out.line("warnings")?;
        for warning in &warnings {
            out.line(format!("  {warning}"))?;
        }
        out.line("")?;
    }
    out.line("delivery")?;
    for row in pawl_pipeline::delivery_text(&pipeline).lines() {
        out.line(format!("  {}", row.trim_end()))?;
    }
    out.line("")?;
    out.line("memory")?;
    for estimate in pawl_pipeline::memory_estimates(&pipeline) {
        out.line(format!("  {estimate}"))?;
    }
    out.flush()?;
    Ok(plugins?)
}
