//! What a pipeline promises, edge by edge, and how much memory it may take: what `pawl check`
//! prints before anything runs. Promises nothing that the design does not.

use crate::edge::Dedup;
use crate::outside::{AtRetriesMax, HttpMode, HttpSink, Sink, SinkKind, Source, SourceKind};
use crate::pipeline::{AtMax, Late, Pipeline, Stage, Transport};
#[cfg(test)]
use std::fmt::Write;

/// Bytes of one id in a dedup window, as measured at most.
const BYTES_PER_ID: u64 = 64;

/// One row of the delivery table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Where from.
    pub from: String,
    /// Where to.
    pub to: String,
    /// What is promised.
    pub holds: String,
    /// What the promise rests on.
    pub by_what: String,
}

/// The delivery table of a pipeline, stages in the order of the flow.
pub fn delivery(pipeline: &Pipeline) -> Vec<DeliveryRow> {
    let mut rows = Vec::new();
    for source in &pipeline.sources {
        rows.push(source_row(source));
    }
    for topic in pipeline.external_topics() {
        let fed = pipeline.sources.iter().any(|source| source.topic == topic);
        if !pipeline.readers(topic).is_empty() && !fed {
            rows.push(row("outside".to_owned(), format!("topic {topic}"), PRODUCER));
        }
    }
    for stage in pipeline.upstream_first() {
        match &stage.sink {
            Some(sink) => sink_rows(pipeline, stage, sink, &mut rows),
            None => stage_rows(pipeline, stage, &mut rows),
        }
    }
    for topic in pipeline.internal_topics() {
        if pipeline.readers(topic).is_empty() {
            rows.push(row(format!("topic {topic}"), "outside".to_owned(), OUTSIDERS));
        }
    }
    let dead = format!("topic {}", pipeline.dead_letters.topic);
    rows.push(row(dead, "outside".to_owned(), OUTSIDERS));
    rows
}

/// The delivery table as text, one row a line, columns aligned.
#[cfg(test)]
pub fn delivery_text(pipeline: &Pipeline) -> String {
    let titles = row("from".to_owned(), "to".to_owned(), ("what holds", "by what"));
    let mut rows = vec![titles];
    rows.extend(delivery(pipeline));
    let width = |cell: fn(&DeliveryRow) -> &String| {
        rows.iter().map(|row| cell(row).chars().count()).max().unwrap_or(0)
    };
    let (from, to, holds) = (width(|r| &r.from), width(|r| &r.to), width(|r| &r.holds));
    let mut text = String::new();
    for row in &rows {
        let DeliveryRow { from: source, to: target, holds: promise, by_what } = row;
        writeln!(text, "{source:from$}  {target:to$}  {promise:holds$}  {by_what}")
            .expect("writing into a string cannot fail");
    }
    text
}

/// What each stage may take of the host's memory, over all partitions, in words.
pub fn memory_estimates(pipeline: &Pipeline) -> Vec<String> {
    let mut lines = Vec::new();
    for stage in pipeline.upstream_first() {
        let tasks =
            pipeline.topics.get(&stage.input).map_or(1, |topic| u64::from(topic.partitions));
        for operator in stage.operators.iter().filter(|_| !stage.is_sink()) {
            let guest = mebibytes(tasks.saturating_mul(operator.limits.memory_bytes_max));
            let mut line = format!(
                "{}/{}: {tasks} instance{}, together at most {guest} MiB of guest memory",
                stage.name,
                operator.name,
                if tasks == 1 { "" } else { "s" }
            );
            if let Some(dedup) = &operator.edge.dedup {
                let ids = tasks.saturating_mul(dedup.ids_max);
                let bytes = mebibytes(ids.saturating_mul(BYTES_PER_ID));
                line.push_str(&format!("; dedup of {ids} ids at most {bytes} MiB"));
            }
            lines.push(line);
        }
    }
    lines
}

const PRODUCER: (&str, &str) = (
    "at least once",
    "if the producer repeats what was not acknowledged; copies get positions of their own",
);
const OUTPUT_EMBEDDED: (&str, &str) =
    ("exactly once", "outputs and positions are one transaction, muted replay");
const OUTSIDERS: (&str, &str) = (
    "as the reader keeps its position",
    "no stage reads it; ids are the same in every replay, so a reader can drop what it saw",
);

fn source_row(source: &Source) -> DeliveryRow {
    let (holds, by_what) = match &source.kind {
        SourceKind::File(_) => {
            ("exactly once", "records and the place in the file are one transaction")
        }
        SourceKind::Stdin(_) => (
            "at most once",
            "what was read and not committed when the process dies is lost with the pipe; \
             sent again it counts as new unless ids tell",
        ),
        SourceKind::Http(_) => (
            "at least once, once with a key",
            "202 only when durable; a client that repeats with its Idempotency-Key adds nothing, \
             within keys_max",
        ),
    };
    let from = format!("{} {}", source.kind.word(), source.name);
    row(from, format!("topic {}", source.topic), (holds, by_what))
}

