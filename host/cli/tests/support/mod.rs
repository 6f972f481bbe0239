//! A folder with a pipeline file, and the built `pawl` in it. Removed at the end.

use pawl_pipeline::Pipeline;
use pawl_transport::Embedded;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PIPELINE: &str = r#"
pawl = 1
name = "test"
plugins = ["plugins"]
[topics.in]
partitions = 3
key = { field = "/k" }
[topics.out]
[topics.by-content]
partitions = 4
[topics.by-position]
partitions = 4
[[stage]]
name = "copy"
input = "in"
[[stage.operator]]
name = "id"
plugin = "no-such-plugin"
[[stage]]
name = "content"
input = "by-content"
[[stage.operator]]
name = "id"
plugin = "no-such-plugin"
edge = { id = "content" }
[[stage]]
name = "position"
input = "by-position"
[[stage.operator]]
name = "id"
plugin = "no-such-plugin"
edge = { id = "position" }
"#;

/// A folder of its own.
pub struct Folder(PathBuf);

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// Stdout.
    pub out: Vec<u8>,
    /// Stderr.
    pub err: String,
}

impl Folder {
    /// A new folder with `p.toml`.
    pub fn new(name: &str) -> Self {
        let folder = format!("pawl-cli-{name}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("p.toml"), PIPELINE).unwrap();
        Self(folder)
    }

    /// `pawl` with these arguments, to be started in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pawl"));
        command.args(arguments).current_dir(&self.0).env_remove("PAWL_LOG");
        command
    }

    /// Runs `pawl` to its end.
    pub fn pawl(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut command = self.command(arguments);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // The command may end before it has read everything.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The pipeline in it.
    pub fn pipeline(&self) -> Pipeline {
        pawl_pipeline::load(&self.0.join("p.toml"), &[]).unwrap().0
    }

    /// Its transport, for writing.
    pub fn transport(&self) -> Embedded {
        pawl_service::open_transport(&self.pipeline(), false).unwrap()
    }

    /// A file of this name, wherever it lies in the folder.
    pub fn find(&self, name: &str) -> PathBuf {
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.file_name().is_some_and(|own| own == name) {
                    return path;
                }
            }
        }
        panic!("no file {name}")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Ended {
    /// Stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Stdout as lines of JSON.
    pub fn json(&self) -> Vec<serde_json::Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
