//! The words of the laws, apart from the machinery. One sentence that must hold, why it matters to
//! those who run the plugin, and what its author does about it.

use crate::law::{Law, Words};

/// The words of a law.
pub(crate) fn of(law: Law) -> &'static Words {
    let at = usize::from(law.number()) - 1;
    &WORDS.get(at).expect("the table has every law, in order; a test sees to it").1
}

const WORDS: [(Law, Words); Law::ALL.len()] = [
    (
        Law::Component,
        Words {
            name: "component",
            title: "The plugin is a component without imports that exports \
                   `pawl:operator/operator@0.1.0`, and starts within its limits.",
            why: "A pipeline with a plugin that does not load does not start.",
            mend: "A core module: make it a component (`wasm-component-ld` or `wasm-tools \
                   component new`). An import, which would be a way out of the sandbox: build for \
                   `wasm32-unknown-unknown`, and stub out what the language's runtime imports. A \
                   limit: raise the one that is named, in the pipeline file and here.",
        },
    ),
    (
        Law::Description,
        Words {
            name: "description",
            title: "`describe` gives a name, a version and the state formats, its own among those \
                   it reads, and the same each time.",
            why: "Checkpoints are taken up by what the description says; names go into metrics.",
            mend: "Return constants; list `state-version` among `restores`.",
        },
    ),
    (
        Law::Wiring,
        Words {
            name: "wiring",
            title: "`configure` gives a wiring with distinct names and sane spans, and the same \
                   wiring for the same configuration.",
            why: "Topics, headers and watermarks are joined by it before the first record.",
            mend: "Derive the wiring from the configuration alone; give each output and header one \
                   name.",
        },
    ),
    (
        Law::ConfigurationNeverTraps,
        Words {
            name: "configuration",
            title: "No configuration makes it trap, hang or run out of memory.",
            why: "A mistyped file should cost its author one look at a message, not a stack trace.",
            mend: "Return an error from `configure` wherever the text is not what you need; check \
                   numbers before you compute with them.",
        },
    ),
    (
        Law::ConfigurationErrors,
        Words {
            name: "configuration-errors",
            title: "A configuration that cannot be used is refused with a message, not replaced by \
                   something else in silence.",
            why: "A field that is swallowed runs for weeks with a default that nobody chose.",
            mend: "Refuse fields of the wrong type, and those that you do not know; name the field \
                   and say what it should be.",
        },
    ),
    (
        Law::SamplesNeverTrap,
        Words {
            name: "samples",
            title: "No record of the samples makes it trap.",
            why: "A trap costs the stage a restore and a replay, and the record becomes a dead \
                   letter.",
            mend: "Reject what you cannot use (`permanent` or `discard`) instead of panicking; \
                   take the record that is named here into your tests.",
        },
    ),
    (
        Law::Limits,
        Words {
            name: "limits",
            title: "It keeps its limits on time and memory over the samples.",
            why: "What runs over a limit is ended like a trap, and becomes a dead letter.",
            mend: "Do less per record, keep less, or raise the limits in the pipeline file and \
                   here (`--time-per-call-ms`, `--time-per-record-us`, `--memory-bytes-max`).",
        },
    ),
    (
        Law::WellFormed,
        Words {
            name: "well-formed",
            title: "What a call returns is whole: columns of one length, ends that ascend, causes \
                   and rejections of rows that were taken, outputs that exist.",
            why: "The host trusts nothing: an outcome that is not whole is refused as a trap is.",
            mend: "Compare what is named here with the records of `operator.wit`, field by field.",
        },
    ),
    (
        Law::MoreEnds,
        Words {
            name: "more-ends",
            title: "`more` comes to an end, after `process` and after `advance`.",
            why: "The host calls again at once while more is owed: without an end it calls for \
                   ever.",
            mend: "Keep what is owed in a list that gets shorter with each call, and clear `more` \
                   with the last of it.",
        },
    ),
    (
        Law::SecondInstance,
        Words {
            name: "second-instance",
            title: "A second instance with the same configuration makes the same of the same \
                   input, wherever in memory its data lies.",
            why: "After a crash the host replays the input and compares; what differs stops the \
                   task.",
            mend: "Look for maps without an order (`HashMap`, a Go map), addresses, uninitialised \
                   memory; sort before you emit.",
        },
    ),
    (
        Law::Taken,
        Words {
            name: "taken",
            title: "Rows that were not taken have left no trace.",
            why: "The host gives them again, so whatever they left is there twice.",
            mend: "Return the number of rows dealt with, and stop there before you touch the \
                   state.",
        },
    ),
    (
        Law::BatchSize,
        Words {
            name: "batch-size",
            title: "Outcomes do not depend on how records are cut into batches.",
            why: "Batches end where the log, the load and a crash happen to end them.",
            mend: "Keep no count of calls, nothing that begins or ends with a batch; emit per \
                   record.",
        },
    ),
    (
        Law::Causes,
        Words {
            name: "causes",
            title: "Each emission names the row that caused it.",
            why: "Ids, headers, priorities and lineage of an emission are those of its cause, and \
                   a replay finds it by its cause.",
            mend: "Put the row's number in this batch, the rest of an earlier one counted from 0.",
        },
    ),
    (
        Law::EmptyBatch,
        Words {
            name: "empty-batch",
            title: "An empty batch changes nothing.",
            why: "The host may call with no rows, as when it asks for what is still owed.",
            mend: "Return an empty outcome for no rows, and leave the state alone.",
        },
    ),
    (
        Law::Snapshot,
        Words {
            name: "snapshot",
            title: "A snapshot ends, keeps its bounds, and changes nothing.",
            why: "Checkpoints are taken at moments that the plugin cannot foresee.",
            mend: "Write the state without touching it; cut it into parts of at most 8 MiB, and \
                   clear `more` with the last one.",
        },
    ),
    (
        Law::Restore,
        Words {
            name: "restore",
            title: "A new instance that takes up a snapshot goes on as if nothing had happened.",
            why: "This is what makes a crash invisible.",
            mend: "Put all that later outcomes depend on into the snapshot, and take all of it up: \
                   look at statics, caches, counters and what is still owed.",
        },
    ),
    (
        Law::EqualParts,
        Words {
            name: "equal-parts",
            title: "Equal states give equal parts: after the same input, and after a restore.",
            why: "Parts are stored by their content; those that differ for no reason are stored \
                   again.",
            mend: "Write maps in the order of their keys, and nothing that is not state.",
        },
    ),
    (
        Law::Unchanged,
        Words {
            name: "unchanged-parts",
            title: "A part that is called unchanged is unchanged.",
            why: "The host keeps the bytes it has; if they are old, the next crash restores an old \
                   state.",
            mend: "Mark a part as changed wherever anything in it changes, removal too, and give \
                   data under the part's number, whatever it was called by.",
        },
    ),
    (
        Law::DamagedState,
        Words {
            name: "damaged-state",
            title: "A state that is truncated, changed, foreign, empty or huge is refused or taken \
                   up, and never a trap, then or later.",
            why: "An error says what is wrong with a state; a trap says nothing.",
            mend: "Check each length before you read, reserve no memory that the bytes ask for, \
                   and return an error; read all of a state in `restore`, not when it is needed.",
        },
    ),
    (
        Law::Advance,
        Words {
            name: "advance",
            title: "`advance` never traps, wherever it comes: before all records, twice in a row, \
                   after a long gap, after the end.",
            why: "No record is to blame for it, so nothing can be set aside: the task stops.",
            mend: "Jump over gaps instead of stepping through them, and compute spans without \
                   overflow.",
        },
    ),
    (
        Law::Delay,
        Words {
            name: "delay",
            title: "No emission lies further behind the watermark than `delay`.",
            why: "What lies behind is late for the next operator, which drops it.",
            mend: "Declare in `wiring.delay` how long a record may wait here, or emit with the \
                   time of the watermark.",
        },
    ),
    (
        Law::Ahead,
        Words {
            name: "ahead",
            title: "No emission lies further ahead of its cause, or of the watermark, than \
                   `ahead`.",
            why: "One time that is too far ahead makes all that follows late.",
            mend: "Declare in `wiring.ahead` how far ahead a stamp may lie (for a window that \
                   stamps its end: its length); do not emit a window before the watermark reached \
                   its end.",
        },
    ),
    (
        Law::AbsentKeys,
        Words {
            name: "absent-keys",
            title: "Absent and empty keys, and absent headers, never make it trap.",
            why: "Producers leave keys out, and a header is absent more often than not.",
            mend: "Treat an absent key as a value of its own, or reject the record.",
        },
    ),
    (
        Law::EmptyValues,
        Words {
            name: "empty-values",
            title: "Absent values (tombstones) and empty ones never make it trap.",
            why: "A compacted topic is full of tombstones.",
            mend: "Reject or discard them if you have no use for them.",
        },
    ),
    (
        Law::LargeValues,
        Words {
            name: "large-values",
            title: "Values of 1 MB never make it trap, hang or run out of memory.",
            why: "One such record comes sooner or later, and should cost one dead letter at most.",
            mend: "Check the length first; keep no copies of it; parse without recursion.",
        },
    ),
    (
        Law::MutatedRecords,
        Words {
            name: "damaged-records",
            title: "Damaged records never make it trap.",
            why: "Producers change without notice, and networks cut records short.",
            mend: "Reject what does not parse or is out of range; take the record that is named \
                   here into your tests.",
        },
    ),
    (
        Law::Memory,
        Words {
            name: "memory",
            title: "Memory and state are bounded over a long run of the same records.",
            why: "What grows without an end is ended by its limit some night.",
            mend: "Free what was emitted or expired; give every list and map a bound.",
        },
    ),
    (
        Law::Ids,
        Words {
            name: "ids",
            title: "Emissions that have nothing in common do not bear the same id.",
            why: "Behind dedup one id takes effect once: the others are dropped as copies of it.",
            mend: "Make an id of all that names the effect, such as key and start of the window, \
                   or give none: the host derives one that is unique.",
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_law_has_its_own_words() {
        assert!(WORDS.iter().map(|(law, _)| *law).eq(Law::ALL));
    }
}
