//! A long run of the same records, each round later than the one before: what is bounded stops to
//! grow. A leak is known by its shape, twice the records and twice the growth, so that neither a
//! buffer nor a collector of garbage is taken for one.

use super::Verdict;
use crate::history::{Call, Cut, Item, calls};
use crate::kit::Kit;
use crate::player::{Broke, Player};
use crate::report::Finding;
use std::time::{Duration, Instant};

/// Rows of the run, and time for it.
const ROWS: usize = 96_000;
const TIME_MAX: Duration = Duration::from_secs(6);

/// Growth in the second half that counts: a few pages may always come.
const GROWTH_BYTES: usize = 192 << 10;

/// Memory with which guests begin that bring a runtime with a collector of garbage. Such a one lets
/// garbage lie until there is much of it; only the limit itself shows a leak there.
const RUNTIME_BYTES: usize = 4 << 20;

const YEAR: i64 = 366 * 86_400_000;

/// Where the run stood.
#[derive(Clone, Copy, Debug)]
struct Mark {
    rows: usize,
    memory: usize,
    state: usize,
}

/// CF-27.
pub(super) fn memory(kit: &Kit) -> Verdict {
    if let Some(why) = kit.nothing_accepted() {
        return Verdict::not_shown(why);
    }
    if !kit.has_ticks() {
        return Verdict::not_shown("advance failed, so time cannot pass: see what failed above");
    }
    let round = Round::new(kit);
    let mut player = match Player::new(kit) {
        Ok(player) => player,
        Err(broke) => return Verdict::not_shown(broke.text()),
    };
    let fresh = player.instance.memory_bytes();
    let marks = match run(kit, &round, &mut player) {
        Ok(marks) => marks,
        Err(broke) if matches!(broke.failure, pawl_core::operator::Failure::Memory(_)) => {
            return failed(format!("over the same records again and again: {}", broke.text()));
        }
        // A trap or a time limit is told by other laws; here it only ends the look.
        Err(broke) => return Verdict::not_shown(format!("the run ended early: {}", broke.text())),
    };
    judge(kit, &round, &mut player, (fresh, &marks))
}

fn judge(
    kit: &Kit,
    round: &Round,
    player: &mut Player<'_>,
    (fresh, marks): (usize, &[Mark]),
) -> Verdict {
    let [.., quarter, half, end] = marks else {
        return Verdict::not_shown("the run was too short to say (it is slow)");
    };
    let early = half.memory.saturating_sub(quarter.memory);
    let late = end.memory.saturating_sub(half.memory);
    // Twice the rows and about twice the growth. A doubling buffer grows in steps, so that the
    // step before is looked at only in so far that something grew.
    let grows = late >= GROWTH_BYTES && early > 0 && late * 5 >= early * 6;
    let sizes: Vec<String> = marks.iter().map(|mark| (mark.memory >> 10).to_string()).collect();
    let said = format!(
        "{} records in rounds, {} KiB of memory at each doubling, state {} KiB",
        end.rows,
        sizes.join(", "),
        end.state >> 10
    );
    if !grows {
        return Verdict::passed(said);
    }
    let state = end.state.saturating_sub(half.state);
    let per_record = late / (end.rows - half.rows).max(1);
    if state * 4 < late && fresh >= RUNTIME_BYTES {
        return Verdict::not_shown(format!(
            "memory grows, which may be a collector of garbage that has not begun: {said}"
        ));
    }
    if state * 4 < late {
        return failed(format!(
            "memory grows by about {per_record} bytes per record, and the state does not: {said}"
        ));
    }
    // What the state holds may be let go when time passes.
    let items = round.jump(10 * YEAR);
    let after = items.iter().try_for_each(|call| player.call(call));
    let state_after = after.and_then(|()| player.full_snapshot());
    let bytes = match state_after {
        Ok(state) => state.iter().map(Vec::len).sum::<usize>(),
        Err(broke) => return Verdict::not_shown(format!("the run ended early: {}", broke.text())),
    };
    if bytes * 2 < end.state || kit.is_law_over() {
        let detail = format!("{said}; ten years later the state has {} KiB", bytes >> 10);
        return Verdict::passed(detail);
    }
    failed(format!(
        "the state grows by about {} bytes per record under the same keys and never shrinks: {said}",
        state / (end.rows - half.rows).max(1)
    ))
}

/// Rounds until there are enough rows, with a look at a 16th, an 8th, a quarter, a half, the end.
fn run(kit: &Kit, round: &Round, player: &mut Player<'_>) -> Result<Vec<Mark>, Broke> {
    let began = Instant::now();
    let (mut rows, mut number, mut marks) = (0, 0, Vec::new());
    let mut snapshots = 0;
    let mut next = ROWS / 16;
    while rows < ROWS {
        for call in round.calls(number) {
            player.call(&call)?;
        }
        // Snapshots are part of a long life; where they are dear they are rare.
        snapshots += 1000;
        if snapshots > 4 * kit.state_cost {
            snapshots = 0;
            let broke = |failure| Broke { during: "snapshot", failure, events: 0, asked: 0 };
            player.instance.snapshot(false).map_err(broke)?;
        }
        // The trace is not looked at, and would be what grows.
        player.trace.events.clear();
        player.shorts.clear();
        number += 1;
        rows += round.rows;
        let over = began.elapsed() > TIME_MAX || kit.is_law_over();
        if rows >= next {
            let memory = player.instance.memory_bytes();
            let state = player.full_snapshot()?;
            let state = state.iter().map(Vec::len).sum();
            marks.push(Mark { rows, memory, state });
            next = next.saturating_mul(2).min(ROWS).max(rows + 1);
        }
        if over {
            break;
        }
    }
    Ok(marks)
}

/// The history as a round that comes again and again, each time later.
struct Round {
    items: Vec<Item>,
    rows: usize,
    /// Milliseconds from one round to the next.
    span: i64,
}

impl Round {
    fn new(kit: &Kit) -> Self {
        let items = kit.items.clone();
        let time = |item: &Item| match item {
            Item::Row(_, time) | Item::Tick(time) => Some(*time),
            _ => None,
        };
        let first = items.iter().filter_map(time).min().unwrap_or(0);
        let last = items.iter().filter_map(time).max().unwrap_or(0);
        let rows = items.iter().filter(|item| matches!(item, Item::Row(..))).count();
        Self { items, rows: rows.max(1), span: last.saturating_sub(first).saturating_add(1_000) }
    }

    fn calls(&self, number: usize) -> Vec<Call> {
        self.at(self.span.saturating_mul(number as i64))
    }

    /// One more round, so much later than all others.
    fn jump(&self, by: i64) -> Vec<Call> {
        let others = self.span.saturating_mul((ROWS / self.rows) as i64 + 2);
        self.at(others.saturating_add(by))
    }

    fn at(&self, later: i64) -> Vec<Call> {
        let moved = |item: &Item| match item {
            Item::Row(input, time) => Item::Row(*input, time.saturating_add(later)),
            Item::Tick(time) => Item::Tick(time.saturating_add(later)),
            other => *other,
        };
        calls(&self.items.iter().map(moved).collect::<Vec<_>>(), Cut::Every(64))
    }
}

fn failed(what: String) -> Verdict {
    Verdict::of(vec![Finding { what, steps: Vec::new(), records: Vec::new() }], "")
}
