//! Reads one or two fields out of JSON without building the rest: most records come from outside,
//! and their ids and event times are fields.
//!
//! It must find exactly what a search in the whole parsed value finds, and nothing in what such a
//! parse refuses: both are part of the host's `SEMANTICS`. So what is not wanted still goes through
//! the same parser, number by number and string by string, and is only not kept.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// What stands at each of two pointers; of a field that comes twice, the last.
pub(crate) type Picked = [Option<Value>; 2];

/// The values at two JSON pointers. All absent if the bytes are no JSON.
pub(crate) fn pick(bytes: &[u8], pointers: [&str; 2]) -> Picked {
    let names = pointers.map(name_of);
    if let [Some(first), Some(second)] = names {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let read = Fields([first, second]).deserialize(&mut json);
        match (read, json.end()) {
            (Ok(Some(picked)), Ok(())) => return picked,
            (Err(_), _) | (_, Err(_)) => return [None, None],
            // No object: a name may be an index.
            (Ok(None), Ok(())) => {}
        }
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(json) => pointers.map(|pointer| json.pointer(pointer).cloned()),
        Err(_) => [None, None],
    }
}

/// The name, if the pointer is that of a field of the outermost object, without escapes.
fn name_of(pointer: &str) -> Option<&str> {
    pointer.strip_prefix('/').filter(|name| !name.contains(['/', '~']))
}

/// Keeps the fields with these names; none if the value is no object.
#[derive(Clone, Copy)]
struct Fields<'n>([&'n str; 2]);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Option<Picked>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

/// Which of the names a key is: neither, one, or both.
impl<'de> DeserializeSeed<'de> for &Fields<'_> {
    type Value = [bool; 2];

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<[bool; 2], D::Error> {
        from.deserialize_str(Key(self.0))
    }
}

struct Key<'n>([&'n str; 2]);

impl Visitor<'_> for Key<'_> {
    type Value = [bool; 2];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, key: &str) -> Result<[bool; 2], E> {
        Ok(self.0.map(|name| name == key))
    }
}

/// Reads anything and keeps nothing.
struct Nothing;

impl<'de> DeserializeSeed<'de> for Nothing {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

/// What both kinds of values do with all that is no object.
macro_rules! plain_values {
    ($nothing:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any JSON")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element_seed(Nothing)?.is_some() {}
            Ok($nothing)
        }
    };
}

impl<'de> Visitor<'de> for Nothing {
    type Value = ();

    plain_values!(());

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while object.next_key_seed(Nothing)?.is_some() {
            object.next_value_seed(Nothing)?;
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Option<Picked>;

    plain_values!(None);

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut picked = [None, None];
        while let Some(wanted) = object.next_key_seed(&self)? {
            if wanted == [false, false] {
                object.next_value_seed(Nothing)?;
                continue;
            }
            let value: Value = object.next_value()?;
            for (picked, _) in picked.iter_mut().zip(wanted).filter(|(_, wanted)| *wanted) {
                *picked = Some(value.clone());
            }
        }
        Ok(Some(picked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8], pointers: [&str; 2]) -> Picked {
        match serde_json::from_slice::<Value>(bytes) {
            Ok(json) => pointers.map(|pointer| json.pointer(pointer).cloned()),
            Err(_) => [None, None],
        }
    }

    const TEXTS: [&str; 14] = [
        r#"{"id":"a","t":5,"x":[1,{"id":"no"}],"y":{"t":7}}"#,
        r#"{"id":"a","id":"b","t":1.5e3,"t":null}"#,
        r#"{"\u0069d":"escaped","t":"\ud83d\ude00"}"#,
        r#"{"id":"a","t":5,"x":1e999}"#,
        r#"{"id":"a","t":5,"x":"\ud800"}"#,
        r#"{"id":"a","t":5,"x":"\q"}"#,
        r#"{"id":"a","t":5} x"#,
        r#"{"id":"a","t":5,}"#,
        r#"{"id":{"t":[true,false,null]},"t":-0.0}"#,
        r#"["0","1",{"id":3}]"#,
        r#" {} "#,
        r#""id""#,
        "",
        "{\"id\":\"a\u{7f}\",\"t\":18446744073709551616}",
    ];

    const POINTERS: [[&str; 2]; 7] = [
        ["/id", "/t"],
        ["/t", "/id"],
        ["/id", "/id"],
        ["/x/1/id", "/t"],
        ["/0", "/1"],
        ["", "/"],
        ["/a~1b", "id"],
    ];

    #[test]
    fn it_finds_what_a_search_in_the_whole_value_finds() {
        for text in TEXTS {
            for pointers in POINTERS {
                let picked = pick(text.as_bytes(), pointers);
                assert_eq!(picked, whole(text.as_bytes(), pointers), "{text} {pointers:?}");
            }
        }
    }

    #[test]
    fn it_refuses_what_a_parse_of_the_whole_value_refuses() {
        let mut random = 7u64;
        let mut refused = 0;
        for round in 0..20_000 {
            let mut bytes = TEXTS[round % TEXTS.len()].as_bytes().to_vec();
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            if !bytes.is_empty() {
                let at = (random >> 33) as usize % bytes.len();
                match random >> 62 {
                    0 => bytes.truncate(at),
                    1 => bytes[at] = (random >> 20) as u8,
                    2 => bytes.insert(at, b"{}[]\",:0-\\eu"[(random >> 20) as usize % 12]),
                    _ => drop(bytes.remove(at)),
                }
            }
            let found = whole(&bytes, POINTERS[0]);
            refused += usize::from(serde_json::from_slice::<Value>(&bytes).is_err());
            assert_eq!(pick(&bytes, POINTERS[0]), found, "{}", bytes.escape_ascii());
        }
        assert!(refused > 5_000, "{refused}");
        for depth in [100, 126, 127, 128, 129, 1000, 100_000] {
            let deep = ["{\"id\":1,\"t\":2,\"x\":", &"[".repeat(depth), &"]".repeat(depth), "}"];
            let deep = deep.concat();
            assert_eq!(pick(deep.as_bytes(), POINTERS[0]), whole(deep.as_bytes(), POINTERS[0]));
        }
    }
}
