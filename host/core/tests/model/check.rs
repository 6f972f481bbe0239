//! What must hold of a history when it is over, and what must be equal in two of one seed.

use super::driver::Broken;
use super::guest::{LENGTHS, sources_of_notes};
use super::input::{DISORDER, Kind, Row, SECOND, WILD, id_text};
use super::log::Log;
use super::world::{MIDDLE, World};
use crate::counters::Counters;
use crate::record::{LogBatch, NO_TIME, Records};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that tell a row from all others.
type Bytes = Vec<u8>;

/// What a history came to.
#[derive(Default)]
pub struct Outcome {
    /// All rows of each topic, without what clocks wrote.
    topics: BTreeMap<String, BTreeSet<Bytes>>,
    /// What each producer wrote to each partition between the stages, in order.
    streams: BTreeMap<(u32, u32), Vec<Bytes>>,
    /// The counters of each task at the end.
    counters: Vec<Counters>,
}

/// A row that was refused or came late.
struct Refused {
    /// How often it was sent back before.
    attempt: u64,
    id: Bytes,
    operator: String,
    late: bool,
    value: Bytes,
}

impl World {
    /// Checks all laws. Gives what the history came to.
    pub fn check(&self) -> Result<Outcome, Broken> {
        self.check_windows_closed()?;
        let mut outcome = Outcome::default();
        let mut refused = [Vec::new(), Vec::new()];
        for ((topic, partition), log) in &self.around.logs.others {
            self.check_ids(topic, *partition, log)?;
            let stage = usize::from(topic.ends_with("two"));
            let rows = outcome.topics.entry(topic.clone()).or_default();
            for (records, row) in rows_of(log) {
                rows.insert(bytes_of(records, row, *partition));
                if !topic.starts_with("data") {
                    refused[stage].push(refused_of(records, row, topic));
                }
            }
        }
        for (partition, log) in self.around.logs.middle.iter().enumerate() {
            self.check_ids("data-one", partition as u32, log)?;
            log.batches.iter().for_each(|batch| self.stream(batch, partition, &mut outcome));
        }
        self.check_rows(&refused)?;
        for driver in &self.drivers {
            let sent = self.around.logs.back(driver.stage, driver.partition);
            let sent = sent.map_or(0, |log| log.end());
            let readmitted = driver.commit.counters.readmitted;
            if readmitted != sent || driver.commit.progress.admitted != sent {
                return Err(format!("AL-1: {sent} were sent back, {readmitted} taken in"));
            }
            outcome.counters.push(driver.commit.counters.clone());
        }
        Ok(outcome)
    }

    /// Compares with the calm history of the same seed, where no decision makes them differ.
    pub fn compare(&self, mine: &Outcome, calm: &Outcome) -> Result<(), Broken> {
        if self.around.shape.decides() {
            return Ok(());
        }
        for (topic, rows) in &calm.topics {
            let mine = mine.topics.get(topic).cloned().unwrap_or_default();
            if mine != *rows {
                let (more, less) = (mine.difference(rows).next(), rows.difference(&mine).next());
                return Err(format!(
                    "DT-1: {topic} differs: only here {more:?}, only calm {less:?}"
                ));
            }
        }
        if mine.topics.len() != calm.topics.len() {
            return Err("DT-1: topics are not the same".to_owned());
        }
        let exact = self.around.shape.atomic;
        if (exact || self.around.shape.ids_max > 1000) && mine.streams != calm.streams {
            return Err("OR-1: what a producer wrote is in another order".to_owned());
        }
        let first = self.around.shape.width as usize;
        let counted = if exact { mine.counters.len() } else { first };
        if mine.counters[..counted] != calm.counters[..counted] {
            let (mine, calm) = (&mine.counters[..counted], &calm.counters[..counted]);
            return Err(format!("DT-1: counters differ: {mine:?}, calm {calm:?}"));
        }
        Ok(())
    }

