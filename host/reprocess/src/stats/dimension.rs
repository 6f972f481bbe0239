//! The fields by which dead letters are counted, and the values of each. What is too varied is
//! counted together, so that a field of a million values takes no more than one of a thousand.

use crate::letter::{Letter, Meta};
use crate::text::shown;
use std::collections::HashMap;

/// Different values that a field tells apart, and one that a person did not ask for.
const VALUES_MAX: usize = 10_000;
const OWN_HEADER_VALUES_MAX: usize = 256;

/// Headers of records' own that are counted without being asked for.
const OWN_HEADERS_MAX: usize = 16;

/// Characters of a value.
const VALUE_CHARACTERS_MAX: usize = 200;

/// The number of: has no such field.
pub(crate) const ABSENT: u32 = 0;

/// The number of: one of too many values.
pub(crate) const OTHER: u32 = 1;

/// A field that a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A JSON pointer into the payload.
    Field(String),
    /// A header.
    Header(String),
}

impl By {
    /// A text that begins with `/` is a field, any other a header.
    pub fn parse(text: &str) -> Self {
        match text.starts_with('/') {
            true => By::Field(text.to_owned()),
            false => By::Header(text.to_owned()),
        }
    }
}

/// A field and how often each of its values is there.
#[derive(Debug)]
pub struct Dimension {
    /// Its name.
    pub name: String,
    source: Source,
    values_max: usize,
    numbers: HashMap<Vec<u8>, u32>,
    values: Vec<(String, u64)>,
    /// The value before, since the next one is mostly the same.
    last: (Option<Vec<u8>>, u32),
    /// Where the header's column was in the batch before.
    hint: usize,
}

#[derive(Debug)]
enum Source {
    Meta(Meta),
    Header(String),
    Field(String),
}

/// The fields that every dead letter has, in the order in which they explain best, and those asked
/// for.
pub(super) fn all(by: &[By]) -> Vec<Dimension> {
    let meta = [
        ("error kind", Meta::Kind),
        ("operator", Meta::Operator),
        ("stage", Meta::Stage),
        ("partition", Meta::Partition),
        ("topic", Meta::Topic),
        ("component", Meta::Component),
        ("operator version", Meta::OperatorVersion),
        ("schema version", Meta::SchemaVersion),
        ("disposition", Meta::Disposition),
        ("class", Meta::Class),
        ("times sent back", Meta::ReplayCount),
    ];
    let meta = meta
        .into_iter()
        .map(|(name, meta)| Dimension::new(name.to_owned(), Source::Meta(meta), VALUES_MAX));
    let asked = by.iter().map(|by| match by {
        By::Field(pointer) => {
            Dimension::new(format!("field {pointer}"), Source::Field(pointer.clone()), VALUES_MAX)
        }
        By::Header(name) => {
            Dimension::new(format!("header {name}"), Source::Header(name.clone()), VALUES_MAX)
        }
    });
    meta.chain(asked).collect()
}

/// Adds the letter's own headers that are not counted yet; none of the `before` letters had them.
pub(super) fn note_headers(dimensions: &mut Vec<Dimension>, letter: &Letter<'_>, before: u64) {
    for header in &letter.records().headers {
        if header.name.starts_with("pawl-") || header.column.get(letter.row).is_none() {
            continue;
        }
        let headers = || {
            dimensions.iter().filter_map(|dimension| match &dimension.source {
                Source::Header(name) => Some(name),
                _ => None,
            })
        };
        if headers().any(|name| *name == header.name) || headers().count() >= OWN_HEADERS_MAX {
            continue;
        }
        let (name, source) =
            (format!("header {}", header.name), Source::Header(header.name.clone()));
        let mut dimension = Dimension::new(name, source, OWN_HEADER_VALUES_MAX);
        if let Some((_, absent)) = dimension.values.get_mut(ABSENT as usize) {
            *absent = before;
        }
        dimensions.push(dimension);
    }
}

impl Dimension {
    fn new(name: String, source: Source, values_max: usize) -> Self {
        Self {
            name,
            source,
            values_max,
            numbers: HashMap::new(),
            values: vec![("-".to_owned(), 0), ("(others)".to_owned(), 0)],
            last: (None, ABSENT),
            hint: 0,
        }
    }

    /// Counts the value of a letter and returns its number.
    pub(super) fn take_in(&mut self, letter: &Letter<'_>) -> u32 {
        let number = match &self.source {
            Source::Meta(meta) => {
                let value = letter.meta(*meta).filter(|value| !value.is_empty());
                self.number(value)
            }
            Source::Header(name) => {
                let headers = &letter.records().headers;
                let at = match headers.get(self.hint) {
                    Some(header) if header.name == *name => Some(self.hint),
                    _ => headers.iter().position(|header| header.name == *name),
                };
                self.hint = at.unwrap_or(self.hint);
                let column = at.and_then(|at| headers.get(at)).map(|header| &header.column);
                self.number(column.and_then(|column| column.get(letter.row)))
            }
            Source::Field(pointer) => {
                let json = serde_json::from_slice::<serde_json::Value>(letter.payload()).ok();
                let value = json.as_ref().and_then(|json| json.pointer(pointer));
                let text = value.map(|value| match value {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                self.number(text.as_deref().map(str::as_bytes))
            }
        };
        if let Some((_, count)) = self.values.get_mut(number as usize) {
            *count += 1;
        }
        number
    }

    fn number(&mut self, value: Option<&[u8]>) -> u32 {
        let Some(value) = value else { return ABSENT };
        if self.last.0.as_deref() == Some(value) {
            return self.last.1;
        }
        let number = match self.numbers.get(value) {
            Some(number) => *number,
            None if self.numbers.len() >= self.values_max => OTHER,
            None => {
                let new = self.values.len() as u32;
                self.numbers.insert(value.to_owned(), new);
                self.values.push((shown(value, VALUE_CHARACTERS_MAX), 0));
                new
            }
        };
        let last = self.last.0.get_or_insert_default();
        last.clear();
        last.extend_from_slice(value);
        self.last.1 = number;
        number
    }

    /// What the number of a value stands for.
    pub(super) fn value(&self, number: u32) -> &str {
        self.values.get(number as usize).map_or("-", |(value, _)| value)
    }

    /// Values and how often each is there, the most frequent first; `-` stands for none.
    pub fn counts(&self) -> Vec<(&str, u64)> {
        let values = self.values.iter().filter(|(_, count)| *count > 0);
        let mut counts: Vec<(&str, u64)> =
            values.map(|(value, count)| (value.as_str(), *count)).collect();
        counts.sort_by(|one, two| two.1.cmp(&one.1).then(one.0.cmp(two.0)));
        counts
    }

    /// Whether any letter has the field.
    pub fn is_there(&self) -> bool {
        !self.numbers.is_empty()
    }
}
