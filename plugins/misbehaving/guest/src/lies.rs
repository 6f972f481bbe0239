//! Lies about an outcome, each by its name. Each must break exactly one rule of the contract and
//! leave the rest of the outcome as it was, so that a test can tell which rule caught it.

use crate::{Batch, ByteColumn, Outcome, Rejection, Verdict};

/// The outcome with the named lie in it; it has at least two rows.
pub fn tell(lie: &str, mut outcome: Outcome) -> Outcome {
    let rows = outcome.taken;
    let emissions = &mut outcome.emissions;
    match lie {
        "ends-descending" => emissions.values.ends[0] = u32::MAX,
        "ends-outside" => *last(&mut emissions.keys.ends) += 1,
        "row-missing" => drop(emissions.values.ends.pop()),
        "null-outside" => emissions.values.nulls = vec![rows],
        "null-with-bytes" => emissions.values.nulls = vec![0],
        "nulls-twice" => {
            emissions.ids = column(rows, "");
            emissions.ids.nulls = vec![0, 0];
        }
        "ids-for-some" => emissions.ids = column(1, "id"),
        "outputs-for-some" => emissions.outputs = vec![0],
        "output-unknown" => emissions.outputs = vec![2; rows as usize],
        "times-missing" => drop(emissions.event_times.pop()),
        "priorities-for-some" => emissions.priorities = vec![0],
        "header-missing" => emissions.headers.clear(),
        "header-too-many" => emissions.headers.push(column(rows, "x")),
        "header-of-other-length" => emissions.headers[0] = column(rows + 1, "x"),
        "causes-missing" => emissions.causes.clear(),
        "causes-descending" => emissions.causes.swap(0, 1),
        "cause-outside" => *last(&mut emissions.causes) = rows,
        "cause-owed-by-nobody" => emissions.causes[0] = u32::MAX,
        "rejected-and-causing" => outcome.rejections = vec![rejection(1)],
        "rejection-outside" => outcome.rejections = vec![rejection(rows)],
        "rejected-twice" => {
            outcome = silent(outcome);
            outcome.rejections = vec![rejection(1), rejection(1)];
        }
        "rejections-descending" => {
            outcome = silent(outcome);
            outcome.rejections = vec![rejection(1), rejection(0)];
        }
        "rejected-and-owing" => {
            outcome.emissions = cut_last(outcome.emissions);
            outcome.rejections = vec![rejection(rows - 1)];
            outcome.more = true;
        }
        "kind-empty" => outcome = rejecting(outcome, "", "m"),
        "kind-shouting" => outcome = rejecting(outcome, "BROKEN", "m"),
        "kind-endless" => outcome = rejecting(outcome, &"k".repeat(65), "m"),
        "message-of-no-text" => {
            outcome = rejecting(outcome, "kind", "message");
            outcome.rejections[0].message = no_text();
        }
        // Not a lie: the host cuts the message and goes on.
        "message-endless" => outcome = rejecting(outcome, "kind", &"ä".repeat(50_000)),
        "taken-too-many" => outcome.taken = rows + 1,
        "taken-none" => {
            outcome = silent(outcome);
            outcome.taken = 0;
        }
        "more-of-nothing" => {
            outcome = silent(outcome);
            outcome.taken = 0;
            outcome.more = true;
        }
        // Not a lie either: half the batch at a time is allowed.
        "half-a-batch" => outcome = half(outcome),
        _ => {}
    }
    outcome
}

/// A rejection of `row` with nothing wrong in it.
/// Not misbehaviour: a fifth of the rows is refused, as their bytes say, and the others pass.
pub fn refuse_some(input: Batch) -> Outcome {
    let value = |row: usize| {
        let end = |row: usize| input.values.ends.get(row).map_or(0, |end| *end as usize);
        let start = if row == 0 { 0 } else { end(row - 1) };
        input.values.data.get(start..end(row)).unwrap_or_default()
    };
    let refused =
        |row: &usize| value(*row).iter().map(|byte| u32::from(*byte)).sum::<u32>() % 5 == 0;
    let (dead, kept): (Vec<usize>, Vec<usize>) = (0..input.event_times.len()).partition(refused);
    let part = |column: &ByteColumn| {
        let mut part = ByteColumn { data: Vec::new(), ends: Vec::new(), nulls: Vec::new() };
        for (at, row) in kept.iter().enumerate() {
            let start = if *row == 0 { 0 } else { column.ends[row - 1] as usize };
            part.data.extend_from_slice(&column.data[start..column.ends[*row] as usize]);
            part.ends.push(part.data.len() as u32);
            part.nulls.extend(column.nulls.contains(&(*row as u32)).then_some(at as u32));
        }
        part
    };
    let mut outcome = super::identity(Batch {
        keys: part(&input.keys),
        values: part(&input.values),
        event_times: kept.iter().map(|row| input.event_times[*row]).collect(),
        headers: input.headers.iter().map(part).collect(),
    });
    outcome.emissions.causes = kept.iter().map(|row| *row as u32).collect();
    outcome.rejections = dead.iter().map(|row| rejection(*row as u32)).collect();
    outcome.taken = input.event_times.len() as u32;
    outcome
}

pub fn rejection(row: u32) -> Rejection {
    Rejection {
        row,
        verdict: Verdict::Permanent,
        kind: "as-ordered".to_owned(),
        message: "rejected as ordered".to_owned(),
    }
}

fn rejecting(outcome: Outcome, kind: &str, message: &str) -> Outcome {
    let mut outcome = silent(outcome);
    outcome.rejections =
        vec![Rejection { kind: kind.to_owned(), message: message.to_owned(), ..rejection(0) }];
    outcome
}

/// The same without emissions.
fn silent(outcome: Outcome) -> Outcome {
    Outcome { taken: outcome.taken, ..crate::nothing() }
}

/// The emissions without the last.
fn cut_last(mut emissions: crate::Emissions) -> crate::Emissions {
    for column in [&mut emissions.keys, &mut emissions.values, &mut emissions.headers[0]] {
        column.ends.pop();
        column.data.truncate(column.ends.last().copied().unwrap_or(0) as usize);
        column.nulls.retain(|null| (*null as usize) < column.ends.len());
    }
    emissions.event_times.pop();
    emissions.causes.pop();
    emissions
}

/// The first half of the rows (at least one), the rest untouched.
fn half(mut outcome: Outcome) -> Outcome {
    let keep = outcome.taken.div_ceil(2);
    while outcome.taken > keep {
        outcome.emissions = cut_last(outcome.emissions);
        outcome.taken -= 1;
    }
    outcome
}

fn column(rows: u32, row: &str) -> ByteColumn {
    ByteColumn {
        data: row.repeat(rows as usize).into_bytes(),
        ends: (1..=rows).map(|number| number * row.len() as u32).collect(),
        nulls: Vec::new(),
    }
}

fn last(numbers: &mut [u32]) -> &mut u32 {
    numbers.last_mut().expect("a lie is told about at least one row")
}

/// Bytes that are no UTF-8, passed off as text.
fn no_text() -> String {
    #[allow(unsafe_code, reason = "a guest can return any bytes as a string; this one does")]
    unsafe {
        String::from_utf8_unchecked(vec![0xff, 0xfe])
    }
}