fn sink_rows(pipeline: &Pipeline, stage: &Stage, sink: &Sink, rows: &mut Vec<DeliveryRow>) {
    let ids = stage.operators.first().and_then(|operator| operator.edge.dedup.as_ref());
    let ids = ids.map_or(0, |dedup| dedup.ids_max);
    let dropped = format!("equal ids within the last {ids} are dropped before");
    let (holds, by_what) = match &sink.kind {
        SinkKind::Sql(sql) => {
            let by_what = format!("UPSERT by {}, fenced by epoch; {dropped}", sql.key.join(", "));
            ("effectively once", by_what)
        }
        SinkKind::Http(http) => {
            let partitions = pipeline.topics.get(&stage.input).map_or(1, |topic| topic.partitions);
            let under_way = u64::from(http.concurrency_max) * u64::from(partitions);
            http_promise(http, under_way, &dropped)
        }
        SinkKind::File(_) => {
            let by_what = "the position stands beside the file and in its name, fenced by epoch";
            ("exactly once", format!("{by_what}; {dropped}"))
        }
    };
    let (from, to) =
        (format!("topic {}", stage.input), format!("{} {}", sink.kind.word(), stage.name));
    rows.push(row(from, to, (holds, &by_what)));
    let at_max = match sink.at_retries_max {
        AtRetriesMax::Stop => "after them the task stops",
        AtRetriesMax::DeadLetter => "after them to the dead letters",
    };
    let by_what = format!(
        "what the receiver refuses; transient failures are tried {} times again, in order, and \
         {at_max}",
        sink.retries_max
    );
    let dead = format!("topic {}", pipeline.dead_letters.topic);
    rows.push(row(format!("{}, dead letters", stage.name), dead, ("exactly once", &by_what)));
}

fn http_promise(http: &HttpSink, under_way: u64, dropped: &str) -> (&'static str, String) {
    match (http.mode, http.idempotency_key) {
        (HttpMode::AtMostOnce, _) => (
            "at most once",
            format!(
                "that it is about to be sent is durable before; what nobody knows of (at most \
                 {under_way} for each end of the process, and answers that were lost) goes to the \
                 dead letters as delivery-unknown; {dropped}"
            ),
        ),
        (HttpMode::AtLeastOnce, true) => (
            "effectively once if the receiver honours Idempotency-Key",
            format!(
                "stable key, byte-stable body; {dropped}; a receiver that does not gets at most \
                 {under_way} records twice for each end of the process, and those whose answers \
                 were lost"
            ),
        ),
        (HttpMode::AtLeastOnce, false) => (
            "at least once",
            format!(
                "at most {under_way} records come twice for each end of the process, and those \
                 whose answers were lost; {dropped}"
            ),
        ),
    }
}

fn stage_rows(pipeline: &Pipeline, stage: &Stage, rows: &mut Vec<DeliveryRow>) {
    let Transport::Embedded = pipeline.transport;
    let name = &stage.name;
    let state = "state, dedup window and position are one checkpoint; decisions are replayed";
    let mut by_what = vec![state.to_owned()];
    by_what.extend(copies(pipeline, stage));
    let (from, to) = (format!("topic {}", stage.input), format!("state of {name}"));
    rows.push(row(from, to, ("exactly once", &by_what.join("; "))));
    let outputs = stage.operators.iter().flat_map(|operator| {
        operator.outputs.values().map(|topic| (operator.name.as_str(), topic.as_str()))
    });
    let last = stage.operators.last().map(|operator| operator.name.as_str());
    let output = last.zip(stage.output.as_deref());
    for (operator, topic) in outputs.chain(output) {
        let (from, to) = (format!("{name}/{operator}"), format!("topic {topic}"));
        rows.push(row(from, to, OUTPUT_EMBEDDED));
    }
    let dead = format!("topic {}", pipeline.dead_letters.topic);
    if pipeline.time_from(stage).is_some() {
        let from = format!("{name}, late records");
        rows.push(match &stage.late {
            Late::Drop => row(from, "nowhere".to_owned(), ("dropped", "counted (late)")),
            Late::DeadLetter => row(from, dead.clone(), OUTPUT_EMBEDDED),
            Late::Topic(topic) => row(from, format!("topic {topic}"), OUTPUT_EMBEDDED),
        });
    }
    let bound = match pipeline.dead_letters.at_max {
        AtMax::Stop => "at a bound the task stops",
        AtMax::DropOldest => "at a bound the oldest go",
    };
    let by_what = format!("byte for byte, in the transaction of the position; {bound}");
    rows.push(row(format!("{name}, dead letters"), dead, ("exactly once", &by_what)));
}

/// What becomes of records that were sent twice; nothing to say if only stages write the topic.
fn copies(pipeline: &Pipeline, stage: &Stage) -> Vec<String> {
    let dedups = stage.operators.iter().filter_map(|operator| {
        operator.edge.dedup.as_ref().map(|dedup| (operator.name.as_str(), dedup))
    });
    let mut told: Vec<String> = dedups
        .map(|(operator, Dedup { horizon_ms, ids_max })| {
            let within = format!("within {horizon_ms} ms and {ids_max} ids");
            format!("equal ids are dropped before {operator} {within}")
        })
        .collect();
    if told.is_empty() && pipeline.external_topics().contains(stage.input.as_str()) {
        told.push("what was sent twice is taken twice (no dedup)".to_owned());
    }
    told
}

fn row(from: String, to: String, (holds, by_what): (&str, &str)) -> DeliveryRow {
    DeliveryRow { from, to, holds: holds.to_owned(), by_what: by_what.to_owned() }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
