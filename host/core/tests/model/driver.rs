//! One task and all that lasts of it: what the service around the core does, told as briefly as
//! it can be, with crashes wherever one can fall.

use super::guest::{Guest, HOST_BROKE, State as GuestState};
use super::log::{cut, slice};
use super::plant::Plant;
use super::random::Random;
use super::world::{Around, Shape};
use crate::cadence::{CheckpointRules, SinceCheckpoint};
use crate::commit::{Commit, CommitBatch, Progress};
use crate::decision::{CheckpointName, Decision};
use crate::mutant::Mutant;
use crate::operator::Failure;
use crate::record::{LogBatch, NO_TIME, Producer, Timestamp};
use crate::spec::Spec;
use crate::state::{EdgeSegment, Image, State};
use crate::task::{FailedCall, Isolation, Recovery, Step, Stop, Task, Wish};
use crate::window::Window;
use std::sync::Arc;

/// A law is broken, in words.
pub type Broken = String;

/// A durable checkpoint.
struct Checkpoint {
    name: CheckpointName,
    progress: Progress,
    image: Option<(Image, Vec<EdgeSegment>)>,
    guests: Vec<(GuestState, Timestamp)>,
}

/// What dies with the process.
pub struct Life {
    /// The task.
    pub task: Task,
    /// Its operators.
    pub guests: Vec<Guest>,
    restored: CheckpointName,
    since: u64,
    starts_in_vain: u64,
    actions_left: u32,
}

/// One task, alive or not.
pub struct Driver {
    /// 0 or 1.
    pub stage: usize,
    /// Partition of its input.
    pub partition: u32,
    spec: Arc<Spec>,
    /// What is running, if it is.
    pub life: Option<Life>,
    /// The last durable commit.
    pub commit: Commit,
    checkpoints: Vec<Checkpoint>,
    decisions: Vec<Decision>,
    decided: u64,
    intent: Progress,
    epoch: u64,
    sequence: u64,
    isolation: Option<Isolation>,
    /// Up to this position, and as long as it is quiet, nothing runs out of time.
    patient_until: Option<u64>,
    /// The watermark behind each root, as far as it was seen.
    seen: Vec<Option<Timestamp>>,
    last_windows: Option<Vec<Option<Window>>>,
}

impl Driver {
    /// A task that never ran.
    pub fn new(stage: usize, partition: u32, spec: Spec, shape: &Shape) -> Self {
        let born = Checkpoint {
            name: CheckpointName::default(),
            progress: Progress::default(),
            image: None,
            guests: shape.guests(stage).into_iter().map(|state| (state, NO_TIME)).collect(),
        };
        Self {
            stage,
            partition,
            spec: Arc::new(spec),
            life: None,
            commit: Commit::default(),
            checkpoints: vec![born],
            decisions: Vec::new(),
            decided: 0,
            intent: Progress::default(),
            epoch: 0,
            sequence: 0,
            isolation: None,
            patient_until: None,
            seen: Vec::new(),
            last_windows: None,
        }
    }

    /// Claims an epoch, restores the newest checkpoint that is not corrupt.
    fn start(&mut self, around: &mut Around) -> Result<(), Broken> {
        self.epoch += 1;
        let mut best = self.checkpoints.len() - 1;
        while best > 0 && around.random.often(around.shape.corrupt) {
            best -= 1;
        }
        let (checkpoint, plant) = (&self.checkpoints[best], around.plant);
        let mut state = match &checkpoint.image {
            Some((image, segments)) => State::from_image(image.clone(), segments, &self.spec)
                .ok_or("CK-3: a good checkpoint is refused")?,
            None => State::new(&self.spec),
        };
        match plant {
            Some(Plant::DedupOutside) => state.windows = State::new(&self.spec).windows,
            Some(Plant::DedupAhead) => {
                state.windows = self.last_windows.clone().unwrap_or(state.windows);
            }
            Some(Plant::WatermarkNotSaved) => state.plain.watermark = NO_TIME,
            Some(Plant::ControlAfterCrash) => state.plain.control_number = 0,
            Some(Plant::JumpNotSaved) => state.plain.clock.forget_waiting(),
            _ => {}
        }
        let from = checkpoint.progress.decisions;
        let stored = self.decisions.iter().filter(|decision| decision.number >= from);
        let forget = matches!(
            plant,
            Some(Plant::ReplayToDecision) | Some(Plant::Core(Mutant::ReplayToCommit))
        );
        let recovery = Recovery {
            commit: self.commit.clone(),
            decisions: stored.cloned().collect(),
            intent: if forget { Progress::default() } else { self.intent },
            epoch: self.epoch,
            attempted: 0,
            tolerant: false,
        };
        let since = checkpoint.progress.root();
        let mut task = Task::new(Arc::clone(&self.spec), state, recovery).map_err(text)?;
        task.isolate(self.isolation);
        let guests = checkpoint.guests.iter().map(|(state, watermark)| {
            let random = Random::new(around.random.next(), 1);
            Guest::new(state.clone(), *watermark, around.shape.bites, random)
        });
        let guests = guests.collect();
        let in_vain = self.epoch.saturating_sub(checkpoint.name.epoch + 1);
        around.log(self, || {
            format!("starts at root {since}, commit {}", self.commit.progress.root())
        });
        self.life = Some(Life {
            guests,
            task,
            restored: checkpoint.name,
            since,
            starts_in_vain: if plant == Some(Plant::NoHalving) { 0 } else { in_vain },
            actions_left: around.shape.life.unwrap_or(u32::MAX),
        });
        self.note_watermark(around)
    }

