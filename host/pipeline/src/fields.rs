//! Reads fields out of a TOML table and gathers every mistake on the way: a missing field, a
//! value of the wrong type or outside its bounds, a field that nobody knows.
//!
//! Each function returns something to go on with, so that one mistake never hides another. That
//! is why this is no serde: serde stops at the first.

use crate::mistake::Report;
use std::ops::RangeInclusive;
use toml::{Table, Value};

/// The fields of one table, each taken by name; what is left at the end is unknown.
pub(crate) struct Fields<'a> {
    /// Where the table stands in the file.
    pub(crate) path: String,
    /// `None`: the table is not there, or something else is in its place.
    table: Option<&'a Table>,
    known: Vec<&'static str>,
    report: &'a Report,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(path: String, table: &'a Table, report: &'a Report) -> Self {
        Self { path, table: Some(table), known: Vec::new(), report }
    }

    /// The fields of a table that is not there: every one has its default.
    pub(crate) fn none(report: &'a Report) -> Self {
        Self { path: String::new(), table: None, known: Vec::new(), report }
    }

    /// The fields of `value`, which should be a table: else that is a mistake.
    pub(crate) fn of(path: String, value: &'a Value, report: &'a Report) -> Self {
        let table = value.as_table();
        if table.is_none() {
            report.mistake(&path, format!("is {}; should be a table", describe(value)));
        }
        Self { path, table, known: Vec::new(), report }
    }

    /// The path of a field.
    pub(crate) fn at(&self, name: &str) -> String {
        join(&self.path, name)
    }

    pub(crate) fn mistake(&self, name: &str, what: impl Into<String>) {
        self.report.mistake(self.at(name), what);
    }

    /// Whether the field is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name))
    }

    /// A field as it is.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.table.and_then(|table| table.get(name))
    }

    /// A text that must not be empty.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.value(name)?;
        match value.as_str() {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                self.mistake(name, format!("is {}; should be text", describe(value)));
                None
            }
        }
    }

    /// A text that must be there.
    pub(crate) fn text_needed(&mut self, name: &'static str, example: &str) -> String {
        if self.table.is_some_and(|table| !table.contains_key(name)) {
            self.mistake(name, format!("is missing; should be {example}"));
        }
        self.text(name).unwrap_or_default()
    }

    /// A name of lower-case letters, digits and `-`, usable as a folder's name.
    pub(crate) fn name(&mut self, example: &str) -> String {
        let name = self.text_needed("name", example);
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.len() > 64 || !name.chars().all(fits) || name.starts_with('-') {
            let found = quote(&name);
            self.mistake("name", format!("is {found}; should be at most 64 of a-z, 0-9 and `-`"));
        }
        name
    }

    /// A whole number within bounds, or the default.
    pub(crate) fn whole(
        &mut self,
        name: &'static str,
        default: u64,
        bounds: RangeInclusive<u64>,
    ) -> u64 {
        self.whole_maybe(name, bounds).unwrap_or(default)
    }

    /// A whole number within bounds if there is one.
    pub(crate) fn whole_maybe(
        &mut self,
        name: &'static str,
        bounds: RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.value(name)?;
        let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
        let within = number.filter(|number| bounds.contains(number));
        if within.is_none() {
            let (low, high, found) = (bounds.start(), bounds.end(), describe(value));
            let should = format!("is {found}; should be a whole number from {low} to {high}");
            self.mistake(name, should);
        }
        within
    }

    /// As `whole`, for a field that holds 32 bits.
    pub(crate) fn whole_u32(
        &mut self,
        name: &'static str,
        default: u32,
        bounds: RangeInclusive<u32>,
    ) -> u32 {
        let wide = u64::from(*bounds.start())..=u64::from(*bounds.end());
        let number = self.whole(name, u64::from(default), wide);
        u32::try_from(number).unwrap_or(default)
    }

    /// True or false, or the default.
    pub(crate) fn truth(&mut self, name: &'static str, default: bool) -> bool {
        let Some(value) = self.value(name) else { return default };
        value.as_bool().unwrap_or_else(|| {
            self.mistake(name, format!("is {}; should be true or false", describe(value)));
            default
        })
    }

    /// A number above 0 and at most 1, or the default.
    pub(crate) fn share(&mut self, name: &'static str, default: f64) -> f64 {
        let Some(value) = self.value(name) else { return default };
        let number = value.as_float().or(value.as_integer().map(|number| number as f64));
        match number {
            Some(number) if number > 0.0 && number <= 1.0 => number,
            _ => {
                let found = describe(value);
                self.mistake(name, format!("is {found}; should be above 0 and at most 1"));
                default
            }
        }
    }

    /// The fields of a table within; none of them if it is not there.
    pub(crate) fn table(&mut self, name: &'static str) -> Fields<'a> {
        let path = self.at(name);
        match self.value(name) {
            Some(value) => Fields::of(path, value, self.report),
            None => Fields { path, table: None, known: Vec::new(), report: self.report },
        }
    }

    /// As `table`, if it is there.
    pub(crate) fn table_maybe(&mut self, name: &'static str) -> Option<Fields<'a>> {
        let value = self.value(name)?;
        Some(Fields::of(self.at(name), value, self.report)).filter(|it| it.table.is_some())
    }

    /// The entries of a table whose names the user chooses.
    pub(crate) fn entries(&mut self, name: &'static str) -> Vec<(String, &'a str, &'a Value)> {
        let within = self.table(name);
        let entries = within.table.into_iter().flatten();
        entries.map(|(entry, value)| (within.at(entry), entry.as_str(), value)).collect()
    }

    /// A list of 1 to `count_max` tables, headed `[[header]]` in the file. Each is known by its
    /// name, or by its number where it has none or one that was there before.
    pub(crate) fn tables(
        &mut self,
        name: &'static str,
        header: &str,
        count_max: usize,
    ) -> Vec<Fields<'a>> {
        let empty = Value::Array(Vec::new());
        let there = self.table.is_none() || self.has(name);
        let value = self.value(name);
        if !there || value == Some(&empty) {
            self.mistake(name, format!("is missing; should be at least one [[{header}]]"));
        }
        let Some(value) = value else { return Vec::new() };
        let Some(list) = value.as_array() else {
            let found = describe(value);
            self.mistake(name, format!("is {found}; should be a list of tables, [[{header}]]"));
            return Vec::new();
        };
        if list.len() > count_max {
            let count = list.len();
            self.mistake(name, format!("are {count}; should be at most {count_max}"));
        }
        let mut found: Vec<Fields<'a>> = Vec::new();
        for (number, item) in list.iter().take(count_max).enumerate() {
            let own = item.get("name").and_then(Value::as_str).filter(|text| !text.is_empty());
            let mut path = join(&self.at(name), own.unwrap_or(&number.to_string()));
            if found.iter().any(|other| other.path == path) {
                let twice = format!("there are two with the name {}", quote(own.unwrap_or("")));
                path = join(&self.at(name), &number.to_string());
                self.report.mistake(join(&path, "name"), twice);
            }
            found.push(Fields::of(path, item, self.report));
        }
        found
    }

    /// As `tables`, where there may be none.
    pub(crate) fn tables_maybe(
        &mut self,
        name: &'static str,
        header: &str,
        count_max: usize,
    ) -> Vec<Fields<'a>> {
        match self.has(name) {
            true => self.tables(name, header, count_max),
            false => {
                self.known.push(name);
                Vec::new()
            }
        }
    }

    /// Reports all fields that nobody asked for.
    pub(crate) fn finish(self) {
        for name in self.table.into_iter().flat_map(Table::keys) {
            if !self.known.contains(&name.as_str()) {
                self.mistake(name, unknown(name, &self.known));
            }
        }
    }
}

