//! A component: checked, compiled, and shared by all instances of an operator.
//!
//! The order is fixed: size, imports and exports, and only then the compiler, which is the part
//! that an attacker could keep busy.

use crate::bindings::PluginPre;
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
        if bytes.len() > limits.component_bytes_max {
            let max = limits.component_bytes_max;
            return Err(Error::TooLarge { bytes: bytes.len(), max });
        }
        inspect(bytes)?;
        let ready = compile_in_time(engine, bytes.to_vec(), limits.compile_time_max_ms)?;
        Ok(Self { engine: engine.clone(), ready, digest: hex(&Sha256::digest(bytes)).into() })
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
    let component = wasmtime::component::Component::from_binary(engine, bytes)?;
    // The linker offers nothing: a component that got this far with an import fails here.
    let linker = Linker::new(engine);
    PluginPre::new(linker.instantiate_pre(&component)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing into a string does not fail");
        text
    })
}
