//! The stored form of one decision: `pawl_core::decision::Decision` by postcard, its fields in
//! their order and its kinds by their place in the enum, in an envelope. A new kind goes to the
//! end of the enum, with a new version.

use crate::envelope::Format;
use crate::{Error, sealed};
use pawl_core::decision::Decision;

/// Version 1: `Decision` as of Pawl 0.1.
pub const FORMAT: Format = Format { name: "decision", magic: *b"PAWLDECN", version: 1 };

/// The decision as bytes.
pub fn encode(decision: &Decision) -> Vec<u8> {
    sealed::encode(&FORMAT, decision).expect("plain fields of known length always serialize")
}

/// The decision out of bytes.
pub fn decode(bytes: &[u8]) -> Result<Decision, Error> {
    sealed::decode(&FORMAT, bytes)
}