    fn check_windows_closed(&self) -> Result<(), Broken> {
        for driver in &self.drivers {
            let guests = driver.life.iter().flat_map(|life| &life.guests);
            let mut open = guests.flat_map(|guest| guest.open_windows());
            if let Some(start) = open.find(|start| *start <= self.largest + LENGTHS[0]) {
                return Err(format!("2: the window at {start} is open after all were closed"));
            }
        }
        Ok(())
    }

    /// EO-1: an id stands for one content; with transactions it stands once.
    fn check_ids(&self, topic: &str, partition: u32, log: &Log) -> Result<(), Broken> {
        if topic.starts_with("late") {
            return Ok(());
        }
        let (shape, mut first) = (&self.around.shape, BTreeMap::new());
        let bounded = shape.ids_max < 1000;
        for (records, row) in rows_of(log) {
            let id = records.ids.get(row).unwrap_or_default();
            let value = records.values.get(row).unwrap_or_default();
            let is_data = topic.starts_with("data");
            // What the count bound lets through twice may have been made of two rows.
            let sources = match bounded && is_data {
                true => sources_of_notes(value, topic == "data-two"),
                false => Vec::new(),
            };
            // A copy of a late row is late again, elsewhere and behind another watermark.
            let content = match topic == "dead-two" {
                true => value.to_vec(),
                false => bytes_of(records, row, partition),
            };
            let known = first.entry((id, sources)).or_insert_with(|| (content.clone(), 0));
            known.1 += 1;
            if known.0 != content {
                return Err(format!("EO-1: id {id:?} in {topic} has two contents"));
            }
            if known.1 > 1 && shape.atomic && (!bounded || !is_data) {
                return Err(format!("EO-1: id {id:?} is twice in {topic}"));
            }
        }
        Ok(())
    }

    fn stream(&self, batch: &LogBatch, partition: usize, outcome: &mut Outcome) {
        let Some(producer) = &batch.producer else { return };
        let key = (partition as u32, producer.partition);
        let stream = outcome.streams.entry(key).or_default();
        let mut controls = batch.controls.iter().peekable();
        let mut data = 0;
        for row in 0..batch.rows() as u32 {
            let bytes = match controls.next_if(|(at, _)| *at == row) {
                Some((_, control)) => {
                    let active = u64::from(control.active);
                    let known = control.producers.len() as u64;
                    let facts = [control.generation, control.number, active, known];
                    let words = facts.into_iter().chain([control.watermark as u64]);
                    words.flat_map(u64::to_le_bytes).collect()
                }
                None => {
                    data += 1;
                    bytes_of(&batch.records, data - 1, key.0)
                }
            };
            // With copies the first of each counts.
            if self.around.shape.atomic || !stream.contains(&bytes) {
                stream.push(bytes);
            }
        }
    }

