//! Runs one operator as the contract wants it: turns, rejections, bounded output, state parts.
//!
//! Knows nothing of components: `export!` ties it to one, the tests drive it natively. It never
//! panics, whatever comes in.

use crate::batch::Batch;
use crate::emit::{CAUSE_OWED, Columns, Emissions, Emitter};
use crate::parts::{OldPart, Parts, StatePart};
use crate::{Operator, Rejection, Wiring};

/// One call stops taking rows, or hands out the rest later, once its output reaches this.
pub const OUTPUT_BYTES: usize = 4 << 20;

/// What is said about a rejection is cut to this many bytes; it may quote the record.
const MESSAGE_BYTES: usize = 1000;

/// What one call returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Records to send on.
    pub emissions: Emissions,
    /// Rejected rows, ascending.
    pub rejections: Vec<(u32, Rejection)>,
    /// Rows dealt with.
    pub taken: u32,
    /// More is owed to the last row taken, or to the watermark.
    pub more: bool,
}

/// Who an operator is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// The format that `snapshot` writes.
    pub state_version: u32,
    /// The formats that `restore` reads.
    pub restores: Vec<u32>,
}

/// One operator with what the contract wants around it.
pub struct Driver<O: Operator> {
    operator: Option<O>,
    headers: usize,
    parts: Parts,
    /// Emissions that did not fit into the calls so far, and how many of them went since.
    owed: Option<(Emissions, usize)>,
}

impl<O: Operator> Default for Driver<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: Operator> Driver<O> {
    /// A driver whose operator is not configured yet.
    pub const fn new() -> Self {
        Self { operator: None, headers: 0, parts: Parts::new(), owed: None }
    }

    /// Who the operator is.
    pub fn describe() -> Description {
        let mut restores = O::MIGRATES.to_vec();
        restores.push(O::STATE_VERSION);
        restores.sort_unstable();
        restores.dedup();
        Description {
            name: O::NAME.to_owned(),
            version: O::VERSION.to_owned(),
            state_version: O::STATE_VERSION,
            restores,
        }
    }

    /// Makes the operator from its configuration, JSON; nothing counts as `{}`.
    pub fn configure(&mut self, config: &str) -> Result<Wiring, String> {
        let config = if config.trim().is_empty() { "{}" } else { config };
        let mut json = serde_json::Deserializer::from_str(config);
        let config = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            match error.path().to_string().as_str() {
                "." => error.inner().to_string(),
                path => format!("{path}: {}", error.inner()),
            }
        })?;
        json.end().map_err(|error| error.to_string())?;
        let (operator, wiring) = O::configure(config)?;
        self.headers = wiring.sets.len();
        self.operator = Some(operator);
        Ok(wiring)
    }

    /// Deals with the records of `input`, or with as many as the output allows.
    pub fn process(&mut self, input: Batch) -> Outcome {
        if let Some(outcome) = self.pay() {
            return outcome;
        }
        // Without a configuration nothing is taken, which the host notices.
        let Some(operator) = &mut self.operator else { return Outcome::default() };
        let mut columns = Columns::default();
        let (mut rejections, mut said, mut taken) = (Vec::new(), 0, 0);
        let bytes = input.keys.data.len() + input.values.data.len();
        for record in input.rows() {
            let before = columns.len();
            let mut out = Emitter::of(&mut columns, &input, taken, record);
            if let Err(rejection) = operator.process(record, &mut out) {
                columns.truncate(before);
                let rejection = shortened(rejection);
                said += rejection.kind.len() + rejection.message.len();
                rejections.push((taken, rejection));
            }
            taken += 1;
            // All that was passed on is no more than the input, so most calls need no exact sum.
            let size = columns.size() + said;
            if size + bytes >= OUTPUT_BYTES && size + columns.passed_size(&input) >= OUTPUT_BYTES {
                break;
            }
        }
        let mut emissions = columns.finish(input, self.headers);
        let more = self.withhold(&mut emissions);
        Outcome { emissions, rejections, taken, more }
    }

    /// Lets windows fire.
    pub fn advance(&mut self, watermark: i64) -> Outcome {
        if let Some(outcome) = self.pay() {
            return outcome;
        }
        let Some(operator) = &mut self.operator else { return Outcome::default() };
        let (mut columns, input) = (Columns::default(), Batch::default());
        operator.advance(watermark, &mut Emitter::at(&mut columns, &input, watermark));
        let mut emissions = columns.finish(input, self.headers);
        let more = self.withhold(&mut emissions);
        Outcome { emissions, more, ..Outcome::default() }
    }

    /// One part of the state.
    pub fn snapshot(&mut self, part: u32, full: bool) -> StatePart {
        let Some(operator) = &mut self.operator else { return StatePart::default() };
        self.parts.snapshot(&mut operator.state(), part, full)
    }

    /// Takes up the next part of a state.
    pub fn restore(&mut self, version: u32, data: &[u8], more: bool) -> Result<(), String> {
        let Some(operator) = &mut self.operator else {
            return Err("restore was called before configure".to_owned());
        };
        if version == O::STATE_VERSION {
            return self.parts.restore(&mut operator.state(), data, more);
        }
        if !O::MIGRATES.contains(&version) {
            let reads = Self::describe().restores;
            return Err(format!("state version {version} is unknown; {} reads {reads:?}", O::NAME));
        }
        self.parts.next(more)?;
        operator.migrate(version, OldPart::parse(data)?)
    }

    /// Keeps back what does not fit into one call; true if there is any.
    fn withhold(&mut self, emissions: &mut Emissions) -> bool {
        let cut = emissions.cut(0, OUTPUT_BYTES);
        if cut == emissions.len() {
            return false;
        }
        // Rows are taken only while there is room: what is left belongs to the last one.
        let mut rest = emissions.slice(cut, emissions.len());
        rest.causes.fill(CAUSE_OWED);
        emissions.truncate(cut);
        self.owed = Some((rest, 0));
        true
    }

    /// The next of what earlier calls kept back.
    fn pay(&mut self) -> Option<Outcome> {
        let (owed, from) = self.owed.as_mut()?;
        let to = owed.cut(*from, OUTPUT_BYTES);
        let emissions = owed.slice(*from, to);
        let more = to < owed.len();
        *from = to;
        if !more {
            self.owed = None;
        }
        Some(Outcome { emissions, more, ..Outcome::default() })
    }
}

