//! Sockets on which a process is reached.

use std::{io::ErrorKind, net::SocketAddr};

use anyhow::anyhow;
use runtime::config::{Config, Role};
use tokio::net::TcpListener;

use crate::{embedded_redis::EmbeddedRedisAddress, launch_error::LaunchError, port_holder};

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
    /// Names an address that cannot be bound, and who has it where the system tells.
    pub(crate) async fn bind(role: Role, config: &Config) -> Result<Self, LaunchError> {
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

async fn bind(address: &str) -> Result<(TcpListener, SocketAddr), LaunchError> {
    let bound = TcpListener::bind(address).await.and_then(|listener| {
        let local = listener.local_addr()?;
        Ok((listener, local))
    });
    bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => LaunchError::InUse(format!(
            "cannot listen on {address}: {}; PORT or LISTEN names another one",
            holder(address).unwrap_or_else(|| "another process does".to_owned())
        )),
        _ => LaunchError::Other(anyhow!("cannot listen on {address}: {error}")),
    })
}

fn holder(address: &str) -> Option<String> {
    let port = address.rsplit_once(':')?.1.parse().ok()?;
    port_holder::find(port).map(|process| format!("{process} does"))
}
