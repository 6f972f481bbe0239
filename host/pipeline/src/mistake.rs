//! Mistakes and warnings: what is wrong in a pipeline file, where, and what it should be.
//!
//! A mistake never stops the search for further ones.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

/// How many mistakes are printed; the rest is counted.
const PRINTED_MAX: usize = 50;

/// One thing that is wrong. The pipeline does not run with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, as `--set` would name it (`stage.observe.late`). Empty: the file as a whole.
    pub path: String,
    /// What is wrong, what it should be, and what was probably meant.
    pub what: String,
}

/// One thing that is allowed and probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where, as `--set` would name it.
    pub path: String,
    /// What follows from it, and what would help.
    pub what: String,
}

/// All mistakes of one pipeline file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// The file, if the pipeline came from one.
    pub file: Option<PathBuf>,
    /// In the order of the file, as far as it has one.
    pub list: Vec<Mistake>,
}

impl Mistakes {
    /// The file as a whole cannot be used.
    pub(crate) fn whole_file(what: impl Into<String>) -> Self {
        Self { file: None, list: vec![Mistake { path: String::new(), what: what.into() }] }
    }

    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_at(f, &self.path, &self.what)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_at(f, &self.path, &self.what)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: ", file.display())?,
            None => write!(f, "pipeline: ")?,
        }
        if let [only] = self.list.as_slice() {
            return only.fmt(f);
        }
        write!(f, "{} mistakes", self.list.len())?;
        for mistake in self.list.iter().take(PRINTED_MAX) {
            write!(f, "\n  {mistake}")?;
        }
        match self.list.len().saturating_sub(PRINTED_MAX) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl std::error::Error for Mistakes {}

fn write_at(f: &mut fmt::Formatter<'_>, path: &str, what: &str) -> fmt::Result {
    match path {
        "" => write!(f, "{what}"),
        path => write!(f, "{path}: {what}"),
    }
}

/// Gathers mistakes and warnings while a file is read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    mistakes: RefCell<Vec<Mistake>>,
    warnings: RefCell<Vec<Warning>>,
}

impl Report {
    pub(crate) fn mistake(&self, path: impl Into<String>, what: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake { path: path.into(), what: what.into() });
    }

    pub(crate) fn warn(&self, path: impl Into<String>, what: impl Into<String>) {
        self.warnings.borrow_mut().push(Warning { path: path.into(), what: what.into() });
    }

    /// `value` and the warnings if there was no mistake, else all mistakes.
    pub(crate) fn finish<T>(self, value: T) -> Result<(T, Vec<Warning>), Mistakes> {
        match self.mistakes.into_inner() {
            list if list.is_empty() => Ok((value, self.warnings.into_inner())),
            list => Err(Mistakes { file: None, list }),
        }
    }
}
