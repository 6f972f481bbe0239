//! One guest in its store, and the one way to call it: with a deadline, with bounds on what comes
//! back, and with every way to fail told apart.
//!
//! A guest that failed once is dropped on the spot and never entered again: after a trap it may
//! have stopped anywhere.

use crate::bindings::exports::pawl::operator::operator::Guest as Exports;
use crate::component::Component;
use crate::engine::TICK_MS;
use crate::limits::Limits;
use crate::meter::Meter;
use pawl_core::operator::Failure;
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

/// A guest and the limits under which it is called.
pub(crate) struct Guest {
    /// None once it has failed.
    live: Option<Live>,
    /// How it failed, once it has.
    ended: String,
    limits: Limits,
    patience: u32,
}

struct Live {
    store: Store<Meter>,
    exports: Exports,
}

impl Guest {
    /// Makes an instance of the component in a store of its own.
    pub(crate) fn new(component: &Component, limits: &Limits) -> Result<Self, Failure> {
        let engine = component.engine().wasmtime();
        let mut store = Store::new(engine, Meter::new(limits));
        store.limiter(|meter| meter);
        store.set_max_component_handles(HANDLES_MAX);
        let call = Call { during: "instantiate", records: 0, returns_max: 0 };
        arm(&mut store, limits, 1, call);
        match component.ready().instantiate(&mut store) {
            Ok(plugin) => {
                let exports = plugin.pawl_operator_operator().clone();
                let live = Some(Live { store, exports });
                Ok(Self { live, ended: String::new(), limits: limits.clone(), patience: 1 })
            }
            Err(error) => Err(explain(&error, &mut store, limits, 1, call)),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Multiplies the limits on time and fuel from the next call on.
    pub(crate) fn set_patience(&mut self, factor: u32) {
        self.patience = factor.max(1);
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
        arm(&mut live.store, &self.limits, self.patience, call);
        match enter(&live.exports, &mut live.store) {
            Ok(returned) => Ok(returned),
            Err(error) => {
                let failure = explain(&error, &mut live.store, &self.limits, self.patience, call);
                Err(self.condemn(call.during, failure))
            }
        }
    }

    /// Ends the guest for what it returned.
    pub(crate) fn refuse(&mut self, during: &'static str, what: String) -> Failure {
        self.condemn(during, Failure::BadReturn(format!("{during}: {what}")))
    }

    /// Drops the guest and its memory, and remembers why.
    pub(crate) fn condemn(&mut self, during: &'static str, failure: Failure) -> Failure {
        self.live = None;
        self.ended = format!("a failure in {during} ({}): {}", failure.kind(), failure.message());
        failure
    }
}

/// Sets the deadline, the fuel and the bound on what comes back, and forgets old refusals.
fn arm(store: &mut Store<Meter>, limits: &Limits, patience: u32, call: Call) {
    store.data_mut().take_refusal();
    // One tick more, since the current one is already under way. The sum with the current epoch
    // must not overflow.
    let ticks = (limits.time_ms(call.records, patience).div_ceil(TICK_MS) + 1).min(1 << 48);
    store.set_epoch_deadline(ticks);
    store.set_hostcall_fuel(call.returns_max);
    // Fails only where the engine counts no fuel, and there nobody asked for a limit by fuel.
    store.set_fuel(limits.fuel(call.records, patience)).unwrap_or_default();
}

/// Turns an error of wasmtime into how the guest failed.
fn explain(
    error: &wasmtime::Error,
    store: &mut Store<Meter>,
    limits: &Limits,
    patience: u32,
    call: Call,
) -> Failure {
    let during = call.during;
    let refusal = store.data_mut().take_refusal();
    match (error.downcast_ref::<Trap>(), refusal) {
        (Some(Trap::Interrupt), _) => {
            let time_ms = limits.time_ms(call.records, patience);
            let records = call.records;
            Failure::Timeout(format!("{during} took over {time_ms} ms for {records} records"))
        }
        (Some(Trap::OutOfFuel), _) => {
            let fuel = limits.fuel(call.records, patience);
            let records = call.records;
            Failure::Timeout(format!("{during} took over {fuel} fuel for {records} records"))
        }
        (_, Some(refusal)) => Failure::Memory(format!("{during} {refusal}")),
        // A panic ends in `unreachable` too; its message stays in the guest.
        (Some(Trap::UnreachableCodeReached), None) => {
            Failure::Trap(format!("{during} panicked or reached what it calls unreachable"))
        }
        (Some(trap), None) => Failure::Trap(format!("{during} trapped: {trap}")),
        (None, None) if during == "instantiate" => Failure::Trap(format!("{during}: {error:#}")),
        (None, None) => Failure::BadReturn(format!(
            "{during} returned what cannot be read (at most {} bytes can): {error:#}",
            call.returns_max
        )),
    }
}
