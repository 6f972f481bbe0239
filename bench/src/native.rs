//! Operators as native code: the plugin's own source, driven by the SDK as in the sandbox, but
//! compiled for this machine and called without a border.

use pawl_core::column::ByteColumn;
use pawl_core::operator;
use pawl_sdk::{Batch, Driver, Operator, Outcome};

/// An operator of whatever type.
pub trait Native {
    /// Takes its configuration, JSON; says whether it did.
    fn configure(&mut self, config: &str) -> Result<(), String>;
    /// Deals with records.
    fn process(&mut self, batch: Batch) -> Outcome;
    /// Time has come to a tick.
    fn advance(&mut self, watermark: i64) -> Outcome;
}

impl<O: Operator> Native for Driver<O> {
    fn configure(&mut self, config: &str) -> Result<(), String> {
        Driver::configure(self, config).map(drop)
    }

    fn process(&mut self, batch: Batch) -> Outcome {
        Driver::process(self, batch)
    }

    fn advance(&mut self, watermark: i64) -> Outcome {
        Driver::advance(self, watermark)
    }
}

/// A new operator, not configured yet.
pub fn new<O: Operator>() -> Box<dyn Native> {
    Box::new(Driver::<O>::new())
}

/// A batch of the host as one of the SDK.
pub fn batch(batch: &operator::Batch) -> Batch {
    Batch {
        keys: column(&batch.keys),
        values: column(&batch.values),
        event_times: batch.event_times.clone(),
        headers: batch.headers.iter().map(column).collect(),
    }
}

fn column(column: &ByteColumn) -> pawl_sdk::ByteColumn {
    pawl_sdk::ByteColumn {
        data: column.data.clone(),
        ends: column.ends.clone(),
        nulls: column.nulls.clone(),
    }
}
