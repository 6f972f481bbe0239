//! Dead letters: chosen, counted, tried, and sent back to the operator that refused them.
//!
//! In order of the data's way: `scan` reads the topic of the dead letters, `letter` is one of them,
//! `filter` says which are meant, `ledger` which were sent before, `horizon` what tasks still
//! remember, `select` what becomes of each,
//! `trial` what the operators would say now; `send` makes what is sent durable and `replay` is all
//! of that together. `stats` counts and says what changed, `review` what is new.
//!
//! A payload is never touched, and nothing is removed from the topic of the dead letters. What was
//! sent, and that it was, are one commit.

mod error;
mod letter;
mod scan;

mod filter;
mod text;

mod crash;
mod horizon;
mod ledger;
mod select;
mod trial;
mod send;
mod replay;
mod taken;

pub mod review;
pub mod stats;

pub use error::Error;
pub use filter::{Condition, Filter, Origin, Span};
pub use ledger::Ledger;
pub use letter::{Letter, Meta};
pub use replay::{Options, Replayed, plan, replay};
pub use scan::Scan;
pub use select::{Sample, Selected, Why};
pub use taken::taken_below;
pub use text::{count, length_of, text_of_length, text_of_second, time_of};
pub use trial::Trials;
