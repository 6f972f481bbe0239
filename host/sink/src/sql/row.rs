//! What a record gives to each column, and what both databases make of it.

use super::Refusal;
use super::name::Shape;
use crate::column::{self, Cell};
use crate::sink::Delivery;
use jiff::Timestamp;
use pawl_pipeline::ColumnSource;

/// What a record gives to a column.
pub struct Given<'a> {
    /// What it is.
    pub cell: Cell<'a>,
    /// It comes from outside of the value's fields: to a column of JSON it is JSON already.
    pub raw: bool,
}

/// One value for each column, made by `make` from what is given and the column's kind. A value
/// that is empty to `is_null` is refused for a key: such a row could never be found again, and
/// each time that it came it would be one more.
pub fn make<'a, K: Copy, V>(
    shape: &Shape,
    kinds: &[K],
    record: &Delivery<'a>,
    make: impl Fn(Given<'a>, K) -> Result<V, String>,
    is_null: impl Fn(&V) -> bool,
) -> Result<Vec<V>, Refusal> {
    let cells = column::cells(shape.columns.iter().map(|(_, source)| source), record)
        .map_err(|refusal| Refusal::data(refusal.message))?;
    let mut made = Vec::with_capacity(kinds.len());
    for (((cell, (name, source)), kind), is_key) in
        cells.into_iter().zip(&shape.columns).zip(kinds).zip(&shape.is_key)
    {
        let raw = !matches!(source, ColumnSource::Id | ColumnSource::Field(_));
        let value = make(Given { cell, raw }, *kind)
            .map_err(|why| Refusal::data(format!("column \"{name}\": {why}")))?;
        if *is_key && is_null(&value) {
            return Err(Refusal::data(format!("the key column \"{name}\" would be NULL")));
        }
        made.push(value);
    }
    Ok(made)
}

/// A time as RFC 3339 in UTC.
pub fn time_text(milliseconds: i64) -> Result<String, String> {
    match Timestamp::from_millisecond(milliseconds) {
        Ok(time) => Ok(time.to_string()),
        Err(_) => Err(format!("{milliseconds} ms is out of the range of times")),
    }
}

/// The integer that a JSON number is, `5.0` and `1e3` included; none where digits could be lost.
pub fn integer(number: &str) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if let Ok(integer) = number.parse() {
        return Some(integer);
    }
    let float: f64 = number.parse().ok()?;
    (float.fract() == 0.0 && float.abs() < EXACT_MAX).then_some(float as i64)
}

/// A text as a JSON text.
pub fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_integers_however_they_are_written() {
        let expected = [
            ("5", Some(5)),
            ("5.0", Some(5)),
            ("-1e3", Some(-1000)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("9007199254740993.0", None),
            ("5.5", None),
            ("1e999", None),
            ("x", None),
        ];
        for (text, integer_) in expected {
            assert_eq!(integer(text), integer_, "{text}");
        }
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(time_text(-1), Ok("1969-12-31T23:59:59.999Z".to_owned()));
        assert!(time_text(i64::MAX).is_err());
    }
}
