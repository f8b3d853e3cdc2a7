//! One gateway node: its services, what the broker brings, orders of other processes, its drain.

pub mod audit;
pub mod control;
mod delivery_trace;
pub mod denylist;
pub mod drain;
pub mod fanout;
mod foreign_epochs;
pub mod reminders;
pub mod services;
pub mod status_announcer;
pub mod status_reporter;
