//! Sending back, from the selection to the last commit. Killed anywhere and run again with the same
//! selection, it goes on where it was: what was sent stands in the ledger.

use crate::error::Error;
use crate::filter::Filter;
use crate::ledger::{self, Ledger};
use crate::scan::Scan;
use crate::select::{Selected, Selector, Verdict};
use crate::send::{RECORDS_MAX, Sender};
use crate::trial::Trials;
use pawl_core::record::Timestamp;
use pawl_pipeline::Pipeline;
use pawl_transport::Transport;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// What is to be sent back, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which dead letters are meant.
    pub filter: Filter,
    /// Sent back so often, a dead letter is parked.
    pub replays_max: u32,
    /// Parked ones too.
    pub parked: bool,
    /// Those older than the dedup horizon too.
    pub beyond_horizon: bool,
    /// So many at most.
    pub max: Option<u64>,
    /// The run that is gone on with: what it sent before counts towards `max`.
    pub run: Option<String>,
    /// Records a second at most; none: as fast as it goes.
    pub rate: Option<u64>,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Its id, 32 hex digits; none: there was nothing to send, and no run began.
    pub run: Option<String>,
    /// What was selected.
    pub selected: Selected,
    /// How many this process sent, durably.
    pub sent: u64,
}

/// What would be sent now; `trials` tries it. Changes nothing.
pub fn plan(
    transport: &dyn Transport,
    pipeline: &Pipeline,
    options: &Options,
    mut trials: Option<&mut Trials<'_>>,
) -> Result<Selected, Error> {
    let ledger = read_ledger(transport, pipeline, options)?;
    let Some(scan) = Scan::open(transport, &pipeline.dead_letters.topic)? else {
        return Ok(Selected::default());
    };
    let mut selector = Selector::new(transport, pipeline, options, ledger);
    scan.each(|letter| {
        if let Verdict::Send(target) = selector.judge(letter)?
            && let Some(trials) = &mut trials
        {
            trials.look(letter, target)?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(selector.selected)
}

/// Whether anything is to be sent, and what was seen until that was known.
fn look_ahead(
    transport: &dyn Transport,
    pipeline: &Pipeline,
    options: &Options,
) -> Result<(bool, Selected), Error> {
    let ledger = read_ledger(transport, pipeline, options)?;
    let Some(scan) = Scan::open(transport, &pipeline.dead_letters.topic)? else {
        return Ok((false, Selected::default()));
    };
    let mut selector = Selector::new(transport, pipeline, options, ledger);
    scan.each(|letter| {
        Ok(match selector.judge(letter)? {
            Verdict::Send(_) => ControlFlow::Break(()),
            Verdict::Stays => ControlFlow::Continue(()),
        })
    })?;
    Ok((selector.selected.to_send > 0, selector.selected))
}

/// The ledger; an error if it does not know the run that is to be gone on with.
fn read_ledger(
    transport: &dyn Transport,
    pipeline: &Pipeline,
    options: &Options,
) -> Result<Ledger, Error> {
    let ledger = Ledger::read(transport, pipeline, options.run.as_deref())?;
    match &options.run {
        Some(run) if ledger.by_run() == 0 => Err(Error::UnknownRun { run: run.clone() }),
        _ => Ok(ledger),
    }
}

/// Sends back. `progress` is told how many were sent so far, the id of the run first, with 0.
pub fn replay(
    transport: &dyn Transport,
    pipeline: &Pipeline,
    options: &Options,
    now_ms: &dyn Fn() -> Timestamp,
    progress: &mut dyn FnMut(&str, u64),
) -> Result<Replayed, Error> {
    // Whoever has nothing to send must not take over from one that sends.
    let (is_some, selected) = look_ahead(transport, pipeline, options)?;
    if !is_some {
        return Ok(Replayed { run: None, selected, sent: 0 });
    }
    let mut sender = Sender::claim(transport, pipeline, now_ms, options.run.as_deref())?;
    progress(&sender.run, 0);
    // Read behind the claim: whoever sent before can add nothing more.
    let ledger = read_ledger(transport, pipeline, options)?;
    let mut selector = Selector::new(transport, pipeline, options, ledger);
    let Some(scan) = Scan::open(transport, &pipeline.dead_letters.topic)? else {
        return Ok(Replayed { run: Some(sender.run), selected: Selected::default(), sent: 0 });
    };
    let mut pace = Pace::new(options.rate);
    let mut made = BTreeSet::new();
    scan.each(|letter| {
        let Verdict::Send(target) = selector.judge(letter)? else {
            return Ok(ControlFlow::Continue(()));
        };
        if made.insert(target.stage) {
            sender.make_topic(target.stage, selector.partitions(target.stage))?;
        }
        sender.add(letter, target);
        if sender.is_full() || sender.rows() >= pace.burst {
            pace.wait(sender.rows());
            sender.commit()?;
            progress(&sender.run, sender.sent);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    pace.wait(sender.rows());
    sender.commit()?;
    sender.settle()?;
    progress(&sender.run, sender.sent);
    ledger::trim(transport, pipeline, scan.ranges(), selector.ledger())?;
    Ok(Replayed { run: Some(sender.run), selected: selector.selected, sent: sender.sent })
}

/// A bucket of tokens: a tenth of a second's worth at most, one for each record.
struct Pace {
    rate: Option<u64>,
    /// Records of a commit at most, so that a slow rate is an even one.
    burst: u64,
    tokens: f64,
    filled: Instant,
}

impl Pace {
    fn new(rate: Option<u64>) -> Self {
        let burst = rate.map_or(RECORDS_MAX, |rate| (rate / 10).clamp(1, RECORDS_MAX));
        Self { rate, burst, tokens: burst as f64, filled: Instant::now() }
    }

    /// Waits until so many records may go.
    fn wait(&mut self, records: u64) {
        let Some(rate) = self.rate else { return };
        let rate = rate.max(1) as f64;
        let due = self.due(records, rate, self.filled.elapsed().as_secs_f64());
        self.filled = Instant::now();
        if due > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(due));
        }
    }

    /// Takes tokens, fills up for the time that has passed, and says how many seconds are owed.
    fn due(&mut self, records: u64, rate: f64, passed: f64) -> f64 {
        self.tokens = (self.tokens + passed * rate).min(self.burst as f64) - records as f64;
        (-self.tokens / rate).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_long_time_no_more_goes_than_the_rate_allows() {
        let mut pace = Pace::new(Some(1000));
        assert_eq!(pace.burst, 100);
        let (mut time, mut sent) = (0.0, 0);
        for step in 0..200 {
            let records = 1 + step % 100;
            // The time slept counts as passed the next time.
            let passed = if step == 0 { 0.0 } else { pace.due_then() };
            time += passed;
            let _owed = pace.due(records, 1000.0, passed);
            sent += records;
            let allowed = 1000.0 * time + 100.0 + 100.0;
            assert!(sent as f64 <= allowed, "{sent} after {time} s");
        }
    }

    impl Pace {
        /// What is still owed.
        fn due_then(&self) -> f64 {
            (-self.tokens / 1000.0).max(0.0)
        }
    }
}
