//! What a run shows of itself: metrics as text, the status as JSON, and the HTTP server that gives
//! both out beside the live page.
//!
//! In order of the data's way: `status` is the shape of what is known, `text` renders metrics,
//! `view` holds the newest of both, `server` gives them out by the rules of `answer`, over no more
//! `connections` than a bound, with the files of `page`. `spans` sends traces, where that is
//! wanted.
//!
//! It knows nothing of tasks and asks nobody: whoever runs the service puts views in. What a
//! client does can cost a connection, never more.

pub mod status;
pub mod text;
mod view;
mod page;
mod answer;
mod connections;
mod server;

pub mod spans;

pub use bytes::Bytes;
pub use server::{Error, Server};
pub use view::{Board, Health, View};
