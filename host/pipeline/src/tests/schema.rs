//! The JSON Schema and the reader know the same fields, defaults, bounds and words, place by place,
//! and refuse the same mistakes. The file with every field leads through all places.

use super::effective::MAXIMAL;
use super::{GOOD, repository};
use crate::{Mistakes, Pipeline, SCHEMA, parse};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::{Table, Value};

/// A name that is far from every field's.
const STRANGER: &str = "zzzzzzzzzzzz";

fn schema() -> Json {
    serde_json::from_str(SCHEMA).unwrap()
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft7::new(&schema()).unwrap()
}

fn as_json(table: &Table) -> Json {
    crate::json::from_toml(&Value::Table(table.clone()), "", &mut |_, _| {})
}

fn read(table: &Table) -> Result<Pipeline, Mistakes> {
    parse(&table.to_string(), Path::new(""), &[]).map(|(pipeline, _)| pipeline)
}

/// What the reader says of a table, a mistake a line.
fn told(table: &Table) -> Vec<String> {
    match read(table) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.list.iter().map(ToString::to_string).collect(),
    }
}

/// One step on the way to a value: by name in a table, by number in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Number(usize),
}

type Way = Vec<Step>;

fn find<'v>(table: &'v mut Table, way: &[Step]) -> &'v mut Table {
    let Some((Step::Name(first), rest)) = way.split_first() else { return table };
    let mut value = &mut table[first];
    for step in rest {
        value = match step {
            Step::Name(name) => &mut value[name.as_str()],
            Step::Number(number) => &mut value[*number],
        };
    }
    value.as_table_mut().unwrap()
}

/// A table of the file with every field, and the schema of its fields.
struct Place {
    way: Way,
    properties: serde_json::Map<String, Json>,
    required: BTreeSet<String>,
}

/// All tables with fields of fixed names, and how often each property of the schema is used.
fn places() -> (Vec<Place>, BTreeMap<String, usize>) {
    let mut places = Vec::new();
    let mut used = BTreeMap::new();
    count(&schema(), "", &mut used);
    let file = MAXIMAL.parse::<Table>().unwrap();
    visit(&Value::Table(file), &schema(), Vec::new(), "", &mut places, &mut used);
    (places, used)
}

/// Every property anywhere in the schema, by its way through the schema.
fn count(schema: &Json, path: &str, used: &mut BTreeMap<String, usize>) {
    for alternative in alternatives(schema) {
        for (name, property) in properties(alternative) {
            let path = format!("{path}/{name}");
            used.entry(path.clone()).or_default();
            count(&property, &path, used);
        }
        for inner in ["items", "additionalProperties"] {
            let inner = alternative.get(inner).into_iter();
            // The items of a pair stand one by one.
            for inner in inner.flat_map(|i| i.as_array().cloned().unwrap_or(vec![i.clone()])) {
                count(&inner, path, used);
            }
        }
    }
}

fn alternatives(schema: &Json) -> Vec<&Json> {
    let several = schema.get("oneOf").and_then(Json::as_array);
    match several.filter(|_| schema.get("type").is_none()) {
        Some(several) => several.iter().collect(),
        None => vec![schema],
    }
}

fn properties(schema: &Json) -> serde_json::Map<String, Json> {
    schema.get("properties").and_then(Json::as_object).cloned().unwrap_or_default()
}

fn visit(
    value: &Value,
    schema: &Json,
    way: Way,
    path: &str,
    places: &mut Vec<Place>,
    used: &mut BTreeMap<String, usize>,
) {
    let step = |step: Step| way.iter().cloned().chain([step]).collect::<Way>();
    match value {
        Value::Table(table) => {
            let of_kind = alternatives(schema).into_iter().filter(|s| s["type"] == "object");
            let of_kind: Vec<&Json> = of_kind.collect();
            let all: serde_json::Map<String, Json> =
                of_kind.iter().flat_map(|s| properties(s)).collect();
            for (name, value) in table {
                let named = step(Step::Name(name.clone()));
                if let Some(property) = all.get(name) {
                    let path = format!("{path}/{name}");
                    *used.get_mut(&path).unwrap() += 1;
                    visit(value, property, named, &path, places, used);
                } else if let Some(inner) =
                    of_kind.iter().find_map(|s| s["additionalProperties"].as_object())
                {
                    visit(value, &Json::Object(inner.clone()), named, path, places, used);
                }
            }
            if of_kind.iter().all(|s| s["additionalProperties"] == false) {
                let required =
                    of_kind.iter().flat_map(|s| s["required"].as_array().into_iter().flatten());
                let required = required.map(|name| name.as_str().unwrap().to_owned());
                let required =
                    if of_kind.len() == 1 { required.collect() } else { BTreeSet::new() };
                places.push(Place { way, properties: all, required });
            }
        }
        Value::Array(list) => {
            for (number, item) in list.iter().enumerate() {
                let items = &schema["items"];
                // The items of a pair stand one by one.
                let items = items.get(number).unwrap_or(items);
                visit(item, items, step(Step::Number(number)), path, places, used);
            }
        }
        _ => {}
    }
}

