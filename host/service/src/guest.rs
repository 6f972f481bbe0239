//! The instances of a stage on one partition: the chain that the core drives. Measures how long
//! guests work, takes their snapshots and gives them back their states.

use crate::crash;
use crate::error::Error;
use crate::journal::Journal;
use crate::plugins::Running;
use crate::wiring::Told;
use pawl_core::commit::TaskId;
use pawl_core::operator::{Batch, Failure, Operator, Outcome};
use pawl_core::record::{Offset, Timestamp};
use pawl_sandbox::{Instance, StatePart};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One operator's instance.
pub(crate) struct Guest {
    instance: Instance,
    watch: Option<Watch>,
}

/// How calls are watched after an unclean end.
pub(crate) struct Watch {
    pub journal: Arc<Journal>,
    pub task: TaskId,
    /// The row in hand; none in a replay, whose rows have passed before.
    pub position: Option<Offset>,
    /// The root of the last commit.
    pub root: u64,
    /// A tick has begun: what it makes can be blamed on no row. Shared by the guests of a step.
    pub in_tick: Arc<AtomicBool>,
}

/// The state of one operator: its format, and its parts with their bytes.
#[derive(Clone, Default)]
pub(crate) struct GuestState {
    pub version: u32,
    pub parts: Vec<Arc<[u8]>>,
}

impl Guest {
    /// Makes and configures an instance. `patience` multiplies the limits on time, and on memory.
    pub fn new(running: &Running, patience: u32) -> Result<Self, Error> {
        let mut limits = running.limits.clone();
        limits.memory_bytes_max = limits.memory_bytes_max.saturating_mul(patience.max(1) as usize);
        let failed = |error| Error::Component { operator: running.name.clone(), error };
        let config = &running.configuration.guest;
        let mut instance = running.component.instantiate(config, &limits).map_err(failed)?;
        instance.set_patience(patience.max(1));
        Ok(Self { instance, watch: None })
    }

    /// What the instance tells of itself.
    pub fn told(&self) -> Told {
        Told {
            description: self.instance.description().clone(),
            wiring: self.instance.wiring().clone(),
        }
    }

    /// Watches the calls from now on, or no more.
    pub fn watch(&mut self, watch: Option<Watch>) {
        self.watch = watch;
    }

    /// Limits on time are as configured from now on.
    pub fn be_strict(&mut self) {
        self.instance.set_patience(1);
    }

    /// The format in which it writes its state.
    pub fn state_version(&self) -> u32 {
        self.instance.description().state_version
    }

    /// Gives it its state back.
    pub fn restore(&mut self, state: &GuestState, name: &str) -> Result<(), Error> {
        self.instance
            .restore(state.version, &state.parts)
            .map_err(|error| Error::Restore { operator: name.to_owned(), error })
    }

    /// Its state now. `full`: with the bytes of every part.
    pub fn snapshot(&mut self, full: bool) -> Result<Vec<StatePart>, Failure> {
        self.instance.snapshot(full)
    }

    /// Its whole state.
    pub fn state(&mut self, name: &str) -> Result<GuestState, Error> {
        let version = self.state_version();
        let parts = self.snapshot(true).map_err(|failure| Error::Operator {
            code: "snapshot",
            operator: name.to_owned(),
            what: format!("failed in snapshot: {}: {}", failure.kind(), failure.message()),
        })?;
        let parts = parts.into_iter().map(|part| part.data.unwrap_or_default().into()).collect();
        Ok(GuestState { version, parts })
    }
}

impl Operator for Guest {
    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        let held = self.watch.as_ref().map(|watch| match watch.position {
            Some(row) if !watch.in_tick.load(Ordering::Relaxed) => {
                watch.journal.hold(&watch.task, row, watch.root)
            }
            _ => watch.journal.hold_nothing(),
        });
        crash::around_call(&batch.values.data);
        let outcome = self.instance.process(batch);
        drop(held);
        outcome
    }

    fn advance(&mut self, watermark: Timestamp) -> Result<Outcome, Failure> {
        // No record can be blamed for what happens here.
        let held = self.watch.as_ref().map(|watch| {
            watch.in_tick.store(true, Ordering::Relaxed);
            watch.journal.hold_nothing()
        });
        let outcome = self.instance.advance(watermark);
        drop(held);
        outcome
    }
}
