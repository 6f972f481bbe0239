//! What can be wrong with element sets and options.

use std::fmt;

/// Why element sets or options cannot be used.
#[derive(Debug)]
pub enum Error {
    /// The text is no JSON array of OMM objects.
    Json(serde_json::Error),
    /// A text is no conjunction alert.
    Alert(serde_json::Error),
    /// The CSV text, at this line (from 1), is not as its header says.
    Csv {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A compressed file could not be read.
    Read(std::io::Error),
    /// An element set that SGP4 refuses.
    Elements {
        /// Catalogue number.
        object_id: u32,
        /// What is wrong with it.
        what: String,
    },
    /// SGP4 has no position for this time.
    Propagation {
        /// Catalogue number.
        object_id: u32,
        /// What is wrong.
        what: String,
    },
    /// A time that is not RFC 3339 or lies outside the years 1678 to 2261.
    Time(String),
    /// An option that makes no sense.
    Option {
        /// Its name.
        name: &'static str,
        /// What it should be.
        what: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Json(error) => write!(f, "could not read element sets as JSON: {error}"),
            Error::Alert(error) => write!(f, "could not read an alert as JSON: {error}"),
            Error::Csv { line, what } => write!(f, "could not read CSV: line {line}: {what}"),
            Error::Read(error) => write!(f, "could not read the compressed catalogue: {error}"),
            Error::Elements { object_id, what } => {
                write!(f, "element set of object {object_id} is not usable: {what}")
            }
            Error::Propagation { object_id, what } => {
                write!(f, "could not propagate object {object_id}: {what}")
            }
            Error::Time(what) => write!(f, "not a usable time: {what}"),
            Error::Option { name, what } => write!(f, "option {name} should be {what}"),
        }
    }
}

impl std::error::Error for Error {}
