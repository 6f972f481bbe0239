//! Counts what a guest holds, over all its memories and tables, and refuses what is too much.
//!
//! A refusal is not an end: the guest may do without. It is noted, because a guest that traps
//! after it ran out of memory, and the note is the only trace of that.

use crate::limits::Limits;
use wasmtime::ResourceLimiter;

/// Core instances, memories and tables of one component: those of a component made by a linker
/// are single digits, interpreters included.
const PIECES_MAX: usize = 64;

/// What an instance holds and what it may hold.
pub(crate) struct Meter {
    memory_bytes: usize,
    memory_bytes_max: usize,
    table_elements: usize,
    table_elements_max: usize,
    refused: Option<String>,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: 0,
            memory_bytes_max: limits.memory_bytes_max,
            table_elements: 0,
            table_elements_max: limits.table_elements_max,
            refused: None,
        }
    }

    /// Bytes of all linear memories.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// The last growth refused since this was asked last.
    pub(crate) fn take_refusal(&mut self) -> Option<String> {
        self.refused.take()
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let (sum, max) = (self.memory_bytes.saturating_add(more), self.memory_bytes_max);
        if sum > max || maximum.is_some_and(|maximum| desired > maximum) {
            let held = self.memory_bytes;
            self.refused = Some(format!(
                "asked for {more} bytes of memory on top of {held}, memory_bytes_max is {max}"
            ));
            return Ok(false);
        }
        self.memory_bytes = sum;
        Ok(true)
    }

    // A growth that was granted and fails all the same stays counted: wasmtime reports failures
    // that were never asked for too, so taking back what was granted last would let a guest
    // lower its own count. Counting too much only makes the limit come sooner.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = Some(format!("memory did not grow: {error}"));
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let (sum, max) = (self.table_elements.saturating_add(more), self.table_elements_max);
        if sum > max || maximum.is_some_and(|maximum| desired > maximum) {
            let held = self.table_elements;
            self.refused = Some(format!(
                "asked for {more} table elements on top of {held}, table_elements_max is {max}"
            ));
            return Ok(false);
        }
        self.table_elements = sum;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = Some(format!("table did not grow: {error}"));
        Ok(())
    }

    fn instances(&self) -> usize {
        PIECES_MAX
    }

    fn tables(&self) -> usize {
        PIECES_MAX
    }

    fn memories(&self) -> usize {
        PIECES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(memory_bytes_max: usize, table_elements_max: usize) -> Meter {
        Meter::new(&Limits { memory_bytes_max, table_elements_max, ..Limits::default() })
    }

    #[test]
    fn memories_are_summed_and_so_are_tables() {
        let mut meter = meter(100, 10);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(0, 30, None).unwrap());
        assert!(!meter.memory_growing(30, 41, None).unwrap());
        assert!(meter.memory_growing(30, 40, None).unwrap());
        assert_eq!(meter.memory_bytes(), 100);
        assert!(meter.table_growing(0, 6, None).unwrap());
        assert!(!meter.table_growing(0, 5, None).unwrap());
        assert!(meter.table_growing(0, 4, None).unwrap());
    }

    #[test]
    fn a_refusal_is_noted_once() {
        let mut meter = meter(100, 10);
        assert!(!meter.memory_growing(0, 101, None).unwrap());
        assert!(meter.take_refusal().unwrap().contains("memory_bytes_max is 100"));
        assert_eq!(meter.take_refusal(), None);
        assert!(!meter.memory_growing(0, 50, Some(40)).unwrap(), "over the guest's own maximum");
        assert!(meter.take_refusal().is_some());
    }

    #[test]
    fn a_failed_growth_never_lowers_the_count() {
        let mut meter = meter(100, 10);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        for _ in 0..10 {
            meter.memory_grow_failed(wasmtime::Error::msg("no such memory")).unwrap();
        }
        assert_eq!(meter.memory_bytes(), 60);
        assert!(!meter.memory_growing(60, 101, None).unwrap());
    }
}
