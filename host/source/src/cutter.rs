//! From the bytes of a stream to records and dead letters: what files and standard input have in
//! common. JSON is not looked at here: a line goes into the topic byte for byte.

use crate::csv;
use crate::split::{Piece, Splitter};
use crate::writer::{Letter, Writer};
use std::ops::Range;

/// Cuts one stream and hands its pieces over.
pub(crate) struct Cutter {
    pub splitter: Splitter,
    csv: bool,
    header: Option<Vec<String>>,
    name: String,
}

impl Cutter {
    /// `name`: of the stream, for people. `header`: of CSV, where it lies before the position.
    pub fn new(splitter: Splitter, csv: bool, header: Option<Vec<String>>, name: String) -> Self {
        Self { splitter, csv, header, name }
    }

    /// The names that a CSV header gives, once it was read.
    pub fn header(&self) -> Option<&[String]> {
        self.header.as_deref()
    }

    /// Takes the header of CSV, if it is whole, and nothing else.
    pub fn take_header(&mut self) -> Result<(), String> {
        match self.splitter.next(false) {
            None => Ok(()),
            Some(Piece::Whole(piece)) => self.set_header(piece),
            Some(Piece::Bad(bad)) => Err(self.no_header(&bad.what)),
        }
    }

    /// Hands pieces over until the writer is full or more must be fed; true if it is full.
    /// `end`: nothing more will come. Fails if the header of CSV is none.
    pub fn hand_over(&mut self, end: bool, writer: &mut Writer) -> Result<bool, String> {
        while !writer.is_full() {
            let Some(piece) = self.splitter.next(end) else { return Ok(false) };
            // Also where only the position moves.
            writer.touch();
            match piece {
                Piece::Whole(piece) if self.csv => self.row(piece, writer)?,
                Piece::Whole(piece) => writer.add(self.splitter.bytes(piece), &[]),
                Piece::Bad(bad) if self.csv && self.header.is_none() => {
                    return Err(self.no_header(&bad.what));
                }
                Piece::Bad(bad) => {
                    let message = self.message(bad.from, bad.to, &bad.what);
                    let (bytes, offset, kind) = (&*bad.bytes, bad.from, bad.kind);
                    writer.refuse(&Letter { bytes, offset, kind, message });
                }
            }
        }
        Ok(true)
    }

    fn row(&mut self, piece: Range<usize>, writer: &mut Writer) -> Result<(), String> {
        let Some(header) = &self.header else { return self.set_header(piece) };
        let row = self.splitter.bytes(piece);
        match csv::object(header, row) {
            Ok(json) => writer.add(&json, &[]),
            Err(misfit) => {
                let (from, to) = (self.splitter.last().0, self.splitter.position());
                let message = self.message(from, to, &misfit.what);
                writer.refuse(&Letter { bytes: row, offset: from, kind: misfit.kind, message });
            }
        }
        Ok(())
    }

    fn set_header(&mut self, piece: Range<usize>) -> Result<(), String> {
        let header = csv::header(self.splitter.bytes(piece));
        self.header = Some(header.map_err(|what| self.no_header(&what))?);
        Ok(())
    }

    fn no_header(&self, what: &str) -> String {
        format!("the CSV header of {} is none: {what}", self.name)
    }

    fn message(&self, from: u64, to: u64, what: &str) -> String {
        let line = self.splitter.last().1;
        format!("{}, line {line}, bytes {from} to {to}: {what}", self.name)
    }
}
