//! What a reader would paste is run here, page by page, each in a folder that looks like a fresh
//! clone: files are written, blocks go through one shell, what they print is compared with what
//! the page shows. A block that is not run says why.

use crate::book::{Block, Mark, Page, pages, root};
use crate::expected;
use pawl_tests::{Folder, folder, within};
use std::fmt::Write;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long one page may take. One compiles an operator.
const LIMIT: Duration = Duration::from_secs(600);

/// What of the repository a page may need.
const PARTS: [&str; 3] = ["plugins", "pipelines", "wit"];

/// A pipeline into which fragments of pipeline files fit.
const AROUND: &str = r#"
pawl = 1
name = "fragment"
[topics.observations]
[topics.alerts]
[[stage]]
name = "detect"
input = "observations"
output = "alerts"
[[stage.operator]]
name = "detect"
plugin = "identity"
"#;

#[test]
fn a_block_that_could_be_run_is_run_or_says_why_not() {
    let mut mistakes = Vec::new();
    for page in pages() {
        for line in &page.indented {
            let what = "is indented: a block stands between fences, where it says what it is";
            mistakes.push(format!("{}:{line}: {what}", page.path));
        }
        let mut ran = false;
        for block in &page.blocks {
            let what = match &block.mark {
                Mark::None if ["sh", "bash", "toml", "rust"].contains(&&*block.language) => {
                    "needs `run`, `file=...`, `fragment` or `no-run: why`".to_owned()
                }
                Mark::Unknown(mark) => format!("`{mark}` is no mark"),
                Mark::Run { .. } if block.language != "sh" => "only `sh` is run".to_owned(),
                Mark::Output if !ran => "nothing ran before this output".to_owned(),
                Mark::Fragment if block.language != "toml" => "a fragment is `toml`".to_owned(),
                Mark::NoRun(why) if why.len() < 5 => "say why it is not run".to_owned(),
                _ => String::new(),
            };
            ran = matches!(block.mark, Mark::Run { .. });
            if !what.is_empty() {
                mistakes.push(format!("{}:{}: {what}", page.path, block.line));
            }
        }
    }
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
}

#[test]
fn fragments_of_pipeline_files_are_right() {
    let mut checked = 0;
    for page in pages() {
        for block in page.blocks.iter().filter(|block| block.mark == Mark::Fragment) {
            let mut whole: toml::Table = AROUND.parse().expect("it is TOML");
            let part: toml::Table = block
                .text
                .parse()
                .unwrap_or_else(|what| panic!("{}:{}: {what}", page.path, block.line));
            merge(&mut whole, part);
            let folder = Folder::new("fragment", &whole.to_string());
            let file = folder.path().join("p.toml");
            if let Err(mistakes) = pawl_pipeline::load(&file, &[]) {
                panic!("{}:{}: {mistakes}", page.path, block.line);
            }
            checked += 1;
        }
    }
    println!("{checked} fragments");
}

/// Lists are joined, tables too; anything else is the part's.
fn merge(whole: &mut toml::Table, part: toml::Table) {
    for (name, value) in part {
        match (whole.get_mut(&name), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(more)) => merge(inner, more),
            (Some(toml::Value::Array(list)), toml::Value::Array(more)) => list.extend(more),
            (_, value) => _ = whole.insert(name, value),
        }
    }
}

