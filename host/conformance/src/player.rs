//! Plays the host to one instance: whole calls, with the rest while rows are left and again while
//! more is owed, and what came of each row. Never trusts a count; stops at the first failure.

use crate::history::{Call, Cut, Item, calls};
use crate::kit::Kit;
use crate::trace::{Emitted, Event, Rejected, Trace};
use pawl_core::column::ByteColumn;
use pawl_core::operator::{Batch, CAUSE_OWED, Failure, Operator, Outcome};
use pawl_core::record::Timestamp;
use pawl_sandbox::{Error, Instance, RestoreError};

/// How often an instance may owe more for one call, and bytes that it may emit in it.
const CALLS_MAX: usize = 100_000;
const OUTPUT_BYTES_MAX: usize = 256 << 20;

/// Calls for the same batch or tick after which a failure is put down to `more`.
const MANY_CALLS: usize = 64;

/// How a play ended before its time.
#[derive(Clone, Debug)]
pub(crate) struct Broke {
    /// `process`, `advance`, `snapshot`, `restore`, `configure`.
    pub during: &'static str,
    pub failure: Failure,
    /// How many events were complete.
    pub events: usize,
    /// How often it had asked for another call before it failed.
    pub asked: usize,
}

impl Broke {
    /// For a person.
    pub fn text(&self) -> String {
        let message = crate::trace::clipped(self.failure.message(), 300);
        match &self.failure {
            Failure::Trap(_) => format!("trap: {message}"),
            Failure::Timeout(_) => format!("time limit: {message}"),
            Failure::Memory(_) => format!("memory limit: {message}"),
            _ => message,
        }
    }

    /// Whether it ended inside the guest, and not by what it returned.
    pub fn is_trap(&self) -> bool {
        !matches!(self.failure, Failure::BadReturn(_) | Failure::Halted(_))
    }

    /// Whether `more` had no end.
    pub fn owes_without_end(&self) -> bool {
        self.asked >= MANY_CALLS
    }

    pub fn is_timeout(&self) -> bool {
        matches!(self.failure, Failure::Timeout(_))
    }
}

/// A call that took fewer rows than it was given.
#[derive(Clone, Debug)]
pub(crate) struct Short {
    /// How many calls, as `history::calls` makes them, came before.
    pub calls: usize,
    /// The rows given from the first to the last.
    pub rows: Vec<(usize, Timestamp)>,
    pub taken: usize,
}

/// An instance at play.
pub(crate) struct Player<'k> {
    kit: &'k Kit,
    config: &'k str,
    pub instance: Instance,
    pub trace: Trace,
    pub shorts: Vec<Short>,
    calls_made: usize,
}

impl<'k> Player<'k> {
    /// A fresh instance.
    pub fn new(kit: &'k Kit) -> Result<Self, Broke> {
        Self::configured(kit, &kit.config)
    }

    /// A fresh instance with this configuration.
    pub fn configured(kit: &'k Kit, config: &'k str) -> Result<Self, Broke> {
        let (trace, shorts) = (Trace::default(), Vec::new());
        let instance = kit.instance(config).map_err(|error| broke_at_start(&error))?;
        Ok(Self { kit, config, instance, trace, shorts, calls_made: 0 })
    }

    /// Plays a whole history.
    pub fn play(&mut self, items: &[Item], cut: Cut) -> Result<(), Broke> {
        for call in calls(items, cut) {
            self.call(&call)?;
        }
        Ok(())
    }

    /// One call.
    pub fn call(&mut self, call: &Call) -> Result<(), Broke> {
        match call {
            Call::Rows(rows) => self.rows(rows)?,
            Call::Other(Item::Tick(watermark)) => self.tick(*watermark)?,
            Call::Other(Item::Snapshot(full)) => {
                self.instance.snapshot(*full).map_err(|f| self.broke("snapshot", f, 0))?;
            }
            Call::Other(Item::Restore) => self.restore()?,
            Call::Other(Item::Empty | Item::Row(..)) => self.rows(&[])?,
        }
        self.calls_made += 1;
        Ok(())
    }

    /// The whole state.
    pub fn full_snapshot(&mut self) -> Result<Vec<Vec<u8>>, Broke> {
        let parts = self.instance.snapshot(true).map_err(|f| self.broke("snapshot", f, 0))?;
        Ok(parts.into_iter().map(|part| part.data.unwrap_or_default()).collect())
    }

    /// A new instance takes up the state of the old one, whose trace goes on.
    fn restore(&mut self) -> Result<(), Broke> {
        let state = self.full_snapshot()?;
        let mut fresh = self.kit.instance(self.config).map_err(|error| broke_at_start(&error))?;
        fresh
            .restore(self.kit.description.state_version, &state)
            .map_err(|error| self.broke("restore", failure_of(error), 0))?;
        self.instance = fresh;
        Ok(())
    }

    /// One guest call with these rows, of which the rest is not given again; then all that is owed.
    /// Whether anything was.
    pub fn first_call(&mut self, rows: &[(usize, Timestamp)]) -> Result<bool, Broke> {
        let mut events: Vec<Event> = rows.iter().map(|row| event(*row)).collect();
        let batch = self.kit.batch(rows);
        let outcome = self.instance.process(&batch).map_err(|f| self.broke("process", f, 0))?;
        let bad = |what: String| Failure::BadReturn(format!("process: {what}"));
        sort_out(&mut events, 0, &outcome).map_err(|what| self.broke("process", bad(what), 0))?;
        events.truncate(outcome.taken as usize);
        let (owed, mut more, mut asked) = (outcome.more, outcome.more, 0);
        while more {
            let batch = self.kit.batch(&[]);
            let outcome =
                self.instance.process(&batch).map_err(|f| self.broke("process", f, asked))?;
            more = outcome.more;
            asked += 1;
            self.bound(asked, 0, 0, "process")?;
        }
        self.trace.events.append(&mut events);
        Ok(owed)
    }

