//! The hash that spreads keys over buckets: the same on every machine and in every run.
//!
//! It decides only where an entry lies, never what an operator computes; a state whose entries lie
//! elsewhere is still read. It is not meant to withstand keys chosen to collide.

use std::hash::{Hash, Hasher};

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The bucket, of `buckets`, in which `key` lies.
pub(crate) fn bucket<K: Hash + ?Sized>(key: &K, buckets: usize) -> usize {
    let mut hasher = Stable(0);
    key.hash(&mut hasher);
    (((hasher.finish() >> 32) * buckets as u64) >> 32) as usize
}

struct Stable(u64);

impl Stable {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for Stable {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(FACTOR);
        mixed ^ (mixed >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            self.mix(chunk.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte)));
        }
    }

    // Integers are hashed by value: their bytes in memory, and the width of usize, differ between
    // machines.
    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.mix(value as i64 as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_spread_evenly_over_the_buckets() {
        let mut counts = [0; 64];
        (0..6400u64).for_each(|key| counts[bucket(&key, 64)] += 1);
        (0..6400u64).for_each(|key| counts[bucket(key.to_string().as_str(), 64)] += 1);
        assert!(counts.iter().all(|count| (100..300).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_key_lies_in_the_same_bucket_in_every_version() {
        let places = [bucket("4711", 64), bucket(&4711u32, 64), bucket(&(7i64, true), 64)];
        assert_eq!(places, [17, 44, 10]);
    }
}
