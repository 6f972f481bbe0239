//! Cuts a stream of bytes into lines, or into rows of CSV (RFC 4180: a newline may stand in
//! quotes). Knows at each moment how far whole pieces were taken: that is the position. Never
//! holds more than one piece of the size allowed beyond what was fed at once.

use std::ops::Range;

/// Bytes kept before the position, by which a file is known again.
pub(crate) const TAIL_BYTES: usize = 128;

/// Bytes kept of a piece that is too long.
const KEPT_BYTES: usize = 64 << 10;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A line or a row without its newline: where it lies in `bytes`.
    Whole(Range<usize>),
    /// One that cannot be taken.
    Bad(Bad),
}

/// A piece that cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    /// Its bytes, or the first of them.
    pub bytes: Vec<u8>,
    /// Short stable name.
    pub kind: &'static str,
    /// What is wrong with it.
    pub what: String,
    /// Where it begins and ends in the stream, newline included.
    pub from: u64,
    /// See `from`.
    pub to: u64,
}

/// Cuts one stream.
#[derive(Debug)]
pub(crate) struct Splitter {
    csv: bool,
    bytes_max: usize,
    buffer: Vec<u8>,
    /// Where `buffer` begins in the stream.
    base: u64,
    /// What lies before was taken.
    at: usize,
    /// What lies before, from `at` on, was looked at.
    seen: usize,
    field: Field,
    over: Option<Over>,
    lines: u64,
    /// Where the piece taken last begins, and its line, from 1.
    last: (u64, u64),
}

/// Where in a row of CSV one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Start,
    Plain,
    Quoted,
    /// A quote within quotes: the first of two, or the last.
    Quote,
}

/// A line that is too long, on its way out.
#[derive(Debug)]
struct Over {
    from: u64,
    kept: Vec<u8>,
    tail: Vec<u8>,
}

impl Splitter {
    /// For a stream from `position` on, where `tail` lies before and `lines` newlines were passed.
    pub fn new(csv: bool, bytes_max: usize, position: u64, tail: &[u8], lines: u64) -> Self {
        Self {
            csv,
            bytes_max,
            base: position - tail.len() as u64,
            at: tail.len(),
            seen: tail.len(),
            buffer: tail.to_vec(),
            field: Field::Start,
            over: None,
            lines,
            last: (position, lines + 1),
        }
    }

    /// How far whole pieces were taken.
    pub fn position(&self) -> u64 {
        self.over.as_ref().map_or(self.base + self.at as u64, |over| over.from)
    }

    /// Newlines before the position.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Where the piece taken last begins, and its line, from 1.
    pub fn last(&self) -> (u64, u64) {
        self.last
    }

    /// The last bytes before the position.
    pub fn tail(&self) -> &[u8] {
        match &self.over {
            Some(over) => &over.tail,
            None => &self.buffer[self.at.saturating_sub(TAIL_BYTES)..self.at],
        }
    }

    /// Bytes beyond the position that are no whole piece yet.
    pub fn rest(&self) -> u64 {
        self.base + self.buffer.len() as u64 - self.position()
    }

    /// The bytes of a piece; until the next feeding.
    pub fn bytes(&self, piece: Range<usize>) -> &[u8] {
        self.buffer.get(piece).unwrap_or_default()
    }

