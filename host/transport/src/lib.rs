//! Where records live between stages: topics with partitions and offsets, and the commits of the
//! tasks that read and write them.
//!
//! In order of the data's way: `transport` is the trait and its plain values, `ticket` the answer
//! to a commit, `error` what can go wrong; `embedded` is the default, one SQLite file; `memory`
//! lives as long as its value, for tests; `suite` is what every transport must pass; `lock` keeps a
//! second host off the same folder; `age` says how old a topic's rows are, `room` keeps writers
//! within a topic's bound.
//!
//! No rule of the stream is decided here: no watermark, id, dedup or route. `rusqlite` is known to
//! `embedded` and to nobody else.

pub mod age;
pub mod embedded;
pub mod error;
pub mod lock;
pub mod memory;
mod order;
pub mod room;
pub mod suite;
pub mod ticket;
pub mod transport;

pub use embedded::{Embedded, Options};
pub use error::{Class, Error, StorageKind};
pub use lock::Lock;
pub use memory::Memory;
pub use ticket::{Answer, Ticket};
pub use transport::{Dropped, ReadMax, Recovery, Retained, Topic, Transport, Trimmed};
