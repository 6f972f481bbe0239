//! What an edge has heard from the producers of its topic through control rows: the maximum per
//! producer, the minimum over the active ones of the highest generation. One that was not heard
//! yet holds time where it is.

use crate::mutant::{Mutant, planted};
use crate::record::{Control, NO_TIME, Producer, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The last that one producer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Voice {
    generation: u64,
    number: u64,
    watermark: Timestamp,
    active: bool,
}

/// Everything heard on one topic partition. Part of every checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    generation: u64,
    producers: Vec<Producer>,
    voices: BTreeMap<Producer, Voice>,
}

impl Heard {
    /// Takes up a control row. Returns the watermark that the producers allow, or `NO_TIME` while
    /// somebody holds time. A row whose number is not higher than the last is a copy.
    pub fn hear(&mut self, control: &Control) -> Timestamp {
        if control.generation > self.generation {
            self.generation = control.generation;
            self.producers.clone_from(&control.producers);
        }
        let old = self.voices.get(&control.producer).copied();
        let is_copy = old.is_some_and(|old| control.number <= old.number);
        if is_copy && !planted(Mutant::ControlUnnumbered) {
            return NO_TIME;
        }
        let before = old.map_or(NO_TIME, |old| old.watermark);
        self.voices.insert(
            control.producer.clone(),
            Voice {
                generation: control.generation,
                number: control.number,
                watermark: control.watermark.max(before),
                active: control.active,
            },
        );
        self.minimum()
    }

    /// The watermark last heard from a producer: a row behind it can only be a copy.
    pub fn watermark_of(&self, producer: &Producer) -> Timestamp {
        self.voices.get(producer).map_or(NO_TIME, |voice| voice.watermark)
    }

    /// The least watermark heard from any producer, idle ones included: a row at or behind which a
    /// copy may still come. `NO_TIME` if none was heard.
    pub fn least(&self) -> Timestamp {
        let voices = self.producers.iter().filter_map(|producer| self.voices.get(producer));
        voices.map(|voice| voice.watermark).min().unwrap_or(NO_TIME)
    }

    fn minimum(&self) -> Timestamp {
        if planted(Mutant::ControlMaximum) {
            let voices = self.voices.values().filter(|voice| voice.active);
            return voices.map(|voice| voice.watermark).max().unwrap_or(NO_TIME);
        }
        let mut minimum = None;
        for producer in &self.producers {
            match self.voices.get(producer) {
                Some(voice) if voice.generation == self.generation => {
                    if voice.active {
                        let least = minimum.unwrap_or(Timestamp::MAX);
                        minimum = Some(voice.watermark.min(least));
                    }
                }
                _ if planted(Mutant::UnheardIgnored) => {}
                _ => return NO_TIME,
            }
        }
        minimum.unwrap_or(NO_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer(partition: u32) -> Producer {
        Producer { stage: "a".into(), partition }
    }

    fn control(generation: u64, partition: u32, number: u64, watermark: i64) -> Control {
        let producers = (0..2 + generation as u32 - 1).map(producer).collect();
        let producer = producer(partition);
        Control { generation, producer, producers, number, watermark, active: true }
    }

    #[test]
    fn time_is_the_minimum_and_one_not_heard_yet_holds_it() {
        let mut heard = Heard::default();
        assert_eq!(heard.hear(&control(1, 0, 1, 50)), NO_TIME);
        assert_eq!(heard.hear(&control(1, 1, 1, 30)), 30);
        assert_eq!(heard.hear(&control(1, 1, 2, 70)), 50);
        assert_eq!(heard.hear(&control(2, 0, 2, 90)), NO_TIME, "a new generation begins anew");
        assert_eq!(heard.hear(&control(2, 1, 3, 80)), NO_TIME);
        assert_eq!(heard.hear(&control(2, 2, 1, 85)), 80);
    }

    #[test]
    fn an_idle_producer_does_not_hold_time_and_if_all_are_idle_time_stands() {
        let mut heard = Heard::default();
        heard.hear(&control(1, 0, 1, 50));
        let idle = Control { active: false, ..control(1, 1, 1, NO_TIME) };
        assert_eq!(heard.hear(&idle), 50);
        assert_eq!(heard.hear(&Control { active: false, ..control(1, 0, 2, 60) }), NO_TIME);
    }

    #[test]
    fn an_old_number_changes_nothing() {
        let mut heard = Heard::default();
        heard.hear(&control(1, 0, 2, 50));
        heard.hear(&control(1, 1, 2, 50));
        assert_eq!(heard.hear(&control(1, 0, 1, 90)), NO_TIME);
        assert_eq!(heard.hear(&control(1, 1, 3, 90)), 50);
    }
}