    /// What became of each row of the input.
    fn check_rows(&self, refused: &[Vec<Refused>; 2]) -> Result<(), Broken> {
        let shape = &self.around.shape;
        let [first, second] = refused;
        let mut delivered: Vec<(u16, u16)> = Vec::new();
        let mut in_windows = BTreeSet::new();
        for partition in 0..MIDDLE {
            let Some(log) = self.around.logs.others.get(&("data-two".to_owned(), partition)) else {
                continue;
            };
            for (records, row) in rows_of(log) {
                let value = records.values.get(row).unwrap_or_default();
                delivered.extend(sources_of_notes(value, true));
                notes_of(value).for_each(|note| _ = in_windows.insert(note));
            }
        }
        let mut late = second.iter().filter(|row| row.late && !self.was_sent_back(&row.value));
        if late.next().is_some() && !shape.idle && !shape.grow {
            return Err("2: late behind the first edge, though nothing was idle or new".to_owned());
        }
        self.check_sent_back(refused, &delivered)?;
        let once = |row: &&Refused| row.attempt == 0 && !self.was_sent_back(&row.value);
        let refused_once = second.iter().filter(once);
        if let Some(row) = refused_once.clone().find(|row| in_windows.contains(&row.value)) {
            let (late, sources) = (row.late, sources_of_notes(&row.value, false));
            return Err(format!("DL-1: an emission of {sources:?} is delivered, and late: {late}"));
        }
        // Time may have passed what comes back.
        let again = self.uids_sent_back();
        let mut late: BTreeSet<u16> = uids(first.iter().filter(|row| row.late));
        late.retain(|uid| !again.contains(uid));
        self.check_wrong_clock(&late)?;
        let mut seen = BTreeMap::new();
        for (uid, ident) in &delivered {
            if *seen.entry(*ident).or_insert(*uid) != *uid && shape.ids_max > 1000 {
                return Err(format!("EO-2: {ident} is delivered as two rows"));
            }
        }
        let uids_delivered: BTreeSet<u16> = delivered.iter().map(|(uid, _)| *uid).collect();
        let is_first = |row: &&Refused| matches!(row.operator.as_str(), "parser" | "shaper");
        let mut gone: BTreeSet<u16> = uids(first.iter().filter(is_first));
        gone.retain(|uid| !again.contains(uid));
        if let Some(uid) = gone.union(&late).find(|uid| uids_delivered.contains(uid)) {
            return Err(format!("DL-1: row {uid} is delivered, and late or dead"));
        }
        let mut known: BTreeSet<u16> = delivered.iter().map(|(_, ident)| *ident).collect();
        for row in first.iter().chain(second) {
            known.extend(idents_of(&row.value));
        }
        for guest in self.drivers.iter().flat_map(|d| d.life.iter()).flat_map(|life| &life.guests) {
            let timed = guest.held().flat_map(|held| {
                let is_window = matches!(guest.state, super::guest::State::Window { .. });
                sources_of_notes(held, is_window)
            });
            known.extend(timed.map(|(_, ident)| ident));
        }
        self.check_lost(&known)
    }

    /// Every record that was sent back has an outcome of its own, and one only.
    fn check_sent_back(
        &self,
        refused: &[Vec<Refused>; 2],
        delivered: &[(u16, u16)],
    ) -> Result<(), Broken> {
        let mut known: BTreeSet<u16> = delivered.iter().map(|(_, ident)| *ident).collect();
        for guest in self.drivers.iter().flat_map(|d| d.life.iter()).flat_map(|life| &life.guests) {
            let is_window = matches!(guest.state, super::guest::State::Window { .. });
            let held = guest.held().flat_map(|held| sources_of_notes(held, is_window));
            known.extend(held.map(|(_, ident)| ident));
        }
        // It may be a copy of one that is dead elsewhere.
        let open = |row: &&Refused| !self.around.logs.sent.contains(&row.id);
        for row in refused.iter().flatten().filter(open) {
            known.extend(idents_of(&row.value));
        }
        for log in self.around.logs.sent_back.values() {
            for (records, row) in rows_of(log) {
                let value = records.values.get(row).unwrap_or_default();
                // The second one of a pair may be another item by now.
                let lost = idents_of(value).into_iter().next().filter(|id| !known.contains(id));
                if let Some(ident) = lost.filter(|ident| !self.is_skipped(*ident)) {
                    return Err(format!("AL-1: {} was sent back and is lost", id_text(ident)));
                }
            }
        }
        Ok(())
    }

    fn was_sent_back(&self, value: &[u8]) -> bool {
        let logs = self.around.logs.sent_back.values();
        logs.flat_map(rows_of).any(|(records, row)| records.values.get(row) == Some(value))
    }

    fn uids_sent_back(&self) -> BTreeSet<u16> {
        let rows = self.around.logs.sent_back.values().flat_map(rows_of);
        let values = rows.filter_map(|(records, row)| records.values.get(row));
        values.filter_map(Row::from_bytes).map(|row| row.uid).collect()
    }

    fn is_skipped(&self, ident: u16) -> bool {
        self.rows.iter().flatten().any(|row| {
            let idents = [row.ident, row.ident + SECOND];
            idents.contains(&ident) && (row.kind == Kind::Skip || row.time >= WILD)
        })
    }

