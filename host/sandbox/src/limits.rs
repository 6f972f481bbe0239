//! What one instance of an operator may use. Plain values; each has a sane default.

use crate::error::Error;

/// The bounds of one operator's instances. Times are of the wall clock, exact to about 5 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all linear memories of an instance together. Interpreted guests need 16 MiB and
    /// more before they begin. Default: 256 MiB.
    pub memory_bytes_max: usize,
    /// Elements of all tables of an instance together. Default: 20,000.
    pub table_elements_max: usize,
    /// Milliseconds for each call, whatever it does. Default: 1,000.
    pub time_per_call_ms: u64,
    /// Microseconds for each record of a call on top. Default: 10,000.
    pub time_per_record_us: u64,
    /// Bytes that one call may return, columns and texts and what describes them. Default: 64 MiB.
    pub output_bytes_max: usize,
    /// Bytes of a snapshot, all parts together. Default: 1 GiB.
    pub state_bytes_max: u64,
    /// Bytes of one part of a snapshot; the contract says 8 MiB. Default: 8 MiB.
    pub state_part_bytes_max: usize,
    /// Parts of a snapshot. Default: 65,536.
    pub state_parts_max: u32,
    /// Milliseconds of all calls of one snapshot, or one restore, together. Default: 60,000.
    pub state_time_max_ms: u64,
    /// Bytes of the component itself. Default: 64 MiB.
    pub component_bytes_max: usize,
    /// Milliseconds that compiling may take. Default: 60,000.
    pub compile_time_max_ms: u64,
    /// Fuel for each record of a call, on an engine that counts fuel; about one unit is one
    /// instruction. None: no limit by fuel. Default: none.
    pub fuel_per_record: Option<u64>,
    /// Fuel for each call on top, if there is a limit by fuel. Default: 1,000,000,000.
    pub fuel_per_call: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 256 << 20,
            table_elements_max: 20_000,
            time_per_call_ms: 1_000,
            time_per_record_us: 10_000,
            output_bytes_max: 64 << 20,
            state_bytes_max: 1 << 30,
            state_part_bytes_max: 8 << 20,
            state_parts_max: 65_536,
            state_time_max_ms: 60_000,
            component_bytes_max: 64 << 20,
            compile_time_max_ms: 60_000,
            fuel_per_record: None,
            fuel_per_call: 1_000_000_000,
        }
    }
}

impl Limits {
    /// Whether they can be kept on an engine that does, or does not, count fuel.
    pub(crate) fn check(&self, counts_fuel: bool) -> Result<(), Error> {
        if self.time_per_call_ms == 0 {
            return Err(Error::Limits("time_per_call_ms is 0, so every call would fail"));
        }
        if self.fuel_per_record.is_some() && !counts_fuel {
            return Err(Error::Limits("fuel_per_record needs an engine that counts fuel"));
        }
        Ok(())
    }

    /// Milliseconds for a call with `records` records, `patience` times as long as usual.
    pub(crate) fn time_ms(&self, records: usize, patience: u32) -> u64 {
        let records_us = self.time_per_record_us.saturating_mul(records as u64);
        let usual = self.time_per_call_ms.saturating_add(records_us.div_ceil(1_000));
        usual.saturating_mul(u64::from(patience))
    }

    /// Fuel for a call with `records` records, `patience` times as much as usual.
    pub(crate) fn fuel(&self, records: usize, patience: u32) -> u64 {
        let Some(per_record) = self.fuel_per_record else { return u64::MAX };
        let usual = per_record.saturating_mul(records as u64).saturating_add(self.fuel_per_call);
        usual.saturating_mul(u64::from(patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_fuel_grow_with_records_and_patience_and_never_overflow() {
        let limits = Limits { fuel_per_record: Some(7), fuel_per_call: 100, ..Limits::default() };
        assert_eq!(limits.time_ms(0, 1), 1_000);
        assert_eq!(limits.time_ms(256, 10), 35_600);
        assert_eq!(limits.fuel(3, 2), 242);
        let endless = Limits {
            time_per_call_ms: u64::MAX,
            time_per_record_us: u64::MAX,
            fuel_per_record: Some(u64::MAX),
            ..limits
        };
        assert_eq!(endless.time_ms(usize::MAX, u32::MAX), u64::MAX);
        assert_eq!(endless.fuel(usize::MAX, u32::MAX), u64::MAX);
    }

    #[test]
    fn limits_that_cannot_be_kept_are_refused() {
        Limits::default().check(false).unwrap();
        let no_time = Limits { time_per_call_ms: 0, ..Limits::default() };
        assert!(no_time.check(false).is_err());
        let fuel = Limits { fuel_per_record: Some(1), ..Limits::default() };
        assert!(fuel.check(false).is_err());
        fuel.check(true).unwrap();
    }
}
