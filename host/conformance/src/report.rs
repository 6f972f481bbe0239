//! What a run found: as values, as JSON with a stable shape, and as JUnit XML for a CI.
//!
//! ```text
//! {"conformance":1,"plugin":{"name","version","digest"},"seed":1,
//!  "samples":{"given":true,"records":20,"accepted":20,"rejected":0,"emitted":31},
//!  "laws":[{"id":"CF-01","name","title","outcome":"passed|failed|not-shown","detail","notes":[],
//!           "findings":[{"what","steps":[],"records":[]}],"why","mend","replay"}],
//!  "passed":28,"failed":0,"not_shown":0}
//! ```
//!
//! `why`, `mend` and `replay` stand only where a law failed.

use crate::law::Law;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;

/// One way in which a law was broken.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What happened.
    pub what: String,
    /// The calls that lead there, as few as were found.
    pub steps: Vec<String>,
    /// The records in them, the first few.
    pub records: Vec<String>,
}

/// What became of a law.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It held over what was seen, which the text says.
    Passed(String),
    /// It did not.
    Failed(Vec<Finding>),
    /// Nothing was seen that could have broken it; the text says why.
    NotShown(String),
}

/// A law, checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Which.
    pub law: Law,
    /// What became of it.
    pub outcome: Outcome,
    /// What an author should know all the same; it breaks no law.
    pub notes: Vec<String>,
}

/// All that a run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plugin's name and version, if it said them.
    pub plugin: Option<(String, String)>,
    /// The SHA-256 of the component, if it could be read as one.
    pub digest: String,
    /// The seed that everything followed from.
    pub seed: u64,
    /// Whether the samples were the user's.
    pub samples_given: bool,
    /// Different records shown.
    pub records: usize,
    /// Records left out, because there were more than are played.
    pub records_left_out: usize,
    /// Whether event times were made up.
    pub times_made: bool,
    /// Rows accepted and rejected over the history, and emissions.
    pub accepted: usize,
    /// See `accepted`.
    pub rejected: usize,
    /// See `accepted`.
    pub emitted: usize,
    /// The laws that were to be checked, in order.
    pub laws: Vec<Checked>,
    /// A command line, to which `--law CF-..` is added to replay one law.
    pub replay: String,
}

impl Outcome {
    /// `passed`, `failed` or `not-shown`.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Passed(_) => "passed",
            Outcome::Failed(_) => "failed",
            Outcome::NotShown(_) => "not-shown",
        }
    }
}

impl Checked {
    /// The command line that checks this law again.
    pub fn replay(&self, report: &Report) -> String {
        format!("{} --law {}", report.replay, self.law.id())
    }

    fn json(&self, report: &Report) -> Value {
        let detail = match &self.outcome {
            Outcome::Passed(text) | Outcome::NotShown(text) => text.as_str(),
            Outcome::Failed(findings) => findings.first().map_or("", |first| first.what.as_str()),
        };
        let mut value = json!({
            "id": self.law.id(),
            "name": self.law.name(),
            "title": self.law.title(),
            "outcome": self.outcome.name(),
            "detail": detail,
            "notes": self.notes,
            "findings": [],
        });
        if let (Outcome::Failed(findings), Some(fields)) = (&self.outcome, value.as_object_mut()) {
            fields.insert("findings".to_owned(), json!(findings));
            fields.insert("why".to_owned(), json!(self.law.why()));
            fields.insert("mend".to_owned(), json!(self.law.mend()));
            fields.insert("replay".to_owned(), json!(self.replay(report)));
        }
        value
    }
}

impl Report {
    /// How many laws ended like that: `passed`, `failed`, `not-shown`.
    pub fn count(&self, outcome: &str) -> usize {
        self.laws.iter().filter(|checked| checked.outcome.name() == outcome).count()
    }

