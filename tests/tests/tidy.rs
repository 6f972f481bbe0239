//! Reads the source tree and holds it to the rules that no compiler knows. Each ban names what to
//! do instead. It must never need anything built.

use std::path::{Path, PathBuf};

/// A package, and the only folders whose code may name it.
const ROOMS: [(&str, &[&str]); 11] = [
    ("wasmtime", &["host/sandbox"]),
    ("rusqlite", &["host/transport", "host/sink", "bench"]),
    ("tokio_postgres", &["host/sink"]),
    ("reqwest", &["host/sink", "host/checkpoint"]),
    ("hyper", &["host/source", "host/monitor"]),
    ("postcard", &["host/codec", "plugins/sdk"]),
    ("anyhow", &["host/cli", "host/demo", "bench"]),
    ("object_store", &["host/checkpoint"]),
    ("regex", &["host/reprocess", "host/cli"]),
    ("indicatif", &["host/cli"]),
    ("rdkafka", &[]),
];

/// Lines of a file without its tests. We aim at 400; the few above it are each one thing whose
/// parts would only be farther from each other, and none may grow past this.
const LINES_MAX: usize = 500;

/// Lines of a function, its tests aside.
const FUNCTION_LINES_MAX: usize = 70;

const COLUMNS_MAX: usize = 100;

/// A file of the tree: its path from the root, and its text.
struct File {
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The lines before the module of unit tests, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test_file = self.path.ends_with("tests.rs") || self.path.contains("/tests/");
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines.take_while(move |(_, line)| !is_test_file && *line != "#[cfg(test)]")
    }
}

/// All text of the project that a person writes.
fn tree() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the root");
    let mut files = Vec::new();
    walk(root, root, &mut files);
    assert!(files.len() > 150, "only {} files were found", files.len());
    files
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let entries = std::fs::read_dir(folder).expect("the tree can be read");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the tree can be read").path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if path.is_dir() {
            if !["target", ".git", "data", "book", "tutorial"].contains(&name.as_str()) {
                walk(root, &path, files);
            }
            continue;
        }
        let endings = [".rs", ".toml", ".md", ".wit", ".yml", ".yaml", ".sh", ".lock"];
        let known = endings.iter().any(|ending| name.ends_with(ending));
        if !known && !["justfile", "run"].contains(&name.as_str()) {
            continue;
        }
        let relative = path.strip_prefix(root).expect("a path below the root");
        let text = std::fs::read_to_string(&path).expect("what a person writes is text");
        files.push(File { path: relative.to_string_lossy().into_owned(), text });
    }
}

/// Gathers everything that is wrong, so that one run tells all.
fn none(mistakes: Vec<String>) {
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
}

