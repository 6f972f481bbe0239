//! A component: checked, compiled, and shared by all instances of an operator.
//!
//! The order is fixed: size, imports and exports, and only then the compiler, which is the part
//! that an attacker could keep busy.

use crate::bindings::PluginPre;
use crate::cache::{Cache, Key};
use crate::engine::Engine;
use crate::error::Error;
use crate::inspect::inspect;
use crate::instance::Instance;
use crate::limits::Limits;
use crate::meter::Meter;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use wasmtime::component::Linker;

/// A compiled operator, not yet configured. Clones are cheap and share the code.
#[derive(Clone)]
pub struct Component {
    engine: Engine,
    ready: PluginPre<Meter>,
    digest: Arc<str>,
}

impl Component {
    /// Checks and compiles a component.
    ///
    /// Compiling happens on a thread of its own. If that takes longer than
    /// `Limits::compile_time_max_ms` this returns, but the compiler cannot be stopped: the thread
    /// is left to finish, and its result is thrown away. Do not try the same bytes in a loop.
    pub fn compile(engine: &Engine, bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        check(bytes, limits)?;
        let ready = compile_in_time(engine, bytes.to_vec(), limits.compile_time_max_ms)?;
        Ok(Self::new(engine, ready, hex(&Sha256::digest(bytes))))
    }

    /// Checks a component as `compile` does, and loads what was compiled of it before, or compiles
    /// it and keeps that. Only the component can be a reason to fail, never the cache.
    pub fn compile_cached(
        engine: &Engine,
        bytes: &[u8],
        limits: &Limits,
        cache: &Cache,
    ) -> Result<Cached, Error> {
        check(bytes, limits)?;
        let digest = hex(&Sha256::digest(bytes));
        let key = Key::new(engine.wasmtime(), &digest);
        let load = || match cache.load(engine.wasmtime(), &key)? {
            Some(loaded) => Ok(Some(link(engine.wasmtime(), &loaded).map_err(|e| e.to_string())?)),
            None => Ok(None),
        };
        let unusable = match load() {
            Ok(Some(ready)) => {
                let component = Self::new(engine, ready, digest);
                return Ok(Cached { component, loaded: true, warning: None });
            }
            Ok(None) => None,
            Err(warning) => Some(warning),
        };
        let ready = compile_in_time(engine, bytes.to_vec(), limits.compile_time_max_ms)?;
        let stored = cache.store(&key, ready.instance_pre().component());
        let component = Self::new(engine, ready, digest);
        Ok(Cached { component, loaded: false, warning: stored.err().or(unusable) })
    }

    fn new(engine: &Engine, ready: PluginPre<Meter>, digest: String) -> Self {
        Self { engine: engine.clone(), ready, digest: digest.into() }
    }

    /// Makes an instance, asks what it is and configures it with `config_json`.
    pub fn instantiate(&self, config_json: &str, limits: &Limits) -> Result<Instance, Error> {
        limits.check(self.engine.counts_fuel())?;
        Instance::new(self, config_json, limits)
    }

    /// The SHA-256 of the component's bytes, in lower-case hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn ready(&self) -> &PluginPre<Meter> {
        &self.ready
    }

    pub(crate) fn shared_digest(&self) -> Arc<str> {
        Arc::clone(&self.digest)
    }
}

/// A component out of the cache, or now in it.
pub struct Cached {
    /// The component, which is the same either way.
    pub component: Component,
    /// Whether it was loaded, not compiled.
    pub loaded: bool,
    /// Why it was not loaded though it was there, or is not kept: worth a line in the log.
    pub warning: Option<String>,
}

/// What is refused before the compiler, and the cache, see it.
fn check(bytes: &[u8], limits: &Limits) -> Result<(), Error> {
    if bytes.len() > limits.component_bytes_max {
        return Err(Error::TooLarge { bytes: bytes.len(), max: limits.component_bytes_max });
    }
    inspect(bytes)
}

fn compile_in_time(
    engine: &Engine,
    bytes: Vec<u8>,
    max_ms: u64,
) -> Result<PluginPre<Meter>, Error> {
    let (give, take) = sync_channel(1);
    let engine = engine.wasmtime().clone();
    std::thread::Builder::new()
        .name("pawl-compile".to_owned())
        .spawn(move || {
            // Nobody waits any more if the time is over; then the result is dropped here.
            give.send(compile(&engine, &bytes)).unwrap_or_default();
        })
        .map_err(|error| Error::Compile(format!("could not start a thread: {error}")))?;
    match take.recv_timeout(Duration::from_millis(max_ms)) {
        Ok(compiled) => compiled.map_err(|error| Error::Compile(format!("{error:#}"))),
        Err(RecvTimeoutError::Timeout) => Err(Error::CompileTimeout { max_ms }),
        Err(RecvTimeoutError::Disconnected) => {
            Err(Error::Compile("the compiler itself failed on these bytes".to_owned()))
        }
    }
}

fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> wasmtime::Result<PluginPre<Meter>> {
    link(engine, &wasmtime::component::Component::from_binary(engine, bytes)?)
}

fn link(
    engine: &wasmtime::Engine,
    component: &wasmtime::component::Component,
) -> wasmtime::Result<PluginPre<Meter>> {
    // The linker offers nothing: a component that got this far with an import fails here.
    let linker = Linker::new(engine);
    PluginPre::new(linker.instantiate_pre(component)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing into a string does not fail");
        text
    })
}