#[test]
fn every_page_does_what_it_shows() {
    let runs = |page: &Page| page.blocks.iter().any(|b| matches!(b.mark, Mark::Run { .. }));
    let only = std::env::var("PAWL_DOCS_PAGE").unwrap_or_default();
    let pages = pages();
    let chosen = pages.iter().filter(|page| runs(page) && page.path.contains(&only));
    let chosen: Vec<&Page> = chosen.collect();
    assert!(!chosen.is_empty(), "no page with `{only}` in its path is run");
    let failed: Vec<String> = chosen.into_iter().filter_map(|page| run(page).err()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Runs a page in a folder that looks like a fresh clone. An error says where it is not as shown.
fn run(page: &Page) -> Result<(), String> {
    let target = folder::plugins().ancestors().nth(2).expect("plugins lie there").to_owned();
    let clone = fresh_clone(&page.path, &target).expect("the target folder is writable");
    let (file, out) = (clone.join("page.sh"), clone.join("page.out"));
    std::fs::write(&file, script(page)).expect("the target folder is writable");
    let mut bash = Command::new("bash");
    bash.arg(&file).current_dir(&clone).process_group(0).stdin(Stdio::null());
    bash.env("CARGO_TARGET_DIR", &target).env("CARGO_NET_OFFLINE", "true").env("TERM", "dumb");
    bash.stdout(std::fs::File::create(&out).expect("the target folder is writable"));
    for variable in ["PAWL_LOG", "PAWL_CRASH_AT", "PAWL_CRASH_ON_VALUE"] {
        bash.env_remove(variable);
    }
    let ended = Group(bash.spawn().expect("bash can be started")).wait();
    let out = String::from_utf8_lossy(&std::fs::read(&out).unwrap_or_default()).into_owned();
    println!("--- {}\n{out}", page.path);
    ended.map_err(|what| format!("{}: {what}\n{out}", page.path))?;
    compare(page, &out)
}

/// A folder with what a page may need of the repository. It is the same one at each run, so that
/// what is compiled there is not compiled again, and stays to be looked at.
fn fresh_clone(path: &str, target: &Path) -> std::io::Result<PathBuf> {
    let clone = target.join("pages").join(path.replace(['/', '.'], "-"));
    match std::fs::remove_dir_all(&clone) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => std::fs::create_dir_all(clone.join(".cargo"))?,
    }
    symlink(target, clone.join("target"))?;
    for part in PARTS {
        copy(&root().join(part), &clone.join(part))?;
    }
    // Cargo and rustup look for these above the folder in which they are called.
    for file in [".cargo/config.toml", "rust-toolchain.toml"] {
        std::fs::copy(root().join(file), clone.join(file))?;
    }
    Ok(clone)
}

/// Copies a folder. A link would not do: `..` of what it leads to is another folder.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy(&path, &copied)?,
            false => drop(std::fs::copy(&path, &copied)?),
        }
    }
    Ok(())
}

/// A shell with everything that it started, which ends with it.
struct Group(Child);

impl Group {
    fn wait(mut self) -> Result<(), String> {
        let ended = within(LIMIT, || self.0.try_wait().expect("a child can be asked for"));
        ended.map(drop).ok_or_else(|| format!("does not end within {LIMIT:?}"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let mut kill = Command::new("kill");
        let killed = kill.args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        killed.expect("kill is on every machine");
        drop(self.0.wait());
    }
}

/// The page as a script. Each block's number is printed before and, if it went well, after it.
fn script(page: &Page) -> String {
    let mut script = "exec 2>&1\nset -e\nclone=$PWD\n".to_owned();
    for (number, block) in page.blocks.iter().enumerate() {
        let text = &block.text;
        let written = match &block.mark {
            Mark::Run { fails: false } => {
                write!(script, "echo '@{number} begins'\n{text}\necho '@{number} went well'\n")
            }
            Mark::Run { fails: true } => write!(
                script,
                "echo '@{number} begins'\nset +e\n{text}\nstatus=$?\nset -e\n\
                 if [ $status -ne 0 ]; then echo '@{number} went well'; fi\n"
            ),
            Mark::File(path) => write!(
                script,
                "mkdir -p \"$(dirname \"$clone/{path}\")\"\n\
                 cat > \"$clone/{path}\" <<'@{number} ends'\n{text}@{number} ends\n"
            ),
            _ => Ok(()),
        };
        written.expect("a text takes all that is written");
    }
    script
}

/// Whether each block went well and printed what the page shows behind it.
fn compare(page: &Page, out: &str) -> Result<(), String> {
    let numbered = page.blocks.iter().enumerate();
    for (number, block) in numbered.filter(|(_, block)| matches!(block.mark, Mark::Run { .. })) {
        let place = format!("{}:{}", page.path, block.line);
        let (begins, well) = (format!("@{number} begins\n"), format!("@{number} went well\n"));
        let printed = out.split_once(&begins).and_then(|(_, rest)| rest.split_once(&well));
        let Some((printed, _)) = printed else {
            return Err(format!("{place}: did not go as it should:\n{}\n{out}", block.text));
        };
        let shown = page.blocks.get(number + 1).filter(|next| next.mark == Mark::Output);
        if let Some(Block { text, .. }) = shown
            && !expected::fits(text, printed)
        {
            return Err(format!("{place}: the page shows\n{text}and it printed\n{printed}"));
        }
    }
    Ok(())
}
