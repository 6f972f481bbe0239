//! Standard input as a source. It has no position to go back to: what was committed counts, and
//! what was read and not committed is lost with the process. It is read once per process.

use crate::cutter::Cutter;
use crate::error::Error;
use crate::host::{Host, Shared};
use crate::split::Splitter;
use crate::writer::Writer;
use pawl_pipeline::{LineFormat, Source};
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::Duration;

/// Bytes read at once, and how many such pieces may wait.
const PIECE_BYTES: usize = 256 << 10;
const PIECES_MAX: usize = 2;

/// How often is looked for what must be committed, or for room in the topic.
const LOOK: Duration = Duration::from_millis(20);

/// Lines of a stream that cannot be read twice.
pub(crate) struct Lines {
    writer: Writer,
    cutter: Cutter,
    pieces: Receiver<std::io::Result<Vec<u8>>>,
    backlog_max: u64,
}

impl Lines {
    /// Begins to read `stream`, on a thread of its own that ends with the stream or the process.
    pub fn new(
        source: &Source,
        format: LineFormat,
        host: Host,
        stream: impl Read + Send + 'static,
    ) -> Result<Self, Error> {
        let writer = Writer::claim(source, host)?;
        let csv = format == LineFormat::Csv;
        let bytes_max = usize::try_from(source.record_bytes_max).unwrap_or(usize::MAX);
        let splitter = Splitter::new(csv, bytes_max, 0, &[], 0);
        let cutter = Cutter::new(splitter, csv, None, "standard input".to_owned());
        let pieces = read_aside(stream).map_err(|error| Error::System {
            doing: "start a thread for standard input".to_owned(),
            what: error.to_string(),
        })?;
        Ok(Self { writer, cutter, pieces, backlog_max: source.backlog_records_max })
    }

    /// Runs to the end of the stream.
    pub fn run(mut self, shared: &Arc<Shared>) -> Result<(), Error> {
        let outcome = self.read_all(shared);
        // What came before a failure counts, where it still can.
        let committed = outcome.is_err() || !self.writer.has_some();
        let outcome = if committed { outcome } else { self.writer.commit(None, shared) };
        outcome.and_then(|()| self.writer.settle(shared)).map_err(|error| {
            let what = "standard input cannot be read twice: what was read and not committed is \
                        lost; the number of records committed tells where to go on";
            Error::fatal("stdin-lost", format!("{error}; {what}"))
        })
    }

    fn read_all(&mut self, shared: &Shared) -> Result<(), Error> {
        loop {
            self.wait_for_room(shared)?;
            let draining = shared.is_draining();
            let piece = match draining {
                // What was read is taken; what is not read yet stays where it is.
                true => self.pieces.try_recv().map_err(|error| match error {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                }),
                false => self.pieces.recv_timeout(LOOK),
            };
            match piece {
                Ok(Ok(piece)) => {
                    self.cutter.splitter.feed(&piece);
                    self.hand_over(false, shared)?;
                }
                Ok(Err(error)) => {
                    self.hand_over(true, shared)?;
                    return Err(Error::System {
                        doing: "read standard input".to_owned(),
                        what: error.to_string(),
                    });
                }
                Err(RecvTimeoutError::Timeout) if draining => {
                    let rest = self.cutter.splitter.rest();
                    if rest > 0 {
                        tracing::warn!(bytes = rest, "drained in the middle of a line of stdin");
                    }
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.hand_over(true, shared),
            }
            if self.writer.is_due() {
                self.commit(shared)?;
            }
        }
    }

    fn hand_over(&mut self, end: bool, shared: &Shared) -> Result<(), Error> {
        let bad = |what| Error::fatal("csv-header", what);
        while self.cutter.hand_over(end, &mut self.writer).map_err(bad)? {
            self.commit(shared)?;
            self.wait_for_room(shared)?;
        }
        Ok(())
    }

    fn commit(&mut self, shared: &Shared) -> Result<(), Error> {
        self.writer.commit(None, shared)?;
        let position = self.cutter.splitter.position();
        shared.tell(|standing| standing.position = format!("byte {position} of standard input"));
        Ok(())
    }

    /// Nothing is read while the topic's readers lag too far behind.
    fn wait_for_room(&mut self, shared: &Shared) -> Result<(), Error> {
        if self.writer.has_some() && !self.writer.is_due() {
            return Ok(());
        }
        while !shared.is_draining() && !self.writer.has_room(self.backlog_max) {
            if self.writer.has_some() {
                self.commit(shared)?;
            }
            self.writer.settle(shared)?;
            shared.wait(LOOK);
        }
        Ok(())
    }
}

fn read_aside(
    mut stream: impl Read + Send + 'static,
) -> std::io::Result<Receiver<std::io::Result<Vec<u8>>>> {
    let (give, pieces) = sync_channel(PIECES_MAX);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = match stream.read(&mut piece) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Ok(0) => return,
                read => read,
            };
            let failed = read.is_err();
            let read = read.map(|bytes| {
                piece.truncate(bytes);
                piece
            });
            if give.send(read).is_err() || failed {
                return;
            }
        }
    })?;
    Ok(pieces)
}
