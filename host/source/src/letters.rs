//! The bounds of the dead letters, for all who write some in one process: how many, how large, how
//! old. At a bound whoever would write one more must stop, or the oldest go; never is one written
//! that nobody bounded.

use crate::error::Error;
use pawl_core::identity::text_of_time;
use pawl_core::record::Timestamp;
use pawl_pipeline::{AtMax, DeadLetters};
use pawl_transport::room::{Place, Room};
use pawl_transport::{Retained, Transport, age};
use std::sync::Arc;

/// The topic of the dead letters and its bounds.
pub struct Letters {
    rules: DeadLetters,
    transport: Arc<dyn Transport>,
    room: Arc<Room>,
}

impl Letters {
    /// By these rules.
    pub fn new(rules: &DeadLetters, transport: Arc<dyn Transport>) -> Self {
        let room = Room::new(&rules.topic, bound(rules));
        Self { rules: rules.clone(), transport, room }
    }

    /// Takes room for so many more before they are committed; held until that is settled. None
    /// where the oldest make room. An error with the code `dead-letters-full` if they do not fit.
    pub fn take(&self, more: Retained, now_ms: Timestamp) -> Result<Option<Place>, Error> {
        let rules = &self.rules;
        if more.records == 0 || rules.at_max == AtMax::DropOldest {
            return Ok(None);
        }
        self.check_age(now_ms)?;
        let kept = match self.room.take(self.transport.as_ref(), more)? {
            Ok(place) => return Ok(Some(place)),
            Err(kept) => kept,
        };
        let alone = match kept.records {
            0 => " (one commit made them: a smaller commit.records_max makes fewer)",
            _ => "",
        };
        Err(self.full(&format!(
            "topic {} holds {} dead letters of {} bytes, {} more of {} bytes do not fit within \
             records_max = {} and bytes_max = {}{alone}",
            rules.topic,
            kept.records,
            kept.bytes,
            more.records,
            more.bytes,
            rules.records_max,
            rules.bytes_max
        )))
    }

    /// No dead letter may lie longer than its bound where another one is to be written.
    fn check_age(&self, now_ms: Timestamp) -> Result<(), Error> {
        let (rules, transport) = (&self.rules, self.transport.as_ref());
        let Some(age_max_ms) = rules.age_max_ms else { return Ok(()) };
        match age::oldest_ms(transport, &rules.topic)? {
            Some(oldest) if oldest < now_ms.saturating_sub_unsigned(age_max_ms) => {
                Err(self.full(&format!(
                    "topic {} holds a dead letter since {}, which is longer than age_max_ms = \
                     {age_max_ms}, and another is to be written",
                    rules.topic,
                    text_of_time(oldest)
                )))
            }
            _ => Ok(()),
        }
    }

    fn full(&self, what: &str) -> Error {
        let topic = &self.rules.topic;
        let what = format!(
            "{what}: send them back (`pawl dlq replay`) and let go of those (`pawl topic trim \
             {topic} --sent-back`), raise the bound, or set dead_letters.at_max = \"drop-oldest\""
        );
        Error::fatal("dead-letters-full", what)
    }

    /// Lets the oldest go until the rest fits, where the pipeline says so. The newest batch stays.
    pub fn drop_oldest(&self) -> Result<(), Error> {
        if self.rules.at_max == AtMax::DropOldest {
            let (topic, max) = (&self.rules.topic, bound(&self.rules));
            while self.transport.drop_oldest(topic, max)?.more {}
        }
        Ok(())
    }
}

fn bound(rules: &DeadLetters) -> Retained {
    Retained { records: rules.records_max, bytes: rules.bytes_max }
}
