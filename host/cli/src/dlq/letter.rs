//! One dead letter and its metadata. Believes nothing: any client may write to the topic.

use crate::out::shown_bytes;
use pawl_core::record::{Offset, Records};

/// Characters of a field in a listing.
const FIELD_CHARACTERS_MAX: usize = 200;

/// A row of the topic of the dead letters.
#[derive(Clone, Copy)]
pub struct Letter<'a> {
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: Offset,
    /// The columns.
    pub records: &'a Records,
    /// Its row there.
    pub row: usize,
}

impl<'a> Letter<'a> {
    /// All headers of this row, as they are stored.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let row = self.row;
        self.records
            .headers
            .iter()
            .filter_map(move |header| Some((header.name.as_str(), header.column.get(row)?)))
    }

    /// A header's bytes.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.records.header(name)?.get(self.row)
    }

    /// A header for a line of a listing; `-` if it is absent or empty.
    pub fn field(&self, name: &str) -> String {
        match self.header(name) {
            None | Some(b"") => "-".to_owned(),
            Some(bytes) => shown_bytes(bytes, FIELD_CHARACTERS_MAX),
        }
    }

    /// Equal ids are the same dead letter. None if it has none: then it is not ours.
    pub fn id(&self) -> Option<u128> {
        let text = std::str::from_utf8(self.header("pawl-id")?).ok()?;
        u128::from_str_radix(text, 16).ok()
    }

    /// The refused operator's input.
    pub fn payload(&self) -> &'a [u8] {
        self.records.values.get(self.row).unwrap_or_default()
    }
}
