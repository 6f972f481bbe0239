//! Flow by credit: a source hands over only what the task has credit for, in records and bytes,
//! and credit comes back when outcomes are durable.

/// The credit of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    records_max: u64,
    bytes_max: u64,
    records: u64,
    bytes: u64,
}

impl Credit {
    /// Credit for so much in flight.
    pub fn new(records_max: u64, bytes_max: u64) -> Self {
        Self { records_max: records_max.max(1), bytes_max: bytes_max.max(1), records: 0, bytes: 0 }
    }

    /// How many records and bytes may be taken now. While nothing is in flight one record may be
    /// taken whatever its size, or a large one would stop the stream.
    pub fn left(&self) -> (u64, u64) {
        (self.records_max.saturating_sub(self.records), self.bytes_max.saturating_sub(self.bytes))
    }

    /// Whether nothing may be taken now.
    pub fn is_spent(&self) -> bool {
        self.records >= self.records_max || self.bytes >= self.bytes_max
    }

    /// So much was taken.
    pub fn take(&mut self, records: u64, bytes: u64) {
        self.records += records;
        self.bytes += bytes;
    }

    /// So much became durable.
    pub fn give_back(&mut self, records: u64, bytes: u64) {
        self.records = self.records.saturating_sub(records);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spent_credit_comes_back_when_outcomes_are_durable() {
        let mut credit = Credit::new(10, 1000);
        credit.take(4, 999);
        assert_eq!(credit.left(), (6, 1));
        assert!(!credit.is_spent());
        credit.take(1, 5000);
        assert!(credit.is_spent(), "one record may overdraw the bytes, then it is over");
        credit.give_back(5, 5999);
        assert_eq!(credit.left(), (10, 1000));
    }
}
