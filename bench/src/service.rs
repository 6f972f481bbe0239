//! The whole service in this process: a pipeline of one stage, one partition and one operator, run
//! until it is idle.

use crate::input::{ROWS, Source};
use crate::measure::{Spent, Timer};
use crate::work::{Work, plugins};
use anyhow::{Result, anyhow, ensure};
use pawl_core::record::LogBatch;
use pawl_pipeline::Pipeline;
use pawl_service::{RunOptions, StopFlag};
use pawl_transport::Transport;
use std::path::Path;
use std::sync::Arc;

/// A pipeline and the source of its input.
pub struct Service {
    pipeline: Pipeline,
    source: Source,
    make: fn(&mut Source) -> LogBatch,
}

impl Service {
    /// A pipeline around the operator, stored in `folder`.
    pub fn new(work: &Work, folder: &Path) -> Result<Self> {
        let text = format!(
            r#"
                pawl = 1
                name = "bench"
                data = "data"
                plugins = ['{plugins}']
                [topics.in]
                [topics.out]
                [[stage]]
                name = "bench"
                input = "in"
                output = "out"
                [[stage.operator]]
                name = "{name}"
                plugin = "{file}"
                config = {config}
                edge = {edge}
            "#,
            plugins = plugins()?.display(),
            name = work.name,
            file = work.plugin.trim_end_matches(".wasm").replace('_', "-"),
            config = work.config_text,
            edge = work.edge_text,
        );
        let (pipeline, _) = pawl_pipeline::parse(&text, folder, &[])
            .map_err(|mistakes| anyhow!("the benchmark's pipeline: {:?}", mistakes.list))?;
        Ok(Self { pipeline, source: Source::default(), make: work.batch })
    }

    /// Runs the service over so many batches that lie in the topic.
    pub fn round(&mut self, batches: usize) -> Result<Spent> {
        {
            let transport = pawl_service::open_transport(&self.pipeline, false)?;
            for _ in 0..batches {
                transport.produce("in", 0, (self.make)(&mut self.source), 0)?;
            }
        }
        let options = RunOptions { until_idle: true, ..RunOptions::default() };
        let timer = Timer::start();
        let summary = pawl_service::run(&self.pipeline, &options, &Arc::new(StopFlag::default()))?;
        let spent = timer.stop(batches * ROWS);
        let taken = summary.tasks.iter().map(|task| task.committed.position).sum::<u64>();
        let given = self.source.made();
        ensure!(taken == given, "the service took {taken} of {given} records");
        Ok(spent)
    }
}
