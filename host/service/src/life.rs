//! One life of a task: from the claim of an epoch to its end or failure. Within a life the task
//! may be incarnated several times, each time a guest fails: from a state, by a muted replay.

use crate::check::Ready;
use crate::context::Context;
use crate::crash::{self, CrashPoint};
use crate::error::Error;
use crate::progress::Board;
use crate::recover::Base;
use crate::worker::{End, PATIENCE, Worker};
use pawl_core::commit::{Commit, CommitBatch, Progress, TaskId};
use pawl_core::decision::{CheckpointName, Decision, DecisionKind, Root};
use pawl_core::operator::Failure;
use pawl_core::record::Offset;
use pawl_core::task::Isolation;
use pawl_pipeline::Stage;
use pawl_sandbox::RestoreError;

/// One life of one task.
pub(crate) struct Life<'a> {
    pub context: &'a Context,
    pub stage: &'a Stage,
    pub id: TaskId,
    pub board: &'a Board,
    pub epoch: u64,
    /// Sequence of the last checkpoint that was begun.
    pub sequence: u64,
    /// The last checkpoint known to be durable.
    pub durable: CheckpointName,
    pub starts_in_vain: u64,
    /// A state in memory, taken while guests keep failing.
    pub rescue: Option<Base>,
    /// Multiplies limits: in a replay a limit is no verdict.
    pub patience: u32,
    pub isolation: Option<Isolation>,
    /// Rows below go one by one through the journal.
    pub journal_until: Offset,
    /// Its first checkpoint was just made: it recovers from nothing.
    pub born: bool,
}

/// Lives until the task has drained or fails.
pub(crate) fn live(context: &Context, id: &TaskId, board: &Board) -> Result<(), Error> {
    let stage = context.pipeline.stage(&id.stage).ok_or_else(|| Error::State {
        code: "unknown-stage",
        what: format!("the pipeline has no stage {}", id.stage),
    })?;
    let mut life = Life::begin(context, stage, id, board)?;
    loop {
        let incarnation = match life.incarnate() {
            // A limit in recovery is no verdict: once more, with patience.
            Err(Error::Restore { error: RestoreError::Failed(failure), .. })
                if life.patience == 1
                    && matches!(failure, Failure::Timeout(_) | Failure::Memory(_)) =>
            {
                life.patience = PATIENCE;
                life.incarnate()?
            }
            outcome => outcome?,
        };
        match Worker::new(&mut life, incarnation).run()? {
            End::Drained => return Ok(()),
            End::Again => {}
        }
    }
}

impl<'a> Life<'a> {
    fn begin(
        context: &'a Context,
        stage: &'a Stage,
        id: &TaskId,
        board: &'a Board,
    ) -> Result<Self, Error> {
        context.store.take_over(id)?;
        let names = context.store.names(id)?;
        let newest = names.first().copied().unwrap_or_default();
        let epoch = context.transport.claim(id, newest.epoch)?;
        board.tell(|standing| standing.epoch = Some(epoch));
        crash::at(CrashPoint::Claimed);
        let mut life = Self {
            context,
            stage,
            id: id.clone(),
            board,
            epoch,
            sequence: newest.sequence,
            durable: newest,
            starts_in_vain: 0,
            rescue: None,
            patience: 1,
            isolation: None,
            journal_until: 0,
            born: false,
        };
        let mut stored = context.transport.recovery(id)?;
        if names.is_empty() {
            // Only what was committed before any checkpoint needs none: a place to begin at.
            let witnessed = stored.commit.as_ref().is_some_and(|commit| commit.witness.is_some());
            if witnessed && !context.options.fresh {
                return Err(life.no_checkpoint(&stored));
            }
            if stored.commit.is_none() {
                life.begin_where_input_begins()?;
                stored = context.transport.recovery(id)?;
            }
            life.birth(stored.commit.as_ref(), &stored.decisions, None)?;
        } else if !context.options.fresh {
            // Before anything of it is taken up or written over.
            let mut headers = names.iter().filter_map(|name| context.store.header(id, *name).ok());
            if let Some(header) = headers.next() {
                life.refuse_foreign(&header)?;
            }
        } else {
            life.begin_on_another_log(&stored)?;
        }
        let root = stored.commit.as_ref().map_or(0, |commit| commit.progress.root());
        let begun = context.journal.begin(id, root);
        let stuck = begun.map_err(|error| Error::System { doing: "write the journal", error })?;
        let progress = stored.commit.as_ref().map_or_else(Progress::default, |it| it.progress);
        let ahead = |topic: &str, next: Offset| {
            context.transport.range(topic, id.partition).map(|(_, end)| end > next)
        };
        let due =
            ahead(&stage.input, progress.position)? || ahead(&stage.replay, progress.admitted)?;
        if stuck && due && !stage.is_sink() {
            life.consult_journal(stored)?;
        }
        Ok(life)
    }

