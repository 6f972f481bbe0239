//! Links lead somewhere, in the repository and in the book; the book has every page.

use crate::book::{Page, files, pages, root};
use std::path::{Component, Path, PathBuf};

const SUMMARY: &str = "docs/SUMMARY.md";

fn none(mistakes: &[String]) {
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
}

/// A path without `..` in it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            other => plain.push(other),
        }
    }
    plain
}

/// What is wrong with a link's target, from the page on which it stands.
fn broken(page: &Page, target: &str, pages: &[Page]) -> Option<String> {
    if ["http://", "https://"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(&page.path).parent().expect("a page lies in a folder");
    let path = match path {
        "" => PathBuf::from(&page.path),
        path => plain(&folder.join(path)),
    };
    if !root().join(&path).exists() {
        return Some(format!("{} does not exist", path.display()));
    }
    let is_page = path.extension().is_some_and(|extension| extension == "md");
    if is_page && page.path.starts_with("docs/") && !path.starts_with("docs") {
        return Some("the book turns it into .html: name the file, or link its folder".to_owned());
    }
    let there = pages.iter().find(|page| Path::new(&page.path) == path);
    let known = |page: &Page| page.headings.iter().any(|heading| heading.anchor == anchor);
    let found = anchor.is_empty() || there.is_some_and(known);
    (!found).then(|| format!("{} has no heading #{anchor}", path.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut mistakes = Vec::new();
    for page in &pages {
        for link in &page.links {
            if let Some(what) = broken(page, &link.target, &pages) {
                mistakes.push(format!("{}:{}: {}: {what}", page.path, link.line, link.target));
            }
        }
    }
    none(&mistakes);
}

#[test]
fn the_summary_has_every_page_once() {
    let pages = pages();
    let summary = pages.iter().find(|page| page.path == SUMMARY).expect("the book has a summary");
    let listed: Vec<&str> = summary.links.iter().map(|link| link.target.as_str()).collect();
    let mut mistakes = Vec::new();
    for file in files() {
        let name = file.display().to_string();
        let is_page = name.ends_with(".md") && name != "SUMMARY.md";
        let times = listed.iter().filter(|target| **target == name).count();
        if is_page && times != 1 {
            mistakes.push(format!("docs/{name} stands {times} times in {SUMMARY}"));
        }
    }
    none(&mistakes);
}

#[test]
fn every_page_begins_with_its_title() {
    let bare = pages().into_iter().filter(|page| page.path != SUMMARY).filter(|page| {
        let titles = page.headings.iter().filter(|heading| heading.level == 1).count();
        titles != 1 || page.headings[0].level != 1
    });
    none(&bare.map(|page| page.path).collect::<Vec<_>>());
}
