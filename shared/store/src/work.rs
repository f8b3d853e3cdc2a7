//! Work in SQL: tasks for one agent, their attempts, and the agents that are there (contract §8).
//!
//! A batch's transaction locks the rows of the tasks that it touches ([`rows`]) and judges each step
//! against them ([`mod@bench`]); the owner of a source reads what is due ([`due`]) and who could have what
//! ([`lanes`]); nodes say which agents they have ([`agents`]) and fetch what is to be handed over
//! ([`handover`]). [`view`] is what is shown.

pub(super) mod agents;
pub(super) mod bench;
mod database;
pub(super) mod due;
pub(super) mod handover;
pub(super) mod lanes;
pub(super) mod port;
pub(super) mod rows;
pub(super) mod signals;
pub(super) mod view;

/// Without a heartbeat for so long a node counts as dead, ms (contract §8).
pub const NODE_DEAD_MS: i64 = 15_000;
