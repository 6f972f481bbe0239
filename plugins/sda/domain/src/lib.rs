//! Space Domain Awareness without streams: what an observation is, how objects move between
//! observations, and when two of them pass each other.
//!
//! In the order in which the pipeline uses it: times, observations, cells, fits, tracks, sweeps,
//! passes, candidates, probabilities. Pure functions of their arguments: arithmetic, square roots
//! and what is built from them in Rust, so that every machine computes the same bits. Units:
//! kilometres, seconds, whole nanoseconds since the Unix epoch; frame TEME.

pub mod candidate;
pub mod cells;
pub mod fit;
pub mod observation;
pub mod passes;
pub mod sweep;
pub mod probability;
pub mod time;
pub mod track;
pub mod vector;

pub use candidate::{Candidate, Known};
pub use cells::{Cell, Grid};
pub use fit::{Motion, Reach};
pub use observation::{Observation, Sample};
pub use passes::{Limits, Pass, find_passes};
pub use track::{Track, TrackLimits};
