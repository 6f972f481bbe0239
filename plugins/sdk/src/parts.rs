//! Parts: which number each chunk of the state has, and what the host has of each.
//!
//! Slots of all pieces come first, so that their numbers stay put; further chunks of slots that
//! are too large for one part come behind them. A part is laid out as
//! ```text
//! u8   piece      index into what Operator::state returns
//! u8   continues  1: another chunk of this slot follows in a later part
//! u32  slot       little-endian, as is the next
//! u32  slots      of all pieces together, to notice a part that is missing
//! ...  the chunk, as its piece wrote it
//! ```
//! Never call a part unchanged that this instance did not give, or take up, just as it is.

use crate::state::{State, read};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

const HEADER_BYTES: usize = 10;

/// The only part of an operator without state.
const NOTHING: Place = Place { piece: usize::MAX, slot: 0, chunk: 0 };

/// Which chunk of the state a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    piece: usize,
    slot: u32,
    chunk: u32,
}

/// A part of the state as the host gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatePart {
    /// Absent: as last given.
    pub data: Option<Vec<u8>>,
    /// Whether another part follows.
    pub more: bool,
}

/// Numbers the parts of all pieces, and knows what the host has of each.
#[derive(Default)]
pub(crate) struct Parts {
    /// By part number: what this instance last gave, or was restored with.
    given: Vec<Option<Place>>,
    /// Slots seen among the parts taken up so far.
    seen: BTreeSet<(usize, u32)>,
    /// Slots of which another chunk must follow, and its number.
    open: BTreeMap<(usize, u32), u32>,
    /// Parts taken up so far, of any format.
    taken: u32,
    restored: bool,
    /// A part taken up would not be written under the same number.
    tainted: bool,
}

impl Parts {
    pub const fn new() -> Self {
        Self {
            given: Vec::new(),
            seen: BTreeSet::new(),
            open: BTreeMap::new(),
            taken: 0,
            restored: false,
            tainted: false,
        }
    }

    /// Part `part`; the host asks for parts in order.
    pub fn snapshot(&mut self, pieces: &mut [&mut dyn State], part: u32, full: bool) -> StatePart {
        let slots = slots(pieces);
        let place = place(pieces, part, slots).unwrap_or(NOTHING);
        let known = !full && self.given.get(part as usize) == Some(&Some(place));
        let data = match pieces.get_mut(place.piece) {
            None => (!known).then(Vec::new),
            Some(piece) if known && !piece.changed(place.slot) => None,
            Some(piece) => {
                let mut data = vec![place.piece as u8, 0];
                data.extend_from_slice(&place.slot.to_le_bytes());
                data.extend_from_slice(&slots.to_le_bytes());
                data[1] = u8::from(piece.encode(place.slot, place.chunk, &mut data));
                Some(data)
            }
        };
        self.give(part, Some(place));
        let more = part < u32::MAX && self::place(pieces, part + 1, slots).is_some();
        if !more {
            pieces.iter_mut().for_each(|piece| piece.settle());
            self.given.truncate((part as usize).saturating_add(1));
        }
        StatePart { data, more }
    }

    /// Takes up the next part, written in the current format.
    pub fn restore(
        &mut self,
        pieces: &mut [&mut dyn State],
        data: &[u8],
        more: bool,
    ) -> Result<(), String> {
        let part = self.next(more)?;
        let slots = slots(pieces);
        if slots == 0 {
            self.give(part, Some(NOTHING));
            return match data.is_empty() && !more {
                true => Ok(()),
                false => Err("there is a state, and the operator has none".to_owned()),
            };
        }
        let old = OldPart::parse(data)?;
        let place = self.follow(&old)?;
        old.restore_into(*pieces.get_mut(old.piece).ok_or("the state has an unknown piece")?)?;
        if !more && (!self.open.is_empty() || self.seen.len() != old.slots as usize) {
            return Err(format!(
                "the state is cut short: {} of {} slots, {} of them unfinished",
                self.seen.len(),
                old.slots,
                self.open.len()
            ));
        }
        // Another configuration (with fewer buckets, say) wrote it: all will be written anew.
        let same = self::place(pieces, part, slots) == Some(place);
        self.tainted |= !same || old.slots != slots;
        self.give(part, Some(place));
        if !more && self.tainted {
            self.given.clear();
        }
        Ok(())
    }

    /// Takes the number of the next part to be taken up, of any format.
    pub fn next(&mut self, more: bool) -> Result<u32, String> {
        if self.restored {
            return Err("the state was restored already".to_owned());
        }
        self.restored = !more;
        self.taken += 1;
        Ok(self.taken - 1)
    }

    /// Where in the state the part belongs; it must be whole and without repetition.
    fn follow(&mut self, old: &OldPart<'_>) -> Result<Place, String> {
        let (piece, slot) = (old.piece, old.slot);
        let chunk = match self.open.remove(&(piece, slot)) {
            Some(chunk) => chunk,
            None if self.seen.insert((piece, slot)) => 0,
            None => return Err(format!("the state has slot {slot} of piece {piece} twice")),
        };
        if old.continues {
            self.open.insert((piece, slot), chunk + 1);
        }
        Ok(Place { piece, slot, chunk })
    }

