//! How a record becomes a line. The same record always becomes the same bytes, or is refused for
//! the same reason, in every attempt.
//!
//! *JSON lines*: the value as it is. Line breaks can only be white space where the value is JSON,
//! and become spaces; other values that hold one are refused (`not-one-line`), and so is a value
//! that is absent or empty (`no-value`). That a value is JSON is not checked otherwise.
//!
//! *Comma-separated values*: RFC 4180 but for lines that end in a line feed alone. A header line
//! with the columns' names; fields in quotes where they hold a quote, a comma or a line break.
//! Nothing at all is an absent field, two quotes are an empty text. Times are RFC 3339 in UTC to
//! the millisecond; numbers, objects and arrays as they stand in the value.

use super::state::LineFormat;
use crate::column::{Cell, Refusal, cells};
use crate::sink::Delivery;
use pawl_pipeline::{ColumnSource, FileFormat};
use serde_json::value::RawValue;

/// What writes lines.
pub(super) struct Lines {
    /// None: JSON lines.
    columns: Option<Vec<ColumnSource>>,
    header: Vec<u8>,
}

impl Lines {
    pub(super) fn new(format: &FileFormat) -> Self {
        match format {
            FileFormat::JsonLines => Self { columns: None, header: Vec::new() },
            FileFormat::Csv(columns) => {
                let mut header = Vec::new();
                let (names, sources): (Vec<_>, Vec<_>) = columns.iter().cloned().unzip();
                row(names.iter().map(|name| Some(&**name)), &mut header);
                Self { columns: Some(sources), header }
            }
        }
    }

    /// What each file begins with.
    pub(super) fn header(&self) -> &[u8] {
        &self.header
    }

    pub(super) fn format(&self) -> LineFormat {
        match self.columns {
            None => LineFormat::Json,
            Some(_) => LineFormat::Csv,
        }
    }

    /// Adds a record's line.
    pub(super) fn append(&self, record: &Delivery<'_>, to: &mut Vec<u8>) -> Result<(), Refusal> {
        match &self.columns {
            None => json_line(record.value.unwrap_or_default(), to),
            Some(columns) => {
                let cells = cells(columns, record)?;
                let fields = cells.iter().map(field).collect::<Result<Vec<_>, _>>()?;
                row(fields.iter().map(|field| field.as_deref()), to);
                Ok(())
            }
        }
    }
}

fn json_line(value: &[u8], to: &mut Vec<u8>) -> Result<(), Refusal> {
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if value.is_empty() {
        return Err(refusal("no-value", "the record has no value: there is nothing to write"));
    }
    if value.iter().any(breaks) && serde_json::from_slice::<&RawValue>(value).is_err() {
        return Err(refusal("not-one-line", "the value holds a line break and is not JSON"));
    }
    to.extend(value.iter().map(|byte| if breaks(byte) { b' ' } else { *byte }));
    to.push(b'\n');
    Ok(())
}

/// The text of a field; none is nothing at all.
fn field<'a>(cell: &'a Cell<'_>) -> Result<Option<std::borrow::Cow<'a, str>>, Refusal> {
    Ok(match cell {
        Cell::Null => None,
        Cell::Text(text) => Some((&**text).into()),
        Cell::Number(text) | Cell::Json(text) => Some((*text).into()),
        Cell::Bool(truth) => Some(if *truth { "true" } else { "false" }.into()),
        Cell::Time(ms) => match jiff::Timestamp::from_millisecond(*ms) {
            Ok(time) => Some(format!("{time:.3}").into()),
            Err(_) => return Err(refusal("event-time", "the event time is in no calendar's year")),
        },
        Cell::Bytes(_) => return Err(refusal("not-text", "a column holds bytes that are no text")),
    })
}

