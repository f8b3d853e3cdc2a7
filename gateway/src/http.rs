//! HTTP below the routes: accepting connections, and what each address may do.

pub mod accept;
pub mod address;
pub mod address_limits;
pub mod bodies;
pub mod health;
pub mod read_limits;
pub mod refusals;
pub mod routes;
pub mod tls;
