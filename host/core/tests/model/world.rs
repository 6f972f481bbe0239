//! A world of one history: its shape, the topics, the tasks of two stages, and who is next.

use super::driver::{Broken, Driver, arrivals};
use super::guest::{LENGTHS, State as GuestState};
use super::input::{self, DISORDER, JUMP, Row};
use super::log::{Log, Truth};
use super::plant::Plant;
use super::random::Random;
use crate::breaker::BreakerRules;
use crate::clock::{WatermarkRules, largest_of_all};
use crate::commit::{Append, TaskId};
use crate::identity::{IdSource, TimeSource};
use crate::mutant;
use crate::operator::Wiring;
use crate::record::{LogBatch, NO_TIME, Offset, Timestamp};
use crate::spec::{
    DedupRules, EdgeSpec, LateRoute, OperatorSpec, Route, Spec, TimeOrigin, TopicSpec,
};
use std::collections::{BTreeMap, BTreeSet};

const STEP: i64 = 10;
const FAR: i64 = 1_000_000;
/// Partitions of the topic between the stages, and so of the second stage.
pub const MIDDLE: u32 = 2;
/// Names of the stages.
pub const STAGES: [&str; 2] = ["one", "two"];

/// What a seed decides once.
pub struct Shape {
    /// Partitions of the input.
    pub width: u32,
    /// Outputs, decisions and commits are one transaction; else at least once.
    pub atomic: bool,
    /// A parser stands before the edge that makes time.
    pub head: bool,
    /// Windows of the first stage stamp their ends.
    pub stamp_end: bool,
    /// The second stage's dedup horizon.
    pub horizon: i64,
    /// The first stage's bound of ids.
    pub ids_max: u64,
    /// Rows of a call.
    call_records_max: usize,
    /// Late rows become dead letters instead of going to a topic.
    late_is_dead: bool,
    /// Tasks may go idle.
    pub idle: bool,
    /// How often of a thousand a heavy row runs out of time.
    pub out_of_time: usize,
    /// A third producer joins later.
    pub grow: bool,
    /// Of a thousand: how eagerly commits are made.
    pub eager: usize,
    /// Checkpoints kept.
    pub kept: usize,
    /// Of a thousand: the newest checkpoint is corrupt.
    pub corrupt: usize,
    /// Roots that may be replayed.
    pub recovery_max: u64,
    /// Crashes that may still come.
    pub crashes: usize,
    /// LV-1: so many actions per life.
    pub life: Option<u32>,
    /// Operators take batches in bites.
    pub bites: bool,
    /// Of a thousand: how often a dead letter is sent back.
    pub sends_back: usize,
}

impl Shape {
    fn new(seed: u64, calm: bool) -> Self {
        let mut random = Random::new(seed, 2);
        let liveness = seed % 5 == 4;
        let width = random.of(&[2, 3]);
        let wild = !calm && !liveness;
        let (idle, out_of_time) = random.of(&[(false, 0), (true, 0), (false, 1), (true, 1)]);
        let out_of_time = out_of_time * random.of(&[700, 1000]);
        let mut shape = Self {
            width,
            atomic: random.of(&[true, false]),
            head: random.often(400),
            stamp_end: random.of(&[true, false]),
            horizon: random.of(&[FAR, 30, 30]),
            ids_max: random.of(&[FAR as u64, 6, 3]),
            call_records_max: random.of(&[1000, 1000, 2]),
            late_is_dead: random.of(&[true, false]),
            idle: wild && idle,
            out_of_time: if wild { out_of_time } else { 0 },
            grow: random.of(&[true, false]) && width == 3 && wild,
            eager: random.of(&[300, 50]),
            kept: random.of(&[2, 3, 4]),
            corrupt: random.of(&[0, 300]),
            recovery_max: random.of(&[8, 30]),
            crashes: random.of(&[3, 10, 25]),
            life: random.of(&[Some(4), Some(5), Some(7)]),
            bites: random.of(&[true, false]) && !calm,
            sends_back: random.of(&[0, 0, 20, 200]) * usize::from(wild),
        };
        if calm || liveness {
            (shape.corrupt, shape.crashes) = (0, 0);
        }
        if liveness {
            shape.recovery_max = 1000;
        }
        if calm || !liveness {
            shape.life = None;
        }
        shape
    }