/// One line of fields.
fn row<'a>(fields: impl Iterator<Item = Option<&'a str>>, to: &mut Vec<u8>) {
    let begin = to.len();
    for (column, field) in fields.enumerate() {
        if column > 0 {
            to.push(b',');
        }
        match field {
            None => {}
            Some(text) if text.is_empty() || text.contains(['"', ',', '\n', '\r']) => {
                to.push(b'"');
                to.extend_from_slice(text.replace('"', "\"\"").as_bytes());
                to.push(b'"');
            }
            Some(text) => to.extend_from_slice(text.as_bytes()),
        }
    }
    if to.len() == begin {
        // Readers skip empty lines.
        to.extend_from_slice(b"\"\"");
    }
    to.push(b'\n');
}

fn refusal(kind: &'static str, message: &str) -> Refusal {
    Refusal { kind, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(
        format: &FileFormat,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<String, &'static str> {
        let time = Some(1_258_000_000_007);
        let record =
            Delivery { position: 7, id: "i", key, value, event_time: time, headers: vec![] };
        let mut to = Vec::new();
        let appended = Lines::new(format).append(&record, &mut to);
        appended.map_err(|refusal| refusal.kind)?;
        Ok(String::from_utf8(to).expect("a line is text"))
    }

    #[test]
    fn a_json_line_is_the_value_and_a_line_break_is_never_in_it() {
        let json = |value: Option<&[u8]>| line(&FileFormat::JsonLines, None, value);
        assert_eq!(json(Some(b"{\"a\": 1.10}")), Ok("{\"a\": 1.10}\n".to_owned()));
        assert_eq!(json(Some(b"{\r\n \"a\": \"\\n\"\n}")), Ok("{   \"a\": \"\\n\" }\n".to_owned()));
        assert_eq!(json(Some(b"not json")), Ok("not json\n".to_owned()));
        assert_eq!(json(Some(b"not\njson")), Err("not-one-line"));
        assert_eq!(json(Some(b"\"not\njson\"")), Err("not-one-line"));
        assert_eq!(json(Some(b"1\n2")), Err("not-one-line"));
        assert_eq!(json(Some(b"x\ry")), Err("not-one-line"));
        assert_eq!(json(Some(b"")), Err("no-value"));
        assert_eq!(json(None), Err("no-value"));
    }

    #[test]
    fn fields_are_quoted_where_they_must_be_and_absent_is_not_empty() {
        let field = |pointer: &str| ColumnSource::Field(pointer.to_owned());
        let columns = [
            ("id", ColumnSource::Id),
            ("a \"b\", c", field("/a")),
            ("n", field("/n")),
            ("o", field("/o")),
            ("seen", ColumnSource::EventTime),
            ("key", ColumnSource::Key),
        ];
        let columns = columns.map(|(name, source)| (name.to_owned(), source)).to_vec();
        let format = FileFormat::Csv(columns);
        let header = Lines::new(&format).header().to_vec();
        assert_eq!(header, b"id,\"a \"\"b\"\", c\",n,o,seen,key\n");
        let value = br#"{"a":"x,\"y\"\nz","n":1.10,"o":{"p":[1,2]}}"#;
        let expected =
            "i,\"x,\"\"y\"\"\nz\",1.10,\"{\"\"p\"\":[1,2]}\",2009-11-12T04:26:40.007Z,k\n";
        assert_eq!(line(&format, Some(b"k"), Some(value)), Ok(expected.to_owned()));
        let expected = "i,\"\",,,2009-11-12T04:26:40.007Z,\n";
        assert_eq!(line(&format, None, Some(br#"{"a":"","n":null}"#)), Ok(expected.to_owned()));
        assert_eq!(line(&format, None, Some(b"{")), Err("not-json"));
        assert_eq!(line(&format, Some(b"\xff"), Some(value)), Err("not-text"));
    }

    #[test]
    fn a_line_is_never_empty() {
        let format = FileFormat::Csv(vec![("key".to_owned(), ColumnSource::Key)]);
        assert_eq!(line(&format, None, None), Ok("\"\"\n".to_owned()));
    }
}
