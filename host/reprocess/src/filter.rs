//! Which dead letters are meant. Conditions hold all together; what a condition lists are
//! alternatives. A filter says the same of a dead letter whenever it is asked, and can be put into
//! words. No text whatever makes it panic.

use crate::letter::{Letter, Meta};
use crate::text;
use pawl_core::record::{Offset, Timestamp};
use regex::bytes::Regex;
use serde_json::Value;

/// Conditions that hold all together; none: every dead letter is meant.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    conditions: Vec<Condition>,
}

/// One condition.
#[derive(Clone, Debug)]
pub enum Condition {
    /// A field of metadata is one of these.
    Is(Meta, Vec<String>),
    /// A field of metadata begins with one of these: a digest, an id. Upper case is as lower case.
    Begins(Meta, Vec<String>),
    /// It failed at or after the first, and before the second.
    Failed(Option<Timestamp>, Option<Timestamp>),
    /// The root record came from one of these places.
    Origin(Vec<Origin>),
    /// It was sent back so often.
    Replays(Vec<Span>),
    /// A header has one of these values; none: it is there.
    Header(String, Vec<Option<String>>),
    /// A field of the JSON payload has one of these values; none: it is there.
    Field(String, Vec<Option<String>>),
    /// The payload holds a match of one of these.
    Matches(Vec<Regex>),
}

/// A place of root records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The topic.
    pub topic: String,
    /// The partition; none: any.
    pub partition: Option<u32>,
    /// The offsets; none: any.
    pub offsets: Option<Span>,
}

/// Numbers from the first up to, and not with, the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub from: u64,
    /// Behind the last.
    pub to: u64,
}

impl Filter {
    /// From conditions. What costs little to look at is looked at first.
    pub fn new(mut conditions: Vec<Condition>) -> Self {
        conditions.sort_by_key(Condition::cost);
        Self { conditions }
    }

    /// Whether a dead letter is meant.
    pub fn takes(&self, letter: &Letter<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(letter))
    }

    /// The filter in words.
    pub fn words(&self) -> String {
        if self.conditions.is_empty() {
            return "all dead letters".to_owned();
        }
        let words: Vec<String> = self.conditions.iter().map(Condition::words).collect();
        format!("dead letters {}", words.join(", and "))
    }
}

impl Condition {
    /// The condition `NAME` or `NAME=VALUE` on a header or, if it begins with `/`, a JSON field.
    /// Says what is wrong.
    pub fn named(text: &str) -> Result<(String, Option<String>), String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() {
            return Err(format!("`{text}` names nothing; should be as in NAME=VALUE or NAME"));
        }
        Ok((name.to_owned(), value))
    }

    fn cost(&self) -> u8 {
        match self {
            Condition::Is(..) | Condition::Begins(..) => 0,
            Condition::Origin(_) | Condition::Replays(_) | Condition::Header(..) => 1,
            Condition::Failed(..) => 2,
            Condition::Matches(_) => 3,
            Condition::Field(..) => 4,
        }
    }

    fn holds(&self, letter: &Letter<'_>) -> bool {
        match self {
            Condition::Is(meta, any) => {
                let own = letter.meta(*meta).unwrap_or_default();
                any.iter().any(|one| one.as_bytes() == own)
            }
            Condition::Begins(meta, any) => {
                let own = letter.meta(*meta).unwrap_or_default();
                let begins = |one: &String| {
                    own.get(..one.len()).is_some_and(|own| own.eq_ignore_ascii_case(one.as_bytes()))
                };
                any.iter().any(begins)
            }
            Condition::Failed(since, until) => {
                let at = letter.failed_at();
                since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until)
            }
            Condition::Origin(any) => any.iter().any(|origin| origin.holds(letter)),
            Condition::Replays(any) => {
                any.iter().any(|span| span.holds(u64::from(letter.replays())))
            }
            Condition::Header(name, any) => letter.header(name).is_some_and(|own| {
                any.iter().any(|one| one.as_ref().is_none_or(|one| one.as_bytes() == own))
            }),
            Condition::Field(pointer, any) => {
                let json: Option<Value> = serde_json::from_slice(letter.payload()).ok();
                json.as_ref().and_then(|json| json.pointer(pointer)).is_some_and(|own| {
                    any.iter().any(|one| one.as_ref().is_none_or(|one| is_text(own, one)))
                })
            }
            Condition::Matches(any) => any.iter().any(|one| one.is_match(letter.payload())),
        }
    }

    fn words(&self) -> String {
        let or = |list: &mut dyn Iterator<Item = String>| list.collect::<Vec<_>>().join(" or ");
        let quoted = |any: &[String]| or(&mut any.iter().map(|one| format!("`{one}`")));
        let valued = |any: &[Option<String>]| match any.iter().cloned().collect::<Option<Vec<_>>>()
        {
            Some(values) => format!("is {}", quoted(&values)),
            None => "is there".to_owned(),
        };
        match self {
            Condition::Is(meta, any) => format!("whose {} is {}", name_of(*meta), quoted(any)),
            Condition::Begins(meta, any) => {
                format!("whose {} begins with {}", name_of(*meta), quoted(any))
            }
            Condition::Failed(since, until) => {
                let time = |time: &Timestamp| pawl_core::identity::text_of_time(*time);
                let since = since.as_ref().map(|at| format!("at or after {}", time(at)));
                let until = until.as_ref().map(|at| format!("before {}", time(at)));
                let both: Vec<String> = since.into_iter().chain(until).collect();
                format!("that failed {}", both.join(" and "))
            }
            Condition::Origin(any) => {
                format!("that came from {}", or(&mut any.iter().map(Origin::words)))
            }
            Condition::Replays(any) => {
                format!("that were sent back {} times", or(&mut any.iter().map(Span::words)))
            }
            Condition::Header(name, any) => format!("whose header {name} {}", valued(any)),
            Condition::Field(pointer, any) => format!("whose field {pointer} {}", valued(any)),
            Condition::Matches(any) => {
                let any = or(&mut any.iter().map(|one| format!("`{}`", one.as_str())));
                format!("whose payload matches {any}")
            }
        }
    }
}