    fn tick(&mut self, watermark: Timestamp) -> Result<(), Broke> {
        let (mut made, mut asked, mut bytes) = (Vec::new(), 0, 0);
        loop {
            let outcome =
                self.instance.advance(watermark).map_err(|f| self.broke("advance", f, asked))?;
            bytes += bytes_of(&outcome);
            let emissions = &outcome.emissions;
            made.extend((0..emissions.len()).map(|at| Emitted::of(emissions, at)));
            if !outcome.more {
                break;
            }
            asked += 1;
            self.bound(asked, 0, bytes, "advance")?;
        }
        self.trace.events.push(Event { input: None, time: watermark, made, rejected: None });
        Ok(())
    }

    fn rows(&mut self, rows: &[(usize, Timestamp)]) -> Result<(), Broke> {
        let mut events: Vec<Event> = rows.iter().map(|row| event(*row)).collect();
        let (mut taken, mut asked, mut bytes) = (0, 0, 0);
        loop {
            let rest = rows.get(taken..).unwrap_or_default();
            let batch = self.kit.batch(rest);
            let outcome =
                self.instance.process(&batch).map_err(|f| self.broke("process", f, asked))?;
            bytes += bytes_of(&outcome);
            let now = outcome.taken as usize;
            if now < rest.len() && self.shorts.len() < 8 && now > 0 {
                let (calls, rows) = (self.calls_made, rest.to_vec());
                if taken == 0 {
                    self.shorts.push(Short { calls, rows, taken: now });
                }
            }
            sort_out(&mut events, taken, &outcome).map_err(|what| {
                self.broke("process", Failure::BadReturn(format!("process: {what}")), asked)
            })?;
            taken += now;
            if taken >= rows.len() && !outcome.more {
                break;
            }
            asked += 1;
            self.bound(asked, rows.len(), bytes, "process")?;
        }
        self.trace.events.append(&mut events);
        Ok(())
    }

    /// The host, too, does not go on for ever.
    fn bound(
        &self,
        asked: usize,
        rows: usize,
        bytes: usize,
        during: &'static str,
    ) -> Result<(), Broke> {
        let what = if asked > CALLS_MAX + rows {
            format!("{during} owes more after {CALLS_MAX} calls")
        } else if bytes > OUTPUT_BYTES_MAX {
            format!("{during} emits over {OUTPUT_BYTES_MAX} bytes for one call")
        } else {
            return Ok(());
        };
        Err(self.broke(during, Failure::BadReturn(what), asked))
    }

    fn broke(&self, during: &'static str, failure: Failure, asked: usize) -> Broke {
        Broke { during, failure, events: self.trace.events.len(), asked }
    }
}

/// Puts what a call returned to its rows, the first of which is row `base` of `events`.
fn sort_out(events: &mut [Event], base: usize, outcome: &Outcome) -> Result<(), String> {
    for (at, cause) in outcome.emissions.causes.iter().enumerate() {
        let row = match *cause {
            CAUSE_OWED => base.checked_sub(1).ok_or("an emission is owed to no row")?,
            own => base + own as usize,
        };
        let event = events.get_mut(row).ok_or("a cause is none of the rows")?;
        if event.rejected.is_some() {
            return Err(format!("row {row} is rejected and causes an emission later"));
        }
        event.made.push(Emitted::of(&outcome.emissions, at));
    }
    for rejection in &outcome.rejections {
        let row = base + rejection.row as usize;
        let event = events.get_mut(row).ok_or("a rejection is of none of the rows")?;
        event.rejected = Some(Rejected {
            verdict: rejection.verdict,
            kind: rejection.kind.clone(),
            message: rejection.message.clone(),
        });
    }
    Ok(())
}

fn event((input, time): (usize, Timestamp)) -> Event {
    Event { input: Some(input), time, made: Vec::new(), rejected: None }
}

fn bytes_of(outcome: &Outcome) -> usize {
    let emissions = &outcome.emissions;
    let columns = [&emissions.keys, &emissions.values, &emissions.ids];
    let all = columns.into_iter().chain(&emissions.headers);
    all.map(|column: &ByteColumn| column.data.len()).sum::<usize>() + 64 * emissions.len()
}

/// A configuration that worked a moment ago does no longer.
fn broke_at_start(error: &Error) -> Broke {
    let failure = match error {
        Error::Failed { failure, .. } => failure.clone(),
        other => Failure::BadReturn(other.to_string()),
    };
    Broke { during: "configure", failure, events: 0, asked: 0 }
}

pub(crate) fn failure_of(error: RestoreError) -> Failure {
    match error {
        RestoreError::Failed(failure) => failure,
        other => Failure::BadReturn(other.to_string()),
    }
}

impl Kit {
    /// A batch of these rows, with the headers that the operator wants.
    pub fn batch(&self, rows: &[(usize, Timestamp)]) -> Batch {
        let wants = self.wiring.wants.len();
        let mut batch = Batch { headers: vec![ByteColumn::default(); wants], ..Batch::default() };
        for (input, time) in rows {
            let Some(input) = self.inputs.get(*input) else { continue };
            batch.keys.push(input.key.as_deref());
            batch.values.push(input.value.as_deref());
            batch.event_times.push(*time);
            for (name, column) in self.wiring.wants.iter().zip(&mut batch.headers) {
                let given = input.headers.iter().find(|(given, _)| given == name);
                column.push(given.map(|(_, value)| value.as_slice()));
            }
        }
        batch
    }
}
