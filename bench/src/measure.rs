//! How times are taken: processor time of the whole process, in rounds in which every candidate
//! runs once. So a neighbour that makes the machine slow makes all candidates of a round slow, and
//! the ratio within a round stands. It must never compare figures of different rounds.

use anyhow::{Result, ensure};
use cpu_time::ProcessTime;
use std::time::{Duration, Instant};

/// What one round of one candidate took, in nanoseconds per record.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// Processor time of all threads of the process.
    pub cpu_ns: f64,
    /// By the wall clock.
    pub wall_ns: f64,
}

/// Taken at the beginning of what is measured.
pub struct Timer {
    cpu: ProcessTime,
    wall: Instant,
}

impl Timer {
    /// Begins.
    pub fn start() -> Self {
        Self { cpu: ProcessTime::now(), wall: Instant::now() }
    }

    /// Ends, after so many records.
    pub fn stop(&self, records: usize) -> Spent {
        let (cpu, wall) = (self.cpu.elapsed(), self.wall.elapsed());
        let each = |time: Duration| time.as_nanos() as f64 / records.max(1) as f64;
        Spent { cpu_ns: each(cpu), wall_ns: each(wall) }
    }
}

/// One of several things that are compared.
pub struct Candidate<'a> {
    /// What it is, for the table.
    pub name: String,
    /// Prepares, measures and cleans up once.
    pub round: Box<dyn FnMut() -> Result<Spent> + 'a>,
}

impl<'a> Candidate<'a> {
    /// A candidate.
    pub fn new(name: impl Into<String>, round: impl FnMut() -> Result<Spent> + 'a) -> Self {
        Self { name: name.into(), round: Box::new(round) }
    }
}

/// Rounds at least, whatever they take.
const ROUNDS_MIN: usize = 3;

/// Runs the candidates in turns until the time is over, and gives for each its rounds. The first
/// round warms up and is not counted; every other round goes backwards.
pub fn interleave(candidates: &mut [Candidate<'_>], time: Duration) -> Result<Vec<Vec<Spent>>> {
    ensure!(!candidates.is_empty(), "there is nothing to measure");
    for candidate in candidates.iter_mut() {
        (candidate.round)()?;
    }
    let mut spent = vec![Vec::new(); candidates.len()];
    let began = Instant::now();
    for round in 0.. {
        if round >= ROUNDS_MIN && began.elapsed() >= time {
            break;
        }
        let order: Vec<usize> = match round % 2 {
            0 => (0..candidates.len()).collect(),
            _ => (0..candidates.len()).rev().collect(),
        };
        for at in order {
            spent[at].push((candidates[at].round)()?);
        }
    }
    Ok(spent)
}

/// The middle of several figures, and the middle half of them.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The first quartile.
    pub low: f64,
    /// The third quartile.
    pub high: f64,
    /// How many figures there are.
    pub count: usize,
}

impl Spread {
    /// Of these figures; all zero without any.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1) as f64;
        let at = |share: f64| sorted.get((last * share).round() as usize).copied().unwrap_or(0.0);
        Self { median: at(0.5), low: at(0.25), high: at(0.75), count: sorted.len() }
    }

    /// A figure that was counted, not measured.
    pub fn exactly(figure: f64) -> Self {
        Self { median: figure, low: figure, high: figure, count: 1 }
    }

    /// Processor time of each round.
    pub fn cpu(rounds: &[Spent]) -> Self {
        Self::of(rounds.iter().map(|spent| spent.cpu_ns))
    }

    /// Processor time of one candidate in multiples of another's, round by round.
    pub fn ratio(of: &[Spent], to: &[Spent]) -> Self {
        Self::of(of.iter().zip(to).map(|(of, to)| of.cpu_ns / to.cpu_ns))
    }

    /// The same by the wall clock.
    pub fn wall_ratio(of: &[Spent], to: &[Spent]) -> Self {
        Self::of(of.iter().zip(to).map(|(of, to)| of.wall_ns / to.wall_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_and_the_middle_half() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!((spread.low, spread.median, spread.high, spread.count), (2.0, 3.0, 4.0, 5));
        assert_eq!(Spread::of([]).count, 0);
    }

    #[test]
    fn candidates_run_once_in_each_round_and_every_other_round_backwards() {
        let ran = std::cell::RefCell::new(Vec::new());
        let note = |name: usize| {
            ran.borrow_mut().push(name);
            Ok(Spent { cpu_ns: name as f64, wall_ns: 1.0 })
        };
        let mut candidates: Vec<_> =
            [1, 2].map(|name| Candidate::new("", move || note(name))).into();
        let spent = interleave(&mut candidates, Duration::ZERO).unwrap();
        drop(candidates);
        assert_eq!(*ran.borrow(), [1, 2, 1, 2, 2, 1, 1, 2]);
        let ratio = Spread::ratio(&spent[1], &spent[0]);
        assert_eq!((ratio.median, ratio.count), (2.0, 3));
    }
}
