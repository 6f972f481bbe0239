//! The edge before an operator, and the guest call behind it: judges items in order, shows those
//! that pass to the operator, turns what it returns into the items of the next edge.
//!
//! Order of judgement: id and event time present; duplicate; late; then the id is entered.

use super::sheet::{NO_ID, Sheet};
use super::work::Work;
use super::{Task, deliver};
use crate::dead_letter::Cause;
use crate::identity::{self, Id};
use crate::mutant::{Mutant, planted};
use crate::record::{NO_TIME, Timestamp};
use crate::spec::TimeOrigin;
use crate::window::Sight;

/// What an edge says of an item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is shown to the operator.
    Pass,
    /// Its id is still undecided in the current call, or pushes one out that is: a new call begins.
    Undecided,
    /// It was dealt with: duplicate, late, refused.
    Gone,
}

impl Task {
    /// Judges item `item` at edge `edge`.
    pub(super) fn judge(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        item: usize,
        work: &mut Work<'_>,
    ) -> Judged {
        let id = sheet.id(item);
        let judges_time = edge == self.time_edge() && work.tick.is_none();
        let time = sheet.time(item);
        let missing = self.missing(edge, id, time, judges_time, sheet.row(item), work);
        let missing = missing.or_else(|| {
            let timeless = self.enters_behind(edge, work) && sheet.shown_time(item) == NO_TIME;
            timeless.then(|| refused("no-event-time", "it brings no event time".to_owned()))
        });
        if let Some(cause) = missing {
            self.refuse(edge, sheet, item, cause, work);
            return Judged::Gone;
        }
        if planted(Mutant::LateBeforeDedup) && self.is_late(judges_time, time) {
            self.late(edge, sheet, item, work);
            return Judged::Gone;
        }
        let horizon = self.horizon(edge);
        if let Some(Some(window)) = self.state.windows.get(edge) {
            let sight = match window.look(id, horizon) {
                Sight::New if self.may_be_dead(edge, work) => {
                    window.look(identity::of_dead(id), horizon)
                }
                sight => sight,
            };
            match sight {
                Sight::Undecided if !planted(Mutant::UndecidedInCall) => {
                    return Judged::Undecided;
                }
                Sight::Undecided | Sight::Seen => {
                    self.count(edge, |counters| &mut counters.duplicate);
                    return Judged::Gone;
                }
                Sight::New if window.is_crowded() => return Judged::Undecided,
                Sight::New => {}
            }
            if judges_time && self.is_copy(time, work) {
                self.count(edge, |counters| &mut counters.duplicate);
                return Judged::Gone;
            }
        }
        if judges_time
            && !work.is_sent_back()
            && let TimeOrigin::Records(rules) = self.spec.time
            && !(planted(Mutant::DeadMovesNoTime) && work.is_decided_dead(sheet, item))
        {
            let key = sheet.columns.keys.get(sheet.base + item).map_or(id, identity::hash);
            self.state.plain.clock.observe(time, id, key, &rules);
        }
        if self.is_late(judges_time, time) || self.is_passed(edge, sheet, item, work) {
            self.late(edge, sheet, item, work);
            return Judged::Gone;
        }
        if let Some(Some(window)) = self.state.windows.get_mut(edge)
            && window.enter(id, time, horizon)
        {
            self.count(edge, |counters| &mut counters.evicted_early);
        }
        Judged::Pass
    }

    fn is_late(&self, judges_time: bool, time: Timestamp) -> bool {
        if planted(Mutant::NeverLateBehind) && self.spec.time == TimeOrigin::Producers {
            return false;
        }
        let known = judges_time && self.spec.time != TimeOrigin::None;
        known && time < self.state.plain.watermark
    }

    /// Whether time has passed an item that enters behind the edge that judges time: its operator
    /// must not see what lies behind its own watermark.
    fn is_passed(&self, edge: usize, sheet: &Sheet<'_>, item: usize, work: &Work<'_>) -> bool {
        if !self.enters_behind(edge, work) || planted(Mutant::SentBackNeverLate) {
            return false;
        }
        let watermark = self.state.plain.operator_watermarks.get(edge);
        watermark.is_some_and(|watermark| sheet.shown_time(item) < *watermark)
    }

    /// Whether items of this edge entered behind the one that judges time.
    fn enters_behind(&self, edge: usize, work: &Work<'_>) -> bool {
        edge > self.time_edge() && work.is_sent_back() && self.spec.time != TimeOrigin::None
    }

    /// Makes ready for looking up the ids of a sheet.
    pub(super) fn warm(&self, edge: usize, sheet: &Sheet<'_>) {
        if let Some(Some(window)) = self.state.windows.get(edge) {
            window.warm(&sheet.ids);
        }
    }

    pub(super) fn begin_call(&mut self, edge: usize) {
        if let Some(Some(window)) = self.state.windows.get_mut(edge) {
            window.begin_call();
        }
    }

    /// An item passed the edge: it is shown, unless a decision says that it is dead.
    pub(super) fn select(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        item: usize,
        selected: &mut Vec<u32>,
        work: &mut Work<'_>,
    ) {
        let Some(dead) = work.decided_dead(sheet, item) else {
            selected.push(item as u32);
            return;
        };
        dead.applied = true;
        let cause = dead.cause.clone();
        // Of a row that the transport may have written twice the copy must not get through. What
        // comes from outside may come again and be good.
        let stays = edge == self.time_edge() && self.brings_copies(work);
        let stays = stays || deliver::stays(&cause);
        match stays && !planted(Mutant::DeadCopyShown) {
            true => self.bury(edge, sheet.id(item)),
            false => self.withdraw(edge, sheet.id(item)),
        }
        self.refuse(edge, sheet, item, cause, work);
    }

