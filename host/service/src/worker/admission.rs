//! Dead letters that were sent back: looks for them now and then, admits them by a decision that is
//! durable before the first of them is touched, and reads them. They take no credit: at most one
//! batch is under way, and nothing else is until it is through.

use super::Worker;
use crate::deliverer::at_most_once;
use crate::error::Error;
use pawl_core::record::Offset;
use pawl_core::task::Wish;
use pawl_transport::ReadMax;

/// How often a busy task looks for rows that were sent back, in microseconds.
const LOOK_EVERY_US: u64 = 100_000;

impl Worker<'_, '_> {
    /// A sink that sends at most once takes nothing back: a second decision about what is under way
    /// would have to stand among those of the input. What was sent back before it became such a
    /// sink must not wait for ever without a word.
    pub(super) fn refuse_stranded(&self) -> Result<(), Error> {
        let life = &self.life;
        if !life.stage.sink.as_ref().is_some_and(at_most_once) {
            return Ok(());
        }
        let (topic, partition) = (&life.stage.replay, life.id.partition);
        let (_, end) = life.context.transport.range(topic, partition)?;
        let waiting = end.saturating_sub(self.committed.progress.admitted);
        if waiting == 0 {
            return Ok(());
        }
        let what = format!(
            "{waiting} dead letters that were sent back wait in {topic}/{partition}, and sink {} \
             sends at most once now, which takes none: set its mode back to \"at-least-once\", let \
             them pass (`pawl topic describe {topic}` shows the lag), then change it",
            life.stage.name
        );
        Err(Error::State { code: "sent-back-stranded", what })
    }

    /// Up to where rows wait to be admitted, if some do.
    pub(super) fn waits_for_admission(&self) -> Result<Option<Offset>, Error> {
        self.refuse_stranded()?;
        let life = &self.life;
        if life.stage.sink.as_ref().is_some_and(at_most_once) {
            return Ok(None);
        }
        let transport = &life.context.transport;
        let (_, end) = transport.range(&life.stage.replay, life.id.partition)?;
        let admitted = self.it.task.progress().admitted;
        let batch = u64::from(life.stage.batch_records_max);
        Ok((admitted < end).then(|| end.min(admitted.saturating_add(batch))))
    }

    /// What is to be admitted now. Looks only now and then, and lets input through between two
    /// batches: whoever sends without end must not stop the stream.
    pub(super) fn admission(&self) -> Result<Option<Wish>, Error> {
        let at = self.it.task.position();
        if self.admitted_at.get() == Some(at) && !self.input.is_empty() {
            return Ok(None);
        }
        let now = self.life.context.clock.elapsed_us();
        if self.looked_us.get().is_some_and(|at| now.saturating_sub(at) < LOOK_EVERY_US) {
            return Ok(None);
        }
        let until = self.waits_for_admission()?;
        if until.is_none() {
            self.looked_us.set(Some(now));
        }
        Ok(until.map(|until| Wish::Admit { until }))
    }

    /// Takes note that rows were admitted, and makes it durable: a record that then kills the host
    /// can be convicted.
    pub(super) fn admitted(&mut self, wish: Option<&Wish>) -> Result<(), Error> {
        if !matches!(wish, Some(Wish::Admit { .. })) {
            return Ok(());
        }
        self.admitted_at.set(Some(self.it.task.position()));
        self.commit_now()
    }

    /// Reads rows that are admitted.
    pub(super) fn fill_sent_back(&mut self) -> Result<(), Error> {
        let Some(due) = self.it.task.admitting() else {
            self.sent_back.clear();
            return Ok(());
        };
        while self.sent_back.front().is_some_and(|batch| batch.end() <= due.start) {
            self.sent_back.pop_front();
        }
        if !self.sent_back.is_empty() {
            return Ok(());
        }
        let life = &self.life;
        let records = usize::try_from(due.end - due.start).unwrap_or(usize::MAX);
        let bytes = usize::try_from(life.stage.in_flight_bytes_max.max(1)).unwrap_or(usize::MAX);
        let (topic, partition) = (&life.stage.replay, life.id.partition);
        let max = ReadMax { records, bytes };
        self.sent_back.extend(life.context.transport.read(topic, partition, due.start, max)?);
        if self.sent_back.is_empty() {
            let what = format!(
                "{topic}/{partition} lacks row {}, which was admitted: bring the right pawl.db back",
                due.start
            );
            return Err(Error::State { code: "recovery", what });
        }
        Ok(())
    }
}
