//! What all checks share: the component, its configuration, the inputs, the history that most of
//! them play, and what a first look at it showed.

use crate::history::{self, Call, Cut, Item, Making};
use crate::player::{Broke, Player};
use crate::run::Plan;
use crate::sample::{self, Sample};
use crate::trace::Trace;
use crate::watch::Watch;
use crate::{mutate, times};
use pawl_core::operator::{Description, Wiring};
use pawl_core::record::Timestamp;
use pawl_sandbox::{Component, Error, Instance, Limits};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// By how much longer than its limits a guest may take where time is not what is looked at: other
/// processes on this machine are not its fault.
const PATIENCE: u64 = 3;

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
    /// The same with more time.
    patient: Limits,
    pub description: Description,
    pub wiring: Wiring,
    pub seed: u64,
    /// The samples, cut to a number that takes seconds, and behind them unusual ones made of them.
    pub inputs: Vec<Sample>,
    /// How many of them are samples.
    pub samples: usize,
    /// The event time of each.
    pub times: Vec<Timestamp>,
    /// Whether the times are made up.
    pub times_made: bool,
    /// Whether the samples are the user's.
    pub samples_given: bool,
    /// The history, without what failed in it.
    pub items: Vec<Item>,
    pub survey: Survey,
    pub watch: Rc<Watch>,
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
    /// Items that there was no time for.
    pub left_out: usize,
}

/// Limits that leave so much more time.
fn patient(limits: &Limits) -> Limits {
    Limits {
        time_per_call_ms: limits.time_per_call_ms.saturating_mul(PATIENCE),
        time_per_record_us: limits.time_per_record_us.saturating_mul(PATIENCE),
        state_time_max_ms: limits.state_time_max_ms.saturating_mul(PATIENCE),
        fuel_per_record: limits.fuel_per_record.map(|fuel| fuel.saturating_mul(PATIENCE)),
        fuel_per_call: limits.fuel_per_call.saturating_mul(PATIENCE),
        ..limits.clone()
    }
}