    /// Whether the outputs depend on decisions, so that two runs may differ.
    pub fn decides(&self) -> bool {
        self.idle || self.out_of_time > 0 || self.grow || self.sends_back > 0
    }

    /// The operators of a stage at their birth.
    pub fn guests(&self, stage: usize) -> Vec<GuestState> {
        if stage > 0 {
            return vec![GuestState::Window { windows: BTreeMap::new() }];
        }
        let shaper = GuestState::Shaper { windows: BTreeMap::new(), stamp_end: self.stamp_end };
        let chain = [GuestState::Parser, shaper, GuestState::Tagger { counts: [0; 5] }];
        chain.into_iter().skip(usize::from(!self.head)).collect()
    }

    fn rules() -> WatermarkRules {
        WatermarkRules { disorder: DISORDER, step: STEP, jump_max: JUMP, agree: 3 }
    }

    fn operator(&self, stage: usize, name: &str, plant: Option<Plant>) -> OperatorSpec {
        let of_stage = match name {
            "parser" => (IdSource::Position, TimeSource::None, None),
            "shaper" => {
                let dedup = DedupRules { horizon: FAR, ids_max: self.ids_max };
                (IdSource::Own, TimeSource::Own, Some(dedup))
            }
            "tagger" => (IdSource::Own, TimeSource::Own, None),
            _ => {
                let dedup = DedupRules { horizon: self.horizon, ids_max: FAR as u64 };
                let on = !self.atomic && plant != Some(Plant::NoDedupBehind);
                (IdSource::Own, TimeSource::Own, on.then_some(dedup))
            }
        };
        let (delay, ahead) = match name {
            "shaper" => (LENGTHS[0], if self.stamp_end { LENGTHS[0] } else { 0 }),
            "window" => (LENGTHS[1], 0),
            _ => (0, 0),
        };
        let (id, time, dedup) = of_stage;
        let last = matches!(name, "tagger" | "window");
        OperatorSpec {
            name: name.to_owned(),
            version: String::new(),
            component: String::new(),
            edge: EdgeSpec { id, time, dedup },
            wiring: Wiring {
                outputs: vec!["main".to_owned()],
                delay: delay as u64,
                ahead: ahead as u64,
                ..Wiring::default()
            },
            routes: vec![if last { Route::Topic(0) } else { Route::Next }],
            seed: OperatorSpec::seed_of(STAGES[stage], name),
        }
    }

    fn spec(&self, stage: usize, partition: u32, plant: Option<Plant>) -> Spec {
        let names: &[&str] = match (stage, self.head) {
            (0, true) => &["parser", "shaper", "tagger"],
            (0, false) => &["shaper", "tagger"],
            _ => &["window"],
        };
        let topic = |name: &str, partitions, controls| TopicSpec {
            name: format!("{name}-{}", STAGES[stage]),
            partitions,
            controls,
            writers: vec![STAGES[stage].to_owned()],
        };
        let first = stage == 0;
        Spec {
            pipeline: "model".to_owned(),
            task: TaskId { stage: STAGES[stage].to_owned(), partition },
            input: if first { "in" } else { "data-one" }.to_owned(),
            replay: format!("back-{}", STAGES[stage]),
            copies: !first && !self.atomic && plant != Some(Plant::NoDedupBehind),
            operators: names.iter().map(|name| self.operator(stage, name, plant)).collect(),
            time: match first {
                true => TimeOrigin::Records(Self::rules()),
                false => TimeOrigin::Producers,
            },
            time_edge: usize::from(first && self.head),
            topics: vec![
                topic("data", MIDDLE, first),
                topic("dead", self.width, false),
                topic("late", self.width, false),
            ],
            late: match self.late_is_dead {
                true => LateRoute::DeadLetter,
                false => LateRoute::Topic(2),
            },
            dead_letters: 1,
            breaker: BreakerRules { records: 0, failed_share_max: 1.0 },
            call_records_max: self.call_records_max,
            call_bytes_max: 1 << 20,
            sink: false,
        }
    }
}

/// All partitions of all topics.
#[derive(Default)]
pub struct Logs {
    input: Vec<Log>,
    /// The topic between the stages, by partition.
    pub middle: Vec<Log>,
    /// What its readers must believe.
    pub truth: Vec<Truth>,
    /// All other topics.
    pub others: BTreeMap<(String, u32), Log>,
    /// Dead letters that were sent back to each task.
    pub sent_back: BTreeMap<(usize, u32), Log>,
    /// Their ids before.
    pub sent: BTreeSet<Vec<u8>>,
}

