//! One guest in its store, and the one way to call it: with a deadline, with bounds on what comes
//! back, and with every way to fail told apart.
//!
//! A guest that failed once is dropped on the spot and never entered again: after a trap it may
//! have stopped anywhere.

use crate::bindings::exports::pawl::operator::operator::Guest as Exports;
use crate::component::Component;
use crate::engine::{Engine, TICK_MS};
use crate::limits::Limits;
use crate::meter::Meter;
use pawl_core::operator::Failure;
use std::time::Instant;
use wasmtime::{Store, Trap};

/// No operator has resources, so none has handles to them.
const HANDLES_MAX: usize = 0;

/// What one call may do.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// The name of the export, for messages.
    pub during: &'static str,
    /// Records in the call; each is worth some time.
    pub records: usize,
    /// Bytes that may come back, everything counted.
    pub returns_max: usize,
}

/// A guest and the bounds under which it is called.
pub(crate) struct Guest {
    /// None once it has failed.
    live: Option<Live>,
    /// How it failed, once it has.
    ended: String,
    bounds: Bounds,
}

struct Live {
    store: Store<Meter>,
    exports: Exports,
}

struct Bounds {
    /// Kept for its ticker: without it no deadline would ever pass.
    engine: Engine,
    limits: Limits,
    patience: u32,
}

impl Guest {
    /// Makes an instance of the component in a store of its own.
    pub(crate) fn new(component: &Component, limits: &Limits) -> Result<Self, Failure> {
        let engine = component.engine().clone();
        let mut store = Store::new(engine.wasmtime(), Meter::new(limits));
        let bounds = Bounds { engine, limits: limits.clone(), patience: 1 };
        store.limiter(|meter| meter);
        store.set_max_component_handles(HANDLES_MAX);
        let call = Call { during: "instantiate", records: 0, returns_max: 0 };
        bounds.arm(&mut store, call);
        match component.ready().instantiate(&mut store) {
            Ok(plugin) => {
                let exports = plugin.pawl_operator_operator().clone();
                Ok(Self { live: Some(Live { store, exports }), ended: String::new(), bounds })
            }
            Err(error) => Err(bounds.explain(&error, &mut store, call)),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.bounds.limits
    }

    /// Multiplies the limits on time and fuel from the next call on.
    pub(crate) fn set_patience(&mut self, factor: u32) {
        self.bounds.patience = factor.max(1);
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.live.as_ref().map_or(0, |live| live.store.data().memory_bytes())
    }

    /// Calls an export.
    pub(crate) fn call<R>(
        &mut self,
        call: Call,
        enter: impl FnOnce(&Exports, &mut Store<Meter>) -> wasmtime::Result<R>,
    ) -> Result<R, Failure> {
        let Some(live) = &mut self.live else {
            return Err(Failure::Trap(format!("instance is not usable after {}", self.ended)));
        };
        self.bounds.arm(&mut live.store, call);
        match enter(&live.exports, &mut live.store) {
            Ok(returned) => Ok(returned),
            Err(error) => {
                let failure = self.bounds.explain(&error, &mut live.store, call);
                Err(self.condemn(call.during, failure))
            }
        }
    }

    /// Ends the guest for what it returned.
    pub(crate) fn refuse(&mut self, during: &'static str, what: String) -> Failure {
        self.condemn(during, Failure::BadReturn(format!("{during}: {what}")))
    }

    /// Ends the guest if the calls for its state, begun at `began`, take too long together: each
    /// of them is short, but there may be many.
    pub(crate) fn check_state_time(
        &mut self,
        during: &'static str,
        began: Instant,
    ) -> Result<(), Failure> {
        let Bounds { limits, patience, .. } = &self.bounds;
        let max_ms = limits.state_time_max_ms.saturating_mul(u64::from(*patience));
        if began.elapsed().as_millis() <= u128::from(max_ms) {
            return Ok(());
        }
        let what = format!("{during} took over {max_ms} ms for all parts (state_time_max_ms)");
        Err(self.condemn(during, Failure::Timeout(what)))
    }

    /// Ends the guest if the calls for one batch or tick, begun at `began`, take longer together
    /// than one call for all its records may.
    pub(crate) fn check_time(
        &mut self,
        during: &'static str,
        began: Instant,
        records: usize,
    ) -> Result<(), Failure> {
        let max_ms = self.bounds.limits.time_ms(records, self.bounds.patience);
        if began.elapsed().as_millis() <= u128::from(max_ms) {
            return Ok(());
        }
        let what = format!("{during} took over {max_ms} ms in calls that each asked for more");
        Err(self.condemn(during, Failure::Timeout(what)))
    }

    /// Drops the guest and its memory, and remembers why.
    fn condemn(&mut self, during: &'static str, failure: Failure) -> Failure {
        self.live = None;
        self.ended = format!("a failure in {during} ({}): {}", failure.kind(), failure.message());
        failure
    }
}

impl Bounds {
    /// Sets the deadline, the fuel and the bound on what comes back, and forgets old refusals.
    fn arm(&self, store: &mut Store<Meter>, call: Call) {
        store.data_mut().take_refusal();
        store.set_hostcall_fuel(call.returns_max);
        // One tick more, since the current one is already under way. The sum with the current
        // epoch must not overflow.
        let ticks = self.limits.time_ms(call.records, self.patience).div_ceil(TICK_MS) + 1;
        store.set_epoch_deadline(ticks.min(1 << 48));
        if self.engine.counts_fuel() {
            store
                .set_fuel(self.limits.fuel(call.records, self.patience))
                .expect("the engine counts fuel");
        }
    }

    /// Turns an error of wasmtime into how the guest failed.
    fn explain(&self, error: &wasmtime::Error, store: &mut Store<Meter>, call: Call) -> Failure {
        let Call { during, records, returns_max } = call;
        let refusal = store.data_mut().take_refusal();
        match (error.downcast_ref::<Trap>(), refusal) {
            (Some(Trap::Interrupt), _) => {
                let time_ms = self.limits.time_ms(records, self.patience);
                Failure::Timeout(format!("{during} took over {time_ms} ms for {records} records"))
            }
            (Some(Trap::OutOfFuel), _) => {
                let fuel = self.limits.fuel(records, self.patience);
                Failure::Timeout(format!("{during} took over {fuel} fuel for {records} records"))
            }
            (_, Some(refusal)) => Failure::Memory(format!("{during} {refusal}")),
            // A panic ends in `unreachable` too; its message stays in the guest.
            (Some(Trap::UnreachableCodeReached), None) => {
                Failure::Trap(format!("{during} panicked or reached what it calls unreachable"))
            }
            (Some(trap), None) => Failure::Trap(format!("{during} trapped: {trap}")),
            (None, None) if during == "instantiate" => {
                Failure::Trap(format!("{during}: {error:#}"))
            }
            (None, None) => Failure::BadReturn(format!(
                "{during} returned what cannot be read (at most {returns_max} bytes can): {error:#}"
            )),
        }
    }
}
