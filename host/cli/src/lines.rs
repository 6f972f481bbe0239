//! Lines from a stream that may be slow, endless or without any newline. Never holds more than one
//! line beyond what was read at once, and never waits longer than it was told to.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Instant;

/// Bytes read at once, and how many such pieces may wait.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES_MAX: usize = 4;

/// Splits a stream at newlines.
pub struct Lines {
    pieces: Receiver<std::io::Result<Vec<u8>>>,
    line_bytes_max: usize,
    buffer: Vec<u8>,
    /// Where the next line begins in the buffer.
    start: usize,
    /// No newline lies between `start` and here.
    searched: usize,
    ended: bool,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A line without its newline. The last one of the stream may have had none.
    Line(&'a [u8]),
    /// The time is over, and no line was whole by then.
    Quiet,
    /// A line has more bytes than it may have. Nothing behind it can be read.
    TooLong,
    /// The stream has ended.
    End,
}

impl Lines {
    /// Reads `stream` on a thread of its own, which ends with the stream or with the process.
    pub fn new(mut stream: impl Read + Send + 'static, bytes_max: usize) -> std::io::Result<Self> {
        let (give, pieces) = sync_channel(PIECES_MAX);
        std::thread::Builder::new().name("lines".to_owned()).spawn(move || {
            loop {
                let mut piece = vec![0; PIECE_BYTES];
                let read = match stream.read(&mut piece) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    read => read,
                };
                let last = !matches!(read, Ok(1..));
                let read = read.map(|bytes| {
                    piece.truncate(bytes);
                    piece
                });
                if give.send(read).is_err() || last {
                    return;
                }
            }
        })?;
        let (start, searched, ended) = (0, 0, false);
        Ok(Self { pieces, line_bytes_max: bytes_max, buffer: Vec::new(), start, searched, ended })
    }

    /// The next line, waited for until `deadline`, or for as long as it takes.
    pub fn next(&mut self, deadline: Option<Instant>) -> std::io::Result<Next<'_>> {
        loop {
            let unseen = self.buffer.get(self.searched..).unwrap_or_default();
            let newline = unseen.iter().position(|byte| *byte == b'\n');
            let end = newline.map_or(self.buffer.len(), |at| self.searched + at);
            self.searched = end;
            if end - self.start > self.line_bytes_max {
                return Ok(Next::TooLong);
            }
            if newline.is_some() || (self.ended && end > self.start) {
                let line = self.start..end;
                self.start = self.buffer.len().min(end + 1);
                self.searched = self.start;
                return Ok(Next::Line(self.buffer.get(line).unwrap_or_default()));
            }
            if self.ended {
                return Ok(Next::End);
            }
            let piece = match deadline {
                None => self.pieces.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(deadline) => {
                    self.pieces.recv_timeout(deadline.saturating_duration_since(Instant::now()))
                }
            };
            match piece {
                Ok(piece) => {
                    self.buffer.drain(..self.start);
                    self.searched -= self.start;
                    self.start = 0;
                    self.buffer.extend_from_slice(&piece?);
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Next::Quiet),
                Err(RecvTimeoutError::Disconnected) => self.ended = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn lines(text: &'static [u8], bytes_max: usize) -> Vec<String> {
        let mut lines = Lines::new(text, bytes_max).unwrap();
        let mut found = Vec::new();
        loop {
            match lines.next(None).unwrap() {
                Next::Line(line) => found.push(String::from_utf8_lossy(line).into_owned()),
                end => {
                    found.push(format!("{end:?}"));
                    return found;
                }
            }
        }
    }

    #[test]
    fn a_last_line_without_newline_is_a_line_and_a_last_newline_makes_no_empty_one() {
        assert_eq!(lines(b"a\n\nbc", 9), ["a", "", "bc", "End"]);
        assert_eq!(lines(b"a\n", 9), ["a", "End"]);
        assert_eq!(lines(b"\n", 9), ["", "End"]);
        assert_eq!(lines(b"", 9), ["End"]);
    }

    #[test]
    fn a_line_may_have_as_many_bytes_as_the_bound_and_no_more() {
        assert_eq!(lines(b"abc\nabcd\nabc", 3), ["abc", "TooLong"]);
        assert_eq!(lines(b"abc\nabcd", 3), ["abc", "TooLong"]);
    }

    #[test]
    fn an_endless_line_is_given_up_at_the_bound() {
        let mut lines = Lines::new(std::io::repeat(b'x'), 1 << 20).unwrap();
        assert_eq!(lines.next(None).unwrap(), Next::TooLong);
        assert!(lines.buffer.len() <= (1 << 20) + PIECE_BYTES);
    }

    #[test]
    fn a_stream_that_says_nothing_is_not_waited_for_beyond_the_deadline() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut lines = Lines::new(reader, 9).unwrap();
        let soon = Instant::now() + Duration::from_millis(1);
        assert_eq!(lines.next(Some(soon)).unwrap(), Next::Quiet);
        drop(writer);
        assert_eq!(lines.next(None).unwrap(), Next::End);
    }
}
