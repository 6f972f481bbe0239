//! A page that says something of behaviour names the test that shows it, by file and function. Here
//! each of them is looked up, so that no proof gets lost when tests are renamed.

use crate::book::{Page, pages, root};
use std::path::Path;

/// The page whose every question needs a proof.
const QUESTIONS: &str = "docs/delivery.md";

/// Lines on which tests are named, with the function and its file.
fn named(page: &Page) -> Vec<(usize, &str, String)> {
    let links = page.links.iter().filter(|link| link.target.ends_with(".rs"));
    let functions = links.filter_map(|link| {
        let name = link.text.strip_prefix('`')?.strip_suffix('`')?;
        let folder = Path::new(&page.path).parent()?;
        Some((link.line, name, folder.join(&link.target).display().to_string()))
    });
    functions.collect()
}

#[test]
fn every_test_that_is_named_exists() {
    let mut mistakes = Vec::new();
    for page in pages() {
        for (line, name, file) in named(&page) {
            let text = std::fs::read_to_string(root().join(&file)).unwrap_or_default();
            // Formatted code: the attribute stands on a line of its own before the function.
            let function = format!("#[test]\nfn {name}()");
            let plain: Vec<&str> = text.lines().map(str::trim_start).collect();
            if !plain.join("\n").contains(&function) {
                mistakes.push(format!("{}:{line}: {file} has no test {name}", page.path));
            }
        }
    }
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
}

#[test]
fn each_of_the_five_questions_names_its_proof() {
    let pages = pages();
    let page = pages.iter().find(|page| page.path == QUESTIONS).expect("the page of the questions");
    let proofs = named(page);
    let starts: Vec<_> = page.headings.iter().filter(|heading| heading.level == 2).collect();
    let mut questions = 0;
    for (at, heading) in starts.iter().enumerate() {
        let end = starts.get(at + 1).map_or(usize::MAX, |next| next.line);
        let inside = proofs.iter().any(|(line, ..)| (heading.line..end).contains(line));
        if heading.anchor.starts_with(|first: char| first.is_ascii_digit()) {
            questions += 1;
            assert!(inside, "{QUESTIONS}:{}: #{} names no test", heading.line, heading.anchor);
        }
    }
    assert_eq!(questions, 5);
}
