//! The rules of the stream, sans IO: what a task makes is a function of its input sequence.
//!
//! No file, clock, socket, thread or guest is known here; time comes in as an argument and
//! operators stand behind one trait. The modules stand in the order in which data flows.

pub mod column;
pub mod record;

mod pick;
pub mod identity;
pub mod partition;

pub mod decision;
pub mod operator;

pub mod commit;
pub mod counters;

pub mod clock;
pub mod heard;
mod index;
pub mod window;

pub mod sent_back;
pub mod dead_letter;
pub mod spec;
pub mod state;

pub mod breaker;
pub mod outbox;
pub mod task;

pub mod backoff;
pub mod cadence;
pub mod credit;
pub mod laws;

mod mutant;

/// The number of the host's rules for ids, order, ticks, dedup, hashes and float settings. It
/// changes when any of these does, and a host replays only its own number and the one before.
pub const SEMANTICS: u32 = 1;

#[cfg(test)]
#[path = "../tests/model/mod.rs"]
mod model;
