//! `pawl` as a child process: only a process of its own can be killed for real.

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::PathBuf;
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
    pub fn produce(&self, topic: &str, lines: &[u8]) -> Result<()> {
        let mut command = self.command("produce");
        command.arg("-p").arg(&self.file).arg(topic).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("failed to start pawl produce")?;
        let written = match child.stdin.take() {
            Some(mut pipe) => pipe.write_all(lines),
            None => Ok(()),
        };
        let output = child.wait_with_output().context("failed to run pawl produce")?;
        if !output.status.success() {
            bail!(child_failed("produce", output.status, &output.stderr));
        }
        written.context("failed to hand lines to pawl produce")
    }

    /// `pawl run --close-windows`; with `crash_at`, killed by `kill -9` at that crash point.
    /// Returns whether it ended by itself, without being killed.
    pub fn run(&self, crash_at: Option<&str>) -> Result<bool> {
        let mut command = self.command("run");
        command.arg(&self.file).arg("--close-windows").stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("PAWL_LOG", "error");
        if let Some(point) = crash_at {
            command.env("PAWL_CRASH_AT", point);
        }
        let output = command.output().context("failed to run pawl run")?;
        match (output.status.success(), was_killed(output.status) && crash_at.is_some()) {
            (true, _) => Ok(true),
            (false, true) => Ok(false),
            (false, false) => bail!(child_failed("run", output.status, &output.stderr)),
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

fn child_failed(command: &str, status: ExitStatus, stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    format!("pawl {command} failed ({status}): {}", text.trim())
}
