//! Records to show to a plugin: the user's, or a varied set of our own, which most plugins refuse.

use pawl_core::record::Timestamp;

/// One record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Where it is from, for a person: `line 7`.
    pub name: String,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value.
    pub value: Option<Vec<u8>>,
    /// Milliseconds since the Unix epoch, if known.
    pub event_time: Option<Timestamp>,
    /// Headers by name.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Values of many kinds; a plugin that takes any of them is checked better than one that takes
/// none.
const VALUES: [&str; 16] = [
    r#"{"id":"a-1","key":"a","value":1.5,"count":3,"name":"first","timestamp":1700000000000}"#,
    r#"{"id":"b-2","key":"b","value":-2,"count":0,"name":"zweite ß","timestamp":1700000001000}"#,
    r#"{"id":"a-3","key":"a","value":1e3,"count":7,"name":"","timestamp":1700000002000}"#,
    r#"{"sensor":3,"value":20.25,"unit":"C","ts":1700000003000,"ok":true}"#,
    r#"{"sensor":4,"value":0,"unit":"C","ts":1700000004000,"ok":false}"#,
    r#"{"user":"u1","amount":12,"currency":"EUR","type":"order","event_time":1700000005000}"#,
    r#"{"user":"u2","amount":99.99,"currency":"USD","type":"refund","event_time":1700000006000}"#,
    r#"{"text":"the quick brown fox","level":"info","message":"started","tags":["x","y"]}"#,
    r#"{"text":"jumps over","level":"error","message":"failed: 404","tags":[]}"#,
    r#"{"nested":{"a":{"b":[1,2,{"c":null}]}},"list":[3,2,1],"x":1,"y":2,"z":3}"#,
    "[1,2,3]",
    "42",
    "\"a text\"",
    "plain words, not JSON",
    "a,1,2.5,true",
    "key=value other=7",
];

/// The set of our own: texts, numbers, objects and bytes that are no text, under a few keys.
pub(crate) fn built_in() -> Vec<Sample> {
    let texts = VALUES.iter().map(|text| text.as_bytes().to_vec());
    let binary = [vec![0, 1, 2, 0xff, 0xfe, b'"', 0x80], vec![0; 64], vec![0xff; 5]];
    let values = texts.chain(binary);
    values
        .enumerate()
        .map(|(at, value)| Sample {
            name: format!("built-in record {}", at + 1),
            key: Some(key(at)),
            value: Some(value),
            event_time: None,
            headers: Vec::new(),
        })
        .collect()
}

/// A key for a record that has none of its own: one of five, so that some meet.
fn key(at: usize) -> Vec<u8> {
    format!("key-{}", at % 5).into_bytes()
}

/// Whether a key is one of those.
pub(crate) fn is_made_key(of: &[u8]) -> bool {
    (0..5).any(|at| key(at) == of)
}

impl Sample {
    /// A value on its own, as line `line` of a file: with one of a few keys, and no time.
    pub fn of_value(line: usize, value: Vec<u8>) -> Self {
        Self {
            name: format!("line {line}"),
            key: Some(key(line)),
            value: Some(value),
            event_time: None,
            headers: Vec::new(),
        }
    }
}
