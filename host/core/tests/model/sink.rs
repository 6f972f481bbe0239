//! A sink between a log and a receiver, killed at random: in the middle of a delivery, between a
//! delivery and its commit, between an attempt and its delivery. What the receiver acted on and
//! what lies in the dead letters must make the input, as often as the promise says.

use super::random::Random;
use crate::breaker::BreakerRules;
use crate::commit::{Commit, CommitBatch, TaskId};
use crate::decision::{Decision, DecisionKind};
use crate::identity::{IdSource, TimeSource, operator_seed};
use crate::mutant::{Mutant, plant};
use crate::operator::{Batch, Deliveries, Failure, Operator, Outcome, Receipt, Wiring};
use crate::record::{Control, LogBatch, PRIORITY_DEFAULT, Producer, Record, Records, Timestamp};
use crate::spec::{DedupRules, EdgeSpec, LateRoute, OperatorSpec, Spec, TimeOrigin, TopicSpec};
use crate::state::{EdgeSegment, Image, State};
use crate::task::{DELIVERY_UNKNOWN, Recovery, Step, Stop, Task, Wish};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a seed makes of the world.
struct Shape {
    at_most_once: bool,
    /// The receiver acts once per key, and gives the same answer again.
    knows_keys: bool,
    rows: u64,
    batch: usize,
    kill: usize,
    reject: usize,
}

/// The receiver and what it did.
struct Receiver {
    random: Random,
    shape: Arc<Shape>,
    acted: BTreeMap<u128, u32>,
    /// It is killed together with us in the middle of this call.
    lives: bool,
}

impl Operator for Receiver {
    fn process(&mut self, _: &Batch) -> Result<Outcome, Failure> {
        Err(Failure::BadReturn("a sink computes nothing".to_owned()))
    }

    fn advance(&mut self, _: Timestamp) -> Result<Outcome, Failure> {
        Err(Failure::BadReturn("a sink has no time".to_owned()))
    }

    fn deliver(&mut self, items: &Deliveries<'_>) -> Result<Vec<Receipt>, Failure> {
        let mut receipts = Vec::new();
        for (_, id, _) in &items.items {
            if self.random.often(self.shape.kill) {
                self.lives = false;
                return Err(Failure::Halted("killed".to_owned()));
            }
            let known = self.shape.knows_keys && self.acted.contains_key(id);
            if !known && self.random.often(self.shape.reject) {
                let disposition = ["sink-rejected", "retries-exhausted"];
                receipts.push(Receipt::Undelivered {
                    disposition: disposition[self.random.below(2)],
                    kind: "http-400".to_owned(),
                    message: format!("no {}", self.random.below(1000)),
                    retries: self.random.below(4) as u64,
                });
                continue;
            }
            if !known {
                *self.acted.entry(*id).or_default() += 1;
            }
            receipts.push(Receipt::Delivered);
        }
        if self.random.often(self.shape.kill) {
            self.lives = false;
            return Err(Failure::Halted("killed behind the last".to_owned()));
        }
        Ok(receipts)
    }
}

/// What is durable.
#[derive(Default)]
struct Disk {
    commit: Commit,
    decisions: Vec<Decision>,
    checkpoints: Vec<(Image, Vec<EdgeSegment>)>,
    /// Root id text and disposition of each dead letter.
    letters: Vec<(u64, String)>,
}

impl Disk {
    fn store(&mut self, batch: CommitBatch) {
        self.commit = batch.commit;
        self.decisions.extend(batch.decisions);
        for records in batch.appends.iter().map(|append| &append.batch.records) {
            for row in 0..records.len() {
                let text = |name: &str| {
                    let value = records.header(name).and_then(|column| column.get(row));
                    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
                };
                let offset = text("pawl-offset").parse().unwrap_or(u64::MAX);
                self.letters.push((offset, text("pawl-disposition")));
            }
        }
    }

    /// As the service finds it: what the last attempt says, if that is not committed.
    fn attempted(&self) -> u64 {
        let until = self.decisions.iter().rev().find_map(|decision| match decision.kind {
            DecisionKind::Attempt { until } => Some(until),
            _ => None,
        });
        until.filter(|until| *until > self.commit.progress.position).unwrap_or(0)
    }
}

/// Runs a seed to its end and checks what came of it.
pub fn one(seed: u64, mutant: Option<Mutant>, verbose: bool) -> Result<(), String> {
    plant(mutant);
    let outcome = history(seed, verbose);
    plant(None);
    outcome
}

