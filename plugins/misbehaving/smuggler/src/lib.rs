//! A guest that smuggles an import: it asks the host for a clock, which no operator may have.
//! The host must refuse it by its import list, before compiling it. It must never run anywhere.

mod bindings {
    #![allow(missing_docs, unsafe_code, reason = "generated from the contract")]
    wit_bindgen::generate!({
        inline: "
            package pawl:smuggler;

            interface contraband {
                now: func() -> u64;
            }

            world smuggler {
                import contraband;
                export pawl:operator/operator@0.1.0;
            }
        ",
        path: "../../../wit/operator-0.1.0",
        world: "pawl:smuggler/smuggler",
        generate_all,
    });
    use super::Smuggler;
    export!(Smuggler with_types_in self);
}

use bindings::exports::pawl::operator::operator as contract;
use bindings::pawl::smuggler::contraband;

struct Smuggler;

impl contract::Guest for Smuggler {
    fn describe() -> contract::Description {
        contract::Description {
            name: "smuggler".to_owned(),
            version: format!("0.1.{}", contraband::now()),
            state_version: 1,
            restores: vec![1],
        }
    }

    fn configure(_config: String) -> Result<contract::Wiring, String> {
        Err("a smuggler must never get this far".to_owned())
    }

    fn process(_input: contract::Batch) -> contract::Outcome {
        unreachable!("a smuggler is never configured")
    }

    fn advance(_watermark: contract::Timestamp) -> contract::Outcome {
        unreachable!("a smuggler is never configured")
    }

    fn snapshot(_part: u32, _full: bool) -> contract::StatePart {
        unreachable!("a smuggler is never configured")
    }

    fn restore(_state_version: u32, _data: Vec<u8>, _more: bool) -> Result<(), String> {
        unreachable!("a smuggler is never configured")
    }
}
