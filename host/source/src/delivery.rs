//! What a source promises, for `pawl check`. Promises nothing that its code does not keep.

use pawl_pipeline::{Source, SourceKind};

/// What holds from the source to its topic, and by what.
pub fn delivery(source: &Source) -> (&'static str, &'static str) {
    match &source.kind {
        SourceKind::File(_) => (
            "exactly once",
            "lines and the position in their file are one transaction; a file is known by inode \
             and content, whatever its name",
        ),
        SourceKind::Stdin(_) => (
            "at most once",
            "what is committed counts; what was read and not committed is lost with the process, \
             and whoever sends everything again gets copies",
        ),
        SourceKind::Http(_) => (
            "exactly once by key, else at least once",
            "202 only when durable; Idempotency-Key is stored in the same transaction, the last \
             keys_max of them; without a key a client that repeats a request gets copies",
        ),
    }
}
