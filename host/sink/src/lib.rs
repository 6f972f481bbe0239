//! Where effects leave the system: the trait of a sink, and one module for each kind.
//!
//! A sink delivers records and says what became of each. It must never decide to drop one, nor
//! try again by itself: retries, order, positions and dedup belong to whoever calls it.

mod error;
mod sink;
mod column;
mod tls;
pub mod suite;
pub mod sql;
pub mod http;
pub mod file;
mod make;

pub use error::Error;
pub use make::make;
pub use sink::{Delivery, Owner, Sink, Verdict};
