//! State: the pieces that an operator keeps, cut into slots that are written and read on their own.
//!
//! A piece has a fixed number of slots (buckets of keys). An unchanged slot need not be written
//! again; one larger than [`CHUNK_BYTES`] goes on in further chunks. `parts` numbers them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Deref;

/// A chunk ends behind the entry with which it reaches this many bytes (the contract's limit of a
/// part is 8 MiB, so a single entry may have about 4 MiB).
pub const CHUNK_BYTES: usize = if cfg!(test) { 4 << 10 } else { 4 << 20 };

/// A piece of an operator's state. The SDK's own pieces are [`crate::Buckets`], [`Single`],
/// [`crate::Tumbling`] and [`crate::Sliding`].
pub trait State {
    /// How many slots it has; fixed while the operator lives.
    fn slots(&self) -> u32;

    /// How many chunks the slot was last written or read in; at least 1.
    fn chunks(&self, slot: u32) -> u32;

    /// Whether the slot changed since `settle` or `decode`.
    fn changed(&self, slot: u32) -> bool;

    /// Writes a chunk of a slot; true if another one follows. Called for chunk 0, 1, ... of a
    /// changed slot; of an unchanged one, for any. Equal states give equal chunks.
    fn encode(&mut self, slot: u32, chunk: u32, out: &mut Vec<u8>) -> bool;

    /// Takes up a chunk that `encode` wrote, in order. Must refuse bytes that it cannot have
    /// written, and must never panic.
    fn decode(&mut self, slot: u32, data: &[u8]) -> Result<(), String>;

    /// All slots were written: nothing has changed since.
    fn settle(&mut self);
}

/// Writes `value` behind `out`.
///
/// # Panics
/// If the type cannot be written as postcard at all (a `flatten`ed field, a sequence of unknown
/// length): a state that cannot be written must never look as if it were.
pub(crate) fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    *out = postcard::to_extend(value, std::mem::take(out))
        .expect("types in the state can be written as postcard; see pawl_sdk::State");
}

/// Reads a value from the front of `data`.
pub(crate) fn read<T: DeserializeOwned>(data: &mut &[u8]) -> Result<T, String> {
    let (value, rest) = postcard::take_from_bytes(data)
        .map_err(|error| format!("the state is cut short, or has other types: {error}"))?;
    *data = rest;
    Ok(value)
}

/// Refuses bytes behind the last value.
pub(crate) fn end(data: &[u8]) -> Result<(), String> {
    match data.len() {
        0 => Ok(()),
        bytes => Err(format!("the part of the state has {bytes} bytes too many")),
    }
}

/// One value, stored as one part; changed whenever it is borrowed mutably with [`Single::edit`].
#[derive(Clone, Debug, Default)]
pub struct Single<T> {
    value: T,
    changed: bool,
}

impl<T> Single<T> {
    /// A piece that holds `value`.
    pub fn new(value: T) -> Self {
        Self { value, changed: false }
    }

    /// The value, to be changed.
    pub fn edit(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }
}

impl<T> Deref for Single<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize + DeserializeOwned> State for Single<T> {
    fn slots(&self) -> u32 {
        1
    }

    fn chunks(&self, _: u32) -> u32 {
        1
    }

    fn changed(&self, _: u32) -> bool {
        self.changed
    }

    fn encode(&mut self, _: u32, _: u32, out: &mut Vec<u8>) -> bool {
        write(&self.value, out);
        false
    }

    fn decode(&mut self, _: u32, mut data: &[u8]) -> Result<(), String> {
        self.value = read(&mut data)?;
        end(data)
    }

    fn settle(&mut self) {
        self.changed = false;
    }
}