    fn give(&mut self, part: u32, place: Option<Place>) {
        // Numbers ascend one by one, so this grows by one place at a time.
        if part as usize == self.given.len() {
            self.given.push(place);
        } else if let Some(given) = self.given.get_mut(part as usize) {
            *given = place;
        }
    }
}

fn slots(pieces: &[&mut dyn State]) -> u32 {
    pieces.iter().map(|piece| piece.slots()).sum()
}

/// What part `part` holds; none if there is no such part.
fn place(pieces: &[&mut dyn State], part: u32, slots: u32) -> Option<Place> {
    let mut left = part;
    for (index, piece) in pieces.iter().enumerate().filter(|_| part < slots) {
        if left < piece.slots() {
            return Some(Place { piece: index, slot: left, chunk: 0 });
        }
        left -= piece.slots();
    }
    let mut left = part.checked_sub(slots)?;
    for (index, piece) in pieces.iter().enumerate() {
        for slot in 0..piece.slots() {
            let further = piece.chunks(slot).saturating_sub(1);
            if left < further {
                return Some(Place { piece: index, slot, chunk: left + 1 });
            }
            left -= further;
        }
    }
    None
}

/// A part of a state that an earlier version of the operator wrote with this SDK.
#[derive(Clone, Copy, Debug)]
pub struct OldPart<'a> {
    piece: usize,
    continues: bool,
    slot: u32,
    slots: u32,
    data: &'a [u8],
}

