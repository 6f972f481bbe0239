//! Dead letters sent back, counted, reviewed and bounded, with the programs as people run them:
//! every chosen letter once in the replay topic, whatever is killed.

mod admitted;
mod bounds;
mod chosen;
mod counted;
mod dry_run;
mod horizon;
mod once;
mod parked;
mod room;
mod stranded;
mod world;
