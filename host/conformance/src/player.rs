//! Plays the host to one instance: whole calls, with the rest while rows are left and again while
//! more is owed, and what came of each row. Never trusts a count; stops at the first failure, and
//! when the law's time is over.

use crate::history::{Call, Cut, Item};
use crate::kit::Kit;
use crate::trace::{Emitted, Event, Kept, Rejected, Trace};
use pawl_core::column::ByteColumn;
use pawl_core::operator::{Batch, CAUSE_OWED, Failure, Operator, Outcome};
use pawl_core::record::Timestamp;
use pawl_sandbox::{Error, Instance, RestoreError};

/// How often an instance may owe more for one call, and bytes that it may emit in it: as the host.
const CALLS_MAX: usize = 100_000;
const OUTPUT_BYTES_MAX: usize = 512 << 20;

/// Calls for the same row or tick after which a failure is put down to `more`.
const MANY_CALLS: usize = 64;

/// How a play ended before its time.
#[derive(Clone, Debug)]
pub(crate) struct Broke {
    /// `process`, `advance`, `snapshot`, `restore`, `configure`.
    pub during: &'static str,
    pub failure: Failure,
    /// How many events were complete.
    pub events: usize,
    /// How often it had asked for another call, for what it owed, before it failed.
    pub asked: usize,
}

/// What a call for one batch or tick came to so far.
#[derive(Default)]
struct Asked {
    calls: usize,
    /// Calls in a row that only gave what was owed.
    owed: usize,
    bytes: usize,
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

