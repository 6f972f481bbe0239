//! A PostgreSQL server of a test's own: in a temporary folder, on a free loopback port, as an
//! unprivileged user, with its settings as they are by default (so commits are synced). It is
//! killed, by the ids of its own processes, when the value is dropped, also by a panic.
//!
//! Needs `initdb`, `postgres` and `psql` (Debian: `apt-get install postgresql`). Without them
//! tests are skipped loudly, except where the variable `CI` is `true`: there they fail.

#![allow(dead_code, reason = "each test that includes this module uses a part of it")]

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// The superuser's name.
pub const USER: &str = "pawl";
/// The superuser's password.
pub const PASSWORD: &str = "open-sesame-17";

const PATIENCE: Duration = Duration::from_secs(90);

/// A server, running or killed.
pub struct Server {
    bin: PathBuf,
    folder: PathBuf,
    port: u16,
    user: Option<(u32, u32)>,
    settings: Vec<String>,
    process: Option<Child>,
}

impl Server {
    /// A new server that takes connections; none if PostgreSQL is not installed. `settings` are
    /// `name=value`.
    pub fn start(settings: &[&str]) -> Option<Server> {
        let Some(bin) = bin() else {
            let what = "PostgreSQL is not installed (apt-get install postgresql)";
            assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "{what}");
            eprintln!("\n*** SKIPPED: {what} ***\n");
            return None;
        };
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pawl-postgres-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("create the server's folder");
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let user = unprivileged();
        let mut server = Server { bin, folder, port: 0, user, settings, process: None };
        server.own(&server.folder);
        server.initialize();
        server.run();
        Some(server)
    }

    /// The folder of its data and of what a test puts beside them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The port on 127.0.0.1; the same after `run`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the superuser finds the database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// Runs statements by `psql` as the superuser and returns what they print, unaligned.
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// A session of the superuser that runs what is written to its input, and ends with it.
    pub fn session(&self) -> Child {
        let mut psql = self.psql();
        psql.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("run psql")
    }

    /// As `sql`, or what `psql` complains of.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        let output = self.psql().arg("--command").arg(sql).output().expect("run psql");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        match output.status.success() {
            true => Ok(text(output.stdout)),
            false => Err(text(output.stderr)),
        }
    }

    fn psql(&self) -> Command {
        let mut command = self.command("psql");
        command
            .args(["--quiet", "--no-align", "--tuples-only", "--no-psqlrc"])
            .args(["--set=ON_ERROR_STOP=1", "--host=127.0.0.1", "--dbname=postgres"])
            .arg(format!("--port={}", self.port))
            .arg(format!("--username={USER}"))
            .env("PGPASSWORD", PASSWORD)
            .env("PGCONNECT_TIMEOUT", "10");
        command
    }

    /// Writes a file that only the server's user may read.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, bytes).expect("write a file of the server");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set its mode");
        self.own(&path);
        path
    }

    /// SIGKILL to the server's first process and to all that it started: as if power failed, but
    /// that what was written and not synced is kept.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let mut all = vec![process.id()];
        all.extend(children(process.id()));
        let all: Vec<String> = all.iter().map(u32::to_string).collect();
        // The first process is still ours to wait for, so that its id cannot be another's.
        let kill = format!("kill -9 {} 2>/dev/null || true", all.join(" "));
        drop(Command::new("sh").arg("-c").arg(kill).status());
        drop(process.kill());
        drop(process.wait());
    }

    /// Starts it again after `kill`, with the same data and port. Returns when it takes
    /// connections.
    pub fn run(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        let until = Instant::now() + PATIENCE;
        let mut keep_port = self.port != 0;
        loop {
            if !keep_port {
                let free = TcpListener::bind(("127.0.0.1", 0)).expect("find a free port");
                self.port = free.local_addr().expect("its address").port();
            }
            let Err(lines) = self.try_run(until) else { return };
            // What the kernel has not yet cleared away of a killed server, or a port that another
            // test took between our look and the server's.
            let again = ["shared memory", "lock file", "in use", "bind"];
            let may_help = again.iter().any(|part| lines.contains(part));
            assert!(may_help && Instant::now() < until, "the server does not start:\n{lines}");
            keep_port &= self.folder.join("ran").exists();
            // Not a wait: nobody tells when the kernel is done, so it is tried again.
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn try_run(&mut self, until: Instant) -> Result<(), String> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.folder.join("data"));
        let port = self.port.to_string();
        let ours = [("port", port.as_str()), ("listen_addresses", "127.0.0.1")];
        let ours = ours.map(|(name, value)| format!("{name}={value}"));
        let folder = format!("unix_socket_directories={}", self.folder.display());
        for setting in ours.iter().chain([&folder]).chain(&self.settings) {
            command.arg("-c").arg(setting);
        }
        let mut process =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("run postgres");
        let lines = read_lines(&mut process);
        self.process = Some(process);
        let mut seen = String::new();
        loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains("is ready to accept connections") => break,
                Ok(line) => seen = format!("{seen}{line}\n"),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    self.kill();
                    return Err(seen);
                }
            }
        }
        fs::write(self.folder.join("ran"), b"").expect("note that the port was right");
        Ok(())
    }

    fn initialize(&self) {
        let password = self.write("password", PASSWORD.as_bytes());
        let output = self
            .command("initdb")
            // What is not synced yet only a power failure could take.
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg(format!("--username={USER}"))
            .arg(format!("--pwfile={}", password.display()))
            .arg("-D")
            .arg(self.folder.join("data"))
            .output()
            .expect("run initdb");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb failed: {complaint}");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(&self.folder).stdin(Stdio::null()).env("LC_ALL", "C");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn own(&self, path: &Path) {
        if let Some((user, group)) = self.user {
            chown(path, Some(user), Some(group)).expect("give a path to the server's user");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Forwards what the server says, so that it never waits for a reader; the last lines only, once
/// nobody listens any more.
fn read_lines(process: &mut Child) -> Receiver<String> {
    let stderr = process.stderr.take().expect("it is piped");
    let (sender, receiver) = sync_channel(1000);
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines() {
            let Ok(line) = line else { return };
            drop(sender.try_send(line));
        }
    });
    receiver
}

/// The newest PostgreSQL of Debian's folders, else the one in `PATH`.
fn bin() -> Option<PathBuf> {
    let has_all = |bin: &PathBuf| {
        ["initdb", "postgres", "psql"].iter().all(|program| bin.join(program).is_file())
    };
    let version = |bin: &PathBuf| -> u32 {
        let name = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        name.and_then(|name| name.parse().ok()).unwrap_or(0)
    };
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|entry| entry.path().join("bin")).filter(has_all).max_by_key(version);
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian.or_else(|| std::env::split_paths(&path).find(has_all))
}

/// Root may not run a server: user and group of `postgres`, else of `nobody`.
fn unprivileged() -> Option<(u32, u32)> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    if ids.split_whitespace().nth(1) != Some("0") {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).or(Some((65_534, 65_534)))
}

/// The processes that a process started and that those started.
fn children(of: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let status = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // After the name, which stands in parentheses: state, parent.
        let parent = status.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        if let Some(parent) = parent.and_then(|parent| parent.parse::<u32>().ok()) {
            parents.push((id, parent));
        }
    }
    let (mut found, mut todo) = (Vec::new(), VecDeque::from([of]));
    while let Some(parent) = todo.pop_front() {
        for (id, _) in parents.iter().filter(|(_, its)| *its == parent) {
            found.push(*id);
            todo.push_back(*id);
        }
    }
    found
}
