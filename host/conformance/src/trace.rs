//! What came of a history: for each row and each tick what was emitted, and what was rejected.
//! Two traces are equal if nobody downstream could tell them apart. A trace holds so many bytes at
//! most: of what a plugin emits beyond them only number and hash are kept.

use pawl_core::operator::{Emissions, Verdict};
use pawl_core::record::{PRIORITY_DEFAULT, Timestamp};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Bytes of emissions that a trace keeps as they are.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// What an emission takes beside its bytes, about.
const EMITTED_BYTES: usize = 160;

/// One emission, with what the contract allows to leave out filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Emitted {
    pub output: u8,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub time: Timestamp,
    pub id: Option<Vec<u8>>,
    pub priority: u8,
    pub headers: Vec<Option<Vec<u8>>>,
}

/// A rejected row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub verdict: Verdict,
    pub kind: String,
    pub message: String,
}

/// Emissions of which only this is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Folded {
    pub count: usize,
    hash: u64,
}

/// What one row or tick came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The input, or none for a tick.
    pub input: Option<usize>,
    /// Its event time, or the watermark.
    pub time: Timestamp,
    pub made: Vec<Emitted>,
    /// What was made after all of `made` and does not fit.
    pub folded: Folded,
    pub rejected: Option<Rejected>,
}

/// Bytes of emissions that a trace holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept(usize);

/// All events of a history, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    pub events: Vec<Event>,
    pub kept: Kept,
}

/// Where two traces part.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    pub what: String,
    /// The same was emitted in the same order, but for other rows.
    pub only_causes: bool,
    /// Each row and tick emits the same, and some in another order.
    pub only_order: bool,
}

impl Emitted {
    /// The emission of this number.
    pub fn of(emissions: &Emissions, at: usize) -> Self {
        let owned = |row: Option<&[u8]>| row.map(<[u8]>::to_vec);
        Self {
            output: emissions.outputs.get(at).copied().unwrap_or(0),
            key: owned(emissions.keys.get(at)),
            value: owned(emissions.values.get(at)),
            time: emissions.event_times.get(at).copied().unwrap_or(0),
            id: owned(emissions.ids.get(at)),
            priority: emissions.priorities.get(at).copied().unwrap_or(PRIORITY_DEFAULT),
            headers: emissions.headers.iter().map(|column| owned(column.get(at))).collect(),
        }
    }

    fn bytes(&self) -> usize {
        let fields = [&self.key, &self.value, &self.id].into_iter().chain(&self.headers);
        fields.map(|field| field.as_ref().map_or(0, Vec::len)).sum::<usize>() + EMITTED_BYTES
    }

    /// The first field in which two emissions differ.
    fn difference(&self, other: &Self) -> Option<String> {
        let bytes = |name: &str, one: &Option<Vec<u8>>, two: &Option<Vec<u8>>| {
            (one != two).then(|| format!("{name} is {}, not {}", shown(two), shown(one)))
        };
        if self.output != other.output {
            return Some(format!("output is {}, not {}", other.output, self.output));
        }
        if self.time != other.time {
            return Some(format!("event time is {}, not {}", other.time, self.time));
        }
        if self.priority != other.priority {
            return Some(format!("priority is {}, not {}", other.priority, self.priority));
        }
        let headers = self.headers.iter().zip(&other.headers);
        bytes("key", &self.key, &other.key)
            .or_else(|| bytes("value", &self.value, &other.value))
            .or_else(|| bytes("id", &self.id, &other.id))
            .or_else(|| headers.into_iter().find_map(|(one, two)| bytes("a header", one, two)))
    }
}

impl Event {
    /// A row of this input, or a tick, of which nothing came yet.
    pub fn new(input: Option<usize>, time: Timestamp) -> Self {
        Self { input, time, made: Vec::new(), folded: Folded::default(), rejected: None }
    }

    /// Adds what was made, as it is where it fits.
    pub fn add(&mut self, emitted: Emitted, kept: &mut Kept) {
        let bytes = kept.0.saturating_add(emitted.bytes());
        if bytes <= KEPT_BYTES_MAX && self.folded.count == 0 {
            kept.0 = bytes;
            self.made.push(emitted);
            return;
        }
        // Nothing that comes later fits any more, so that equal traces are folded alike.
        kept.0 = KEPT_BYTES_MAX;
        let mut hasher = DefaultHasher::new();
        (self.folded.hash, emitted).hash(&mut hasher);
        self.folded = Folded { count: self.folded.count + 1, hash: hasher.finish() };
    }

    /// How many emissions there are.
    pub fn emitted(&self) -> usize {
        self.made.len() + self.folded.count
    }

