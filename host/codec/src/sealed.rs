//! Any serde value as postcard in an envelope. The shape of the value is the format: whoever
//! changes a stored type raises its format's version and keeps the old shape to read it with.

use crate::Error;
use crate::envelope::{self, Format};
use serde::{Serialize, de::DeserializeOwned};

/// The value in an envelope. Fails only for a value whose `Serialize` fails.
pub fn encode<T: Serialize>(format: &Format, value: &T) -> Result<Vec<u8>, Error> {
    let buffer = postcard::to_extend(value, envelope::begin(0))
        .map_err(|error| malformed(format, &error))?;
    Ok(envelope::finish(format, buffer))
}

/// The value out of an envelope behind which nothing stands.
pub fn decode<T: DeserializeOwned>(format: &Format, bytes: &[u8]) -> Result<T, Error> {
    let opened = envelope::open(format, bytes)?;
    from_payload(format, opened.payload)
}

/// The value out of the envelope at the beginning of `bytes`, and what stands behind it.
pub fn decode_first<'a, T: DeserializeOwned>(
    format: &Format,
    bytes: &'a [u8],
) -> Result<(T, &'a [u8]), Error> {
    let opened = envelope::open_first(format, bytes)?;
    Ok((from_payload(format, opened.payload)?, opened.rest))
}

/// Every format has one version so far, so the payload's version decides nothing yet.
pub(crate) fn from_payload<T: DeserializeOwned>(
    format: &Format,
    payload: &[u8],
) -> Result<T, Error> {
    let (value, rest) =
        postcard::take_from_bytes(payload).map_err(|error| malformed(format, &error))?;
    match rest.len() {
        0 => Ok(value),
        more => {
            Err(Error::Malformed { format: format.name, what: format!("{more} bytes too many") })
        }
    }
}

fn malformed(format: &Format, error: &postcard::Error) -> Error {
    Error::Malformed { format: format.name, what: error.to_string() }
}
