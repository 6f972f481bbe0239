//! Room in a topic that is bounded: who is about to append takes room before, and all writers of
//! this process take it from one count, so that together they never write more than the bound.
//! Only for topics that nobody else appends to.

use crate::error::Error;
use crate::transport::{Retained, Transport};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bound of a topic, and how much of it is taken.
#[derive(Debug)]
pub struct Room {
    topic: String,
    max: Retained,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// What the topic holds, what is on its way there included. May be too much, never too little.
    all: Retained,
    /// What is on its way.
    under_way: Retained,
    /// How many hold room.
    holders: usize,
}

/// Room that was taken. Given back when dropped: by then what it was for is in the topic, or will
/// never be.
#[derive(Debug)]
pub struct Place {
    room: Arc<Room>,
    size: Retained,
}

impl Room {
    /// All of a topic's room.
    pub fn new(topic: &str, max: Retained) -> Arc<Self> {
        Arc::new(Self { topic: topic.to_owned(), max, taken: Mutex::default() })
    }

    /// Takes room for so much. `Err` in the inner result: it does not fit, beside so much.
    pub fn take(
        self: &Arc<Self>,
        transport: &dyn Transport,
        size: Retained,
    ) -> Result<Result<Place, Retained>, Error> {
        let mut taken = self.locked();
        if taken.holders == 0 || !self.fits(taken.all, size) {
            // Rows may have gone meanwhile. What has just become durable counts twice until its
            // holder says so.
            let seen = sum(transport.retained(&self.topic)?, taken.under_way);
            taken.all = match taken.holders {
                0 => seen,
                _ => Retained {
                    records: taken.all.records.min(seen.records),
                    bytes: taken.all.bytes.min(seen.bytes),
                },
            };
        }
        if !self.fits(taken.all, size) {
            return Ok(Err(taken.all));
        }
        taken.all = sum(taken.all, size);
        taken.under_way = sum(taken.under_way, size);
        taken.holders += 1;
        Ok(Ok(Place { room: Arc::clone(self), size }))
    }

    fn fits(&self, beside: Retained, size: Retained) -> bool {
        let all = sum(beside, size);
        all.records <= self.max.records && all.bytes <= self.max.bytes
    }

    fn locked(&self) -> MutexGuard<'_, Taken> {
        // Whole values are written; a panic leaves nothing half done.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.locked();
        taken.holders = taken.holders.saturating_sub(1);
        taken.under_way = less(taken.under_way, self.size);
        // Whether it is in the topic is seen when it is next looked there.
    }
}

fn sum(one: Retained, other: Retained) -> Retained {
    Retained {
        records: one.records.saturating_add(other.records),
        bytes: one.bytes.saturating_add(other.bytes),
    }
}

fn less(one: Retained, other: Retained) -> Retained {
    Retained {
        records: one.records.saturating_sub(other.records),
        bytes: one.bytes.saturating_sub(other.bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use pawl_core::record::{LogBatch, Record, Records};

    fn records(records: u64) -> Retained {
        Retained { records, bytes: 0 }
    }

    fn append(transport: &Memory, count: usize) {
        let mut records = Records::default();
        (0..count).for_each(|_| records.push(Record { value: Some(b"v"), ..Record::default() }));
        let batch = LogBatch { records, ..LogBatch::default() };
        transport.produce("t", 0, batch, 0).unwrap();
    }

    #[test]
    fn what_several_take_before_any_of_it_is_stored_stays_within_the_bound() {
        let transport = Memory::default();
        transport.create_topic("t", 1).unwrap();
        append(&transport, 3);
        let room = Room::new("t", Retained { records: 10, bytes: u64::MAX });
        let first = room.take(&transport, records(4)).unwrap().unwrap();
        let second = room.take(&transport, records(3)).unwrap().unwrap();
        assert_eq!(room.take(&transport, records(1)).unwrap().unwrap_err().records, 10);
        append(&transport, 4);
        drop(first);
        assert_eq!(room.take(&transport, records(1)).unwrap().unwrap_err().records, 10);
        // It never came to be.
        drop(second);
        let third = room.take(&transport, records(3)).unwrap().unwrap();
        // Somebody lets all go while one is under way.
        transport.trim("t", 0, 7).unwrap();
        drop(room.take(&transport, records(7)).unwrap().unwrap());
        assert!(room.take(&transport, records(8)).unwrap().is_err());
        drop(third);
        assert!(room.take(&transport, records(10)).unwrap().is_ok());
    }
}
