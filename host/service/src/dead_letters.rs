//! The bounds of the dead letters: how many, how large, how old. At a bound the task that would
//! write one more stops, or the oldest go; never is one written that nobody bounded.

use crate::context::Context;
use crate::error::Error;
use pawl_core::identity::text_of_time;
use pawl_core::record::Timestamp;
use pawl_pipeline::{AtMax, DeadLetters};
use pawl_transport::{Retained, Transport, age};

/// Whether so many more fit. `Error::State` with the code `dead-letters-full` if not.
pub(crate) fn check_room(
    transport: &dyn Transport,
    rules: &DeadLetters,
    more: Retained,
    now_ms: Timestamp,
) -> Result<(), Error> {
    if more.records == 0 || rules.at_max == AtMax::DropOldest {
        return Ok(());
    }
    let full = |what: String| Error::State {
        code: "dead-letters-full",
        what: format!(
            "{what}: see to them and remove them, raise the bound, or set dead_letters.at_max = \
             \"drop-oldest\""
        ),
    };
    let (topic, kept) = (&rules.topic, transport.retained(&rules.topic)?);
    if kept.records + more.records > rules.records_max || kept.bytes + more.bytes > rules.bytes_max
    {
        return Err(full(format!(
            "topic {topic} holds {} dead letters of {} bytes, {} more do not fit within \
             records_max = {} and bytes_max = {}",
            kept.records, kept.bytes, more.records, rules.records_max, rules.bytes_max
        )));
    }
    let Some(age_max_ms) = rules.age_max_ms else { return Ok(()) };
    match age::oldest_ms(transport, topic)? {
        Some(oldest) if oldest < now_ms.saturating_sub_unsigned(age_max_ms) => Err(full(format!(
            "topic {topic} holds a dead letter since {}, which is longer than age_max_ms = \
             {age_max_ms}, and another is to be written",
            text_of_time(oldest)
        ))),
        _ => Ok(()),
    }
}

/// Lets the oldest go until the rest fits, where the pipeline says so.
pub(crate) fn drop_oldest(transport: &dyn Transport, rules: &DeadLetters) -> Result<(), Error> {
    if rules.at_max == AtMax::DropOldest {
        let max = Retained { records: rules.records_max, bytes: rules.bytes_max };
        while transport.drop_oldest(&rules.topic, max)?.more {}
    }
    Ok(())
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
