//! `pawl conformance`: holds a plugin to the contract, law by law, and says what broke and how to
//! play it again. The checks are `pawl-conformance`'s; nothing is judged here.

mod limits;
mod print;
mod samples;

use crate::failure::usage;
use crate::out::{self, Out};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use limits::LimitOptions;
use pawl_conformance::{Error, Law, Plan, Report};
use print::Printer;
use samples::{Fields, Unit};
use std::path::PathBuf;
use std::time::Duration;

/// Hold a plugin to the contract with operators: numbered laws, each checked and explained
#[derive(Debug, Args)]
pub struct Arguments {
    /// The component
    #[arg(value_name = "PLUGIN", required_unless_present = "laws")]
    plugin: Option<PathBuf>,
    /// Its configuration: a JSON file, or JSON that begins with `{`
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// Samples, one per line: JSON values, or whole records as `pawl consume --json` prints them
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where values hold their event time, as a JSON pointer: `/t_ms`
    #[arg(long, value_name = "POINTER", requires = "input")]
    time_field: Option<String>,
    /// What a number there counts since 1970
    #[arg(long, value_name = "UNIT", default_value = "ms", requires = "time_field")]
    time_unit: Unit,
    /// Where values hold their key, as a JSON pointer
    #[arg(long, value_name = "POINTER", requires = "input")]
    key_field: Option<String>,
    /// Check only this law and those it rests on: `7` or `CF-07`; more with commas, or again
    #[arg(long, value_name = "N", value_delimiter = ',')]
    law: Vec<String>,
    /// What everything that looks random follows from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The report as JSON
    #[arg(long)]
    json: bool,
    /// The report as JUnit XML, into this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// What could not be shown counts as failed
    #[arg(long)]
    strict: bool,
    /// Play the first so many samples
    #[arg(long, value_name = "N", default_value_t = RECORDS_MAX)]
    records_max: usize,
    /// Call the plugin no more after so many seconds; each law has a quarter of them
    #[arg(long, value_name = "N", default_value_t = TIME_MAX_S)]
    time_max_s: u64,
    /// Print all laws as Markdown, and check nothing
    #[arg(long, conflicts_with = "plugin")]
    laws: bool,
    #[command(flatten)]
    limits: LimitOptions,
}

/// How long a run takes at most unless told otherwise, and samples that are played.
const TIME_MAX_S: u64 = 120;
const RECORDS_MAX: usize = 500;

