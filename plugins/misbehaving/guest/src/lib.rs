//! A guest that misbehaves on demand. Its configuration `{"mode":"..."}` says how; without a mode
//! it is an honest identity operator that counts rows. It speaks the contract without the SDK,
//! so that it can lie about everything. It must never be used in a pipeline.
//!
//! `by-value`: each value is an order (`trap`, `loop`, `hoard`, ...), see `obey`. Any other mode
//! is a lie told in each outcome (`lies.rs`), in each snapshot, or in `configure`.

mod bindings {
    #![allow(missing_docs, unsafe_code, reason = "generated from the contract")]
    wit_bindgen::generate!({ path: "../../../wit/operator-0.1.0", world: "plugin" });
    use super::Misbehaving;
    export!(Misbehaving with_types_in self);
}
mod lies;

use bindings::exports::pawl::operator::operator::{
    Batch, ByteColumn, Description, Emissions, Guest, Outcome, Rejection, StatePart, Timestamp,
    Verdict, Wiring,
};
use std::cell::RefCell;

/// Whom the host talks to; what it remembers lies in `STATE`.
struct Misbehaving;

/// What an instance remembers: its mode, the rows seen, and the snapshots given.
#[derive(Default)]
struct State {
    mode: String,
    rows: u64,
    /// What was given last, or restored; a part equal to it is absent.
    given: Option<u64>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn with<R>(use_state: impl FnOnce(&mut State) -> R) -> R {
    STATE.with_borrow_mut(use_state)
}

impl Guest for Misbehaving {
    fn describe() -> Description {
        Description {
            name: "misbehaving".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state_version: 2,
            restores: vec![1, 2],
        }
    }

    fn configure(config: String) -> Result<Wiring, String> {
        let mode = config.split('"').nth(3).unwrap_or_default().to_owned();
        let mut wiring = Wiring {
            outputs: vec!["out".to_owned(), "side".to_owned()],
            wants: vec!["trace".to_owned()],
            sets: vec!["trace".to_owned()],
            inherits_headers: true,
            delay: 0,
            ahead: 0,
        };
        match mode.as_str() {
            "configure-refuses" => return Err("mode: no such mode".to_owned()),
            "configure-refuses-at-length" => return Err("x".repeat(100_000)),
            "configure-loops" => spin(),
            "configure-traps" => panic!("as ordered"),
            "configure-hoards" => hoard(),
            "wiring-same-output-twice" => wiring.outputs = vec!["out".to_owned(); 2],
            "wiring-endless-name" => wiring.sets = vec!["x".repeat(100_000)],
            "wiring-too-many-outputs" => {
                wiring.outputs = (0..256).map(|output| output.to_string()).collect();
            }
            "wiring-delay-of-an-aeon" => wiring.delay = 1 << 53,
            // Not misbehaviour: without a header it is the plain identity that is measured.
            "plain" => {
                wiring.wants.clear();
                wiring.sets.clear();
            }
            "wiring-no-outputs" => wiring.outputs.clear(),
            _ => {}
        }
        with(|state| state.mode = mode);
        Ok(wiring)
    }

    fn process(input: Batch) -> Outcome {
        let mode = with(|state| {
            state.rows += input.event_times.len() as u64;
            state.mode.clone()
        });
        match mode.as_str() {
            "" | "plain" => identity(input),
            "by-value" => obey(input),
            "refuses-some" => lies::refuse_some(input),
            lie => lies::tell(lie, identity(input)),
        }
    }

    fn advance(watermark: Timestamp) -> Outcome {
        let mut outcome = identity(Batch {
            keys: ByteColumn { data: vec![], ends: vec![0], nulls: vec![0] },
            values: ByteColumn { data: b"tick".to_vec(), ends: vec![4], nulls: vec![] },
            event_times: vec![watermark],
            headers: vec![ByteColumn { data: vec![], ends: vec![0], nulls: vec![0] }],
        });
        outcome.taken = 0;
        outcome.emissions.causes.clear();
        match with(|state| state.mode.clone()).as_str() {
            "advance-traps" => panic!("as ordered"),
            "advance-loops" => spin(),
            "advance-takes" => outcome.taken = 1,
            "advance-with-cause" => outcome.emissions.causes = vec![0],
            "advance-rejects" => outcome.rejections = vec![lies::rejection(0)],
            "advance-more-of-nothing" => {
                outcome = Outcome { more: true, ..nothing() };
            }
            _ => {}
        }
        outcome
    }