    /// One wrong clock must not make the world late.
    fn check_wrong_clock(&self, late: &BTreeSet<u16>) -> Result<(), Broken> {
        for rows in &self.rows {
            let mut top = NO_TIME;
            for row in rows {
                if late.contains(&row.uid) && row.time >= top.saturating_sub(DISORDER) {
                    return Err(format!("2: one wrong clock made row {} late", row.uid));
                }
                if row.time < WILD {
                    top = top.max(row.time);
                }
            }
        }
        Ok(())
    }

    fn check_lost(&self, known: &BTreeSet<u16>) -> Result<(), Broken> {
        let skipped: BTreeSet<u16> = self
            .rows
            .iter()
            .flatten()
            .filter(|row| row.kind == Kind::Skip)
            .map(|row| row.ident)
            .collect();
        for row in self.rows.iter().flatten().filter(|row| row.time < WILD) {
            let second = (row.kind == Kind::Pair).then_some(row.ident + SECOND);
            for ident in [Some(row.ident), second].into_iter().flatten() {
                if !known.contains(&ident) && !skipped.contains(&ident) {
                    return Err(format!("AL-1: {} is lost", id_text(ident)));
                }
            }
        }
        Ok(())
    }
}

fn rows_of(log: &Log) -> impl Iterator<Item = (&Records, usize)> {
    let batches = log.batches.iter().map(|batch| &batch.records);
    batches.flat_map(|records| (0..records.len()).map(move |row| (records, row)))
}

/// Everything of a row but what clocks wrote.
fn bytes_of(records: &Records, row: usize, partition: u32) -> Bytes {
    let mut bytes = partition.to_le_bytes().to_vec();
    for column in [&records.ids, &records.keys, &records.values] {
        let part = column.get(row);
        bytes.extend_from_slice(&part.map_or(u32::MAX, |part| part.len() as u32).to_le_bytes());
        bytes.extend_from_slice(part.unwrap_or_default());
    }
    bytes.extend_from_slice(&records.event_times[row].to_le_bytes());
    let clocks = ["pawl-timestamp", "pawl-first-timestamp", "pawl-epoch"];
    let headers = records.headers.iter().filter(|header| !clocks.contains(&header.name.as_str()));
    let mut headers: Vec<(&str, &[u8])> = headers
        .filter_map(|header| Some((header.name.as_str(), header.column.get(row)?)))
        .collect();
    headers.sort_unstable();
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

fn refused_of(records: &Records, row: usize, topic: &str) -> Refused {
    let header = |name: &str| {
        let value = records.header(name).and_then(|column| column.get(row));
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    };
    Refused {
        attempt: header("pawl-replay-count").parse().unwrap_or(0),
        id: records.ids.get(row).unwrap_or_default().to_vec(),
        operator: header("pawl-operator"),
        late: topic.starts_with("late") || header("pawl-class") == "late",
        value: records.values.get(row).unwrap_or_default().to_vec(),
    }
}

fn uids<'a>(rows: impl Iterator<Item = &'a Refused>) -> BTreeSet<u16> {
    rows.filter_map(|row| Row::from_bytes(&row.value)).map(|row| row.uid).collect()
}

/// The ids that a refused value stands for: an input row's (of both that a pair would have made)
/// or those in a note.
fn idents_of(value: &[u8]) -> Vec<u16> {
    match Row::from_bytes(value) {
        Some(row) if row.kind == Kind::Pair => vec![row.ident, row.ident + SECOND],
        Some(row) => vec![row.ident],
        None => sources_of_notes(value, false).into_iter().map(|(_, ident)| ident).collect(),
    }
}

/// The notes in a window, as they came to it.
fn notes_of(mut value: &[u8]) -> impl Iterator<Item = Bytes> + '_ {
    std::iter::from_fn(move || {
        let notes = value.get(8..)?;
        let (_, _, _, length) = super::guest::read_note(notes);
        let note = notes[..length].to_vec();
        value = &notes[length..];
        Some(note)
    })
}
