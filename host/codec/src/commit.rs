//! The stored form of a task's last commit: `pawl_core::commit::Commit` by postcard, its fields in
//! their order, in an envelope.

use crate::envelope::Format;
use crate::{Error, sealed};
use pawl_core::commit::Commit;

/// Version 1: `Commit` as of Pawl 0.1.
pub const FORMAT: Format = Format { name: "commit", magic: *b"PAWLCMIT", version: 1 };

/// The commit as bytes.
pub fn encode(commit: &Commit) -> Vec<u8> {
    sealed::encode(&FORMAT, commit).expect("plain fields of known length always serialize")
}

/// The commit out of bytes.
pub fn decode(bytes: &[u8]) -> Result<Commit, Error> {
    sealed::decode(&FORMAT, bytes)
}
