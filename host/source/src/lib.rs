//! Where records come in from outside: files, standard input, HTTP requests.
//!
//! In order of the data's way: `host` is what a source is given and its handle; `file`, `stdin`
//! and `http` are the kinds; `cutter` makes records of a stream, with `split` and `csv`; `place`
//! finds key and partition; `writer` commits records with what the source must know after a crash,
//! the rows of `state`, within the bounds of `letters`. `error` says what can go wrong.
//!
//! Records and position are durable together or not at all. Nothing here judges what a record
//! holds: malformed JSON is for the first operator.

mod csv;
mod cutter;
mod error;
mod file;
mod host;
mod http;
mod letters;
mod place;
mod split;
mod state;
mod stdin;
mod writer;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use error::{Class, Error};
pub use host::{Handle, Host, Standing, start};
pub use letters::Letters;
pub use place::Placement;
