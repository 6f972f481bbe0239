//! The command `sda-reprocess`: `pawl dlq replay` by a name of its own, with its options at the
//! top. The same code, the same exit codes; nothing is decided here.

use std::process::ExitCode;

fn main() -> ExitCode {
    pawl_cli::reprocess()
}
