//! Ids and origins of observations, laid end to end.
//!
//! An origin is `topic/partition/offset`: what stands before the offset is the same for many, and
//! kept once. The texts of an observation are
//! ```text
//! u16  bytes of the id, little-endian
//! ...  the id
//! u8   which of the origins; 255: none of them, and the whole text follows
//! ...  the offset, lowest byte first, without the zeros behind
//! ```

use crate::store::{grow, take};

/// An origin that is written out.
const WRITTEN_OUT: u8 = 255;

/// Texts of observations, in their order.
#[derive(Default)]
pub(crate) struct Texts {
    data: Vec<u8>,
    ends: Vec<u32>,
    /// `topic/partition/`, at most 255 of them.
    origins: Vec<String>,
}

impl Texts {
    /// Adds those of the next observation. Together they have at most 65,535 bytes: more of an
    /// origin, and then more of an id, is cut.
    pub(crate) fn push(&mut self, id: &str, origin: &str) {
        let id = &id[..id.floor_char_boundary(usize::from(u16::MAX) - 16)];
        self.make_room(id.len() + 16);
        self.data.extend_from_slice(&(id.len() as u16).to_le_bytes());
        self.data.extend_from_slice(id.as_bytes());
        match self.split(origin) {
            Some((number, offset)) => {
                self.data.push(number);
                let bytes = 8 - offset.leading_zeros() as usize / 8;
                self.data.extend_from_slice(&offset.to_le_bytes()[..bytes]);
            }
            None => {
                let left = usize::from(u16::MAX) - 3 - id.len();
                self.data.push(WRITTEN_OUT);
                let end = origin.floor_char_boundary(left);
                self.data.extend_from_slice(&origin.as_bytes()[..end]);
            }
        }
        self.ends.push(self.data.len() as u32);
    }

    /// Gives back the room to grow.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.data.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    fn make_room(&mut self, bytes: usize) {
        if self.data.capacity() - self.data.len() < bytes {
            self.data.reserve_exact(self.data.len() / 4 + bytes + 64);
        }
        grow(&mut self.ends);
    }

    /// Which origin it is, and its offset; none if it is not of that form, or there are too many.
    fn split(&mut self, origin: &str) -> Option<(u8, u64)> {
        let (before, digits) = origin.split_at(origin.rfind('/')? + 1);
        let canonical = digits == "0" || !digits.starts_with(['0', '+']);
        let offset = digits.parse().ok().filter(|_| canonical)?;
        let known = self.origins.iter().position(|origin| origin == before);
        if known.is_none() {
            if self.origins.len() == usize::from(WRITTEN_OUT) || before.len() > 1000 {
                return None;
            }
            self.origins.push(before.to_owned());
        }
        Some((known.unwrap_or(self.origins.len() - 1) as u8, offset))
    }

    /// The id of an observation.
    pub(crate) fn id(&self, row: usize) -> &str {
        let id = self.parts(row).map_or(&b""[..], |parts| parts.0);
        std::str::from_utf8(id).unwrap_or_default()
    }

    /// The origin of an observation.
    pub(crate) fn origin(&self, row: usize) -> String {
        let Some((_, number, rest)) = self.parts(row) else { return String::new() };
        match self.origins.get(usize::from(number)) {
            Some(origin) if number != WRITTEN_OUT => {
                let offset = rest.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                format!("{origin}{offset}")
            }
            _ => String::from_utf8_lossy(rest).into_owned(),
        }
    }

    /// Id, number of the origin, and the rest.
    fn parts(&self, row: usize) -> Option<(&[u8], u8, &[u8])> {
        let (head, texts) = self.bytes(row).split_first_chunk()?;
        let (id, rest) = texts.split_at_checked(usize::from(u16::from_le_bytes(*head)))?;
        let (number, rest) = rest.split_first()?;
        Some((id, *number, rest))
    }

    /// All texts of an observation, to be stored.
    pub(crate) fn bytes(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(row).copied().unwrap_or(0) as usize;
        self.data.get(start.unwrap_or(0) as usize..end).unwrap_or_default()
    }

    /// Adds what `bytes` gave.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.make_room(bytes.len());
        self.data.extend_from_slice(bytes);
        self.ends.push(self.data.len() as u32);
        let sound = self.parts(self.ends.len() - 1).is_some_and(|(id, number, rest)| {
            let known = usize::from(number) < self.origins.len() && rest.len() <= 8;
            std::str::from_utf8(id).is_ok() && (known || number == WRITTEN_OUT)
        });
        sound.then_some(()).ok_or_else(|| "the state has texts that are none".to_owned())
    }

    /// Writes the origins so far.
    pub(crate) fn encode_origins(&self, out: &mut Vec<u8>) {
        out.push(self.origins.len() as u8);
        for origin in &self.origins {
            out.extend_from_slice(&(origin.len() as u16).to_le_bytes());
            out.extend_from_slice(origin.as_bytes());
        }
    }

    /// Reads what `encode_origins` wrote.
    pub(crate) fn decode_origins(&mut self, data: &mut &[u8]) -> Result<(), String> {
        let [count] = take(data)?;
        let mut origins = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let bytes = usize::from(u16::from_le_bytes(take(data)?));
            let text = data.split_off(..bytes).ok_or("the state is cut short")?;
            let text =
                std::str::from_utf8(text).map_err(|_| "the state has a text that is none")?;
            origins.push(text.to_owned());
        }
        if !origins.starts_with(&self.origins) {
            return Err("the state has origins that changed".to_owned());
        }
        self.origins = origins;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_whatever_they_are() {
        let ids = ["s01-7-1", "", "ü\n"];
        let origins = [
            "observations/0/7",
            "observations/0/0",
            "a/1/18446744073709551615",
            "",
            "/",
            "x/+1",
            "x/007",
            "a/b/18446744073709551616",
            "observations/0/65536",
            "7",
        ];
        let mut texts = Texts::default();
        for (at, origin) in origins.iter().enumerate() {
            texts.push(ids[at % 3], origin);
        }
        let mut copy = Texts::default();
        let mut head = Vec::new();
        texts.encode_origins(&mut head);
        copy.decode_origins(&mut head.as_slice()).unwrap();
        for (at, origin) in origins.iter().enumerate() {
            copy.push_bytes(texts.bytes(at)).unwrap();
            for texts in [&texts, &copy] {
                assert_eq!((texts.id(at), texts.origin(at).as_str()), (ids[at % 3], *origin));
            }
        }
        assert_eq!(texts.bytes(0).len(), 2 + 7 + 1 + 1, "an origin costs two bytes here");
        assert!(copy.push_bytes(&[9, 0, 1]).is_err());
        assert_eq!((copy.id(99), copy.origin(99).as_str()), ("", ""));
    }

    #[test]
    fn more_origins_than_have_a_number_are_written_out() {
        let mut texts = Texts::default();
        for number in 0..300 {
            texts.push("id", &format!("topic/{number}/5"));
        }
        for number in 0..300 {
            assert_eq!(texts.origin(number), format!("topic/{number}/5"));
        }
        let long = "x".repeat(70_000);
        texts.push(&long, &long);
        assert!(texts.bytes(300).len() <= 65_535 && texts.id(300).len() > 65_000);
    }
}
