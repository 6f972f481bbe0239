//! What becomes of records and ticks, and the mistakes that can be made of it. A mistake stands
//! where its author would have made it.

use crate::made::{Made, One, row};
use crate::state::{NULL_KEY, State};
use crate::{Batch, Outcome, Rejection, Verdict};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What is read of a record.
struct Read {
    name: String,
    number: i64,
}

pub fn process(state: &mut State, input: Batch) -> Outcome {
    let rows = input.event_times.len();
    state.calls += 1;
    if rows == 0 && state.is("empty-batch-counts") {
        state.count_all();
    }
    let mut made = Made::default();
    let mut in_batch = HashSet::new();
    for at in 0..rows {
        let (key, value) = (row(&input.keys, at), row(&input.values, at));
        break_on(state, key, value);
        let read = match read(state, value) {
            Ok(read) => read,
            Err(message) => {
                made.rejections.push(rejection(at, message));
                continue;
            }
        };
        if state.is("repeats-within-a-batch-dropped") && !in_batch.insert(value) {
            continue;
        }
        let window_key = match key {
            None if state.is("null-key-forgotten") => NULL_KEY,
            key => key.unwrap_or_default(),
        };
        let key = key.unwrap_or_default();
        let count = state.count(key);
        state.window(window_key, input.event_times[at]);
        keep_too_much(state, value);
        let text = format!(r#"{{"name":{:?},"count":{count}}}"#, read.name);
        let text = say_more(state, text, &read, rows);
        let time = match state.is("emits-at-time-zero") {
            true => 0,
            false => input.event_times[at],
        };
        let trace = row(&input.headers[0], at);
        let one = One { output: 0, key: Some(key), value: &text, time, id: None, trace };
        made.push(&one, Some(at as u32));
    }
    finish(state, made, rows)
}

/// Mistakes that depend on one record alone.
fn break_on(state: &State, key: Option<&[u8]>, value: Option<&[u8]>) {
    let is_boom = || value.is_some_and(|value| value.windows(4).any(|word| word == b"boom"));
    match state.mutant() {
        "null-key-traps" => assert!(key.is_some(), "every record has a key"),
        "empty-key-traps" => assert!(key != Some(b""), "every key has a first byte"),
        "tombstone-traps" => assert!(value.is_some(), "every record has a value"),
        "empty-value-traps" => assert!(value != Some(b""), "every value has a first byte"),
        "large-value-traps" => {
            let mut buffer = [0_u8; 65_536];
            let value = value.unwrap_or_default();
            buffer[..value.len()].copy_from_slice(value);
            std::hint::black_box(&buffer);
        }
        "sample-traps" => assert!(!is_boom(), "no record is like that"),
        "sample-hangs" if is_boom() => loop {
            std::hint::black_box(());
        },
        "sample-hoards" if is_boom() => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
            }
        }
        _ => {}
    }
}

fn read(state: &State, value: Option<&[u8]>) -> Result<Read, String> {
    let value = value.ok_or("there is no value")?;
    if state.is("damaged-record-traps") && value.first() == Some(&b'{') {
        // The third byte is taken to begin a character, since it always did.
        let text = String::from_utf8_lossy(value);
        std::hint::black_box(&text[..text.len().min(12)]);
        let json: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        std::hint::black_box(json["name"].as_str().unwrap_or_default().len());
        if let Some(n) = json.get("n") {
            std::hint::black_box(n.as_i64().expect("n is a number"));
        }
    }
    let json: Value = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    let name = json["name"].as_str().ok_or("name: should be a text")?.to_owned();
    let number = json["n"].as_i64().ok_or("n: should be a whole number")?;
    Ok(Read { name, number })
}

/// What grows without a bound.
fn keep_too_much(state: &mut State, value: Option<&[u8]>) {
    if state.is("leaks") {
        let mut copy = vec![1; 4_096];
        copy.extend_from_slice(value.unwrap_or_default());
        state.leaked.push(copy);
    }
}

/// The text of an emission, with what does not belong there.
fn say_more(state: &mut State, text: String, read: &Read, rows: usize) -> String {
    match state.mutant() {
        "calls-counted" => format!("{text} in call {}", state.calls),
        "clock-by-calls" => format!("{text} at {}", 1_700_000_000_000 + 10 * state.calls),
        "batch-size-told" => format!("{text} of {rows}"),
        "address-told" => {
            let boxed = Box::new(read.number);
            format!("{text} at {:p}", &raw const *boxed)
        }
        "counter-forgotten" => {
            state.forgotten += 1;
            format!("{text} as number {}", state.forgotten)
        }
        // Every so often something is said that nobody expects.
        "period-forgotten" => {
            state.forgotten += 1;
            match state.forgotten % 256 {
                0 => format!("{text} and another 256"),
                _ => text,
            }
        }
        _ => text,
    }
}

fn rejection(row: usize, message: String) -> Rejection {
    Rejection {
        row: row as u32,
        verdict: Verdict::Permanent,
        kind: "deserialization".to_owned(),
        message,
    }
}

