//! What went into a stream of observations: the other side of every count that comes out.

/// Counts of lines and observations made so far. Complete when the iterator has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// All lines.
    pub lines: u64,
    /// Different observations of which a good line came in time.
    pub good: u64,
    /// Good lines that came again, byte for byte, in time.
    pub duplicates: u64,
    /// Observations whose only good line came too late (behind the bound on disorder).
    pub late: u64,
    /// Observations of which only a damaged line came.
    pub lost: u64,
    /// Observations of which a damaged line came first and a good one later (part of `good`).
    pub repaired: u64,
    /// Lines cut short.
    pub cut_short: u64,
    /// Lines of random bytes.
    pub garbage: u64,
    /// Lines of an unknown schema version.
    pub wrong_version: u64,
    /// Lines with a number that cannot be.
    pub out_of_range: u64,
    /// Objects that were dropped because SGP4 has no position for them any more (decayed).
    pub unpropagated: u64,
}

impl Ledger {
    /// Lines that can never be used: each becomes one dead letter.
    pub fn corrupt(&self) -> u64 {
        self.cut_short + self.garbage + self.wrong_version + self.out_of_range
    }
}