    /// The process dies.
    fn kill(&mut self, around: &Around) {
        self.isolation = None;
        self.patient_until = None;
        self.end_life(around, "is killed");
    }

    fn end_life(&mut self, around: &Around, how: &str) {
        around.log(self, || how.to_owned());
        let life = self.life.take();
        if around.plant == Some(Plant::DedupAhead) {
            self.last_windows = life.map(|life| life.task.state().windows.clone());
        }
        self.seen.truncate(self.commit.progress.root() as usize + 1);
    }

    /// One turn. Returns whether there was anything to do.
    pub fn turn(&mut self, around: &mut Around) -> Result<bool, Broken> {
        if self.stage == 0 && self.partition >= around.producers(around.generation) {
            return Ok(false);
        }
        if self.life.is_none() {
            self.start(around)?;
            return Ok(true);
        }
        if around.shape.life.is_some() {
            return self.short_life(around);
        }
        let rows_max = if around.calm { 1 } else { around.random.of(&[1, 2, 3, 8]) };
        let mut did = self.step(rows_max, around)?;
        if self.life.is_none() {
            return Ok(true);
        }
        if around.may_crash(60) {
            self.kill(around);
            return Ok(true);
        }
        let often = if did { around.shape.eager } else { 300 };
        if self.root() > self.commit.progress.root() && around.random.often(often) {
            if around.plant == Some(Plant::CheckpointBeforeCommit) && around.random.often(300) {
                self.checkpoint(around);
            }
            did = true;
            if !self.commit(around)? {
                self.kill(around);
                return Ok(true);
            }
        }
        if self.checkpoint_due(around) || around.random.often(50) {
            self.checkpoint(around);
            if around.may_crash(200) {
                self.kill(around);
            }
        }
        Ok(did)
    }

    /// LV-1: a life has room for a few actions and then ends.
    fn short_life(&mut self, around: &mut Around) -> Result<bool, Broken> {
        if self.root() > self.commit.progress.root() {
            self.commit(around)?;
        } else if self.checkpoint_due(around) {
            self.checkpoint(around);
        } else if !self.step(2, around)? {
            return Ok(false);
        }
        if let Some(life) = &mut self.life {
            life.actions_left -= 1;
            if life.actions_left == 0 {
                self.kill(around);
            }
        }
        Ok(true)
    }

    fn root(&self) -> u64 {
        self.life.as_ref().map_or(0, |life| life.task.progress().root())
    }

    fn step(&mut self, rows_max: usize, around: &mut Around) -> Result<bool, Broken> {
        let wish = self.wish(around);
        let witness = self.checkpoints.last().map(|checkpoint| checkpoint.name);
        let Some(life) = &mut self.life else { return Ok(false) };
        let task = &mut life.task;
        let (position, before) = (task.position(), task.progress().root());
        if self.isolation.is_some_and(|isolation| position >= isolation.until) {
            self.isolation = None;
            task.isolate(None);
        }
        let isolated = self.isolation.is_some();
        if isolated || around.random.often(20) {
            task.seal(witness);
        }
        if self.patient_until.is_some_and(|until| position > until && !task.is_quiet()) {
            self.patient_until = None;
        }
        let patient = self.patient_until.is_some();
        for guest in &mut life.guests {
            guest.out_of_time = if patient { 0 } else { around.shape.out_of_time };
        }
        let (log, position) = match task.admitting() {
            Some(due) => (around.logs.back(self.stage, self.partition), due.start),
            None => (Some(around.logs.input(self.stage, self.partition)), position),
        };
        let whole = log.and_then(|log| log.read(position));
        let cut_up = !around.calm && around.random.often(60);
        let part = whole.filter(|_| cut_up).map(|batch| cut(batch, position, &mut around.random));
        let input = part.as_ref().or(whole);
        let rows_max = if isolated { 1 } else { rows_max };
        let now = (around.random.next() % 1_000_000) as i64;
        match task.step(input, rows_max, wish.as_ref(), &mut life.guests, now) {
            Ok(Step::Nothing) => return Ok(false),
            Ok(_) => around.count(task.progress().root() - before),
            Err(Stop::Call(call)) => {
                self.failed(&call, around)?;
                return Ok(true);
            }
            Err(stop) => return Err(text(stop)),
        }
        self.note_watermark(around)?;
        Ok(true)
    }

