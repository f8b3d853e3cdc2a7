//! The listener for Redis clients in a process of its own, with the broker in memory.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use gateway::{
    ingest::redis_listener::{self, RedisListener},
    node::services::Services,
};
use runtime::{config::Role, lifecycle::Lifecycle};
use tokio::net::TcpListener;

/// Where Redis clients are served.
#[derive(Debug)]
pub(crate) enum EmbeddedRedisAddress {
    /// The address that is listened on.
    Serving(SocketAddr),
    /// Nowhere: the address that was wanted, and why it is not to be had.
    Taken(String, std::io::Error),
}

/// Starts the listener. Returns none when the settings or the role ask for none. An address that is
/// taken ends nothing: everything else goes on without it.
pub(crate) async fn serve(
    role: Role,
    gateway: &Services,
    life: &Lifecycle,
) -> Option<EmbeddedRedisAddress> {
    let wanted =
        gateway.context.config.embedded_redis.listen.clone().filter(|_| role == Role::Whole)?;
    let bound = match TcpListener::bind(&wanted).await {
        Ok(socket) => socket.local_addr().map(|at| (socket, at)),
        Err(error) => Err(error),
    };
    let (socket, at) = match bound {
        Ok(bound) => bound,
        Err(error) => {
            tracing::warn!(address = wanted, %error, "redis listener: nobody takes XADD here");
            return Some(EmbeddedRedisAddress::Taken(wanted, error));
        }
    };
    let listener = RedisListener {
        broker: Arc::clone(&gateway.broker),
        auth: Arc::clone(&gateway.context.auth),
        address_limits: Arc::clone(&gateway.address_limits),
        key_prefix: gateway.context.config.key_prefix.clone(),
        partitions: gateway.context.publisher.partition_count(),
        open: !gateway.context.config.production(),
        limits: gateway.context.config.embedded_redis.clone(),
    };
    gateway.redis_port.get_or_init(|| at.port());
    life.spawn(redis_listener::serve(socket, Arc::new(listener), life.clone()));
    Some(EmbeddedRedisAddress::Serving(at))
}

/// A command to try.
pub(crate) fn example(at: SocketAddr, key_prefix: &str) -> String {
    let at = reachable(at);
    let host = match at.ip() {
        IpAddr::V4(Ipv4Addr::LOCALHOST) => String::new(),
        ip => format!(" -h {ip}"),
    };
    format!(
        "redis-cli{host} -p {} XADD {key_prefix}:deployments '*' type deployment_update id demo \
         data '{{\"status\":\"building\",\"progress\":50}}'",
        at.port()
    )
}

/// Returns the address under which this machine reaches what listens on `address`: nobody can
/// connect to "everywhere".
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_connected_to() {
        let shown = |text: &str| format!("http://{}", reachable(text.parse().unwrap()));
        assert_eq!(shown("[::]:8080"), "http://[::1]:8080");
        assert_eq!(shown("0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(shown("10.0.0.1:1"), "http://10.0.0.1:1");
        let at = "[::]:7".parse().unwrap();
        assert!(example(at, "x").starts_with("redis-cli -h ::1 -p 7 XADD x:deployments '*' type "));
    }
}
