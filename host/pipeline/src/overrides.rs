//! `--set path.in.file=value`: changes one field of the table before it is checked.
//!
//! A path's elements are joined by dots; one with other letters than a-z, A-Z, 0-9, `_` and `-`
//! stands in quotes. An element of a list is told by its `name` or its number. Whether a field
//! exists is not decided here: an unknown one is refused where the table is read.

use crate::fields::{closest, join, quote};
use crate::mistake::Report;
use toml::{Table, Value};

/// Applies one override; what is wrong with it goes into the report.
pub(crate) fn apply(table: &mut Table, text: &str, report: &Report) {
    let asked = format!("--set {}", quote(text));
    let parsed = text.split_once('=').and_then(|(path, value)| Some((split(path)?, value)));
    let Some((steps, value)) = parsed else {
        report.mistake(asked, "should be path.in.file=value");
        return;
    };
    let value = parse_value(value);
    if let Err((path, what)) = set(table, &steps, value) {
        report.mistake(path, format!("{what} ({asked})"));
    }
}

/// A TOML value if the text is one, else the text itself.
fn parse_value(text: &str) -> Value {
    let table = format!("value = {text}").parse::<Table>();
    match table {
        // More than one entry: the text went on behind the value, on a line of its own.
        Ok(mut table) if table.len() == 1 => {
            table.remove("value").unwrap_or_else(|| Value::from(text))
        }
        _ => Value::from(text),
    }
}

/// The elements of a path; `None` if one is empty or a quote is left open.
fn split(path: &str) -> Option<Vec<String>> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    loop {
        let (step, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        if step.is_empty() {
            return None;
        }
        steps.push(step.to_owned());
        match behind.strip_prefix('.') {
            Some(next) => rest = next,
            None if behind.is_empty() => return Some(steps),
            None => return None,
        }
    }
}

fn set(table: &mut Table, steps: &[String], value: Value) -> Result<(), (String, String)> {
    let Some((last, way)) = steps.split_last() else { return Ok(()) };
    let mut path = String::new();
    let mut at = Place::Table(table);
    for step in way {
        let next = at.step(&path, step)?;
        path = join(&path, step);
        at = match next {
            Value::Table(table) => Place::Table(table),
            Value::Array(list) => Place::List(list),
            _ => return Err((path, "is a single value; there is nothing below it".to_owned())),
        };
    }
    match at {
        Place::Table(table) => drop(table.insert(last.clone(), value)),
        list => *list.step(&path, last)? = value,
    }
    Ok(())
}

/// Where a path leads so far.
enum Place<'a> {
    Table(&'a mut Table),
    List(&'a mut Vec<Value>),
}

impl<'a> Place<'a> {
    /// One step on; a table that is not there yet is made.
    fn step(self, path: &str, step: &str) -> Result<&'a mut Value, (String, String)> {
        match self {
            Place::Table(table) => {
                Ok(table.entry(step).or_insert_with(|| Value::Table(Table::new())))
            }
            Place::List(list) => {
                let name = |item: &Value| {
                    item.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
                };
                let names: Vec<String> = list.iter().map(name).collect();
                let by_name = names.iter().position(|name| name == step);
                match by_name.or_else(|| step.parse().ok()).and_then(|at| list.get_mut(at)) {
                    Some(item) => Ok(item),
                    None => Err((join(path, step), missing(step, &names))),
                }
            }
        }
    }
}

fn missing(step: &str, names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match closest(step, &names) {
        Some(meant) => format!("does not exist; did you mean `{meant}`?"),
        None if names.is_empty() => "does not exist; the list is empty".to_owned(),
        None => format!("does not exist; there are {}", names.join(", ")),
    }
}
