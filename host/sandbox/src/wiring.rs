//! What an operator says about itself before it computes: moved into plain values and checked.
//!
//! These names go into metrics, topics and messages for people, so none is empty, endless or
//! unprintable.

use crate::bindings::exports::pawl::operator::operator as contract;
use pawl_core::operator::{Description, Wiring};

/// Bytes of any name.
const NAME_BYTES_MAX: usize = 256;
/// Outputs: an emission names its output in one byte.
const OUTPUTS_MAX: usize = 255;
/// Headers read, and headers set: each is a column in every batch.
const HEADERS_MAX: usize = 64;
/// State versions that an operator reads.
const RESTORES_MAX: usize = 256;
/// Milliseconds of delay and ahead: what a double holds exactly, 285,000 years.
const SPAN_MS_END: u64 = 1 << 53;

/// The description in plain values. Says what is wrong with it.
pub(crate) fn description(told: contract::Description) -> Result<Description, String> {
    check_name("name", &told.name)?;
    check_name("version", &told.version)?;
    if told.restores.len() > RESTORES_MAX {
        return Err(format!("restores: {} versions, {RESTORES_MAX} at most", told.restores.len()));
    }
    if !told.restores.contains(&told.state_version) {
        return Err(format!("restores: lacks state-version {}, its own", told.state_version));
    }
    Ok(Description {
        name: told.name,
        version: told.version,
        state_version: told.state_version,
        restores: told.restores,
    })
}

/// The wiring in plain values. Says what is wrong with it.
pub(crate) fn wiring(told: contract::Wiring) -> Result<Wiring, String> {
    check_names("outputs", &told.outputs, OUTPUTS_MAX)?;
    check_names("wants", &told.wants, HEADERS_MAX)?;
    check_names("sets", &told.sets, HEADERS_MAX)?;
    for (field, span) in [("delay", told.delay), ("ahead", told.ahead)] {
        if span >= SPAN_MS_END {
            return Err(format!("{field}: {span} ms is no sane span"));
        }
    }
    Ok(Wiring {
        outputs: told.outputs,
        wants: told.wants,
        sets: told.sets,
        inherits_headers: told.inherits_headers,
        delay: told.delay,
        ahead: told.ahead,
    })
}

fn check_names(field: &str, names: &[String], max: usize) -> Result<(), String> {
    if names.len() > max {
        return Err(format!("{field}: {} names, {max} at most", names.len()));
    }
    for (number, name) in names.iter().enumerate() {
        check_name(field, name)?;
        if names.iter().take(number).any(|before| before == name) {
            return Err(format!("{field}: {name} stands there twice"));
        }
    }
    Ok(())
}

fn check_name(field: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(format!("{field}: {} bytes, 1 to {NAME_BYTES_MAX} are allowed", name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("{field}: {name:?} has control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> contract::Description {
        contract::Description {
            name: "window".to_owned(),
            version: "1.0.0".to_owned(),
            state_version: 2,
            restores: vec![1, 2],
        }
    }

    #[test]
    fn a_plain_description_passes_and_a_lying_one_does_not() {
        assert_eq!(description(told()).unwrap().restores, [1, 2]);
        type Lie = fn(&mut contract::Description);
        let lies: [(Lie, &str); 6] = [
            (|told| told.name.clear(), "name: 0 bytes"),
            (|told| told.name = "x".repeat(257), "name: 257 bytes"),
            (|told| told.version = "1\n".to_owned(), "control characters"),
            (|told| told.version.clear(), "version: 0 bytes"),
            (|told| told.restores = vec![1], "lacks state-version 2"),
            (|told| told.restores = vec![2; 257], "257 versions"),
        ];
        for (lie, rule) in lies {
            let mut bad = told();
            lie(&mut bad);
            let refused = description(bad).unwrap_err();
            assert!(refused.contains(rule), "{refused}");
        }
    }

    #[test]
    fn names_of_a_wiring_differ_within_a_list_and_may_be_equal_across_lists() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let told = |outputs: &[&str], wants: &[&str], sets: &[&str]| contract::Wiring {
            outputs: names(outputs),
            wants: names(wants),
            sets: names(sets),
            inherits_headers: false,
            delay: 0,
            ahead: SPAN_MS_END - 1,
        };
        wiring(told(&["a", "b"], &["a"], &["a"])).unwrap();
        wiring(told(&[], &[], &[])).unwrap();
        assert!(wiring(told(&[], &["a", "b", "a"], &[])).is_err());
        assert!(wiring(told(&[""], &[], &[])).is_err());
        assert!(wiring(told(&[], &[], &["a"; 65])).is_err());
    }
}
