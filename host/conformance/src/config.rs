//! Configurations near the one that was given: no JSON at all, and each field replaced.

use serde_json::{Value, json};

/// Fields that are varied at most; a large configuration is varied in the first of them.
const FIELDS_MAX: usize = 16;

/// The paths of all leaves: what is neither a table nor a list with something in it.
pub(crate) fn leaves(config: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    walk(config, String::new(), &mut paths);
    paths.truncate(FIELDS_MAX);
    paths
}

fn walk(value: &Value, path: String, paths: &mut Vec<String>) {
    if paths.len() >= FIELDS_MAX {
        return;
    }
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                walk(field, format!("{path}/{name}"), paths);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                walk(item, format!("{path}/{at}"), paths);
            }
        }
        _ if path.is_empty() => {}
        _ => paths.push(path),
    }
}

/// The configuration with the leaf at `path` replaced.
pub(crate) fn replaced(config: &Value, path: &str, with: Value) -> String {
    let mut config = config.clone();
    if let Some(leaf) = config.pointer_mut(path) {
        *leaf = with;
    }
    config.to_string()
}

/// The configuration without the field at `path`; none if it stands in a list.
pub(crate) fn without(config: &Value, path: &str) -> Option<String> {
    let (parent, name) = path.rsplit_once('/')?;
    let name = name.replace("~1", "/").replace("~0", "~");
    let mut config = config.clone();
    config.pointer_mut(parent)?.as_object_mut()?.remove(&name)?;
    Some(config.to_string())
}

/// Values of a type that the leaf can hardly have, always two, so that one that is taken as it is
/// can be told from one that is swallowed.
pub(crate) fn wrong_types(leaf: &Value) -> Vec<[Value; 2]> {
    let mut pairs = vec![[json!({"unexpected": {"a": 1}}), json!([{"unexpected": []}, "b"])]];
    if matches!(leaf, Value::Number(_) | Value::Bool(_)) {
        pairs.push([json!("unexpected"), json!("of another kind")]);
    }
    pairs
}

/// Other values of the leaf's own type: by them it shows whether it is read at all.
pub(crate) fn alternatives(leaf: &Value) -> Vec<Value> {
    match leaf {
        Value::Bool(value) => vec![json!(!value)],
        Value::Number(number) => {
            let value = number.as_f64().unwrap_or(0.0);
            let others = [2.0 * value + 1.0, (value / 2.0).floor(), 0.0, -1.0, 1e6];
            let whole = number.is_i64() || number.is_u64();
            let others = others.into_iter().filter(|other| *other != value);
            others.map(|other| if whole { json!(other as i64) } else { json!(other) }).collect()
        }
        Value::String(text) => vec![json!(format!("{text}-other")), json!("")],
        Value::Null | Value::Array(_) | Value::Object(_) => Vec::new(),
    }
}

/// Values at which careless arithmetic ends.
pub(crate) fn odd_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(0.1),
        json!(""),
        json!("x"),
        json!("ä\u{0}\u{10ffff}"),
        json!("9".repeat(400)),
        json!("x".repeat(100_000)),
        json!([]),
        json!({}),
        json!([null]),
    ]
}

/// Texts that are not JSON.
pub(crate) fn not_json(config: &str) -> Vec<String> {
    let cut = config.trim_end().strip_suffix(['}', ']']).map(str::to_owned);
    let mut texts = vec![
        "this is not JSON".to_owned(),
        "{\"a\":".to_owned(),
        "{".to_owned(),
        "window_ms = 1000".to_owned(),
    ];
    texts.extend(cut);
    texts
}

/// JSON that is no table, which a pipeline file cannot give.
pub(crate) fn no_tables() -> [&'static str; 5] {
    ["null", "[]", "42", "\"x\"", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"]
}

/// Texts that nobody means.
pub(crate) fn odd_texts() -> Vec<String> {
    let plain = ["", " ", "{}", "{} {}", "\u{feff}{}", "{\"\":null}"];
    let mut texts: Vec<String> = plain.iter().map(|text| (*text).to_owned()).collect();
    texts.push(format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100)));
    texts.push(format!("{{\"{}\":1}}", "x".repeat(100_000)));
    texts.push(json!({"pawl-conformance-unknown": {"a": [1, 2]}}).to_string());
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_found_replaced_and_left_out() {
        let config = json!({"a": {"b/c": 1}, "d": [true, "x"], "e": {}});
        assert_eq!(leaves(&config), ["/a/b~1c", "/d/0", "/d/1", "/e"]);
        assert_eq!(
            replaced(&config, "/d/1", json!(7)),
            json!({"a": {"b/c": 1}, "d": [true, 7], "e": {}}).to_string()
        );
        let less = json!({"a": {}, "d": [true, "x"], "e": {}}).to_string();
        assert_eq!(without(&config, "/a/b~1c"), Some(less));
        assert_eq!(without(&config, "/d/0"), None);
        assert!(leaves(&json!({})).is_empty());
    }

    #[test]
    fn alternatives_differ_from_what_they_replace() {
        for leaf in [json!(0), json!(5), json!(-1.5), json!("x"), json!(false)] {
            let others = alternatives(&leaf);
            assert!(!others.is_empty() && others.iter().all(|other| *other != leaf), "{leaf}");
        }
    }
}
