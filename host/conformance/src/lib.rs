//! Holds a plugin to the contract with operators: numbered laws, each checked by playing the host.
//!
//! `law` says what is checked; `sample` and `history` are what is shown to the plugin; `player`
//! plays the host and `trace` is what came of it; `kit` holds all that together for `checks`, one
//! function per law; `shrink` makes what broke a law small, and `report` says it. The contract is
//! all that a check may rest on: never on how some SDK happens to keep it, and where the contract
//! leaves freedom nothing fails. A plugin is hostile: it may hang, hoard or lie, and none of that
//! may stop the kit.

mod checks;
mod config;
mod history;
mod kit;
mod law;
mod mutate;
mod player;
mod random;
mod report;
mod rounds;
mod run;
mod sample;
mod shrink;
mod times;
mod trace;
mod watch;
mod words;

pub use law::{Law, catalogue};
pub use report::{Checked, Finding, Outcome, Report};
pub use run::{Error, Plan, run};
pub use sample::Sample;
