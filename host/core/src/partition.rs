//! To which partition a record goes: by key as Kafka does it, else by its id; never at random.

use crate::identity::Id;

/// The partition of a record among `partitions`.
pub fn of(key: Option<&[u8]>, id: Id, partitions: u32) -> u32 {
    let partitions = partitions.max(1);
    match key {
        // Kafka's default partitioner: the sign bit is cleared, not negated.
        Some(key) => (murmur2(key) & 0x7fff_ffff) % partitions,
        None => (id % u128::from(partitions)) as u32,
    }
}

/// Murmur2 with Kafka's seed, 32 bits, for keys (Appleby, 2008; as in Kafka's `Utils.murmur2`).
pub fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ (bytes.len() as u32);
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let mut word = chunk.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        word = word.wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_kafka_hashes_them() {
        // Known answers of Kafka's own unit test of murmur2.
        let known: [(&str, i32); 5] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn records_without_key_spread_by_id() {
        assert_eq!(of(None, 7, 4), 3);
        assert_eq!(of(Some(b"21"), 7, 1), 0);
        assert_eq!(of(None, 7, 0), 0);
    }
}
