//! Traces of commits, where the environment asks for them: which traces the rows of a commit belong
//! to, and the span once it is durable. Without that it costs a look at a flag.

use super::{Held, Worker};
use pawl_core::record::{LogBatch, Offset};
use pawl_monitor::spans::{Commit, LINKS_MAX};

/// The header of W3C's trace context.
const HEADER: &str = "traceparent";

impl Worker<'_, '_> {
    /// Rows from `position` on were taken: notes the traces that they belong to.
    pub(super) fn trace(&mut self, position: Offset, rows: u64, replaying: bool) {
        if self.life.context.monitor.spans().is_none() || replaying {
            return;
        }
        if let Some(batch) = self.input.front() {
            note(&mut self.traces, batch, position, rows);
        }
    }

    /// A commit is durable.
    pub(super) fn tell_spans(&self, held: &Held) {
        let context = &self.life.context;
        let Some(spans) = context.monitor.spans() else { return };
        spans.committed(&Commit {
            stage: self.life.id.stage.clone(),
            partition: self.life.id.partition,
            epoch: self.life.epoch,
            position: held.commit.progress.position,
            records: held.taken.0,
            dead_letters: held.letters,
            ended_ms: context.clock.now_ms(),
            took_us: context.clock.elapsed_us().saturating_sub(held.began_us),
            traces: held.traces.clone(),
        });
    }
}

/// Adds the trace contexts of so many rows, each once, as long as there are few.
fn note(traces: &mut Vec<String>, batch: &LogBatch, position: Offset, rows: u64) {
    let Some(column) = batch.records.header(HEADER) else { return };
    let from = position.saturating_sub(batch.base);
    let before = |row: u64| batch.controls.iter().filter(|(at, _)| u64::from(*at) < row).count();
    let start = usize::try_from(from).unwrap_or(usize::MAX).saturating_sub(before(from));
    let count = usize::try_from(rows).unwrap_or(usize::MAX);
    for row in start..start.saturating_add(count).min(column.len()) {
        if traces.len() >= LINKS_MAX {
            return;
        }
        let text = column.get(row).and_then(|value| std::str::from_utf8(value).ok());
        let new = text.filter(|text| !traces.iter().any(|known| known == text));
        traces.extend(new.map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pawl_core::record::{Record, Records};

    #[test]
    fn few_traces_are_noted_each_once_and_only_of_the_rows_taken() {
        let mut records = Records::default();
        for row in 0..100 {
            let trace = format!("trace-{}", row / 2);
            let header = [(HEADER, trace.as_bytes())];
            records.push(Record { value: Some(b"v"), headers: &header, ..Record::default() });
        }
        let batch = LogBatch { base: 1000, records, ..LogBatch::default() };
        let mut traces = Vec::new();
        note(&mut traces, &batch, 1010, 4);
        assert_eq!(traces, ["trace-5", "trace-6"]);
        note(&mut traces, &batch, 1014, u64::MAX);
        assert_eq!(traces.len(), LINKS_MAX);
        note(&mut Vec::new(), &LogBatch::default(), u64::MAX, u64::MAX);
    }
}
