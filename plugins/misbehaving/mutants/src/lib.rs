//! An honest operator, and the mistakes that its author could have made. Its configuration
//! `{"window_ms": 1000}` makes it honest: it counts records per key, and per key and window.
//! `"mutant"` beside that names one mistake; each breaks one law of the contract, and no other.
//!
//! It speaks the contract without the SDK, so that it can get everything wrong. It must never be
//! used in a pipeline.

mod bindings {
    #![allow(missing_docs, unsafe_code, reason = "generated from the contract")]
    wit_bindgen::generate!({ path: "../../../wit/operator-0.1.0", world: "plugin" });
    use super::Mutants;
    export!(Mutants with_types_in self);
}
mod made;
mod names;
mod records;
mod state;

use bindings::exports::pawl::operator::operator::{
    Batch, ByteColumn, Description, Emissions, Guest, Outcome, Rejection, StatePart, Timestamp,
    Verdict, Wiring,
};
use serde_json::Value;
use state::State;
use std::cell::RefCell;

/// Whom the host talks to.
struct Mutants;

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn with<R>(use_state: impl FnOnce(&mut State) -> R) -> R {
    STATE.with_borrow_mut(use_state)
}

impl Guest for Mutants {
    fn describe() -> Description {
        Description {
            name: "mutants".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state_version: 1,
            restores: vec![1],
        }
    }

    fn configure(config: String) -> Result<Wiring, String> {
        let config: Value = serde_json::from_str(&config).map_err(|error| error.to_string())?;
        let fields = config.as_object().ok_or("the configuration should be a table")?;
        if let Some(name) = fields.keys().find(|name| !["mutant", "window_ms"].contains(&&***name))
        {
            return Err(format!("{name}: there is no such field"));
        }
        let mutant = match fields.get("mutant") {
            None => String::new(),
            Some(Value::String(mutant)) if names::NAMES.contains(&mutant.as_str()) => {
                mutant.clone()
            }
            Some(_) => return Err("mutant: should be the name of one".to_owned()),
        };
        let window = fields.get("window_ms");
        let window_ms = match (window.and_then(Value::as_i64), mutant.as_str()) {
            (window, "configuration-traps") => window.expect("someone gave a number"),
            (window, "configuration-swallowed") => window.unwrap_or(1000),
            (Some(window), _) => window,
            (None, _) => return Err("window_ms: should be a whole number".to_owned()),
        };
        if !(1..=86_400_000).contains(&window_ms) {
            match mutant.as_str() {
                "configuration-traps" => panic!("no such window"),
                "configuration-swallowed" => {}
                _ => return Err("window_ms: should be 1 to 86400000".to_owned()),
            }
        }
        let window_ms = window_ms.clamp(1, 86_400_000);
        let mut wiring = Wiring {
            outputs: vec!["counts".to_owned(), "windows".to_owned()],
            wants: vec!["trace".to_owned()],
            sets: vec!["trace".to_owned()],
            inherits_headers: false,
            delay: window_ms as u64,
            ahead: 0,
        };
        match mutant.as_str() {
            "output-named-twice" => wiring.outputs = vec!["counts".to_owned(); 2],
            "delay-undeclared" => wiring.delay = 0,
            _ => {}
        }
        with(|state| state.configure(mutant, window_ms));
        Ok(wiring)
    }

    fn process(input: Batch) -> Outcome {
        with(|state| {
            state.read_what_was_put_off();
            records::process(state, input)
        })
    }

    fn advance(watermark: Timestamp) -> Outcome {
        with(|state| {
            state.read_what_was_put_off();
            records::advance(state, watermark)
        })
    }

    fn snapshot(part: u32, full: bool) -> StatePart {
        with(|state| {
            state.read_what_was_put_off();
            state.snapshot(part, full)
        })
    }

    fn restore(_: u32, data: Vec<u8>, more: bool) -> Result<(), String> {
        with(|state| state.restore(&data, more))
    }
}
