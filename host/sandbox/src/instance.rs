//! One configured operator on one partition: what it says about itself, and how it computes.
//!
//! It never hands on anything that it has not checked, and it never enters a guest that failed.

use crate::bindings::exports::pawl::operator::operator as contract;
use crate::call::{Call, Guest};
use crate::component::Component;
use crate::error::Error;
use crate::limits::Limits;
use crate::outcome::{self, Asked};
use crate::wiring;
use pawl_core::column::ByteColumn;
use pawl_core::operator::{Batch, Description, Failure, Operator, Outcome, Wiring};
use pawl_core::record::Timestamp;
use std::sync::Arc;
use std::time::Instant;

/// Bytes that `describe`, `configure` and `restore` may return; what is in them is bounded more
/// closely.
pub(crate) const TEXT_RETURN_BYTES_MAX: usize = 1 << 20;

/// A component configured and ready to compute. Single-threaded, but it may move between threads.
///
/// After any failure it is poisoned: its memory is freed, and every later call fails at once.
pub struct Instance {
    pub(crate) guest: Guest,
    pub(crate) description: Description,
    wiring: Wiring,
    digest: Arc<str>,
    /// Whether the last `process` owes emissions to its last row.
    owes: bool,
    /// When the batch or tick was begun that the last call did not finish, and its records: calls
    /// that go on with it share its time.
    under_way: Option<(Instant, usize)>,
    /// Whether nothing has been computed, restored or snapshotted yet.
    pub(crate) fresh: bool,
    /// Bytes of each part of the last snapshot given, or of the state taken up from the
    /// operator's own version: the parts that may be absent next time.
    pub(crate) part_bytes: Vec<usize>,
}

impl Instance {
    pub(crate) fn new(component: &Component, config: &str, limits: &Limits) -> Result<Self, Error> {
        let failed = |during| move |failure| Error::Failed { during, failure };
        let mut guest = Guest::new(component, limits).map_err(failed("instantiate"))?;
        let call = Call { during: "describe", records: 0, returns_max: TEXT_RETURN_BYTES_MAX };
        let description = guest
            .call(call, |exports, store| exports.call_describe(store))
            .and_then(|told| {
                wiring::description(told).map_err(|what| guest.refuse("describe", what))
            })
            .map_err(failed("describe"))?;
        let call = Call { during: "configure", ..call };
        let wiring = guest
            .call(call, |exports, store| exports.call_configure(store, config))
            .map_err(failed("configure"))?
            .map_err(|text| Error::Configuration(outcome::cut(text)))?;
        let wiring = wiring::wiring(wiring)
            .map_err(|what| guest.refuse("configure", what))
            .map_err(failed("configure"))?;
        Ok(Self {
            guest,
            description,
            wiring,
            digest: component.shared_digest(),
            owes: false,
            under_way: None,
            fresh: true,
            part_bytes: Vec::new(),
        })
    }

    /// When the batch or tick at hand was begun, and its records. A failure if the calls for it
    /// have taken too long together: each of them is short, but a guest may ask for many.
    fn logical_call(
        &mut self,
        during: &'static str,
        records: usize,
    ) -> Result<(Instant, usize), Failure> {
        let (began, records) = self.under_way.take().unwrap_or((Instant::now(), records));
        self.guest.check_time(during, began, records)?;
        Ok((began, records))
    }

    /// Who the operator says it is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// How it is joined to its surroundings.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// The SHA-256 of the component, in lower-case hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Multiplies the limits on time and fuel from the next call on; 1 is as configured. A muted
    /// replay uses 10, because there a time limit is no verdict.
    pub fn set_patience(&mut self, factor: u32) {
        self.guest.set_patience(factor);
    }

    /// Bytes of the guest's linear memories; 0 once it has failed. What the host itself holds
    /// for the instance comes on top, some 10 KiB.
    pub fn memory_bytes(&self) -> usize {
        self.guest.memory_bytes()
    }

    fn asked(&self, rows: usize, owed: bool) -> Asked {
        Asked { rows, owed, outputs: self.wiring.outputs.len(), sets: self.wiring.sets.len() }
    }
}

impl Operator for Instance {
    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        self.fresh = false;
        let (began, records) = self.logical_call("process", batch.len())?;
        let owed = std::mem::take(&mut self.owes);
        let asked = self.asked(batch.len(), owed);
        let headers: Vec<_> = batch.headers.iter().map(lend).collect();
        let input = contract::Batch {
            keys: lend(&batch.keys),
            values: lend(&batch.values),
            event_times: &batch.event_times,
            headers: &headers,
        };
        let returns_max = self.guest.limits().output_bytes_max;
        let call = Call { during: "process", records: batch.len(), returns_max };
        let returned =
            self.guest.call(call, |exports, store| exports.call_process(store, input))?;
        let outcome = outcome::take(returned);
        asked.check_process(&outcome).map_err(|what| self.guest.refuse("process", what))?;
        self.owes = outcome.more;
        if outcome.more || (outcome.taken as usize) < batch.len() {
            self.under_way = Some((began, records));
        }
        Ok(outcome)
    }

    fn advance(&mut self, watermark: Timestamp) -> Result<Outcome, Failure> {
        self.fresh = false;
        self.owes = false;
        let (began, records) = self.logical_call("advance", 0)?;
        let returns_max = self.guest.limits().output_bytes_max;
        let call = Call { during: "advance", records: 0, returns_max };
        let returned =
            self.guest.call(call, |exports, store| exports.call_advance(store, watermark))?;
        let outcome = outcome::take(returned);
        let asked = self.asked(0, false);
        asked.check_advance(&outcome).map_err(|what| self.guest.refuse("advance", what))?;
        if outcome.more {
            self.under_way = Some((began, records));
        }
        Ok(outcome)
    }
}

/// A column by reference: it is copied once, into the guest.
fn lend(column: &ByteColumn) -> contract::ByteColumnParam<'_> {
    contract::ByteColumnParam { data: &column.data, ends: &column.ends, nulls: &column.nulls }
}