/// Runs the command.
pub fn conformance(arguments: &Arguments) -> Result<()> {
    if arguments.laws {
        let mut out = Out::new();
        out.bytes(pawl_conformance::catalogue().as_bytes())?;
        return out.flush();
    }
    let plan = arguments.plan()?;
    let mut printer = Printer::new(arguments.json);
    let mut failed = None;
    let ran = pawl_conformance::run(&plan, &mut |checked| {
        // A reader that went away is told at the end; the checks are soon done.
        if let Err(error) = printer.checked(checked, &plan.replay) {
            failed.get_or_insert(error);
        }
    });
    let report = match ran {
        Ok(report) => report,
        Err(error @ Error::Configuration(_)) => {
            let hint = match arguments.config {
                None => "; give it one with --config",
                Some(_) => "; mend it, or give another with --config",
            };
            return Err(usage(format!("{error}{hint}")));
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(file) = &arguments.junit {
        let xml = report.junit(arguments.strict);
        std::fs::write(file, xml).with_context(|| format!("failed to write {}", file.display()))?;
    }
    if let Some(error) = failed {
        return Err(error);
    }
    printer.end(&report, arguments.strict)?;
    verdict(&report, arguments.strict)
}

/// An error if a law failed, or was not shown where it had to be.
fn verdict(report: &Report, strict: bool) -> Result<()> {
    let ids = |outcome: &str| -> Vec<String> {
        let those = report.laws.iter().filter(|checked| checked.outcome.name() == outcome);
        those.map(|checked| checked.law.id()).collect()
    };
    let (failed, not_shown) = (ids("failed"), ids("not-shown"));
    let name = print::name(report);
    if !failed.is_empty() {
        let laws = report.laws.len();
        return Err(anyhow!(
            "{name} breaks the contract: {} of {laws} laws failed ({})",
            failed.len(),
            failed.join(", ")
        ));
    }
    if strict && !not_shown.is_empty() {
        return Err(anyhow!(
            "{name} is not shown to keep {} (--strict): give samples that it uses, with --input",
            not_shown.join(", ")
        ));
    }
    Ok(())
}

impl Arguments {
    fn plan(&self) -> Result<Plan> {
        let file = self.plugin.as_deref().context("no plugin is given")?;
        let bytes = std::fs::read(file)
            .map_err(|error| usage(format!("could not read {}: {error}", file.display())))?;
        let fields = Fields {
            time: self.time_field.clone(),
            unit: self.time_unit,
            key: self.key_field.clone(),
        };
        let samples = match &self.input {
            None => Vec::new(),
            Some(input) => samples::read(input, &fields)?,
        };
        let config = self.config_text()?;
        Ok(Plan {
            bytes,
            replay: self.replay(&config),
            config,
            samples,
            records_max: self.records_max,
            laws: self.laws_asked()?,
            seed: self.seed,
            limits: pawl_service::sandbox_limits(&self.limits.limits()),
            time_max: Duration::from_secs(self.time_max_s),
        })
    }

    /// Whether the configuration stands on the command line itself.
    fn is_inline(config: &str) -> bool {
        config.trim_start().starts_with('{')
    }

    /// The configuration on one line, without blanks, as a pipeline gives it.
    fn config_text(&self) -> Result<String> {
        let Some(config) = &self.config else { return Ok("{}".to_owned()) };
        let (text, place) = match Self::is_inline(config) {
            true => (config.clone(), "--config".to_owned()),
            false => {
                let text = std::fs::read_to_string(config)
                    .map_err(|error| usage(format!("could not read {config}: {error}")))?;
                (text, config.clone())
            }
        };
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(value) if value.is_object() => Ok(value.to_string()),
            Ok(_) => Err(usage(format!("{place} should be a JSON object"))),
            Err(error) => Err(usage(format!("{place} is not JSON: {error}"))),
        }
    }

    fn laws_asked(&self) -> Result<Vec<Law>> {
        let parse = |text: &String| {
            let last = Law::ALL.len();
            Law::parse(text).ok_or_else(|| {
                usage(format!("there is no law {text:?}: CF-01 to CF-{last:02} are"))
            })
        };
        self.law.iter().map(parse).collect()
    }

    /// A command line that does the same again, of any law.
    fn replay(&self, config: &str) -> String {
        let mut words = vec!["pawl conformance".to_owned()];
        let path = |path: &PathBuf| path.display().to_string();
        words.extend(self.plugin.as_ref().map(|plugin| quoted(&path(plugin))));
        let mut add = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("{name} {}", quoted(&value))));
        };
        let inline = |given: &String| match Self::is_inline(given) {
            true => config.to_owned(),
            false => given.clone(),
        };
        add("--config", self.config.as_ref().map(inline));
        add("--input", self.input.as_ref().map(path));
        add("--time-field", self.time_field.clone());
        let unit = (self.time_unit != Unit::Ms).then(|| self.time_unit.name().to_owned());
        add("--time-unit", unit);
        add("--key-field", self.key_field.clone());
        let records = (self.records_max != RECORDS_MAX).then(|| self.records_max.to_string());
        add("--records-max", records);
        let time = (self.time_max_s != TIME_MAX_S).then(|| self.time_max_s.to_string());
        add("--time-max-s", time);
        for (name, value) in self.limits.given() {
            add(name, Some(value.to_string()));
        }
        add("--seed", Some(self.seed.to_string()));
        words.join(" ")
    }
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", out::shown(text).replace('\'', r"'\''"))
}
