//! Why bytes could not be read as what they should be. Says what was found and what was expected,
//! and never repeats payload, which may be anybody's data.

use std::fmt;

/// Why bytes could not be written or read. `format` is the name of the format that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The magic is another one: these bytes are something else.
    NotThisFormat {
        /// What was expected.
        format: &'static str,
        /// Its magic.
        expected: [u8; 8],
        /// What stood there.
        found: [u8; 8],
    },
    /// Fewer bytes than there must be.
    Truncated {
        /// What was expected.
        format: &'static str,
        /// Bytes that the header promises, itself included (or the length of a header).
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// More bytes than there must be.
    TooLong {
        /// What was expected.
        format: &'static str,
        /// Bytes that the header promises, itself included.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The bytes are not those that were written.
    Checksum {
        /// What was expected.
        format: &'static str,
        /// Checksum that was stored.
        expected: u128,
        /// Checksum of the bytes that are there.
        found: u128,
    },
    /// Written whole and well by a newer Pawl.
    NewerVersion {
        /// What was expected.
        format: &'static str,
        /// The newest version that this Pawl reads.
        newest: u16,
        /// The version that was found.
        found: u16,
    },
    /// Whole, but not what the format allows (or, in writing, a value that it cannot hold).
    Malformed {
        /// What was expected.
        format: &'static str,
        /// What is wrong.
        what: String,
    },
}

impl Error {
    /// Whether the bytes are whole and only this Pawl is too old for them: no damage, and no
    /// reason to fall back to something older.
    pub fn is_newer_version(&self) -> bool {
        matches!(self, Error::NewerVersion { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotThisFormat { format, expected, found } => write!(
                f,
                "not a {format}: begins with \"{}\" instead of \"{}\"",
                found.escape_ascii(),
                expected.escape_ascii()
            ),
            Error::Truncated { format, expected, found } => {
                write!(f, "{format} is truncated: {found} bytes of {expected}")
            }
            Error::TooLong { format, expected, found } => {
                write!(f, "{format} is too long: {found} bytes instead of {expected}")
            }
            Error::Checksum { format, expected, found } => write!(
                f,
                "{format} is damaged: its bytes have checksum {found:032x}, stored is \
                 {expected:032x}"
            ),
            Error::NewerVersion { format, newest, found } => write!(
                f,
                "{format} has format version {found}, this pawl reads up to {newest}: use the \
                 pawl that wrote it or a newer one"
            ),
            Error::Malformed { format, what } => write!(f, "{format} is malformed: {what}"),
        }
    }
}

impl std::error::Error for Error {}
