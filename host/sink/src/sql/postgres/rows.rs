//! Rows as PostgreSQL takes them: a text for each column, which the server reads by the column's
//! type. Whether a text is a number, a time and so on is for the server to say.

use crate::column::Cell;
use crate::sink::Delivery;
use crate::sql::Refusal;
use crate::sql::name::Shape;
use crate::sql::row::{self, Given};
use std::collections::HashSet;
use std::ops::Range;

/// What is said of a column's type; the server reads all else from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `int2`, `int4`, `int8`.
    Integer,
    /// Other numbers.
    Number,
    /// `timestamptz`, `timestamp`, `date`.
    Time,
    /// `bytea`.
    Bytes,
    /// `json`, `jsonb`.
    Json,
    /// All else.
    Other,
}

/// The rows of a batch that can be sent, by columns.
pub struct Rows {
    /// One text for each row.
    pub columns: Vec<Vec<Option<String>>>,
    /// The index in the batch of each.
    pub origins: Vec<usize>,
}

impl Rows {
    /// Those that cannot be sent are refused.
    pub fn new(
        shape: &Shape,
        kinds: &[Kind],
        records: &[Delivery<'_>],
        refusals: &mut [Option<Refusal>],
    ) -> Rows {
        let mut rows = Rows { columns: vec![Vec::new(); kinds.len()], origins: Vec::new() };
        for (at, record) in records.iter().enumerate() {
            match row::make(shape, kinds, record, text, Option::is_none) {
                Ok(row) => {
                    rows.columns.iter_mut().zip(row).for_each(|(column, text)| column.push(text));
                    rows.origins.push(at);
                }
                Err(refusal) => refusals[at] = Some(refusal),
            }
        }
        rows
    }

    /// One statement may not touch a row twice: a segment ends where a key comes again.
    pub fn segments(&self, shape: &Shape) -> Vec<Range<usize>> {
        let keys = self.columns.iter().zip(&shape.is_key).filter(|(_, is_key)| **is_key);
        let keys: Vec<&Vec<Option<String>>> = keys.map(|(column, _)| column).collect();
        let (mut segments, mut start, mut seen) = (Vec::new(), 0, HashSet::new());
        for row in 0..self.origins.len() {
            let key: Vec<&Option<String>> = keys.iter().map(|column| &column[row]).collect();
            if seen.contains(&key) {
                segments.push(start..row);
                start = row;
                seen.clear();
            }
            seen.insert(key);
        }
        if start < self.origins.len() {
            segments.push(start..self.origins.len());
        }
        segments
    }
}

impl Kind {
    /// By the name of the type.
    pub fn of(type_name: &str) -> Kind {
        match type_name {
            "int2" | "int4" | "int8" => Kind::Integer,
            "float4" | "float8" | "numeric" => Kind::Number,
            "timestamptz" | "timestamp" | "date" => Kind::Time,
            "bytea" => Kind::Bytes,
            "json" | "jsonb" => Kind::Json,
            _ => Kind::Other,
        }
    }
}

/// What the server is to read, as it reads texts of this kind.
fn text(given: Given<'_>, kind: Kind) -> Result<Option<String>, String> {
    let text = match (given.cell, kind) {
        (Cell::Null, _) => return Ok(None),
        (Cell::Bytes(bytes), Kind::Bytes) => hexadecimal(bytes),
        (Cell::Bytes(_), _) => return Err("the bytes are no UTF-8 text".to_owned()),
        (Cell::Text(text), Kind::Bytes) => hexadecimal(text.as_bytes()),
        (Cell::Text(text), Kind::Json) if !given.raw => row::json_text(&text),
        (Cell::Text(text), _) => text.into_owned(),
        (Cell::Time(_), Kind::Bytes) => return Err("a time is no bytea".to_owned()),
        (Cell::Time(ms), Kind::Integer | Kind::Number | Kind::Json) => ms.to_string(),
        (Cell::Time(ms), _) => row::time_text(ms)?,
        // As everywhere in the host, a number that stands for a time is milliseconds.
        (Cell::Number(number), Kind::Time) => match row::integer(number) {
            Some(ms) => row::time_text(ms)?,
            None => return Err(format!("{number} is no whole number of milliseconds")),
        },
        // `5.0` is an integer too, but not to the server.
        (Cell::Number(number), Kind::Integer) => {
            row::integer(number).map_or_else(|| number.to_owned(), |integer| integer.to_string())
        }
        (Cell::Number(text) | Cell::Json(text), Kind::Bytes) => hexadecimal(text.as_bytes()),
        (Cell::Number(text) | Cell::Json(text), _) => text.to_owned(),
        (Cell::Bool(_), Kind::Bytes) => return Err("a truth value is no bytea".to_owned()),
        (Cell::Bool(truth), _) => truth.to_string(),
    };
    Ok(Some(text))
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
