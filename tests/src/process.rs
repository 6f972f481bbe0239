//! A started `pawl`: waited for with a limit, signalled and killed by its own process id, and
//! never left behind.

use crate::wait::{wait_for, within};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long any command may take before the test gives up on it.
pub const LIMIT: Duration = Duration::from_secs(90);

/// The signal of `kill -9`.
pub const SIGKILL: i32 = 9;

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Stdout.
    pub out: Vec<u8>,
    /// Stderr.
    pub err: String,
}

impl Ended {
    /// Stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Panics unless it ended with exit code 0.
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }

    /// Panics unless it ended with this exit code, without a panic, and stderr says all of `says`.
    #[track_caller]
    pub fn fails(self, code: i32, says: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.err);
        assert!(!self.err.contains("panicked at"), "{}", self.err);
        for text in says {
            assert!(self.err.contains(text), "`{text}` is not in\n{}", self.err);
        }
        self
    }

    /// Whether `kill -9` ended it.
    pub fn was_killed(&self) -> bool {
        self.signal == Some(SIGKILL)
    }
}

/// A process that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    feeder: Option<JoinHandle<()>>,
}

/// Numbers the files to which processes write.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Running {
    /// Starts a command with stdin from `input`; what it prints goes to files in `folder`.
    pub(crate) fn start(mut command: Command, input: Option<Vec<u8>>, folder: &Path) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| folder.join(format!("{kind}-{number}"));
        let (out, err) = (file("stdout"), file("stderr"));
        let create = |path: &Path| std::fs::File::create(path).expect("the folder is writable");
        command.stdout(create(&out)).stderr(create(&err)).stdin(Stdio::piped());
        let mut child = command.spawn().expect("pawl can be started");
        let feeder = input.and_then(|input| {
            let mut stdin = child.stdin.take()?;
            // The command may end before it has read everything.
            Some(std::thread::spawn(move || drop(stdin.write_all(&input))))
        });
        Self { child, out, err, feeder }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its stdin, if no input was given at the start.
    pub fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("stdin is taken once, and only if no input was given")
    }

    /// What it wrote to stderr so far.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.err).unwrap_or_default()).into_owned()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.status().is_some()
    }

    /// Waits until it has written `text` to stderr.
    pub fn wait_until_it_says(&mut self, text: &str) {
        wait_for(text, LIMIT, || {
            let said = self.err().contains(text);
            assert!(
                said || !self.has_ended(),
                "it ended without a word of `{text}`: {}",
                self.err()
            );
            said.then_some(())
        });
    }

    /// Sends a signal, as in `kill -TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), &pid]).stderr(Stdio::null());
        kill.status().expect("kill is on every machine");
    }

    /// `kill -9`, and how it ended: it may have ended before.
    pub fn kill(mut self) -> Ended {
        self.child.kill().expect("a child that was not waited for can be killed");
        self.wait()
    }

    /// Kills it if it has not ended within `limit`.
    pub fn kill_after(mut self, limit: Duration) -> Ended {
        match within(limit, || self.status()) {
            Some(_) => self.wait(),
            None => self.kill(),
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        let Some(status) = within(LIMIT, || self.status()) else {
            panic!("pawl does not end within {LIMIT:?}: {}", self.err());
        };
        if let Some(feeder) = self.feeder.take() {
            feeder.join().expect("the feeder only writes");
        }
        Ended {
            code: status.code(),
            signal: status.signal(),
            out: std::fs::read(&self.out).unwrap_or_default(),
            err: self.err(),
        }
    }

    /// The most memory it has held so far, in bytes.
    pub fn memory_peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("a running process has a status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let words = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        words.expect("a status tells the peak in kB") * 1024
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked for")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
