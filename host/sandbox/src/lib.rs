//! The sandbox: operators as WebAssembly components, the only room that knows `wasmtime`.
//!
//! `Engine` (one per process) -> `Component` (checked, compiled, shared) -> `Instance` (one per
//! partition, single-threaded, an `Operator`) -> `Outcome`s and state parts, checked. A `Cache` is
//! what a start has left to the next one.
//!
//! No guest may hold a thread longer than its limit, exhaust memory, crash the host, read what it
//! was not given, or spoil another guest (SB-1). So nothing that a guest returns leaves this room
//! before it is checked, and nothing that a guest does is ever a panic here. A thread that calls
//! a guest needs a stack of 2 MiB, which is what Rust gives a thread by default.

mod bindings;
mod cache;
mod call;
mod component;
mod engine;
mod error;
mod inspect;
mod instance;
mod limits;
mod meter;
mod outcome;
mod state;
mod wiring;

pub use cache::Cache;
pub use component::{Cached, Component};
pub use engine::{Engine, EngineOptions};
pub use error::{Error, RestoreError};
pub use instance::Instance;
pub use limits::Limits;
pub use state::StatePart;
