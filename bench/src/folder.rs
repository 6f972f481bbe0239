//! A pipeline of one stage in a folder of its own, its topics written and read from here, `pawl
//! run` as a process.

use crate::process::Process;
use crate::work::plugins;
use anyhow::{Result, anyhow};
use pawl_core::record::LogBatch;
use pawl_pipeline::Pipeline;
use pawl_transport::{Embedded, Transport};
use std::path::{Path, PathBuf};

/// The folder with its pipeline file, `p.toml`.
pub struct Folder {
    path: PathBuf,
    pipeline: Pipeline,
}

impl Folder {
    /// `operator` says plugin, limits and edge of the only operator, between topics `in` and `out`
    /// of so many partitions.
    pub fn new(path: PathBuf, partitions: u32, operator: &str, more: &str) -> Result<Self> {
        let plugins = plugins()?.display().to_string();
        let text = format!(
            "pawl = 1\nname = \"bench\"\ndata = \"data\"\nplugins = ['{plugins}']\n{more}\n\
             [topics.in]\npartitions = {partitions}\n[topics.out]\npartitions = {partitions}\n\
             [[stage]]\nname = \"bench\"\ninput = \"in\"\noutput = \"out\"\n\
             [[stage.operator]]\nname = \"bench\"\n{operator}\n"
        );
        let file = path.join("p.toml");
        std::fs::write(&file, text)?;
        let (pipeline, _) = pawl_pipeline::load(&file, &[])
            .map_err(|mistakes| anyhow!("the benchmark's pipeline: {:?}", mistakes.list))?;
        pawl_service::open_transport(&pipeline, false)?;
        Ok(Self { path, pipeline })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log, to write to it or to look at it.
    pub fn log(&self) -> Result<Embedded> {
        Ok(pawl_service::open_transport(&self.pipeline, false)?)
    }

    /// `pawl run` with further arguments.
    pub fn run(&self, arguments: &[&str]) -> Result<Process> {
        Process::start(&self.path, &[&["run", "p.toml"], arguments].concat(), None, "warn")
    }

    /// The same, and it logs what it does.
    pub fn run_and_tell(&self, arguments: &[&str]) -> Result<Process> {
        Process::start(&self.path, &[&["run", "p.toml"], arguments].concat(), None, "debug")
    }

    /// Appends rows to partition 0 of `in`.
    pub fn give(&self, log: &Embedded, batch: LogBatch) -> Result<()> {
        log.produce("in", 0, batch, 0)?;
        Ok(())
    }
}

/// The end of partition 0 of `out`.
pub fn end_of_out(log: &Embedded) -> Result<u64> {
    Ok(log.range("out", 0)?.1)
}
