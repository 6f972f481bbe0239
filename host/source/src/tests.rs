//! Tests of sources as their host sees them.

mod cutting;
mod files;
mod following;
mod requests;
mod streams;