    /// A call failed: in quiet it is tried again with patience, alone it is the culprit, else its
    /// operator gets one item per call.
    fn failed(&mut self, call: &FailedCall, around: &mut Around) -> Result<(), Broken> {
        around.log(self, || format!("fails: {call:?}"));
        if !matches!(call.failure, Failure::Timeout(_)) {
            return Err(format!("{}: {}", call.failure.kind(), call.failure.message()));
        }
        if call.quiet || call.advance {
            self.patient_until = Some(call.until);
        } else if !call.alone {
            let (operator, until) = (call.operator, call.until);
            self.isolation = Some(Isolation { operator, until });
            around.isolations += 1;
            if around.isolations > 10_000 {
                return Err("LV-1: isolation finds no culprit".to_owned());
            }
        } else if let Some(life) = &mut self.life {
            let mut decisions = life.task.convict(call);
            if around.plant == Some(Plant::FreshForgotten) {
                decisions.drain(..decisions.len() - 1);
            }
            let sealed = life.task.take_sealed();
            let alive = match sealed {
                Some(batch) => self.make_durable(batch, around)?,
                None => true,
            };
            if !alive || around.may_crash(100) {
                self.kill(around);
                return Ok(());
            }
            self.store(decisions)?;
        }
        self.end_life(around, "starts anew");
        Ok(())
    }

    /// What the host would decide now.
    fn wish(&self, around: &mut Around) -> Option<Wish> {
        let plain = &self.life.as_ref()?.task.state().plain;
        let (admitted, sent) = (plain.progress.admitted, self.sent_back(around));
        if admitted < sent && (around.close_at.is_some() || around.random.often(200)) {
            let until = admitted + 1 + around.random.below((sent - admitted) as usize) as u64;
            return Some(Wish::Admit { until });
        }
        if self.stage > 0 {
            return None;
        }
        if plain.generation < around.generation {
            let number = around.generation;
            let partitions = 0..around.producers(number);
            let producers = partitions.map(|partition| Producer { stage: "one".into(), partition });
            return Some(Wish::Generation { number, producers: producers.collect() });
        }
        if let Some(time) = around.close_at {
            return Some(Wish::Close { time });
        }
        let at_end = plain.progress.position >= around.logs.input(0, self.partition).end();
        let idle = at_end && around.shape.idle && around.random.often(250);
        idle.then_some(Wish::Idle)
    }

    /// Commits. Returns false if the process dies of it.
    fn commit(&mut self, around: &mut Around) -> Result<bool, Broken> {
        let witness = self.checkpoints.last().map(|checkpoint| checkpoint.name);
        let Some(life) = &mut self.life else { return Ok(true) };
        life.task.seal(witness);
        match life.task.take_sealed() {
            Some(batch) => self.make_durable(batch, around),
            None => Ok(true),
        }
    }

    fn make_durable(&mut self, batch: CommitBatch, around: &mut Around) -> Result<bool, Broken> {
        around.count(1);
        let crash = around.may_crash(200);
        let CommitBatch { commit, decisions, appends, .. } = batch;
        if commit.progress.root() <= self.commit.progress.root() {
            return Err("AL-1: a commit does not go on from the last".to_owned());
        }
        if around.shape.atomic {
            if crash && around.random.often(500) {
                return Ok(false);
            }
            self.store(decisions)?;
            appends.into_iter().for_each(|append| around.logs.append(append));
        } else {
            let late = around.plant == Some(Plant::EffectBeforeDecision);
            if around.plant == Some(Plant::CommitBeforeOutputs) {
                self.commit = commit.clone();
            }
            if !late {
                self.store(decisions.clone())?;
                if crash && around.random.often(150) {
                    return Ok(false);
                }
            }
            self.intent = self.intent.max(commit.progress);
            for mut append in appends {
                if crash && around.random.often(600) {
                    let rows = around.random.below(append.batch.rows() + 1);
                    append.batch = slice(&append.batch, 0, rows);
                }
                around.logs.append(append);
            }
            if crash {
                return Ok(false);
            }
            if late {
                self.store(decisions)?;
            }
        }
        around.log(self, || format!("commits {:?}", commit.progress));
        self.commit = commit;
        Ok(!crash)
    }

