//! Measures the workspace as a house: reads its sources and says which file names which, how long files and
//! functions are, which arrows run up, which words are private.
//!
//! An edge runs from a file to the file that defines what it names: `use` trees (`self`, `super`, `as`, `*`) and
//! paths in types, expressions, patterns, macros and serde attributes, with re-exports followed to their end.
//! `mod x;` alone is no edge, nor is a `pub use` that only hands a name on. Code under `#[cfg(test)]` is left out.

mod dialects;
mod floors;
mod graph;
mod logs;
mod manifest;
mod measure;
mod pending;
mod plan;
mod prose;
mod resolve;
mod rooms;
mod source;
mod tokens;
mod tree;
mod types;
mod walk;
mod words;
mod workspace;

pub use crate::dialects::dialects_named;
pub use crate::floors::{crates_looking_up, looking_up, spawns_out_of_place, without_floor};
pub use crate::graph::{circles, edges};
pub use crate::logs::odd_log_lines;
pub use crate::measure::{Measure, Spread};
pub use crate::plan::{Crates, Plan, PrivateWords, WordKind, Words};
pub use crate::prose::{odd_english, short_docs};
pub use crate::rooms::Rooms;
pub use crate::types::shared_names;
pub use crate::words::private_words;
pub use crate::workspace::House;
