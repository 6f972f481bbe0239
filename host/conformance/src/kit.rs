//! What all checks share: the component, its configuration, the inputs, the history that most of
//! them play, and what a first look at it showed.

use crate::history::{self, Cut, Item, Making};
use crate::player::{Broke, Player};
use crate::run::Plan;
use crate::sample::{self, Sample};
use crate::times;
use crate::trace::Trace;
use pawl_core::operator::{Description, Wiring};
use pawl_core::record::Timestamp;
use pawl_sandbox::{Component, Error, Instance, Limits};
use std::time::{Duration, Instant};

/// By how much longer than its limits a guest may take where time is not what is looked at: other
/// processes on this machine are not its fault.
const PATIENCE: u32 = 3;

/// Rows that a short list of samples is stretched to, by giving each several times.
const ROWS_MIN: usize = 60;

/// Failures after which the first look cuts the history short.
const SURVEY_FAILURES_MAX: usize = 6;

/// Everything that a check needs.
pub(crate) struct Kit {
    component: Component,
    pub config: String,
    limits: Limits,
    pub description: Description,
    pub wiring: Wiring,
    pub seed: u64,
    /// The samples, cut to a number that takes seconds.
    pub inputs: Vec<Sample>,
    /// The event time of each.
    pub times: Vec<Timestamp>,
    /// Whether the times are made up.
    pub times_made: bool,
    /// Whether the samples are the user's.
    pub samples_given: bool,
    /// The history, without what failed in it.
    pub items: Vec<Item>,
    pub survey: Survey,
    until: Instant,
}

/// What came of the history, one record at a time.
#[derive(Default)]
pub(crate) struct Survey {
    /// Each failure, with the rows and ticks that led there; the last is the culprit.
    pub failures: Vec<(Broke, Vec<Item>)>,
    pub trace: Trace,
    /// How long it took.
    pub time: Duration,
}

impl Kit {
    /// Makes a kit around a component that takes the plan's configuration, without a first look.
    pub fn new(plan: &Plan, component: Component, until: Instant) -> Result<Self, Error> {
        let instance = component.instantiate(&plan.config, &plan.limits)?;
        let samples_given = !plan.samples.is_empty();
        let mut inputs = match samples_given {
            true => plan.samples.iter().take(plan.records_max.max(1)).cloned().collect(),
            false => sample::built_in(),
        };
        let origin = |at: usize| format!("samples/0/{at}").into_bytes();
        for (at, input) in inputs.iter_mut().enumerate() {
            if input.headers.iter().all(|(name, _)| name != "pawl-origin") {
                input.headers.push(("pawl-origin".to_owned(), origin(at)));
            }
        }
        let (times, times_made) = times::of(&inputs);
        let wiring = instance.wiring().clone();
        let making = Making {
            times: &times,
            repeats: ROWS_MIN.div_ceil(inputs.len().max(1)).clamp(1, 20),
            seed: plan.seed,
            delay: i64::try_from(wiring.delay).unwrap_or(i64::MAX),
            ahead: i64::try_from(wiring.ahead).unwrap_or(i64::MAX),
        };
        let items = history::make(&making);
        Ok(Self {
            component,
            config: plan.config.clone(),
            limits: plan.limits.clone(),
            description: instance.description().clone(),
            wiring,
            seed: plan.seed,
            inputs,
            times,
            times_made,
            samples_given,
            items,
            survey: Survey::default(),
            until,
        })
    }

    /// Plays the history one record at a time, takes out what fails, and keeps the rest.
    pub fn survey(&mut self) {
        let mut items = std::mem::take(&mut self.items);
        let mut failures: Vec<(Broke, Vec<Item>)> = Vec::new();
        loop {
            let began = Instant::now();
            let mut player = match Player::new(self) {
                Ok(player) => player,
                Err(broke) => {
                    failures.push((broke, Vec::new()));
                    items.clear();
                    break;
                }
            };
            let Err(broke) = player.play(&items, Cut::Every(1)) else {
                self.survey.trace = player.trace;
                self.survey.time = began.elapsed();
                break;
            };
            let culprit = items.get(broke.events).copied();
            let prefix = items.get(..=broke.events).unwrap_or(&items).to_vec();
            let last = failures.len() + 1 >= SURVEY_FAILURES_MAX || self.is_over();
            let events = broke.events;
            failures.push((broke, prefix));
            match culprit {
                _ if last => items.truncate(events),
                Some(Item::Row(input, _)) => {
                    items.retain(|item| !matches!(item, Item::Row(other, _) if *other == input));
                }
                _ => items.truncate(events),
            }
        }
        self.items = items;
        self.survey.failures = failures;
    }

    /// A fresh instance, patient.
    pub fn instance(&self, config: &str) -> Result<Instance, Error> {
        let mut instance = self.component.instantiate(config, &self.limits)?;
        instance.set_patience(PATIENCE);
        Ok(instance)
    }

    /// A fresh instance under its limits as they are.
    pub fn impatient(&self) -> Result<Instance, Error> {
        self.component.instantiate(&self.config, &self.limits)
    }

    /// Whether the time for the whole run is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// What an input is called.
    pub fn name(&self, input: usize) -> String {
        self.inputs.get(input).map_or_else(String::new, |sample| sample.name.clone())
    }

    /// Plays items in a fresh instance.
    pub fn play(&self, items: &[Item], cut: Cut) -> Result<Trace, Broke> {
        let mut player = Player::new(self)?;
        player.play(items, cut)?;
        Ok(player.trace)
    }

    /// The same with other inputs, and no history.
    pub fn with_inputs(&self, inputs: Vec<Sample>) -> Kit {
        Kit {
            component: self.component.clone(),
            config: self.config.clone(),
            limits: self.limits.clone(),
            description: self.description.clone(),
            wiring: self.wiring.clone(),
            seed: self.seed,
            times: vec![self.times.first().copied().unwrap_or(0); inputs.len()],
            inputs,
            times_made: self.times_made,
            samples_given: self.samples_given,
            items: Vec::new(),
            survey: Survey::default(),
            until: self.until,
        }
    }

    /// Why a law about outputs saw nothing, if it saw nothing.
    pub fn nothing_seen(&self) -> Option<String> {
        let trace = &self.survey.trace;
        let (rows, accepted) = (trace.rows().count(), trace.accepted());
        if rows == 0 {
            return Some("no record got through: see what failed above".to_owned());
        }
        let hint = match self.samples_given {
            true => "give samples that it uses",
            false => "give samples with --input FILE",
        };
        if accepted == 0 {
            return Some(format!("all {rows} records were rejected: {hint}"));
        }
        let none = trace.emitted() == 0;
        none.then(|| format!("{accepted} records were accepted and nothing was emitted: {hint}"))
    }

    /// Why a law about state saw nothing, if it saw nothing.
    pub fn nothing_accepted(&self) -> Option<String> {
        match self.survey.trace.accepted() {
            0 => self.nothing_seen(),
            _ => None,
        }
    }
}