    /// Takes more of the stream in.
    pub fn feed(&mut self, bytes: &[u8]) {
        let drop = self.at.saturating_sub(TAIL_BYTES);
        self.buffer.drain(..drop);
        self.base += drop as u64;
        self.at -= drop;
        self.seen -= drop;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece; none if more must be fed. `end`: nothing more will come.
    pub fn next(&mut self, end: bool) -> Option<Piece> {
        loop {
            if self.over.is_some() {
                return self.next_over(end);
            }
            let newline = self.find_end();
            let length = newline.unwrap_or(self.buffer.len()) - self.at;
            if length > self.bytes_max {
                match self.first_line() {
                    Some(line) if self.csv && line <= self.bytes_max => {
                        let what = format!("the row has more than {} bytes", self.bytes_max);
                        return Some(self.refuse_line(line, "row-too-long", what));
                    }
                    _ => self.begin_over(),
                }
                continue;
            }
            let Some(newline) = newline else {
                if !end || length == 0 {
                    return None;
                }
                if self.csv && self.field == Field::Quoted {
                    let line = self.first_line().unwrap_or(length);
                    let what = "a quote is open at the end of the file".to_owned();
                    return Some(self.refuse_line(line, "open-quote", what));
                }
                let piece = self.at..self.buffer.len();
                self.take(piece.end);
                match self.trimmed(piece) {
                    piece if piece.is_empty() => return None,
                    piece => return Some(Piece::Whole(piece)),
                }
            };
            let piece = self.at..newline;
            self.take(newline + 1);
            let piece = self.trimmed(piece);
            if !piece.is_empty() {
                return Some(Piece::Whole(piece));
            }
        }
    }

    /// Where the piece at `at` ends: its newline.
    fn find_end(&mut self) -> Option<usize> {
        let unseen = &self.buffer[self.seen..];
        if !self.csv {
            let found = unseen.iter().position(|byte| *byte == b'\n');
            let found = found.map(|at| self.seen + at);
            self.seen = found.unwrap_or(self.buffer.len());
            return found;
        }
        for (at, byte) in unseen.iter().enumerate() {
            self.field = match (self.field, byte) {
                (Field::Start, b'"') | (Field::Quote, b'"') => Field::Quoted,
                (Field::Quoted, b'"') => Field::Quote,
                (Field::Quoted, _) => Field::Quoted,
                (_, b',') => Field::Start,
                (_, b'\n') => {
                    self.seen += at;
                    return Some(self.seen);
                }
                _ => Field::Plain,
            };
        }
        self.seen = self.buffer.len();
        None
    }

    /// Length of the line at `at`, whatever quotes say.
    fn first_line(&self) -> Option<usize> {
        self.buffer[self.at..].iter().position(|byte| *byte == b'\n')
    }

    /// A row whose end cannot be told costs its first line; reading goes on with the next one.
    fn refuse_line(&mut self, line: usize, kind: &'static str, what: String) -> Piece {
        let from = self.position();
        let end = self.at + line;
        let piece = self.trimmed(self.at..end);
        let bytes = self.bytes(piece).to_vec();
        self.take(self.buffer.len().min(end + 1));
        Piece::Bad(Bad { bytes, kind, what, from, to: self.position() })
    }

    fn take(&mut self, to: usize) {
        self.last = (self.position(), self.lines + 1);
        let taken = &self.buffer[self.at..to];
        self.lines += taken.iter().filter(|byte| **byte == b'\n').count() as u64;
        (self.at, self.seen, self.field) = (to, to, Field::Start);
    }

    /// Without what belongs to the end of a line: for a row the carriage return, for a line only
    /// if it holds nothing else.
    fn trimmed(&self, piece: Range<usize>) -> Range<usize> {
        match &self.buffer[piece.clone()] {
            [b'\r'] => piece.start..piece.start,
            [.., b'\r'] if self.csv => piece.start..piece.end - 1,
            _ => piece,
        }
    }

    fn begin_over(&mut self) {
        let rest = &self.buffer[self.at..];
        let kept = rest[..rest.len().min(KEPT_BYTES).min(self.bytes_max)].to_vec();
        let (from, tail) = (self.position(), self.tail().to_vec());
        self.over = Some(Over { from, kept, tail });
        self.seen = self.at;
    }

    fn next_over(&mut self, end: bool) -> Option<Piece> {
        let newline = self.first_line();
        let Some(line) = newline.or(end.then_some(self.buffer.len() - self.at)) else {
            (self.at, self.seen) = (self.buffer.len(), self.buffer.len());
            return None;
        };
        let over = self.over.take()?;
        self.take(self.buffer.len().min(self.at + line + 1));
        let kept = over.kept.len();
        let what = format!("more than {} bytes; the first {kept} are kept here", self.bytes_max);
        let (kind, to) = ("line-too-long", self.position());
        Some(Piece::Bad(Bad { bytes: over.kept, kind, what, from: over.from, to }))
    }
}
