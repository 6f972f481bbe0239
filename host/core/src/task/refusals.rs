//! What does not go on: dead letters, late records, rejections, and how they are counted. A
//! refused payload is never touched.

use super::Task;
use super::deliver::DELIVERY_UNKNOWN;
use super::sheet::{NO_ID, Sheet};
use super::work::Work;
use crate::counters::{Counters, EdgeCounters};
use crate::dead_letter::{self, Cause, Refused};
use crate::identity::{self, Id};
use crate::operator::{Rejection, Verdict};
use crate::record::{NO_TIME, PRIORITY_DEFAULT, Records};
use crate::spec::LateRoute;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Different kinds of an operator that are counted apart.
const KINDS_MAX: usize = 64;

impl Task {
    pub(super) fn late(
        &mut self,
        edge: usize,
        sheet: &Sheet<'_>,
        item: usize,
        work: &mut Work<'_>,
    ) {
        self.count(edge, |counters| &mut counters.late);
        let row = sheet.row(item);
        work.failed(row);
        match self.spec.late {
            // What a person sent back is not dropped without a word.
            LateRoute::Drop if !work.is_sent_back() => {}
            LateRoute::Drop | LateRoute::DeadLetter => {
                let watermark = identity::text_of_time(self.state.plain.watermark);
                let cause = Cause {
                    class: "late",
                    disposition: "rejected".to_owned(),
                    kind: "late".to_owned(),
                    message: format!("the event time lies behind the watermark {watermark}"),
                    retries: 0,
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
        // What may have been taken says nothing of the records that come.
        if cause.disposition != DELIVERY_UNKNOWN {
            work.failed(sheet.row(item));
        }
        self.letter(edge, sheet, item, &cause, work);
    }

    pub(super) fn letter(
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
        let copied = work.input_row(row).filter(|_| self.brings_copies(work));
        let sent_back = work.letter(row);
        let root_id = match (work.tick, copied) {
            (Some((tick, _)), _) => Some(tick),
            _ if sent_back.is_some() => sent_back.map(|letter| letter.letter),
            // The copies of a row are one record, wherever they stand.
            (None, Some((records, row))) => records.ids.get(row).map(identity::hash),
            (None, None) => None,
        };
        let root_id = root_id
            .unwrap_or_else(|| identity::of_position(&spec.input, spec.task.partition, offset));
        // Where the edge reads none the record may bring one all the same.
        let event_time = sheet.shown_time(item);
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
            root: work.input_row(row),
            sent_back,
        };
        work.effects().side(row, spec.dead_letters, |side| {
            dead_letter::write(side, &refused, cause, &spec, epoch, now)
        });
    }

    pub(super) fn reject(
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
                retries: 0,
            };
            self.refuse(edge, sheet, item, cause, work);
        }
    }

    /// Counts by operator and kind. Guests choose their kinds, so there is a bound on them; what
    /// comes beyond it counts as `other`.
    pub(super) fn count_kind(
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

    pub(super) fn count(&mut self, edge: usize, which: impl Fn(&mut EdgeCounters) -> &mut u64) {
        self.add(edge, 1, which);
    }

    pub(super) fn add(
        &mut self,
        edge: usize,
        count: u64,
        which: impl Fn(&mut EdgeCounters) -> &mut u64,
    ) {
        if let Some(counters) = self.state.plain.counters.edges.get_mut(edge) {
            *which(counters) += count;
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
