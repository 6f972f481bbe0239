//! Idempotency keys: which were heard, with which body, and what was answered. The last `keys_max`
//! are remembered, over restarts too; a key is entered before its request is committed and counts
//! only afterwards.
//!
//! Stored as a row: key, the key's hash in hex; value, JSON `{"version":1,"body":HEX,"records":N}`.
//! Hashes are the first 128 bits of SHA-256: keys come from strangers.

use crate::error::Error;
use crate::state::State;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};

/// Bytes of a key.
const KEY_BYTES_MAX: usize = 255;

/// The version of stored rows.
const VERSION: u32 = 1;

/// Rows kept beyond those that count, so that trimming is rare.
const STALE_ROWS_MAX: u64 = 1000;

/// A hash.
pub(crate) type Hash = [u8; 16];

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    UnderWay(Hash),
    Done(Hash, u64),
}

/// What a request's key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not heard yet; it is under way now.
    New,
    /// The same request is under way.
    UnderWay,
    /// The same request was taken: so many records.
    Taken(u64),
    /// The key came with another body.
    Differs,
}

/// The keys heard last.
pub(crate) struct Keys {
    keys_max: u64,
    held: HashMap<Hash, Held>,
    /// Those done, oldest first.
    order: VecDeque<Hash>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    version: u32,
    body: String,
    records: u64,
}

impl Keys {
    /// As they were left.
    pub fn read(state: &State, keys_max: u64) -> Result<Self, Error> {
        let mut keys = Self { keys_max, held: HashMap::new(), order: VecDeque::new() };
        state.for_each(|key, value| {
            let key = unhex(key);
            let row = value.and_then(|value| serde_json::from_slice::<Row>(value).ok());
            let row = row.filter(|row| row.version == VERSION);
            let body = row.as_ref().and_then(|row| unhex(row.body.as_bytes()));
            let (Some(key), Some(row), Some(body)) = (key, row, body) else {
                let what = "a remembered idempotency key cannot be read: another version of pawl \
                            wrote it, or it is damaged";
                return Err(Error::fatal("source-state", what));
            };
            keys.done(key, body, row.records);
            Ok(())
        })?;
        Ok(keys)
    }

    /// A request with a key has come.
    pub fn enter(&mut self, key: Hash, body: Hash) -> Verdict {
        match self.held.get(&key) {
            None => {
                self.held.insert(key, Held::UnderWay(body));
                Verdict::New
            }
            Some(Held::UnderWay(held)) if *held == body => Verdict::UnderWay,
            Some(Held::Done(held, records)) if *held == body => Verdict::Taken(*records),
            Some(_) => Verdict::Differs,
        }
    }

    /// The request was not taken: it may come again.
    pub fn forget(&mut self, key: &Hash) {
        if let Some(Held::UnderWay(_)) = self.held.get(key) {
            self.held.remove(key);
        }
    }

    /// The request is durable, and so is this.
    pub fn done(&mut self, key: Hash, body: Hash, records: u64) {
        self.held.insert(key, Held::Done(body, records));
        self.order.push_back(key);
        while self.order.len() as u64 > self.keys_max {
            if let Some(oldest) = self.order.pop_front() {
                self.held.remove(&oldest);
            }
        }
    }
}

/// The row of a request, for the commit that makes it durable.
pub(crate) fn row(key: &Hash, body: &Hash, records: u64) -> (String, Option<Vec<u8>>) {
    let row = Row { version: VERSION, body: hex(body), records };
    (hex(key), Some(serde_json::to_vec(&row).expect("numbers and texts are JSON")))
}

/// Trims rows of keys that do not count any more.
pub(crate) fn trim(state: &mut State, keys_max: u64) -> Result<(), Error> {
    if state.rows() > keys_max.saturating_add(STALE_ROWS_MAX) {
        state.trim(state.end() - keys_max)?;
    }
    Ok(())
}

/// The hash of a key or a body.
pub(crate) fn hash(parts: &[&[u8]]) -> Hash {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    let mut hash = Hash::default();
    hash.copy_from_slice(&digest.finalize()[..16]);
    hash
}

/// The key in a header: a quoted string as in the draft, or the bare text. None: malformed.
pub(crate) fn parse(header: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(header).ok()?.trim_matches([' ', '\t']);
    if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return None;
    }
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None if text.contains(['"', ' ', ',', ';']) => return None,
        None => text.to_owned(),
    };
    (!key.is_empty() && key.len() <= KEY_BYTES_MAX).then_some(key)
}

/// From behind the opening quote on. Parameters behind the closing one mean nothing to us.
fn unquote(quoted: &str) -> Option<String> {
    let mut key = String::new();
    let mut letters = quoted.chars();
    loop {
        match letters.next()? {
            '\\' => match letters.next()? {
                escaped @ ('"' | '\\') => key.push(escaped),
                _ => return None,
            },
            '"' => break,
            letter => key.push(letter),
        }
    }
    let behind = letters.as_str();
    (behind.is_empty() || behind.starts_with(';')).then_some(key)
}

fn hex(hash: &Hash) -> String {
    pawl_core::identity::hex_text(u128::from_be_bytes(*hash))
}

fn unhex(text: &[u8]) -> Option<Hash> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 32)?;
    Some(u128::from_str_radix(text, 16).ok()?.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_quoted_and_bare() {
        for (header, key) in [
            ("\"abc\"", Some("abc")),
            ("abc", Some("abc")),
            (" abc ", Some("abc")),
            (r#""a\"b\\c""#, Some(r#"a"b\c"#)),
            ("\"a b\"", Some("a b")),
            ("\"abc\";v=1", Some("abc")),
            ("", None),
            ("\"\"", None),
            ("\"abc", None),
            ("\"abc\"d", None),
            ("a b", None),
            (r#""a\n""#, None),
            ("ä", None),
        ] {
            assert_eq!(parse(header.as_bytes()).as_deref(), key, "{header}");
        }
        assert_eq!(parse("k".repeat(255).as_bytes()).map(|key| key.len()), Some(255));
        assert_eq!(parse("k".repeat(256).as_bytes()), None);
    }

    #[test]
    fn only_the_last_keys_are_remembered() {
        let mut keys = Keys { keys_max: 2, held: HashMap::new(), order: VecDeque::new() };
        let [a, b, c] = [b"a", b"b", b"c"].map(|key| hash(&[key]));
        for key in [a, b, c] {
            assert_eq!(keys.enter(key, a), Verdict::New);
            assert_eq!(keys.enter(key, a), Verdict::UnderWay);
            assert_eq!(keys.enter(key, b), Verdict::Differs);
            keys.done(key, a, 1);
        }
        assert_eq!(keys.enter(c, a), Verdict::Taken(1));
        assert_eq!(keys.enter(c, b), Verdict::Differs);
        assert_eq!(keys.enter(a, a), Verdict::New);
        keys.forget(&a);
        assert_eq!(keys.enter(a, b), Verdict::New);
        assert_eq!(unhex(hex(&a).as_bytes()), Some(a));
    }
}
