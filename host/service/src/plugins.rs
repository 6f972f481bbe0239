//! Components by digest: compiled once for the process, whichever stage and partition asks. Old
//! ones, which a replay may need, come from the checkpoint store.

use crate::configuration::{self, Configuration};
use crate::error::Error;
use pawl_checkpoint::Store;
use pawl_core::decision::OperatorDigest;
use pawl_pipeline::{Mistake, Operator, Pipeline};
use pawl_sandbox::{Cache, Component, Engine, Limits};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Compiles components and keeps them.
pub(crate) struct Plugins {
    engine: Engine,
    compiled: Mutex<BTreeMap<String, Compiled>>,
    /// Where compiled components are kept for the next start; none: nowhere.
    cache: Option<Cache>,
}

/// What came of compiling: a failure is kept too, since trying the same bytes again cannot help.
type Compiled = Result<Component, pawl_sandbox::Error>;

/// What runs one operator: component and configuration.
#[derive(Clone)]
pub(crate) struct Running {
    /// Name of the operator.
    pub name: String,
    /// The component; none for a sink.
    pub component: Option<Component>,
    /// The effective configuration.
    pub configuration: Configuration,
    /// What an instance may use.
    pub limits: Limits,
}

/// What stands for a component where a sink delivers.
const NO_COMPONENT: &[u8] = b"pawl sink, version 1";

impl Running {
    /// What delivers the records of a stage. The bytes to be stored stand beside it.
    pub fn sink(name: &str, configuration: Configuration, limits: Limits) -> (Self, Vec<u8>) {
        let running = Self { name: name.to_owned(), component: None, configuration, limits };
        (running, NO_COMPONENT.to_vec())
    }

    /// The digest of the component, or of what stands for it.
    pub fn component_digest(&self) -> String {
        match &self.component {
            Some(component) => component.digest().to_owned(),
            None => configuration::digest(NO_COMPONENT),
        }
    }

    /// What stands in checkpoints and decisions.
    pub fn digest(&self) -> OperatorDigest {
        OperatorDigest {
            operator: self.name.clone(),
            component: self.component_digest(),
            configuration: self.configuration.digest.clone(),
        }
    }
}

impl Plugins {
    /// Makes the engine. With `keep`, what is compiled is kept in the data folder.
    pub fn new(pipeline: &Pipeline, keep: bool) -> Result<Self, Error> {
        let mut operators = pipeline.stages.iter().flat_map(|stage| &stage.operators);
        let fuel = operators.any(|operator| operator.limits.fuel_per_record.is_some());
        let engine = Engine::new(&pawl_sandbox::EngineOptions { fuel })
            .map_err(|error| Error::Component { operator: "any".to_owned(), error })?;
        let cache = keep.then(|| Cache::new(pipeline.data.join("compiled")));
        Ok(Self { engine, compiled: Mutex::new(BTreeMap::new()), cache })
    }

    /// Reads and compiles a plugin of the pipeline. `path` is where it stands in the file.
    pub fn load(
        &self,
        pipeline: &Pipeline,
        operator: &Operator,
        path: &str,
    ) -> Result<(Component, Vec<u8>), Mistake> {
        let mistake = |what: String| Mistake { path: format!("{path}.plugin"), what };
        let file = pipeline.resolve_plugin(&operator.plugin).map_err(|tried| {
            let tried: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
            mistake(format!(
                "no such plugin; looked for {}; build it (`just plugins`, or cargo build --release \
                 --target wasm32-unknown-unknown), or name its folder in `plugins`",
                tried.join(", ")
            ))
        })?;
        let limits = limits_of(operator);
        let size = std::fs::metadata(&file).map(|data| data.len()).unwrap_or(0);
        if size > limits.component_bytes_max as u64 {
            let max = limits.component_bytes_max;
            let what = format!("{} has {size} bytes, component_bytes_max is {max}", file.display());
            return Err(mistake(what));
        }
        let bytes = std::fs::read(&file)
            .map_err(|error| mistake(format!("could not read {}: {error}", file.display())))?;
        let component = self
            .compile(&bytes, &limits)
            .map_err(|error| mistake(format!("{}: {error}", file.display())))?;
        Ok((component, bytes))
    }

