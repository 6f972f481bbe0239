//! Tables for people: columns aligned, two spaces between them, titles above. Scripts ask for
//! `--json`. Control characters in a cell are escaped, so that no row can break out of its line.

use crate::out::{Out, shown};
use crate::terminal::{self, Paint};
use anyhow::Result;

/// A column's title and its side.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    right: bool,
}

impl Column {
    /// For words.
    pub fn left(title: &'static str) -> Self {
        Self { title, right: false }
    }

    /// For numbers.
    pub fn right(title: &'static str) -> Self {
        Self { title, right: true }
    }
}

/// A table that is being put together.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    indent: &'static str,
}

impl Table {
    /// Without rows.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), indent: "" }
    }

    /// As `new`, with this before each line.
    pub fn indented(columns: &[Column], indent: &'static str) -> Self {
        Self { indent, ..Self::new(columns) }
    }

    /// Adds a row: one cell for each column.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| shown(cell)).collect());
    }

    /// Writes it.
    pub fn print(&self, out: &mut Out) -> Result<()> {
        let titles: Vec<String> =
            self.columns.iter().map(|column| column.title.to_owned()).collect();
        let width = |at: usize| {
            let cells = self.rows.iter().chain([&titles]).filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let head = self.line(&titles, &widths);
        out.line(format!("{}{}", self.indent, terminal::paint(Paint::Bold, &head)))?;
        for row in &self.rows {
            for line in self.wrapped(row, &widths) {
                out.line(format!("{}{}", self.indent, self.line(&line, &widths)).trim_end())?;
            }
        }
        Ok(())
    }

    /// A row as lines: on a terminal the last cell goes on below itself where it is too wide.
    fn wrapped(&self, row: &[String], widths: &[usize]) -> Vec<Vec<String>> {
        const NARROWEST: usize = 24;
        let before: usize = widths.iter().rev().skip(1).map(|width| width + 2).sum();
        let room = terminal::stdout_width()
            .map(|width| width.saturating_sub(before + self.indent.len()))
            .filter(|room| *room >= NARROWEST);
        let (Some(room), Some((last, others))) = (room, row.split_last()) else {
            return vec![row.to_vec()];
        };
        let mut lines: Vec<Vec<String>> = Vec::new();
        for piece in wrapped(last, room) {
            let first = lines.is_empty();
            let cells = others.iter().map(|cell| if first { cell.clone() } else { String::new() });
            lines.push(cells.chain([piece]).collect());
        }
        if lines.is_empty() { vec![row.to_vec()] } else { lines }
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let cells = row.iter().zip(&self.columns).zip(widths);
        let cells: Vec<String> = cells
            .map(|((cell, column), width)| match column.right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            })
            .collect();
        cells.join("  ").trim_end().to_owned()
    }
}

/// A text in lines of at most `width` characters, where its words permit.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
