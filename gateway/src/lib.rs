//! The gateway: terminates sockets, speaks the dialects, fans publications out.
//!
//! Inward and outward: [`accept`] takes TCP connections → [`api`] serves HTTP and sends upgrades to
//! [`upgrade`] → a [`dialect`] recognizes and opens a [`session`] on a [`connection`]. An event comes
//! by [`fanout`] → [`hub`] → [`publication`] → [`batch`] → [`connection`].

pub mod accept;
pub mod address;
pub mod address_limits;
pub mod api;
pub mod appender;
pub mod batch;
pub mod connection;
pub mod connections;
pub mod console;
pub mod cut_off;
pub mod departures;
pub mod dialect;
pub mod enquiries;
pub mod event_stream;
pub mod expiries;
pub mod fanout;
pub mod frame;
pub mod gateway;
pub mod handshake;
pub mod heartbeat;
pub mod hub;
pub mod ingest;
pub mod metrics;
pub mod outlet;
pub mod presence;
pub mod publication;
pub mod publish_limits;
pub mod registry;
pub mod session;
pub mod traces;
pub mod upgrade;