fn history(seed: u64, verbose: bool) -> Result<(), String> {
    let mut random = Random::new(seed, 77);
    let shape = Arc::new(Shape {
        at_most_once: random.often(400),
        knows_keys: random.often(600),
        rows: 5 + random.below(40) as u64,
        batch: 1 + random.below(5),
        kill: [0, 20, 100][random.below(3)],
        reject: [0, 50, 300][random.below(3)],
    });
    let (input, ids) = input(&mut random, shape.rows);
    let spec = Arc::new(spec());
    let receiver = Random::new(seed, 78);
    let mut receiver = Receiver {
        random: receiver,
        shape: Arc::clone(&shape),
        acted: BTreeMap::new(),
        lives: true,
    };
    let mut disk = Disk::default();
    let (mut lives, mut kills) = (0, 0);
    while disk.commit.progress.position < input.end() {
        lives += 1;
        if lives > 5_000 {
            return Err("LV-1: it does not get on".to_owned());
        }
        receiver.lives = true;
        kills += u32::from(!live(&spec, &input, &mut disk, &mut receiver, &mut random)?);
    }
    if verbose {
        println!("{lives} lives, {kills} kills, letters {:?}", disk.letters);
    }
    check(&shape, &ids, &disk, &receiver, kills)
}

/// One life; false if it ended by a kill.
fn live(
    spec: &Arc<Spec>,
    input: &LogBatch,
    disk: &mut Disk,
    receiver: &mut Receiver,
    random: &mut Random,
) -> Result<bool, String> {
    let shape = Arc::clone(&receiver.shape);
    let state = match disk.checkpoints.len() {
        0 => State::new(spec),
        count => {
            let (image, segments) = &disk.checkpoints[random.below(count)];
            State::from_image(image.clone(), segments, spec).ok_or("CK-3: refused")?
        }
    };
    let from = state.plain.progress.decisions;
    let due = disk.decisions.iter().filter(|decision| decision.number >= from);
    let recovery = Recovery {
        commit: disk.commit.clone(),
        decisions: due.cloned().collect(),
        attempted: disk.attempted(),
        epoch: 1,
        ..Recovery::default()
    };
    let mut task =
        Task::new(Arc::clone(spec), state, recovery).map_err(|broken| broken.to_string())?;
    let mut attempted = disk.attempted();
    let batch = 1 + random.below(shape.batch);
    loop {
        if random.often(shape.kill / 2) {
            return Ok(false);
        }
        let (position, quiet) = (task.position(), task.is_quiet());
        if position >= input.end() && !quiet {
            task.seal(None);
            task.take_sealed().into_iter().for_each(|batch| disk.store(batch));
            return Ok(true);
        }
        let control = input.controls.iter().map(|(row, _)| u64::from(*row));
        let control = control.filter(|at| *at >= position).min().unwrap_or(input.end());
        let asks = shape.at_most_once && !quiet && position >= attempted && control > position;
        let mut wish = asks.then(|| {
            attempted = (position + batch as u64).min(control);
            Wish::Attempt { until: attempted }
        });
        if wish.is_none() && !quiet && random.often(20) {
            wish = Some(Wish::Switch { operators: Vec::new(), at_checkpoint: None });
        }
        let rows = match shape.at_most_once && !quiet {
            true => attempted.saturating_sub(position).max(1) as usize,
            false => batch,
        };
        let step = task.step(Some(input), rows, wish.as_ref(), std::slice::from_mut(receiver), 0);
        match step {
            Ok(Step::Nothing) => return Err("nothing to do before the end".to_owned()),
            Ok(_) => {}
            Err(Stop::Call(call)) if matches!(call.failure, Failure::Halted(_)) => {
                return match receiver.lives {
                    true => Err("halted by nobody".to_owned()),
                    false => Ok(false),
                };
            }
            Err(stop) => return Err(stop.to_string()),
        }
        if task.is_replaying() {
            continue;
        }
        if wish.is_some() || random.often(500) {
            task.seal(None);
            if let Some(batch) = task.take_sealed() {
                if random.often(shape.kill / 2) {
                    return Ok(false);
                }
                disk.store(batch);
            }
            if random.often(300) {
                task.settle_counters();
                disk.checkpoints.push(task.state().image());
            }
        }
    }
}

