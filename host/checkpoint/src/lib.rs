//! The checkpoint store: where a task's checkpoints lie, so that a crash at any moment, a torn
//! write or a rotten file costs at most the newest one and never goes unnoticed.
//!
//! A draft comes in from above, is laid out by `manifest`, and reaches the disk through `durable`
//! and `files`. What a checkpoint means is not known here: states and windows are bytes. Nothing
//! stored is ever written over, and nothing is believed that does not match its checksum.

mod checkpoint;
mod error;
mod store;

pub mod manifest;

mod local;
mod paths;
mod reader;

mod durable;
mod files;

mod remote;

mod tiered;

pub mod suite;

pub use checkpoint::{
    Bytes, Checkpoint, Draft, DraftPart, Header, OperatorRecord, Owner, PartKey, bytes,
};
pub use durable::Step;
pub use error::Error;
pub use files::{Disk, Files, Readable, Writable};
pub use local::{Hook, LocalStore};
pub use remote::{RemoteOptions, RemoteStore};
pub use store::{Floor, Found, Kept, RecoveryPath, Store, Written};
pub use tiered::{Now, Recovery, Replication, TaskReplication, TieredOptions, TieredStore};

#[cfg(test)]
mod memory_disk;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod write_loss;
