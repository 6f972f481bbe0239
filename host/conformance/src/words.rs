//! The words of the laws, apart from the machinery. One sentence that must hold, why it matters to
//! those who run the plugin, and what its author does about it.

use crate::law::{Law, Words};

pub(crate) fn of(law: Law) -> Words {
    let (name, title, why, mend) = match law {
        Law::Component => (
            "component",
            "The plugin is a component without imports that exports `pawl:operator/operator@0.1.0`.",
            "An import is a way out of the sandbox, and a way for time and chance to get in.",
            "Build for `wasm32-unknown-unknown`, make it a component (`wasm-component-ld` or \
             `wasm-tools component new`), and stub out what the language's runtime imports.",
        ),
        Law::Description => (
            "description",
            "`describe` gives a name, a version and the state formats, its own among those it \
             reads, and the same each time.",
            "Checkpoints are taken up by what the description says; names go into metrics.",
            "Return constants; list `state-version` among `restores`.",
        ),
        Law::Wiring => (
            "wiring",
            "`configure` gives a wiring with distinct names and sane spans, and the same wiring \
             for the same configuration.",
            "Topics, headers and watermarks are joined by it before the first record.",
            "Derive the wiring from the configuration alone; give each output and header one name.",
        ),
        Law::ConfigurationNeverTraps => (
            "configuration",
            "No configuration makes it trap, hang or run out of memory.",
            "A mistyped file should cost its author one look at a message, not a stack trace.",
            "Return an error from `configure` wherever the text is not what you need; check \
             numbers before you compute with them.",
        ),
        Law::ConfigurationErrors => (
            "configuration-errors",
            "A configuration that cannot be used is refused with a message, not replaced by \
             something else in silence.",
            "A field that is swallowed runs for weeks with a default that nobody chose.",
            "Refuse text that is not JSON and fields of the wrong type; name the field and say \
             what it should be.",
        ),
        Law::SamplesNeverTrap => (
            "samples",
            "No record of the samples makes it trap.",
            "A trap costs the stage a restore and a replay, and the record becomes a dead letter.",
            "Reject what you cannot use (`permanent` or `discard`) instead of panicking; take the \
             record that is named here into your tests.",
        ),
        Law::Limits => (
            "limits",
            "It keeps its limits on time and memory over the samples.",
            "What runs over a limit is ended like a trap, and becomes a dead letter.",
            "Do less per record, keep less, or raise the limits in the pipeline file and here \
             (`--time-per-call-ms`, `--memory-bytes-max`).",
        ),
        Law::WellFormed => (
            "well-formed",
            "What a call returns is whole: columns of one length, ends that ascend, causes and \
             rejections of rows that were taken, outputs that exist.",
            "The host trusts nothing: an outcome that is not whole is refused as a trap is.",
            "Compare what is named here with the records of `operator.wit`, field by field.",
        ),
        Law::MoreEnds => (
            "more-ends",
            "`more` comes to an end, after `process` and after `advance`.",
            "The host calls again at once while more is owed: without an end it calls for ever.",
            "Keep what is owed in a list that gets shorter with each call, and clear `more` with \
             the last of it.",
        ),
        Law::SecondInstance => (
            "second-instance",
            "A second instance with the same configuration makes the same of the same input, \
             wherever in memory its data lies.",
            "After a crash the host replays the input and compares; what differs stops the task.",
            "Look for maps without an order (`HashMap`, a Go map), addresses, uninitialised \
             memory; sort before you emit.",
        ),
        Law::Taken => (
            "taken",
            "Rows that were not taken have left no trace.",
            "The host gives them again, so whatever they left is there twice.",
            "Return the number of rows dealt with, and stop there before you touch the state.",
        ),
        Law::BatchSize => (
            "batch-size",
            "Outcomes do not depend on how records are cut into batches.",
            "Batches end where the log, the load and a crash happen to end them.",
            "Keep no count of calls, nothing that begins or ends with a batch; emit per record.",
        ),
        Law::Causes => (
            "causes",
            "Each emission names the row that caused it.",
            "Ids, headers, priorities and lineage of an emission are those of its cause, and a \
             replay finds it by its cause.",
            "Put the row's number in this batch, the rest of an earlier one counted from 0.",
        ),
        Law::EmptyBatch => (
            "empty-batch",
            "An empty batch changes nothing.",
            "The host may call with no rows, as when it asks for what is still owed.",
            "Return an empty outcome for no rows, and leave the state alone.",
        ),
        Law::Snapshot => (
            "snapshot",
            "A snapshot ends, keeps its bounds, and changes nothing.",
            "Checkpoints are taken at moments that the plugin cannot foresee.",
            "Write the state without touching it; cut it into parts of at most 8 MiB, and clear \
             `more` with the last one.",
        ),
        Law::Restore => (
            "restore",
            "A new instance that takes up a snapshot goes on as if nothing had happened.",
            "This is what makes a crash invisible.",
            "Put all that later outcomes depend on into the snapshot, and take all of it up: \
             look at statics, caches, counters and what is still owed.",
        ),
        Law::EqualParts => (
            "equal-parts",
            "Equal states give equal parts: after the same input, and after a restore.",
            "Parts are stored by their content; those that differ for no reason are stored again.",
            "Write maps in the order of their keys, and nothing that is not state.",
        ),
        Law::Unchanged => (
            "unchanged-parts",
            "A part that is called unchanged is unchanged.",
            "The host keeps the bytes it has; if they are old, the next crash restores an old state.",
            "Mark a part as changed wherever anything in it changes, removal too, and give data \
             under the part's number, whatever it was called by.",
        ),
        Law::DamagedState => (
            "damaged-state",
            "A state that is truncated, changed, foreign, empty or huge is refused or taken up, \
             and never a trap.",
            "An error says what is wrong with a state; a trap says nothing.",
            "Check each length before you read, reserve no memory that the bytes ask for, and \
             return an error.",
        ),
        Law::Advance => (
            "advance",
            "`advance` never traps, wherever it comes: before all records, twice in a row, after a \
             long gap, after the end.",
            "No record is to blame for it, so nothing can be set aside: the task stops.",
            "Jump over gaps instead of stepping through them, and compute spans without overflow.",
        ),
        Law::Delay => (
            "delay",
            "No emission lies further behind the watermark than `delay`.",
            "What lies behind is late for the next operator, which drops it.",
            "Declare in `wiring.delay` how long a record may wait here, or emit with the time of \
             the watermark.",
        ),
        Law::Ahead => (
            "ahead",
            "No emission lies further ahead of its cause, or of the watermark, than `ahead`.",
            "One time that is too far ahead makes all that follows late.",
            "Declare in `wiring.ahead` how far ahead a stamp may lie (for a window that stamps \
             its end: its length); do not emit a window before the watermark reached its end.",
        ),
        Law::AbsentKeys => (
            "absent-keys",
            "Absent and empty keys, and absent headers, never make it trap.",
            "Producers leave keys out, and a header is absent more often than not.",
            "Treat an absent key as a value of its own, or reject the record.",
        ),
        Law::EmptyValues => (
            "empty-values",
            "Absent values (tombstones) and empty ones never make it trap.",
            "A compacted topic is full of tombstones.",
            "Reject or discard them if you have no use for them.",
        ),
        Law::LargeValues => (
            "large-values",
            "Values of 1 MB never make it trap, hang or run out of memory.",
            "One such record comes sooner or later, and should cost one dead letter at most.",
            "Check the length first; keep no copies of it; parse without recursion.",
        ),
        Law::MutatedRecords => (
            "damaged-records",
            "Damaged records never make it trap.",
            "Producers change without notice, and networks cut records short.",
            "Reject what does not parse or is out of range; take the record that is named here \
             into your tests.",
        ),
        Law::Memory => (
            "memory",
            "Memory is bounded over a long run of the same records.",
            "What grows without an end is ended by its limit some night.",
            "Free what was emitted or expired; give every list and map a bound.",
        ),
    };
    Words { name, title, why, mend }
}
