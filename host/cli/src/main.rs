//! The command `pawl`. What it does is in the library; nothing is decided here.

use std::process::ExitCode;

fn main() -> ExitCode {
    pawl_cli::pawl()
}
