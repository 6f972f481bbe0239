//! The catalogue of laws: what is checked, why it matters, and what to do when it fails. The book
//! and the report take their words from here, so that they cannot say anything else.

use std::fmt::Write;

/// A law that every plugin keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Law {
    /// CF-01.
    Component = 1,
    /// CF-02.
    Description,
    /// CF-03.
    Wiring,
    /// CF-04.
    ConfigurationNeverTraps,
    /// CF-05.
    ConfigurationErrors,
    /// CF-06.
    SamplesNeverTrap,
    /// CF-07.
    Limits,
    /// CF-08.
    WellFormed,
    /// CF-09.
    MoreEnds,
    /// CF-10.
    SecondInstance,
    /// CF-11.
    Taken,
    /// CF-12.
    BatchSize,
    /// CF-13.
    Causes,
    /// CF-14.
    EmptyBatch,
    /// CF-15.
    Snapshot,
    /// CF-16.
    Restore,
    /// CF-17.
    EqualParts,
    /// CF-18.
    Unchanged,
    /// CF-19.
    DamagedState,
    /// CF-20.
    Advance,
    /// CF-21.
    Delay,
    /// CF-22.
    Ahead,
    /// CF-23.
    AbsentKeys,
    /// CF-24.
    EmptyValues,
    /// CF-25.
    LargeValues,
    /// CF-26.
    MutatedRecords,
    /// CF-27.
    Memory,
    /// CF-28.
    Ids,
}

/// What a person is told of a law.
pub(crate) struct Words {
    pub name: &'static str,
    pub title: &'static str,
    pub why: &'static str,
    pub mend: &'static str,
}

impl Law {
    /// All of them, in order.
    pub const ALL: [Law; 28] = [
        Law::Component,
        Law::Description,
        Law::Wiring,
        Law::ConfigurationNeverTraps,
        Law::ConfigurationErrors,
        Law::SamplesNeverTrap,
        Law::Limits,
        Law::WellFormed,
        Law::MoreEnds,
        Law::SecondInstance,
        Law::Taken,
        Law::BatchSize,
        Law::Causes,
        Law::EmptyBatch,
        Law::Snapshot,
        Law::Restore,
        Law::EqualParts,
        Law::Unchanged,
        Law::DamagedState,
        Law::Advance,
        Law::Delay,
        Law::Ahead,
        Law::AbsentKeys,
        Law::EmptyValues,
        Law::LargeValues,
        Law::MutatedRecords,
        Law::Memory,
        Law::Ids,
    ];

    /// Its number, which never changes.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Its name: `CF-07`.
    pub fn id(self) -> String {
        format!("CF-{:02}", self.number())
    }

    /// The law of that name or number: `CF-07`, `cf-7` and `7` are the same.
    pub fn parse(text: &str) -> Option<Law> {
        let digits = match text.get(..3) {
            Some(head) if head.eq_ignore_ascii_case("cf-") => text.get(3..)?,
            _ => text,
        };
        let number: u8 = digits.parse().ok()?;
        Law::ALL.into_iter().find(|law| law.number() == number)
    }

    /// What it is about, in a word or two: `batch-size`.
    pub fn name(self) -> &'static str {
        self.words().name
    }

    /// What must hold.
    pub fn title(self) -> &'static str {
        self.words().title
    }

    /// Why it matters.
    pub fn why(self) -> &'static str {
        self.words().why
    }

    /// What to do when it fails.
    pub fn mend(self) -> &'static str {
        self.words().mend
    }

    /// Laws without which a look at this one says nothing: if one of them failed, it is not shown.
    pub(crate) fn rests_on(self) -> &'static [Law] {
        match self {
            Law::Taken | Law::Causes | Law::Snapshot => &[Law::SecondInstance],
            Law::BatchSize => &[Law::SecondInstance, Law::Taken],
            Law::EmptyBatch => &[Law::SecondInstance, Law::Taken, Law::BatchSize],
            Law::Restore => &[Law::SecondInstance, Law::BatchSize, Law::Snapshot],
            Law::EqualParts => &[Law::SecondInstance, Law::Snapshot, Law::Restore],
            Law::Unchanged => &[Law::SecondInstance, Law::Snapshot, Law::Restore, Law::EqualParts],
            Law::DamagedState | Law::Memory => &[Law::Snapshot],
            Law::Ids => &[Law::SecondInstance, Law::BatchSize],
            _ => &[],
        }
    }

    fn words(self) -> &'static Words {
        crate::words::of(self)
    }
}

/// All laws as a chapter of the book, in Markdown.
pub fn catalogue() -> String {
    let mut text = String::new();
    for law in Law::ALL {
        let Words { name, title, why, mend } = law.words();
        let id = law.id();
        writeln!(text, "### {id} {name}\n\n{title}\n\n*Why:* {why}\n\n*To mend:* {mend}\n")
            .expect("writing into a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_law_is_found_by_number_and_by_name() {
        for (at, law) in Law::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(law.number()), at + 1);
            assert_eq!(Law::parse(&law.id()), Some(law));
            assert_eq!(Law::parse(&law.number().to_string()), Some(law));
            assert!(law.rests_on().iter().all(|other| *other < law), "{law:?}");
        }
        for text in ["", "0", "29", "CF-", "CF-x", "-1", "ä"] {
            assert_eq!(Law::parse(text), None, "{text}");
        }
        assert_eq!(Law::parse("cf-7"), Some(Law::Limits));
    }

    #[test]
    fn the_book_says_what_the_code_says() {
        let book = include_str!("../../../docs/conformance.md");
        let begin = "<!-- laws -->\n";
        let laws = book.split(begin).nth(1).expect("the book has a place for the laws");
        assert_eq!(laws.trim(), catalogue().trim(), "paste `pawl conformance --laws` there");
    }
}