/// Every line of Rust on which `wrong` finds something, with what it found.
fn lines(files: &[File], wrong: impl Fn(&File, &str) -> Option<String>) -> Vec<String> {
    let rust = files.iter().filter(|file| file.is_rust());
    rust.flat_map(|file| {
        let numbered = file.text.lines().enumerate();
        let found = numbered.filter_map(|(at, line)| Some((at + 1, wrong(file, line)?)));
        found.map(|(at, what)| format!("{}:{at}: {what}", file.path)).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn a_package_lives_in_one_room() {
    let files = tree();
    let mut mistakes = Vec::new();
    for (package, rooms) in ROOMS {
        let inside = |file: &File| rooms.iter().any(|room| file.path.starts_with(room));
        let strangers = |file: &&File| !inside(file) && file.path != "tests/tests/tidy.rs";
        for file in files.iter().filter(strangers) {
            // The root of a workspace only says which version all of it takes.
            let root = ["Cargo.toml", "plugins/Cargo.toml"].contains(&file.path.as_str());
            let manifest = file.path.ends_with("Cargo.toml") && !root && {
                let names = file.text.lines().filter_map(|line| line.split(['=', '.', ' ']).next());
                names.into_iter().any(|name| name == package)
            };
            let used = file.is_rust()
                && file.text.lines().any(|line| {
                    let code = line.split("//").next().unwrap_or_default();
                    let named = [format!("{package}::"), format!("use {package}")];
                    named.iter().any(|name| code.contains(name))
                });
            if manifest || used {
                let rooms = if rooms.is_empty() { "nowhere yet".into() } else { rooms.join(", ") };
                mistakes.push(format!("{}: {package} belongs in {rooms}", file.path));
            }
        }
    }
    none(mistakes);
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    let files = tree();
    let silent = files.iter().filter(|file| file.is_rust() && !file.text.starts_with("//! "));
    none(silent.map(|file| format!("{}: does not begin with `//! `", file.path)).collect());
}

#[test]
fn no_file_and_no_function_is_too_long() {
    let mut mistakes = Vec::new();
    for file in tree().iter().filter(|file| file.is_rust()) {
        let count = file.code().count();
        if count > LINES_MAX {
            mistakes.push(format!("{}: {count} lines of code, at most {LINES_MAX}", file.path));
        }
        for (at, name, length) in functions(file) {
            if length > FUNCTION_LINES_MAX {
                mistakes.push(format!("{}:{at}: {name} has {length} lines", file.path));
            }
        }
    }
    none(mistakes);
}

/// Line, name and length of each function. The tree is formatted: a function ends at the brace
/// that stands as far in as it began.
fn functions(file: &File) -> Vec<(usize, String, usize)> {
    let code: Vec<(usize, &str)> = file.code().collect();
    let mut found = Vec::new();
    for (index, (at, line)) in code.iter().enumerate() {
        let inner = line.trim_start();
        let words: Vec<&str> = inner.split(' ').take(5).collect();
        let is_function = words.iter().position(|word| *word == "fn");
        let Some(place) = is_function.filter(|_| !inner.starts_with("//")) else { continue };
        let end = format!("{}}}", &line[..line.len() - inner.len()]);
        let behind = code.get(index..).unwrap_or_default();
        let header = behind.iter().find(|(_, line)| line.ends_with(['{', '}', ';']));
        let has_body = header.is_some_and(|(_, line)| line.ends_with('{'));
        let length = behind.iter().position(|(_, line)| *line == end).filter(|_| has_body);
        if let Some(length) = length {
            let name = words.get(place + 1).map(|word| word.split('(').next().unwrap_or(word));
            found.push((*at, name.unwrap_or_default().to_owned(), length + 1));
        }
    }
    found
}

#[test]
fn no_line_is_too_wide() {
    none(lines(&tree(), |_, line| {
        let columns = line.chars().count();
        // A text that cannot be broken: a literal, a row of a table.
        let start = line.trim_start();
        let unbreakable = ["\"", "r#\"", "//! |", "/// |"].iter().any(|s| start.starts_with(s));
        (columns > COLUMNS_MAX && !unbreakable).then(|| format!("{columns} columns"))
    }));
}

#[test]
fn nothing_is_left_for_later() {
    // Put together, so that this file does not hold them.
    let words = [
        ["FIX", "ME"].concat(),
        ["to", "do!("].concat(),
        ["unimple", "mented!("].concat(),
        ["#[ig", "nore"].concat(),
        ["db", "g!("].concat(),
        ["XX", "X:"].concat(),
    ];
    none(lines(&tree(), |_, line| words.iter().find(|word| line.contains(*word)).cloned()));
}

#[test]
fn only_the_clock_asks_the_system_for_the_time_and_no_queue_is_endless() {
    let now = ["SystemTime", "::now("].concat();
    let channel = ["mpsc::", "channel("].concat();
    none(lines(&tree(), |file, line| {
        let code = line.split("//").next().unwrap_or_default();
        if code.contains(&now) && file.path != "host/service/src/clock.rs" {
            return Some("take `now_ms` as an argument, or ask the service's clock".to_owned());
        }
        code.contains(&channel).then(|| "take `sync_channel`, which has a bound".to_owned())
    }));
}

#[test]
fn no_test_sleeps_to_wait_for_something() {
    let sleep = ["thread::", "sleep("].concat();
    let mut mistakes = Vec::new();
    for file in tree().iter().filter(|file| file.is_rust() && file.path != "tests/src/wait.rs") {
        let in_code = file.code().count();
        let mut before = "";
        for (at, line) in file.text.lines().enumerate() {
            // The moment of a kill is no condition; where that is so it says so.
            let said = before.trim_start().starts_with("// Not a wait");
            if at >= in_code && line.contains(&sleep) && !said {
                let instead = "wait for a condition, with a limit (`wait_for`)";
                mistakes.push(format!("{}:{}: {instead}", file.path, at + 1));
            }
            before = line;
        }
    }
    none(mistakes);
}

#[test]
fn nothing_names_this_machine_or_a_registry_of_its_own() {
    let folders = ["/home", "/root", "/work", "/Users"].map(|folder| format!("{folder}/"));
    let crates_io = "registry+https://github.com/rust-lang/crates.io-index";
    let registry = ["registry = ", "registry-index = ", "replace-with = ", "[source.crates-io"];
    let mut mistakes = Vec::new();
    for file in tree() {
        for (at, line) in file.text.lines().enumerate() {
            let place = format!("{}:{}", file.path, at + 1);
            if file.path.ends_with(".lock") {
                let source = line.strip_prefix("source = ").map(|source| source.trim_matches('"'));
                if source.is_some_and(|source| source != crates_io) {
                    mistakes.push(format!("{place}: a source that is not crates.io"));
                }
                continue;
            }
            let inside = ['.', '_', '-', '}', '>'];
            let starts_path = |before: Option<char>| {
                before.is_none_or(|c| !c.is_alphanumeric() && !inside.contains(&c))
            };
            let absolute = folders.iter().any(|folder| {
                line.match_indices(folder.as_str())
                    .any(|(start, _)| starts_path(line[..start].chars().next_back()))
            });
            if absolute {
                mistakes.push(format!("{place}: a path of this machine"));
            }
            if registry.iter().any(|word| line.trim_start().starts_with(word)) {
                mistakes.push(format!("{place}: a registry of its own"));
            }
        }
    }
    none(mistakes);
}
