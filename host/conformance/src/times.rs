//! Event times for samples that have none, and times that a payload may hold.

use crate::sample::Sample;
use pawl_core::record::Timestamp;

/// When made-up times begin, and how far they lie apart: milliseconds.
const BEGIN: Timestamp = 1_700_000_000_000;
const STEP: Timestamp = 1_000;

/// What a time out of a payload can be: from 1980 to 2100.
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

/// Whether a payload could hold that time.
pub(crate) fn is_plausible(time: Timestamp) -> bool {
    PLAUSIBLE.contains(&time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_without_a_time_has_that_of_the_one_before() {
        let at = |event_time| Sample { event_time, ..Sample::default() };
        let given = [at(None), at(Some(7)), at(None), at(Some(5))];
        assert_eq!(of(&given), (vec![7, 7, 7, 5], false));
        assert!(of(&given[..1]).1);
    }
}
