//! Space Domain Awareness without streams: what an observation is, how objects move between
//! observations, and when two of them pass each other.
//!
//! In the order in which the pipeline uses it: times, observations, cells, tracks, passes,
//! candidates. Pure functions of their arguments, with nothing but `+ - * /` and square roots, so
//! that every machine computes the same bits. Units: kilometres, seconds, whole nanoseconds since
//! the Unix epoch; frame TEME.

pub mod candidate;
pub mod cells;
pub mod curve;
pub mod observation;
pub mod passes;
pub mod time;
pub mod track;
pub mod vector;

pub use candidate::Candidate;
pub use cells::{Cell, Grid};
pub use observation::Observation;
pub use passes::{Limits, Pass, find_passes};
pub use track::{Track, TrackLimits};
