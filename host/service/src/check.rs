//! What only the sandbox can know of a pipeline: that its plugins are there, are components of
//! the contract, take their configuration and fit together. All mistakes at once.

use crate::configuration::Configuration;
use crate::error::Error;
use crate::plugins::{Plugins, Running, limits_of};
use crate::wiring::{self, Told};
use pawl_pipeline::{Mistake, Operator, Pipeline, Stage};
use std::collections::BTreeMap;

/// A stage made ready: what runs each operator, and what each told.
pub(crate) struct Ready {
    pub running: Vec<Running>,
    pub told: Vec<Told>,
    /// Components and configurations, to be stored before the first checkpoint names them.
    pub objects: Vec<Vec<u8>>,
}

/// Checks what the pipeline crate cannot: every plugin is loaded, compiled and configured once.
pub fn check(pipeline: &Pipeline) -> Result<(), Error> {
    let plugins = Plugins::new(pipeline, false)?;
    ready(pipeline, &plugins).map(drop)
}

/// Makes all stages ready, by name.
pub(crate) fn ready(
    pipeline: &Pipeline,
    plugins: &Plugins,
) -> Result<BTreeMap<String, Ready>, Error> {
    let mut mistakes = Vec::new();
    let mut all = BTreeMap::new();
    plugins.compile_all(pipeline);
    for stage in &pipeline.stages {
        let ready = ready_stage(pipeline, stage, plugins, &mut mistakes);
        all.insert(stage.name.clone(), ready);
    }
    if mistakes.is_empty() { Ok(all) } else { Err(Error::Pipeline(mistakes)) }
}

fn ready_stage(
    pipeline: &Pipeline,
    stage: &Stage,
    plugins: &Plugins,
    mistakes: &mut Vec<Mistake>,
) -> Ready {
    let mut ready = Ready { running: Vec::new(), told: Vec::new(), objects: Vec::new() };
    for (at, operator) in stage.operators.iter().enumerate() {
        if stage.is_sink() {
            ready_sink(pipeline, stage, operator, &mut ready, mistakes);
            continue;
        }
        let path = format!("stage.{}.operator.{}", stage.name, operator.name);
        let (component, bytes) = match plugins.load(pipeline, operator, &path) {
            Ok(loaded) => loaded,
            Err(mistake) => {
                mistakes.push(mistake);
                continue;
            }
        };
        let limits = limits_of(operator);
        let told = match component.instantiate(&operator.config_json, &limits) {
            Ok(instance) => Told {
                description: instance.description().clone(),
                wiring: instance.wiring().clone(),
            },
            Err(error) => {
                let field = match error {
                    pawl_sandbox::Error::Configuration(_) => "config",
                    _ => "plugin",
                };
                let path = format!("{path}.{field}");
                mistakes.push(Mistake { path, what: error.to_string() });
                continue;
            }
        };
        mistakes.extend(wiring::mistakes(stage, at, &told.wiring, &path));
        let text = pipeline.configuration_text(stage, at);
        match Configuration::parse(&text) {
            Ok(configuration) => {
                let name = operator.name.clone();
                let component = Some(component);
                ready.running.push(Running { name, component, configuration, limits });
            }
            Err(error) => mistakes.push(Mistake { path, what: error.to_string() }),
        }
        ready.told.push(told);
        ready.objects.push(bytes);
        ready.objects.push(text.into_bytes());
    }
    ready
}

/// A sink computes nothing; what it is to do is checked when it opens.
fn ready_sink(
    pipeline: &Pipeline,
    stage: &Stage,
    operator: &Operator,
    ready: &mut Ready,
    mistakes: &mut Vec<Mistake>,
) {
    let text = pipeline.configuration_text(stage, 0);
    let configuration = match Configuration::parse(&text) {
        Ok(configuration) => configuration,
        Err(error) => {
            let path = format!("sink.{}", stage.name);
            return mistakes.push(Mistake { path, what: error.to_string() });
        }
    };
    let (running, bytes) = Running::sink(&operator.name, configuration, limits_of(operator));
    ready.running.push(running);
    ready.told.push(Told::of_sink());
    ready.objects.extend([bytes, text.into_bytes()]);
}
