//! The engine: what WebAssembly may be here, and the clock by which guests are interrupted.
//!
//! It never allows more than operators need: what is switched off cannot be attacked.

use crate::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use wasmtime::{Config, EngineWeak, WasmFeatures};

/// How often the epoch moves, in milliseconds: time limits are exact to about this much.
pub(crate) const TICK_MS: u64 = 5;

/// What is chosen once for a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineOptions {
    /// Count fuel, so that a limit strikes at the same instruction every time. It costs guests up
    /// to a fifth of their speed; time limits hold with and without it.
    pub fuel: bool,
}

/// Compiles components and interrupts guests. One per process; clones are cheap and share it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    engine: wasmtime::Engine,
    fuel: bool,
    /// Taken when dropped: closing the channel ends the ticker at once.
    ticker: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Engine {
    /// Makes an engine and starts its ticker thread, which ends when the last clone is dropped.
    pub fn new(options: &EngineOptions) -> Result<Self, Error> {
        Self::start(options, &config(options))
    }

    /// An engine whose guests nothing interrupts: time limits do not hold (SB-1). For benchmarks
    /// alone, which ask what limits cost; `clippy.toml` bans it everywhere else.
    pub fn unlimited() -> Result<Self, Error> {
        let options = EngineOptions::default();
        let mut config = config(&options);
        config.epoch_interruption(false);
        Self::start(&options, &config)
    }

    fn start(options: &EngineOptions, config: &Config) -> Result<Self, Error> {
        let engine =
            wasmtime::Engine::new(config).map_err(|error| Error::Engine(format!("{error:#}")))?;
        let weak = engine.weak();
        let (stop, stopped) = sync_channel(1);
        let tick = Duration::from_millis(TICK_MS);
        let thread = std::thread::Builder::new()
            .name("pawl-epoch".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                    if !tick_once(&weak) {
                        break;
                    }
                }
            })
            .map_err(|error| Error::Engine(format!("could not start the epoch thread: {error}")))?;
        let inner = Inner { engine, fuel: options.fuel, ticker: Some((stop, thread)) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether guests run on fuel.
    pub fn counts_fuel(&self) -> bool {
        self.inner.fuel
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.engine
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.ticker.take() {
            drop(stop);
            // A ticker that panicked has nothing more to say, and there is nobody to tell.
            thread.join().unwrap_or_default();
        }
    }
}

/// Moves the epoch on by one; false if the engine is gone.
fn tick_once(weak: &EngineWeak) -> bool {
    match weak.upgrade() {
        Some(engine) => {
            engine.increment_epoch();
            true
        }
        None => false,
    }
}

/// Everything that plain synchronous components do not need is off; what decides the result of
/// a computation is fixed, so that a replay computes the same (EO-1).
fn config(options: &EngineOptions) -> Config {
    let mut config = Config::new();
    config.wasm_features(WasmFeatures::all(), false);
    let needed = WasmFeatures::WASM2 | WasmFeatures::EXTENDED_CONST | WasmFeatures::COMPONENT_MODEL;
    config.wasm_features(needed, true);
    config.gc_support(false);
    config.concurrency_support(false);
    config.shared_memory(false);
    config.cranelift_nan_canonicalization(true);
    config.epoch_interruption(true);
    config.consume_fuel(options.fuel);
    config.signals_based_traps(true);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticker_ends_with_the_last_clone() {
        let engine = Engine::new(&EngineOptions::default()).unwrap();
        let weak = engine.wasmtime().weak();
        let clone = engine.clone();
        drop(engine);
        assert!(tick_once(&weak));
        // Joins the ticker, which would hold this test for ever if it did not end.
        drop(clone);
        assert!(!tick_once(&weak));
    }

    #[test]
    fn an_engine_with_fuel_says_so() {
        assert!(Engine::new(&EngineOptions { fuel: true }).unwrap().counts_fuel());
        assert!(!Engine::new(&EngineOptions { fuel: false }).unwrap().counts_fuel());
    }
}
