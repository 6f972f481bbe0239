//! Effects that leave the system: real processes between a log and receivers that fail, stall,
//! and are never told what became of us. What the receiver did is the judge, not what we noted.

#[path = "../../../host/sink/tests/support/receiver.rs"]
mod receiver;

mod client;
mod subscriber;
mod world;

mod delivered;
mod incident;
mod postgres;
mod remote;
mod sources;
