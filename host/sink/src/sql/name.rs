//! Names of tables and columns, and the statements made of them. Every name that comes from the
//! configuration or the database is quoted.

use pawl_pipeline::{ColumnSource, SqlSink as Config};

/// The table of fences, beside the target table.
pub const FENCE: &str = "pawl_fence";

/// What is written where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The schema, if one is told.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// Columns and what they are filled from, in the order of the statement's parameters.
    pub columns: Vec<(String, ColumnSource)>,
    /// Whether the column of the same index is one of the key.
    pub is_key: Vec<bool>,
}

impl Shape {
    /// Fails with what is wrong with the configuration.
    pub fn new(config: &Config) -> Result<Shape, String> {
        let columns: Vec<(String, ColumnSource)> =
            config.columns.iter().map(|(name, source)| (name.clone(), source.clone())).collect();
        if config.key.is_empty() {
            return Err(
                "`key` names no column: nothing would keep a record from coming twice".into()
            );
        }
        if let Some(key) = config.key.iter().find(|key| !config.columns.contains_key(*key)) {
            return Err(format!(
                "the key column `{key}` is not among the columns that are written"
            ));
        }
        let (schema, table) = match config.table.split_once('.') {
            Some((schema, table)) => (Some(schema.to_owned()), table.to_owned()),
            None => (None, config.table.clone()),
        };
        let names = config.columns.keys().chain([&table]).chain(&schema);
        if names.into_iter().any(|name| name.is_empty() || name.contains('\0')) {
            return Err("names of tables and columns must not be empty, nor hold a zero".into());
        }
        let is_key = columns.iter().map(|(name, _)| config.key.contains(name)).collect();
        Ok(Shape { schema, table, columns, is_key })
    }

    /// The table with its schema, quoted.
    pub fn quoted_table(&self) -> String {
        qualified(self.schema.as_deref(), &self.table)
    }

    /// The key columns, quoted, with commas.
    pub fn quoted_key(&self) -> String {
        self.quoted_columns(|is_key| is_key)
    }

    /// All columns, quoted, with commas.
    pub fn quoted_all(&self) -> String {
        self.quoted_columns(|_| true)
    }

    fn quoted_columns(&self, keep: impl Fn(bool) -> bool) -> String {
        let columns = self.columns.iter().zip(&self.is_key);
        let kept = columns.filter(|(_, is_key)| keep(**is_key));
        kept.map(|((name, _), _)| quoted(name)).collect::<Vec<_>>().join(", ")
    }

    /// From `ON CONFLICT` on.
    pub fn on_conflict(&self) -> String {
        let columns = self.columns.iter().zip(&self.is_key);
        let others = columns.filter(|(_, is_key)| !**is_key).map(|((name, _), _)| quoted(name));
        let set: Vec<String> = others.map(|name| format!("{name} = excluded.{name}")).collect();
        let action = match set.is_empty() {
            true => "NOTHING".to_owned(),
            false => format!("UPDATE SET {}", set.join(", ")),
        };
        format!("ON CONFLICT ({}) DO {action}", self.quoted_key())
    }

    /// A statement that would make the table, for a person.
    pub fn create_table(&self) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, source)| format!("{} {}", quoted(name), likely_type(source)))
            .collect();
        let (table, key) = (self.quoted_table(), self.quoted_key());
        format!("CREATE TABLE {table} ({}, PRIMARY KEY ({key}))", columns.join(", "))
    }

    /// A statement that would make a column, for a person.
    pub fn add_column(&self, name: &str, source: &ColumnSource) -> String {
        let (table, kind) = (self.quoted_table(), likely_type(source));
        format!("ALTER TABLE {table} ADD COLUMN {} {kind}", quoted(name))
    }

    /// A statement that would make the key unique, for a person.
    pub fn create_index(&self) -> String {
        let name = format!("{}_pawl_key", self.table);
        let (table, key) = (self.quoted_table(), self.quoted_key());
        format!("CREATE UNIQUE INDEX {} ON {table} ({key})", quoted(&name))
    }
}

/// In quotation marks, those inside doubled.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name with its schema, both quoted.
pub fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(name)),
        None => quoted(name),
    }
}

/// A type that both databases know and that takes everything from this source.
fn likely_type(source: &ColumnSource) -> &'static str {
    match source {
        ColumnSource::EventTime => "bigint",
        _ => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pawl_pipeline::Secret;

    fn config(table: &str, columns: &[&str], key: &[&str]) -> Config {
        let column = |name: &&str| ((*name).to_owned(), ColumnSource::Id);
        Config {
            url: Secret::Text("sqlite:x".to_owned()),
            table: table.to_owned(),
            columns: columns.iter().map(column).collect(),
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            timeout_ms: 1,
        }
    }

    #[test]
    fn names_are_quoted_whatever_they_hold() {
        let shape = Shape::new(&config("a\"b.c d", &["k", "x\"; --"], &["k"])).expect("shape");
        assert_eq!(shape.quoted_table(), "\"a\"\"b\".\"c d\"");
        assert_eq!(
            shape.on_conflict(),
            "ON CONFLICT (\"k\") DO UPDATE SET \"x\"\"; --\" = excluded.\"x\"\"; --\""
        );
        assert_eq!(shape.quoted_all(), "\"k\", \"x\"\"; --\"");
    }

    #[test]
    fn a_table_of_nothing_but_its_key_is_not_updated() {
        let shape = Shape::new(&config("t", &["a", "b"], &["b", "a"])).expect("shape");
        assert_eq!(shape.on_conflict(), "ON CONFLICT (\"a\", \"b\") DO NOTHING");
    }

    #[test]
    fn a_configuration_without_a_usable_key_is_refused() {
        assert!(Shape::new(&config("t", &["a"], &[])).is_err());
        assert!(Shape::new(&config("t", &["a"], &["b"])).is_err());
        assert!(Shape::new(&config("s.", &["a"], &["a"])).is_err());
        assert!(Shape::new(&config("t", &["a\0"], &["a\0"])).is_err());
    }
}
