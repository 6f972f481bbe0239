//! A real server that speaks S3, for tests: `versitygw` over a folder, on a free port of the
//! loopback. It ends with the value, with the test, and with the test's process, however that
//! ends; it is killed by its own process id only.
//!
//! Where the program is missing the tests that need it are skipped, loudly; on CI they fail.
//! A plain module, so that other packages' tests can take it in by its path.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BUCKET: &str = "pawl-test";
const ACCESS: &str = "pawl-access";
const SECRET: &str = "pawl-secret-of-the-tests";

/// How long the server may take to answer for the first time.
const START_MAX: Duration = Duration::from_secs(30);

/// Starts the server and kills it when the standard input closes, which also happens when the
/// test's process is killed.
const SCRIPT: &str = r#""$@" > /dev/null 2> "$PAWL_SERVER_LOG" &
server=$!
echo "$server"
read -r _
kill -9 "$server"
wait "$server" 2> /dev/null
"#;

/// A server and its folder, which goes with it.
pub struct S3Server {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    /// The shell around the server; none while it is down.
    shell: Option<Child>,
}

#[allow(dead_code, reason = "each test takes what it needs")]
impl S3Server {
    /// Starts a server with one empty bucket. None if there is no such program on this machine.
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            assert!(
                std::env::var_os("CI").is_none_or(|ci| ci != "true"),
                "versitygw is missing, and CI must have it: \
                 go install github.com/versity/versitygw/cmd/versitygw@latest"
            );
            eprintln!(
                "SKIPPED: versitygw is not here; to run this test: \
                 go install github.com/versity/versitygw/cmd/versitygw@latest"
            );
            return None;
        };
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("pawl-s3-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        for inner in ["data", "data/pawl-test", "attributes"] {
            fs::create_dir_all(folder.join(inner)).expect("a folder for the server");
        }
        let mut server = Self { program, folder, port: 0, shell: None };
        // Another process may take the port between its choice and its use.
        for _ in 0..3 {
            server.port = free_port();
            if server.up() {
                return Some(server);
            }
            server.kill();
        }
        panic!("versitygw does not start: {}", server.log());
    }

    /// An address in the bucket.
    pub fn address(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The options that reach it, by the names of `object_store`.
    pub fn options(&self) -> BTreeMap<String, String> {
        let option = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
        self.environment().into_iter().map(option).collect()
    }

    /// The variables of the environment that reach it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("AWS_ENDPOINT", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", ACCESS.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// The secret, to look for it where it must not be.
    pub fn secret(&self) -> &str {
        SECRET
    }

    /// The folder of the bucket: its objects are files in it.
    pub fn bucket(&self) -> PathBuf {
        self.folder.join("data").join(BUCKET)
    }

    /// Kills the server, at once and whatever it does (`kill -9`).
    pub fn kill(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            shell.wait().expect("the shell around the server ends");
        }
    }

    /// Starts the server again, on the same port and with the same objects.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.up(), "versitygw does not start again: {}", self.log());
    }

    fn up(&mut self) -> bool {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(&self.program)
            .args(["--port", &format!("127.0.0.1:{}", self.port), "--quiet"])
            .arg("posix")
            .arg("--sidecar")
            .arg(self.folder.join("attributes"))
            .arg(self.folder.join("data"))
            .env("PAWL_SERVER_LOG", self.folder.join("log"))
            .env("ROOT_ACCESS_KEY", ACCESS)
            .env("ROOT_SECRET_KEY", SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        let output = shell.stdout.take().expect("the shell's output is piped");
        BufReader::new(output).read_line(&mut line).expect("the shell says the process id");
        self.shell = Some(shell);
        let id: u32 = line.trim().parse().expect("a process id");
        let end = Instant::now() + START_MAX;
        // Where there is no /proc, only the time tells that it will not answer any more.
        let processes = Path::new("/proc/self").exists();
        let lives = || !processes || Path::new("/proc").join(id.to_string()).exists();
        while Instant::now() < end && lives() {
            if self.answers() {
                return true;
            }
            // Nobody unparks: a pause between two questions to another process.
            std::thread::park_timeout(Duration::from_millis(10));
        }
        false
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else {
            return false;
        };
        let bounded = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let mut answer = [0; 5];
        bounded.is_ok()
            && stream.write_all(b"GET / HTTP/1.0\r\n\r\n").is_ok()
            && stream.read_exact(&mut answer).is_ok()
            && answer == *b"HTTP/"
    }

    fn log(&self) -> String {
        let mut text = String::new();
        match File::open(self.folder.join("log"))
            .and_then(|mut file| file.read_to_string(&mut text))
        {
            Ok(_) => text,
            Err(error) => format!("(no log: {error})"),
        }
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.kill();
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("could not remove {}: {error}", self.folder.display());
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("the port has a number").port()
}

/// The program: named by `VERSITYGW`, in the path, or where `go install` puts it.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("VERSITYGW") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let go = std::env::var_os("GOPATH").map(|go| PathBuf::from(go).join("bin"));
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join("go/bin"));
    std::env::split_paths(&path)
        .chain(go)
        .chain(home)
        .map(|folder| folder.join("versitygw"))
        .find(|program| program.is_file())
}
