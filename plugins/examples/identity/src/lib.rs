//! Sends every record on unchanged: the smallest operator, and the measure of the sandbox's cost.

use pawl_sdk::prelude::*;

/// The operator; it has nothing to remember.
pub struct Identity;

impl Operator for Identity {
    const NAME: &'static str = "identity";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<(Self, Wiring), String> {
        Ok((Self, Wiring::to("out").inherits_headers()))
    }

    fn process(&mut self, record: Record<'_>, out: &mut Emitter<'_>) -> Result<(), Rejection> {
        out.emit(record.value());
        Ok(())
    }
}

pawl_sdk::export!(Identity);
