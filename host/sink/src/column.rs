//! What the columns of a record hold: by `ColumnSource`, for tables and for files of
//! comma-separated values.
//!
//! Nothing here may change what a record says: numbers stay the text that the JSON holds, to the
//! last digit, and what cannot be read is refused with a reason, never guessed.
//!
//! For whoever writes `sql`: `cells` gives one cell for each source, in their order. `Number` is
//! the JSON number's own text (parse it as the column's type wants), `Json` that of an object or
//! an array as it stands in the value. `Text` of key, value or header is any UTF-8, `Bytes` is
//! what is not. A field that is not there is `Null`, as is a field of a record without value.

use crate::sink::{Delivery, Verdict};
use pawl_pipeline::ColumnSource;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What one column of one record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    /// Nothing: no such header or field, no key, no value, no event time, or JSON's `null`.
    Null,
    /// A text.
    Text(Cow<'a, str>),
    /// A key, a value or a header that is no text.
    Bytes(&'a [u8]),
    /// A JSON number, as it is written there.
    Number(&'a str),
    /// A JSON truth value.
    Bool(bool),
    /// A JSON object or array, as it is written there.
    Json(&'a str),
    /// Milliseconds since the Unix epoch.
    Time(i64),
}

/// Why a record has no columns: it will never have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Short stable name: `not-json`.
    pub(crate) kind: &'static str,
    /// For a person.
    pub(crate) message: String,
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Verdict {
        Verdict::Rejected { kind: refusal.kind.to_owned(), message: refusal.message }
    }
}

/// The object at the root of a value, member by member.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// One cell for each source, in their order. The value is parsed once, and only if a source is a
/// field of it.
pub(crate) fn cells<'a, 's>(
    sources: impl IntoIterator<Item = &'s ColumnSource>,
    delivery: &Delivery<'a>,
) -> Result<Vec<Cell<'a>>, Refusal> {
    let mut root: Option<Option<&'a RawValue>> = None;
    let mut members: Option<Members<'a>> = None;
    let mut cells = Vec::new();
    for source in sources {
        cells.push(match source {
            ColumnSource::Id => Cell::Text(Cow::Borrowed(delivery.id)),
            ColumnSource::Key => bytes(delivery.key),
            ColumnSource::Value => bytes(delivery.value),
            ColumnSource::EventTime => delivery.event_time.map_or(Cell::Null, Cell::Time),
            ColumnSource::Header(name) => bytes(header(delivery, name)),
            ColumnSource::Field(pointer) => {
                let root = match root {
                    Some(root) => root,
                    None => *root.insert(parse(delivery.value)?),
                };
                field(root, &mut members, pointer)?
            }
        });
    }
    Ok(cells)
}

fn bytes(bytes: Option<&[u8]>) -> Cell<'_> {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => Cell::Null,
        Some((Ok(text), _)) => Cell::Text(Cow::Borrowed(text)),
        Some((Err(_), bytes)) => Cell::Bytes(bytes),
    }
}

/// The last of several of one name, as everywhere.
fn header<'a>(delivery: &Delivery<'a>, name: &str) -> Option<&'a [u8]> {
    delivery.headers.iter().rev().find(|(found, _)| *found == name).map(|(_, value)| *value)
}

fn parse(value: Option<&[u8]>) -> Result<Option<&RawValue>, Refusal> {
    value.map(|value| serde_json::from_slice(value).map_err(not_json)).transpose()
}

fn not_json(error: serde_json::Error) -> Refusal {
    Refusal { kind: "not-json", message: format!("the value is not JSON: {error}") }
}

/// What a JSON pointer (RFC 6901) leads to.
fn field<'a>(
    root: Option<&'a RawValue>,
    members: &mut Option<Members<'a>>,
    pointer: &str,
) -> Result<Cell<'a>, Refusal> {
    let Some(root) = root else { return Ok(Cell::Null) };
    let mut tokens = pointer.split('/').skip(1).map(unescape);
    let mut found = root;
    // Most pointers have one token, and the root is the largest object: it is taken apart once.
    if is_object(root)
        && let Some(token) = tokens.next()
    {
        let members = match members {
            Some(members) => members,
            None => members.insert(serde_json::from_str(root.get()).map_err(not_json)?),
        };
        match members.get(&*token) {
            Some(member) => found = member,
            None => return Ok(Cell::Null),
        }
    }
    for token in tokens {
        let next = match found.get().as_bytes().first() {
            Some(b'{') => {
                let members: Members<'a> = serde_json::from_str(found.get()).map_err(not_json)?;
                members.get(&*token).copied()
            }
            Some(b'[') => {
                let rows: Vec<&'a RawValue> =
                    serde_json::from_str(found.get()).map_err(not_json)?;
                index(&token).and_then(|index| rows.get(index).copied())
            }
            _ => None,
        };
        match next {
            Some(next) => found = next,
            None => return Ok(Cell::Null),
        }
    }
    cell(found)
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