    /// Compiles the plugins of a pipeline side by side, so that a start takes as long as the
    /// largest one. What goes wrong is told when the plugin is loaded.
    pub fn compile_all(&self, pipeline: &Pipeline) {
        let stages = pipeline.stages.iter().filter(|stage| !stage.is_sink());
        let operators = stages.flat_map(|stage| &stage.operators);
        let mut plugins: Vec<&Operator> = Vec::new();
        for operator in operators {
            if !plugins.iter().any(|other| other.plugin == operator.plugin) {
                plugins.push(operator);
            }
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for some in plugins.chunks(cores) {
            std::thread::scope(|scope| {
                for operator in some {
                    scope.spawn(move || drop(self.load(pipeline, operator, "")));
                }
            });
        }
    }

    /// The component and configuration of a digest, out of the store if need be.
    pub fn stored(
        &self,
        digest: &OperatorDigest,
        limits: &Limits,
        store: &dyn Store,
    ) -> Result<Running, Error> {
        let known = self.lock().get(&digest.component).cloned();
        let component = match known {
            Some(Ok(component)) => Some(component),
            _ if digest.component == configuration::digest(NO_COMPONENT) => None,
            _ => {
                let bytes = store.object(&digest.component)?;
                let compiled = self.compile(&bytes, limits).map_err(|error| Error::Component {
                    operator: digest.operator.clone(),
                    error,
                })?;
                Some(compiled)
            }
        };
        let text = store.object(&digest.configuration)?;
        let text = String::from_utf8_lossy(&text);
        Ok(Running {
            name: digest.operator.clone(),
            component,
            configuration: Configuration::parse(&text)?,
            limits: limits.clone(),
        })
    }

    fn compile(&self, bytes: &[u8], limits: &Limits) -> Result<Component, pawl_sandbox::Error> {
        let digest = configuration::digest(bytes);
        match self.lock().get(&digest) {
            // Another operator's smaller limits say nothing of this one's.
            Some(Err(pawl_sandbox::Error::CompileTimeout { max_ms }))
                if *max_ms < limits.compile_time_max_ms => {}
            Some(Err(pawl_sandbox::Error::TooLarge { .. })) | None => {}
            Some(compiled) => return compiled.clone(),
        }
        let compiled = match &self.cache {
            None => Component::compile(&self.engine, bytes, limits),
            Some(cache) => {
                let cached = Component::compile_cached(&self.engine, bytes, limits, cache);
                cached.map(|cached| {
                    if let Some(warning) = cached.warning {
                        tracing::warn!(%warning, "compiled components are not kept as they should");
                    }
                    cached.component
                })
            }
        };
        self.lock().insert(digest, compiled.clone());
        compiled
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Compiled>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sandbox's limits of an operator.
pub(crate) fn limits_of(operator: &Operator) -> Limits {
    sandbox_limits(&operator.limits)
}

/// The limits of a pipeline file as the sandbox keeps them.
pub fn sandbox_limits(given: &pawl_pipeline::Limits) -> Limits {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Limits {
        memory_bytes_max: size(given.memory_bytes_max),
        table_elements_max: size(given.table_elements_max),
        time_per_call_ms: given.time_per_call_ms,
        time_per_record_us: given.time_per_record_us,
        output_bytes_max: size(given.output_bytes_max),
        state_bytes_max: given.state_bytes_max,
        component_bytes_max: size(given.component_bytes_max),
        compile_time_max_ms: given.compile_time_max_ms,
        fuel_per_record: given.fuel_per_record,
        ..Limits::default()
    }
}
