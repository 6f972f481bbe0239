//! Canonical JSON: keys sorted, no white space, so that equal configurations are equal texts.
//! TOML has values that JSON has not; those are named, never replaced in silence.

use serde_json::Value;
use std::fmt::Write;

/// The text of a value, keys sorted whatever order the map has.
pub(crate) fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

/// A TOML value as JSON; dates become RFC 3339 text. `wrong` hears of each value that JSON
/// cannot hold, with its path below `path`.
pub(crate) fn from_toml(
    value: &toml::Value,
    path: &str,
    wrong: &mut dyn FnMut(&str, &str),
) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Boolean(truth) => Value::from(*truth),
        toml::Value::Datetime(date) => Value::from(date.to_string()),
        toml::Value::Float(number) => {
            if !number.is_finite() {
                wrong(path, "is not a finite number; JSON has no other");
            }
            Value::from(*number)
        }
        toml::Value::Array(list) => {
            let items = list.iter().enumerate();
            items.map(|(at, item)| from_toml(item, &format!("{path}.{at}"), wrong)).collect()
        }
        toml::Value::Table(table) => {
            let pairs = table.iter().map(|(name, item)| {
                (name.clone(), from_toml(item, &crate::fields::join(path, name), wrong))
            });
            Value::Object(pairs.collect())
        }
    }
}

/// A JSON object that was made of a TOML table, as a table again; none if it is empty.
pub(crate) fn to_table(text: &str) -> Option<toml::Table> {
    let Ok(Value::Object(map)) = serde_json::from_str(text) else { return None };
    let table: toml::Table =
        map.into_iter().filter_map(|(name, value)| Some((name, to_toml(value)?))).collect();
    (!table.is_empty()).then_some(table)
}

/// None for null, which TOML has not.
fn to_toml(value: Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(truth) => toml::Value::from(truth),
        Value::String(text) => toml::Value::from(text),
        Value::Number(number) => match number.as_i64() {
            Some(number) => toml::Value::from(number),
            None => toml::Value::from(number.as_f64()?),
        },
        Value::Array(list) => toml::Value::Array(list.into_iter().filter_map(to_toml).collect()),
        Value::Object(map) => {
            let pairs = map.into_iter();
            let pairs = pairs.filter_map(|(name, value)| Some((name, to_toml(value)?)));
            toml::Value::Table(pairs.collect())
        }
    })
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Array(list) => {
            text.push('[');
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_value(text, item);
            }
            text.push(']');
        }
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by(|a, b| a.0.cmp(b.0));
            text.push('{');
            for (at, (name, item)) in pairs.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_value(text, &Value::from(name.as_str()));
                text.push(':');
                write_value(text, item);
            }
            text.push('}');
        }
        leaf => write!(text, "{leaf}").expect("writing into a string cannot fail"),
    }
}