    /// A new stage on a topic that was trimmed begins at its first row: a commit says so, since no
    /// checkpoint may lie ahead of one.
    fn begin_where_input_begins(&self) -> Result<(), Error> {
        let (first, _) = self.context.transport.range(&self.stage.input, self.id.partition)?;
        if first == 0 {
            return Ok(());
        }
        tracing::warn!(task = %self.id, first, "the topic was trimmed; beginning at its first row");
        let progress = Progress { position: first, ..Progress::default() };
        self.commit_alone(Commit { progress, ..Commit::default() }, Vec::new())
    }

    /// Makes a commit durable that publishes nothing.
    pub(crate) fn commit_alone(
        &self,
        commit: Commit,
        decisions: Vec<Decision>,
    ) -> Result<(), Error> {
        let commit = Commit { epoch: self.epoch, semantics: pawl_core::SEMANTICS, ..commit };
        let task = self.id.clone();
        let batch = CommitBatch { task, commit, decisions, appends: Vec::new() };
        self.context.transport.submit(batch, self.context.clock.now_ms()).wait()?;
        Ok(())
    }

    pub(crate) fn ready(&self) -> Result<&'a Ready, Error> {
        self.context.ready.get(&self.id.stage).ok_or_else(|| Error::State {
            code: "unknown-stage",
            what: format!("stage {} was not made ready", self.id.stage),
        })
    }

    /// After an unclean end without progress: rows that credit could have handed out go through the
    /// journal, and one that killed the host again and again is dead, by decision.
    fn consult_journal(&mut self, stored: pawl_transport::Recovery) -> Result<(), Error> {
        let commit = stored.commit.unwrap_or_default();
        let position = commit.progress.position;
        self.journal_until = position.saturating_add(self.stage.in_flight_records_max);
        let kills_max = self.context.pipeline.supervisor.host_kills_max;
        let root = commit.progress.root();
        let Some((at, name)) = self.context.journal.convicted(&self.id, root, kills_max) else {
            return Ok(());
        };
        let last = stored.decisions.last();
        let convicted = stored.decisions.iter().any(|decision| match &decision.kind {
            DecisionKind::Dead { root, path, .. } => {
                path.is_empty() && (decision.position, *root) == (at, name)
            }
            _ => false,
        });
        let behind = last.is_some_and(|last| last.position > at);
        let gone = match name {
            Root::SentBack(offset) => offset < commit.progress.admitted,
            _ => {
                let range = self.context.transport.range(&self.stage.input, self.id.partition)?;
                at < position || at >= range.1
            }
        };
        if convicted || behind || gone {
            return Ok(());
        }
        let number = last.map_or(0, |decision| decision.number + 1).max(commit.progress.decisions);
        tracing::error!(task = %self.id, position = at, "record kills the host: to dead letters");
        let kind = DecisionKind::Dead {
            root: name,
            path: Vec::new(),
            disposition: "host-crash".to_owned(),
            error_kind: "host-crash".to_owned(),
            message: format!("the host died {kills_max} times in a row with this record in hand"),
        };
        let decision = Decision { number, position: at, kind, epoch: self.epoch };
        self.commit_alone(commit, vec![decision])
    }
}
