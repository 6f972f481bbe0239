//! The instances of a stage on one partition: the chain that the core drives. Measures how long
//! guests work, takes their snapshots and gives them back their states.

use crate::crash;
use crate::deliverer::Deliverer;
use crate::error::Error;
use crate::journal::{Among, InHand, Journal, Row};
use crate::meter::OperatorMeter;
use crate::plugins::Running;
use crate::wiring::Told;
use pawl_core::commit::TaskId;
use pawl_core::operator::{Batch, Deliveries, Failure, Operator, Outcome, Receipt};
use pawl_core::record::Timestamp;
use pawl_sandbox::{Instance, StatePart};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One operator's instance, or what delivers the records of a sink.
pub(crate) struct Guest {
    runs: Runs,
    watch: Option<Watch>,
    meter: Arc<OperatorMeter>,
}

enum Runs {
    Plugin(Box<Instance>),
    Sink(Box<Deliverer>),
}

/// How calls are watched after an unclean end.
pub(crate) enum Watch {
    /// Others of the process may be; this one waits while they are.
    Among(Arc<Journal>),
    /// A row of this task may have killed the host.
    Alone(Suspect),
}

/// What is named in the journal.
pub(crate) struct Suspect {
    pub journal: Arc<Journal>,
    pub task: TaskId,
    /// The row in hand; none in a replay, whose rows have passed before.
    pub row: Option<Row>,
    /// The root of the last commit.
    pub root: u64,
    /// A tick has begun: what it makes can be blamed on no row. Shared by the guests of a step.
    pub in_tick: Arc<AtomicBool>,
}

/// What keeps the journal right while a call lasts.
#[allow(dead_code, reason = "held until the call is over, and not looked at")]
enum Held<'a> {
    Among(Among<'a>),
    Alone(std::io::Result<InHand<'a>>),
}

/// The state of one operator: its format, and its parts with their bytes.
#[derive(Clone, Default)]
pub(crate) struct GuestState {
    pub version: u32,
    pub parts: Vec<Arc<[u8]>>,
}

impl Guest {
    /// Makes and configures an instance. `patience` multiplies the limits on time, and on memory.
    pub fn new(running: &Running, patience: u32, meter: Arc<OperatorMeter>) -> Result<Self, Error> {
        let mut limits = running.limits.clone();
        limits.memory_bytes_max = limits.memory_bytes_max.saturating_mul(patience.max(1) as usize);
        let failed = |error| Error::Component { operator: running.name.clone(), error };
        let config = &running.configuration.guest;
        let component = running.component.as_ref().ok_or_else(|| Error::State {
            code: "operators-changed",
            what: format!(
                "{} was a sink and is an operator now; give it another name",
                running.name
            ),
        })?;
        let mut instance = component.instantiate(config, &limits).map_err(failed)?;
        instance.set_patience(patience.max(1));
        meter.holds(instance.memory_bytes());
        Ok(Self { runs: Runs::Plugin(Box::new(instance)), watch: None, meter })
    }

    /// What delivers the records of a sink.
    pub fn sink(deliverer: Deliverer, meter: Arc<OperatorMeter>) -> Self {
        Self { runs: Runs::Sink(Box::new(deliverer)), watch: None, meter }
    }

    /// What delivers, if this is a sink.
    pub fn deliverer(&mut self) -> Option<&mut Deliverer> {
        match &mut self.runs {
            Runs::Sink(deliverer) => Some(deliverer),
            Runs::Plugin(_) => None,
        }
    }

    /// What the instance tells of itself.
    pub fn told(&self) -> Told {
        match &self.runs {
            Runs::Plugin(instance) => Told {
                description: instance.description().clone(),
                wiring: instance.wiring().clone(),
            },
            Runs::Sink(_) => Told::of_sink(),
        }
    }

    /// Watches the calls from now on, or no more.
    pub fn watch(&mut self, watch: Option<Watch>) {
        self.watch = watch;
    }

    /// Limits on time are as configured from now on.
    pub fn be_strict(&mut self) {
        if let Runs::Plugin(instance) = &mut self.runs {
            instance.set_patience(1);
        }
    }

    /// The format in which it writes its state.
    pub fn state_version(&self) -> u32 {
        self.told().description.state_version
    }

    /// Gives it its state back.
    pub fn restore(&mut self, state: &GuestState, name: &str) -> Result<(), Error> {
        let Runs::Plugin(instance) = &mut self.runs else { return Ok(()) };
        let restored = self.meter.busy.time(|| instance.restore(state.version, &state.parts));
        self.meter.holds(instance.memory_bytes());
        restored.map_err(|error| Error::Restore { operator: name.to_owned(), error })
    }

    /// Its state now. `full`: with the bytes of every part.
    pub fn snapshot(&mut self, full: bool) -> Result<Vec<StatePart>, Failure> {
        match &mut self.runs {
            Runs::Plugin(instance) => {
                let given = self.meter.busy.time(|| instance.snapshot(full));
                self.meter.holds(instance.memory_bytes());
                given
            }
            Runs::Sink(_) => Ok(Vec::new()),
        }
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
        let Runs::Plugin(instance) = &mut self.runs else {
            return Err(Failure::BadReturn("a sink computes nothing".to_owned()));
        };
        let held = self.watch.as_ref().map(|watch| match watch {
            Watch::Among(journal) => Held::Among(journal.share()),
            Watch::Alone(suspect) => Held::Alone(match suspect.row {
                Some(row) if !suspect.in_tick.load(Ordering::Relaxed) => {
                    suspect.journal.hold(&suspect.task, row, suspect.root)
                }
                _ => suspect.journal.hold_nothing(),
            }),
        });
        crash::around_call(&batch.values.data);
        let outcome = self.meter.busy.time(|| instance.process(batch));
        self.meter.holds(instance.memory_bytes());
        drop(held);
        outcome
    }

    fn advance(&mut self, watermark: Timestamp) -> Result<Outcome, Failure> {
        let Runs::Plugin(instance) = &mut self.runs else { return Ok(Outcome::default()) };
        // No record can be blamed for what happens here.
        let held = self.watch.as_ref().map(|watch| match watch {
            Watch::Among(journal) => Held::Among(journal.share()),
            Watch::Alone(suspect) => {
                suspect.in_tick.store(true, Ordering::Relaxed);
                Held::Alone(suspect.journal.hold_nothing())
            }
        });
        let outcome = self.meter.busy.time(|| instance.advance(watermark));
        self.meter.holds(instance.memory_bytes());
        drop(held);
        outcome
    }

    fn deliver(&mut self, items: &Deliveries<'_>) -> Result<Vec<Receipt>, Failure> {
        match &mut self.runs {
            Runs::Sink(deliverer) => deliverer.deliver(items),
            Runs::Plugin(_) => Err(Failure::BadReturn("an operator delivers nothing".to_owned())),
        }
    }
}