#[test]
fn the_file_with_every_field_is_valid_and_has_every_field() {
    let file = MAXIMAL.parse::<Table>().unwrap();
    assert_eq!(told(&file), Vec::<String>::new());
    let valid = validator();
    let errors: Vec<String> =
        valid.iter_errors(&as_json(&file)).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert_eq!(errors, Vec::<String>::new());
    let unused: Vec<String> =
        places().1.into_iter().filter(|(_, times)| *times == 0).map(|(path, _)| path).collect();
    assert_eq!(unused, Vec::<String>::new(), "these are not in tests/maximal.toml");
}

#[test]
fn reader_and_schema_know_the_same_fields_at_every_place() {
    let (places, _) = places();
    assert!(places.len() > 30, "only {} places", places.len());
    for Place { way, properties, .. } in places {
        let mut file = MAXIMAL.parse::<Table>().unwrap();
        find(&mut file, &way).insert(STRANGER.to_owned(), Value::from(1));
        assert!(!validator().is_valid(&as_json(&file)), "{way:?}");
        let told = told(&file);
        if properties.len() == 1 && told.iter().any(|line| line.contains("is a table; should be")) {
            continue; // one of a few shapes: all of them are told
        }
        let line = told.iter().find(|line| line.contains(&format!("{STRANGER}: ")));
        let line = line.unwrap_or_else(|| panic!("{way:?}: the reader lets it pass: {told:?}"));
        let (_, known) = line.split_once("known are ").unwrap();
        let mut known: BTreeSet<&str> = known.split(", ").collect();
        // A sink's edge knows them, and refuses them with a reason of their own.
        if way.first() == Some(&Step::Name("sink".to_owned())) && known.contains("event_time") {
            known.remove("event_time");
            known.remove("watermark");
        }
        let in_schema: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(known, in_schema, "{way:?}");
    }
}