fn name_of(meta: Meta) -> &'static str {
    match meta {
        Meta::Kind => "error kind",
        other => other.header().strip_prefix("pawl-").unwrap_or_default(),
    }
}

/// Whether a JSON value is what a person wrote: a text as it is, anything else as JSON.
fn is_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own == text,
        other => serde_json::from_str::<Value>(text).is_ok_and(|given| given == *other),
    }
}

impl Origin {
    /// `TOPIC`, `TOPIC/PARTITION` or `TOPIC/PARTITION/OFFSETS`. Says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no origin; should be TOPIC, TOPIC/PARTITION, or \
                 TOPIC/PARTITION/OFFSETS as in observations/3/100..200"
            )
        };
        let mut parts = text.split('/');
        let topic = parts.next().filter(|topic| !topic.is_empty()).ok_or_else(wrong)?;
        let partition = match parts.next() {
            None => None,
            Some(partition) => Some(partition.parse::<u32>().map_err(|_| wrong())?),
        };
        let offsets = parts.next().map(Span::parse).transpose().map_err(|_| wrong())?;
        match parts.next() {
            None => Ok(Self { topic: topic.to_owned(), partition, offsets }),
            Some(_) => Err(wrong()),
        }
    }

    fn holds(&self, letter: &Letter<'_>) -> bool {
        let number = |meta| letter.number::<Offset>(meta);
        letter.meta(Meta::Topic) == Some(self.topic.as_bytes())
            && self.partition.is_none_or(|own| number(Meta::Partition) == Some(u64::from(own)))
            && self
                .offsets
                .is_none_or(|span| number(Meta::Offset).is_some_and(|offset| span.holds(offset)))
    }

    fn words(&self) -> String {
        let partition = self.partition.map(|partition| format!("/{partition}"));
        let offsets = self.offsets.map(|span| format!(" offsets {}", span.words()));
        format!("{}{}{}", self.topic, partition.unwrap_or_default(), offsets.unwrap_or_default())
    }
}

