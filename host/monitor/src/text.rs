//! Metrics in the text format of Prometheus, version 0.0.4. A family is one name with its help,
//! its type and its samples; every family is written, also one without samples, so that a reader
//! can know all there are.

use std::fmt::Write as _;

/// The media type of the format.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What may happen to a metric's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, but begins anew when the process does (unless it is durable).
    Counter,
    /// It goes up and down.
    Gauge,
}

/// One metric with all its samples.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its name: letters, digits and `_`.
    pub name: &'static str,
    /// What it means, in one line.
    pub help: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    samples: Vec<(Vec<String>, f64)>,
}

impl Family {
    /// A counter without samples.
    pub fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, help, kind: Kind::Counter, labels, samples: Vec::new() }
    }

    /// A gauge without samples.
    pub fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge, labels, samples: Vec::new() }
    }

    /// Adds a sample; `labels` are the values of the labels, in order.
    pub fn add(&mut self, labels: &[&str], value: f64) {
        self.samples.push((labels.iter().map(|label| (*label).to_owned()).collect(), value));
    }

    /// Adds a sample if there is a value: what is not known has none.
    pub fn add_known(&mut self, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.add(labels, value);
        }
    }

    /// Values of its labels, and its value, one sample after the other.
    pub fn samples(&self) -> impl Iterator<Item = (&[String], f64)> {
        self.samples.iter().map(|(labels, value)| (labels.as_slice(), *value))
    }
}

/// All families as text.
pub fn render(families: &[Family]) -> String {
    let mut text = String::with_capacity(families.len() * 200);
    for family in families {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let help = escaped(family.help, false);
        put(&mut text, format_args!("# HELP {} {help}\n", family.name));
        put(&mut text, format_args!("# TYPE {} {kind}\n", family.name));
        for (labels, value) in family.samples() {
            text.push_str(family.name);
            for (at, (name, label)) in family.labels.iter().zip(labels).enumerate() {
                let before = if at == 0 { '{' } else { ',' };
                put(&mut text, format_args!("{before}{name}=\"{}\"", escaped(label, true)));
            }
            if !family.labels.is_empty() {
                text.push('}');
            }
            put(&mut text, format_args!(" {}\n", number(value)));
        }
    }
    text
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a string does not fail");
}

/// Rust writes what Go reads, but for the names of what is no number.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        format!("{value}")
    }
}

/// A line feed would end the line, a quote the label.
fn escaped(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_help_and_type_also_without_samples() {
        let family = Family::gauge("a_seconds", &[], "How long.");
        assert_eq!(render(&[family]), "# HELP a_seconds How long.\n# TYPE a_seconds gauge\n");
    }

    #[test]
    fn labels_stand_in_order_and_nothing_that_a_guest_says_breaks_the_line() {
        let mut family = Family::counter("a_total", &["stage", "kind"], "Back\\slash\nand more.");
        family.add(&["copy", "a\"b\\c\nd"], 3.0);
        family.add_known(&["copy", "none"], None);
        assert_eq!(
            render(&[family]),
            "# HELP a_total Back\\\\slash\\nand more.\n# TYPE a_total counter\n\
             a_total{stage=\"copy\",kind=\"a\\\"b\\\\c\\nd\"} 3\n"
        );
    }

    #[test]
    fn numbers_are_written_as_the_format_wants_them() {
        for (value, text) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (1e-7, "0.0000001"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