    /// Whether the plugin did nothing wrong, and the law's time was over.
    pub fn is_over(&self) -> bool {
        matches!(self.failure, Failure::Halted(_))
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

/// That the law's time is over.
fn over(during: &'static str, events: usize) -> Broke {
    let failure = Failure::Halted("the time for this law is over".to_owned());
    Broke { during, failure, events, asked: 0 }
}

impl<'k> Player<'k> {
    /// A fresh instance.
    pub fn new(kit: &'k Kit) -> Result<Self, Broke> {
        Self::configured(kit, &kit.config)
    }

    /// A fresh instance with this configuration.
    pub fn configured(kit: &'k Kit, config: &'k str) -> Result<Self, Broke> {
        if kit.watch.is_law_over() {
            return Err(over("configure", 0));
        }
        Self::of_instance(kit, config, kit.instance(config)).map_err(|error| broke_at_start(&error))
    }

    /// With an instance of this configuration, if it could be made.
    pub fn of_instance(
        kit: &'k Kit,
        config: &'k str,
        instance: Result<Instance, Error>,
    ) -> Result<Self, Error> {
        let (trace, shorts) = (Trace::default(), Vec::new());
        instance.map(|instance| Self { kit, config, instance, trace, shorts, calls_made: 0 })
    }

    /// Plays a whole history.
    pub fn play(&mut self, items: &[Item], cut: Cut) -> Result<(), Broke> {
        for call in self.kit.calls(items, cut) {
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
                self.go_on("snapshot")?;
                self.instance.snapshot(*full).map_err(|f| self.broke("snapshot", f, 0))?;
            }
            Call::Other(Item::Restore) => self.restore()?,
            Call::Other(Item::Empty | Item::Row(..)) => self.rows(&[])?,
        }
        self.calls_made += 1;
        Ok(())
    }

    /// Says no when the law's time is over.
    fn go_on(&self, during: &'static str) -> Result<(), Broke> {
        if self.kit.watch.is_law_over() {
            return Err(over(during, self.trace.events.len()));
        }
        self.kit.watch.count();
        Ok(())
    }

    /// The whole state.
    pub fn full_snapshot(&mut self) -> Result<Vec<Vec<u8>>, Broke> {
        self.go_on("snapshot")?;
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
        self.go_on("process")?;
        let mut events: Vec<Event> = rows.iter().map(event).collect();
        let batch = self.kit.batch(rows);
        let outcome = self.instance.process(&batch).map_err(|f| self.broke("process", f, 0))?;
        let bad = |what: String| Failure::BadReturn(format!("process: {what}"));
        sort_out(&mut events, &mut self.trace.kept, 0, &outcome)
            .map_err(|what| self.broke("process", bad(what), 0))?;
        events.truncate(outcome.taken as usize);
        let (owed, mut more, mut asked) = (outcome.more, outcome.more, Asked::default());
        while more {
            self.go_on("process")?;
            let batch = self.kit.batch(&[]);
            let outcome =
                self.instance.process(&batch).map_err(|f| self.broke("process", f, asked.owed))?;
            more = outcome.more;
            self.bound(&mut asked, &outcome, 0, "process")?;
        }
        self.trace.events.append(&mut events);
        Ok(owed)
    }

    fn tick(&mut self, watermark: Timestamp) -> Result<(), Broke> {
        let (mut event, mut asked) = (Event::new(None, watermark), Asked::default());
        loop {
            self.go_on("advance")?;
            let outcome = self
                .instance
                .advance(watermark)
                .map_err(|f| self.broke("advance", f, asked.owed))?;
            for at in 0..outcome.emissions.len() {
                event.add(Emitted::of(&outcome.emissions, at), &mut self.trace.kept);
            }
            if !outcome.more {
                break;
            }
            self.bound(&mut asked, &outcome, 0, "advance")?;
        }
        self.trace.events.push(event);
        Ok(())
    }

    fn rows(&mut self, rows: &[(usize, Timestamp)]) -> Result<(), Broke> {
        let mut events: Vec<Event> = rows.iter().map(event).collect();
        let (mut taken, mut asked) = (0, Asked::default());
        loop {
            self.go_on("process")?;
            let rest = rows.get(taken..).unwrap_or_default();
            let batch = self.kit.batch(rest);
            let outcome =
                self.instance.process(&batch).map_err(|f| self.broke("process", f, asked.owed))?;
            let now = outcome.taken as usize;
            if now < rest.len() && self.shorts.len() < 8 && now > 0 && taken == 0 {
                let (calls, rows) = (self.calls_made, rest.to_vec());
                self.shorts.push(Short { calls, rows, taken: now });
            }
            sort_out(&mut events, &mut self.trace.kept, taken, &outcome).map_err(|what| {
                self.broke("process", Failure::BadReturn(format!("process: {what}")), asked.owed)
            })?;
            taken += now;
            if taken >= rows.len() && !outcome.more {
                break;
            }
            self.bound(&mut asked, &outcome, rows.len(), "process")?;
        }
        self.trace.events.append(&mut events);
        Ok(())
    }

    /// The host, too, does not go on for ever.
    fn bound(
        &self,
        asked: &mut Asked,
        outcome: &Outcome,
        rows: usize,
        during: &'static str,
    ) -> Result<(), Broke> {
        asked.calls += 1;
        asked.bytes += bytes_of(outcome);
        asked.owed = if outcome.more && outcome.taken == 0 { asked.owed + 1 } else { 0 };
        let what = if asked.calls > CALLS_MAX + rows {
            format!("{during} owes more after {CALLS_MAX} calls")
        } else if asked.bytes > OUTPUT_BYTES_MAX {
            format!("{during} emits over {OUTPUT_BYTES_MAX} bytes for one call")
        } else {
            return Ok(());
        };
        Err(self.broke(during, Failure::BadReturn(what), asked.owed))
    }

    fn broke(&self, during: &'static str, failure: Failure, asked: usize) -> Broke {
        Broke { during, failure, events: self.trace.events.len(), asked }
    }
}

/// Puts what a call returned to its rows, the first of which is row `base` of `events`.
fn sort_out(
    events: &mut [Event],
    kept: &mut Kept,
    base: usize,
    outcome: &Outcome,
) -> Result<(), String> {
    for (at, cause) in outcome.emissions.causes.iter().enumerate() {
        let row = match *cause {
            CAUSE_OWED => base.checked_sub(1).ok_or("an emission is owed to no row")?,
            own => base + own as usize,
        };
        let event = events.get_mut(row).ok_or("a cause is none of the rows")?;
        if event.rejected.is_some() {
            return Err(format!("row {row} is rejected and causes an emission later"));
        }
        event.add(Emitted::of(&outcome.emissions, at), kept);
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

fn event((input, time): &(usize, Timestamp)) -> Event {
    Event::new(Some(*input), *time)
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
