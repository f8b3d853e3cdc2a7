//! What every store must do, asked of SQLite and of a real PostgreSQL alike.
//!
//! Each scenario is written once, against the port, and run on both engines; what only one engine
//! can be asked has a file of its own. The rules are those of the record in the README.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "store/bench.rs"]
mod bench;
#[path = "store/dead_letters.rs"]
mod dead_letters;
#[path = "store/deadlines.rs"]
mod deadlines;
#[path = "store/deliveries.rs"]
mod deliveries;
#[path = "store/denials.rs"]
mod denials;
#[path = "store/entities.rs"]
mod entities;
#[path = "store/epoch.rs"]
mod epoch;
#[path = "store/operation.rs"]
mod operation;
#[path = "store/property.rs"]
mod property;
#[path = "store/reading.rs"]
mod reading;
#[path = "store/recording.rs"]
mod recording;
#[path = "store/repeats.rs"]
mod repeats;
#[path = "store/retention.rs"]
mod retention;
#[path = "store/sources.rs"]
mod sources;
