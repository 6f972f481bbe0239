//! The machine of a task, rule by rule, with operators of a few lines.

use super::*;
use crate::breaker::BreakerRules;
use crate::clock::WatermarkRules;
use crate::commit::{CommitBatch, TaskId};
use crate::decision::Root;
use crate::identity::{IdSource, TimeSource, operator_seed};
use crate::operator::{Emissions, Failure, Outcome, Rejection, Verdict, Wiring};
use crate::record::{PRIORITY_DEFAULT, Record, Records};
use crate::spec::{DedupRules, EdgeSpec, LateRoute, OperatorSpec, Route, TopicSpec};

mod sent_back;

type Process = Box<dyn FnMut(&Batch) -> Result<Outcome, Failure>>;
type Advance = Box<dyn FnMut(Timestamp) -> Result<Outcome, Failure>>;

struct Script {
    process: Process,
    advance: Advance,
}

impl Operator for Script {
    fn process(&mut self, batch: &Batch) -> Result<Outcome, Failure> {
        (self.process)(batch)
    }

    fn advance(&mut self, watermark: Timestamp) -> Result<Outcome, Failure> {
        (self.advance)(watermark)
    }
}

fn script(process: impl FnMut(&Batch) -> Result<Outcome, Failure> + 'static) -> Script {
    Script { process: Box::new(process), advance: Box::new(|_| Ok(Outcome::default())) }
}

fn push(emissions: &mut Emissions, value: &[u8], time: Timestamp, cause: Option<u32>) {
    emissions.keys.push(None);
    emissions.values.push(Some(value));
    emissions.event_times.push(time);
    emissions.causes.extend(cause);
}

/// Sends on the words of a row, one by one. A row that begins with `bad` is refused, one that
/// begins with `slow` runs out of time, `drop` is discarded.
fn words(batch: &Batch) -> Result<Outcome, Failure> {
    let mut outcome = Outcome { taken: batch.len() as u32, ..Outcome::default() };
    for row in 0..batch.len() {
        let value = batch.values.get(row).unwrap_or_default();
        let verdict = match value {
            _ if value.starts_with(b"bad") => Some(Verdict::Permanent),
            _ if value.starts_with(b"drop") => Some(Verdict::Discard),
            _ if value.starts_with(b"slow") => return Err(Failure::Timeout("slow".to_owned())),
            _ => None,
        };
        if let Some(verdict) = verdict {
            let (kind, message) = ("no".to_owned(), "not wanted".to_owned());
            outcome.rejections.push(Rejection { row: row as u32, verdict, kind, message });
            continue;
        }
        for word in value.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
            push(&mut outcome.emissions, word, batch.event_times[row], Some(row as u32));
        }
    }
    Ok(outcome)
}

const RULES: WatermarkRules = WatermarkRules { disorder: 0, step: 10, jump_max: 1000, agree: 1 };

fn operator(name: &str, routes: Vec<Route>) -> OperatorSpec {
    OperatorSpec {
        name: name.to_owned(),
        version: "1".to_owned(),
        component: String::new(),
        edge: EdgeSpec {
            id: IdSource::Own,
            time: TimeSource::Own,
            dedup: Some(DedupRules { horizon: 1_000_000, ids_max: 1000 }),
        },
        wiring: Wiring {
            outputs: routes.iter().map(|route| format!("{route:?}")).collect(),
            ..Wiring::default()
        },
        routes,
        seed: operator_seed("stage", name),
    }
}

