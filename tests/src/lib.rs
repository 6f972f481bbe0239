//! What the tests of whole processes share: folders with a pipeline in them, the built `pawl`
//! started and killed there, topics and counters read back, input made from a seed.
//!
//! A test that needs a process, a real kill or built plugins belongs here; whatever can be tested
//! with less does not. Nothing here skips: what is not built fails and says how to build it.

pub mod folder;
pub mod input;
pub mod letters;
pub mod process;
pub mod random;
pub mod sent_back;
pub mod stored;
pub mod wait;

pub use folder::Folder;
pub use letters::Draft;
pub use process::{Ended, Running};
pub use random::Random;
pub use stored::{Letter, Stored};
pub use wait::{wait_for, within};
