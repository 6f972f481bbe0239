//! Records made worse: without keys, without values, very large, and damaged in many ways.

use crate::random::Random;
use crate::sample::Sample;
use serde_json::{Value, json};

/// Samples of which each kind of change is made.
const SAMPLES_MAX: usize = 40;

/// Bytes of a large value.
const LARGE: usize = 1 << 20;

/// Bytes of a sample that is still damaged: larger ones take too long.
pub(crate) const DAMAGED_BYTES_MAX: usize = 64 << 10;

fn changed(sample: &Sample, how: &str) -> Sample {
    Sample { name: format!("{} {how}", sample.name), ..sample.clone() }
}

/// Bytes of a long value: more than two bytes can count.
const LONG: usize = 70_000;

/// Records that are unusual and may be taken all the same: with null and empty keys and values,
/// without headers, and with a long value.
pub(crate) fn unusual(sample: &Sample) -> Vec<Sample> {
    let one = std::slice::from_ref(sample);
    let mut all = without_keys(one);
    all.extend(without_headers(one));
    all.extend(without_values(one));
    let Some(value) = &sample.value else { return all };
    let mut json = serde_json::from_slice::<Value>(value).ok();
    let long = match json.as_mut().and_then(a_text) {
        Some(text) => {
            *text = json!("x".repeat(LONG));
            json.unwrap_or_default().to_string().into_bytes()
        }
        None => [vec![b' '; LONG], value.clone()].concat(),
    };
    all.push(Sample { value: Some(long), ..changed(sample, "with a long value") });
    all
}

/// With an absent key, and with an empty one.
pub(crate) fn without_keys(samples: &[Sample]) -> Vec<Sample> {
    let mut all = Vec::new();
    for sample in samples.iter().take(SAMPLES_MAX) {
        all.push(Sample { key: None, ..changed(sample, "with a null key") });
        all.push(Sample { key: Some(Vec::new()), ..changed(sample, "with an empty key") });
    }
    all
}

/// Without any header.
pub(crate) fn without_headers(samples: &[Sample]) -> Vec<Sample> {
    let all = samples.iter().take(SAMPLES_MAX);
    all.map(|sample| Sample { headers: Vec::new(), ..changed(sample, "without headers") }).collect()
}

/// With an absent value, and with an empty one.
pub(crate) fn without_values(samples: &[Sample]) -> Vec<Sample> {
    let mut all = Vec::new();
    for sample in samples.iter().take(SAMPLES_MAX) {
        all.push(Sample { value: None, ..changed(sample, "with a null value") });
        all.push(Sample { value: Some(Vec::new()), ..changed(sample, "with an empty value") });
    }
    all
}

/// With values of 1 MB: text, bytes, JSON, and a sample grown to that size.
pub(crate) fn large(samples: &[Sample], seed: u64) -> Vec<Sample> {
    let mut random = Random::new(seed, "large");
    let with = |sample: &Sample, how: &str, value: Vec<u8>| Sample {
        value: Some(value),
        ..changed(sample, how)
    };
    let Some(first) = samples.first() else { return Vec::new() };
    let noise = (0..LARGE).map(|_| random.next() as u8).collect();
    let quoted = format!("\"{}\"", "x".repeat(LARGE));
    let list = format!("[{}0]", "0,".repeat(LARGE / 2));
    let mut all = vec![
        with(first, "with 1 MB of text", vec![b'x'; LARGE]),
        with(first, "with 1 MB of random bytes", noise),
        with(first, "with 1 MB of zeros", vec![0; LARGE]),
        with(first, "with a JSON text of 1 MB", quoted.into_bytes()),
        with(first, "with a JSON list of 1 MB", list.into_bytes()),
    ];
    for sample in samples.iter().take(4) {
        let Some(value) = &sample.value else { continue };
        let mut padded = vec![b' '; LARGE];
        padded.extend_from_slice(value);
        all.push(with(sample, "behind 1 MB of blanks", padded));
        let mut repeated = Vec::with_capacity(LARGE + value.len());
        while repeated.len() < LARGE && !value.is_empty() {
            repeated.extend_from_slice(value);
        }
        all.push(with(sample, "repeated to 1 MB", repeated));
        if let Ok(mut json) = serde_json::from_slice::<Value>(value)
            && let Some(text) = a_text(&mut json)
        {
            *text = json!("x".repeat(LARGE));
            all.push(with(sample, "with a field of 1 MB", json.to_string().into_bytes()));
        }
    }
    all
}

/// The first text in it, to be changed.
fn a_text(value: &mut Value) -> Option<&mut Value> {
    match value {
        Value::String(_) => Some(value),
        Value::Array(items) => items.iter_mut().find_map(a_text),
        Value::Object(fields) => fields.values_mut().find_map(a_text),
        _ => None,
    }
}

