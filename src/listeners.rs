//! Sockets on which a process is reached.

use std::net::SocketAddr;

use anyhow::Context as _;
use runtime::config::{Config, Role};
use tokio::net::TcpListener;

use crate::embedded_redis::EmbeddedRedisAddress;

/// Where a worker's operator finds it, when nothing else is said.
pub(crate) const WORKER_ADMIN: &str = "127.0.0.1:9464";

/// Holds the addresses on which a process is reached.
#[derive(Debug, Default)]
pub(crate) struct BoundAddresses {
    /// Addresses for clients.
    pub(crate) public: Vec<SocketAddr>,
    /// Address for operators, when they have one of their own.
    pub(crate) admin: Option<SocketAddr>,
    /// Address for Redis clients, or why nobody listens for them.
    pub(crate) redis: Option<EmbeddedRedisAddress>,
}

/// Holds sockets that are bound and not served yet: a port in use fails the start before all else.
#[derive(Default)]
pub(crate) struct Listeners {
    pub(crate) public: Vec<TcpListener>,
    pub(crate) admin: Option<(TcpListener, SocketAddr)>,
    pub(crate) addresses: BoundAddresses,
}

impl Listeners {
    /// Binds the addresses of the settings that a role serves.
    ///
    /// # Errors
    /// Names an address that cannot be bound.
    pub(crate) async fn bind(role: Role, config: &Config) -> anyhow::Result<Self> {
        let mut listeners = Self::default();
        if role != Role::Worker {
            for address in &config.listen {
                let (listener, local) = bind(address).await?;
                listeners.public.push(listener);
                listeners.addresses.public.push(local);
            }
        }
        let worker = (role == Role::Worker).then(|| WORKER_ADMIN.to_owned());
        if let Some(address) = config.admin_listen.clone().or(worker) {
            let (listener, local) = bind(&address).await?;
            listeners.admin = Some((listener, local));
            listeners.addresses.admin = Some(local);
        }
        Ok(listeners)
    }
}

async fn bind(address: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}
