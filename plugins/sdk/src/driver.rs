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
    pub fn process(&mut self, mut input: Batch) -> Outcome {
        if let Some(outcome) = self.pay() {
            return outcome;
        }
        // Without a configuration nothing is taken, which the host notices.
        let Some(operator) = &mut self.operator else { return Outcome::default() };
        let mut columns = Columns::with_capacity(input.len());
        let (mut rejections, mut said, mut taken) = (Vec::new(), 0, 0);
        for record in input.rows() {
            let before = columns.len();
            let mut out = Emitter {
                columns: &mut columns,
                key_source: &input.keys.data,
                value_source: &input.values.data,
                key: record.key(),
                event_time: record.event_time(),
                cause: Some(taken),
            };
            if let Err(rejection) = operator.process(record, &mut out) {
                columns.truncate(before);
                let rejection = shortened(rejection);
                said += rejection.kind.len() + rejection.message.len();
                rejections.push((taken, rejection));
            }
            taken += 1;
            if columns.size() + said >= OUTPUT_BYTES {
                break;
            }
        }
        let mut emissions = columns.finish(&mut input, self.headers);
        let more = self.withhold(&mut emissions);
        Outcome { emissions, rejections, taken, more }
    }

    /// Lets windows fire.
    pub fn advance(&mut self, watermark: i64) -> Outcome {
        if let Some(outcome) = self.pay() {
            return outcome;
        }
        let Some(operator) = &mut self.operator else { return Outcome::default() };
        let mut columns = Columns::default();
        let mut out = Emitter {
            columns: &mut columns,
            key_source: &[],
            value_source: &[],
            key: None,
            event_time: watermark,
            cause: None,
        };
        operator.advance(watermark, &mut out);
        let mut emissions = columns.finish(&mut Batch::default(), self.headers);
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