fn unescape(token: &str) -> Cow<'_, str> {
    match token.contains('~') {
        true => Cow::Owned(token.replace("~1", "/").replace("~0", "~")),
        false => Cow::Borrowed(token),
    }
}

/// An index into an array: digits without leading zero.
fn index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (token == "0" || !token.starts_with('0'))).then(|| token.parse().ok()).flatten()
}

fn cell(value: &RawValue) -> Result<Cell<'_>, Refusal> {
    let text = value.get();
    Ok(match text.as_bytes().first() {
        Some(b'n') => Cell::Null,
        Some(b't') => Cell::Bool(true),
        Some(b'f') => Cell::Bool(false),
        Some(b'{' | b'[') => Cell::Json(text),
        Some(b'"') => match text.contains('\\') {
            true => Cell::Text(Cow::Owned(serde_json::from_str(text).map_err(not_json)?)),
            false => Cell::Text(Cow::Borrowed(text.trim_matches('"'))),
        },
        _ => Cell::Number(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(value: Option<&'a [u8]>, pointers: &[&str]) -> Result<Vec<Cell<'a>>, Refusal> {
        let sources: Vec<_> =
            pointers.iter().map(|pointer| ColumnSource::Field((*pointer).to_owned())).collect();
        cells(&sources, &delivery(value))
    }

    fn delivery(value: Option<&[u8]>) -> Delivery<'_> {
        Delivery { position: 1, id: "i", key: None, value, event_time: None, headers: vec![] }
    }

    fn text(text: &str) -> Cell<'_> {
        Cell::Text(Cow::Borrowed(text))
    }

    #[test]
    fn fields_are_found_by_pointer_and_keep_their_digits() {
        let value = br#" {"a":1.10,"b":{"c~/d":[10,"x",{"e":null}]},"":true,
            "f":123456789012345678901234567890,"g":"q\"\u00e9","h":{ "i": 1 },"j":""} "#;
        let pointers =
            ["/a", "/b/c~0~1d/0", "/b/c~0~1d/1", "/b/c~0~1d/2/e", "/", "/f", "/g", "/h", "/j"];
        let expected = vec![
            Cell::Number("1.10"),
            Cell::Number("10"),
            text("x"),
            Cell::Null,
            Cell::Bool(true),
            Cell::Number("123456789012345678901234567890"),
            text("q\"é"),
            Cell::Json("{ \"i\": 1 }"),
            text(""),
        ];
        assert_eq!(of(Some(value), &pointers), Ok(expected));
    }

    #[test]
    fn what_is_not_there_is_null() {
        let value = br#"{"a":[1],"b":"x"}"#;
        let pointers = ["/c", "/a/1", "/a/00", "/a/-", "/a/x", "/b/0", "/b/x", "/a/0/0"];
        assert_eq!(of(Some(value), &pointers), Ok(vec![Cell::Null; pointers.len()]));
        assert_eq!(of(None, &["/a"]), Ok(vec![Cell::Null]));
        assert_eq!(of(Some(b"[7]"), &["/0", "/1"]), Ok(vec![Cell::Number("7"), Cell::Null]));
        assert_eq!(of(Some(b"7"), &["/0"]), Ok(vec![Cell::Null]));
    }

    #[test]
    fn a_value_that_is_not_json_is_refused_only_if_a_field_is_asked_for() {
        for value in [&b"{\"a\":"[..], b"", b"{} {}", b"\xff", b"{\"a\":\"\xff\"}"] {
            let refusal = of(Some(value), &["/a"]).expect_err("it is not JSON");
            assert_eq!(refusal.kind, "not-json");
        }
        let lone = of(Some(br#"{"a":"\ud800"}"#), &["/a"]).expect_err("half a pair is no text");
        assert_eq!(lone.kind, "not-json");
        let whole = cells(&[ColumnSource::Value], &delivery(Some(b"{\"a\":")));
        assert_eq!(whole, Ok(vec![text("{\"a\":")]));
    }

    #[test]
    fn the_record_around_the_value_has_columns_too() {
        let record = Delivery {
            position: 1,
            id: "i",
            key: Some(b"\xfe"),
            value: None,
            event_time: Some(-5),
            headers: vec![("n", b"1"), ("n", b"2")],
        };
        let header = |name: &str| ColumnSource::Header(name.to_owned());
        let sources = [
            ColumnSource::Id,
            ColumnSource::Key,
            ColumnSource::Value,
            ColumnSource::EventTime,
            header("n"),
            header("m"),
        ];
        let expected = vec![
            text("i"),
            Cell::Bytes(b"\xfe"),
            Cell::Null,
            Cell::Time(-5),
            text("2"),
            Cell::Null,
        ];
        assert_eq!(cells(&sources, &record), Ok(expected));
    }
}
