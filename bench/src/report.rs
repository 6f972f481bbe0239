//! What comes out: lines of a table for people, or one JSON object each for machines. A goal that
//! is missed is said, never an error: what a machine of the day measures proves no regression.

use crate::measure::Spread;
use serde_json::json;

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Goal {
    /// Whether a figure reaches it.
    pub fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(most) => figure <= most,
            Self::AtLeast(least) => figure >= least,
        }
    }
}

/// One figure.
#[derive(Clone, Debug)]
pub struct Line {
    /// What was measured.
    pub what: String,
    /// The figure.
    pub value: Spread,
    /// Its unit.
    pub unit: &'static str,
    /// In multiples of the line before.
    pub before: Option<Spread>,
    /// In multiples of the first line.
    pub first: Option<Spread>,
    /// What it should be.
    pub goal: Option<Goal>,
}

impl Line {
    /// A line with a figure alone.
    pub fn new(what: impl Into<String>, value: Spread, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, before: None, first: None, goal: None }
    }

    /// With a goal.
    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }
}

/// Where lines go.
pub struct Report {
    json: bool,
    missed: usize,
}

impl Report {
    /// For people, or in JSON.
    pub fn new(json: bool) -> Self {
        Self { json, missed: 0 }
    }

    /// Begins a part: its name, and what its figures mean.
    pub fn part(&self, name: &str, about: &str) {
        if !self.json {
            println!("\n{name}: {about}");
            println!(
                "  {:56} {:>10} {:>19}  {:9} {:>7} {:>7}",
                "", "median", "middle half", "", "before", "first"
            );
        }
    }

    /// One line of a part.
    pub fn line(&mut self, part: &str, line: &Line) {
        let met = line.goal.map(|goal| goal.is_met(line.value.median));
        self.missed += usize::from(met == Some(false));
        let Spread { median, low, high, count } = line.value;
        if self.json {
            let goal = line.goal.map(|goal| match goal {
                Goal::AtMost(most) => json!({"at_most": most, "met": met}),
                Goal::AtLeast(least) => json!({"at_least": least, "met": met}),
            });
            let ratio = |spread: Option<Spread>| spread.map(|spread| spread.median);
            let object = json!({
                "part": part, "what": line.what, "unit": line.unit,
                "median": median, "low": low, "high": high, "rounds": count,
                "ratio_before": ratio(line.before), "ratio_first": ratio(line.first), "goal": goal,
            });
            println!("{object}");
            return;
        }
        let ratio = |spread: Option<Spread>| {
            spread.map_or_else(String::new, |spread| format!("{:.2}", spread.median))
        };
        let half = match count {
            1 => String::new(),
            _ => format!("{} to {}", figure(low), figure(high)),
        };
        let goal = line.goal.map_or_else(String::new, |goal| goal_text(goal, met == Some(true)));
        println!(
            "  {:56} {:>10} {half:>19}  {:9} {:>7} {:>7}  {goal}",
            line.what,
            figure(median),
            line.unit,
            ratio(line.before),
            ratio(line.first),
        );
    }

    /// A remark for people.
    pub fn say(&self, text: &str) {
        if !self.json {
            println!("  {text}");
        }
    }

    /// The end, for people.
    pub fn end(&self) {
        if !self.json && self.missed > 0 {
            println!("\n{} goals missed; see bench/README.md", self.missed);
        }
    }
}

fn goal_text(goal: Goal, met: bool) -> String {
    let (sign, bound) = match goal {
        Goal::AtMost(most) => ("<=", most),
        Goal::AtLeast(least) => (">=", least),
    };
    format!("{sign} {bound}{}", if met { "" } else { ", missed" })
}

/// Three figures that count, whatever the size.
fn figure(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