    /// All of it as JSON.
    pub fn json(&self) -> Value {
        let plugin = self.plugin.as_ref();
        json!({
            "conformance": 1,
            "plugin": {
                "name": plugin.map(|(name, _)| name),
                "version": plugin.map(|(_, version)| version),
                "digest": self.digest,
            },
            "seed": self.seed,
            "samples": {
                "given": self.samples_given,
                "records": self.records,
                "left_out": self.records_left_out,
                "times_made_up": self.times_made,
                "accepted": self.accepted,
                "rejected": self.rejected,
                "emitted": self.emitted,
            },
            "laws": self.laws.iter().map(|checked| checked.json(self)).collect::<Vec<_>>(),
            "passed": self.count("passed"),
            "failed": self.count("failed"),
            "not_shown": self.count("not-shown"),
        })
    }

    /// One test suite with a case per law. `strict`: what is not shown counts as failed.
    pub fn junit(&self, strict: bool) -> String {
        let not_shown = self.count("not-shown");
        let failures = self.count("failed") + if strict { not_shown } else { 0 };
        let skipped = if strict { 0 } else { not_shown };
        let name = self.plugin.as_ref().map_or("plugin", |(name, _)| name.as_str());
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite \
             name=\"pawl conformance: {}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" \
             skipped=\"{skipped}\">\n",
            escaped(name),
            self.laws.len()
        );
        for checked in &self.laws {
            let title = escaped(&format!("{} {}", checked.law.id(), checked.law.title()));
            write!(xml, "<testcase classname=\"conformance\" name=\"{title}\">")
                .expect("writing into a string does not fail");
            xml.push_str(&self.junit_body(checked, strict));
            xml.push_str("</testcase>\n");
        }
        xml.push_str("</testsuite>\n</testsuites>\n");
        xml
    }

    fn junit_body(&self, checked: &Checked, strict: bool) -> String {
        match &checked.outcome {
            Outcome::Passed(_) => String::new(),
            Outcome::NotShown(why) if !strict => {
                format!("<skipped message=\"{}\"/>", escaped(why))
            }
            Outcome::NotShown(why) => {
                format!("<failure message=\"not shown: {}\"/>", escaped(why))
            }
            Outcome::Failed(findings) => {
                let what = findings.first().map_or("", |first| first.what.as_str());
                let mut text = String::new();
                for finding in findings {
                    text.push_str(&finding.what);
                    let lines = finding.steps.iter().chain(&finding.records);
                    lines.for_each(|line| text.extend(["\n  ", line]));
                    text.push('\n');
                }
                text.push_str(&checked.replay(self));
                format!("<failure message=\"{}\">{}</failure>", escaped(what), escaped(&text))
            }
        }
    }
}

/// Text within XML. What XML cannot hold at all is left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push('\n'),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            control if control.is_control() => safe.push('\u{fffd}'),
            plain => safe.push(plain),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_a_hostile_text_is_still_xml_and_json() {
        let finding = Finding {
            what: "\"<&>\u{0}\u{1b}😀".to_owned(),
            steps: vec!["]]>".to_owned()],
            records: Vec::new(),
        };
        let report = Report {
            plugin: Some(("a<b".to_owned(), "1".to_owned())),
            digest: String::new(),
            seed: 7,
            samples_given: false,
            records: 1,
            records_left_out: 0,
            times_made: true,
            accepted: 0,
            rejected: 1,
            emitted: 0,
            laws: vec![
                Checked {
                    law: Law::Limits,
                    outcome: Outcome::Failed(vec![finding]),
                    notes: Vec::new(),
                },
                Checked {
                    law: Law::Restore,
                    outcome: Outcome::NotShown("no".to_owned()),
                    notes: Vec::new(),
                },
            ],
            replay: "pawl conformance x.wasm --seed 7".to_owned(),
        };
        let xml = report.junit(false);
        assert!(xml.contains("failures=\"1\" errors=\"0\" skipped=\"1\""), "{xml}");
        assert!(xml.contains("message=\"&quot;&lt;&amp;&gt;\u{fffd}\u{fffd}😀\""), "{xml}");
        assert!(report.junit(true).contains("failures=\"2\""));
        let json = report.json();
        assert_eq!(json["laws"][0]["replay"], "pawl conformance x.wasm --seed 7 --law CF-07");
        assert_eq!((&json["failed"], &json["not_shown"]), (&json!(1), &json!(1)));
    }
}