/// Mistakes in what is said of a whole call.
fn finish(state: &mut State, mut made: Made, rows: usize) -> Outcome {
    let emitted = made.len();
    let first = made.causes.first().copied().unwrap_or(0);
    let last = made.causes.last().copied().unwrap_or(0);
    match state.mutant() {
        "causes-all-first" => made.causes.fill(first),
        "causes-all-last" => made.causes.fill(last),
        "causes-from-one" => made.causes.iter_mut().for_each(|cause| *cause += 1),
        "rejections-backwards" => made.rejections.reverse(),
        "kind-of-many-words" => {
            let all = made.rejections.iter_mut();
            all.for_each(|rejection| rejection.kind = "Not good!".to_owned());
        }
        _ => {}
    }
    let mut outcome = made.finish(rows as u32);
    let emissions = &mut outcome.emissions;
    match state.mutant() {
        "ends-of-characters" => {
            if let Some(end) = emissions.values.ends.last_mut() {
                *end = end.saturating_sub(1);
            }
        }
        "output-unknown" => emissions.outputs.fill(7),
        "times-too-few" => drop(emissions.event_times.pop()),
        "taken-too-many" => outcome.taken += 1,
        // All rows are absorbed, and one of them is asked for again.
        "taken-too-few" if rows > 1 => {
            outcome.taken -= 1;
            if emissions.causes.last() == Some(&outcome.taken) {
                drop_last(&mut outcome);
            }
            outcome.rejections.retain(|rejection| rejection.row < outcome.taken);
        }
        "more-without-end" if state.owes || emitted > 0 => {
            if state.owes {
                owe(&mut outcome);
            }
            state.owes = true;
            outcome.more = true;
        }
        _ => {}
    }
    outcome
}

fn drop_last(outcome: &mut Outcome) {
    let emissions = &mut outcome.emissions;
    for column in
        [&mut emissions.keys, &mut emissions.values, &mut emissions.ids, &mut emissions.headers[0]]
    {
        column.ends.pop();
        column.data.truncate(column.ends.last().copied().unwrap_or(0) as usize);
        column.nulls.retain(|null| (*null as usize) < column.ends.len());
    }
    emissions.outputs.pop();
    emissions.event_times.pop();
    emissions.causes.pop();
}

/// One more emission for the row of the call before.
fn owe(outcome: &mut Outcome) {
    let mut made = Made::default();
    let one = One { output: 0, key: None, value: "more", time: 1 << 41, id: None, trace: None };
    made.push(&one, Some(u32::MAX));
    *outcome = made.finish(0);
    outcome.more = true;
}

pub fn advance(state: &mut State, watermark: i64) -> Outcome {
    match state.mutant() {
        "early-advance-traps" => assert!(watermark > 0, "time began in 1970"),
        "advance-steps-through-gaps" => {
            let mut time = state.reached.unwrap_or(watermark);
            while time < watermark {
                time = std::hint::black_box(time + 1);
            }
        }
        "second-advance-traps" => {
            // There always was a record between two ticks.
            assert!(state.records_since_tick > 0 || state.reached.is_none(), "nothing to do");
        }
        _ => {}
    }
    state.reached = Some(watermark);
    state.records_since_tick = 0;
    let due = state.due(watermark);
    let mut made = Made::default();
    let ids_constant = state.is("ids-constant");
    let emit = |made: &mut Made, key: &[u8], start: i64, count: u64, time: i64| {
        let value = format!(r#"{{"start":{start},"count":{count}}}"#);
        let id = match ids_constant {
            true => "window".to_owned(),
            false => format!("{}|{start}", String::from_utf8_lossy(key)),
        };
        let (key, id) = (Some(key).filter(|key| *key != NULL_KEY), Some(id.as_str()));
        made.push(&One { output: 1, key, value: &value, time, id, trace: None }, None);
    };
    if state.is("hash-order") {
        let unordered: HashMap<(i64, Vec<u8>), u64> = due.into_iter().collect();
        for ((start, key), count) in &unordered {
            emit(&mut made, key, *start, *count, *start);
        }
    } else {
        for ((start, key), count) in &due {
            let time = match state.mutant() {
                "stamped-ahead" => start + 2 * state.window_ms,
                _ => *start,
            };
            emit(&mut made, key, *start, *count, time);
        }
    }
    if state.is("advance-emits-beyond-the-watermark") {
        // All that is held goes out, whether its time has come or not.
        for ((start, key), count) in state.held() {
            emit(&mut made, &key, start, count, start.max(watermark + 1));
        }
    }
    let emitted = made.len();
    let mut outcome = made.finish(0);
    if state.is("advance-more-without-end") && emitted > 0 || state.owes {
        state.owes = state.is("advance-more-without-end");
        outcome.more = true;
        if emitted == 0 {
            owe(&mut outcome);
            outcome.emissions.causes.clear();
        }
    }
    outcome
}

/// Windows by start and key, with their counts.
pub type Windows = BTreeMap<(i64, Vec<u8>), u64>;
