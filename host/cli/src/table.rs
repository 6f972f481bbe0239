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
            out.line(format!("{}{}", self.indent, self.line(row, &widths)).trim_end())?;
        }
        Ok(())
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
