//! The end of a sink's stage: records leave the system here, each no sooner than its turn. What a
//! receiver does not take is no function of the records, so it becomes a decision.
//!
//! Below the commit nothing is delivered again. What lies behind it may have been: the receiver
//! tells copies by their ids, or the sink sends at most once, and then what was under way when a
//! life ended is `delivery-unknown` and never sent again.

use super::sheet::Sheet;
use super::work::Work;
use super::{Stop, Task};
use crate::dead_letter::{self, Cause};
use crate::decision::{Decision, DecisionKind, Root};
use crate::laws::{Law, Violation};
use crate::mutant::{Mutant, planted};
use crate::operator::{Deliveries, Failure, Operator, Receipt};
use crate::record::Offset;

/// The disposition of a record that was sent, and nobody knows whether it was taken.
pub const DELIVERY_UNKNOWN: &str = "delivery-unknown";

/// The disposition of a record that was tried too often.
const RETRIES_EXHAUSTED: &str = "retries-exhausted";

impl Task {
    /// Shows the selected items to the sink, unless they were delivered before the commit.
    pub(super) fn flush_to_sink<O: Operator>(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        selected: &mut Vec<u32>,
        work: &mut Work<'_>,
        operators: &mut [O],
    ) -> Result<(), Stop> {
        let mut absorbed = selected.len() as u64;
        if !self.replaying || planted(Mutant::DeliveredAgain) {
            let receipts = match self.receipts(edge, sheet, selected, work, operators) {
                Ok(receipts) => receipts,
                Err(failure) => return Err(self.failed(edge, sheet, selected, failure, work)),
            };
            for (item, receipt) in selected.iter().zip(receipts) {
                let Receipt::Undelivered { disposition, kind, message, retries } = receipt else {
                    continue;
                };
                absorbed -= 1;
                let message = dead_letter::bounded(&message).to_owned();
                let disposition = disposition.to_owned();
                let class = class_of(&disposition);
                let cause = Cause { class, disposition, kind, message, retries };
                let (item, row) = (*item as usize, sheet.row(*item as usize));
                match stays(&cause) {
                    true => self.bury(edge, sheet.id(item)),
                    false => self.withdraw(edge, sheet.id(item)),
                }
                work.undelivered.push_back((row, cause.clone()));
                self.refuse(edge, sheet, item, cause, work);
            }
        }
        self.add(edge, absorbed, |counters| &mut counters.absorbed);
        selected.clear();
        Ok(())
    }

    /// One receipt for each selected item.
    fn receipts<O: Operator>(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        selected: &[u32],
        work: &Work<'_>,
        operators: &mut [O],
    ) -> Result<Vec<Receipt>, Failure> {
        let place = |item: &u32| {
            let item = *item as usize;
            (sheet.base + item, sheet.id(item), work.offset(sheet.row(item)))
        };
        let places: Vec<_> = selected.iter().map(place).collect();
        // A sink that sends at most once takes nothing back.
        let unknown_until = if work.is_sent_back() { 0 } else { self.unknown_until };
        let sent = places.iter().filter(|(.., offset)| *offset < unknown_until).count();
        let unknown = Receipt::Undelivered {
            disposition: DELIVERY_UNKNOWN,
            kind: DELIVERY_UNKNOWN.to_owned(),
            message: "the host ended when it was about to be sent, or was; it may have been taken"
                .to_owned(),
            retries: 0,
        };
        let mut receipts = vec![unknown; sent];
        let items = places.get(sent..).unwrap_or_default().to_vec();
        if items.is_empty() {
            return Ok(receipts);
        }
        let due = items.len();
        let sink = operators.get_mut(edge);
        let sink = sink.ok_or_else(|| Failure::Trap("there is no such sink".to_owned()))?;
        let sent_back = work.is_sent_back();
        let given = sink.deliver(&Deliveries { records: &sheet.columns, items, sent_back })?;
        if given.len() != due {
            let what = format!("gave {} receipts for {due} records", given.len());
            return Err(Failure::BadReturn(what));
        }
        receipts.extend(given);
        Ok(receipts)
    }

    /// The row is finished: what was not delivered of it is a decision from here on.
    pub(super) fn decide_undelivered(
        &mut self,
        position: Offset,
        root: Root,
        row: u32,
        work: &mut Work<'_>,
    ) -> Result<(), Stop> {
        while let Some(cause) = work.take_undelivered(row) {
            if !self.stored.is_empty() {
                let what = format!("{position} was not delivered before a durable decision");
                return Err(Stop::Law(Violation::of(Law::Dt1, what)));
            }
            if planted(Mutant::UndeliveredUnsaid) {
                continue;
            }
            let Cause { disposition, kind, message, retries, .. } = cause;
            self.fresh.push(Decision {
                number: self.state.plain.progress.decisions,
                position,
                kind: DecisionKind::Undelivered {
                    root,
                    disposition,
                    error_kind: kind,
                    message,
                    retries,
                },
                epoch: self.epoch,
            });
            self.state.plain.progress.decisions += 1;
        }
        Ok(())
    }
}

/// The class of a dead letter of this disposition.
pub(super) fn class_of(disposition: &str) -> &'static str {
    match disposition {
        RETRIES_EXHAUSTED | DELIVERY_UNKNOWN => "transient",
        _ => "permanent",
    }
}

/// Whether the id stays in the dedup window: a copy of what may have been taken is not sent.
pub(super) fn stays(cause: &Cause) -> bool {
    cause.disposition == DELIVERY_UNKNOWN && !planted(Mutant::UnknownForgotten)
}