/// So many samples with one to three damages each. Values stay neither absent nor empty, and keys
/// are there: those are looked at on their own.
pub(crate) fn damaged(samples: &[Sample], seed: u64, count: usize) -> Vec<Sample> {
    let keyless = samples.iter().all(|sample| sample.key.is_none());
    let usable: Vec<&Sample> = samples
        .iter()
        .filter(|sample| {
            let bytes = sample.value.as_ref().map_or(0, Vec::len);
            (sample.key.is_some() || keyless) && bytes > 0 && bytes <= DAMAGED_BYTES_MAX
        })
        .collect();
    let mut random = Random::new(seed, "damage");
    let mut all = Vec::with_capacity(count);
    for (how, value) in deep() {
        all.extend(
            usable.first().map(|sample| Sample { value: Some(value), ..changed(sample, how) }),
        );
    }
    for number in 0..count {
        let Some(sample) = random.one_of(&usable) else { break };
        let mut value = sample.value.clone().unwrap_or_default();
        for _ in 0..=random.below(3) {
            let json = match random.below(2) {
                0 => serde_json::from_slice::<Value>(&value).ok(),
                _ => None,
            };
            match json {
                Some(json) => value = damage_json(json, &mut random),
                None => damage_bytes(&mut value, &mut random),
            }
        }
        if !value.is_empty() {
            all.push(Sample {
                value: Some(value),
                ..changed(sample, &format!("damaged ({number})"))
            });
        }
    }
    all
}

/// Nested as no honest record is, and texts that are cut within a character.
fn deep() -> Vec<(&'static str, Vec<u8>)> {
    let objects = format!("{}1{}", "{\"a\":".repeat(300), "}".repeat(300));
    vec![
        ("as 300 lists in each other", [vec![b'['; 300], vec![b']'; 300]].concat()),
        ("as 300 lists that do not end", vec![b'['; 300]),
        ("as 300 objects in each other", objects.into_bytes()),
        ("as half a character", vec![0xe2, 0x82]),
        ("as a text with half a character", b"{\"a\":\"\xf0\x9f\"}".to_vec()),
    ]
}

fn damage_bytes(value: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(value.len());
    match random.below(7) {
        0 => value.truncate(at.max(1)),
        1 => drop(value.drain(..at)),
        2 => {
            if let Some(byte) = value.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        3 => {
            if let Some(byte) = value.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        4 => value.insert(at, random.next() as u8),
        5 => {
            let end = (at + 1 + random.below(16)).min(value.len());
            let piece = value.get(at..end).unwrap_or_default().to_vec();
            value.extend(piece);
        }
        _ => {
            let end = (at + 1 + random.below(16)).min(value.len());
            drop(value.drain(at..end));
        }
    }
}

/// Replaces, removes or adds something somewhere in a JSON value.
fn damage_json(mut json: Value, random: &mut Random) -> Vec<u8> {
    let pointer = somewhere(&json, random);
    let Some(place) = json.pointer_mut(&pointer) else { return Vec::new() };
    match place {
        Value::Object(fields) if random.below(3) > 0 && !fields.is_empty() => {
            let name = fields.keys().nth(random.below(fields.len())).cloned().unwrap_or_default();
            let old = fields.remove(&name);
            match random.below(3) {
                0 => {}
                1 => drop(fields.insert(format!("{name}x"), old.unwrap_or_default())),
                _ => drop(fields.insert(name, odd(random))),
            }
        }
        Value::Array(items) if random.below(2) == 0 => items.push(odd(random)),
        other => *other = odd(random),
    }
    json.to_string().into_bytes()
}

/// A path into the value, of at most three steps.
fn somewhere(json: &Value, random: &mut Random) -> String {
    let (mut path, mut place) = (String::new(), json);
    for _ in 0..random.below(4) {
        let (step, next) = match place {
            Value::Array(items) => {
                let at = random.below(items.len());
                (at.to_string(), items.get(at))
            }
            Value::Object(fields) => {
                let field = fields.iter().nth(random.below(fields.len()));
                let name = field.map_or_else(String::new, |(name, _)| {
                    name.replace('~', "~0").replace('/', "~1")
                });
                (name, field.map(|(_, value)| value))
            }
            _ => break,
        };
        let Some(next) = next else { break };
        path.extend(["/", &step]);
        place = next;
    }
    path
}

fn odd(random: &mut Random) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e300),
        json!(-1e-300),
        json!(0.5),
        json!(""),
        json!("x"),
        json!("-1"),
        json!("NaN"),
        json!("1e999"),
        json!("ä€𝄞\u{0}"),
        json!("2024-02-30T25:61:61Z"),
        json!("x".repeat(300)),
        json!([]),
        json!({}),
        json!([[[[[[[[]]]]]]]]),
        json!([1, "a", null]),
        json!({"a": {"b": {}}}),
    ];
    random.one_of(&values).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_follows_from_the_seed_and_leaves_key_and_value_there() {
        let samples = crate::sample::built_in();
        let one = damaged(&samples, 5, 500);
        assert_eq!(one, damaged(&samples, 5, 500));
        assert_ne!(one, damaged(&samples, 6, 500));
        assert!(one.len() > 450);
        for sample in &one {
            assert!(sample.value.as_ref().is_some_and(|value| !value.is_empty()));
            assert!(sample.key.is_some());
            assert!(sample.value.as_ref().is_some_and(|value| value.len() < 100_000));
        }
        let texts: std::collections::BTreeSet<_> = one.iter().map(|sample| &sample.value).collect();
        assert!(texts.len() > 350, "only {} different", texts.len());
    }

    #[test]
    fn large_values_are_large_and_some_are_json() {
        let all = large(&crate::sample::built_in(), 1);
        assert!(all.iter().all(|sample| sample.value.as_ref().is_some_and(|v| v.len() >= LARGE)));
        let json = all.iter().filter(|sample| {
            let value = sample.value.clone().unwrap_or_default();
            serde_json::from_slice::<Value>(&value).is_ok()
        });
        assert!(json.count() >= 5);
    }
}
