//! The stored form of the core's task state inside a checkpoint: the core's own type by postcard,
//! in an envelope. Whoever changes that type raises the version here and keeps the old shape.

use crate::envelope::Format;
use crate::{Error, sealed};
use serde::{Serialize, de::DeserializeOwned};

/// Version 1: the task state as of Pawl 0.1.
pub const FORMAT: Format = Format { name: "task state", magic: *b"PAWLSTAT", version: 1 };

/// The state as bytes. Fails only for a value whose `Serialize` fails.
pub fn encode<T: Serialize>(state: &T) -> Result<Vec<u8>, Error> {
    sealed::encode(&FORMAT, state)
}

/// The state out of bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    sealed::decode(&FORMAT, bytes)
}
