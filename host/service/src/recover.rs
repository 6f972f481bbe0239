//! From what is stored to a task that can run: which checkpoint, which operators, which decisions.
//! Never starts fresh where a commit shows that there was a state, unless a person says so.

use crate::checkpointer::Job;
use crate::deliverer::Deliverer;
use crate::error::Error;
use crate::guest::{Guest, GuestState};
use crate::life::Life;
use crate::plugins::Running;
use crate::progress::CheckpointFacts;
use crate::wiring::{self, Told};
use pawl_checkpoint::{Checkpoint, Header, OperatorRecord, Owner, RecoveryPath};
use pawl_core::SEMANTICS;
use pawl_core::commit::Commit;
use pawl_core::decision::{CheckpointName, Decision, DecisionKind, OperatorDigest};
use pawl_core::laws::{Law, Violation};
use pawl_core::record::Offset;
use pawl_core::spec::Spec;
use pawl_core::state::{EdgeSegment, Image, State};
use pawl_core::task::{Recovery, Task};
use pawl_core::window::Segment;
use pawl_pipeline::IdSource;
use pawl_transport::Recovery as Stored;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// A state to start from: a checkpoint, or a copy in memory.
#[derive(Clone)]
pub(crate) struct Base {
    pub image: Image,
    pub segments: Vec<EdgeSegment>,
    /// One per operator.
    pub guests: Vec<GuestState>,
    pub operators: Vec<OperatorDigest>,
    /// The checkpoint that it is; none for a copy in memory.
    pub name: Option<CheckpointName>,
}

/// A task ready to run.
pub(crate) struct Incarnation {
    pub task: Task,
    pub guests: Vec<Guest>,
    pub running: Vec<Running>,
    /// The last durable checkpoint, and what of the windows it holds.
    pub durable: CheckpointName,
    pub known: BTreeSet<(usize, u64)>,
    /// The next snapshot must give every part, since the durable checkpoint lacks some.
    pub full_next: bool,
    /// The commit that was found.
    pub commit: Commit,
    /// Rows below may have been sent already, by a sink that sends at most once.
    pub attempted: Offset,
    /// New operators run on the checkpoint's state: to be decided when the replay is over.
    pub switched_at: Option<CheckpointName>,
}

