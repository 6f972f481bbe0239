//! `pawl` as a child process: only a process of its own can be killed for real.

use crate::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// One folder in which the reference pipeline runs.
pub(crate) struct Child {
    /// The program.
    pub pawl: PathBuf,
    /// The pipeline file.
    pub file: PathBuf,
    /// Settings for every command.
    pub settings: Vec<String>,
}

impl Child {
    /// `pawl produce`: hands it `lines`.
    pub fn produce(&self, topic: &str, lines: &[u8]) -> Result<(), Error> {
        let mut command = self.command("produce");
        command.arg("-p").arg(&self.file).arg(topic).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| io("start pawl produce", &error))?;
        let written = match child.stdin.take() {
            Some(mut pipe) => pipe.write_all(lines),
            None => Ok(()),
        };
        let output = child.wait_with_output().map_err(|error| io("run pawl produce", &error))?;
        let failed = !output.status.success();
        if failed {
            return Err(child_failed("produce", output.status, &output.stderr));
        }
        written.map_err(|error| io("hand lines to pawl produce", &error))
    }

    /// `pawl run --close-windows`; with `crash_at`, killed by `kill -9` at that crash point.
    /// Returns whether it ended by itself, without being killed.
    pub fn run(&self, crash_at: Option<&str>) -> Result<bool, Error> {
        let mut command = self.command("run");
        command.arg(&self.file).arg("--close-windows").stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("PAWL_LOG", "error");
        if let Some(point) = crash_at {
            command.env("PAWL_CRASH_AT", point);
        }
        let output = command.output().map_err(|error| io("run pawl run", &error))?;
        match (output.status.success(), was_killed(output.status) && crash_at.is_some()) {
            (true, _) => Ok(true),
            (false, true) => Ok(false),
            (false, false) => Err(child_failed("run", output.status, &output.stderr)),
        }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.pawl);
        command.arg(name).env_remove("PAWL_CRASH_AT");
        for setting in &self.settings {
            command.arg("--set").arg(setting);
        }
        command
    }
}

#[cfg(unix)]
fn was_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(9)
}

#[cfg(not(unix))]
fn was_killed(status: ExitStatus) -> bool {
    !status.success()
}

fn child_failed(command: &str, status: ExitStatus, stderr: &[u8]) -> Error {
    let text = String::from_utf8_lossy(stderr);
    Error::Demo(format!("pawl {command} failed ({status}): {}", text.trim()))
}

/// An error of the system.
pub(crate) fn io(doing: &str, error: &std::io::Error) -> Error {
    Error::Demo(format!("failed to {doing}: {error}"))
}

/// As `io`, with the path.
pub(crate) fn io_at(doing: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::Demo(format!("failed to {doing} {}: {error}", path.display()))
}
