//! What can go wrong with a component before it computes, and on the way back to its state.
//! Failures of calls that compute are `pawl_core::operator::Failure`.

use pawl_core::operator::Failure;
use std::fmt;

/// Why there is no engine, no component or no instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The engine cannot be made on this machine.
    Engine(String),
    /// The limits contradict each other, or the engine.
    Limits(&'static str),
    /// The component is larger than it may be.
    TooLarge {
        /// Its size.
        bytes: usize,
        /// `Limits::component_bytes_max`.
        max: usize,
    },
    /// The bytes are no WebAssembly, or damaged.
    NotWasm(String),
    /// A core module, not a component.
    CoreModule,
    /// The component imports something; operators have no imports.
    Import(String),
    /// The component does not export the operator interface.
    MissingExport(&'static str),
    /// The component does not compile, or its export has other types.
    Compile(String),
    /// Compiling took longer than it may.
    CompileTimeout {
        /// `Limits::compile_time_max_ms`.
        max_ms: u64,
    },
    /// The operator refused its configuration; the text is its own, and names the field.
    Configuration(String),
    /// A call failed before the instance was ready.
    Failed {
        /// `instantiate`, `describe` or `configure`.
        during: &'static str,
        /// How.
        failure: Failure,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Engine(what) => write!(to, "failed to make a WebAssembly engine: {what}"),
            Error::Limits(what) => write!(to, "impossible limits: {what}"),
            Error::TooLarge { bytes, max } => {
                write!(to, "component has {bytes} bytes, component_bytes_max is {max}")
            }
            Error::NotWasm(what) => {
                // What the parser says goes on with a dump of bytes.
                let first = what.lines().next().unwrap_or_default().trim_end_matches(':');
                write!(to, "not a WebAssembly component: {first}")
            }
            Error::CoreModule => write!(
                to,
                "a core module, not a component: link it with wasm-component-ld, or wrap it with \
                 `wasm-tools component new`"
            ),
            Error::Import(name) => write!(
                to,
                "component imports {name}, but operators have no imports: build it for \
                 wasm32-unknown-unknown, or with WASI stubbed out"
            ),
            Error::MissingExport(name) => write!(to, "component does not export {name}"),
            Error::Compile(what) => write!(to, "failed to compile the component: {what}"),
            Error::CompileTimeout { max_ms } => {
                write!(to, "compiling took longer than compile_time_max_ms = {max_ms}")
            }
            Error::Configuration(what) => write!(to, "operator refused its configuration: {what}"),
            Error::Failed { during, failure } => {
                write!(to, "{during} failed ({}): {}", failure.kind(), failure.message())
            }
        }
    }
}

impl std::error::Error for Error {}

/// Why a state was not taken up. The instance is not used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The operator does not read states of this version.
    Version {
        /// The version that the state has.
        have: u32,
        /// The versions that the operator reads.
        reads: Vec<u32>,
    },
    /// The operator read the state and refused it; the text is its own.
    Refused(String),
    /// The instance has already computed or restored; only a fresh one takes up a state.
    NotFresh,
    /// The call failed.
    Failed(Failure),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::Version { have, reads } => {
                write!(to, "state has version {have}, operator reads {reads:?}")
            }
            RestoreError::Refused(what) => write!(to, "operator refused its state: {what}"),
            RestoreError::NotFresh => {
                write!(to, "only a fresh instance takes up a state: make a new one")
            }
            RestoreError::Failed(failure) => {
                write!(to, "restore failed ({}): {}", failure.kind(), failure.message())
            }
        }
    }
}

impl std::error::Error for RestoreError {}
