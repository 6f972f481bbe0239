//! Pages read as the tests need them: fenced blocks with their marks, headings, links. Knows as
//! much of Markdown as these pages use.

use std::path::{Path, PathBuf};

/// Pages outside of `docs` that are held to the same rules.
const BESIDE: [&str; 3] = ["README.md", "ARCHITECTURE.md", "plugins/README.md"];

/// A page.
pub struct Page {
    /// From the root of the repository.
    pub path: String,
    pub blocks: Vec<Block>,
    pub headings: Vec<Heading>,
    pub links: Vec<Link>,
    /// Lines where a block begins that is indented and not fenced: no mark can stand there.
    pub indented: Vec<usize>,
}

/// A fenced block.
pub struct Block {
    /// Of its fence.
    pub line: usize,
    pub language: String,
    pub mark: Mark,
    pub text: String,
}

/// What is done with a block: the words behind its language.
#[derive(Debug, PartialEq)]
pub enum Mark {
    /// Nothing is said.
    None,
    /// Run in the shell of its page; `fails` if its last command must.
    Run { fails: bool },
    /// What the block that was run before it prints; `...` stands for anything.
    Output,
    /// Written to this file, from the folder in which the page began.
    File(String),
    /// Part of a pipeline file, which it makes no mistake in.
    Fragment,
    /// Not run, and why.
    NoRun(String),
    /// None of these.
    Unknown(String),
}

/// A heading.
pub struct Heading {
    pub level: usize,
    pub line: usize,
    /// As a link names it behind `#`.
    pub anchor: String,
}

/// A link to a file, a heading or an address.
pub struct Link {
    pub line: usize,
    pub text: String,
    pub target: String,
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the root")
}

/// All files below `docs`, from there, sorted.
pub fn files() -> Vec<PathBuf> {
    let docs = root().join("docs");
    let (mut found, mut folders) = (Vec::new(), vec![docs.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("docs can be read") {
            let path = entry.expect("docs can be read").path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(&docs).expect("below docs").to_owned()),
            }
        }
    }
    found.sort();
    found
}

/// Every page of the book, and those beside it.
pub fn pages() -> Vec<Page> {
    let pages = files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "md"));
    let paths = pages.map(|path| format!("docs/{}", path.display()));
    paths.chain(BESIDE.map(str::to_owned)).map(|path| read(&path)).collect()
}

fn read(path: &str) -> Page {
    let text = std::fs::read_to_string(root().join(path)).expect("a page is text");
    let (blocks, headings, links, indented) = (vec![], vec![], vec![], vec![]);
    let mut page = Page { path: path.to_owned(), blocks, headings, links, indented };
    let mut open: Option<(usize, Block)> = None;
    let mut is_behind_blank = true;
    for (at, line) in text.lines().enumerate() {
        let inner = line.trim_start();
        match &mut open {
            Some((_, block)) if inner == "```" => {
                page.blocks.push(std::mem::replace(block, fence(0, "")));
                open = None;
            }
            Some((indent, block)) => {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
            None if inner.starts_with("```") => {
                open = Some((line.len() - inner.len(), fence(at + 1, &inner[3..])));
            }
            None => {
                let is_indented = line.starts_with("    ") || line.starts_with('\t');
                if is_indented && is_behind_blank && !inner.is_empty() {
                    page.indented.push(at + 1);
                }
                prose(&mut page, at + 1, line);
            }
        }
        is_behind_blank = inner.is_empty();
    }
    assert!(open.is_none(), "{path}: a block is open at the end");
    page
}

fn fence(line: usize, info: &str) -> Block {
    let (language, mark) = info.split_once(' ').unwrap_or((info, ""));
    let mark = match mark.trim() {
        "" => Mark::None,
        "run" => Mark::Run { fails: false },
        "run fails" => Mark::Run { fails: true },
        "output" => Mark::Output,
        "fragment" => Mark::Fragment,
        other => match (other.strip_prefix("file="), other.strip_prefix("no-run: ")) {
            (Some(path), _) => Mark::File(path.to_owned()),
            (_, Some(why)) => Mark::NoRun(why.to_owned()),
            _ => Mark::Unknown(other.to_owned()),
        },
    };
    Block { line, language: language.to_owned(), mark, text: String::new() }
}

fn prose(page: &mut Page, at: usize, line: &str) {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    if let Some(title) =
        line.get(level..).and_then(|rest| rest.strip_prefix(' ').filter(|_| level > 0))
    {
        let mut anchor = slug(title);
        let same = page.headings.iter().filter(|heading| heading.anchor == anchor).count();
        if same > 0 {
            anchor = format!("{anchor}-{same}");
        }
        page.headings.push(Heading { level, line: at, anchor });
    }
    let code = code_spans(line);
    for (middle, _) in line.match_indices("](") {
        if code.iter().any(|(from, to)| (*from..*to).contains(&middle)) {
            continue;
        }
        let (before, behind) = (&line[..middle], &line[middle + 2..]);
        let Some(end) = behind.find(')') else { continue };
        // The text may have begun on the line before.
        let from = before.rfind('[').map_or(0, |bracket| bracket + 1);
        let (text, target) = (before[from..].to_owned(), behind[..end].to_owned());
        page.links.push(Link { line: at, text, target });
    }
}

/// A heading as its anchor: the same rule in the book and where the repository is shown.
fn slug(title: &str) -> String {
    let kept = title.chars().filter_map(|c| match c {
        c if c.is_whitespace() => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// Where code stands within a line, without what is beside it.
fn code_spans(line: &str) -> Vec<(usize, usize)> {
    let ticks: Vec<usize> = line.match_indices('`').map(|(at, _)| at).collect();
    ticks.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}
