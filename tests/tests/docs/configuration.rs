//! The chapter on the pipeline file is written from its schema, so the two cannot differ.
//! `PAWL_BLESS=1` writes it anew.

use crate::book::root;
use crate::ordered::Json;
use std::fmt::Write;

const PAGE: &str = "docs/configuration.md";
const SCHEMA: &str = "docs/pipeline.schema.json";

/// What stands below this line of the page is written here.
const MARK: &str = "<!-- What follows is written from pipeline.schema.json by a test. -->\n";

/// A table of the file: how it is named there, and its schema.
type Table<'s> = (String, &'s Json);

#[test]
fn the_reference_of_the_pipeline_file_is_what_its_schema_says() {
    let schema = std::fs::read_to_string(root().join(SCHEMA)).expect("the schema is there");
    let schema: Json = serde_json::from_str(&schema).expect("a schema is JSON");
    let page = std::fs::read_to_string(root().join(PAGE)).expect("the page is there");
    let (head, written) = page.split_once(MARK).expect("the page has the mark");
    let wanted = reference(&schema);
    if std::env::var_os("PAWL_BLESS").is_some() {
        let whole = format!("{head}{MARK}{wanted}");
        std::fs::write(root().join(PAGE), whole).expect("the page is writable");
    } else {
        let is_same = written == wanted;
        assert!(is_same, "{PAGE} is not what {SCHEMA} says: write it anew with PAWL_BLESS=1");
    }
}

/// All tables of the file, each with its fields.
fn reference(schema: &Json) -> String {
    let mut text = String::new();
    let mut left: Vec<Table<'_>> = vec![("The file".to_owned(), schema)];
    while let Some((name, table)) = left.pop() {
        let mut inner = Vec::new();
        section(&name, table, &mut text, &mut inner);
        // Tables follow the one in which they stand, in its order.
        left.extend(inner.into_iter().rev());
    }
    text
}

fn section<'s>(name: &str, table: &'s Json, text: &mut String, inner: &mut Vec<Table<'s>>) {
    let mut rows = String::new();
    for (field, value) in fields(table) {
        let meaning = words(value);
        let shown = match table_in(name, field, value) {
            Some((inner_name, inner_table)) => {
                let link = inner_name.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c));
                let anchor: String = link.map(|c| c.to_ascii_lowercase()).collect();
                let row = format!("| `{field}` | [`{inner_name}`](#{anchor}) | | {meaning} |");
                inner.push((inner_name, inner_table));
                row
            }
            None => {
                let (kind, default) = (kind(value), default(table, field, value));
                format!("| `{field}` | {kind} | {default} | {meaning} |")
            }
        };
        writeln!(rows, "{shown}").expect("a text takes all that is written");
    }
    let title = if name.starts_with('[') { format!("`{name}`") } else { name.to_owned() };
    let (about, head) = (words(table), "| field | what | default | meaning |\n|---|---|---|---|");
    write!(text, "\n## {title}\n{about}\n\n{head}\n{rows}").expect("a text takes it");
}

/// Fields of a table.
fn fields(table: &Json) -> impl Iterator<Item = (&str, &Json)> {
    table["properties"].fields().iter().map(|(name, value)| (name.as_str(), value))
}

fn is_needed(table: &Json, field: &str) -> bool {
    table["required"].elements().iter().any(|name| name.text() == Some(field))
}

/// The table that a field is, or is a list of, with its name in the file.
fn table_in<'s>(name: &str, field: &str, value: &'s Json) -> Option<Table<'s>> {
    let outer = match name.strip_prefix('[') {
        Some(name) => format!("{}.", name.trim_matches(['[', ']'])),
        None => String::new(),
    };
    let is_table = |value: &Json| !value["properties"].is_absent();
    let (items, named) = (&value["items"], &value["additionalProperties"]);
    if is_table(value) {
        Some((format!("[{outer}{field}]"), value))
    } else if is_table(items) {
        Some((format!("[[{outer}{field}]]"), items))
    } else if is_table(named) {
        Some((format!("[{outer}{field}.NAME]"), named))
    } else {
        None
    }
}

/// What a field may be.
fn kind(value: &Json) -> String {
    let (choices, words) = (value["oneOf"].elements(), value["enum"].elements());
    if !choices.is_empty() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(", or ");
    }
    if !words.is_empty() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    if !value["const"].is_absent() {
        return format!("`{}`", value["const"]);
    }
    let inner: Vec<String> = fields(value).map(|(name, _)| format!("{name} = ...")).collect();
    if !inner.is_empty() {
        return format!("`{{ {} }}`", inner.join(", "));
    }
    match value["type"].text() {
        Some("integer") => match (&value["minimum"], &value["maximum"]) {
            (low, high) if high.is_absent() => format!("{} or more", number(low)),
            (low, high) => format!("{} to {}", number(low), number(high)),
        },
        Some("number") => format!("above 0, at most {}", number(&value["maximum"])),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("array") => "list".to_owned(),
        Some("object") => "table".to_owned(),
        _ => "text".to_owned(),
    }
}

fn default(table: &Json, field: &str, value: &Json) -> String {
    let text = value["default"].to_string();
    match text.as_str() {
        "null" if is_needed(table, field) => "needed".to_owned(),
        "null" => String::new(),
        given if given.starts_with(|first: char| first.is_ascii_digit()) => {
            number(&value["default"])
        }
        given => format!("`{given}`"),
    }
}

/// A number with its thousands apart.
fn number(value: &Json) -> String {
    let text = value.to_string();
    let is_long = text.len() > 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text.as_str();
    while is_long && rest.len() > 3 {
        let (before, last) = rest.split_at(rest.len() - 3);
        parts.push(last);
        rest = before;
    }
    parts.push(rest);
    parts.reverse();
    parts.join(",")
}

fn words(value: &Json) -> String {
    value["description"].text().unwrap_or_default().replace('|', "\\|")
}
