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
use std::cell::Cell;
use std::time::{Duration, Instant};

/// By how much longer than its limits a guest may take where time is not what is looked at: other
/// processes on this machine are not its fault.
const PATIENCE: u32 = 3;

/// After so long a law begins no further play. Most need a fraction of a second.
const LAW_TIME_MAX: Duration = Duration::from_secs(10);

/// What all snapshots of one play may cost together.
const STATE_COST_MAX: usize = 60_000;

/// Rows that a short list of samples is stretched to, by giving each several times.
const ROWS_MIN: usize = 60;

/// Failures after which the first look cuts the history short.
const SURVEY_FAILURES_MAX: usize = 6;

/// The same for failures that each take a whole time limit.
const SURVEY_SLOW_MAX: usize = 2;

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
    /// When the law that is looked at is to come to an end.
    law_until: Cell<Instant>,
    /// What a snapshot takes: parts, and kibibytes in them.
    pub state_cost: usize,
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
            law_until: Cell::new(until),
            state_cost: 1,
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
            let slow = |broke: &Broke| broke.is_timeout() || broke.owes_without_end();
            let slow_before = failures.iter().filter(|(broke, _)| slow(broke)).count();
            let last = failures.len() + 1 >= SURVEY_FAILURES_MAX
                || broke.owes_without_end()
                || slow_before + usize::from(slow(&broke)) >= SURVEY_SLOW_MAX
                || self.is_over();
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
        let state = Player::new(self).and_then(|mut player| {
            player.play(history::before_end(&self.items), Cut::Every(64))?;
            player.full_snapshot()
        });
        if let Ok(state) = state {
            self.state_cost = state.iter().map(|part| 1 + (part.len() >> 10)).sum::<usize>().max(1);
        }
    }

    /// A law is begun.
    pub fn begin_law(&self) {
        self.law_until.set(self.until.min(Instant::now() + LAW_TIME_MAX));
    }

    /// How many snapshots of this state a play may take, of so many that it would.
    pub fn snapshots_max(&self, wanted: usize) -> usize {
        wanted.min((STATE_COST_MAX / self.state_cost).max(4))
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

    /// Whether the time for one law is over: what was seen by then is what is told.
    pub fn is_law_over(&self) -> bool {
        Instant::now() >= self.law_until.get()
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

    /// The samples that got through: what fails as it is needs no change to fail.
    pub fn sound_inputs(&self) -> Vec<Sample> {
        let played = |at: usize| {
            self.items.iter().any(|item| matches!(item, Item::Row(input, _) if *input == at))
        };
        let all = self.inputs.iter().enumerate();
        all.filter(|(at, _)| played(*at)).map(|(_, sample)| sample.clone()).collect()
    }

    /// Whether the history has ticks: not if `advance` failed in it.
    pub fn has_ticks(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Item::Tick(_)))
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
            law_until: self.law_until.clone(),
            state_cost: self.state_cost,
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
