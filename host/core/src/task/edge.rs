//! The edge before an operator, and the guest call behind it: judges items in order, shows those
//! that pass to the operator, turns what it returns into the items of the next edge.
//!
//! Order of judgement: id and event time present; duplicate; late; then the id is entered.

use super::call;
use super::effects::Effects;
use super::rows::Work;
use super::sheet::{NO_ID, Sheet};
use super::{FailedCall, Stop, Task};
use crate::counters::Counters;
use crate::dead_letter::{self, Cause, Refused};
use crate::identity::{self, Id, IdSource, TimeSource};
use crate::mutant::{Mutant, planted};
use crate::operator::{Batch, Emissions, Failure, Operator, Rejection, Verdict};
use crate::record::{NO_TIME, PRIORITY_DEFAULT, Records, Timestamp};
use crate::spec::{EdgeSpec, LateRoute, Route, TimeOrigin};
use crate::window::Sight;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Different kinds of an operator that are counted apart.
const KINDS_MAX: usize = 64;

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

/// From what emissions were made.
pub(super) enum Causes<'a> {
    /// From these items of a sheet.
    Items(&'a Sheet<'a>, &'a [u32]),
    /// From a tick with this id and watermark.
    Tick(Id, Timestamp),
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
        if let Some(cause) = self.missing(edge, id, time, judges_time, sheet.row(item), work) {
            self.refuse(edge, sheet, item, cause, work);
            return Judged::Gone;
        }
        if planted(Mutant::LateBeforeDedup) && self.is_late(judges_time, time) {
            self.late(edge, sheet, item, work);
            return Judged::Gone;
        }
        let horizon = self.horizon(edge);
        if let Some(Some(window)) = self.state.windows.get(edge) {
            match window.look(id, horizon) {
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
            && let TimeOrigin::Records(rules) = self.spec.time
            && !(planted(Mutant::DeadMovesNoTime) && work.is_decided_dead(edge, sheet, item))
        {
            let key = sheet.columns.keys.get(sheet.base + item).map_or(id, identity::hash);
            self.state.plain.clock.observe(time, id, key, &rules);
        }
        if self.is_late(judges_time, time) {
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

    /// Shows the selected items to operator `edge`, and what it emits to those behind it.
    pub(super) fn flush<O: Operator>(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        selected: &mut Vec<u32>,
        work: &mut Work<'_>,
        operators: &mut [O],
    ) -> Result<(), Stop> {
        if selected.is_empty() {
            return Ok(());
        }
        let spec = Arc::clone(&self.spec);
        let mut batch = std::mem::take(&mut self.scratch);
        self.gather(edge, sheet, selected, &mut batch);
        let called = match (operators.get_mut(edge), spec.operators.get(edge)) {
            (Some(operator), Some(spec)) => call::process(operator, &batch, &spec.wiring),
            _ => Err(Failure::Trap("there is no such operator".to_owned())),
        };
        self.scratch = batch;
        let made = called.and_then(|called| {
            let rejected = called.rejections.len() as u64;
            self.reject(edge, sheet, selected, called.rejections, work);
            let absorbed = selected.len() as u64 - rejected.min(selected.len() as u64);
            self.add(edge, absorbed, |counters| &mut counters.absorbed);
            self.emit(edge, &Causes::Items(sheet, selected), called.emissions, work)
        });
        let next = match made {
            Ok(next) => next,
            Err(failure) => {
                return Err(self.failed(edge, sheet, selected, failure, work));
            }
        };
        selected.clear();
        match next {
            Some(next) => self.onward(edge + 1, next, work, operators),
            None => Ok(()),
        }
    }

    /// Takes items to edge `edge`: into the queue before the edge that judges time, else to its
    /// operator at once.
    pub(super) fn onward<O: Operator>(
        &mut self,
        edge: usize,
        next: Arc<Sheet<'static>>,
        work: &mut Work<'_>,
        operators: &mut [O],
    ) -> Result<(), Stop> {
        if work.in_head && edge == self.time_edge() {
            let next = Arc::try_unwrap(next).unwrap_or_else(|shared| (*shared).clone());
            work.queue.append(next);
            return Ok(());
        }
        self.feed(edge, &next, work, operators)
    }

    /// Takes all items that go on to operator `edge`, in calls that no undecided id spans.
    pub(super) fn feed<O: Operator>(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        work: &mut Work<'_>,
        operators: &mut [O],
    ) -> Result<(), Stop> {
        let mut selected = Vec::with_capacity(sheet.len());
        self.warm(edge, sheet);
        self.begin_call(edge);
        let mut item = 0;
        while item < sheet.len() {
            if !sheet.goes_on(item) {
                item += 1;
                continue;
            }
            match self.judge(edge, sheet, item, work) {
                Judged::Undecided => {
                    self.flush(edge, sheet, &mut selected, work, operators)?;
                    self.begin_call(edge);
                    continue;
                }
                Judged::Gone => {}
                Judged::Pass => self.select(edge, sheet, item, &mut selected, work),
            }
            if self.is_full(edge, sheet, &selected) {
                self.flush(edge, sheet, &mut selected, work, operators)?;
                self.begin_call(edge);
            }
            item += 1;
        }
        self.flush(edge, sheet, &mut selected, work, operators)
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
        let Some(dead) = work.decided_dead(edge, sheet, item) else {
            selected.push(item as u32);
            return;
        };
        dead.applied = true;
        let cause = dead.cause.clone();
        // Of a row that the transport may have written twice the copy must not get through. What
        // comes from outside may come again and be good.
        let stays = edge == self.time_edge() && self.brings_copies(work);
        if !stays || planted(Mutant::DeadCopyShown) {
            self.withdraw(edge, sheet.id(item));
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
        let refused = |kind: &str, message: String| {
            Some(Cause {
                class: "permanent",
                disposition: "rejected".to_owned(),
                kind: kind.to_owned(),
                message,
            })
        };
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
        let logged = work.root(row).and_then(|(records, row)| records.timestamps.get(row).copied());
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
    fn brings_copies(&self, work: &Work<'_>) -> bool {
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

    fn late(&mut self, edge: usize, sheet: &Sheet<'_>, item: usize, work: &mut Work<'_>) {
        self.count(edge, |counters| &mut counters.late);
        let row = sheet.row(item);
        work.failed(row);
        match self.spec.late {
            LateRoute::Drop => {}
            LateRoute::DeadLetter => {
                let watermark = identity::text_of_time(self.state.plain.watermark);
                let cause = Cause {
                    class: "late",
                    disposition: "rejected".to_owned(),
                    kind: "late".to_owned(),
                    message: format!("the event time lies behind the watermark {watermark}"),
                };
                self.letter(edge, sheet, item, &cause, work);
            }
            LateRoute::Topic(topic) => {
                let (records, at, id) = (&sheet.columns, sheet.base + item, sheet.id(item));
                work.effects().side(row, topic, |side| {
                    copy_record(records, at, id, side);
                    id
                });
            }
        }
    }

    /// The item is a dead letter.
    pub(super) fn refuse(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        item: usize,
        cause: Cause,
        work: &mut Work<'_>,
    ) {
        self.count(edge, |counters| &mut counters.dead_lettered);
        work.failed(sheet.row(item));
        self.letter(edge, sheet, item, &cause, work);
    }

    fn letter(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        item: usize,
        cause: &Cause,
        work: &mut Work<'_>,
    ) {
        let spec = Arc::clone(&self.spec);
        self.count_kind(edge, &cause.kind, |counters| &mut counters.dead_letters);
        let row = sheet.row(item);
        let offset = work.offset(row);
        let path = sheet.path(item);
        let copied = work.root(row).filter(|_| self.brings_copies(work));
        let root_id = match (work.tick, copied) {
            (Some((tick, _)), _) => Some(tick),
            // The copies of a row are one record, wherever they stand.
            (None, Some((records, row))) => records.ids.get(row).map(identity::hash),
            (None, None) => None,
        };
        let root_id = root_id
            .unwrap_or_else(|| identity::of_position(&spec.input, spec.task.partition, offset));
        let event_time = sheet.time(item);
        let (epoch, now) = (self.epoch, self.now);
        let refused = Refused {
            records: &sheet.columns,
            row: sheet.base + item,
            id: if sheet.id(item) == NO_ID { root_id } else { sheet.id(item) },
            event_time,
            path: &path,
            operator: edge,
            root_id,
            offset,
            root: work.root(row),
        };
        work.effects().side(row, spec.dead_letters, |side| {
            dead_letter::write(side, &refused, cause, &spec, epoch, now)
        });
    }

    fn reject(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        selected: &[u32],
        rejections: Vec<Rejection>,
        work: &mut Work<'_>,
    ) {
        for rejection in rejections {
            let Some(item) = selected.get(rejection.row as usize) else { continue };
            let item = *item as usize;
            if rejection.verdict == Verdict::Discard {
                self.count(edge, |counters| &mut counters.discarded);
                self.count_kind(edge, &rejection.kind, |counters| &mut counters.discarded);
                continue;
            }
            self.withdraw(edge, sheet.id(item));
            let cause = Cause {
                class: "permanent",
                disposition: "rejected".to_owned(),
                kind: rejection.kind,
                message: rejection.message,
            };
            self.refuse(edge, sheet, item, cause, work);
        }
    }

    pub(super) fn withdraw(&mut self, edge: usize, id: Id) {
        if let Some(Some(window)) = self.state.windows.get_mut(edge)
            && !planted(Mutant::NotWithdrawn)
        {
            window.withdraw(id);
        }
    }

    /// Copies the selected items into the batch that the guest gets.
    fn gather(&self, edge: usize, sheet: &Sheet<'_>, selected: &[u32], batch: &mut Batch) {
        let columns = &sheet.columns;
        let wants = self.spec.operators.get(edge).map(|operator| &operator.wiring.wants);
        let wants = wants.map(Vec::as_slice).unwrap_or_default();
        batch.keys.clear();
        batch.values.clear();
        batch.event_times.clear();
        batch.headers.resize_with(wants.len(), Default::default);
        batch.headers.iter_mut().for_each(|column| column.clear());
        let mut at = 0;
        while let Some(first) = selected.get(at).copied() {
            let mut end = at + 1;
            while selected.get(end).is_some_and(|item| *item == first + (end - at) as u32) {
                end += 1;
            }
            let (from, to) = (sheet.base + first as usize, sheet.base + first as usize + end - at);
            batch.keys.extend_rows(&columns.keys, from, to);
            batch.values.extend_rows(&columns.values, from, to);
            let times = sheet.times.get(first as usize..first as usize + end - at);
            let times = times.unwrap_or_default();
            if times.contains(&NO_TIME) {
                // The contract knows no null: such an item shows what it brings, or when it came.
                batch.event_times.extend(times.iter().zip(from..to).map(|(time, row)| {
                    let brought = columns.event_times.get(row).copied().unwrap_or(NO_TIME);
                    let logged = columns.timestamps.get(row).copied().unwrap_or(0);
                    [*time, brought, logged].into_iter().find(|t| *t != NO_TIME).unwrap_or(0)
                }));
            } else {
                batch.event_times.extend_from_slice(times);
            }
            for (name, column) in wants.iter().zip(&mut batch.headers) {
                match columns.header(name) {
                    Some(header) => column.extend_rows(header, from, to),
                    None => column.push_nulls(to - from),
                }
            }
            at = end;
        }
    }

    /// Turns emissions into the items of the next edge and into what goes to topics.
    pub(super) fn emit(
        &mut self,
        edge: usize,
        causes: &Causes<'_>,
        emissions: Emissions,
        work: &mut Work<'_>,
    ) -> Result<Option<Arc<Sheet<'static>>>, Failure> {
        if emissions.is_empty() {
            return Ok(None);
        }
        let spec = Arc::clone(&self.spec);
        let Some(operator) = spec.operators.get(edge) else { return Ok(None) };
        self.check_times(edge, causes, &emissions)?;
        let count = emissions.len();
        let mut sheet = Sheet::empty(edge + 1);
        sheet.ids.reserve(count);
        sheet.rows.reserve(count);
        sheet.steps.reserve(count * (edge + 1));
        let (mut index, mut last) = (0, None);
        for emission in 0..count {
            let cause = emissions.causes.get(emission).copied();
            index = if cause == last || planted(Mutant::IdsByCall) { index } else { 0 };
            last = cause;
            let (cause_id, row) = match causes {
                Causes::Items(from, selected) => {
                    let item = cause.and_then(|row| selected.get(row as usize)).copied();
                    let item = item.unwrap_or(0) as usize;
                    sheet.push_steps(Some((from, item)), index);
                    (from.id(item), from.row(item))
                }
                Causes::Tick(id, _) => {
                    sheet.push_steps(None, index);
                    (*id, 0)
                }
            };
            let given = emissions.ids.get(emission).map(identity::hash);
            sheet
                .ids
                .push(given.unwrap_or_else(|| identity::derived(cause_id, operator.seed, index)));
            sheet.rows.push(row);
            index += 1;
        }
        let outputs = emissions.outputs.clone();
        sheet.columns = Cow::Owned(columns_of(operator, causes, emissions));
        if let Some(next) = spec.operators.get(edge + 1) {
            read_edge(&mut sheet, &next.edge);
        }
        Ok(self.route(edge, sheet, &outputs, work))
    }

    /// Sends items to topics; returns those that go on to the next operator.
    fn route(
        &mut self,
        edge: usize,
        mut sheet: Sheet<'static>,
        outputs: &[u8],
        work: &mut Work<'_>,
    ) -> Option<Arc<Sheet<'static>>> {
        let spec = Arc::clone(&self.spec);
        let operator = spec.operators.get(edge)?;
        let route_of = |output: u8| {
            operator.routes.get(usize::from(output)).copied().unwrap_or(Route::Unconnected)
        };
        let count = sheet.len();
        if outputs.is_empty() && route_of(0) == Route::Next {
            return Some(Arc::new(sheet));
        }
        let routes = (0..count).map(|item| route_of(outputs.get(item).copied().unwrap_or(0)));
        let onward: Vec<bool> = routes.clone().map(|route| route == Route::Next).collect();
        let any_onward = onward.contains(&true);
        if any_onward {
            sheet.onward = Some(onward);
        }
        let sheet = Arc::new(sheet);
        let shared = work.effects().share(Arc::clone(&sheet));
        for (item, route) in routes.enumerate() {
            match route {
                Route::Next => {}
                Route::Topic(topic) => work.effects().emit(sheet.row(item), shared, item, topic),
                Route::Unconnected => {
                    self.count_kind(edge, "unconnected", |counters| &mut counters.discarded);
                }
            }
        }
        any_onward.then_some(sheet)
    }

    /// No emission lies further behind the watermark than `delay`, or further ahead than `ahead`.
    fn check_times(
        &self,
        edge: usize,
        causes: &Causes<'_>,
        emissions: &Emissions,
    ) -> Result<(), Failure> {
        if edge < self.time_edge() || self.spec.time == TimeOrigin::None {
            return Ok(());
        }
        let Some(operator) = self.spec.operators.get(edge) else { return Ok(()) };
        let (delay, ahead) = (operator.wiring.delay as i64, operator.wiring.ahead as i64);
        let watermarks = &self.state.plain.operator_watermarks;
        let watermark = watermarks.get(edge).copied().unwrap_or(NO_TIME);
        let watermark = match causes {
            Causes::Tick(_, new) if planted(Mutant::EmissionVsNewWatermark) => *new,
            _ => watermark,
        };
        let low = watermark.saturating_sub(delay);
        for (emission, time) in emissions.event_times.iter().enumerate() {
            if watermark != NO_TIME && *time < low {
                let (time, low) = (identity::text_of_time(*time), identity::text_of_time(low));
                let what = format!("emits at {time}, which lies behind {low} (its delay: {delay})");
                return Err(Failure::BadReturn(what));
            }
            let from = match causes {
                Causes::Tick(_, watermark) => *watermark,
                Causes::Items(sheet, selected) => {
                    let row = emissions.causes.get(emission).copied().unwrap_or(0) as usize;
                    let item = selected.get(row).copied().unwrap_or(0) as usize;
                    sheet.time(item)
                }
            };
            if from != NO_TIME && *time > from.saturating_add(ahead) {
                let (time, from) = (identity::text_of_time(*time), identity::text_of_time(from));
                let what = format!("emits at {time}, more than {ahead} ms ahead of {from}");
                return Err(Failure::BadReturn(what));
            }
        }
        Ok(())
    }

    fn failed(
        &self,
        edge: usize,
        sheet: &Sheet<'_>,
        selected: &[u32],
        failure: Failure,
        work: &Work<'_>,
    ) -> Stop {
        let item = selected.first().copied().unwrap_or(0) as usize;
        Stop::Call(Box::new(FailedCall {
            operator: edge,
            failure,
            advance: false,
            alone: selected.len() == 1,
            quiet: self.has_passed_before(work, sheet.row(item)),
            position: work.offset(sheet.row(item)),
            tick: work.tick.map(|_| self.state.plain.progress.ticks),
            path: sheet.path(item),
            until: work.end().max(self.position()) + 1,
        }))
    }

    /// Whether the failed item has passed before: something durable lies behind it. Of the last
    /// durable decision this is so unless it is about an item of this row or one before, which the
    /// run has met already.
    fn has_passed_before(&self, work: &Work<'_>, row: u32) -> bool {
        let published = self.state.plain.progress.root() < self.intent;
        let due = self
            .stored
            .back()
            .is_some_and(|last| last.position > work.offset(row) || !work.has_met(last.number));
        self.replaying || published || (due && !planted(Mutant::ReplayToCommit))
    }

    /// Counts by operator and kind. Guests choose their kinds, so there is a bound on them; what
    /// comes beyond it counts as `other`.
    fn count_kind(
        &mut self,
        edge: usize,
        kind: &str,
        which: impl Fn(&mut Counters) -> &mut BTreeMap<String, u64>,
    ) {
        let operator = self.spec.operators.get(edge).map_or("", |operator| &operator.name);
        self.counted.clear();
        self.counted.extend([operator, "/", kind]);
        let map = which(&mut self.state.plain.counters);
        if let Some(count) = map.get_mut(&self.counted) {
            *count += 1;
            return;
        }
        let prefix = self.counted.len() - kind.len();
        let of_operator = self.counted.get(..prefix).unwrap_or_default();
        if map.keys().filter(|name| name.starts_with(of_operator)).count() >= KINDS_MAX {
            self.counted.truncate(prefix);
            self.counted.push_str("other");
        }
        *map.entry(self.counted.clone()).or_default() += 1;
    }

    fn count(
        &mut self,
        edge: usize,
        which: impl Fn(&mut crate::counters::EdgeCounters) -> &mut u64,
    ) {
        self.add(edge, 1, which);
    }

    fn add(
        &mut self,
        edge: usize,
        count: u64,
        which: impl Fn(&mut crate::counters::EdgeCounters) -> &mut u64,
    ) {
        if let Some(counters) = self.state.plain.counters.edges.get_mut(edge) {
            *which(counters) += count;
        }
    }
}

/// The columns of the items that emissions become: headers that are set, and those inherited.
fn columns_of(
    operator: &crate::spec::OperatorSpec,
    causes: &Causes<'_>,
    emissions: Emissions,
) -> Records {
    let count = emissions.len();
    let Emissions { keys, values, event_times, causes: rows, mut ids, .. } = emissions;
    if ids.is_empty() {
        ids.push_nulls(count);
    }
    let cause_of = |emission: usize| match causes {
        Causes::Items(sheet, selected) => {
            let row = rows.get(emission).copied().unwrap_or(0) as usize;
            let item = selected.get(row).copied().unwrap_or(0) as usize;
            Some((*sheet, sheet.base + item))
        }
        Causes::Tick(..) => None,
    };
    let priorities = if emissions.priorities.len() == count {
        emissions.priorities
    } else {
        let priority =
            |(sheet, row): (&Sheet<'_>, usize)| sheet.columns.priorities.get(row).copied();
        let of = |emission| cause_of(emission).and_then(priority).unwrap_or(PRIORITY_DEFAULT);
        (0..count).map(of).collect()
    };
    let sets = &operator.wiring.sets;
    let mut records = Records {
        keys,
        values,
        ids,
        event_times,
        timestamps: Vec::new(),
        priorities,
        headers: Vec::new(),
    };
    for (name, column) in sets.iter().zip(emissions.headers) {
        records.headers.push(crate::record::Header { name: name.clone(), column });
    }
    if operator.wiring.inherits_headers
        && let Causes::Items(sheet, _) = causes
    {
        for header in &sheet.columns.headers {
            if sets.contains(&header.name) || header.name.starts_with("pawl-") {
                continue;
            }
            let mut column = crate::column::ByteColumn::default();
            for emission in 0..count {
                column.push(cause_of(emission).and_then(|(_, row)| header.column.get(row)));
            }
            records.headers.push(crate::record::Header { name: header.name.clone(), column });
        }
    }
    records
}

/// Reads ids and times of emissions as the edge before the next operator sees them.
fn read_edge(sheet: &mut Sheet<'static>, edge: &EdgeSpec) {
    if edge.time == TimeSource::Own {
        sheet.times.clone_from(&sheet.columns.event_times);
        if matches!(edge.id, IdSource::Own | IdSource::Position) {
            return;
        }
    }
    sheet.times.clear();
    for item in 0..sheet.len() {
        let (id, time) = identity::read(&edge.id, &edge.time, &sheet.columns, item);
        sheet.times.push(time);
        if !matches!(edge.id, IdSource::Own | IdSource::Position)
            && let Some(own) = sheet.ids.get_mut(item)
        {
            *own = id.unwrap_or(NO_ID);
        }
    }
}

/// Copies one record, with its id as it goes out.
fn copy_record(from: &Records, row: usize, id: Id, to: &mut Records) {
    let hex = identity::hex(id);
    let headers = from.headers.iter();
    let headers: Vec<(&str, &[u8])> = headers
        .filter_map(|header| Some((header.name.as_str(), header.column.get(row)?)))
        .collect();
    to.push(crate::record::Record {
        key: from.keys.get(row),
        value: from.values.get(row),
        id: Some(from.ids.get(row).unwrap_or(&hex)),
        event_time: from.event_times.get(row).copied().unwrap_or(NO_TIME),
        timestamp: 0,
        priority: from.priorities.get(row).copied().unwrap_or(PRIORITY_DEFAULT),
        headers: &headers,
    });
}

/// Both lists of effects of a run.
pub(super) struct BothEffects {
    pub head: Effects,
    pub tail: Effects,
}
