//! The pipeline file as commands take it, with `--set`. What is wrong with a file is told whole by
//! `pawl_pipeline`, never here.

use anyhow::Result;
use clap::Args;
use pawl_pipeline::{Pipeline, Warning};
use std::path::{Path, PathBuf};

/// Overrides of single fields.
#[derive(Debug, Args)]
pub struct Overrides {
    /// Override a field of the pipeline file, as in `--set topics.alerts.partitions=2` (repeatable)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
}

/// The pipeline file as an option, where another argument stands first.
#[derive(Debug, Args)]
pub struct FileOption {
    /// The pipeline file
    #[arg(short, long, value_name = "FILE")]
    pipeline: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

impl Overrides {
    /// Reads and checks a pipeline file.
    pub fn load(&self, file: &Path) -> Result<(Pipeline, Vec<Warning>)> {
        Ok(pawl_pipeline::load(file, &self.set)?)
    }
}

impl FileOption {
    /// Reads and checks the pipeline file.
    pub fn load(&self) -> Result<Pipeline> {
        self.overrides.load(&self.pipeline).map(|(pipeline, _)| pipeline)
    }
}
