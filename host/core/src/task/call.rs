//! One guest call in full: again with the rest while rows are left, again at once while more is
//! owed. Gives one outcome for the whole batch, or the failure. Never trusts a count.

use crate::operator::{
    Batch, CAUSE_OWED, Emissions, Failure, Operator, Outcome, Rejection, Wiring,
};

/// How often an operator may owe more for one call, and bytes that it may emit in it.
const CALLS_MAX: usize = 100_000;
const OUTPUT_BYTES_MAX: usize = 512 << 20;

/// What an emission takes beside its bytes, about.
const EMISSION_BYTES: usize = 64;

/// What became of all rows of a batch.
#[derive(Default)]
pub(super) struct Called {
    pub emissions: Emissions,
    pub rejections: Vec<Rejection>,
}

/// Lets `operator` process the whole batch.
pub(super) fn process<O: Operator>(
    operator: &mut O,
    batch: &Batch,
    wiring: &Wiring,
) -> Result<Called, Failure> {
    let rows = batch.len();
    let first = operator.process(batch)?;
    check(&first, rows, false, wiring)?;
    let (mut taken, mut more) = (first.taken as usize, first.more);
    let mut called = Called { emissions: first.emissions, rejections: first.rejections };
    let mut calls = 1;
    while taken < rows || more {
        let rest = rest_of(batch, taken);
        let outcome = operator.process(&rest)?;
        check(&outcome, rows - taken, more, wiring)?;
        (more, taken) = (outcome.more, append(&mut called, outcome, taken)?);
        calls += 1;
        bound(calls, rows, &called.emissions)?;
    }
    Ok(called)
}

/// Lets `operator` advance.
pub(super) fn advance<O: Operator>(
    operator: &mut O,
    watermark: i64,
    wiring: &Wiring,
) -> Result<Emissions, Failure> {
    let first = operator.advance(watermark)?;
    check(&first, 0, false, wiring)?;
    let mut more = first.more;
    let mut called = Called { emissions: first.emissions, rejections: Vec::new() };
    let mut calls = 1;
    while more {
        let outcome = operator.advance(watermark)?;
        check(&outcome, 0, false, wiring)?;
        more = outcome.more;
        append(&mut called, outcome, 0)?;
        calls += 1;
        bound(calls, 0, &called.emissions)?;
    }
    Ok(called.emissions)
}

fn bound(calls: usize, rows: usize, emissions: &Emissions) -> Result<(), Failure> {
    if calls > CALLS_MAX + rows {
        return Err(Failure::BadReturn(format!("owes more after {CALLS_MAX} calls")));
    }
    let headers: usize = emissions.headers.iter().map(|column| column.data.len()).sum();
    let columns = [&emissions.values, &emissions.keys, &emissions.ids];
    let bytes = columns.iter().map(|column| column.data.len()).sum::<usize>()
        + headers
        + emissions.len() * EMISSION_BYTES;
    if bytes > OUTPUT_BYTES_MAX {
        return Err(Failure::BadReturn(format!(
            "emits more than {OUTPUT_BYTES_MAX} bytes at once"
        )));
    }
    Ok(())
}

/// What joins calls together; the shape of the columns is checked where they are lifted.
fn check(outcome: &Outcome, rows: usize, owed: bool, wiring: &Wiring) -> Result<(), Failure> {
    let bad = |what: String| Err(Failure::BadReturn(what));
    let taken = outcome.taken as usize;
    let emissions = &outcome.emissions;
    if taken > rows {
        return bad(format!("took {taken} of {rows} rows"));
    }
    let progress = taken > 0 || !emissions.is_empty() || (owed && !outcome.more);
    if (taken < rows || outcome.more) && !progress {
        return bad("made no progress".to_owned());
    }
    if rows > 0 || owed {
        if emissions.causes.len() != emissions.len() {
            return bad("has not one cause per emission".to_owned());
        }
        let owed_here = emissions.causes.iter().take_while(|cause| **cause == CAUSE_OWED).count();
        if owed_here > 0 && !owed {
            return bad("emits for the call before, which owed nothing".to_owned());
        }
        let own = emissions.causes.get(owed_here..).unwrap_or_default();
        if own.iter().any(|cause| *cause as usize >= taken) || !own.is_sorted() {
            return bad("has causes out of order or of rows not taken".to_owned());
        }
    }
    if outcome.rejections.iter().any(|rejection| rejection.row as usize >= taken) {
        return bad("rejects a row that it did not take".to_owned());
    }
    let outputs = emissions.outputs.iter().any(|o| usize::from(*o) >= wiring.outputs.len().max(1));
    if outputs {
        return bad("emits to an output that it does not have".to_owned());
    }
    Ok(())
}

/// Adds a later outcome, whose row 0 is row `offset` of the batch. Returns rows taken so far.
fn append(called: &mut Called, outcome: Outcome, offset: usize) -> Result<usize, Failure> {
    let Outcome { emissions, rejections, taken, .. } = outcome;
    let last_rejected = called.rejections.last().map(|rejection| rejection.row as usize);
    let owes = emissions.causes.first() == Some(&CAUSE_OWED);
    if owes && (offset == 0 || last_rejected == Some(offset - 1)) {
        return Err(Failure::BadReturn("emits for a row that it rejected".to_owned()));
    }
    let into = &mut called.emissions;
    let (before, count) = (into.len(), emissions.len());
    if !into.outputs.is_empty() || !emissions.outputs.is_empty() {
        into.outputs.resize(before, 0);
        into.outputs.extend_from_slice(&emissions.outputs);
        into.outputs.resize(before + count, 0);
    }
    if !into.priorities.is_empty() || !emissions.priorities.is_empty() {
        // A priority left out is the cause's; the sheet cannot tell that from one given, so the
        // default stands for it. Operators give all or none.
        into.priorities.resize(before, crate::record::PRIORITY_DEFAULT);
        into.priorities.extend_from_slice(&emissions.priorities);
        into.priorities.resize(before + count, crate::record::PRIORITY_DEFAULT);
    }
    into.keys.extend_rows(&emissions.keys, 0, count);
    into.values.extend_rows(&emissions.values, 0, count);
    into.event_times.extend_from_slice(&emissions.event_times);
    if !into.ids.is_empty() || !emissions.ids.is_empty() {
        let missing = before.saturating_sub(into.ids.len());
        into.ids.push_nulls(missing);
        into.ids.extend_rows(&emissions.ids, 0, count);
        let missing = (before + count).saturating_sub(into.ids.len());
        into.ids.push_nulls(missing);
    }
    let causes = emissions.causes.iter();
    into.causes.extend(causes.map(|cause| match *cause {
        CAUSE_OWED => offset as u32 - 1,
        own => own + offset as u32,
    }));
    for (column, more) in into.headers.iter_mut().zip(&emissions.headers) {
        column.extend_rows(more, 0, count);
    }
    let shifted = rejections.into_iter();
    called.rejections.extend(shifted.map(|r| Rejection { row: r.row + offset as u32, ..r }));
    Ok(offset + taken as usize)
}

fn rest_of(batch: &Batch, taken: usize) -> Batch {
    let mut rest = Batch::default();
    let rows = batch.len();
    rest.keys.extend_rows(&batch.keys, taken, rows);
    rest.values.extend_rows(&batch.values, taken, rows);
    rest.event_times.extend_from_slice(batch.event_times.get(taken..).unwrap_or_default());
    for column in &batch.headers {
        let mut part = crate::column::ByteColumn::default();
        part.extend_rows(column, taken, rows);
        rest.headers.push(part);
    }
    rest
}