    fn difference(&self, other: &Self) -> Option<String> {
        match (&self.rejected, &other.rejected) {
            (None, Some(why)) => {
                return Some(format!("is rejected ({}), and was not", clipped(&why.kind, 64)));
            }
            (Some(why), None) => {
                let kind = clipped(&why.kind, 64);
                return Some(format!("is not rejected, and was rejected ({kind})"));
            }
            (Some(one), Some(two)) if one != two => {
                let said = |why: &Rejected| {
                    format!("{:?} {}: {}", why.verdict, why.kind, clipped(&why.message, 80))
                };
                return Some(format!("is rejected with {:?}, not {:?}", said(two), said(one)));
            }
            _ => {}
        }
        for (at, (one, two)) in self.made.iter().zip(&other.made).enumerate() {
            if let Some(what) = one.difference(two) {
                return Some(format!("emits, as number {}, what differs: {what}", at + 1));
            }
        }
        let (one, two) = (self.emitted(), other.emitted());
        if one != two {
            return Some(format!("makes {two} emissions, not {one}"));
        }
        let folded = self.folded != other.folded;
        folded.then(|| format!("emits other things, of {} MiB that it emits", KEPT_BYTES_MAX >> 20))
    }
}

impl Trace {
    /// How many rows were not rejected.
    pub fn accepted(&self) -> usize {
        self.rows().filter(|event| event.rejected.is_none()).count()
    }

    /// How many rows there were.
    pub fn rows(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| event.input.is_some())
    }

    /// How many emissions there were.
    pub fn emitted(&self) -> usize {
        self.events.iter().map(Event::emitted).sum()
    }

    /// Where `other` parts from this one; `name` says what an input is called.
    pub fn difference(&self, other: &Trace, name: impl Fn(usize) -> String) -> Option<Difference> {
        let pairs = self.events.iter().zip(&other.events);
        let what = pairs.into_iter().find_map(|(one, two)| {
            let what = one.difference(two)?;
            Some(match one.input {
                Some(input) => format!("{} {what}", name(input)),
                None => format!("advance to {} {what}", one.time),
            })
        })?;
        let only_causes = self.flat() == other.flat();
        Some(Difference { what, only_causes, only_order: self.sorted() == other.sorted() })
    }

    /// What was emitted and rejected, row by row, with the order within a row or tick forgotten.
    fn sorted(&self) -> Vec<(Vec<&Emitted>, Option<&Rejected>)> {
        let mut all = Vec::with_capacity(self.events.len());
        for event in &self.events {
            let mut made: Vec<&Emitted> = event.made.iter().collect();
            made.sort();
            all.push((made, event.rejected.as_ref()));
        }
        all
    }

    /// What was emitted and rejected, with causes forgotten.
    fn flat(&self) -> (Vec<Vec<&Emitted>>, Vec<Option<&Rejected>>) {
        let mut between = vec![Vec::new()];
        for event in &self.events {
            if event.input.is_none() {
                between.push(Vec::new());
            }
            if let Some(last) = between.last_mut() {
                last.extend(&event.made);
            }
            if event.input.is_none() {
                between.push(Vec::new());
            }
        }
        (between, self.events.iter().map(|event| event.rejected.as_ref()).collect())
    }
}

/// Bytes for a person: text where it is text, on one line and not too long.
pub(crate) fn shown(bytes: &Option<Vec<u8>>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) => shown_bytes(bytes),
    }
}

pub(crate) fn shown_bytes(bytes: &[u8]) -> String {
    const BYTES_MAX: usize = 160;
    let head = bytes.get(..BYTES_MAX).unwrap_or(bytes);
    let more = if head.len() < bytes.len() { "..." } else { "" };
    let size = if more.is_empty() { String::new() } else { format!(" ({} bytes)", bytes.len()) };
    match std::str::from_utf8(bytes) {
        Ok(_) => format!("\"{}{more}\"{size}", String::from_utf8_lossy(head).escape_debug()),
        Err(_) => format!("b\"{}{more}\"{size}", head.escape_ascii()),
    }
}

/// A guest's text, cut and without control characters.
pub(crate) fn clipped(text: &str, characters_max: usize) -> String {
    text.chars().take(characters_max).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(count: usize, last: u8) -> Trace {
        let (mut trace, mut event) = (Trace::default(), Event::new(None, 7));
        for number in 0..count {
            let byte = if number + 1 == count { last } else { 1 };
            let emitted = Emitted {
                output: 0,
                key: None,
                value: Some(vec![byte; 1 << 20]),
                time: 7,
                id: None,
                priority: 0,
                headers: Vec::new(),
            };
            event.add(emitted, &mut trace.kept);
        }
        trace.events.push(event);
        trace
    }

    #[test]
    fn a_trace_is_bounded_and_still_tells_all_that_differs() {
        let most = KEPT_BYTES_MAX >> 20;
        let (one, two, shorter) = (trace(most + 9, 1), trace(most + 9, 2), trace(most + 8, 1));
        assert_eq!(one.emitted(), most + 9);
        assert!(one.events[0].made.len() < most);
        let name = |input: usize| input.to_string();
        assert!(one.difference(&trace(most + 9, 1), name).is_none());
        assert!(one.difference(&two, name).is_some());
        assert!(one.difference(&shorter, name).is_some());
    }
}
