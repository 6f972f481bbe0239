//! The book holds what it says: its snippets are run as a reader would paste them, its links lead
//! somewhere, the tests that it names as proof exist, and no page of it is left out. It never
//! judges the prose.

mod book;
mod configuration;
mod expected;
mod links;
mod ordered;
mod proofs;
mod snippets;
