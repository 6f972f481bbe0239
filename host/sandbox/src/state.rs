//! An operator's state on its way out and back in, part by part.
//!
//! The host never looks into a part. It only sees to it that parts are not too many or too large,
//! and that a part called unchanged is one that it can have.

use crate::call::Call;
use crate::error::RestoreError;
use crate::instance::{Instance, TEXT_RETURN_BYTES_MAX};
use crate::outcome::cut;
use pawl_core::operator::Failure;
use std::time::Instant;

/// What comes back with a part besides its data.
const PART_FRAME_BYTES: usize = 1 << 10;

/// One part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePart {
    /// The bytes; none: the same as in this instance's snapshot before, or as was restored.
    pub data: Option<Vec<u8>>,
}

impl Instance {
    /// The state now, in parts. `full`: every part with its data; else a part may say that it is
    /// the same as in the last snapshot that this instance gave, or as it was restored with.
    pub fn snapshot(&mut self, full: bool) -> Result<Vec<StatePart>, Failure> {
        self.fresh = false;
        let mut parts = Vec::new();
        let mut sizes = Vec::new();
        let mut sum = 0_u64;
        let began = Instant::now();
        loop {
            let (part, more, size) = self.snapshot_part(parts.len(), full)?;
            sum = sum.saturating_add(size as u64);
            parts.push(part);
            sizes.push(size);
            self.guest.check_state_time("snapshot", began)?;
            let limits = self.guest.limits();
            if sum > limits.state_bytes_max {
                let what = format!("over state_bytes_max = {} bytes", limits.state_bytes_max);
                return Err(self.guest.refuse("snapshot", what));
            }
            if !more {
                break;
            }
            if parts.len() >= limits.state_parts_max as usize {
                let what = format!("over state_parts_max = {} parts", limits.state_parts_max);
                return Err(self.guest.refuse("snapshot", what));
            }
        }
        self.part_bytes = sizes;
        Ok(parts)
    }

    /// One part, whether more follow, and its bytes, be they given or remembered.
    fn snapshot_part(
        &mut self,
        number: usize,
        full: bool,
    ) -> Result<(StatePart, bool, usize), Failure> {
        let max = self.guest.limits().state_part_bytes_max;
        let returns_max = max.saturating_add(PART_FRAME_BYTES);
        let call = Call { during: "snapshot", records: 0, returns_max };
        let part = self
            .guest
            .call(call, |exports, store| exports.call_snapshot(store, number as u32, full))?;
        let size = match &part.data {
            Some(data) if data.len() > max => {
                Err(format!("part {number} has over state_part_bytes_max = {max} bytes"))
            }
            Some(data) => Ok(data.len()),
            None if full => Err(format!("part {number} is absent from a full snapshot")),
            None => self.part_bytes.get(number).copied().ok_or_else(|| {
                format!("part {number} is called unchanged, but was not in the state before")
            }),
        };
        let size = size.map_err(|what| self.guest.refuse("snapshot", what))?;
        Ok((StatePart { data: part.data }, part.more, size))
    }

    /// Takes up a state of `state_version`, all its parts in order. Only a fresh instance does;
    /// no parts at all is the state of one. After an error make a new instance.
    pub fn restore<P: AsRef<[u8]>>(
        &mut self,
        state_version: u32,
        parts: &[P],
    ) -> Result<(), RestoreError> {
        if !self.fresh {
            return Err(RestoreError::NotFresh);
        }
        if parts.is_empty() {
            return Ok(());
        }
        self.fresh = false;
        if !self.description.restores.contains(&state_version) {
            let reads = self.description.restores.clone();
            return Err(RestoreError::Version { have: state_version, reads });
        }
        let call = Call { during: "restore", records: 0, returns_max: TEXT_RETURN_BYTES_MAX };
        let began = Instant::now();
        for (number, part) in parts.iter().enumerate() {
            let more = number + 1 < parts.len();
            let part = part.as_ref();
            self.guest
                .call(call, |exports, store| exports.call_restore(store, state_version, part, more))
                .map_err(RestoreError::Failed)?
                .map_err(|text| {
                    let text = cut(text);
                    self.guest.refuse("restore", text.clone());
                    RestoreError::Refused(text)
                })?;
            self.guest.check_state_time("restore", began).map_err(RestoreError::Failed)?;
        }
        if state_version == self.description.state_version {
            self.part_bytes = parts.iter().map(|part| part.as_ref().len()).collect();
        }
        Ok(())
    }
}