/// A path and a name below it, quoted where it must be.
pub(crate) fn join(path: &str, name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name = match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => quote(name),
    };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// What a value is, for a person.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) => quote(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Datetime(_) => "a date".to_owned(),
    }
}

/// A text in quotes, control characters escaped, cut where it is long.
pub(crate) fn quote(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{:?}", format!("{}...", text.get(..end).unwrap_or_default())),
        None => format!("{text:?}"),
    }
}

/// Says that nobody knows a name, and which one was probably meant.
pub(crate) fn unknown(name: &str, known: &[&str]) -> String {
    match closest(name, known) {
        Some(meant) => format!("is not known here; did you mean `{meant}`?"),
        None if known.is_empty() => "is not known here".to_owned(),
        None => format!("is not known here; known are {}", known.join(", ")),
    }
}

/// The name that differs from `name` in at most a third of its letters, and in three at most: the
/// one that was probably meant.
pub fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    const COMPARED_MAX: usize = 64;
    if name.len() > COMPARED_MAX {
        return None;
    }
    let distances = known.iter().map(|known| (distance(name, known), *known));
    distances
        .filter(|(d, known)| *d <= known.len().div_ceil(3).min(3) && *d < known.len())
        .min()
        .map(|(_, k)| k)
}

/// How many letters must be put in, left out or changed to make `a` from `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            left = (diagonal + usize::from(from != *to)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
