//! The service: runs a pipeline. Takes rows from the transport through tasks of the core, whose
//! operators are sandboxed guests, and makes commits and checkpoints durable.
//!
//! The modules stand in the order in which a run uses them. Nothing of the stream's rules is
//! decided here: that is the core's; here things are done.

pub mod clock;
pub mod crash;
pub mod stop;
mod error;

mod configuration;
mod plugins;
mod wiring;
mod check;
mod trial;

mod context;
mod service;
mod supervisor;
mod sources;
mod progress;
mod meter;

mod life;
mod journal;
mod dead_letters;
mod recover;
mod deliverer;
mod guest;
mod worker;
mod checkpointer;
mod tiers;
pub mod monitor;

pub use check::check;
pub use context::RunOptions;
pub use error::Error;
pub use plugins::sandbox_limits;
pub use service::{Summary, TaskSummary, open_transport, run, run_with_clock};
pub use stop::StopFlag;
pub use tiers::{remote_store_of, store_of};
pub use trial::{TaskTime, Trial, Tried, task_time};