fn shortened(mut rejection: Rejection) -> Rejection {
    for text in [&mut rejection.kind, &mut rejection.message] {
        if text.len() > MESSAGE_BYTES {
            text.truncate(text.floor_char_boundary(MESSAGE_BYTES));
        }
    }
    rejection
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;
    use crate::testing::{Harness, Input};

    /// Does what the record's value says, word by word.
    struct Scripted {
        due: Vec<String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(default)]
        retries: u32,
    }

    impl Operator for Scripted {
        const NAME: &'static str = "scripted";
        const VERSION: &'static str = "1.2.3";
        const STATE_VERSION: u32 = 4;
        const MIGRATES: &'static [u32] = &[3];
        type Config = Config;

        fn configure(config: Config) -> Result<(Self, Wiring), String> {
            let _ = config.retries;
            let wiring = Wiring::to("a").output("b").wants("in").sets("x").sets("y");
            Ok((Self { due: Vec::new() }, wiring.delay(10).ahead(20)))
        }

        fn process(&mut self, record: Record<'_>, out: &mut Emitter<'_>) -> Result<(), Rejection> {
            let text = String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned();
            for word in text.split(' ') {
                match word {
                    "same" => _ = out.emit(record.value()),
                    "json" => _ = out.emit_json(&(1, "two"))?.output(1),
                    "bad-json" => {
                        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
                        out.emit_json(&map)?;
                    }
                    "all" => {
                        out.emit("all").id("id").key("k").event_time(5).output(1).priority(9);
                        out.emit(None::<&[u8]>).header(1, record.header(0)).priority(1).priority(2);
                    }
                    "dead" => return Err(Rejection::permanent("dead", "é".repeat(1000))),
                    "drop" => return Err(Rejection::discard("drop", "on purpose")),
                    "big" => (0..12u8).for_each(|n| _ = out.emit(vec![n; 1 << 20])),
                    "later" => self.due.push(text.clone()),
                    _ => {}
                }
            }
            Ok(())
        }

        fn advance(&mut self, _: i64, out: &mut Emitter<'_>) {
            for _ in self.due.drain(..) {
                (0..9u8).for_each(|n| _ = out.emit(vec![n; 1 << 20]));
            }
        }
    }

    fn host() -> Harness<Scripted> {
        Harness::new("").unwrap()
    }

    #[test]
    fn an_emission_has_key_and_time_of_its_cause_unless_it_says_otherwise() {
        let ran = host().process(&[
            Input::new("key", "same").at(3),
            Input::new("", "all").no_key().at(4).header(Some(b"h")),
            Input::new("key", "json").at(6),
        ]);
        let sent = &ran.sent;
        assert_eq!((sent[0].key.as_deref(), sent[0].event_time), (Some(&b"key"[..]), 3));
        assert_eq!((sent[0].output, sent[0].id.as_deref()), (0, None));
        assert_eq!((sent[1].key.as_deref(), sent[1].event_time), (Some(&b"k"[..]), 5));
        assert_eq!((sent[1].output, sent[1].id.as_deref()), (1, Some(&b"id"[..])));
        assert_eq!((sent[2].key.as_deref(), sent[2].value.as_deref()), (None, None));
        assert_eq!(sent[2].headers, [None, Some(b"h".to_vec())]);
        assert_eq!((sent[3].text().as_str(), sent[3].output), (r#"[1,"two"]"#, 1));
        let priorities: Vec<_> = sent.iter().map(|sent| sent.priority).collect();
        assert_eq!(priorities, [Some(128), Some(9), Some(2), Some(128)]);
        assert!(sent.iter().map(|sent| sent.cause).eq([Some(0), Some(1), Some(1), Some(2)]));
    }

    #[test]
    fn a_rejected_record_causes_nothing_and_its_neighbours_go_through() {
        let ran = host().process(&[
            Input::new("1", "same"),
            Input::new("2", "same all json dead"),
            Input::new("3", "same"),
            Input::new("4", "all drop"),
            Input::new("5", "same bad-json"),
        ]);
        let kinds: Vec<_> = ran.rejected.iter().map(|(row, why)| (*row, &*why.kind)).collect();
        assert_eq!(kinds, [(1, "dead"), (3, "drop"), (4, "serialization")]);
        assert_eq!(ran.rejected[0].1.message, "é".repeat(500));
        let keys: Vec<_> = ran.sent.iter().map(|sent| sent.key.clone().unwrap()).collect();
        assert_eq!(keys, [b"1", b"3"]);
        assert!(ran.sent.iter().all(|sent| sent.id.is_none()), "ids of rejected rows stay");
    }

    #[test]
    fn output_that_does_not_fit_into_one_call_is_handed_out_over_several() {
        let inputs: Vec<_> = ["same", "same big", "same", "big", "same", "later"]
            .iter()
            .map(|value| Input::new("k", value))
            .collect();
        let ran = host().process(&inputs);
        assert_eq!(ran.sent.len(), 4 + 24);
        for cause in [1, 3] {
            let big = ran.sent.iter().filter(|sent| {
                sent.cause == Some(cause) && sent.value.as_ref().unwrap().len() == 1 << 20
            });
            assert!(big.map(|sent| sent.value.as_ref().unwrap()[0]).eq(0..12));
        }

        let mut driver = Driver::<Scripted>::new();
        driver.configure("{}").unwrap();
        let mut batch = Batch::default();
        for value in ["later", "big", "same"] {
            batch.keys.push(None);
            batch.values.push(Some(value.as_bytes()));
            batch.event_times.push(0);
        }
        let outcome = driver.process(batch);
        assert_eq!((outcome.taken, outcome.more), (2, true));
        let outcome = driver.process(Batch::default());
        assert_eq!(outcome.emissions.causes[0], CAUSE_OWED);
        assert!(outcome.emissions.values.data.len() <= OUTPUT_BYTES + (1 << 20));
        assert!(!driver.process(Batch::default()).more);
        assert!(driver.advance(0).more);
        assert!(driver.advance(0).more);
        assert!(!driver.advance(0).more);
    }

    #[test]
    fn a_configuration_is_refused_with_the_path_of_the_field() {
        let error = Harness::<Scripted>::new(r#"{"retries": -1}"#).err().unwrap();
        assert!(error.starts_with("retries: invalid value"), "{error}");
        let error = Harness::<Scripted>::new(r#"{"retry": 1}"#).err().unwrap();
        assert!(error.contains("unknown field `retry`, expected `retries`"), "{error}");
        assert!(Harness::<Scripted>::new("{} {}").is_err());
    }

    #[test]
    fn an_operator_without_state_has_one_empty_part() {
        let mut host = host();
        assert_eq!((host.snapshot(), host.parts_given()), (vec![vec![]], 1));
        assert_eq!((host.snapshot(), host.parts_given()), (vec![vec![]], 0));
        let mut again = Harness::<Scripted>::restored("", 4, &host.snapshot()).unwrap();
        assert_eq!((again.snapshot(), again.parts_given()), (vec![vec![]], 0));
        let error = Harness::<Scripted>::restored("", 4, &[vec![1]]).err().unwrap();
        assert!(error.contains("has none"), "{error}");
    }

    #[test]
    fn a_state_of_a_version_that_is_unknown_is_refused() {
        let error = Harness::<Scripted>::restored("", 2, &[vec![]]).err().unwrap();
        assert_eq!(error, "state version 2 is unknown; scripted reads [3, 4]");
    }

    #[test]
    fn columns_that_lie_and_calls_out_of_order_do_no_harm() {
        let mut driver = Driver::<Scripted>::new();
        assert_eq!(driver.advance(0), Outcome::default());
        assert!(driver.restore(4, b"", false).is_err());
        driver.configure("").unwrap();
        let column = crate::ByteColumn { data: vec![1], ends: vec![9, 3, 1], nulls: vec![8, 1] };
        let batch = Batch {
            keys: column.clone(),
            values: column,
            event_times: vec![0; 5],
            headers: Vec::new(),
        };
        assert_eq!(driver.process(batch).taken, 5);
        assert_eq!(driver.snapshot(7, false).data, Some(Vec::new()));
    }
}
