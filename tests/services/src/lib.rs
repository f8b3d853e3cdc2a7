//! Real services for tests: each on a free port in a directory of its own, and gone when the test process is.
//!
//! ```no_run
//! let redis = services::Redis::shared();
//! let prefix = services::unique("broker");
//! let url = services::Postgres::shared().url("store");
//! ```
//!
//! [`Redis::shared`] and [`Postgres::shared`] are started once per test process, so a suite pays for
//! one start. A test that stops, kills or fills a service starts its own with `start()`.
//! Whatever runs here was made known to a watchdog first (see [`Process`]), so nothing is
//! left over when the tests panic, are interrupted or are killed.

mod certificate;
mod haproxy;
mod nginx;
mod patience;
mod pooler;
mod port;
mod postgres;
mod process;
mod program;
mod proxy;
mod redis;
mod redis_cluster;
mod scratch;
mod sentinels;
mod watchdog;

pub use certificate::Certificate;
pub use haproxy::HaProxy;
pub use nginx::Nginx;
pub use patience::{eventually, pause};
pub use pooler::Pooler;
pub use port::free_port;
pub use postgres::{Postgres, PostgresOptions};
pub use process::{Process, Signal};
pub use proxy::Proxy;
pub use redis::{Redis, RedisOptions};
pub use redis_cluster::RedisCluster;
pub use scratch::{Scratch, unique};
pub use sentinels::Sentinels;
