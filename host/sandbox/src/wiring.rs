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
