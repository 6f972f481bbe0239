//! The SDK for Pawl's stream operators: one trait ([`Operator`]), one macro ([`export!`]), and no
//! columns in sight.
//!
//! Data flows one way through the modules: `batch` -> `operator` -> `emit`, with state in
//! `buckets` and `windows`, stored by `parts`; `driver` runs them all, `export` makes a component
//! of it. Nothing here reads a clock, draws a random number or depends on addresses: what an
//! operator does follows from its configuration, its state and its input alone.

// Generated code names this crate from within and from plugins alike.
#[cfg(target_arch = "wasm32")]
extern crate self as pawl_sdk;

mod batch;
mod buckets;
mod driver;
mod emit;
#[doc(hidden)]
pub mod export;
mod hash;
mod operator;
mod parts;
mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod windows;

pub use batch::{Batch, ByteColumn, Record, Rows};
pub use buckets::{BUCKETS, Buckets, Key, Value};
pub use driver::{Description, Driver, OUTPUT_BYTES, Outcome};
pub use emit::{Emission, Emissions, Emitter, Row};
pub use operator::{NoConfig, Operator, Rejection, Verdict, Wiring};
pub use parts::{OldPart, StatePart};
pub use state::{CHUNK_BYTES, Single, State};
pub use windows::{Sliding, Tumbling, Window};

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub use wit_bindgen;

/// The priority of a record that names none.
pub const PRIORITY_DEFAULT: u8 = 128;

/// All that an operator usually needs.
pub mod prelude {
    pub use crate::{
        Buckets, Emission, Emitter, NoConfig, OldPart, Operator, Record, Rejection, Single,
        Sliding, State, Tumbling, Window, Wiring,
    };
    pub use serde::{Deserialize, Serialize};
}