impl Kit {
    /// Makes a kit around a component that takes the plan's configuration, without a first look.
    pub fn new(plan: &Plan, component: Component, watch: Rc<Watch>) -> Result<Self, Error> {
        let patient = patient(&plan.limits);
        let instance = component.instantiate(&plan.config, &patient)?;
        let samples_given = !plan.samples.is_empty();
        let mut inputs: Vec<Sample> = match samples_given {
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
            patient,
            description: instance.description().clone(),
            wiring,
            seed: plan.seed,
            samples: inputs.len(),
            inputs,
            times,
            times_made,
            samples_given,
            items,
            survey: Survey::default(),
            watch,
            state_cost: 1,
        })
    }

    /// A first look at the history, and at unusual records, which go into it if they are taken.
    pub fn survey(&mut self) {
        self.look();
        self.add_unusual();
        let state = Player::new(self).and_then(|mut player| {
            player.play(history::before_end(&self.items), Cut::Every(64))?;
            player.full_snapshot()
        });
        if let Ok(state) = state {
            self.state_cost = state.iter().map(|part| 1 + (part.len() >> 10)).sum::<usize>().max(1);
        }
    }

    /// Plays the history one record at a time, takes out what fails, and keeps the rest.
    fn look(&mut self) {
        let mut items = std::mem::take(&mut self.items);
        let mut failures: Vec<(Broke, Vec<Item>)> = Vec::new();
        loop {
            let began = Instant::now();
            let mut player = match Player::new(self) {
                Ok(player) => player,
                Err(broke) => {
                    if broke.is_over() {
                        self.survey.left_out = items.len();
                    } else {
                        failures.push((broke, Vec::new()));
                    }
                    items.clear();
                    break;
                }
            };
            let Err(broke) = player.play(&items, Cut::Every(1)) else {
                self.survey.trace = player.trace;
                self.survey.time = began.elapsed();
                break;
            };
            if broke.is_over() {
                let trace = player.trace;
                self.survey.left_out = items.len() - broke.events.min(items.len());
                items.truncate(broke.events);
                self.survey.trace = trace;
                break;
            }
            let culprit = items.get(broke.events).copied();
            let prefix = items.get(..=broke.events).unwrap_or(&items).to_vec();
            let slow = |broke: &Broke| broke.is_timeout() || broke.owes_without_end();
            let slow_before = failures.iter().filter(|(broke, _)| slow(broke)).count();
            let last = failures.len() + 1 >= SURVEY_FAILURES_MAX
                || broke.owes_without_end()
                || slow_before + usize::from(slow(&broke)) >= SURVEY_SLOW_MAX
                || self.watch.is_over();
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

    /// Puts records into the history that are unusual and taken all the same: null and empty keys
    /// and values, and long ones. What a state makes of them shows there. Those that fail are left
    /// to the laws about them.
    fn add_unusual(&mut self) {
        let (items, trace) = (self.items.clone(), self.survey.trace.clone());
        let sound: Vec<usize> = (0..self.samples).filter(|at| self.is_played(*at)).collect();
        let bases: BTreeSet<usize> = [1, 2, 3]
            .iter()
            .filter_map(|part| sound.get(sound.len() * part / 4))
            .copied()
            .collect();
        for base in bases {
            let Some(sample) = self.inputs.get(base) else { continue };
            for unusual in mutate::unusual(sample) {
                self.add_if_taken(base, unusual);
            }
        }
        if self.inputs.len() == self.samples {
            return;
        }
        match self.play(&self.items, Cut::Every(1)) {
            Ok(trace) => self.survey.trace = trace,
            Err(_) => {
                (self.items, self.survey.trace) = (items, trace);
                self.inputs.truncate(self.samples);
                self.times.truncate(self.samples);
            }
        }
    }

    /// Puts a record behind the first row of the input `base`, if it is taken there on its own.
    fn add_if_taken(&mut self, base: usize, unusual: Sample) {
        let is_base = |item: &Item| matches!(item, Item::Row(input, _) if *input == base);
        let Some(at) = self.items.iter().position(is_base) else { return };
        let Some(Item::Row(_, time)) = self.items.get(at).copied() else { return };
        let alone = self.with_inputs(vec![unusual.clone()]);
        let taken = alone.play(&[Item::Row(0, time)], Cut::Every(1));
        if taken.is_ok_and(|trace| trace.accepted() == 1) {
            self.items.insert(at + 1, Item::Row(self.inputs.len(), time));
            self.inputs.push(unusual);
            self.times.push(time);
        }
    }

    /// Whether the input is in the history.
    fn is_played(&self, at: usize) -> bool {
        self.items.iter().any(|item| matches!(item, Item::Row(input, _) if *input == at))
    }

    /// The calls that a history is made of.
    pub fn calls(&self, items: &[Item], cut: Cut) -> Vec<Call> {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let bytes = |input: usize| {
            self.inputs.get(input).map_or(0, |sample| length(&sample.key) + length(&sample.value))
        };
        history::calls(items, cut, &bytes)
    }

    /// How many snapshots of this state a play may take, of so many that it would.
    pub fn snapshots_max(&self, wanted: usize) -> usize {
        wanted.min((STATE_COST_MAX / self.state_cost).max(4))
    }

    /// A fresh instance, patient.
    pub fn instance(&self, config: &str) -> Result<Instance, Error> {
        self.component.instantiate(config, &self.patient)
    }

    /// A fresh instance under its limits as they are.
    pub fn impatient(&self) -> Result<Instance, Error> {
        self.component.instantiate(&self.config, &self.limits)
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
        let all = self.inputs.iter().take(self.samples).enumerate();
        all.filter(|(at, _)| self.is_played(*at)).map(|(_, sample)| sample.clone()).collect()
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
            patient: self.patient.clone(),
            description: self.description.clone(),
            wiring: self.wiring.clone(),
            seed: self.seed,
            times: vec![self.times.first().copied().unwrap_or(0); inputs.len()],
            samples: inputs.len(),
            inputs,
            times_made: self.times_made,
            samples_given: self.samples_given,
            items: Vec::new(),
            survey: Survey::default(),
            watch: Rc::clone(&self.watch),
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