    /// Whether a call must not take more.
    pub(super) fn is_full(&self, edge: usize, sheet: &Sheet<'_>, selected: &[u32]) -> bool {
        let isolated = self.isolation.is_some_and(|isolation| {
            let behind = isolation.operator < edge && !planted(Mutant::IsolatedAlone);
            (isolation.operator == edge || behind)
                && self.position() < isolation.until
                && !self.replaying
        });
        if isolated && !selected.is_empty() || selected.len() >= self.spec.call_records_max {
            return true;
        }
        let (Some(first), Some(last)) = (selected.first(), selected.last()) else { return false };
        let ends = &sheet.columns.values.ends;
        let end = |item: u32| ends.get(sheet.base + item as usize).copied().unwrap_or(0);
        (end(*last).saturating_sub(end(*first))) as usize >= self.spec.call_bytes_max
    }

    /// Why the edge cannot let the item through, if it cannot.
    fn missing(
        &self,
        edge: usize,
        id: Id,
        time: Timestamp,
        judges_time: bool,
        row: u32,
        work: &Work<'_>,
    ) -> Option<Cause> {
        let refused = |kind: &str, message: String| Some(refused(kind, message));
        if id == NO_ID {
            let edge = self.spec.operators.get(edge).map(|operator| operator.edge.clone());
            let source = edge.unwrap_or_default().id;
            return refused("no-id", format!("no id could be read from {source}"));
        }
        if !judges_time || self.spec.time == TimeOrigin::None {
            return None;
        }
        if time == NO_TIME {
            let edge = self.spec.operators.get(edge).map(|operator| operator.edge.clone());
            let source = edge.unwrap_or_default().time;
            return refused("no-event-time", format!("no event time could be read from {source}"));
        }
        let TimeOrigin::Records(rules) = self.spec.time else { return None };
        let logged =
            work.input_row(row).and_then(|(records, row)| records.timestamps.get(row).copied());
        let bound = logged?.saturating_add(rules.jump_max);
        if time <= bound {
            return None;
        }
        let (time, bound) = (identity::text_of_time(time), identity::text_of_time(bound));
        refused("event-time-ahead", format!("the event time {time} lies behind {bound}"))
    }

    /// Below this event time the window of an edge forgets ids.
    pub(super) fn horizon(&self, edge: usize) -> Timestamp {
        let dedup = self.spec.operators.get(edge).and_then(|operator| operator.edge.dedup);
        let watermark = match edge.cmp(&self.time_edge()) {
            std::cmp::Ordering::Less => NO_TIME,
            // A producer that was idle may have to write again what it wrote before, and time may
            // have passed that meanwhile. Until the producer's own watermark tells a copy, only its
            // id does.
            std::cmp::Ordering::Equal if self.spec.copies && !planted(Mutant::IdleForgotten) => {
                self.state.plain.watermark.min(self.state.plain.heard.least())
            }
            std::cmp::Ordering::Equal => self.state.plain.watermark,
            std::cmp::Ordering::Greater => {
                self.state.plain.operator_watermarks.get(edge).copied().unwrap_or(NO_TIME)
            }
        };
        match dedup {
            Some(dedup) if watermark != NO_TIME => watermark.saturating_sub(dedup.horizon),
            _ => NO_TIME,
        }
    }

    /// Whether the rows may be copies: a task wrote them, on a transport that may write twice.
    pub(super) fn brings_copies(&self, work: &Work<'_>) -> bool {
        self.spec.copies && work.tick.is_none() && work.producer.is_some()
    }

    /// On a transport that may write twice: a row behind the watermark heard from its own
    /// producer can only be a copy.
    fn is_copy(&self, time: Timestamp, work: &Work<'_>) -> bool {
        self.brings_copies(work)
            && !planted(Mutant::CopiesByIdOnly)
            && work.producer.is_some_and(|producer| {
                let heard = self.state.plain.heard.watermark_of(producer);
                heard != NO_TIME && time < heard
            })
    }

    /// Whether the window may hold a dead record's id that must keep its copies out.
    fn may_be_dead(&self, edge: usize, work: &Work<'_>) -> bool {
        let edges = &self.state.plain.counters.edges;
        let died = || edges.get(edge).is_some_and(|counters| counters.dead_lettered > 0);
        let copies = self.spec.copies && edge == self.time_edge() && died();
        // A sink's windows may come from another log, without its counters.
        (copies || self.spec.sink) && (!work.is_sent_back() || planted(Mutant::SentBackIsCopy))
    }

    /// The id of a dead record goes, and keeps its copies out all the same.
    pub(super) fn bury(&mut self, edge: usize, id: Id) {
        if let Some(Some(window)) = self.state.windows.get_mut(edge) {
            window.rename(id, identity::of_dead(id));
        }
    }

    pub(super) fn withdraw(&mut self, edge: usize, id: Id) {
        if let Some(Some(window)) = self.state.windows.get_mut(edge)
            && !planted(Mutant::NotWithdrawn)
        {
            window.withdraw(id);
        }
    }
}

/// An edge cannot let it through.
fn refused(kind: &str, message: String) -> Cause {
    Cause {
        class: "permanent",
        disposition: "rejected".to_owned(),
        kind: kind.to_owned(),
        message,
        retries: 0,
    }
}
