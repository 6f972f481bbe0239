//! Metrics of what crosses the pipeline's border and is nobody's task: dead letters and their
//! bounds, sources, topics that are written from outside. What is not known has no sample.

use super::facts::Facts;
use super::status::kinds;
use pawl_monitor::status::TaskState;
use pawl_monitor::text::Family;
use pawl_pipeline::AtMax;

/// How long it is until dead letters do harm: until the oldest is let go, or the next one stops its
/// task. Infinite: no bound of age.
pub(super) fn headroom_seconds(facts: &Facts) -> Option<f64> {
    let (kept, rules) = (facts.retained?, &facts.pipeline.dead_letters);
    if kept.records >= rules.records_max || kept.bytes >= rules.bytes_max {
        return Some(0.0);
    }
    let until_old = rules.age_max_ms.zip(facts.oldest_letter_ms).map(|(age_max, oldest)| {
        let left = oldest.saturating_add_unsigned(age_max).saturating_sub(facts.now_ms);
        (left as f64 / 1000.0).max(0.0)
    });
    Some(until_old.unwrap_or(f64::INFINITY))
}

/// The dead letters, and their bounds.
pub(super) fn dead_letters(facts: &Facts) -> Vec<Family> {
    let mut entries = Family::counter(
        "pawl_dlq_entries_total",
        &["stage", "operator", "error_kind"],
        "Dead letters written, by who refused them and why. Durable.",
    );
    for kind in kinds(facts) {
        entries.add(&[&kind.stage, &kind.operator, &kind.kind], kind.count as f64);
    }
    let rules = &facts.pipeline.dead_letters;
    let gauge = |name, help, value: Option<f64>| {
        let mut family = Family::gauge(name, &[], help);
        family.add_known(&[], value);
        family
    };
    let kept = facts.retained;
    let stops = f64::from(u8::from(rules.at_max == AtMax::Stop));
    vec![
        entries,
        gauge(
            "pawl_dlq_records",
            "Dead letters that lie in their topic.",
            kept.map(|kept| kept.records as f64),
        ),
        gauge(
            "pawl_dlq_records_max",
            "The bound of pawl_dlq_records.",
            Some(rules.records_max as f64),
        ),
        gauge(
            "pawl_dlq_bytes",
            "Bytes of the dead letters that lie in their topic.",
            kept.map(|kept| kept.bytes as f64),
        ),
        gauge("pawl_dlq_bytes_max", "The bound of pawl_dlq_bytes.", Some(rules.bytes_max as f64)),
        gauge(
            "pawl_dlq_headroom_seconds",
            "Until a bound drops the oldest dead letter or stops who writes one. +Inf: no age bound.",
            headroom_seconds(facts),
        ),
        gauge(
            "pawl_dlq_stops_at_max",
            "1 if at a bound of the dead letters tasks stop, 0 if the oldest go.",
            Some(stops),
        ),
    ]
}

/// What comes in from outside.
pub(super) fn inputs(facts: &Facts) -> Vec<Family> {
    let mut records = Family::counter(
        "pawl_source_records_total",
        &["source", "topic"],
        "Records that a source made durable, its dead letters included. Durable.",
    );
    let mut letters = Family::counter(
        "pawl_source_dead_letters_total",
        &["source"],
        "Dead letters that a source wrote. Durable.",
    );
    let mut state = Family::gauge(
        "pawl_source_state",
        &["source", "state"],
        "1 for the state that the source is in, 0 for the others.",
    );
    let mut last = Family::gauge(
        "pawl_source_last_record_timestamp_seconds",
        &["source"],
        "When a source last brought a record. Absent of one that has read all.",
    );
    for source in &facts.sources {
        let name = &source.told.source.name;
        let counters = source.counters.as_ref();
        let count = counters.map(|counters| counters.records_in as f64);
        records.add_known(&[name, &source.told.source.topic], count);
        let dead = counters.map(|counters| counters.dead_letters.values().sum::<u64>() as f64);
        letters.add_known(&[name], dead);
        last.add_known(&[name], source.last_record_ms.map(|time| time as f64 / 1000.0));
        for one in TaskState::ALL {
            state.add(&[name, one.name()], f64::from(u8::from(source.state() == one)));
        }
    }
    let mut topics = Family::gauge(
        "pawl_topic_last_record_timestamp_seconds",
        &["topic"],
        "When the last record came into a topic that neither a stage nor a source writes.",
    );
    let fed = |name: &str| facts.pipeline.sources.iter().any(|source| source.topic == name);
    for topic in facts.topics.iter().filter(|topic| !fed(&topic.name)) {
        topics.add_known(&[&topic.name], topic.last_record_ms.map(|time| time as f64 / 1000.0));
    }
    vec![records, letters, state, last, topics]
}