#[test]
fn a_default_of_the_schema_is_what_the_reader_takes_for_nothing() {
    let mut checked = 0;
    for Place { way, properties, .. } in places().0 {
        for (name, property) in properties {
            let Some(default) = property.get("default") else { continue };
            let mut without = MAXIMAL.parse::<Table>().unwrap();
            // Of several defaults those beside it must not matter.
            find(&mut without, &way).remove(&name);
            let mut with = without.clone();
            let value = Value::try_from(default).unwrap();
            find(&mut with, &way).insert(name.clone(), value);
            let (without, with) = (told_or_read(&without), told_or_read(&with));
            assert_eq!(without, with, "{way:?} {name}");
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} defaults");
}

/// The pipeline; where another field makes it a mistake, that mistake.
fn told_or_read(table: &Table) -> Result<Pipeline, Vec<String>> {
    read(table).map_err(|_| told(table))
}

#[test]
fn bounds_and_words_of_the_schema_are_those_of_the_reader() {
    let mut bounds = 0;
    let mut words = 0;
    for Place { way, properties, .. } in places().0 {
        for (name, property) in properties {
            let refuses = |value: Value| {
                let should = if value.is_integer() { "a whole number" } else { "" };
                let found = crate::fields::describe(&value);
                let at = format!(": is {found}; should be {should}");
                let mut file = MAXIMAL.parse::<Table>().unwrap();
                find(&mut file, &way).insert(name.clone(), value);
                told(&file).iter().any(|line| line.contains(&at))
            };
            if let (Some(low), Some(high)) =
                (property["minimum"].as_i64(), property["maximum"].as_i64())
            {
                bounds += 1;
                let refused: Vec<bool> = [low - 1, low, high, high + 1]
                    .map(|value| refuses(Value::from(value)))
                    .to_vec();
                let what = format!("{way:?} {name}: {low} to {high}");
                assert_eq!(refused, [true, false, false, true], "{what}");
            }
            for words_of in alternatives(&property) {
                let Some(list) = words_of["enum"].as_array() else { continue };
                words += 1;
                for word in list {
                    let word = word.as_str().unwrap();
                    assert!(!refuses(Value::from(word)), "{way:?} {name} = {word}");
                }
                assert!(refuses(Value::from(STRANGER)), "{way:?} {name}");
            }
        }
    }
    assert!(bounds > 60 && words > 15, "only {bounds} bounds and {words} lists of words");
}

#[test]
fn what_must_be_there_must_be_there_for_both() {
    let mut checked = 0;
    let validator = validator();
    for Place { way, properties, required } in places().0 {
        for name in properties.keys() {
            let mut file = MAXIMAL.parse::<Table>().unwrap();
            if find(&mut file, &way).remove(name).is_none() {
                continue;
            }
            let told = told(&file);
            let valid = validator.is_valid(&as_json(&file));
            let is_missing = told.iter().any(|line| line.contains(&format!("{name}: is missing")));
            assert!(!is_missing || !valid, "the schema lets pass: {way:?} {name}");
            if required.contains(name) {
                checked += 1;
                assert!(!told.is_empty() && !valid, "{way:?} {name}: {told:?}");
            }
        }
    }
    assert!(checked > 30, "only {checked} fields that are needed");
}

#[test]
fn the_pipelines_of_the_project_name_the_schema_and_are_valid_by_it() {
    for entry in std::fs::read_dir(repository().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("#:schema ../docs/pipeline.schema.json\n"), "{}", path.display());
        let table = text.parse::<Table>().unwrap();
        let errors: Vec<String> =
            validator().iter_errors(&as_json(&table)).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn reader_and_schema_refuse_the_same_mistakes() {
    assert!(validator().is_valid(&as_json(&GOOD.parse::<Table>().unwrap())));
    for (from, to) in [
        ("pawl = 1", "pawl = 2"),
        ("pawl = 1", "pawl = \"1\""),
        ("pawl = 1", ""),
        ("name = \"p\"", "name = \"P\""),
        ("name = \"p\"", "name = \"-p\""),
        ("name = \"p\"", "name = \"\""),
        ("input = \"in\"", "input = 1"),
        ("input = \"in\"", "inputs = \"in\""),
        ("plugin = \"x\"", ""),
        ("plugin = \"x\"", "plugin = \"x\"\nlimits = { memory_bytes_max = \"1 GiB\" }"),
        ("plugin = \"x\"", "plugin = \"x\"\nlimits = { fuel = 1 }"),
        ("plugin = \"x\"", "plugin = \"x\"\nconfig = 1"),
        ("partitions = 2, key", "partitions = 0, key"),
        ("partitions = 2, key", "partitions = 2.5, key"),
        ("field = \"/k\"", "field = \"k\""),
        ("field = \"/k\"", "field = \"/k~2\""),
        ("field = \"/k\"", "field = \"/k\", header = \"k\""),
        ("key = { field = \"/k\" }", "key = \"/k\""),
        ("topics.out = {}", "topics.out = 1"),
        ("topics.out = {}", "topics.out = {}\ntopics.\"a b\" = {}"),
        ("topics.out = {}", "topics.out = {}\ntransport = \"kafka\""),
        ("topics.out = {}", "topics.out = {}\nplugins = \"plugins\""),
        ("topics.out = {}", "topics.out = {}\n[dead_letters]\nat_max = \"drop\""),
        ("event_time = \"timestamp\"", "event_time = \"log\""),
        ("event_time = \"timestamp\"", "event_time = { field = \"/t\", unit = \"s\" }"),
        ("disorder_ms = 5", "disorder_ms = -1"),
        ("disorder_ms = 5", "step_ms = 5"),
        ("output = \"out\"", "output = \"out\"\nlate = \"keep\""),
        ("output = \"out\"", "output = \"out\"\nlate = { topic = 1 }"),
        ("output = \"out\"", "output = \"out\"\nbreaker = { failed_share_max = 0 }"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        let table = text.parse::<Table>().unwrap_or_else(|error| panic!("{to}: {error}"));
        assert!(!told(&table).is_empty(), "the reader lets pass: {to}");
        assert!(!validator().is_valid(&as_json(&table)), "the schema lets pass: {to}");
    }
    let mut both = MAXIMAL.parse::<Table>().unwrap();
    let sink = both["sink"][0].as_table_mut().unwrap();
    sink.insert("file".to_owned(), Value::try_from(json!({ "folder": "x" })).unwrap());
    assert!(!told(&both).is_empty() && !validator().is_valid(&as_json(&both)));
}
