//! What a page shows as output, compared with what came: `...` within a line stands for any text,
//! a line of nothing else for any lines.

const ANY: &str = "...";

/// Whether `found` is what `shown` says. Space at the end of lines does not count.
pub fn fits(shown: &str, found: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
    };
    lines_fit(&lines(shown), &lines(found))
}

fn lines_fit(shown: &[String], found: &[String]) -> bool {
    let Some((first, rest)) = shown.split_first() else { return found.is_empty() };
    if first.trim() == ANY {
        return (0..=found.len()).any(|skipped| lines_fit(rest, &found[skipped..]));
    }
    found.split_first().is_some_and(|(line, more)| line_fits(first, line) && lines_fit(rest, more))
}

fn line_fits(shown: &str, found: &str) -> bool {
    let mut parts = shown.split(ANY);
    let Some(mut left) = found.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return left.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    true
}

#[test]
fn dots_stand_for_any_text_and_alone_for_any_lines() {
    assert!(fits("one\n", "one  \n\n"));
    assert!(!fits("one", "one\ntwo"));
    assert!(!fits("one\ntwo", "one"));
    assert!(fits("took ... ms, ...", "took 17 ms, all in all"));
    assert!(fits("a...a", "a b a"));
    assert!(!fits("a...a", "a"));
    assert!(fits("...\nlast", "first\nsecond\nlast"));
    assert!(fits("first\n...", "first"));
    assert!(!fits("...\nlast\n", "last\nfirst"));
}
