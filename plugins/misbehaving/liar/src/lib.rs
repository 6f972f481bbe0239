//! Says of itself what cannot be: that it reads no state of the format it writes. `describe` comes
//! before any configuration, so this takes a component of its own. It must never be used in a
//! pipeline.

mod bindings {
    #![allow(missing_docs, unsafe_code, reason = "generated from the contract")]
    wit_bindgen::generate!({ path: "../../../wit/operator-0.1.0", world: "plugin" });
    use super::Liar;
    export!(Liar with_types_in self);
}

use bindings::exports::pawl::operator::operator::{
    Batch, ByteColumn, Description, Emissions, Guest, Outcome, StatePart, Timestamp, Wiring,
};

/// Whom the host talks to.
struct Liar;

impl Guest for Liar {
    fn describe() -> Description {
        Description {
            name: "liar".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state_version: 2,
            restores: vec![1],
        }
    }

    fn configure(_: String) -> Result<Wiring, String> {
        Ok(Wiring {
            outputs: Vec::new(),
            wants: Vec::new(),
            sets: Vec::new(),
            inherits_headers: false,
            delay: 0,
            ahead: 0,
        })
    }

    fn process(input: Batch) -> Outcome {
        nothing(input.event_times.len() as u32)
    }

    fn advance(_: Timestamp) -> Outcome {
        nothing(0)
    }

    fn snapshot(_: u32, _: bool) -> StatePart {
        StatePart { data: Some(Vec::new()), more: false }
    }

    fn restore(_: u32, _: Vec<u8>, _: bool) -> Result<(), String> {
        Ok(())
    }
}

fn nothing(taken: u32) -> Outcome {
    let none = || ByteColumn { data: Vec::new(), ends: Vec::new(), nulls: Vec::new() };
    Outcome {
        emissions: Emissions {
            outputs: Vec::new(),
            keys: none(),
            values: none(),
            event_times: Vec::new(),
            causes: Vec::new(),
            ids: none(),
            priorities: Vec::new(),
            headers: Vec::new(),
        },
        rejections: Vec::new(),
        taken,
        more: false,
    }
}