    fn store(&mut self, decisions: Vec<Decision>) -> Result<(), Broken> {
        for decision in decisions {
            if decision.number != self.decided {
                let due = self.decided;
                return Err(format!("4: decision {} where {due} is due", decision.number));
            }
            if self.decisions.last().is_some_and(|last| last.position > decision.position) {
                return Err(format!("4: decision {} stands before a durable one", decision.number));
            }
            self.decided += 1;
            self.decisions.push(decision);
        }
        Ok(())
    }

    fn checkpoint_due(&self, around: &Around) -> bool {
        let Some(life) = &self.life else { return false };
        let roots = self.root() - life.since;
        // One root is a millisecond of work.
        let since = SinceCheckpoint {
            roots,
            busy_us: roots * 1000,
            recovering: life.task.is_replaying(),
            starts_in_vain: life.starts_in_vain,
            ..SinceCheckpoint::default()
        };
        let recovery_time_max = around.shape.recovery_max;
        CheckpointRules { interval: u64::MAX, recovery_time_max }.due(&since)
    }

    fn checkpoint(&mut self, around: &mut Around) {
        let (root, durable) = (self.root(), self.commit.progress.root());
        let Some(life) = &mut self.life else { return };
        let plant = around.plant;
        let ahead = root > durable && plant != Some(Plant::CheckpointBeforeCommit);
        let muted = root < durable && plant == Some(Plant::NoReplayCheckpoint);
        if ahead || muted || root == life.since {
            return;
        }
        around.count(1);
        life.task.settle_counters();
        self.sequence += 1;
        let name = CheckpointName { epoch: self.epoch, sequence: self.sequence };
        let guests = life.guests.iter().map(|guest| (guest.state.clone(), guest.watermark));
        self.checkpoints.push(Checkpoint {
            name,
            progress: life.task.progress(),
            image: Some(life.task.state().image()),
            guests: guests.collect(),
        });
        let old = self.checkpoints.len().saturating_sub(around.shape.kept);
        self.checkpoints.drain(..old);
        (life.since, life.starts_in_vain, life.restored) = (root, 0, name);
        let counts = self.checkpoints.iter().map(|checkpoint| checkpoint.progress.decisions);
        let floor = if plant == Some(Plant::DecisionsPruned) { counts.max() } else { counts.min() };
        let floor = floor.unwrap_or(0);
        self.decisions.retain(|decision| decision.number >= floor);
        around.log(self, || format!("checkpoint at root {root}"));
    }

    /// WM-1: behind the same root the watermark is the same in every life, it never goes back,
    /// and it is what the rows or the producers make due.
    fn note_watermark(&mut self, around: &Around) -> Result<(), Broken> {
        let Some(life) = &self.life else { return Ok(()) };
        let plain = &life.task.state().plain;
        let (root, watermark) = (plain.progress.root() as usize, plain.watermark);
        if self.seen.len() <= root {
            self.seen.resize(root + 1, None);
        }
        let durable = root as u64 <= self.commit.progress.root();
        if let Some(seen) = self.seen[root]
            && durable
            && seen != watermark
        {
            return Err(format!("WM-1: root {root} had {seen}, in the replay {watermark}"));
        }
        self.seen[root] = Some(watermark);
        let (partition, position) = (self.partition as usize, plain.progress.position as usize);
        let due = match self.stage {
            0 if around.close_at.is_some() => return Ok(()),
            0 => around.watermarks.get(partition),
            _ => Some(&around.logs.truth[partition].watermarks),
        };
        let Some(due) = due else { return Ok(()) };
        let due = due.get(position).copied().unwrap_or(NO_TIME);
        if due != watermark {
            return Err(format!("2: the watermark at {position} is {watermark}, {due} is due"));
        }
        Ok(())
    }

    fn sent_back(&self, around: &Around) -> u64 {
        around.logs.back(self.stage, self.partition).map_or(0, |log| log.end())
    }

    /// Whether something is left to do.
    pub fn unfinished(&self, around: &Around) -> bool {
        self.life.as_ref().is_none_or(|life| {
            let progress = life.task.progress();
            let end = around.end_of_input(self.stage, self.partition);
            progress.position < end
                || progress.admitted < self.sent_back(around)
                || progress.root() != self.commit.progress.root()
                || life.task.waiting() != (0, 0)
        })
    }
}

fn text(what: impl std::fmt::Display) -> Broken {
    let text = what.to_string();
    text.strip_prefix(HOST_BROKE).map_or(text.clone(), str::to_owned)
}

/// The rows that a partition holds, for a log that is given bit by bit.
pub fn arrivals(all: &LogBatch, from: usize, to: usize) -> LogBatch {
    slice(all, from, to)
}