impl Logs {
    /// What a task reads.
    pub fn input(&self, stage: usize, partition: u32) -> &Log {
        let logs = if stage == 0 { &self.input } else { &self.middle };
        &logs[partition as usize]
    }

    /// What was sent back to a task.
    pub fn back(&self, stage: usize, partition: u32) -> Option<&Log> {
        self.sent_back.get(&(stage, partition))
    }

    /// Sends one dead letter of a task back that was not, and not too often.
    fn send_back(&mut self, stage: usize, partition: u32, random: &mut Random) {
        let topic = format!("dead-{}", STAGES[stage]);
        let Some(letters) = self.others.get(&(topic, partition)) else { return };
        let open = super::back::open(letters, &self.sent);
        if open.is_empty() {
            return;
        }
        let (id, batch) = super::back::again(open[random.below(open.len())]);
        self.sent.insert(id);
        self.sent_back.entry((stage, partition)).or_default().append(batch);
    }

    /// Appends what a task made.
    pub fn append(&mut self, append: Append) {
        if append.batch.rows() == 0 {
            return;
        }
        if append.topic == "data-one" {
            let at = append.partition as usize;
            self.truth[at].take(&append.batch);
            self.middle[at].append(append.batch);
            return;
        }
        let log = self.others.entry((append.topic, append.partition)).or_default();
        log.append(append.batch);
    }
}

/// What stands around the tasks.
pub struct Around {
    /// What the seed decides.
    pub shape: Shape,
    /// Chance.
    pub random: Random,
    /// Topics.
    pub logs: Logs,
    /// Generation of producers that the host wants.
    pub generation: u64,
    /// Up to where windows are to be closed.
    pub close_at: Option<i64>,
    /// What is planted.
    pub plant: Option<Plant>,
    /// No accidents.
    pub calm: bool,
    /// Roots, commits and checkpoints so far.
    pub steps: u64,
    /// How often a call was cut up to find a culprit.
    pub isolations: u32,
    /// What the watermark of each source task must be at each position until windows are closed.
    pub watermarks: Vec<Vec<Timestamp>>,
    inputs: Vec<LogBatch>,
    verbose: bool,
}

impl Around {
    /// How many tasks of the first stage a generation has.
    pub fn producers(&self, generation: u64) -> u32 {
        self.shape.width - u32::from(self.shape.grow && generation == 1)
    }

    /// Whether a crash comes now, so often in a thousand.
    pub fn may_crash(&mut self, often: usize) -> bool {
        let crash = self.shape.crashes > 0 && self.random.often(often);
        self.shape.crashes -= usize::from(crash);
        crash
    }

    /// Where the input of a task will end.
    pub fn end_of_input(&self, stage: usize, partition: u32) -> Offset {
        match stage {
            0 => self.inputs[partition as usize].rows() as u64,
            _ => self.logs.input(stage, partition).end(),
        }
    }

    /// Counts what was done.
    pub fn count(&mut self, steps: u64) {
        self.steps += steps;
    }

    /// Says what happens, if anybody listens.
    pub fn log(&self, driver: &Driver, what: impl FnOnce() -> String) {
        if self.verbose {
            println!("  {}/{} {}", STAGES[driver.stage], driver.partition, what());
        }
    }

    fn arrive(&mut self, partition: usize) {
        let rows = self.random.of(&[0, 0, 1, 4]);
        let (all, log) = (&self.inputs[partition], &mut self.logs.input[partition]);
        let (from, to) = (log.end() as usize, (log.end() as usize + rows).min(all.rows()));
        if from < to {
            log.append(arrivals(all, from, to));
        }
    }
}

/// One history.
pub struct World {
    /// What stands around the tasks.
    pub around: Around,
    /// The tasks of both stages.
    pub drivers: Vec<Driver>,
    /// The rows of each input partition.
    pub rows: Vec<Vec<Row>>,
    /// The largest event time when windows were closed.
    pub largest: i64,
}

