//! A long run of the same records, each round later than the one before: what is bounded stops to
//! grow. A leak is known by its shape, twice the records and twice the growth. So is a bound that
//! is not reached yet: the run goes on until growth stops or hits a limit, and only that is proof.

use super::Verdict;
use super::state::is_of_unchanged;
use crate::history::{Call, Cut, Item};
use crate::kit::Kit;
use crate::player::{Broke, Player};
use crate::report::Finding;
use crate::rounds::Round;
use crate::sample::Sample;
use crate::trace::Trace;
use pawl_core::operator::Failure;
use std::time::{Duration, Instant};

/// Rows of the run, and bytes of them, as long as nothing grows.
const ROWS: usize = 96_000;
const BYTES: usize = 1 << 30;

/// How long a run goes on that has had all its rows, and grows.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Growth in the second half that counts: a few pages may always come.
const GROWTH_BYTES: usize = 192 << 10;

/// Rounds of new keys, and bytes of records that are made for them.
const KEY_ROUNDS: usize = 16;
const KEY_BYTES_MAX: usize = 32 << 20;

const YEAR: i64 = 366 * 86_400_000;

/// Where the run stood.
#[derive(Clone, Copy, Debug)]
struct Mark {
    rows: usize,
    memory: usize,
    state: usize,
}

/// The run.
struct Run<'k> {
    kit: &'k Kit,
    round: Round,
    player: Player<'k>,
    /// Rows that are enough if nothing grows.
    enough: usize,
    until: Instant,
    /// Rounds and rows so far.
    number: usize,
    rows: usize,
    marks: Vec<Mark>,
    /// What a snapshot takes now, and rounds since the last one in thousandths.
    state_cost: usize,
    due: usize,
}

/// CF-27.
pub(super) fn memory(kit: &Kit) -> Verdict {
    if let Some(why) = kit.nothing_accepted() {
        return Verdict::not_shown(why);
    }
    if !kit.has_ticks() {
        return Verdict::not_shown("advance failed, so time cannot pass: see what failed above");
    }
    let player = match Player::new(kit) {
        Ok(player) => player,
        Err(broke) => return Verdict::not_shown(broke.text()),
    };
    let now = Instant::now();
    let round = Round::new(kit);
    let mut run = Run {
        kit,
        player,
        enough: enough(kit, &round),
        round,
        until: now.checked_add(TIME_MAX).unwrap_or(now),
        number: 0,
        rows: 0,
        marks: Vec::new(),
        state_cost: kit.state_cost,
        due: 0,
    };
    let mut rows = run.enough;
    loop {
        let in_time = match run.go_on_to(rows) {
            Ok(in_time) => in_time,
            Err(broke) => return run.ended(&broke),
        };
        match (run.grows(), in_time) {
            (true, true) => rows = rows.saturating_mul(2),
            (true, false) => return run.still_grows(),
            (false, true) => {
                let notes = by_new_keys(kit, &run.round).into_iter().collect();
                return Verdict::passed(run.said()).noting(notes);
            }
            (false, false) => {
                let said = run.said();
                return Verdict::not_shown(format!("it grew for long and then no more: {said}"));
            }
        }
    }
}

/// Rows that are enough: rounds until there are so many, or so many bytes.
fn enough(kit: &Kit, round: &Round) -> usize {
    let value = |item: &Item| match item {
        Item::Row(input, _) => kit.inputs.get(*input).and_then(|sample| sample.value.as_ref()),
        _ => None,
    };
    let bytes: usize = kit.items.iter().filter_map(value).map(Vec::len).sum();
    (BYTES / bytes.max(1)).max(16).saturating_mul(round.rows).min(ROWS)
}

