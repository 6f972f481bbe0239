//! Event times for samples that have none, and times that a payload may hold.

use crate::sample::Sample;
use pawl_core::identity::time_of_text;
use pawl_core::record::Timestamp;
use serde_json::Value;

/// When made-up times begin, and how far they lie apart: milliseconds.
const BEGIN: Timestamp = 1_700_000_000_000;
const STEP: Timestamp = 1_000;

/// What a number in a payload could be taken for: from 1980 to 2100.
const PLAUSIBLE: std::ops::Range<Timestamp> = 315_532_800_000..4_102_444_800_000;

/// The event time of each sample, and whether they are made up: they are if none has one. A
/// sample without a time among others that have one gets that of the one before it.
pub(crate) fn of(samples: &[Sample]) -> (Vec<Timestamp>, bool) {
    let known = samples.iter().find_map(|sample| sample.event_time);
    let Some(mut last) = known else {
        return ((0..samples.len() as i64).map(|at| BEGIN + at * STEP).collect(), true);
    };
    let times = samples.iter().map(|sample| {
        last = sample.event_time.unwrap_or(last);
        last
    });
    (times.collect(), false)
}

/// All times that a value may hold, whatever its author calls them: texts that are times, and
/// numbers that are plausible as seconds, milliseconds, micro- or nanoseconds.
pub(crate) fn held(value: &[u8]) -> Vec<Timestamp> {
    let mut times = Vec::new();
    if let Ok(json) = serde_json::from_slice::<Value>(value) {
        gather(&json, &mut times);
    }
    times
}

fn gather(value: &Value, times: &mut Vec<Timestamp>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, times)),
        Value::Object(fields) => fields.values().for_each(|field| gather(field, times)),
        Value::String(text) => {
            times.extend(time_of_text(text).filter(|time| PLAUSIBLE.contains(time)));
            if let Ok(number) = text.parse::<f64>() {
                of_number(number, times);
            }
        }
        Value::Number(number) => {
            if let Some(number) = number.as_f64() {
                of_number(number, times);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn of_number(number: f64, times: &mut Vec<Timestamp>) {
    for factor in [1_000.0, 1.0, 0.001, 0.000_001] {
        let time = (number * factor) as Timestamp;
        if PLAUSIBLE.contains(&time) {
            times.push(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_in_a_payload_whatever_they_are_called() {
        let value = br#"{"a":1700000000,"b":["2024-01-01T00:00:00Z"],"c":0,"d":1700000000123}"#;
        let times = held(value);
        for time in [1_700_000_000_000, 1_704_067_200_000, 1_700_000_000_123] {
            assert!(times.contains(&time), "{times:?}");
        }
        assert!(held(b"0").is_empty());
        assert!(held(b"no JSON").is_empty());
    }

    #[test]
    fn a_sample_without_a_time_has_that_of_the_one_before() {
        let at = |event_time| Sample { event_time, ..Sample::default() };
        let given = [at(None), at(Some(7)), at(None), at(Some(5))];
        assert_eq!(of(&given), (vec![7, 7, 7, 5], false));
        assert!(of(&given[..1]).1);
    }
}
