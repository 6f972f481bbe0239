//! The demonstration: the collision of 2009 found through sandboxed operators, and found again
//! after kills. Makes sensor observations from real element sets, runs `pawl` on them as a child
//! process, and compares with the truth.
//!
//! Element sets are propagated with SGP4, seen by a model of sensors that overlap, retry and
//! fail, and written as observation lines, version 1. All of it follows from the element sets,
//! the options and their seed: nothing here asks for the time or for randomness of the system.

pub mod approach;
mod child;
mod damage;
pub mod demo;
pub mod elements;
mod error;
pub mod ledger;
pub mod propagate;
mod random;
mod result;
pub mod sensors;
pub mod time;

pub use approach::{Approach, closest_approach};
pub use elements::{Elements, collision_2009, parse_csv, parse_csv_gz, parse_json};
pub use error::Error;
pub use ledger::Ledger;
pub use propagate::{Propagator, State};
pub use sensors::{Line, Observations, SensorOptions, make_observations};