impl Run<'_> {
    /// Rounds until there are so many rows, with a look at each doubling; whether there was time.
    fn go_on_to(&mut self, rows: usize) -> Result<bool, Broke> {
        while self.rows < rows {
            if rows > self.enough && Instant::now() >= self.until {
                return Ok(false);
            }
            for call in self.round.calls(self.kit, self.number) {
                self.player.call(&call)?;
            }
            // Snapshots are part of a long life; where they are dear they are rare.
            self.due += 1_000;
            if self.due > 4 * self.state_cost {
                self.due = 0;
                self.player.call(&Call::Other(Item::Snapshot(false)))?;
            }
            // The trace is not looked at, and would be what grows.
            self.player.trace = Trace::default();
            self.player.shorts.clear();
            self.number += 1;
            self.rows += self.round.rows;
            let next =
                self.marks.last().map_or(self.enough / 16, |mark| mark.rows.saturating_mul(2));
            if self.rows >= next {
                self.mark()?;
            }
        }
        Ok(true)
    }

    fn mark(&mut self) -> Result<(), Broke> {
        let memory = self.player.instance.memory_bytes();
        let state = self.player.full_snapshot()?;
        self.state_cost = state.iter().map(|part| 1 + (part.len() >> 10)).sum::<usize>().max(1);
        let state = state.iter().map(Vec::len).sum();
        self.marks.push(Mark { rows: self.rows, memory, state });
        Ok(())
    }

    /// Twice the rows and about twice the growth. A doubling buffer grows in steps, so that the
    /// step before is looked at only in so far that something grew.
    fn grows(&self) -> bool {
        let [.., quarter, half, end] = self.marks.as_slice() else { return false };
        let early = half.memory.saturating_sub(quarter.memory);
        let late = end.memory.saturating_sub(half.memory);
        late >= GROWTH_BYTES && early > 0 && late * 5 >= early * 6
    }

    fn said(&self) -> String {
        let sizes: Vec<String> =
            self.marks.iter().map(|mark| (mark.memory >> 10).to_string()).collect();
        format!(
            "{} records in rounds, {} KiB of memory at each doubling, state {} KiB",
            self.rows,
            sizes.join(", "),
            self.marks.last().map_or(0, |mark| mark.state) >> 10
        )
    }

    /// A limit that was hit is what this law is about. The rest is told by other laws.
    fn ended(&self, broke: &Broke) -> Verdict {
        // Parts were within their bounds before it grew.
        let is_state = broke.during == "snapshot" && !self.marks.is_empty();
        let is_limit = match broke.failure {
            Failure::Memory(_) => true,
            Failure::BadReturn(_) => is_state && !is_of_unchanged(broke),
            _ => false,
        };
        let said = self.said();
        if is_limit {
            let what = format!(
                "over the same records again and again, after {} of them: {} ({said})",
                self.rows,
                broke.text()
            );
            let finding = Finding { what, steps: Vec::new(), records: Vec::new() };
            return Verdict::of(vec![finding], "");
        }
        if broke.is_over() {
            return if self.grows() {
                Verdict::not_shown(format!("it still grows, and the time is over: {said}"))
            } else {
                let enough = self.enough;
                Verdict::not_shown(format!("there was no time for {enough} records: {said}"))
            };
        }
        Verdict::not_shown(format!("the run ended early: {} ({said})", broke.text()))
    }

    /// It grew until time was over. What the state holds may be let go when time passes.
    fn still_grows(&mut self) -> Verdict {
        let said = self.said();
        let later = self.round.calls_later(self.kit, self.number, 10 * YEAR);
        let after = later.iter().try_for_each(|call| self.player.call(call));
        let state = match after.and_then(|()| self.player.full_snapshot()) {
            Ok(state) => state.iter().map(Vec::len).sum::<usize>(),
            Err(broke) => return self.ended(&broke),
        };
        let [.., half, end] = self.marks.as_slice() else {
            return Verdict::not_shown(format!("the run was too short to say: {said}"));
        };
        if end.state > 0 && state * 2 < end.state {
            let kib = state >> 10;
            return Verdict::passed(format!("{said}; ten years later the state has {kib} KiB"));
        }
        let rows = (end.rows - half.rows).max(1);
        let per_record = end.memory.saturating_sub(half.memory) / rows;
        Verdict::not_shown(format!(
            "memory still grows, by about {per_record} bytes per record, and no limit was hit in \
             the time there was: it leaks, or keeps very much; {said}"
        ))
    }
}

/// What becomes of the state when keys come that never come again, though their windows close. A
/// plugin may keep all keys; its author should know.
fn by_new_keys(kit: &Kit, round: &Round) -> Option<String> {
    let bytes = |sample: &Sample| sample.value.as_ref().map_or(0, Vec::len);
    let all: usize = kit.inputs.iter().map(bytes).sum();
    if all.saturating_mul(KEY_ROUNDS) > KEY_BYTES_MAX {
        return None;
    }
    let keyed = |number: usize| {
        kit.inputs.iter().map(move |sample| {
            let key =
                sample.key.as_ref().map(|key| [key, format!("-{number}").as_bytes()].concat());
            Sample { key, ..sample.clone() }
        })
    };
    let many = kit.with_inputs((0..KEY_ROUNDS).flat_map(keyed).collect());
    let mut player = Player::new(&many).ok()?;
    let mut sizes = Vec::new();
    for number in 0..KEY_ROUNDS {
        let other = |item: Item| match item {
            Item::Row(input, time) => Item::Row(input + number * kit.inputs.len(), time),
            other => other,
        };
        let items: Vec<Item> = round.items(number).into_iter().map(other).collect();
        player.play(&items, Cut::Every(64)).ok()?;
        player.trace = Trace::default();
        let state = player.full_snapshot().ok()?;
        sizes.push(state.iter().map(Vec::len).sum::<usize>());
    }
    let (first, last) = (sizes.first().copied()?, sizes.last().copied()?);
    let grows = last >= first.saturating_mul(4) && last - first >= 1_024;
    grows.then(|| {
        format!(
            "the state keeps keys that do not come again: {first} bytes after one round, \
             {last} after {KEY_ROUNDS} rounds with new keys each; bound it if keys never end"
        )
    })
}
