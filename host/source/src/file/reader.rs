//! An open file, read on from a position, unpacked if it is packed. Says at its end whether it is
//! whole; never decides what that means.

use super::known::Known;
use crate::cutter::Cutter;
use crate::split::Splitter;
use flate2::bufread::MultiGzDecoder;
use pawl_pipeline::LineFormat;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Bytes read at once.
const PIECE_BYTES: usize = 256 << 10;

/// How files are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub format: LineFormat,
    /// What is cut off may yet come.
    pub follow: bool,
    pub bytes_max: usize,
}

/// An open file.
pub(crate) struct Reader {
    pub file: File,
    input: Input,
    pub cutter: Cutter,
    piece: Vec<u8>,
}

enum Input {
    Plain(File),
    Packed(Box<MultiGzDecoder<Growing>>),
}

/// What a reading brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Brought {
    /// More bytes.
    More,
    /// The end, for now.
    End,
    /// The packed file ends in the middle.
    CutOff,
}

/// Why a file cannot be read on.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// It holds something else than what was read from it, or less.
    Differs,
    /// The system says so, or it is damaged.
    Io(io::Error),
    /// Its CSV header is none.
    Header(String),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Reader {
    /// Opens a file that is the known one, to go on at its position.
    pub fn open(file: File, known: &Known, manner: Manner) -> Result<Self, Unreadable> {
        let csv = manner.format == LineFormat::Csv;
        let mut header = None;
        if csv && known.position > 0 {
            header = read_header(input(&file, known, manner)?, known, manner)?;
        }
        let mut input = input(&file, known, manner)?;
        let before = known.position - known.tail_bytes() as u64;
        match &mut input {
            Input::Plain(file) => drop(file.seek(SeekFrom::Start(before))?),
            Input::Packed(packed) => skip(packed, before)?,
        }
        let mut tail = vec![0; known.tail_bytes()];
        input.fill(&mut tail)?;
        if !known.has_tail(&tail) {
            return Err(Unreadable::Differs);
        }
        let (position, lines) = (known.position, known.lines);
        let splitter = Splitter::new(csv, manner.bytes_max, position, &tail, lines);
        let cutter = Cutter::new(splitter, csv, header, known.name.clone());
        Ok(Self { file, input, cutter, piece: Vec::new() })
    }

    /// Feeds the cutter with more.
    pub fn read(&mut self) -> io::Result<Brought> {
        self.piece.resize(PIECE_BYTES, 0);
        let read = loop {
            match self.input.read(&mut self.piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => Ok(Brought::End),
            Ok(bytes) => {
                self.cutter.splitter.feed(&self.piece[..bytes]);
                Ok(Brought::More)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => Ok(Brought::End),
                io::ErrorKind::UnexpectedEof => Ok(Brought::CutOff),
                _ => Err(error),
            },
        }
    }

    /// Gives memory back that is not needed while nothing comes.
    pub fn rest(&mut self) {
        self.piece = Vec::new();
    }
}

impl Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(into),
            Self::Packed(packed) => packed.read(into),
        }
    }

    /// Fills all of `into`; a stream that ends before is another one than it was.
    fn fill(&mut self, into: &mut [u8]) -> Result<(), Unreadable> {
        let mut filled = 0;
        while filled < into.len() {
            match self.read(&mut into[filled..]) {
                Ok(0) => return Err(Unreadable::Differs),
                Ok(read) => filled += read,
                Err(error) => ended(error)?,
            }
        }
        Ok(())
    }
}

fn input(file: &File, known: &Known, manner: Manner) -> io::Result<Input> {
    let mut own = file.try_clone()?;
    own.seek(SeekFrom::Start(0))?;
    if !known.packed {
        return Ok(Input::Plain(own));
    }
    let growing = Growing { file: BufReader::new(own), follow: manner.follow };
    Ok(Input::Packed(Box::new(MultiGzDecoder::new(growing))))
}

/// The header line of CSV, which lies before the position.
fn read_header(
    mut input: Input,
    known: &Known,
    manner: Manner,
) -> Result<Option<Vec<String>>, Unreadable> {
    let splitter = Splitter::new(true, manner.bytes_max, 0, &[], 0);
    let mut cutter = Cutter::new(splitter, true, None, known.name.clone());
    let mut piece = vec![0; 8 << 10];
    while cutter.header().is_none() {
        let read = match input.read(&mut piece) {
            Ok(0) => return Err(Unreadable::Differs),
            Ok(read) => read,
            Err(error) => {
                ended(error)?;
                continue;
            }
        };
        cutter.splitter.feed(&piece[..read]);
        cutter.take_header().map_err(Unreadable::Header)?;
    }
    Ok(cutter.header().map(<[String]>::to_vec))
}

fn skip(packed: &mut MultiGzDecoder<Growing>, mut count: u64) -> Result<(), Unreadable> {
    let mut piece = vec![0; PIECE_BYTES];
    while count > 0 {
        let most = piece.len().min(usize::try_from(count).unwrap_or(usize::MAX));
        match packed.read(&mut piece[..most]) {
            Ok(0) => return Err(Unreadable::Differs),
            Ok(read) => count -= read as u64,
            Err(error) => ended(error)?,
        }
    }
    Ok(())
}

/// Before the position there was more once.
fn ended(error: io::Error) -> Result<(), Unreadable> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock | io::ErrorKind::UnexpectedEof => Err(Unreadable::Differs),
        _ => Err(Unreadable::Io(error)),
    }
}

/// A file whose end is not the end of the stream if it may grow: what is being unpacked then stays
/// as it is until more is there.
struct Growing {
    file: BufReader<File>,
    follow: bool,
}

impl Read for Growing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let count = ready.len().min(into.len());
        into[..count].copy_from_slice(&ready[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Growing {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let follow = self.follow;
        let ready = self.file.fill_buf()?;
        if ready.is_empty() && follow {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(ready)
    }

    fn consume(&mut self, count: usize) {
        self.file.consume(count);
    }
}