fn check(
    shape: &Shape,
    ids: &[Option<u128>],
    disk: &Disk,
    receiver: &Receiver,
    kills: u32,
) -> Result<(), String> {
    let mut letters: BTreeMap<u128, Vec<&str>> = BTreeMap::new();
    for (offset, disposition) in &disk.letters {
        let id = ids.get(*offset as usize).copied().flatten().ok_or("a dead letter of no row")?;
        letters.entry(id).or_default().push(disposition);
    }
    let mut repeats = 0;
    for id in ids.iter().flatten().collect::<std::collections::BTreeSet<_>>() {
        let acted = receiver.acted.get(id).copied().unwrap_or(0);
        let of_id = letters.get(id).map(Vec::as_slice).unwrap_or_default();
        let unknown = of_id.contains(&DELIVERY_UNKNOWN);
        if acted == 0 && of_id.is_empty() {
            return Err(format!("AL-1: {id:x} is neither delivered nor dead"));
        }
        if shape.at_most_once && acted > 1 {
            return Err(format!("at most once: {id:x} was acted on {acted} times"));
        }
        if !shape.at_most_once && unknown {
            return Err(format!("at least once: {id:x} is said to be unknown"));
        }
        if shape.knows_keys && !shape.at_most_once && acted + u32::from(!of_id.is_empty()) > 1 {
            // A rejected id may come again and be taken; then it is delivered, and once.
            let later = of_id.len() < ids.iter().flatten().filter(|other| *other == id).count();
            if acted > 1 || !later {
                return Err(format!("EO-2: {id:x}: {acted} times, {of_id:?}"));
            }
        }
        repeats += acted.saturating_sub(1);
    }
    if u64::from(repeats) > u64::from(kills) * (2 * shape.rows) {
        return Err(format!("{repeats} repeats for {kills} kills"));
    }
    if kills == 0 && repeats > 0 {
        return Err(format!("{repeats} repeats without a kill"));
    }
    let counters = &disk.commit.counters;
    let edge = counters.edges.first().copied().unwrap_or_default();
    let outcomes = edge.absorbed + edge.dead_lettered + edge.duplicate;
    let rows = ids.iter().flatten().count() as u64;
    if outcomes != counters.records_in || counters.records_in != rows {
        return Err(format!("outcomes {edge:?} of {} records", counters.records_in));
    }
    if edge.dead_lettered != disk.letters.len() as u64 {
        return Err(format!("DL-1: {} letters for {edge:?}", disk.letters.len()));
    }
    Ok(())
}

/// Rows, some of them twice, and the id of each.
fn input(random: &mut Random, rows: u64) -> (LogBatch, Vec<Option<u128>>) {
    let mut records = Records::default();
    let (mut ids, mut controls) = (Vec::new(), Vec::new());
    for row in 0..rows {
        if random.often(100) {
            let control = control(controls.len() as u64 + 1);
            controls.push((ids.len() as u32, control));
            ids.push(None);
        }
        let twice = row > 0 && random.often(150);
        let of = if twice { random.below(row as usize) as u64 } else { row };
        let name = format!("r{of}");
        ids.push(Some(crate::identity::hash(name.as_bytes())));
        records.push(Record {
            value: Some(name.as_bytes()),
            id: Some(name.as_bytes()),
            priority: PRIORITY_DEFAULT,
            ..Record::default()
        });
    }
    (LogBatch { records, controls, ..LogBatch::default() }, ids)
}

/// A control row, which means nothing to a sink.
fn control(number: u64) -> Control {
    let producer = Producer { stage: "before".to_owned(), partition: 0 };
    Control {
        generation: 1,
        producer: producer.clone(),
        producers: vec![producer],
        number,
        watermark: number as i64,
        active: true,
    }
}

fn spec() -> Spec {
    let dead = TopicSpec {
        name: "dead".to_owned(),
        partitions: 1,
        controls: false,
        writers: vec!["sink".to_owned()],
    };
    let edge = EdgeSpec {
        id: IdSource::Own,
        time: TimeSource::None,
        dedup: Some(DedupRules { horizon: i64::MAX, ids_max: 1000 }),
    };
    Spec {
        pipeline: "model".to_owned(),
        task: TaskId { stage: "sink".to_owned(), partition: 0 },
        input: "in".to_owned(),
        replay: "back".to_owned(),
        copies: false,
        operators: vec![OperatorSpec {
            name: "sink".to_owned(),
            version: "1".to_owned(),
            component: String::new(),
            edge,
            wiring: Wiring::default(),
            routes: Vec::new(),
            seed: operator_seed("sink", "sink"),
        }],
        time: TimeOrigin::None,
        time_edge: 0,
        topics: vec![dead],
        late: LateRoute::Drop,
        dead_letters: 0,
        breaker: BreakerRules { records: 0, failed_share_max: 0.5 },
        call_records_max: 1000,
        call_bytes_max: 1 << 20,
        sink: true,
    }
}
