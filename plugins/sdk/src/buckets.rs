//! Keyed state: a map from keys to values, cut by hash into buckets that are stored on their own.
//!
//! Entries of a bucket are sorted by key, so equal states are equal bytes. A chunk is laid out as
//! ```text
//! u32  count   of entries, little-endian
//! ...  for each entry, in ascending order: the key, the value, as postcard
//! ```

use crate::hash;
use crate::state::{CHUNK_BYTES, State, end, read, write};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::ops::Bound;

/// How many buckets there are unless said otherwise.
pub const BUCKETS: u32 = 64;

/// What can be a key of the state.
pub trait Key: Ord + Hash + Clone + Serialize + DeserializeOwned {}
impl<K: Ord + Hash + Clone + Serialize + DeserializeOwned> Key for K {}

/// What can be a value of the state.
pub trait Value: Serialize + DeserializeOwned {}
impl<V: Serialize + DeserializeOwned> Value for V {}

/// A map from keys to values that knows which of its buckets changed.
#[derive(Clone, Debug)]
pub struct Buckets<K, V> {
    buckets: Vec<Bucket<K, V>>,
}

#[derive(Clone, Debug)]
struct Bucket<K, V> {
    entries: BTreeMap<K, V>,
    changed: bool,
    /// First keys of the chunks behind the first one, as last written or read.
    starts: Vec<K>,
}

impl<K, V> Bucket<K, V> {
    fn new() -> Self {
        Self { entries: BTreeMap::new(), changed: false, starts: Vec::new() }
    }
}

impl<K: Key, V: Value> Default for Buckets<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Key, V: Value> Buckets<K, V> {
    /// An empty map of [`BUCKETS`] buckets.
    pub fn new() -> Self {
        Self::with_buckets(BUCKETS)
    }

    /// An empty map of so many buckets (at least one). More buckets make smaller snapshots where
    /// few keys change; a state is also read by an operator with another number of buckets.
    pub fn with_buckets(buckets: u32) -> Self {
        Self { buckets: (0..buckets.max(1)).map(|_| Bucket::new()).collect() }
    }

    /// The value of `key`.
    pub fn get<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.buckets[self.place(key)].entries.get(key)
    }

    /// The value of `key`, to be changed.
    pub fn get_mut<Q: Ord + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key);
        let Bucket { entries, changed, .. } = &mut self.buckets[place];
        let value = entries.get_mut(key)?;
        *changed = true;
        Some(value)
    }

    /// The value of `key`, to be changed; made by `make` if there is none. A borrowed key is
    /// copied only then.
    pub fn get_or<Q>(&mut self, key: &Q, make: impl FnOnce() -> V) -> &mut V
    where
        K: Borrow<Q>,
        Q: Ord + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let place = self.place(key);
        let Bucket { entries, changed, .. } = &mut self.buckets[place];
        *changed = true;
        if !entries.contains_key(key) {
            entries.insert(key.to_owned(), make());
        }
        entries.get_mut(key).expect("it is there, or was just inserted")
    }

    /// Sets the value of `key` and returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = self.place(&key);
        let bucket = &mut self.buckets[place];
        bucket.changed = true;
        bucket.entries.insert(key, value)
    }

    /// Removes `key` and returns its value.
    pub fn remove<Q: Ord + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key);
        let bucket = &mut self.buckets[place];
        let value = bucket.entries.remove(key)?;
        bucket.changed = true;
        Some(value)
    }

    /// Keeps only entries for which `keep` says so; it may not change values.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        for bucket in &mut self.buckets {
            let before = bucket.entries.len();
            bucket.entries.retain(|key, value| keep(key, value));
            bucket.changed |= bucket.entries.len() != before;
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.entries.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.entries.is_empty())
    }

    /// All entries, bucket by bucket and by key within: an order that depends on nothing but the
    /// keys and the number of buckets.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.buckets.iter().flat_map(|bucket| bucket.entries.iter())
    }

    fn place<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        hash::bucket(key, self.buckets.len())
    }

    /// Reads a chunk, and shows each entry before it is taken up.
    pub(crate) fn decode_each(
        &mut self,
        slot: u32,
        mut data: &[u8],
        mut each: impl FnMut(&K, &V) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut before: Option<K> = None;
        for _ in 0..count(&mut data)? {
            let (key, value): (K, V) = read(&mut data)?;
            if before.as_ref().is_some_and(|before| *before >= key) {
                return Err("the state has keys out of order".to_owned());
            }
            each(&key, &value)?;
            let place = self.place(&key);
            if place != slot as usize {
                // Written with another number of buckets: both will be written anew.
                self.buckets[place].changed = true;
                self.buckets.get_mut(slot as usize).into_iter().for_each(|b| b.changed = true);
            }
            let bucket = &mut self.buckets[place];
            if before.is_none() && !bucket.changed && !bucket.entries.is_empty() {
                if bucket.entries.last_key_value().is_some_and(|(last, _)| *last >= key) {
                    return Err("the state has chunks out of order".to_owned());
                }
                bucket.starts.push(key.clone());
            }
            if bucket.entries.insert(key.clone(), value).is_some() {
                return Err("the state has a key twice".to_owned());
            }
            before = Some(key);
        }
        end(data)
    }
}

/// Reads the number of entries at the front of a chunk.
pub(crate) fn count(data: &mut &[u8]) -> Result<u32, String> {
    let Some((head, rest)) = data.split_first_chunk::<4>() else {
        return Err("the part of the state is cut short".to_owned());
    };
    *data = rest;
    Ok(u32::from_le_bytes(*head))
}

impl<K: Key, V: Value> State for Buckets<K, V> {
    fn slots(&self) -> u32 {
        self.buckets.len() as u32
    }

    fn chunks(&self, slot: u32) -> u32 {
        self.buckets.get(slot as usize).map_or(1, |bucket| bucket.starts.len() as u32 + 1)
    }

    fn changed(&self, slot: u32) -> bool {
        self.buckets.get(slot as usize).is_none_or(|bucket| bucket.changed)
    }

    fn encode(&mut self, slot: u32, chunk: u32, out: &mut Vec<u8>) -> bool {
        let head = out.len();
        out.extend_from_slice(&[0; 4]);
        let Some(bucket) = self.buckets.get_mut(slot as usize) else { return false };
        let from = match chunk.checked_sub(1) {
            None => Bound::Unbounded,
            Some(start) => match bucket.starts.get(start as usize) {
                Some(key) => Bound::Included(key.clone()),
                None => return false,
            },
        };
        bucket.starts.truncate(chunk as usize);
        let mut count = 0u32;
        let mut entries = bucket.entries.range((from, Bound::Unbounded));
        for entry in entries.by_ref() {
            write(&entry, out);
            count += 1;
            if out.len() - head >= CHUNK_BYTES {
                break;
            }
        }
        bucket.starts.extend(entries.next().map(|(key, _)| key.clone()));
        out[head..head + 4].copy_from_slice(&count.to_le_bytes());
        bucket.starts.len() > chunk as usize
    }

    fn decode(&mut self, slot: u32, data: &[u8]) -> Result<(), String> {
        self.decode_each(slot, data, |_, _| Ok(()))
    }

    fn settle(&mut self) {
        self.buckets.iter_mut().for_each(|bucket| bucket.changed = false);
    }
}