impl World {
    /// The history of a seed, calm or with accidents.
    pub fn new(seed: u64, calm: bool, plant: Option<Plant>, verbose: bool) -> Self {
        let shape = Shape::new(seed, calm);
        let mut random = Random::new(seed, 3);
        let (width, head) = (shape.width as usize, shape.head);
        let rows = (0..width).map(|p| input::rows(&mut random, p as u32, head));
        let rows: Vec<Vec<Row>> = rows.collect();
        let inputs = rows
            .iter()
            .map(|rows| LogBatch { records: input::records(rows, head), ..LogBatch::default() });
        let inputs = inputs.collect();
        let rules = Shape::rules();
        // What runs out of time in the parser never comes to the edge.
        let told = !(head && shape.out_of_time > 0);
        let watermarks = rows.iter().filter(|_| told);
        let watermarks = watermarks.map(|rows| input::watermarks(rows, head, &rules)).collect();
        let first = (0..shape.width).map(|partition| (0, partition));
        let drivers = first.chain((0..MIDDLE).map(|partition| (1, partition)));
        let drivers = drivers.map(|(stage, partition)| {
            Driver::new(stage, partition, shape.spec(stage, partition, plant), &shape)
        });
        let drivers = drivers.collect();
        let mut logs = Logs::default();
        logs.input.resize_with(width, Log::default);
        logs.middle.resize_with(MIDDLE as usize, Log::default);
        logs.truth.resize_with(MIDDLE as usize, Truth::default);
        let around = Around {
            shape,
            random: Random::new(seed, 4 + u64::from(calm)),
            logs,
            generation: 1,
            close_at: None,
            plant,
            calm,
            steps: 0,
            isolations: 0,
            watermarks,
            inputs,
            verbose,
        };
        Self { around, drivers, rows, largest: NO_TIME }
    }

    /// Runs to the end of all input, closes all windows, runs to the end again.
    pub fn run(&mut self) -> Result<(), Broken> {
        mutant::plant(self.around.plant.and_then(Plant::in_core));
        let outcome = self.run_to_end();
        mutant::plant(None);
        outcome
    }

    fn run_to_end(&mut self) -> Result<(), Broken> {
        let (around, drivers) = (&mut self.around, &mut self.drivers);
        let mut quiet = 0;
        for turn in 0..40_000 {
            if !around.calm || turn % 5 == 0 {
                let partition = around.random.below(around.shape.width as usize);
                around.arrive(partition);
            }
            if around.shape.grow && around.generation == 1 && around.random.often(10) {
                around.generation = 2;
            }
            let next = around.random.below(drivers.len());
            if around.random.often(around.shape.sends_back) {
                let (stage, partition) = (drivers[next].stage, drivers[next].partition);
                around.logs.send_back(stage, partition, &mut around.random);
            }
            quiet = if drivers[next].turn(around)? { 0 } else { quiet + 1 };
            if quiet < 40 || drivers.iter().any(|driver| driver.unfinished(around)) {
                continue;
            }
            if around.close_at.is_some() {
                return Ok(());
            }
            self.largest = close(around, drivers)?;
            quiet = 0;
        }
        Err("LV-1: no end".to_owned())
    }
}

/// All stand at the end of their input: windows are to be closed. Returns up to where.
fn close(around: &mut Around, drivers: &[Driver]) -> Result<i64, Broken> {
    let lives = |stage| {
        let drivers = drivers.iter().filter(move |driver| driver.stage == stage);
        drivers.filter_map(|driver| driver.life.as_ref())
    };
    let plain = |stage| lives(stage).map(|life| &life.task.state().plain);
    let active = plain(0).filter(|plain| !plain.idle).map(|plain| plain.watermark);
    if let Some(least) = active.min()
        && least != NO_TIME
        && plain(1).any(|plain| plain.watermark < least - LENGTHS[0])
    {
        return Err("2: time is held by nobody".to_owned());
    }
    let largest = largest_of_all(plain(0).map(|plain| (&plain.clock, JUMP)));
    let moved = plain(0).map(|plain| plain.clock.largest_of_records()).max().unwrap_or(NO_TIME);
    let by_delay = around.plant == Some(Plant::CloseByDelay);
    let mut path = 0;
    for stage in [0, 1] {
        let specs = lives(stage).take(1).flat_map(|life| &life.task.spec().operators);
        for wiring in specs.map(|operator| &operator.wiring) {
            path += wiring.delay as i64 + if by_delay { 0 } else { wiring.ahead as i64 };
        }
    }
    let from = if around.plant == Some(Plant::WaitingStayOpen) { moved } else { largest };
    around.close_at = Some(from + DISORDER + path + STEP);
    Ok(largest)
}
