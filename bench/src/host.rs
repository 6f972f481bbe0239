//! The host's own work beside the guest: ids, dedup against a million ids, event time, watermark,
//! routing, hashes and what is put aside for the commit. The operator is a plain copy.

use crate::{Figure, VALUE_BYTES, measure};
use pawl_core::breaker::BreakerRules;
use pawl_core::clock::WatermarkRules;
use pawl_core::commit::TaskId;
use pawl_core::identity::{IdSource, TimeSource};
use pawl_core::operator::{Batch, Emissions, Failure, Operator, Outcome, Wiring};
use pawl_core::record::{LogBatch, Record};
use pawl_core::spec::{
    DedupRules, EdgeSpec, LateRoute, OperatorSpec, Route, Spec, TimeOrigin, TopicSpec,
};
use pawl_core::state::State;
use pawl_core::task::{Recovery, Task};
use std::sync::Arc;

/// Ids in the dedup window.
pub const IDS: usize = 1_000_000;

/// Rows of one batch.
const ROWS: usize = 1024;

/// Batches between two commits: about the default of 10,000 records.
const BATCHES: usize = 10;

struct Copy;

impl Operator for Copy {
    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        let emissions = Emissions {
            keys: batch.keys.clone(),
            values: batch.values.clone(),
            event_times: batch.event_times.clone(),
            causes: (0..batch.len() as u32).collect(),
            ..Emissions::default()
        };
        Ok(Outcome { emissions, taken: batch.len() as u32, ..Outcome::default() })
    }

    fn advance(&mut self, _: i64) -> Result<Outcome, Failure> {
        Ok(Outcome::default())
    }
}

/// The figures, and the bytes that an id in the window takes.
pub fn beside_the_guest() -> (Vec<(String, Figure)>, f64) {
    let spec = Arc::new(spec());
    let state = State::new(&spec);
    let Ok(mut task) = Task::new(spec, state, Recovery::default()) else {
        return (Vec::new(), 0.0); // a new state is never ahead of a new commit
    };
    let mut source = Source { next: 0 };
    while (source.next as usize) < IDS + IDS / 2 {
        run(&mut task, &[source.batch()]);
    }
    let mut fresh = Figure { ns: f64::MAX, allocations: f64::MAX };
    for _ in 0..200 {
        // Made just before, as rows are that were just read.
        let batches: Vec<LogBatch> = (0..BATCHES).map(|_| source.batch()).collect();
        let figure = measure(1, ROWS * BATCHES, || run(&mut task, &batches));
        fresh.ns = fresh.ns.min(figure.ns);
        fresh.allocations = fresh.allocations.min(figure.allocations);
    }
    let operator = {
        let batch = crate::sandbox::batch(ROWS);
        measure(500, ROWS, || drop(std::hint::black_box(Copy.process(&batch))))
    };
    let bytes = task.state().windows.iter().flatten().map(|window| window.bytes()).sum::<usize>();
    let own = Figure { ns: fresh.ns - operator.ns, ..fresh };
    let figures = vec![
        (format!("host and a native copy, {IDS} ids"), fresh),
        ("  of that the native copy".to_owned(), operator),
        ("  the host's own work".to_owned(), own),
    ];
    (figures, bytes as f64 / IDS as f64)
}

fn run(task: &mut Task, batches: &[LogBatch]) {
    for batch in batches {
        while task.position() < batch.end() {
            let stopped = task.step(Some(batch), ROWS, None, &mut [Copy], 0).err();
            assert_eq!(stopped, None, "the benchmark's own records are refused");
        }
    }
    task.seal(None);
    drop(task.take_sealed());
}

struct Source {
    next: u64,
}

impl Source {
    fn batch(&mut self) -> LogBatch {
        let mut batch = LogBatch { base: self.next, ..LogBatch::default() };
        let value = [b'x'; VALUE_BYTES];
        for _ in 0..ROWS {
            let id = format!("{:016x}", self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            batch.records.push(Record {
                key: Some(id.get(..8).unwrap_or("").as_bytes()),
                value: Some(&value),
                id: Some(id.as_bytes()),
                event_time: self.next as i64 / 10,
                ..Record::default()
            });
            self.next += 1;
        }
        batch.records.timestamps.fill(i64::MAX / 2);
        batch
    }
}

fn spec() -> Spec {
    let topic = |name: &str| TopicSpec {
        name: name.to_owned(),
        partitions: 4,
        controls: false,
        writers: vec!["bench".to_owned()],
    };
    Spec {
        pipeline: "bench".to_owned(),
        task: TaskId { stage: "bench".to_owned(), partition: 0 },
        input: "in".to_owned(),
        copies: false,
        operators: vec![OperatorSpec {
            name: "copy".to_owned(),
            version: String::new(),
            component: String::new(),
            edge: EdgeSpec {
                id: IdSource::Own,
                time: TimeSource::Own,
                dedup: Some(DedupRules { horizon: i64::MAX / 4, ids_max: IDS as u64 }),
            },
            wiring: Wiring { outputs: vec!["out".to_owned()], ..Wiring::default() },
            routes: vec![Route::Topic(0)],
            seed: OperatorSpec::seed_of("bench", "copy"),
        }],
        time: TimeOrigin::Records(WatermarkRules { disorder: 1000, ..WatermarkRules::default() }),
        time_edge: 0,
        topics: vec![topic("out"), topic("dead")],
        late: LateRoute::Drop,
        dead_letters: 1,
        breaker: BreakerRules::default(),
        call_records_max: ROWS,
        call_bytes_max: 8 << 20,
        sink: false,
    }
}
