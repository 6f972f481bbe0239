//! What a call returned: moved into plain values, then checked against the contract.
//!
//! Everything structural is checked here and nowhere else. Nothing is repaired, except that a
//! message too long for a person is cut.

use crate::bindings::exports::pawl::operator::operator as contract;
use pawl_core::column::ByteColumn;
use pawl_core::operator::{CAUSE_OWED, Emissions, Outcome, Rejection, Verdict};

/// Bytes of a rejection's message, or of the text of a refusal; what is more is cut.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// Bytes of a rejection's kind.
const KIND_BYTES_MAX: usize = 64;

/// What a call was about, and so what it may return.
pub(crate) struct Asked {
    /// Rows of the batch.
    pub rows: usize,
    /// Whether the call before owes emissions to its last row.
    pub owed: bool,
    /// How many outputs the wiring has.
    pub outputs: usize,
    /// How many headers the wiring sets.
    pub sets: usize,
}

/// The same in plain values: buffers move, nothing is copied.
pub(crate) fn take(outcome: contract::Outcome) -> Outcome {
    let emissions = outcome.emissions;
    Outcome {
        emissions: Emissions {
            outputs: emissions.outputs,
            keys: column(emissions.keys),
            values: column(emissions.values),
            event_times: emissions.event_times,
            causes: emissions.causes,
            ids: column(emissions.ids),
            priorities: emissions.priorities,
            headers: emissions.headers.into_iter().map(column).collect(),
        },
        rejections: outcome.rejections.into_iter().map(rejection).collect(),
        taken: outcome.taken,
        more: outcome.more,
    }
}

fn column(column: contract::ByteColumnResult) -> ByteColumn {
    ByteColumn { data: column.data, ends: column.ends, nulls: column.nulls }
}

fn rejection(rejection: contract::Rejection) -> Rejection {
    Rejection {
        row: rejection.row,
        verdict: match rejection.verdict {
            contract::Verdict::Permanent => Verdict::Permanent,
            contract::Verdict::Discard => Verdict::Discard,
        },
        kind: rejection.kind,
        message: cut(rejection.message),
    }
}

/// A guest's text, cut to what a person would read.
pub(crate) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
    text
}

impl Asked {
    /// Whether `process` may return this. Says what it may not.
    pub(crate) fn check_process(&self, outcome: &Outcome) -> Result<(), String> {
        let taken = outcome.taken as usize;
        if taken > self.rows {
            return Err(format!("took {taken} of {} rows", self.rows));
        }
        self.check_emissions(&outcome.emissions)?;
        self.check_causes(&outcome.emissions.causes, outcome)?;
        check_rejections(outcome)?;
        // A call that pays a debt gets on even if it takes no row; any other must take one, or
        // the host would call for ever.
        if taken == 0 && outcome.emissions.is_empty() && (self.rows > 0 || outcome.more) {
            return Err("made no progress: no row taken and nothing emitted".to_owned());
        }
        Ok(())
    }

    /// Whether `advance` may return this. Says what it may not.
    pub(crate) fn check_advance(&self, outcome: &Outcome) -> Result<(), String> {
        if outcome.taken != 0 {
            return Err(format!("took {} rows where there are none", outcome.taken));
        }
        if !outcome.rejections.is_empty() {
            return Err("rejected rows where there are none".to_owned());
        }
        if !outcome.emissions.causes.is_empty() {
            return Err("named causes where there are no rows".to_owned());
        }
        self.check_emissions(&outcome.emissions)?;
        if outcome.more && outcome.emissions.is_empty() {
            return Err("made no progress: owes more and emitted nothing".to_owned());
        }
        Ok(())
    }

    fn check_emissions(&self, emissions: &Emissions) -> Result<(), String> {
        let count = emissions.len();
        emissions.keys.check(count).map_err(|what| format!("keys: {what}"))?;
        emissions.values.check(count).map_err(|what| format!("values: {what}"))?;
        if !emissions.ids.is_empty() || !emissions.ids.data.is_empty() {
            emissions.ids.check(count).map_err(|what| format!("ids: {what}"))?;
        } else if !emissions.ids.nulls.is_empty() {
            return Err("ids: null rows where there are no rows".to_owned());
        }
        optional("outputs", emissions.outputs.len(), count)?;
        optional("priorities", emissions.priorities.len(), count)?;
        if count > 0 && self.outputs == 0 {
            return Err("emitted, though it has no outputs".to_owned());
        }
        if let Some(output) = emissions.outputs.iter().find(|o| usize::from(**o) >= self.outputs) {
            return Err(format!("output {output} is none of {}", self.outputs));
        }
        if emissions.headers.len() != self.sets {
            let found = emissions.headers.len();
            return Err(format!("{found} header columns where the wiring sets {}", self.sets));
        }
        for (number, header) in emissions.headers.iter().enumerate() {
            header.check(count).map_err(|what| format!("header {number}: {what}"))?;
        }
        Ok(())
    }

    /// Causes: one per emission, those still owed first, then rows taken, ascending.
    fn check_causes(&self, causes: &[u32], outcome: &Outcome) -> Result<(), String> {
        if causes.len() != outcome.emissions.len() {
            let emissions = outcome.emissions.len();
            return Err(format!("{} causes for {emissions} emissions", causes.len()));
        }
        let owed = causes.iter().take_while(|cause| **cause == CAUSE_OWED).count();
        if owed > 0 && !self.owed {
            return Err("an emission is owed to the call before, which owed nothing".to_owned());
        }
        let mut before = 0;
        for cause in causes.iter().skip(owed) {
            if *cause < before || *cause >= outcome.taken {
                let taken = outcome.taken;
                return Err(format!("cause {cause} is out of order or not of {taken} rows taken"));
            }
            before = *cause;
        }
        Ok(())
    }
}

/// Rejections: rows taken, ascending, each once, none of them a cause or owed more.
fn check_rejections(outcome: &Outcome) -> Result<(), String> {
    let mut next = 0;
    let mut causes = outcome.emissions.causes.iter().filter(|c| **c != CAUSE_OWED).peekable();
    for rejection in &outcome.rejections {
        let row = rejection.row;
        if row < next || row >= outcome.taken {
            return Err(format!(
                "rejected row {row} is out of order or not of {} rows taken",
                outcome.taken
            ));
        }
        next = row + 1;
        while causes.next_if(|cause| **cause < row).is_some() {}
        if causes.peek() == Some(&&row) || (outcome.more && next == outcome.taken) {
            return Err(format!("row {row} is rejected and causes an emission"));
        }
        check_kind(&rejection.kind)?;
    }
    Ok(())
}

fn check_kind(kind: &str) -> Result<(), String> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if kind.is_empty() || kind.len() > KIND_BYTES_MAX || !kind.bytes().all(plain) {
        return Err(format!(
            "a kind of rejection is 1 to {KIND_BYTES_MAX} of a-z, 0-9 and -, not {:?}",
            kind.chars().take(KIND_BYTES_MAX).collect::<String>()
        ));
    }
    Ok(())
}

fn optional(name: &str, found: usize, due: usize) -> Result<(), String> {
    if found == 0 || found == due {
        return Ok(());
    }
    Err(format!("{name}: {found} for {due} emissions"))
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
