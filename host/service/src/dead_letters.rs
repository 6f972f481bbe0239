//! The bounds of the dead letters as tasks meet them; sources share the same count of the room that
//! is left. What may be written is decided in `pawl_source::Letters`, nowhere else.

use crate::context::Context;
use crate::error::Error;
use pawl_core::record::{Records, Timestamp};
use pawl_pipeline::{AtMax, DeadLetters};
use pawl_transport::room::Place;
use pawl_transport::{Retained, age};

/// Takes room for the dead letters of a commit. `Error::State` with the code `dead-letters-full` if
/// there is none.
pub(crate) fn take_room<'r>(
    context: &Context,
    letters: impl Iterator<Item = &'r Records>,
    now_ms: Timestamp,
) -> Result<(u64, Option<Place>), Error> {
    let mut more = Retained::default();
    for records in letters {
        more.records += records.len() as u64;
        more.bytes += records.bytes() as u64;
    }
    Ok((more.records, context.letters.take(more, now_ms).map_err(error_of)?))
}

/// Lets the oldest go until the rest fits, where the pipeline says so.
pub(crate) fn drop_oldest(context: &Context) -> Result<(), Error> {
    context.letters.drop_oldest().map_err(error_of)
}

/// Rows of a commit at most, so that the dead letters of one commit fit into an empty topic.
pub(crate) fn rows_max(rules: &DeadLetters) -> u64 {
    rules.records_max.max(1)
}

fn error_of(error: pawl_source::Error) -> Error {
    match error {
        pawl_source::Error::Transport(error) => Error::Transport(error),
        pawl_source::Error::Fatal { code, what } => Error::State { code, what },
        other => Error::State { code: "transport", what: other.to_string() },
    }
}

/// Lets those go that are too old, where the pipeline says so. Asked now and then, also while
/// nothing fails: else old ones would stay until the next one.
pub(crate) fn drop_old(context: &Context) {
    let rules = &context.pipeline.dead_letters;
    let (Some(age_max_ms), AtMax::DropOldest) = (rules.age_max_ms, rules.at_max) else { return };
    let oldest = context.clock.now_ms().saturating_sub_unsigned(age_max_ms);
    if let Err(error) = age::drop_older(context.transport.as_ref(), &rules.topic, oldest) {
        tracing::warn!(%error, "failed to let go of dead letters that are too old");
    }
}
