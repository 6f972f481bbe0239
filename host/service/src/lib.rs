//! The service: runs a pipeline. Takes rows from the transport through tasks of the core, whose
//! operators are sandboxed guests, and makes commits and checkpoints durable.
//!
//! The modules stand in the order in which a run uses them. Nothing of the stream's rules is
//! decided here: that is the core's; here things are done.

pub mod clock;
pub mod crash;
mod error;
pub mod stop;

mod check;
mod configuration;
mod plugins;
mod wiring;

mod checkpointer;
mod guest;
mod journal;
mod life;
mod recover;
mod worker;

mod progress;
mod service;
mod supervisor;

pub use check::check;
pub use error::Error;
pub use service::{
    RunOptions, Summary, TaskSummary, open_transport, run, run_with_clock, store_of,
};
pub use stop::StopFlag;