fn spec(operators: Vec<OperatorSpec>) -> Spec {
    let topic = |name: &str, partitions, controls| TopicSpec {
        name: name.to_owned(),
        partitions,
        controls,
        writers: vec!["stage".to_owned()],
    };
    Spec {
        pipeline: "test".to_owned(),
        task: TaskId { stage: "stage".to_owned(), partition: 0 },
        input: "in".to_owned(),
        replay: "back".to_owned(),
        copies: false,
        operators,
        time: TimeOrigin::Records(RULES),
        time_edge: 0,
        topics: vec![
            topic("out", 1, true),
            topic("dead", 1, false),
            topic("late", 1, false),
            topic("more", 1, false),
        ],
        late: LateRoute::Drop,
        dead_letters: 1,
        breaker: BreakerRules { records: 0, failed_share_max: 0.5 },
        call_records_max: 1000,
        call_bytes_max: 1 << 20,
        sink: false,
    }
}

fn one(name: &str) -> Spec {
    spec(vec![operator(name, vec![Route::Topic(0)])])
}

/// Rows of (id, event time, value).
fn batch(rows: &[(&str, Timestamp, &str)]) -> LogBatch {
    let mut records = Records::default();
    for (id, time, value) in rows {
        records.push(Record {
            value: Some(value.as_bytes()),
            id: (!id.is_empty()).then_some(id.as_bytes()),
            event_time: *time,
            timestamp: 1_000_000,
            priority: PRIORITY_DEFAULT,
            ..Record::default()
        });
    }
    LogBatch { records, ..LogBatch::default() }
}

fn start(spec: &Spec) -> Task {
    Task::new(Arc::new(spec.clone()), State::new(spec), Recovery::default()).unwrap()
}

fn resume(spec: &Spec, commit: &Commit, decisions: &[Decision]) -> Task {
    let recovery = Recovery {
        commit: commit.clone(),
        decisions: decisions.to_vec(),
        epoch: 2,
        ..Recovery::default()
    };
    Task::new(Arc::new(spec.clone()), State::new(spec), recovery).unwrap()
}

/// Steps until nothing is left to do.
fn run(task: &mut Task, input: &LogBatch, operators: &mut [Script]) -> Result<(), Stop> {
    while task.step(Some(input), 1000, None, operators, 0)? != Step::Nothing {}
    Ok(())
}

fn sealed(task: &mut Task) -> CommitBatch {
    task.seal(None);
    task.take_sealed().unwrap()
}

/// What went to a topic, in order.
fn texts(batch: &CommitBatch, topic: &str) -> Vec<String> {
    let appends = batch.appends.iter().filter(|append| append.topic == topic);
    let records = appends.map(|append| &append.batch.records);
    let values = records.flat_map(|records| (0..records.len()).map(|row| records.values.get(row)));
    values.map(|value| String::from_utf8_lossy(value.unwrap_or_default()).into_owned()).collect()
}

