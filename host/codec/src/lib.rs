//! The formats in which Pawl stores things, and the only room that knows `postcard`.
//!
//! Everything stored stands in an `envelope` (magic, version, length, checksum). What reads here
//! is total: any bytes give a value or an `Error`, never a panic, and never an allocation out of
//! proportion to the bytes given. Nothing here touches a file, and nothing here changes a format
//! without a new version number: `fixtures/` holds bytes of every released version, which must
//! still read.

pub mod commit;
pub mod decision;
pub mod envelope;
mod error;
pub mod log_batch;
pub mod sealed;
pub mod state;

pub use error::Error;

#[cfg(test)]
mod tests;