impl<'a> OldPart<'a> {
    /// Reads the head of a part.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let Some((head, data)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(format!("the part of {} bytes is cut short", bytes.len()));
        };
        let [piece, continues, a, b, c, d, e, f, g, h] = *head;
        if continues > 1 {
            return Err("the part was not written by this SDK".to_owned());
        }
        Ok(Self {
            piece: piece as usize,
            continues: continues == 1,
            slot: u32::from_le_bytes([a, b, c, d]),
            slots: u32::from_le_bytes([e, f, g, h]),
            data,
        })
    }

    /// Which of the pieces that the old `Operator::state` returned it belongs to.
    pub fn piece(&self) -> usize {
        self.piece
    }

    /// Which slot of the piece: the bucket of a `Buckets`; of windows 0 is the time they reached,
    /// and the buckets follow.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The entries of a bucket, in ascending order of keys. Windows have
    /// `Vec<(start, value)>` as values.
    pub fn entries<K: DeserializeOwned, V: DeserializeOwned>(&self) -> Result<Vec<(K, V)>, String> {
        let mut data = self.data;
        let count = crate::buckets::count(&mut data)?;
        let entries = (0..count).map(|_| read(&mut data)).collect::<Result<_, _>>()?;
        crate::state::end(data)?;
        Ok(entries)
    }

    /// The value of a `Single`.
    pub fn value<T: DeserializeOwned>(&self) -> Result<T, String> {
        let mut data = self.data;
        let value = read(&mut data)?;
        crate::state::end(data)?;
        Ok(value)
    }

    /// Takes it up as it is into a piece whose types have not changed.
    pub fn restore_into(&self, piece: &mut dyn State) -> Result<(), String> {
        piece.decode(self.slot, self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;
    use crate::testing::{Harness, Input, Random};

    /// Keeps what it is given: `key=length` in the first piece, the count in the second.
    struct Keeper {
        kept: Buckets<String, Vec<u8>>,
        count: Single<u64>,
    }

    #[derive(Deserialize)]
    struct Config {
        buckets: u32,
    }

    impl Operator for Keeper {
        const NAME: &'static str = "keeper";
        const VERSION: &'static str = "1";
        const STATE_VERSION: u32 = 2;
        const MIGRATES: &'static [u32] = &[1];
        type Config = Config;

        fn configure(config: Config) -> Result<(Self, Wiring), String> {
            let kept = Buckets::with_buckets(config.buckets);
            Ok((Self { kept, count: Single::new(0) }, Wiring::default()))
        }

        fn process(&mut self, record: Record<'_>, _: &mut Emitter<'_>) -> Result<(), Rejection> {
            let key = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
            match record.event_time() {
                -1 => drop(self.kept.remove(&key)),
                bytes => drop(self.kept.insert(key, vec![7; bytes as usize])),
            }
            *self.count.edit() += 1;
            Ok(())
        }

        fn state(&mut self) -> Vec<&mut dyn State> {
            vec![&mut self.kept, &mut self.count]
        }

        /// Version 1 kept only lengths.
        fn migrate(&mut self, _: u32, part: OldPart<'_>) -> Result<(), String> {
            if part.piece() == 1 {
                return part.restore_into(&mut self.count);
            }
            for (key, bytes) in part.entries::<String, u32>()? {
                self.kept.insert(key, vec![7; bytes as usize]);
            }
            Ok(())
        }
    }

    fn set(key: usize, bytes: i64) -> Input {
        Input::new(key.to_string(), "").at(bytes)
    }

    fn host(buckets: u32) -> Harness<Keeper> {
        Harness::new(&format!(r#"{{"buckets": {buckets}}}"#)).unwrap()
    }

    fn restored(buckets: u32, parts: &[Vec<u8>]) -> Result<Harness<Keeper>, String> {
        Harness::restored(&format!(r#"{{"buckets": {buckets}}}"#), 2, parts)
    }

    #[test]
    fn only_changed_buckets_are_given_again() {
        let mut host = host(64);
        host.process(&(0..500).map(|key| set(key, 10)).collect::<Vec<_>>());
        host.snapshot();
        assert_eq!(host.parts_given(), 65);
        host.process(&[set(3, 11)]);
        let parts = host.snapshot();
        assert_eq!(host.parts_given(), 2);
        let mut again = restored(64, &parts).unwrap();
        assert_eq!((again.snapshot(), again.parts_given()), (parts.clone(), 0));
        assert_eq!((again.full_snapshot(), again.parts_given()), (parts, 65));
    }

    #[test]
    fn parts_kept_by_the_host_equal_a_full_snapshot_after_any_history() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut host = host(3);
            for _ in 0..8 {
                for _ in 0..random.below(12) {
                    let bytes = [-1, 0, 9, 1000, 3000][random.below(5)];
                    host.process(&[set(random.below(12), bytes)]);
                }
                let parts = host.snapshot();
                assert_eq!(host.full_snapshot(), parts, "seed {seed}");
                let mut again = restored(3, &parts).unwrap();
                assert_eq!(again.snapshot(), parts, "seed {seed}");
                assert_eq!(again.parts_given(), 0, "seed {seed}");
                assert_eq!(again.full_snapshot(), parts, "seed {seed}");
                if random.below(2) == 0 {
                    host = again;
                }
            }
        }
    }

    #[test]
    fn a_state_is_read_with_another_number_of_buckets_and_written_anew() {
        let mut one = host(64);
        one.process(&(0..500).map(|key| set(key, 10)).collect::<Vec<_>>());
        let mut two = restored(7, &one.snapshot()).unwrap();
        let parts = two.snapshot();
        assert_eq!((parts.len(), two.parts_given()), (8, 8));
        assert_eq!(restored(64, &parts).unwrap().snapshot(), one.snapshot());
    }

    #[test]
    fn a_state_that_is_cut_short_anywhere_is_refused() {
        let mut host = host(2);
        host.process(&(0..9).map(|key| set(key, 3)).collect::<Vec<_>>());
        host.process(&(10..14).map(|key| set(key, 3000)).collect::<Vec<_>>());
        let parts = host.snapshot();
        assert!(parts.len() > 3, "no bucket is large enough for a second chunk");
        for count in 1..parts.len() {
            assert!(restored(2, &parts[..count]).is_err(), "{count} of {}", parts.len());
        }
        for index in 0..parts.len() {
            let bytes = parts[index].len();
            for length in (0..bytes.min(200)).chain(bytes - bytes.min(200)..bytes) {
                let mut parts = parts.clone();
                parts[index].truncate(length);
                assert!(restored(2, &parts).is_err(), "part {index} cut to {length} bytes");
            }
            let mut longer = parts.clone();
            longer[index].push(0);
            assert!(restored(2, &longer).is_err(), "part {index} with a byte more");
            let mut twice = parts.clone();
            twice.insert(index, parts[index].clone());
            assert!(restored(2, &twice).is_err(), "part {index} twice");
        }
    }

    #[test]
    fn foreign_bytes_never_panic() {
        let mut host = host(2);
        host.process(&(0..9).map(|key| set(key, 3)).collect::<Vec<_>>());
        let good = host.snapshot();
        let mut refused = 0;
        for seed in 0..20_000 {
            let mut random = Random::new(seed);
            let mut parts = good.clone();
            for _ in 0..=random.below(4) {
                let part = random.below(parts.len());
                let byte = random.below(parts[part].len());
                parts[part][byte] = random.below(256) as u8;
            }
            match restored(2, &parts) {
                Ok(mut host) => drop(host.snapshot()),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 10_000);
    }

    #[test]
    fn an_older_state_is_migrated_and_written_anew() {
        let old = |piece, slot: u32, body: &[u8]| {
            [&[piece, 0], &slot.to_le_bytes()[..], &2u32.to_le_bytes(), body].concat()
        };
        let entries = [&2u32.to_le_bytes()[..], b"\x01a\x02", b"\x01b\x03"].concat();
        let parts = [old(0, 0, &entries), old(1, 0, b"\x05")];
        let config = r#"{"buckets": 4}"#;
        let mut migrated = Harness::<Keeper>::restored(config, 1, &parts).unwrap();
        let parts = migrated.snapshot();
        assert_eq!((parts.len(), migrated.parts_given()), (5, 5));
        let mut fresh = host(4);
        let set = |key: &str, bytes| Input::new(key, "").at(bytes);
        fresh.process(&[set("b", 3), set("x", 1), set("a", 1), set("x", -1), set("a", 2)]);
        assert_eq!(fresh.snapshot(), parts);
    }
}
