//! Rows that were sent back, rule by rule.

use super::*;

/// Dead letters of (entry, id, event time as text, value).
fn letters(rows: &[(&str, &str, &str, &str)]) -> LogBatch {
    let mut records = Records::default();
    for (entry, id, time, value) in rows {
        records.push(Record {
            value: Some(value.as_bytes()),
            timestamp: 1_000_000,
            headers: &[
                ("pawl-dlq", b"1"),
                ("pawl-id", id.as_bytes()),
                ("pawl-entry", entry.as_bytes()),
                ("pawl-record-id", id.as_bytes()),
                ("pawl-item-id", &identity::hex(identity::hash(id.as_bytes()))),
                ("pawl-event-time", time.as_bytes()),
                ("pawl-replay-count", b"2"),
            ],
            ..Record::default()
        });
    }
    LogBatch { records, ..LogBatch::default() }
}

/// Admits all of them and takes them in.
fn take_in(task: &mut Task, sent_back: &LogBatch, operators: &mut [Script]) {
    let until = sent_back.end();
    let step = task.step(None, 1, Some(&Wish::Admit { until }), operators, 0);
    assert_eq!(step, Ok(Step::Decided));
    while task.admitting().is_some() {
        task.step(Some(sent_back), 2, None, operators, 0).unwrap();
    }
}

fn headers(batch: &CommitBatch, name: &str) -> Vec<String> {
    let dead = batch.appends.iter().find(|append| append.topic == "dead");
    let records = dead.map(|append| append.batch.records.clone()).unwrap_or_default();
    let column = records.header(name).cloned().unwrap_or_default();
    let text = |row| String::from_utf8_lossy(column.get(row).unwrap_or_default()).into_owned();
    (0..records.len()).map(text).collect()
}

#[test]
fn it_enters_before_its_operator_and_neither_moves_time_nor_counts_for_the_breaker() {
    let spec = chain();
    let mut task = start(&spec);
    let mut operators = [script(|_| panic!("it must skip this one")), script(words)];
    let name = spec.operators[1].name.clone();
    take_in(&mut task, &letters(&[(&name, "n", "900", "one")]), &mut operators);
    let plain = &task.state().plain;
    assert_eq!((plain.watermark, plain.clock.largest()), (NO_TIME, NO_TIME));
    assert_eq!(plain.breaker, Default::default());
    assert_eq!(plain.counters.readmitted, 1);
    let batch = sealed(&mut task);
    let out = batch.appends.iter().find(|append| append.topic == "out").unwrap();
    assert_eq!(out.batch.records.values.get(0), Some(&b"one"[..]));
}

#[test]
fn behind_time_it_is_late_and_without_time_it_is_refused_and_both_are_the_next_attempt() {
    let spec = chain();
    let mut task = start(&spec);
    let mut operators = [script(words), script(words)];
    run(&mut task, &batch(&[("a", 500, "a")]), &mut operators).unwrap();
    sealed(&mut task);
    let name = spec.operators[1].name.clone();
    let back = letters(&[(&name, "x", "100", "late"), (&name, "y", "", "timeless")]);
    take_in(&mut task, &back, &mut operators);
    let batch = sealed(&mut task);
    assert_eq!(headers(&batch, "pawl-error-kind"), ["late", "no-event-time"]);
    assert_eq!(headers(&batch, "pawl-replay-count"), ["2", "2"]);
    assert_eq!(headers(&batch, "pawl-entry"), [name.clone(), name]);
}

#[test]
fn one_that_no_operator_knows_keeps_its_address_its_id_and_its_time() {
    let spec = chain();
    let mut task = start(&spec);
    let back = letters(&[("gone", "x", "1970-01-01T00:00:00.100Z", "v"), ("", "y", "", "w")]);
    take_in(&mut task, &back, &mut [script(words), script(words)]);
    let batch = sealed(&mut task);
    assert_eq!(headers(&batch, "pawl-error-kind"), ["no-such-operator", "not-a-dead-letter"]);
    assert_eq!(headers(&batch, "pawl-entry")[0], "gone");
    let id = identity::hex_text(identity::hash(b"x"));
    assert_eq!(headers(&batch, "pawl-item-id")[0], id);
    assert_eq!(headers(&batch, "pawl-event-time")[0], "1970-01-01T00:00:00.100Z");
}

#[test]
fn an_id_of_its_own_that_is_no_text_is_kept_as_it_is() {
    let spec = chain();
    let mut task = start(&spec);
    let mut rows = Records::default();
    let id: &[u8] = b"\xff\x01";
    rows.push(Record { value: Some(b"bad"), id: Some(id), event_time: 500, ..Record::default() });
    let rows = LogBatch { records: rows, ..LogBatch::default() };
    run(&mut task, &rows, &mut [script(words), script(words)]).unwrap();
    let dead = sealed(&mut task);
    let dead = dead.appends.iter().find(|append| append.topic == "dead").unwrap();
    let letter = crate::sent_back::SentBack::read(&dead.batch.records, 0, ("back", 0, 0));
    assert_eq!(letter.own_id.as_deref(), Some(id));
}

#[test]
fn a_good_copy_that_came_meanwhile_makes_it_a_duplicate() {
    let spec = chain();
    let mut task = start(&spec);
    let mut operators = [script(words), script(words)];
    run(&mut task, &batch(&[("a", 500, "a")]), &mut operators).unwrap();
    sealed(&mut task);
    let name = spec.operators[0].name.clone();
    take_in(
        &mut task,
        &letters(&[(&name, "a", "500", "a"), (&name, "b", "500", "b")]),
        &mut operators,
    );
    assert_eq!(task.state().plain.counters.edges[0].duplicate, 1);
    let batch = sealed(&mut task);
    assert_eq!(headers(&batch, "pawl-error-kind"), Vec::<String>::new());
    assert_eq!(batch.commit.counters.readmitted, 2);
}
