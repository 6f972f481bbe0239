//! The report for people: a line per law as soon as it is checked, what broke with all that helps
//! to mend it, and one line at the end. With `--json` nothing of that, but one object.

use crate::out::{self, Out};
use crate::terminal::{Paint, paint};
use anyhow::Result;
use pawl_conformance::{Checked, Finding, Outcome, Report};

/// Writes to stdout as the checks go on.
pub struct Printer {
    out: Out,
    json: bool,
}

impl Printer {
    /// A printer.
    pub fn new(json: bool) -> Self {
        Self { out: Out::new(), json }
    }

    /// A law is checked.
    pub fn checked(&mut self, checked: &Checked, replay: &str) -> Result<()> {
        if self.json {
            return Ok(());
        }
        let (word, colour, text) = match &checked.outcome {
            Outcome::Passed(detail) => ("passed", Paint::Green, detail.as_str()),
            Outcome::Failed(_) => ("FAILED", Paint::Red, checked.law.title()),
            Outcome::NotShown(why) => ("not shown", Paint::Yellow, why.as_str()),
        };
        let word = paint(colour, &format!("{word:<9}"));
        let (id, name) = (checked.law.id(), checked.law.name());
        self.out.line(format!("{word}  {id} {name:<20}  {}", out::shown(text)))?;
        if let Outcome::Failed(findings) = &checked.outcome {
            for finding in findings {
                self.finding(finding)?;
            }
            self.out.line(format!("           why:   {}", checked.law.why()))?;
            self.out.line(format!("           mend:  {}", checked.law.mend()))?;
            self.out.line(format!("           again: {replay} --law {id}"))?;
        }
        for note in &checked.notes {
            self.out.line(format!("           note:  {}", out::shown(note)))?;
        }
        self.out.flush()
    }

    fn finding(&mut self, finding: &Finding) -> Result<()> {
        self.out.line(format!("           - {}", out::shown(&finding.what)))?;
        for step in &finding.steps {
            self.out.line(format!("               {}", out::shown(step)))?;
        }
        for record in &finding.records {
            self.out.line(format!("               with {}", out::shown(record)))?;
        }
        Ok(())
    }

    /// All is checked.
    pub fn end(&mut self, report: &Report, strict: bool) -> Result<()> {
        if self.json {
            self.out.line(out::json_line(&report.json())?)?;
            return self.out.flush();
        }
        self.out.line("")?;
        self.out.line(shown_to(report))?;
        let (failed, not_shown) = (report.count("failed"), report.count("not-shown"));
        if failed == 0 && !(strict && not_shown > 0) {
            let passed = report.count("passed");
            let name = name(report);
            let verdict = match not_shown {
                0 => format!("{name} keeps the contract: {passed} laws passed"),
                some if report.accepted == 0 => format!(
                    "{name} broke no law, but no record was accepted: {some} laws were checked on \
                     nothing, {passed} passed"
                ),
                some => format!("{name} broke no law: {passed} laws passed, {some} not shown"),
            };
            let colour = if not_shown == 0 { Paint::Green } else { Paint::Yellow };
            self.out.line(paint(colour, &verdict))?;
        }
        self.out.flush()
    }
}

/// What the plugin calls itself.
pub fn name(report: &Report) -> String {
    match &report.plugin {
        Some((name, version)) => {
            let text: String = format!("{name} {version}").chars().take(80).collect();
            out::shown(&text)
        }
        None => "the plugin".to_owned(),
    }
}

/// What the plugin was shown.
fn shown_to(report: &Report) -> String {
    let of = match report.samples_given {
        true => "samples",
        false => "built-in records (samples of your own, --input FILE, show more)",
    };
    let left_out = match report.records_left_out {
        0 => String::new(),
        left => format!(", {left} more left out (--records-max)"),
    };
    let times = match report.times_made {
        true if report.samples_given => {
            "; event times made up, a second apart (--time-field says where they stand)"
        }
        _ => "",
    };
    format!(
        "{} {of}{left_out}{times}; in the main history {} rows were accepted, {} rejected, {} \
         records emitted; seed {}",
        report.records, report.accepted, report.rejected, report.emitted, report.seed
    )
}
