//! Delivers a task's records to its sink: again after a transient failure, with backoff and full
//! jitter, in order, until it is taken, refused, tried too often, or the run ends. It never drops
//! a record, and while it waits the task takes no more input.

use crate::clock::Clock;
use crate::crash::{self, CrashPoint};
use crate::error::Error;
use crate::meter::{Meter, Receiver, Stopwatch};
use crate::stop::StopFlag;
use pawl_core::backoff::{full_jitter, scramble};
use pawl_core::identity;
use pawl_core::operator::{Deliveries, Failure, Receipt};
use pawl_core::record::NO_TIME;
use pawl_core::task::DELIVERY_UNKNOWN;
use pawl_pipeline::{AtRetriesMax, Sink as Rules, SinkKind};
use pawl_sink::{Delivery, Owner, Sink, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// How long a wait is at most before it is seen whether the run ends.
const LOOK: Duration = Duration::from_millis(20);

/// After these the receiver may have taken a record, and only its answer was lost.
const ANSWER_LOST: [&str; 3] = ["timeout", "connection-lost", "http-409"];

/// How often a failure that goes on is logged, in microseconds.
const LOG_EVERY_US: u64 = 10_000_000;

/// How often a sink that has nothing to do is asked to see what is due.
const REST_EVERY_US: u64 = 1_000_000;

/// One task's way to its sink.
pub(crate) struct Deliverer {
    sink: Box<dyn Sink>,
    owner: Owner,
    /// What was delivered last was sent back.
    sent_back: bool,
    rules: Rules,
    clock: Arc<dyn Clock>,
    stop: Arc<StopFlag>,
    opened: bool,
    /// Failures in a row, for the backoff.
    failures: u32,
    logged_us: Option<u64>,
    rested_us: Option<u64>,
    /// Why it halted, if not because the run ends.
    trouble: Option<Error>,
    /// Ids come from positions: keys must not be those of another log or pipeline.
    by_place: bool,
    /// Of the batch under way no record can have been taken.
    took_nothing: bool,
    /// Time between attempts, and time in them.
    withheld: Arc<Stopwatch>,
    delivering: Arc<Stopwatch>,
    /// Where it is told how the receiver does.
    receiver: Arc<Receiver>,
}

/// One record under way.
struct Pending {
    at: usize,
    retries: u64,
    /// An attempt may have been taken: only the answer was lost.
    perhaps: bool,
}

impl Deliverer {
    /// Touches nothing outside before the first delivery.
    pub fn new(
        rules: &Rules,
        owner: Owner,
        by_place: bool,
        clock: Arc<dyn Clock>,
        stop: Arc<StopFlag>,
    ) -> Result<Self, Error> {
        let sink = pawl_sink::make(&rules.kind)
            .map_err(|error| Error::Sink { sink: owner.stage.clone(), error })?;
        Ok(Self {
            sink,
            owner,
            sent_back: false,
            rules: rules.clone(),
            clock,
            stop,
            opened: false,
            failures: 0,
            logged_us: None,
            rested_us: None,
            trouble: None,
            by_place,
            took_nothing: true,
            withheld: Arc::default(),
            delivering: Arc::default(),
            receiver: Arc::default(),
        })
    }

    /// Where its time is counted, between attempts and in them, and where failures are told.
    pub fn measure(&mut self, meter: &Meter) {
        self.withheld = Arc::clone(&meter.withheld);
        self.delivering = Arc::clone(&meter.delivering);
        self.receiver = Arc::clone(&meter.receiver);
    }

    /// Why it halted; none: because the run ends.
    pub fn take_trouble(&mut self) -> Option<Error> {
        self.trouble.take()
    }

    /// Whether of the batch under way when it halted surely no record was taken.
    pub fn took_nothing(&self) -> bool {
        self.took_nothing
    }

    /// Nothing is to be delivered: takes the place over if that was not done yet, so that what an
    /// earlier life left is finished and mistakes are told at once; then does what is due by time.
    pub fn rest(&mut self) -> Result<(), Error> {
        let now = self.clock.elapsed_us();
        if self.rested_us.is_some_and(|at| now.saturating_sub(at) < REST_EVERY_US) {
            return Ok(());
        }
        self.rested_us = Some(now);
        let outcome = match self.opened {
            true => self.sink.rest(),
            false => self.open(),
        };
        self.opened = outcome.is_ok();
        match outcome {
            Ok(()) => {
                self.receiver.took();
                Ok(())
            }
            Err(pawl_sink::Error::Transient { kind, what }) => {
                self.tell_failure(&kind, &what);
                Ok(())
            }
            Err(error) => Err(Error::Sink { sink: self.owner.stage.clone(), error }),
        }
    }

    /// Delivers all records and gives one receipt for each.
    pub fn deliver(&mut self, items: &Deliveries<'_>) -> Result<Vec<Receipt>, Failure> {
        let ids: Vec<String> = items.items.iter().map(|item| self.id_text(items, item)).collect();
        self.took_nothing = true;
        // Where positions tell what is there, those of another topic are those of another log.
        if items.sent_back != self.sent_back && matches!(self.rules.kind, SinkKind::File(_)) {
            self.opened = false;
        }
        self.sent_back = items.sent_back;
        let mut receipts: Vec<Option<Receipt>> = vec![None; ids.len()];
        let mut pending: Vec<Pending> =
            (0..ids.len()).map(|at| Pending { at, retries: 0, perhaps: false }).collect();
        while !pending.is_empty() {
            let deliveries: Vec<Delivery<'_>> =
                pending.iter().map(|pending| delivery(items, pending.at, &ids)).collect();
            crash::at(CrashPoint::BeforeDelivery);
            let before = pending.len();
            let asked_to_wait = match self.attempt(&deliveries) {
                Ok(verdicts) => {
                    crash::at(CrashPoint::AfterDelivery);
                    self.take(verdicts, &mut pending, &mut receipts)?
                }
                Err(error) => {
                    self.failed(&error)?;
                    self.took_nothing = false;
                    for one in &mut pending {
                        (one.retries, one.perhaps) = (one.retries + 1, true);
                    }
                    self.give_up(&mut pending, &mut receipts, &error.to_string())?;
                    None
                }
            };
            if pending.len() < before {
                self.failures = 0;
            }
            if !pending.is_empty() {
                self.wait(asked_to_wait)?;
            }
        }
        Ok(receipts.into_iter().map(|receipt| receipt.unwrap_or(Receipt::Delivered)).collect())
    }

    fn open(&mut self) -> Result<(), pawl_sink::Error> {
        if !self.sent_back || !matches!(self.rules.kind, SinkKind::File(_)) {
            return self.sink.open(&self.owner);
        }
        let log = identity::hash(format!("{}/sent-back", self.owner.log).as_bytes());
        self.sink.open(&Owner { log: identity::hex_text(log), ..self.owner.clone() })
    }

    fn attempt(&mut self, deliveries: &[Delivery<'_>]) -> Result<Vec<Verdict>, pawl_sink::Error> {
        let watch = Arc::clone(&self.delivering);
        let verdicts = watch.time(|| {
            if !self.opened {
                self.open()?;
                self.opened = true;
            }
            self.sink.deliver(deliveries)
        })?;
        if verdicts.len() == deliveries.len() {
            return Ok(verdicts);
        }
        let (given, due) = (verdicts.len(), deliveries.len());
        let what = format!("gave {given} verdicts for {due} records: a bug, please report it");
        Err(pawl_sink::Error::Fatal { code: "sink-verdicts", what })
    }

    /// The sink as a whole failed. Only a transient failure goes on.
    fn failed(&mut self, error: &pawl_sink::Error) -> Result<(), Failure> {
        self.opened = false;
        let pawl_sink::Error::Transient { kind, what } = error else {
            let sink = self.owner.stage.clone();
            self.trouble = Some(Error::Sink { sink, error: error.clone() });
            return Err(Failure::Halted(error.to_string()));
        };
        self.tell_failure(kind, what);
        Ok(())
    }

    /// Takes the verdicts in. Returns how long a receiver asked to wait.
    fn take(
        &mut self,
        verdicts: Vec<Verdict>,
        pending: &mut Vec<Pending>,
        receipts: &mut [Option<Receipt>],
    ) -> Result<Option<u64>, Failure> {
        let (mut left, mut wait, mut last) = (Vec::new(), None, String::new());
        for (mut one, verdict) in std::mem::take(pending).into_iter().zip(verdicts) {
            let undelivered = |disposition, kind, message, retries| {
                Some(Receipt::Undelivered { disposition, kind, message, retries })
            };
            let receipt = match verdict {
                Verdict::Delivered => Some(Receipt::Delivered),
                Verdict::Rejected { kind, message } => {
                    undelivered("sink-rejected", kind, message, one.retries)
                }
                Verdict::Unknown { kind, message } => {
                    undelivered(DELIVERY_UNKNOWN, kind, message, one.retries)
                }
                Verdict::Failed { kind, message, retry_after_ms } => {
                    wait = wait.max(retry_after_ms);
                    last = format!("{kind}: {message}");
                    self.tell_failure(&kind, &message);
                    one.retries += 1;
                    if ANSWER_LOST.contains(&&*kind) {
                        (one.perhaps, self.took_nothing) = (true, false);
                    }
                    None
                }
                Verdict::Waiting => None,
            };
            match receipt {
                None => left.push(one),
                receipt => {
                    self.took_nothing = false;
                    if let Some(place) = receipts.get_mut(one.at) {
                        *place = receipt;
                    }
                }
            }
        }
        *pending = left;
        if last.is_empty() {
            self.receiver.took();
        }
        self.give_up(pending, receipts, &last)?;
        Ok(wait)
    }

    /// Records that were tried too often.
    fn give_up(
        &mut self,
        pending: &mut Vec<Pending>,
        receipts: &mut [Option<Receipt>],
        why: &str,
    ) -> Result<(), Failure> {
        let max = u64::from(self.rules.retries_max);
        if !pending.iter().any(|one| one.retries > max) {
            return Ok(());
        }
        if self.rules.at_retries_max == AtRetriesMax::Stop {
            let what = format!(
                "a record was tried {} times in vain, the last time: {why}; mend the receiver and \
                 start again, nothing is lost; or raise retries_max, or set at_retries_max = \
                 \"dead-letter\"",
                max + 1
            );
            let operator = self.owner.stage.clone();
            self.trouble = Some(Error::Operator { code: "sink-retries", operator, what });
            return Err(Failure::Halted(why.to_owned()));
        }
        for one in pending.extract_if(.., |one| one.retries > max) {
            if let Some(place) = receipts.get_mut(one.at) {
                *place = Some(Receipt::Undelivered {
                    // A copy of what may have been taken must not be sent either.
                    disposition: match one.perhaps {
                        true => DELIVERY_UNKNOWN,
                        false => "retries-exhausted",
                    },
                    kind: "retries-exhausted".to_owned(),
                    message: why.to_owned(),
                    retries: one.retries - 1,
                });
            }
        }
        Ok(())
    }

    /// Waits for the next attempt, unless the run ends.
    fn wait(&mut self, asked_ms: Option<u64>) -> Result<(), Failure> {
        let watch = Arc::clone(&self.withheld);
        watch.time(|| self.wait_for_attempt(asked_ms))
    }

    fn wait_for_attempt(&mut self, asked_ms: Option<u64>) -> Result<(), Failure> {
        let now = self.clock.elapsed_us();
        let seed = scramble(now ^ (u64::from(self.owner.partition) << 40));
        let (first, max) = (self.rules.backoff_ms, self.rules.backoff_max_ms);
        let jitter = full_jitter(self.failures, seed, first, max);
        self.failures = self.failures.saturating_add(1);
        let wait_ms = jitter.max(asked_ms.unwrap_or(0).min(max));
        let until = now + wait_ms.saturating_mul(1000);
        loop {
            if self.stop.is_draining() {
                return Err(Failure::Halted("the run ends while a delivery is retried".to_owned()));
            }
            let left = until.saturating_sub(self.clock.elapsed_us());
            if left == 0 {
                return Ok(());
            }
            std::thread::sleep(LOOK.min(Duration::from_micros(left)));
        }
    }

    /// The id that the record brings, as text; else the one that its edge read, in hexadecimal. One
    /// that comes from a position means something on one log of one pipeline only.
    fn id_text(&self, items: &Deliveries<'_>, (row, id, _): &(usize, identity::Id, u64)) -> String {
        if self.by_place {
            let Owner { pipeline, log, .. } = &self.owner;
            let place = format!("{pipeline}/{log}/{}", identity::hex_text(*id));
            return identity::hex_text(identity::hash(place.as_bytes()));
        }
        let own = items.records.ids.get(*row).and_then(|own| std::str::from_utf8(own).ok());
        own.map_or_else(|| identity::hex_text(*id), str::to_owned)
    }

    /// An attempt failed and is made again: whoever looks at the run must see it while it lasts.
    fn tell_failure(&mut self, kind: &str, message: &str) {
        self.receiver.failed(self.clock.now_ms(), kind, message);
        let now = self.clock.elapsed_us();
        if self.logged_us.is_none_or(|at| now.saturating_sub(at) >= LOG_EVERY_US) {
            self.logged_us = Some(now);
            let Owner { stage, partition, .. } = &self.owner;
            tracing::warn!(
                task = %format_args!("{stage}/{partition}"), %stage, code = kind, error = %message,
                "sink failed, trying again"
            );
        }
    }
}

/// Whether what is about to be sent must be durable before it is.
pub(crate) fn at_most_once(rules: &Rules) -> bool {
    rules.is_at_most_once()
}

/// Whether each batch is committed before the next one: what a kill may send again is what is
/// under way and no more.
pub(crate) fn commits_each_batch(rules: &Rules) -> bool {
    matches!(&rules.kind, SinkKind::Http(_))
}

fn delivery<'a>(items: &Deliveries<'a>, at: usize, ids: &'a [String]) -> Delivery<'a> {
    let records = items.records;
    let (row, _, position) = items.items.get(at).copied().unwrap_or_default();
    let headers = records.headers.iter();
    let headers = headers.filter_map(|header| Some((&*header.name, header.column.get(row)?)));
    Delivery {
        position,
        id: ids.get(at).map_or("", String::as_str),
        key: records.keys.get(row),
        value: records.values.get(row),
        event_time: records.event_times.get(row).copied().filter(|time| *time != NO_TIME),
        headers: headers.collect(),
    }
}
