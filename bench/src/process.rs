//! The built program as a process: started beside this one, timed from outside, killed by its own
//! id, and never left behind.

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// How long any command may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Ticks of the system's process times in a second, on every Linux there is.
const TICKS: f64 = 100.0;

/// A process of `pawl`.
pub struct Process {
    child: Child,
    /// When it was started.
    pub started: Instant,
    err: PathBuf,
}

/// What an ended process has used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Processor seconds of all its threads, in the system's hundredths.
    pub cpu_s: f64,
    /// From its start to its end.
    pub wall: Duration,
}

impl Process {
    /// Starts `pawl` in `folder`, which also takes what it prints; `log` is how much it logs.
    pub fn start(
        folder: &Path,
        arguments: &[&str],
        input: Option<&Path>,
        log: &str,
    ) -> Result<Self> {
        let program = program()?;
        let err = folder.join("stderr");
        let file = |name| std::fs::File::create(folder.join(name));
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(folder).stdout(file("stdout")?).stderr(file("stderr")?);
        command.env("PAWL_LOG", log).env("NO_COLOR", "1");
        match input {
            Some(input) => command.stdin(std::fs::File::open(input)?),
            None => command.stdin(Stdio::null()),
        };
        let started = Instant::now();
        let child = command.spawn().with_context(|| {
            format!("{} cannot be started: run `just build`", program.display())
        })?;
        Ok(Self { child, started, err })
    }

    /// What it wrote to stderr so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.err).unwrap_or_default()).into_owned()
    }

    /// Bytes of memory that are its own now.
    pub fn memory_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kilobytes = own.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kilobytes.context("the system does not tell a process's memory")? * 1024)
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) -> Result<()> {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status()?;
        ensure!(status.success(), "the process had ended: {}", self.said());
        Ok(())
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until `look` finds something while the process runs.
    pub fn until<T>(&mut self, mut look: impl FnMut(&Self) -> Result<Option<T>>) -> Result<T> {
        loop {
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("pawl ended with {status}: {}", self.said());
            }
            ensure!(self.started.elapsed() < LIMIT, "pawl takes too long: {}", self.said());
            std::thread::sleep(LOOK);
        }
    }

    /// Waits for its end, which must be a good one.
    pub fn end(mut self) -> Result<Used> {
        let stat = format!("/proc/{}/stat", self.child.id());
        // It stays to be looked at until it is waited for.
        let ended = loop {
            let text = std::fs::read_to_string(&stat)?;
            // Behind the name, which is in brackets and may hold anything.
            let fields: Vec<&str> =
                text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            if fields.first() == Some(&"Z") {
                let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
                let user_and_system = ticks(11).zip(ticks(12)).context("no process times")?;
                break (user_and_system.0 + user_and_system.1) / TICKS;
            }
            ensure!(self.started.elapsed() < LIMIT, "pawl takes too long: {}", self.said());
            std::thread::sleep(LOOK);
        };
        let wall = self.started.elapsed();
        let status: ExitStatus = self.child.wait()?;
        ensure!(status.success(), "pawl ended with {status}: {}", self.said());
        Ok(Used { cpu_s: ended, wall })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where `just build` puts the program: beside this one.
fn program() -> Result<PathBuf> {
    let me = std::env::current_exe().context("this process does not know its own file")?;
    Ok(me.with_file_name("pawl"))
}