impl Span {
    /// `N`, `A..B` (without B), `A..` or `..B`. Says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no range; should be as in 7, 100..200, 100.. or ..200");
        let number = |text: &str, or: u64| match text {
            "" => Ok(or),
            digits => digits.parse::<u64>().map_err(|_| wrong()),
        };
        let Some((from, to)) = text.split_once("..") else {
            let from = text.parse::<u64>().map_err(|_| wrong())?;
            return Ok(Self { from, to: from.saturating_add(1) });
        };
        let span = Self { from: number(from, 0)?, to: number(to, u64::MAX)? };
        if span.from < span.to { Ok(span) } else { Err(wrong()) }
    }

    fn holds(&self, number: u64) -> bool {
        (self.from..self.to).contains(&number)
    }

    fn words(&self) -> String {
        match (self.from, self.to) {
            (from, to) if to == from.saturating_add(1) => text::count(from),
            (from, u64::MAX) => format!("{from} or more"),
            (from, to) => format!("{from} to {}", to - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::Columns;
    use pawl_core::record::{Record, Records};

    fn records() -> Records {
        let mut records = Records::default();
        let headers: &[(&str, &[u8])] = &[
            ("pawl-error-kind", b"bad-json"),
            ("pawl-id", b"00ff"),
            ("pawl-offset", b"150"),
            ("pawl-partition", b"3"),
            ("pawl-replay-count", b"2"),
            ("pawl-timestamp", b"2026-11-24T03:12:00.000Z"),
            ("pawl-topic", b"in"),
            ("source", b"radar-7"),
        ];
        let value: Option<&[u8]> = Some(br#"{"a":{"b":"x"},"n":1.50,"t":true}"#);
        records.push(Record { value, headers, ..Record::default() });
        records.push(Record { value: Some(b"\xffno json"), ..Record::default() });
        records
    }

    fn takes(conditions: Vec<Condition>) -> [bool; 2] {
        let records = records();
        let columns = Columns::of(&records);
        let filter = Filter::new(conditions);
        [0, 1].map(|row| filter.takes(&Letter { partition: 0, offset: 0, row, columns: &columns }))
    }

    #[test]
    fn each_condition_tells_the_right_letter_from_the_wrong_one() {
        let text = |text: &str| vec![text.to_owned()];
        let valued = |text: &str| vec![Some("other".to_owned()), Some(text.to_owned())];
        let at = text::time_of("2026-11-24T03:12:00Z", 0).unwrap();
        for condition in [
            Condition::Is(Meta::Kind, vec!["other".to_owned(), "bad-json".to_owned()]),
            Condition::Begins(Meta::Id, text("00F")),
            Condition::Failed(Some(at), Some(at + 1)),
            Condition::Origin(vec![Origin::parse("in/3/100..200").unwrap()]),
            Condition::Origin(vec![Origin::parse("no").unwrap(), Origin::parse("in").unwrap()]),
            Condition::Replays(vec![Span::parse("1..3").unwrap()]),
            Condition::Header("source".to_owned(), valued("radar-7")),
            Condition::Header("source".to_owned(), vec![None]),
            Condition::Field("/a/b".to_owned(), valued("x")),
            Condition::Field("/n".to_owned(), valued("1.5")),
            Condition::Field("/t".to_owned(), vec![None]),
            Condition::Matches(vec![Regex::new(r#""a":\{"b""#).unwrap()]),
        ] {
            assert_eq!(takes(vec![condition.clone()]), [true, false], "{condition:?}");
        }
        for condition in [
            Condition::Is(Meta::Kind, text("bad")),
            Condition::Begins(Meta::Id, text("00ffa")),
            Condition::Failed(Some(at + 1), None),
            Condition::Origin(vec![Origin::parse("in/3/..150").unwrap()]),
            Condition::Origin(vec![Origin::parse("in/2").unwrap()]),
            Condition::Replays(vec![Span::parse("3..").unwrap()]),
            Condition::Header("source".to_owned(), valued("radar")),
            Condition::Field("/a".to_owned(), valued("x")),
        ] {
            assert_eq!(takes(vec![condition.clone()]), [false, false], "{condition:?}");
        }
        assert_eq!(takes(vec![]), [true, true]);
        assert_eq!(takes(vec![Condition::Matches(vec![Regex::new("no").unwrap()])]), [false, true]);
        let kind = Condition::Is(Meta::Kind, text("bad-json"));
        let other = Condition::Replays(vec![Span::parse("7").unwrap()]);
        assert_eq!(takes(vec![kind, other]), [false, false], "all must hold");
    }

    #[test]
    fn what_is_no_origin_and_no_range_is_refused() {
        for wrong in ["", "a/b", "a/1/2/3", "a/1/x", "a/-1", "/1"] {
            assert!(Origin::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "a", "5..5", "6..5", "-1", "1..2..3", "99999999999999999999"] {
            assert!(Span::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_filter_is_told_in_words() {
        let filter = Filter::new(vec![
            Condition::Field("/a".to_owned(), vec![None]),
            Condition::Is(Meta::Kind, vec!["x".to_owned(), "y".to_owned()]),
            Condition::Origin(vec![Origin::parse("in/3/100..200").unwrap()]),
        ]);
        let words = "dead letters whose error kind is `x` or `y`, and that came from in/3 offsets \
                     100 to 199, and whose field /a is there";
        assert_eq!(filter.words(), words);
    }
}