/// A header of the row of a topic.
fn header(batch: &CommitBatch, topic: &str, row: usize, name: &str) -> String {
    let append = batch.appends.iter().find(|append| append.topic == topic).unwrap();
    let value = append.batch.records.header(name).and_then(|column| column.get(row));
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

const LATE: [(&str, Timestamp, &str); 3] = [("a", 100, "a"), ("b", 50, "b"), ("b", 50, "b")];

#[test]
fn a_late_row_takes_its_route_and_is_counted_and_its_id_is_not_entered() {
    for route in [LateRoute::Drop, LateRoute::Topic(2), LateRoute::DeadLetter] {
        let spec = Spec { late: route, ..one("op") };
        let mut task = start(&spec);
        run(&mut task, &batch(&LATE), &mut [script(words)]).unwrap();
        let batch = sealed(&mut task);
        assert_eq!(batch.commit.counters.edges[0].late, 2, "{route:?}");
        assert_eq!(batch.commit.counters.edges[0].duplicate, 0);
        assert_eq!(texts(&batch, "out"), ["a"]);
        let to = |topic, due: LateRoute| {
            let rows: &[&str] = if route == due { &["b", "b"] } else { &[] };
            assert_eq!(texts(&batch, topic), rows, "{route:?}");
        };
        to("late", LateRoute::Topic(2));
        to("dead", LateRoute::DeadLetter);
        if route == LateRoute::DeadLetter {
            assert_eq!(header(&batch, "dead", 0, "pawl-class"), "late");
        }
    }
}

#[test]
fn an_event_time_far_ahead_of_the_logs_clock_is_refused_and_moves_no_time() {
    let mut task = start(&one("op"));
    let rows = [("a", 100, "a"), ("b", 1_001_001, "b"), ("c", 1_001_000, "c"), ("d", 100, "d")];
    let agree = WatermarkRules { agree: 3, ..RULES };
    let spec = Spec { time: TimeOrigin::Records(agree), ..one("op") };
    let mut waits = start(&spec);
    run(&mut waits, &batch(&rows), &mut [script(words)]).unwrap();
    assert_eq!(waits.state().plain.clock.waiting().count(), 1, "c waits, b does not");
    run(&mut task, &batch(&rows[..2]), &mut [script(words)]).unwrap();
    assert_eq!(task.state().plain.watermark, 100);
    let batch = sealed(&mut task);
    assert_eq!(header(&batch, "dead", 0, "pawl-error-kind"), "event-time-ahead");
    assert_eq!(texts(&batch, "dead"), ["b"]);
}

#[test]
fn an_edge_refuses_what_has_no_id_or_no_event_time_and_the_operator_is_the_entry() {
    for (edge, kind) in [
        (
            EdgeSpec { id: IdSource::Field("/id".into()), ..one("op").operators[0].edge.clone() },
            "no-id",
        ),
        (
            EdgeSpec {
                time: TimeSource::Field("/t".into()),
                ..one("op").operators[0].edge.clone()
            },
            "no-event-time",
        ),
    ] {
        let mut spec = one("op");
        spec.operators[0].edge = edge;
        let mut task = start(&spec);
        let rows =
            [("a", 100, "{\"id\":1}"), ("b", 200, "{\"t\":7}"), ("c", 300, "{\"id\":2,\"t\":9}")];
        run(&mut task, &batch(&rows), &mut [script(words)]).unwrap();
        let batch = sealed(&mut task);
        assert_eq!(texts(&batch, "dead").len(), 1, "{kind}");
        assert_eq!(header(&batch, "dead", 0, "pawl-error-kind"), kind);
        assert_eq!(header(&batch, "dead", 0, "pawl-entry"), "op");
        assert_eq!(texts(&batch, "out").len(), 2);
    }
}

#[test]
fn a_record_whose_id_is_undecided_begins_a_new_call_and_a_refused_id_may_come_again() {
    let calls = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let seen = std::rc::Rc::clone(&calls);
    let mut operators = [script(move |batch| {
        seen.borrow_mut().push(batch.len());
        words(batch)
    })];
    let mut task = start(&one("op"));
    let rows = [("a", 100, "bad"), ("b", 100, "b"), ("a", 100, "good"), ("a", 100, "again")];
    // Ticks cut calls too: the first row makes one, so time must stand before.
    let mut first = vec![("z", 100, "z")];
    first.extend(rows);
    run(&mut task, &batch(&first), &mut operators).unwrap();
    assert_eq!(*calls.borrow(), [1, 2, 1]);
    let batch = sealed(&mut task);
    assert_eq!(texts(&batch, "out"), ["z", "b", "good"]);
    assert_eq!(texts(&batch, "dead"), ["bad"]);
    assert_eq!(batch.commit.counters.edges[0].duplicate, 1);
}

fn chain() -> Spec {
    spec(vec![operator("first", vec![Route::Next]), operator("second", vec![Route::Topic(0)])])
}

#[test]
fn a_dead_letter_inside_a_chain_names_its_entry_and_carries_the_root() {
    let mut task = start(&chain());
    let rows = [("a", 100, "x bad y bad"), ("b", 100, "bad")];
    run(&mut task, &batch(&rows), &mut [script(words), script(words)]).unwrap();
    let batch = sealed(&mut task);
    assert_eq!(texts(&batch, "dead"), ["bad", "bad", "bad"]);
    let of = |row, name| header(&batch, "dead", row, name);
    assert_eq!(
        [of(0, "pawl-entry"), of(1, "pawl-entry"), of(2, "pawl-entry")],
        ["second", "second", "first"]
    );
    assert_eq!(of(0, "pawl-root"), "eCBiYWQgeSBiYWQ=");
    assert_eq!(of(2, "pawl-root"), "");
    assert_ne!(of(0, "pawl-id"), of(1, "pawl-id"), "the path tells them apart");
    assert_eq!(of(1, "pawl-offset"), "0");
    assert_eq!(texts(&batch, "out"), ["x", "y"]);
}

#[test]
fn an_emission_further_behind_the_watermark_than_the_delay_is_a_failure() {
    for (delay, time, fails) in [(20, 80, false), (20, 79, true)] {
        let mut spec = one("op");
        spec.operators[0].wiring.delay = delay;
        let mut operators = [script(move |batch| {
            let mut outcome = Outcome { taken: batch.len() as u32, ..Outcome::default() };
            for row in 0..batch.len() {
                let late = batch.values.get(row) == Some(b"late");
                let time = if late { time } else { batch.event_times[row] };
                push(&mut outcome.emissions, b"x", time, Some(row as u32));
            }
            Ok(outcome)
        })];
        let mut task = start(&spec);
        let done = run(&mut task, &batch(&[("a", 100, "a"), ("b", 100, "late")]), &mut operators);
        assert_eq!(done.is_err(), fails, "{done:?}");
        if let Err(Stop::Call(call)) = done {
            assert!(matches!(call.failure, Failure::BadReturn(_)));
        }
    }
}

#[test]
fn an_emission_of_advance_is_measured_against_the_watermark_before() {
    let mut spec = one("op");
    spec.operators[0].wiring.delay = 20;
    let mut task = start(&spec);
    let mut operators = [script(words)];
    operators[0].advance = Box::new(|watermark| {
        let mut outcome = Outcome::default();
        if watermark == 500 {
            push(&mut outcome.emissions, b"window", 80, None);
        }
        Ok(outcome)
    });
    run(&mut task, &batch(&[("a", 100, "a"), ("b", 500, "b")]), &mut operators).unwrap();
    assert_eq!(texts(&sealed(&mut task), "out"), ["a", "b", "window"]);
}

#[test]
fn outputs_go_where_they_are_routed_and_an_unconnected_one_is_counted() {
    let routes = vec![Route::Topic(0), Route::Next, Route::Topic(3), Route::Unconnected];
    let spec = spec(vec![operator("first", routes), operator("second", vec![Route::Topic(3)])]);
    let mut task = start(&spec);
    let fan = script(|batch| {
        let mut outcome = words(batch)?;
        let count = outcome.emissions.len();
        outcome.emissions.outputs = (0..count).map(|at| (at % 4) as u8).collect();
        Ok(outcome)
    });
    run(&mut task, &batch(&[("a", 100, "p q r s t u v w")]), &mut [fan, script(words)]).unwrap();
    let batch = sealed(&mut task);
    assert_eq!(texts(&batch, "out"), ["p", "t"]);
    let mut more = texts(&batch, "more");
    more.sort();
    assert_eq!(more, ["q", "r", "u", "v"]);
    assert_eq!(batch.commit.counters.discarded.get("first/unconnected"), Some(&2));
    assert_eq!(batch.commit.counters.records_out.get("more"), Some(&4));
}

#[test]
fn what_was_sealed_bit_by_bit_is_one_append_per_partition_with_control_rows_in_place() {
    let rows = [("a", 100, "a"), ("b", 200, "b"), ("c", 300, "c")];
    let (mut whole, mut parts) = (start(&one("op")), start(&one("op")));
    run(&mut whole, &batch(&rows), &mut [script(words)]).unwrap();
    let mut operators = [script(words)];
    while parts.step(Some(&batch(&rows)), 1, None, &mut operators, 0).unwrap() != Step::Nothing {
        parts.seal(None);
    }
    let (whole, parts) = (sealed(&mut whole), parts.take_sealed().unwrap());
    assert_eq!(whole, parts);
    let controls: Vec<u32> = parts.appends[0].batch.controls.iter().map(|(at, _)| *at).collect();
    assert_eq!((parts.appends.len(), controls), (1, vec![1, 3, 5]));
    parts.appends[0].batch.check().unwrap();
}

#[test]
fn a_failed_step_does_not_touch_what_was_sealed() {
    let mut task = start(&one("op"));
    let rows = batch(&[("a", 100, "a"), ("b", 200, "slow")]);
    let mut operators = [script(words)];
    task.step(Some(&rows), 1, None, &mut operators, 0).unwrap();
    task.seal(None);
    assert!(task.step(Some(&rows), 1, None, &mut operators, 0).is_err());
    let batch = task.take_sealed().unwrap();
    assert_eq!((batch.commit.progress.position, texts(&batch, "out")), (1, vec!["a".to_owned()]));
}

#[test]
fn the_breaker_stops_before_the_topic_drains_and_a_person_resumes_it() {
    let breaker = BreakerRules { records: 4, failed_share_max: 0.5 };
    let spec = Spec { breaker, ..one("op") };
    let rows: Vec<_> = (0..10).map(|_| ("", 100, "bad")).collect();
    let (rows, mut operators) = (batch(&rows), [script(words)]);
    let mut task = start(&spec);
    let stop = loop {
        match task.step(Some(&rows), 1, None, &mut operators, 0) {
            Ok(_) => {}
            Err(stop) => break stop,
        }
    };
    assert_eq!((stop, task.position()), (Stop::Breaker { failed: 4, seen: 4 }, 4));
    let done = task.step(Some(&rows), 1, Some(&Wish::Resume), &mut operators, 0);
    assert_eq!(done, Ok(Step::Decided));
    assert_eq!(
        task.step(Some(&rows), 1, Some(&Wish::Resume), &mut operators, 0),
        Ok(Step::Rows(1))
    );
    // The replay passes the same place by the same decision.
    let batch = sealed(&mut task);
    let mut again = resume(&spec, &batch.commit, &batch.decisions);
    while again.progress() != batch.commit.progress {
        again.step(Some(&rows), 1, None, &mut operators, 0).unwrap();
    }
    assert!(!again.is_replaying());
}

#[test]
fn a_replay_of_other_input_or_with_other_outputs_is_noticed() {
    let rows = batch(&[("a", 100, "a"), ("b", 200, "b"), ("c", 300, "c")]);
    let mut task = start(&one("op"));
    run(&mut task, &rows, &mut [script(words)]).unwrap();
    let commit = sealed(&mut task).commit;
    let mut same = resume(&one("op"), &commit, &[]);
    run(&mut same, &rows, &mut [script(words)]).unwrap();
    assert_eq!((same.is_replaying(), same.waiting()), (false, (0, 0)));
    let other = batch(&[("a", 100, "a"), ("b", 200, "B"), ("c", 300, "c")]);
    let stop = run(&mut resume(&one("op"), &commit, &[]), &other, &mut [script(words)]);
    assert_eq!(stop, Err(Stop::InputChanged { position: 3 }));
    let mut changed = [script(|batch| {
        let mut outcome = words(batch)?;
        outcome.emissions.values.data.make_ascii_uppercase();
        Ok(outcome)
    })];
    let stop = run(&mut resume(&one("op"), &commit, &[]), &rows, &mut changed);
    assert!(matches!(stop, Err(Stop::OutputChanged { .. })), "{stop:?}");
}

#[test]
fn a_switch_is_a_decision_that_a_replay_meets_at_its_place() {
    let rows = batch(&[("a", 100, "a"), ("b", 200, "b")]);
    let mut operators = [script(words)];
    let wish = Wish::Switch { operators: Vec::new(), at_checkpoint: None };
    let mut task = start(&one("op"));
    task.step(Some(&rows), 1, None, &mut operators, 0).unwrap();
    let step = task.step(Some(&rows), 1, Some(&wish), &mut operators, 0);
    let due = Step::Switch { operators: Vec::new(), at_checkpoint: None };
    assert_eq!(step, Ok(due.clone()));
    task.step(Some(&rows), 1, None, &mut operators, 0).unwrap();
    let batch = sealed(&mut task);
    let mut again = resume(&one("op"), &batch.commit, &batch.decisions);
    let steps = [(); 3].map(|()| again.step(Some(&rows), 9, None, &mut operators, 0));
    assert_eq!(steps, [Ok(Step::Rows(1)), Ok(due), Ok(Step::Rows(1))]);
}

#[test]
fn a_decision_that_is_not_retained_breaks_al_2() {
    let rows = batch(&[("a", 100, "a")]);
    let generation = |number| Wish::Generation { number, producers: Vec::new() };
    let mut operators = [script(words)];
    let mut task = start(&one("op"));
    for number in 1..4 {
        task.step(Some(&rows), 1, Some(&generation(number)), &mut operators, 0).unwrap();
    }
    let batch = sealed(&mut task);
    let decisions = batch.decisions;
    for gap in [&decisions[..2], &decisions[1..], &[decisions[0].clone(), decisions[2].clone()]] {
        let recovery = Recovery {
            commit: batch.commit.clone(),
            decisions: gap.to_vec(),
            ..Recovery::default()
        };
        let made = Task::new(Arc::new(one("op")), State::new(&one("op")), recovery);
        assert_eq!(made.err().map(|violation| violation.law), Some(Law::Al2), "{gap:?}");
    }
}

#[test]
fn an_idle_task_whose_windows_are_closed_is_active_even_if_time_stands() {
    let mut operators = [script(words)];
    let mut task = start(&one("op"));
    let rows = batch(&[("a", 100, "a")]);
    run(&mut task, &rows, &mut operators).unwrap();
    task.step(None, 1, Some(&Wish::Idle), &mut operators, 0).unwrap();
    task.step(None, 1, Some(&Wish::Close { time: 101 }), &mut operators, 0).unwrap();
    let batch = sealed(&mut task);
    let controls = &batch.appends[0].batch.controls;
    let told: Vec<_> = controls.iter().map(|(_, c)| (c.number, c.watermark, c.active)).collect();
    assert_eq!(told, [(1, 100, true), (2, 100, false), (3, 100, true)]);
}

/// Lets a call fail, convicts its item and starts again.
fn convict(task: &mut Task, spec: &Spec, stop: Stop, decisions: &mut Vec<Decision>) -> Task {
    let Stop::Call(call) = stop else { panic!("{stop}") };
    assert!(call.alone && !call.quiet, "{call:?}");
    let commit = task.take_sealed().map(|sealed| {
        decisions.extend(sealed.decisions);
        sealed.commit
    });
    decisions.extend(task.convict(&call));
    let numbers: Vec<u64> = decisions.iter().map(|decision| decision.number).collect();
    assert_eq!(numbers, (0..decisions.len() as u64).collect::<Vec<_>>());
    resume(spec, &commit.unwrap_or_default(), decisions)
}

#[test]
fn a_decision_that_the_failed_step_made_goes_before_the_conviction_that_rests_on_it() {
    let chain = chain();
    let operators = || {
        let mut first =
            script(|batch| Ok(Outcome { taken: batch.len() as u32, ..Outcome::default() }));
        first.advance = Box::new(|watermark| {
            let mut outcome = Outcome::default();
            if watermark == 500 {
                push(&mut outcome.emissions, b"slow", 500, None);
            }
            Ok(outcome)
        });
        [first, script(words)]
    };
    let (rows, wish) = (batch(&[("a", 100, "a")]), Wish::Close { time: 500 });
    let mut task = start(&chain);
    run(&mut task, &rows, &mut operators()).unwrap();
    let mut guests = operators();
    let stop = task.step(Some(&rows), 1, Some(&wish), &mut guests, 0).unwrap_err();
    let mut decisions = Vec::new();
    let mut again = convict(&mut task, &chain, stop, &mut decisions);
    assert!(matches!(decisions[0].kind, DecisionKind::Close { .. }));
    run(&mut again, &rows, &mut operators()).unwrap();
    let batch = sealed(&mut again);
    assert_eq!(again.progress(), Progress { position: 1, ticks: 2, decisions: 2, admitted: 0 });
    assert_eq!(header(&batch, "dead", 0, "pawl-disposition"), "timeout");
}

#[test]
fn two_items_of_one_row_are_convicted_one_after_the_other() {
    let chain = chain();
    let rows = batch(&[("a", 100, "x slow1 y slow2")]);
    let (mut task, mut decisions) = (start(&chain), Vec::new());
    for _ in 0..2 {
        task.isolate(Some(Isolation { operator: 1, until: 1 }));
        let mut operators = [script(words), script(words)];
        let stop = run(&mut task, &rows, &mut operators).unwrap_err();
        task = convict(&mut task, &chain, stop, &mut decisions);
    }
    run(&mut task, &rows, &mut [script(words), script(words)]).unwrap();
    let batch = sealed(&mut task);
    assert_eq!(texts(&batch, "out"), ["x", "y"]);
    assert_eq!(texts(&batch, "dead"), ["slow1", "slow2"]);
}

#[test]
fn what_passed_before_a_durable_conviction_is_not_convicted_later() {
    let chain = chain();
    let rows = batch(&[("a", 100, "x slow")]);
    let mut task = start(&chain);
    task.isolate(Some(Isolation { operator: 0, until: 1 }));
    let stop = run(&mut task, &rows, &mut [script(words), script(words)]).unwrap_err();
    let mut again = convict(&mut task, &chain, stop, &mut Vec::new());
    again.isolate(Some(Isolation { operator: 0, until: 1 }));
    let slow = script(|_| Err(Failure::Timeout("slow".to_owned())));
    let Err(Stop::Call(call)) = run(&mut again, &rows, &mut [script(words), slow]) else {
        panic!("x fails");
    };
    assert!(call.alone && call.quiet);
}

#[test]
fn a_run_ends_at_a_decision_that_stands_behind_a_dead_row() {
    let rows = batch(&[("a", 100, "a"), ("b", 200, "slow"), ("c", 300, "c")]);
    let dead = DecisionKind::Dead {
        root: Root::Row,
        path: Vec::new(),
        disposition: "timeout".to_owned(),
        error_kind: "timeout".to_owned(),
        message: String::new(),
    };
    let idle = Decision { number: 1, position: 2, kind: DecisionKind::Idle, epoch: 1 };
    let active = Decision { number: 2, position: 2, kind: DecisionKind::Active, epoch: 1 };
    let stored = [Decision { number: 0, position: 1, kind: dead, epoch: 1 }, idle, active];
    let mut task = resume(&one("op"), &Commit::default(), &stored);
    run(&mut task, &rows, &mut [script(words)]).unwrap();
    assert_eq!(task.progress(), Progress { position: 3, ticks: 3, decisions: 3, admitted: 0 });
    assert_eq!(texts(&sealed(&mut task), "out"), ["a", "c"]);
}

/// A stage that reads what another wrote, on a transport that may write twice.
fn behind() -> (Spec, Producer) {
    let spec = Spec { copies: true, time: TimeOrigin::Producers, ..one("op") };
    (spec, Producer { stage: "before".to_owned(), partition: 0 })
}

#[test]
fn copies_of_a_refused_row_are_one_dead_letter() {
    let (spec, producer) = behind();
    let rows = batch(&[("a", 100, "bad"), ("b", 100, "b"), ("a", 100, "bad"), ("b", 100, "b")]);
    let rows = LogBatch { producer: Some(producer), ..rows };
    let mut task = start(&spec);
    run(&mut task, &rows, &mut [script(words)]).unwrap();
    let copied = sealed(&mut task);
    assert_eq!(texts(&copied, "out"), ["b"]);
    assert_eq!(header(&copied, "dead", 0, "pawl-id"), header(&copied, "dead", 1, "pawl-id"));
    // What comes from outside are two records.
    let mut outside = start(&one("op"));
    run(&mut outside, &batch(&[("a", 100, "bad"), ("a", 100, "bad")]), &mut [script(words)])
        .unwrap();
    let two = sealed(&mut outside);
    assert_ne!(header(&two, "dead", 0, "pawl-id"), header(&two, "dead", 1, "pawl-id"));
}

#[test]
fn the_copy_of_a_row_that_was_decided_dead_is_a_duplicate() {
    let (spec, producer) = behind();
    let rows = LogBatch {
        producer: Some(producer),
        ..batch(&[("a", 100, "slow"), ("a", 100, "slow"), ("b", 100, "b")])
    };
    let mut task = start(&spec);
    task.isolate(Some(Isolation { operator: 0, until: 9 }));
    let stop = run(&mut task, &rows, &mut [script(words)]).unwrap_err();
    let mut again = convict(&mut task, &spec, stop, &mut Vec::new());
    run(&mut again, &rows, &mut [script(words)]).unwrap();
    let batch = sealed(&mut again);
    assert_eq!(
        (texts(&batch, "dead"), texts(&batch, "out")),
        (vec!["slow".into()], vec!["b".into()])
    );
    assert_eq!(batch.commit.counters.edges[0].duplicate, 1);
}

#[test]
fn an_operator_is_shown_the_time_by_which_its_edge_judged() {
    let mut spec = chain();
    spec.time_edge = 1;
    spec.operators[0].edge = EdgeSpec::default();
    spec.operators[1].edge.time = TimeSource::Field("/t".to_owned());
    let shown = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let seen = std::rc::Rc::clone(&shown);
    let second = script(move |batch| {
        seen.borrow_mut().extend_from_slice(&batch.event_times);
        Ok(Outcome { taken: batch.len() as u32, ..Outcome::default() })
    });
    let mut task = start(&spec);
    run(&mut task, &batch(&[("a", 5, "{\"t\":70}")]), &mut [script(words), second]).unwrap();
    assert_eq!(*shown.borrow(), [70]);
    assert_eq!(task.state().plain.watermark, 70);
}

#[test]
fn an_image_restored_replays_to_the_same_commit() {
    let rows: Vec<(String, Timestamp, String)> =
        (0..20).map(|n| (format!("r{}", n % 15), 100 + n * 7, format!("w{n} v{n}"))).collect();
    let rows: Vec<(&str, Timestamp, &str)> =
        rows.iter().map(|(id, time, value)| (&id[..], *time, &value[..])).collect();
    let (spec, input) = (chain(), batch(&rows));
    let mut task = start(&spec);
    let mut operators = [script(words), script(words)];
    let mut images = Vec::new();
    while task.step(Some(&input), 3, None, &mut operators, 0).unwrap() != Step::Nothing {
        task.settle_counters();
        images.push(task.state().image());
    }
    let commit = sealed(&mut task).commit;
    for (image, segments) in images {
        let state = State::from_image(image, &segments, &spec).unwrap();
        let recovery = Recovery { commit: commit.clone(), ..Recovery::default() };
        let mut again = Task::new(Arc::new(spec.clone()), state, recovery).unwrap();
        run(&mut again, &input, &mut operators).unwrap();
        assert!(!again.is_replaying() && again.waiting() == (0, 0));
        again.settle_counters();
        assert_eq!(again.state().plain.counters, commit.counters);
    }
}
