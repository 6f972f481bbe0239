//! The envelope in which everything stored stands. Its own layout never changes, whatever becomes
//! of the formats inside, so an old Pawl can tell damaged bytes from newer ones.
//!
//! ```text
//! offset  size  what
//!      0     8  magic: which format this is
//!      8     2  format version, u16 little-endian, from 1
//!     10     8  length of the payload in bytes, u64 little-endian
//!     18    16  xxh3-128 of the 18 bytes before it and of the payload, u128 little-endian
//!     34        payload
//! ```

use crate::Error;
use xxhash_rust::xxh3::Xxh3;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 34;

/// How many of them the checksum covers.
const CHECKED_BYTES: usize = 18;

/// What kind of thing is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Its name in messages, with which "not a ..." makes sense.
    pub name: &'static str,
    /// The first bytes.
    pub magic: [u8; 8],
    /// The version that is written, and the newest that is read.
    pub version: u16,
}

/// What an envelope holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// Format version in which it was written.
    pub version: u16,
    /// The payload.
    pub payload: &'a [u8],
    /// What stands behind the envelope.
    pub rest: &'a [u8],
}

/// A buffer that begins with room for the header: put the payload behind and call `finish`. Spares
/// large payloads a copy.
pub fn begin(payload_bytes: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(HEADER_BYTES + payload_bytes);
    buffer.resize(HEADER_BYTES, 0);
    buffer
}

/// Writes the header of a buffer that `begin` made.
pub fn finish(format: &Format, mut buffer: Vec<u8>) -> Vec<u8> {
    assert!(buffer.len() >= HEADER_BYTES, "the buffer was made by `begin`");
    let length = (buffer.len() - HEADER_BYTES) as u64;
    buffer[..8].copy_from_slice(&format.magic);
    buffer[8..10].copy_from_slice(&format.version.to_le_bytes());
    buffer[10..18].copy_from_slice(&length.to_le_bytes());
    let sum = checksum(&buffer[..CHECKED_BYTES], &buffer[HEADER_BYTES..]);
    buffer[CHECKED_BYTES..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    buffer
}

/// The payload in an envelope.
pub fn seal(format: &Format, payload: &[u8]) -> Vec<u8> {
    let mut buffer = begin(payload.len());
    buffer.extend_from_slice(payload);
    finish(format, buffer)
}

/// Opens an envelope behind which nothing may stand.
pub fn open<'a>(format: &Format, bytes: &'a [u8]) -> Result<Opened<'a>, Error> {
    let opened = open_first(format, bytes)?;
    match opened.rest.len() {
        0 => Ok(opened),
        more => Err(Error::TooLong {
            format: format.name,
            expected: (bytes.len() - more) as u64,
            found: bytes.len() as u64,
        }),
    }
}

/// Opens the envelope at the beginning of `bytes`; other things may stand behind it.
pub fn open_first<'a>(format: &Format, bytes: &'a [u8]) -> Result<Opened<'a>, Error> {
    let expected = sealed_bytes(format, bytes)?;
    let found = bytes.len() as u64;
    if found < expected {
        return Err(Error::Truncated { format: format.name, expected, found });
    }
    let (sealed, rest) = bytes.split_at(expected as usize);
    let (header, payload) = sealed.split_at(HEADER_BYTES);
    let (checked, stored) = header.split_at(CHECKED_BYTES);
    let expected = u128::from_le_bytes(fixed(stored));
    let found = checksum(checked, payload);
    if found != expected {
        return Err(Error::Checksum { format: format.name, expected, found });
    }
    // Only now: a damaged version number must not pass for a newer Pawl's.
    let version = u16::from_le_bytes(fixed(&header[8..10]));
    match version {
        0 => Err(Error::Malformed { format: format.name, what: "version 0".to_owned() }),
        found if found > format.version => {
            Err(Error::NewerVersion { format: format.name, newest: format.version, found })
        }
        version => Ok(Opened { version, payload, rest }),
    }
}

/// How long the envelope at the beginning of `bytes` says it is, header included. Needs no more
/// than the header, and the number is not verified: never allocate by it before comparing it with
/// what is there.
pub fn sealed_bytes(format: &Format, bytes: &[u8]) -> Result<u64, Error> {
    let known = bytes.len().min(8);
    if bytes[..known] != format.magic[..known] {
        let mut found = [0; 8];
        found[..known].copy_from_slice(&bytes[..known]);
        return Err(Error::NotThisFormat { format: format.name, expected: format.magic, found });
    }
    let Some(length) = bytes.get(10..HEADER_BYTES) else {
        let (expected, found) = (HEADER_BYTES as u64, bytes.len() as u64);
        return Err(Error::Truncated { format: format.name, expected, found });
    };
    Ok(u64::from_le_bytes(fixed(&length[..8])).saturating_add(HEADER_BYTES as u64))
}

fn checksum(header: &[u8], payload: &[u8]) -> u128 {
    let mut hasher = Xxh3::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.digest128()
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller sliced exactly N bytes")
}
