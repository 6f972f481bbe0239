//! A run: the component is loaded, looked at once, and held to one law after the other.

use crate::checks;
use crate::kit::Kit;
use crate::law::Law;
use crate::report::{Checked, Finding, Outcome, Report};
use crate::sample::Sample;
use crate::watch::Watch;
use pawl_sandbox::{Component, Engine, EngineOptions, Limits};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// What is to be checked, and with what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The component.
    pub bytes: Vec<u8>,
    /// Its configuration, JSON.
    pub config: String,
    /// Records to show to it; none: a set of our own.
    pub samples: Vec<Sample>,
    /// How many of them at most.
    pub records_max: usize,
    /// The laws to check; none: all.
    pub laws: Vec<Law>,
    /// What everything that looks random follows from.
    pub seed: u64,
    /// The bounds of the operator.
    pub limits: Limits,
    /// So long after it was compiled it is not called any more, and what is left is not shown. Each
    /// law has a quarter of that, and ten seconds at least.
    pub time_max: Duration,
    /// A command line that does the same again.
    pub replay: String,
}

/// Why nothing can be checked that is the plugin's to answer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no engine on this machine, or the limits contradict each other.
    Sandbox(pawl_sandbox::Error),
    /// The operator refuses the configuration that it was given; the text is its own.
    Configuration(String),
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Sandbox(error) => error.fmt(to),
            Error::Configuration(text) => {
                let text = crate::trace::clipped(text, 500);
                write!(to, "the operator refuses the configuration it was given: {text}")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Checks the laws of the plan in order, and those that they rest on; `on_checked` hears of each
/// that was asked for, or failed, as soon as it is done.
pub fn run(plan: &Plan, on_checked: &mut dyn FnMut(&Checked)) -> Result<Report, Error> {
    let fuel = plan.limits.fuel_per_record.is_some();
    let engine = Engine::new(&EngineOptions { fuel }).map_err(Error::Sandbox)?;
    let mut report = Report {
        plugin: None,
        digest: String::new(),
        seed: plan.seed,
        samples_given: !plan.samples.is_empty(),
        records: 0,
        records_left_out: plan.samples.len().saturating_sub(plan.records_max.max(1)),
        times_made: false,
        accepted: 0,
        rejected: 0,
        emitted: 0,
        laws: Vec::new(),
        replay: plan.replay.clone(),
    };
    let laws = match plan.laws.is_empty() {
        true => Law::ALL.to_vec(),
        false => Law::ALL.into_iter().filter(|law| plan.laws.contains(law)).collect(),
    };
    let mut done = Done { laws, report: &mut report, on_checked };
    match Component::compile(&engine, &plan.bytes, &plan.limits) {
        Ok(component) => {
            done.report.digest = component.digest().to_owned();
            let watch = Rc::new(Watch::new(plan.time_max));
            with_component(plan, component, watch, &mut done)?;
        }
        Err(error @ (pawl_sandbox::Error::Engine(_) | pawl_sandbox::Error::Limits(_))) => {
            return Err(Error::Sandbox(error));
        }
        Err(error) => done.all_end_with(Law::Component, &error.to_string()),
    }
    Ok(report)
}

/// The laws done so far, and who hears of them.
struct Done<'a> {
    laws: Vec<Law>,
    report: &'a mut Report,
    on_checked: &'a mut dyn FnMut(&Checked),
}

impl Done<'_> {
    /// A law that failed is told, asked for or not: what rests on it says nothing without it.
    fn add(&mut self, checked: Checked) {
        let failed = matches!(checked.outcome, Outcome::Failed(_));
        if failed || self.laws.contains(&checked.law) {
            (self.on_checked)(&checked);
            self.report.laws.push(checked);
        }
    }

    /// `law` failed so that nothing behind it can be looked at. Laws before it held.
    fn all_end_with(&mut self, law: Law, what: &str) {
        for other in Law::ALL {
            let outcome = match other.cmp(&law) {
                std::cmp::Ordering::Less => continue,
                std::cmp::Ordering::Equal => Outcome::Failed(vec![Finding {
                    what: what.to_owned(),
                    steps: Vec::new(),
                    records: Vec::new(),
                }]),
                std::cmp::Ordering::Greater => {
                    Outcome::NotShown(format!("{} failed, so it does not start", law.id()))
                }
            };
            self.add(Checked { law: other, outcome, notes: Vec::new() });
        }
    }
}

/// What is said of a component that made an instance.
pub(crate) const LOADS: &str = "it has no imports, and loads";

fn with_component(
    plan: &Plan,
    component: Component,
    watch: Rc<Watch>,
    done: &mut Done<'_>,
) -> Result<(), Error> {
    let passed = |law, text: &str| Checked {
        law,
        outcome: Outcome::Passed(text.to_owned()),
        notes: Vec::new(),
    };
    let mut kit = match Kit::new(plan, component, watch) {
        Ok(kit) => kit,
        Err(pawl_sandbox::Error::Configuration(text)) => return Err(Error::Configuration(text)),
        Err(pawl_sandbox::Error::Failed { during, failure }) => {
            let law = match during {
                "describe" => Law::Description,
                "configure" if failure.kind() == "bad-return" => Law::Wiring,
                "configure" => Law::ConfigurationNeverTraps,
                _ => Law::Component,
            };
            if law > Law::Component {
                done.add(passed(Law::Component, LOADS));
            }
            if law > Law::Description {
                done.add(passed(Law::Description, "it says who it is"));
            }
            if law > Law::Wiring {
                let outcome = Outcome::NotShown("it gives no wiring".to_owned());
                done.add(Checked { law: Law::Wiring, outcome, notes: Vec::new() });
            }
            let what = format!("{during} failed ({}): {}", failure.kind(), failure.message());
            done.all_end_with(law, &what);
            return Ok(());
        }
        Err(error) => return Err(Error::Sandbox(error)),
    };
    let description = &kit.description;
    done.report.plugin = Some((description.name.clone(), description.version.clone()));
    done.report.records = kit.samples;
    done.report.times_made = kit.times_made;
    kit.watch.begin_law();
    kit.survey();
    let trace = &kit.survey.trace;
    done.report.accepted = trace.accepted();
    done.report.rejected = trace.rows().count() - trace.accepted();
    done.report.emitted = trace.emitted();
    check_laws(&kit, plan, done);
    Ok(())
}

fn check_laws(kit: &Kit, plan: &Plan, done: &mut Done<'_>) {
    let mut outcomes: BTreeMap<Law, &'static str> = BTreeMap::new();
    for law in with_grounds(&done.laws) {
        let broken = law.rests_on().iter().find(|other| outcomes.get(other) == Some(&"failed"));
        let checked = match broken {
            Some(other) => not_shown(law, format!("it rests on {}, which failed", other.id())),
            None if kit.watch.is_over() => {
                let seconds = plan.time_max.as_secs();
                not_shown(law, format!("the time of {seconds} s is over (--time-max-s)"))
            }
            None => {
                kit.watch.begin_law();
                checks::check(kit, law)
            }
        };
        outcomes.insert(law, checked.outcome.name());
        done.add(checked);
    }
}

/// The laws, and all that they rest on, in order.
fn with_grounds(laws: &[Law]) -> BTreeSet<Law> {
    let mut all = BTreeSet::new();
    let mut left = laws.to_vec();
    while let Some(law) = left.pop() {
        if all.insert(law) {
            left.extend(law.rests_on());
        }
    }
    all
}

fn not_shown(law: Law, why: String) -> Checked {
    Checked { law, outcome: Outcome::NotShown(why), notes: Vec::new() }
}
