//! Sensor observations made from real element sets, and the truth to compare alerts with.
//!
//! Element sets are propagated with SGP4, seen by a model of sensors that overlap, retry and
//! fail, and written as observation lines, version 1. All of it follows from the element sets,
//! the options and their seed: nothing here asks for the time or for randomness of the system.

pub mod approach;
mod damage;
pub mod elements;
mod error;
pub mod ledger;
pub mod propagate;
mod random;
pub mod sensors;
pub mod time;
pub mod truth;

pub use approach::{Approach, closest_approach};
pub use elements::{Elements, catalog_2024, collision_2009, parse_csv, parse_csv_gz, parse_json};
pub use error::Error;
pub use ledger::Ledger;
pub use propagate::{Propagator, State};
pub use sensors::{Line, Observations, SensorOptions, make_observations};
pub use truth::{Comparison, Rules, Truth, compare, conjunctions_2024, parse_truth};
