//! The options by which dead letters are chosen, the same for every command that chooses.

use crate::data;
use crate::failure::usage;
use anyhow::Result;
use clap::Args;
use pawl_core::record::Timestamp;
use pawl_reprocess::{Condition, Filter, Meta, Origin, Span, time_of};
use regex::bytes::Regex;
use std::collections::BTreeMap;

/// What `pawl-class` may be.
const CLASSES: [&str; 3] = ["permanent", "transient", "late"];

/// Conditions on dead letters. All must hold; an option given again adds an alternative.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Which dead letters (all conditions must hold; an option given twice \
                               means either)"
)]
pub struct Choice {
    /// Error kind, as in `pawl-error-kind`
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Operator that refused them
    #[arg(long, value_name = "NAME")]
    operator: Vec<String>,
    /// Stage, sink, or source (`source.NAME`)
    #[arg(long, value_name = "NAME")]
    stage: Vec<String>,
    /// permanent, transient or late
    #[arg(long, value_name = "CLASS")]
    class: Vec<String>,
    /// rejected, trap, timeout, memory, host-crash, retries-exhausted, sink-rejected, ...
    #[arg(long, value_name = "WORD")]
    disposition: Vec<String>,
    /// Failed at or after: RFC 3339, a day, milliseconds since 1970, or how long ago (-2h)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Failed before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Root record's place: TOPIC, TOPIC/PARTITION or TOPIC/PARTITION/A..B (without B)
    #[arg(long, value_name = "PLACE")]
    origin: Vec<String>,
    /// A header, or its value
    #[arg(long, value_name = "NAME[=VALUE]")]
    header: Vec<String>,
    /// A field of the JSON payload, or its value, as in /sensor_id=S3
    #[arg(long, value_name = "/POINTER[=VALUE]")]
    field: Vec<String>,
    /// A regular expression that the payload matches somewhere
    #[arg(long, value_name = "REGEX")]
    matches: Vec<String>,
    /// pawl-id, or how it begins
    #[arg(long, value_name = "HEX")]
    id: Vec<String>,
    /// How often they were sent back: N, A..B (without B), A..
    #[arg(long, value_name = "RANGE")]
    replays: Vec<String>,
    /// Digest of the component that refused them, or how it begins
    #[arg(long, value_name = "HEX")]
    component: Vec<String>,
    /// Version of the operator that refused them
    #[arg(long, value_name = "VERSION")]
    operator_version: Vec<String>,
    /// Schema version of the payload
    #[arg(long, value_name = "VERSION")]
    schema_version: Vec<String>,
}

impl Choice {
    /// The filter. What is wrong is told with the option's name.
    pub fn filter(&self, now_ms: Timestamp) -> Result<Filter> {
        let mut conditions = Vec::new();
        for (meta, any) in [
            (Meta::Kind, &self.kind),
            (Meta::Operator, &self.operator),
            (Meta::Stage, &self.stage),
            (Meta::Class, &self.class),
            (Meta::Disposition, &self.disposition),
            (Meta::OperatorVersion, &self.operator_version),
            (Meta::SchemaVersion, &self.schema_version),
        ] {
            let known = if meta == Meta::Class { &CLASSES[..] } else { &[] };
            let wrong = any.iter().find(|one| !known.is_empty() && !known.contains(&one.as_str()));
            if let Some(wrong) = wrong {
                let meant = data::meant(wrong, known);
                return Err(usage(format!("--class: there is no class `{wrong}`; {meant}")));
            }
            if !any.is_empty() {
                conditions.push(Condition::Is(meta, any.clone()));
            }
        }
        for (option, meta, any) in
            [("--id", Meta::Id, &self.id), ("--component", Meta::Component, &self.component)]
        {
            if let Some(wrong) = any.iter().find(|one| !is_hex(one)) {
                let what = format!("{option}: `{wrong}` is not 4 or more hexadecimal digits");
                return Err(usage(what));
            }
            if !any.is_empty() {
                conditions.push(Condition::Begins(meta, any.clone()));
            }
        }
        let since = self.since.as_deref().map(|text| time_of(text, now_ms)).transpose();
        let since = since.map_err(|what| usage(format!("--since: {what}")))?;
        let until = self.until(now_ms)?;
        if since.is_some() || until.is_some() {
            conditions.push(Condition::Failed(since, until));
        }
        if !self.origin.is_empty() {
            conditions.push(Condition::Origin(parsed("--origin", &self.origin, Origin::parse)?));
        }
        if !self.replays.is_empty() {
            conditions.push(Condition::Replays(parsed("--replays", &self.replays, Span::parse)?));
        }
        for (name, any) in named("--header", &self.header)? {
            conditions.push(Condition::Header(name, any));
        }
        for (pointer, any) in named("--field", &self.field)? {
            if !pointer.starts_with('/') {
                let what = format!("--field: `{pointer}` is no JSON pointer such as /sensor_id");
                return Err(usage(what));
            }
            conditions.push(Condition::Field(pointer, any));
        }
        if !self.matches.is_empty() {
            let any = parsed("--matches", &self.matches, |text| {
                Regex::new(text).map_err(|error| error.to_string().replace('\n', " "))
            });
            conditions.push(Condition::Matches(any?));
        }
        Ok(Filter::new(conditions))
    }

    /// The end of the time that is meant, if there is one.
    pub fn until(&self, now_ms: Timestamp) -> Result<Option<Timestamp>> {
        let until = self.until.as_deref().map(|text| time_of(text, now_ms)).transpose();
        until.map_err(|what| usage(format!("--until: {what}")))
    }
}

fn is_hex(text: &str) -> bool {
    text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn parsed<T>(
    option: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>> {
    let all = texts.iter().map(|text| parse(text));
    all.collect::<Result<_, _>>().map_err(|what| usage(format!("{option}: {what}")))
}

/// Values by name: one name given twice means either value, two names both.
fn named(option: &str, texts: &[String]) -> Result<BTreeMap<String, Vec<Option<String>>>> {
    let mut names: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for (name, value) in parsed(option, texts, Condition::named)? {
        names.entry(name).or_default().push(value);
    }
    Ok(names)
}
