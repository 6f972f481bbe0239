//! Which dead letters nobody needs any more: sent back, and taken in by their task, so that what
//! came of them is durable elsewhere. Only looks; whoever makes room lets them go.

use crate::error::Error;
use crate::ledger::Ledger;
use crate::scan::Scan;
use pawl_core::commit::TaskId;
use pawl_core::record::Offset;
use pawl_pipeline::Pipeline;
use pawl_transport::Transport;
use std::collections::HashSet;
use std::ops::ControlFlow;

/// For each partition of the dead letters the offset below which all were sent back and taken.
pub fn taken_below(transport: &dyn Transport, pipeline: &Pipeline) -> Result<Vec<Offset>, Error> {
    // In this order: what is sent after the ledger was read is not in it.
    let ledger = Ledger::read(transport, pipeline, None)?;
    let waiting = waiting(transport, pipeline)?;
    let Some(scan) = Scan::open(transport, &pipeline.dead_letters.topic)? else {
        return Ok(Vec::new());
    };
    // The offset, and whether all below it are done with.
    let mut below: Vec<(Offset, bool)> = scan.ranges().iter().map(|(at, _)| (*at, true)).collect();
    scan.each(|letter| {
        if let Some((at, goes_on)) = below.get_mut(letter.partition as usize)
            && *goes_on
        {
            let is_taken = |id: u128| ledger.has(id) && !waiting.contains(&id);
            match letter.id().is_some_and(is_taken) {
                true => *at = letter.offset + 1,
                false => *goes_on = false,
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(below.into_iter().map(|(at, _)| at).collect())
}

/// What was sent back and waits to be taken in, by `pawl-id`; by stages that are gone, too.
fn waiting(transport: &dyn Transport, pipeline: &Pipeline) -> Result<HashSet<u128>, Error> {
    let mut ids = HashSet::new();
    let prefix = format!("{}.", pipeline.name);
    for topic in transport.topics()? {
        let stage = topic.name.strip_prefix(&prefix).and_then(|name| name.strip_suffix(".replay"));
        let Some(stage) = stage else { continue };
        let mut admitted = Vec::new();
        for partition in 0..topic.partitions {
            let task = TaskId { stage: stage.to_owned(), partition };
            let commit = transport.recovery(&task)?.commit;
            admitted.push(commit.map_or(0, |commit| commit.progress.admitted));
        }
        let Some(scan) = Scan::open(transport, &topic.name)? else { continue };
        scan.from(&admitted).each(|letter| {
            ids.extend(letter.id());
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(ids)
}
