//! The error codes of `docs/errors.md`, read from that page itself: what it says is said once. A
//! row of its tables is an entry; anything else on the page is for readers of the page.

/// The page.
const PAGE: &str = include_str!("../../../../docs/errors.md");

/// What the page says of one code, or of several that mean the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The heading above its table.
    pub section: &'static str,
    /// At least one.
    pub names: Vec<Name>,
    /// What happened.
    pub what: &'static str,
    /// What to try.
    pub advice: &'static str,
}

/// What an entry is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As one types it: lower-case letters, digits and `-`.
    pub code: String,
    /// The words of a message that bears no code.
    pub phrase: Option<&'static str>,
}

/// All entries, in the order of the page.
pub fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut section = "";
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            section = heading.trim_start_matches('#').trim();
        } else if let Some(entry) = entry(section, line) {
            entries.push(entry);
        }
    }
    entries
}

fn entry(section: &'static str, line: &'static str) -> Option<Entry> {
    let cells: Vec<&'static str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').collect();
    let [names, what, advice] = cells.as_slice() else { return None };
    let is_head = what.trim() == "what happened" || names.trim().starts_with("---");
    let names = if is_head { Vec::new() } else { names_in(names.trim()) };
    let (what, advice) = (what.trim(), advice.trim());
    (!names.is_empty()).then_some(Entry { section, names, what, advice })
}

/// The codes in backticks; without any the words of a message.
fn names_in(cell: &'static str) -> Vec<Name> {
    let codes = cell.split('`').skip(1).step_by(2);
    let codes: Vec<Name> = codes.map(|code| Name { code: code.to_owned(), phrase: None }).collect();
    if !codes.is_empty() {
        return codes;
    }
    let phrase = cell.split('"').nth(1).unwrap_or(cell);
    vec![Name { code: slug(phrase), phrase: Some(phrase) }]
}

/// Words as one types them.
pub fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// The codes that stand in a message: before a colon, as errors put them, or as its words.
pub fn codes_in(message: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in entries().into_iter().flat_map(|entry| entry.names) {
        let is_in = match name.phrase {
            Some(phrase) => message.contains(phrase),
            // A code is followed by what it is about.
            None => message
                .lines()
                .filter_map(|line| line.rsplit_once(": "))
                .any(|(before, _)| before.split(": ").any(|part| part.trim() == name.code)),
        };
        if is_in && !found.contains(&name.code) {
            found.push(name.code);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_row_of_the_page_is_an_entry_that_says_something() {
        let rows = PAGE.lines().filter(|line| line.starts_with("| "));
        let heads = rows.clone().filter(|line| line.contains("| what happened |")).count();
        assert_eq!(entries().len(), rows.count() - heads);
        for entry in entries() {
            assert!(entry.what.ends_with(['.', '?']), "{entry:?}");
            assert!(entry.advice.ends_with(['.', '?']), "{entry:?}");
        }
    }

    #[test]
    fn codes_are_found_in_messages_and_nothing_else_is() {
        let message = "2 of the tasks failed:\n  a/0: no-checkpoint: the task has committed\n  \
            b/1: sink alerts: sql-key: no constraint";
        assert_eq!(codes_in(message), ["no-checkpoint", "sql-key"]);
        let breaker = "a/0: circuit breaker: 600 of the last 1000 records failed (operators: x)";
        assert_eq!(codes_in(breaker), ["circuit-breaker"]);
        let fenced = "epoch 3 of task a/0 is fenced: epoch 4 holds it; stop this owner";
        assert_eq!(codes_in(fenced), ["is-fenced"]);
        assert!(codes_in("stage.snapshot.input: the state is no topic: state").is_empty());
    }

    /// The code of the host without its tests.
    fn sources() -> Vec<String> {
        let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut folders = vec![host];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if path.is_dir() && !["tests", "data"].contains(&name.as_str()) {
                    folders.push(path);
                } else if name.ends_with(".rs") && !["tests.rs", "testing.rs"].contains(&&*name) {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
                    found.push(code.to_owned());
                }
            }
        }
        found
    }

    /// The texts that stand behind `before`, white space aside.
    fn texts_behind<'t>(text: &'t str, before: &str) -> Vec<&'t str> {
        let pieces = text.split(before).skip(1);
        let quoted = pieces.filter_map(|rest| rest.trim_start().strip_prefix('"'));
        quoted.filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn every_code_in_the_sources_has_its_entry_and_every_entry_is_in_the_sources() {
        let sources = sources();
        let entries = entries();
        let names: Vec<&Name> = entries.iter().flat_map(|entry| &entry.names).collect();
        let known: BTreeSet<&str> = names.iter().map(|name| name.code.as_str()).collect();
        let is_code = |text: &str| !text.is_empty() && slug(text) == text;
        let mut used = BTreeSet::new();
        for text in &sources {
            for before in ["code: ", "fatal(", "let code = ", "set_trouble("] {
                let codes = texts_behind(text, before).into_iter();
                used.extend(codes.filter(|text| is_code(text)));
            }
        }
        assert!(used.len() > 50, "only {used:?} were found: codes are made otherwise now");
        let without: Vec<&&str> = used.iter().filter(|code| !known.contains(**code)).collect();
        assert!(without.is_empty(), "without an entry in docs/errors.md: {without:?}");
        // Texts may be broken over lines.
        let mut all: String = sources.concat();
        all.retain(|c| !c.is_whitespace());
        let is_used = |name: &&Name| {
            let in_message = [format!("\"{}\"", name.code), format!("\"{}:", name.code)];
            match name.phrase {
                Some(phrase) => all.contains(&phrase.replace(' ', "")),
                None => in_message.iter().any(|text| all.contains(text.as_str())),
            }
        };
        let nowhere: Vec<&Name> = names.into_iter().filter(|name| !is_used(name)).collect();
        assert!(nowhere.is_empty(), "in docs/errors.md and nowhere in the sources: {nowhere:?}");
    }
}
