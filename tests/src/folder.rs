//! A folder of a test's own with a pipeline file in it, and `pawl` started there. Removed when the
//! test has passed, kept and named when it has failed.

use crate::process::{Ended, Running};
use crate::sent_back;
use crate::stored::{Row, Stored};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder with `p.toml`.
#[derive(Debug)]
pub struct Folder(PathBuf);

static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Folder {
    /// A new folder with this pipeline; `PLUGINS` in it stands for the folder of built plugins.
    pub fn new(name: &str, pipeline: &str) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unique = format!("pawl-{name}-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(unique));
        std::fs::create_dir_all(&folder.0).expect("the folder for temporary files is writable");
        folder.write_pipeline(pipeline);
        folder
    }

    /// A copy of the pipeline and of everything stored.
    pub fn copy(&self, name: &str) -> Self {
        let copy = Self::new(name, "");
        copy_all(&self.0, &copy.0);
        copy
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder of everything stored.
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Writes `p.toml` anew.
    pub fn write_pipeline(&self, pipeline: &str) {
        let text = pipeline.replace("PLUGINS", &plugins().display().to_string());
        self.write("p.toml", text.as_bytes());
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).expect("the folder is writable");
    }

    /// `pawl` with these arguments, to be started here.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(&self.0);
        for variable in ["PAWL_LOG", "PAWL_CRASH_AT", "PAWL_CRASH_ON_VALUE"] {
            command.env_remove(variable);
        }
        command
    }

    /// Writes dead letters of these drafts into the pipeline's topic, ten in a batch.
    pub fn write_letters(&self, drafts: &[crate::Draft]) {
        let file = self.0.join("p.toml");
        let (pipeline, _) = pawl_pipeline::load(&file, &[]).expect("the test's pipeline is right");
        let transport = pawl_service::open_transport(&pipeline, false).expect("it can be opened");
        crate::letters::write(&transport, &pipeline.dead_letters.topic, drafts, 10);
    }

    /// Starts `pawl` with an open stdin.
    pub fn start(&self, arguments: &[&str]) -> Running {
        self.start_command(self.command(arguments))
    }

    /// Starts a command of this folder with an open stdin.
    pub fn start_command(&self, command: Command) -> Running {
        Running::start(command, None, &self.0)
    }

    /// Runs `pawl` to its end.
    pub fn pawl(&self, arguments: &[&str], input: &[u8]) -> Ended {
        Running::start(self.command(arguments), Some(input.to_vec()), &self.0).wait()
    }

    /// `pawl run p.toml` with further arguments, to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.pawl(&[&["run", "p.toml"], arguments].concat(), b"")
    }

    /// As `run`, with an end at a crash point as `PAWL_CRASH_AT` names it.
    pub fn run_to_crash(&self, at: &str, arguments: &[&str]) -> Ended {
        let mut command = self.command(&[&["run", "p.toml"], arguments].concat());
        command.env("PAWL_CRASH_AT", at);
        self.start_command(command).wait()
    }

    /// Appends lines to a topic.
    pub fn produce(&self, topic: &str, lines: &str) {
        self.pawl(&["produce", "-p", "p.toml", topic], lines.as_bytes()).success();
    }

    /// Appends whole records, one in JSON per line.
    pub fn produce_json(&self, topic: &str, lines: &str) {
        let arguments = ["produce", "-p", "p.toml", topic, "--json"];
        self.pawl(&arguments, lines.as_bytes()).success();
    }

    /// Sends dead letters back as `pawl dlq replay` does: the row, counted once more, in the replay
    /// topic of its stage. Returns how many.
    pub fn send_back(&self, which: impl Fn(&Row) -> bool) -> usize {
        sent_back::send(&self.0.join("p.toml"), which)
    }

    /// What is stored, read without changing it.
    pub fn stored(&self) -> Stored {
        Stored::open(&self.0.join("p.toml"))
    }

    /// The checkpoint files of a task (`stage/partition`), newest first.
    pub fn checkpoints(&self, task: &str) -> Vec<PathBuf> {
        let folder = self.data().join("checkpoints/tasks").join(task);
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        found.retain(|path| path.extension().is_some_and(|extension| extension == "ckpt"));
        found.sort_by(|one, two| two.cmp(one));
        found
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("kept for you to look at: {}", self.0.display());
        } else {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }
}

/// The folder of built plugins.
pub fn plugins() -> PathBuf {
    let folder = target().join("wasm32-unknown-unknown/release");
    let examples = ["identity", "count_window", "misbehaving", "misbehaving_smuggler"];
    let sda = ["sda_normalize", "sda_cell", "sda_correlate", "sda_encounter"];
    for plugin in examples.into_iter().chain(sda) {
        let file = folder.join(format!("{plugin}.wasm"));
        assert!(file.is_file(), "{} is not built: run `just plugins` first", file.display());
    }
    folder
}

/// The built `pawl`.
pub fn program() -> PathBuf {
    let program = target().join("release/pawl");
    assert!(program.is_file(), "{} is not built: run `just build` first", program.display());
    program
}

/// The target folder: tests lie in `release/deps` of it.
fn target() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its own file");
    let target = own.ancestors().nth(3).expect("a test lies three folders deep");
    target.to_owned()
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder is writable");
    for entry in std::fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_all(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).expect("a file can be copied");
        }
    }
}