impl Life<'_> {
    /// The state at the birth of the task, as its first checkpoint: so that there always is one.
    /// `remembered`: what a sink delivered on another log, so that it is not delivered again.
    pub(crate) fn birth(
        &mut self,
        commit: Option<&Commit>,
        decisions: &[Decision],
        remembered: Option<Base>,
    ) -> Result<(), Error> {
        let running = self.ready()?.running.clone();
        let guests: Result<Vec<Guest>, Error> = running.iter().map(|r| self.guest(r, 1)).collect();
        let guests = guests?;
        let spec = self.spec(&running, &guests)?;
        let mut state = State::new(&spec);
        if let Some(base) = remembered {
            let old = State::from_image(base.image, &base.segments, &spec);
            state.windows = old.map_or(state.windows, |old| old.windows);
        }
        if let Some(commit) = commit {
            let plain = &mut state.plain;
            plain.progress = commit.progress;
            // What was admitted and is not through comes first, as decisions behind it say.
            let admitted = decisions.iter().rev().find_map(|decision| match decision.kind {
                DecisionKind::Admit { until } if decision.number < commit.progress.decisions => {
                    Some(until)
                }
                _ => None,
            });
            plain.admitting = admitted.unwrap_or(0);
            (plain.input_sum, plain.output_sum) = (commit.input_sum, commit.output_sum);
            plain.counters = commit.counters.clone();
            // As high as any number that was ever written; readers pass over lower ones.
            plain.control_number = commit.progress.ticks + commit.progress.decisions;
        }
        let (image, segments) = state.image();
        let header = self.header(&state, &running, &guests);
        let name = header.name;
        let parts = vec![Vec::new(); guests.len()];
        let (reply, answer) = sync_channel(1);
        self.context.checkpointer.submit(Job {
            header,
            image,
            segments,
            known: BTreeSet::new(),
            parts,
            base: None,
            began_us: self.context.clock.elapsed_us(),
            reply,
        });
        let done = answer.recv().unwrap_or_else(|_| Err(gone()))?;
        self.board.tell(|standing| standing.checkpoint = Some(CheckpointFacts::of(name, &done)));
        self.born = true;
        Ok(())
    }

    /// The header of the next checkpoint; takes its name.
    pub(crate) fn header(
        &mut self,
        state: &State,
        running: &[Running],
        guests: &[Guest],
    ) -> Header {
        self.sequence += 1;
        let operators = running.iter().zip(guests).map(|(running, guest)| OperatorRecord {
            digest: running.digest(),
            state_version: guest.state_version(),
            operator_version: guest.told().description.version,
        });
        Header {
            pipeline: self.context.pipeline.name.clone(),
            task: self.id.clone(),
            name: CheckpointName { epoch: self.epoch, sequence: self.sequence },
            progress: state.plain.progress,
            semantics: SEMANTICS,
            input_sum: state.plain.input_sum,
            output_sum: state.plain.output_sum,
            operators: operators.collect(),
            created_ms: self.context.clock.now_ms(),
            log: self.context.log.clone(),
        }
    }

    /// A task ready to replay from the newest state there is.
    pub(crate) fn incarnate(&mut self) -> Result<Incarnation, Error> {
        let stored = self.context.transport.recovery(&self.id)?;
        let commit = stored.commit.clone().unwrap_or_default();
        let base = self.base(&stored)?;
        let progress = State::progress_of(&base.image);
        let target: Vec<OperatorDigest> =
            self.ready()?.running.iter().map(Running::digest).collect();
        let switch = stored.decisions.iter().rev().find_map(|decision| match &decision.kind {
            DecisionKind::Switch { operators, at_checkpoint: Some(_) }
                if decision.number >= progress.decisions =>
            {
                Some(operators.clone())
            }
            _ => None,
        });
        let at_checkpoint = self.context.options.switch_at_checkpoint
            && base.operators != target
            && switch.is_none();
        let tolerant = switch.is_some() || at_checkpoint;
        let digests = match switch {
            Some(operators) => operators,
            None if at_checkpoint => target,
            None => base.operators.clone(),
        };
        let running = self.running(&digests)?;
        let mut guests = Vec::with_capacity(running.len());
        for (operator, state) in running.iter().zip(&base.guests) {
            let mut guest = self.guest(operator, self.patience)?;
            guest.restore(state, &operator.name)?;
            guests.push(guest);
        }
        let spec = Arc::new(self.spec(&running, &guests)?);
        let state = State::from_image(base.image, &base.segments, &spec).ok_or_else(|| {
            let what = "the dedup windows of the checkpoint do not fit together".to_owned();
            Error::State { code: "state", what }
        })?;
        let due: Vec<_> =
            stored.decisions.iter().filter(|d| d.number >= progress.decisions).cloned().collect();
        let recovery = Recovery {
            commit: commit.clone(),
            decisions: due,
            intent: Default::default(),
            epoch: self.epoch,
            attempted: attempted(&stored),
            tolerant,
        };
        let task =
            Task::new(spec, state, recovery).map_err(|broken| self.cannot_recover(&broken))?;
        let durable = base.name.unwrap_or(self.durable);
        Ok(Incarnation {
            attempted: attempted(&stored),
            task,
            guests,
            running,
            durable,
            known: match base.name {
                Some(_) => base.segments.iter().map(|s| (s.edge, s.segment.first())).collect(),
                None => BTreeSet::new(),
            },
            full_next: base.name.is_none(),
            commit,
            switched_at: at_checkpoint.then_some(durable),
        })
    }

    /// Why a state, a commit and decisions do not make a task.
    fn cannot_recover(&self, broken: &Violation) -> Error {
        match broken.law {
            Law::Ck4 => Error::State {
                code: "database-older",
                what: format!(
                    "{broken}: the database is older than the checkpoints of {}; bring the right \
                     pawl.db back, or start with --fresh, which goes on from what the database \
                     holds with an empty state: what was delivered may be delivered again, by the \
                     same ids; a sink remembers what it delivered up to its last checkpoint if \
                     its edge.id is a field, a header, the key or the content",
                    self.id
                ),
            },
            _ => Error::State { code: "recovery", what: broken.to_string() },
        }
    }

    /// The newest state that lies at or behind the commit: in memory, else a checkpoint.
    fn base(&mut self, stored: &Stored) -> Result<Base, Error> {
        let root = stored.commit.as_ref().map_or(0, |commit| commit.progress.root());
        if let Some(rescue) = &self.rescue
            && State::progress_of(&rescue.image).root() <= root
        {
            return Ok(rescue.clone());
        }
        let found = self.context.store.newest(&self.id)?;
        for (name, error) in &found.rejected {
            let (epoch, sequence) = (name.epoch, name.sequence);
            tracing::error!(
                task = %self.id, epoch, sequence, %error,
                "checkpoint cannot be used, falling back to the one before"
            );
        }
        let path = if self.born { RecoveryPath::Fresh } else { found.path };
        self.context.monitor.recovered(path);
        self.board.tell(|standing| standing.recovered = Some(path));
        self.born = false;
        let Some(checkpoint) = found.checkpoint else {
            if self.context.options.fresh {
                tracing::warn!(task = %self.id, "starting with an empty state, as asked for");
                self.birth(stored.commit.as_ref(), &stored.decisions, None)?;
                let again = self.context.store.newest(&self.id)?;
                let checkpoint = again.checkpoint.ok_or_else(|| self.no_checkpoint(stored))?;
                return self.base_of(checkpoint, root);
            }
            return Err(self.no_checkpoint(stored));
        };
        let name = checkpoint.header.name;
        let (epoch, sequence) = (name.epoch, name.sequence);
        let (path, newer) = (path.name(), found.rejected.len());
        let (task, stage) = (&self.id, &self.id.stage);
        tracing::info!(%task, epoch, sequence, path, newer, %stage, "recovering from a checkpoint");
        self.base_of(checkpoint, root)
    }

    /// A person says so: the log is another one than that of the checkpoints, which was lost. A
    /// position in it means nothing any more, nor does a state that rests on it; but what a sink
    /// delivered was delivered.
    pub(crate) fn begin_on_another_log(&mut self, stored: &Stored) -> Result<(), Error> {
        let found = self.context.store.newest(&self.id)?;
        let root = stored.commit.as_ref().map_or(0, |commit| commit.progress.root());
        let Some(checkpoint) = found.checkpoint else { return Ok(()) };
        let of_this_log = checkpoint.header.log == self.context.log;
        if of_this_log && checkpoint.header.progress.root() <= root {
            return Ok(());
        }
        tracing::warn!(task = %self.id, "the log is another one; starting anew, as asked for");
        let remembered = match self.has_natural_ids() {
            true => {
                let mut checkpoint = checkpoint;
                checkpoint.header.log.clone_from(&self.context.log); // its ids mean the same here
                Some(self.base_of(checkpoint, root)?)
            }
            false => None,
        };
        if self.stage.is_sink() && remembered.is_none() {
            tracing::warn!(
                task = %self.id,
                "what was delivered may be delivered again: ids may come from positions, which \
                 begin anew; where records have ids of their own, say so by the sink's edge.id"
            );
        }
        self.birth(stored.commit.as_ref(), &stored.decisions, remembered)
    }

    /// A position means nothing on another log: a checkpoint of one must never be gone on from, nor
    /// overwritten by what was made from it.
    pub(crate) fn refuse_foreign(&self, header: &Header) -> Result<(), Error> {
        if header.log == self.context.log {
            return Ok(());
        }
        let what = format!(
            "the newest checkpoint of {} ({}-{}) belongs to another log: another host, or an older \
             database, has used the same checkpoints. Give each pipeline a folder and a \
             checkpoint.remote.url of its own; or bring the right pawl.db back; or start with \
             --fresh, which goes on from what this database holds with an empty state",
            self.id, header.name.epoch, header.name.sequence
        );
        Err(Error::State { code: "foreign-log", what })
    }

    /// Whether a sink knows its records by what they hold, so that their ids mean the same on any
    /// log. An id that a record brings along may have been made from a position.
    fn has_natural_ids(&self) -> bool {
        let edge = self.stage.operators.first().map(|operator| &operator.edge.id);
        let by_place = matches!(edge, Some(IdSource::Position | IdSource::Own) | None);
        self.stage.is_sink() && !by_place
    }

    pub(crate) fn no_checkpoint(&self, stored: &Stored) -> Error {
        let position = stored.commit.as_ref().map_or(0, |commit| commit.progress.position);
        let what = format!(
            "task {} has committed up to position {position}, but no checkpoint of it can be used: \
             bring its folder back, or start with --fresh, which goes on from there with an empty \
             state and forgets what operators held",
            self.id
        );
        Error::State { code: "no-checkpoint", what }
    }

    fn base_of(&mut self, checkpoint: Checkpoint, commit_root: u64) -> Result<Base, Error> {
        let Checkpoint { header, core, parts } = checkpoint;
        self.refuse_foreign(&header)?;
        let known = header.semantics == SEMANTICS || header.semantics + 1 == SEMANTICS;
        if !known && header.progress.root() < commit_root {
            let what = format!(
                "the checkpoint of {} has semantics {}, this host replays {SEMANTICS}: finish the \
                 replay with the version of pawl that wrote it",
                self.id, header.semantics
            );
            return Err(Error::State { code: "semantics", what });
        }
        let names: Vec<&str> =
            header.operators.iter().map(|o| o.digest.operator.as_str()).collect();
        let wanted: Vec<&str> = self.stage.operators.iter().map(|o| o.name.as_str()).collect();
        let inputs = self.inputs_of(&header)?;
        if let Some(other) = inputs.iter().find(|input| **input != self.stage.input) {
            let what = format!(
                "stage {} read topic {other} and is to read {} now: its position means nothing \
                 there; give the stage another name to begin anew",
                self.stage.name, self.stage.input
            );
            return Err(Error::State { code: "input-topic", what });
        }
        if names != wanted {
            let what = format!(
                "stage {} had the operators {names:?} and has {wanted:?} now: state cannot be \
                 carried over; give the stage another name to begin anew",
                self.stage.name
            );
            return Err(Error::State { code: "operators-changed", what });
        }
        let image = pawl_codec::state::decode(&core).map_err(|error| Error::State {
            code: "state",
            what: format!("the state in the checkpoint of {} cannot be read: {error}", self.id),
        })?;
        let mut segments = Vec::new();
        let mut guests: Vec<GuestState> = header
            .operators
            .iter()
            .map(|operator| GuestState { version: operator.state_version, parts: Vec::new() })
            .collect();
        for (key, data) in parts {
            match key.owner {
                Owner::Window(edge) => {
                    let segment = Segment::from_bytes(&data).ok_or_else(|| Error::State {
                        code: "state",
                        what: format!("{key} in the checkpoint of {} cannot be read", self.id),
                    })?;
                    segments
                        .push(EdgeSegment { edge: usize::from(edge), segment: Arc::new(segment) });
                }
                Owner::Operator(operator) => {
                    if let Some(guest) = guests.get_mut(usize::from(operator)) {
                        guest.parts.push(data.into()); // ascending by number, from 0
                    }
                }
            }
        }
        self.durable = header.name;
        let (name, created_ms) = (header.name, header.created_ms);
        self.board.tell(|standing| {
            if standing.checkpoint.is_none_or(|known| known.name != name) {
                standing.checkpoint = Some(CheckpointFacts { name, created_ms, cost: None });
            }
        });
        self.starts_in_vain = self.epoch.saturating_sub(header.name.epoch).saturating_sub(1);
        let operators = header.operators.into_iter().map(|operator| operator.digest).collect();
        Ok(Base { image, segments, guests, operators, name: Some(header.name) })
    }

    /// The topic that the operators of a checkpoint read.
    fn inputs_of(&self, header: &Header) -> Result<Vec<String>, Error> {
        let digests: Vec<OperatorDigest> =
            header.operators.iter().map(|operator| operator.digest.clone()).collect();
        let running = self.running(&digests)?;
        Ok(running.into_iter().map(|running| running.configuration.around.input).collect())
    }

    /// What runs these digests: the plugins of the pipeline file where they are the same.
    pub(crate) fn running(&self, digests: &[OperatorDigest]) -> Result<Vec<Running>, Error> {
        let ready = self.ready()?;
        let mut running = Vec::with_capacity(digests.len());
        for digest in digests {
            let now = ready.running.iter().find(|now| now.name == digest.operator);
            running.push(match now {
                Some(now) if now.digest() == *digest => now.clone(),
                now => {
                    let limits = now.map(|now| now.limits.clone()).unwrap_or_default();
                    let plugins = &self.context.plugins;
                    plugins.stored(digest, &limits, self.context.store.as_ref())?
                }
            });
        }
        Ok(running)
    }

    /// What runs an operator, or delivers to a sink.
    pub(crate) fn guest(&self, running: &Running, patience: u32) -> Result<Guest, Error> {
        let meter = &self.board.meter;
        let Some(sink) = &self.stage.sink else {
            return Guest::new(running, patience, meter.operator(&running.name));
        };
        let owner = pawl_sink::Owner {
            pipeline: self.context.pipeline.name.clone(),
            stage: self.stage.name.clone(),
            partition: self.id.partition,
            epoch: self.epoch,
            log: self.context.log.clone(),
        };
        let (clock, stop) = (Arc::clone(&self.context.clock), Arc::clone(&self.context.stop));
        let by_place = running.configuration.edge.id == pawl_core::identity::IdSource::Position;
        let mut deliverer = Deliverer::new(sink, owner, by_place, clock, stop)?;
        deliverer.measure(meter);
        Ok(Guest::sink(deliverer, meter.operator(&running.name)))
    }

    pub(crate) fn spec(&self, running: &[Running], guests: &[Guest]) -> Result<Spec, Error> {
        let told: Vec<Told> = guests.iter().map(Guest::told).collect();
        let pipeline = &self.context.pipeline;
        wiring::spec(pipeline, self.stage, self.id.partition, running, &told)
    }
}

/// Up to which row a sink that sends at most once may have sent: as its last attempt says, whatever
/// was decided after it. What is committed behind it is known.
fn attempted(stored: &Stored) -> Offset {
    let position = stored.commit.as_ref().map_or(0, |commit| commit.progress.position);
    let until = stored.decisions.iter().rev().find_map(|decision| match decision.kind {
        DecisionKind::Attempt { until } => Some(until),
        _ => None,
    });
    until.filter(|until| *until > position).unwrap_or(0)
}

/// The checkpointer is gone, which is a bug.
pub(crate) fn gone() -> Error {
    Error::Panicked("the checkpointer has ended without an answer".to_owned())
}
