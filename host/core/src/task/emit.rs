//! What an operator emits: checked against its watermark, given ids and paths, and sent on to the
//! next operator or to topics. Nothing here trusts an index that a guest gave.

use super::Task;
use super::sheet::{NO_ID, Sheet};
use super::work::Work;
use crate::identity::{self, Id, IdSource, TimeSource};
use crate::mutant::{Mutant, planted};
use crate::operator::{Emissions, Failure};
use crate::record::{NO_TIME, PRIORITY_DEFAULT, Records, Timestamp};
use crate::spec::{EdgeSpec, Route, TimeOrigin};
use std::borrow::Cow;
use std::sync::Arc;

/// From what emissions were made.
pub(super) enum Causes<'a> {
    /// From these items of a sheet.
    Items(&'a Sheet<'a>, &'a [u32]),
    /// From a tick with this id and watermark.
    Tick(Id, Timestamp),
}

impl Task {
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
    pub(super) fn route(
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
    pub(super) fn check_times(
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