    fn snapshot(part: u32, full: bool) -> StatePart {
        with(|state| {
            let honest = state.rows.to_le_bytes().to_vec();
            match state.mode.as_str() {
                "snapshot-traps" => panic!("as ordered"),
                "snapshot-loops" => spin(),
                "snapshot-hoards" => hoard(),
                "snapshot-absent-never-given" => StatePart { data: None, more: false },
                "snapshot-endless" => StatePart { data: Some(honest), more: true },
                "snapshot-endless-and-empty" => StatePart { data: Some(vec![]), more: true },
                "snapshot-oversized" => StatePart { data: Some(vec![0; 9 << 20]), more: false },
                "snapshot-many-big-parts" => StatePart { data: Some(vec![0; 1 << 20]), more: true },
                "snapshot-grows-absent" => {
                    let data = (part == 0 && state.given.is_none()).then_some(honest);
                    let more = part == 0 && state.given.is_some();
                    if data.is_some() {
                        state.given = Some(state.rows);
                    }
                    StatePart { data, more }
                }
                "snapshot-absent-though-full" => {
                    let data = state.given.replace(state.rows).is_none().then_some(honest);
                    StatePart { data, more: false }
                }
                _ => {
                    let same = state.given == Some(state.rows) && !full;
                    state.given = Some(state.rows);
                    StatePart { data: (!same).then_some(honest), more: false }
                }
            }
        })
    }

    fn restore(state_version: u32, data: Vec<u8>, more: bool) -> Result<(), String> {
        with(|state| {
            match state.mode.as_str() {
                "restore-traps" => panic!("as ordered"),
                "restore-refuses" => return Err("part 0: the state is of another world".to_owned()),
                _ => {}
            }
            if more {
                return Err("one part is expected, more were announced".to_owned());
            }
            let bytes = data.try_into().map_err(|_| "a state has 8 bytes".to_owned())?;
            state.rows = u64::from_le_bytes(bytes);
            // A state of an older version is not what `snapshot` would give.
            state.given = (state_version == 2).then_some(state.rows);
            Ok(())
        })
    }
}

/// Does what the first value that is an order says, else passes all on.
fn obey(input: Batch) -> Outcome {
    let mut start = 0;
    for end in input.values.ends.iter().map(|end| *end as usize) {
        match &input.values.data[start..end] {
            b"trap" => panic!("as ordered"),
            b"loop" => spin(),
            b"recurse" => {
                std::hint::black_box(recurse(std::hint::black_box(1)));
            }
            b"hoard" => hoard(),
            // Asks for more than there can be, is refused, and goes on.
            b"greedy" => {
                let mut hopeless: Vec<u8> = Vec::new();
                assert!(std::hint::black_box(&mut hopeless).try_reserve(1 << 30).is_err());
            }
            b"flood" => return flood(input),
            b"more" => return Outcome { more: true, ..identity(input) },
            _ => {}
        }
        start = end;
    }
    if input.event_times.is_empty() { owed(input.headers.len()) } else { identity(input) }
}

/// All rows out as they came in, each caused by itself.
fn identity(input: Batch) -> Outcome {
    let rows = input.event_times.len() as u32;
    Outcome {
        emissions: Emissions {
            outputs: Vec::new(),
            keys: input.keys,
            values: input.values,
            event_times: input.event_times,
            causes: (0..rows).collect(),
            ids: ByteColumn { data: vec![], ends: vec![], nulls: vec![] },
            priorities: Vec::new(),
            headers: input.headers,
        },
        rejections: Vec::new(),
        taken: rows,
        more: false,
    }
}

/// No emission, no rejection, nothing taken.
fn nothing() -> Outcome {
    let none = || ByteColumn { data: vec![], ends: vec![], nulls: vec![] };
    identity(Batch { keys: none(), values: none(), event_times: Vec::new(), headers: vec![none()] })
}

/// One emission owed to the call before, and again more: without end.
fn owed(headers: usize) -> Outcome {
    let one = || ByteColumn { data: b"owed".to_vec(), ends: vec![4], nulls: vec![] };
    let batch = Batch {
        keys: one(),
        values: one(),
        event_times: vec![0],
        headers: (0..headers).map(|_| one()).collect(),
    };
    let mut outcome = identity(batch);
    outcome.emissions.causes = vec![u32::MAX];
    outcome.taken = 0;
    outcome.more = true;
    outcome
}

/// One emission of 100 MiB.
fn flood(input: Batch) -> Outcome {
    let mut outcome = identity(input);
    outcome.emissions.values.data.resize(100 << 20, b'~');
    if let Some(end) = outcome.emissions.values.ends.last_mut() {
        *end = 100 << 20;
    }
    outcome
}

fn spin() -> ! {
    loop {
        std::hint::black_box(());
    }
}

fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

#[allow(unconditional_recursion, reason = "the stack is to end before the recursion does")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box([depth; 32])[0] + recurse(depth + 1)
}
