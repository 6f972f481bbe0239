//! The layout of pipeline files: stable, and nothing lost.

use super::repository;
use crate::format;

fn formatted(text: &str) -> String {
    format(text).unwrap()
}

#[test]
fn every_pipeline_file_of_the_project_is_laid_out_so() {
    let mut seen = 0;
    for entry in std::fs::read_dir(repository().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(formatted(&text), text, "`pawl fmt {}`", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 3);
}

#[test]
fn white_space_is_laid_out_anew_and_comments_stay_where_they_are() {
    let text = "\n\n# top\n\n\n  a=1   # one\n\nb   =[1,2 , 3]\n c.d = {x=1,y = [ ]}\n# table\n\
        [ t . u ]   # header\n\n\n e = \"a # b\"  \n[[ l ]]\nf = {}\r\n\n\n# end\n\n";
    let expected = "# top\n\na = 1 # one\n\nb = [1, 2, 3]\nc.d = { x = 1, y = [] }\n\n# table\n\
        [t.u] # header\ne = \"a # b\"\n\n[[l]]\nf = {}\n\n# end\n";
    assert_eq!(formatted(text), expected);
}

#[test]
fn a_list_that_is_too_long_or_has_comments_has_a_line_for_each_item() {
    let long: Vec<String> = (0..9).map(|n| format!("\"column-number-{n}\"")).collect();
    let one_line = format!("key = [{}]\n", long.join(","));
    let lines: String = long.iter().map(|item| format!("    {item},\n")).collect();
    assert_eq!(formatted(&one_line), format!("key = [\n{lines}]\n"));
    let commented = "key = [ # open\n 1, # one\n # two comes\n2 # two\n,\n# close\n]\n";
    let expected = "key = [\n    # open\n    1, # one\n    # two comes\n    2, # two\n    \
        # close\n]\n";
    assert_eq!(formatted(commented), expected);
    assert_eq!(formatted(expected), expected);
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    let error = format("a = 1\nb = \n").unwrap_err().to_string();
    assert!(error.contains("line 2, column 5"), "{error}");
}

/// A small generator: the same seed makes the same text.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % end
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    fn space(&mut self) -> &'static str {
        self.one(&["", " ", "  ", "\t"])
    }

    fn comment(&mut self) -> &'static str {
        self.one(&["# one", "#two ", "# \"three\" = [", "#"])
    }

    /// Between the items of a list: here lines may end.
    fn gap(&mut self, comments: bool) -> String {
        match self.below(8) {
            0 => "\n".to_owned(),
            1 if comments => format!(" {}\n", self.comment()),
            2 if comments => format!("\n{}\n\n", self.comment()),
            _ => self.space().to_owned(),
        }
    }

    fn value(&mut self, depth: u64) -> String {
        let scalars =
            ["1", "-7", "0.5", "true", "\"a # b\"", "'c'", "1979-05-27", "\"\"\"x\n# y\"\"\""];
        match self.below(if depth == 0 { 1 } else { 4 }) {
            2 => {
                let mut text = "[".to_owned();
                for _ in 0..self.below(9) {
                    let (before, behind) = (self.gap(true), self.gap(true));
                    text += &format!("{before}{}{behind},", self.value(depth - 1));
                }
                text + &self.gap(true) + "]"
            }
            3 => {
                let count = self.below(4);
                let items = (0..count).map(|n| {
                    let (space, value) = (self.space(), self.value(depth - 1));
                    format!("{space}k{n}{space}={space}{value}{space}")
                });
                format!("{{{}}}", items.collect::<Vec<_>>().join(","))
            }
            _ => self.one(&scalars).to_owned(),
        }
    }

    fn file(&mut self) -> String {
        let mut text = String::new();
        for number in 0..self.below(12) {
            let (space, end) = (self.space(), self.one(&["\n", "\r\n", "\n\n\n", " # end\n"]));
            text += &match self.below(6) {
                0 => format!("{space}{}\n", self.comment()),
                1 => format!("{space}[{space}t{number}{space}.{space}\"u v\"{space}]{end}"),
                2 => format!("{space}[[{space}list{space}]]{end}"),
                3 => format!("{space}a{number}{space}.{space}b = {}{end}", self.value(1)),
                _ => format!("{space}f{number}{space}={space}{}{end}", self.value(3)),
            };
        }
        text + "last = 1"
    }
}

/// The comments of a text, sorted.
fn comments(text: &str) -> Vec<&str> {
    let tokens = toml_parser::Source::new(text).lex();
    let comments = tokens.filter(|token| token.kind() == toml_parser::lexer::TokenKind::Comment);
    let shown = |span: toml_parser::Span| text[span.start()..span.end()].trim_end();
    let mut found: Vec<&str> = comments.map(|token| shown(token.span())).collect();
    found.sort_unstable();
    found
}

#[test]
fn laid_out_again_nothing_changes_and_no_value_and_no_comment_is_ever_lost() {
    for seed in 0..3_000 {
        let text = Random(seed).file();
        let once = formatted(&text);
        assert_eq!(formatted(&once), once, "seed {seed}: {text:?}");
        let before = text.parse::<toml::Table>().unwrap();
        assert_eq!(once.parse::<toml::Table>().unwrap(), before, "seed {seed}: {text:?}");
        assert_eq!(comments(&once), comments(&text), "seed {seed}: {text:?}");
        assert!(!once.contains("\n\n\n") || text.contains("\"\"\""), "seed {seed}: {once:?}");
    }
}
