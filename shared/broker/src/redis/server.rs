//! Where Redis is: the URL, and the primary that it leads to at the moment.

use std::time::Duration;

use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, RedisError,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::sync::Mutex;

use crate::BrokerError;

/// How long connecting and greeting may take, each.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the Sentinels may take; one of them may be dead.
const SENTINEL_TIMEOUT: Duration = Duration::from_secs(5);

/// After so long without an answer the kernel gives a connection up.
pub(super) const USER_TIMEOUT: Duration = Duration::from_secs(10);

const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;

/// How to find the primary.
pub(super) enum RedisServer {
    /// It is always there.
    Fixed(Box<ConnectionInfo>),
    /// The Sentinels know.
    Sentinels(Box<Mutex<SentinelClient>>),
}

impl RedisServer {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`BrokerError::Address`].
    pub(super) fn parse(url: &str) -> Result<Self, BrokerError> {
        crypto::install();
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        match scheme {
            "redis" | "rediss" | "valkey" | "valkeys" | "unix" | "redis+unix" | "valkey+unix" => {
                Ok(Self::Fixed(Box::new(settings(url)?)))
            }
            "redis+sentinel" | "rediss+sentinel" | "valkey+sentinel" | "valkeys+sentinel" => {
                let scheme = scheme.trim_end_matches("+sentinel");
                Ok(Self::Sentinels(Box::new(Mutex::new(sentinels(scheme, rest)?))))
            }
            other => Err(wrong(&format!(
                "{other:?} is none of redis, rediss, redis+sentinel, redis+cluster"
            ))),
        }
    }

    /// The address, credentials and socket options of the present primary. It still has to be asked
    /// whether it is one.
    pub(super) async fn primary(&self) -> Result<ConnectionInfo, BrokerError> {
        match self {
            Self::Fixed(info) => Ok(info.as_ref().clone()),
            Self::Sentinels(client) => {
                let asking = async { client.lock().await.async_get_client().await };
                let client = tokio::time::timeout(SENTINEL_TIMEOUT, asking)
                    .await
                    .map_err(|_| BrokerError::Unavailable("no Sentinel answers".to_owned()))?
                    .map_err(|error| BrokerError::Unavailable(error.to_string()))?;
                Ok(plain(client.get_connection_info().clone()))
            }
        }
    }
}

/// A URL that is wrong for this reason.
pub(super) fn wrong(reason: &str) -> BrokerError {
    BrokerError::Address(reason.to_owned())
}

/// Reads the URL of one server.
///
/// # Errors
/// [`BrokerError::Address`].
pub(super) fn settings(url: &str) -> Result<ConnectionInfo, BrokerError> {
    crypto::install();
    let unreadable = |error: RedisError| BrokerError::Address(error.to_string());
    let info = url.into_connection_info().map_err(unreadable)?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(wrong("#insecure is not supported; SSL_CERT_FILE may name your authority"));
    }
    Ok(plain(info))
}

/// RESP2 with our socket options: commands need no pushes, and replies have one shape.
fn plain(info: ConnectionInfo) -> ConnectionInfo {
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    info.set_redis_settings(redis).set_tcp_settings(tcp_settings())
}

fn tcp_settings() -> TcpSettings {
    TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive())
        .set_user_timeout(USER_TIMEOUT)
}

pub(super) fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES)
}

/// Reads `[user[:password]@]host:port,host:port/[db]?master=NAME`; `sentinel_user` and
/// `sentinel_password` are for Sentinels that want a password of their own.
fn sentinels(scheme: &str, rest: &str) -> Result<SentinelClient, BrokerError> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, db) = place.split_once('/').unwrap_or((place, ""));
    let (credentials, hosts) = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
        None => (String::new(), authority),
    };
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let master = parameter("master").filter(|name| !name.is_empty());
    let master = master.ok_or_else(|| wrong("?master=NAME is missing"))?;
    // Each address is read by the library's own rules, with the same credentials.
    let of = |user: &str, host: &str| settings(&format!("{scheme}://{user}{host}/{db}"));
    let with_port = |host: &str| {
        let bare = !host.rsplit(']').next().unwrap_or(host).contains(':');
        if bare { format!("{host}:26379") } else { host.to_owned() }
    };
    let node = of(&credentials, "primary:6379")?;
    let mut addresses = Vec::new();
    for host in hosts.split(',') {
        addresses.push(of("", &with_port(host))?.addr().clone());
    }
    let secure = matches!(node.addr(), ConnectionAddr::TcpTls { .. });
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)
        .map_err(|error| BrokerError::Address(error.to_string()))?
        .set_client_to_redis_db(node.redis_settings().db())
        .set_client_to_redis_tcp_settings(tcp_settings())
        .set_client_to_sentinel_tcp_settings(tcp_settings());
    if secure {
        let mode = redis::TlsMode::Secure;
        builder = builder.set_client_to_redis_tls_mode(mode).set_client_to_sentinel_tls_mode(mode);
    }
    if let Some(user) = node.redis_settings().username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = node.redis_settings().password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(user) = parameter("sentinel_user") {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = parameter("sentinel_password") {
        builder = builder.set_client_to_sentinel_password(password);
    }
    builder.build().map_err(|error| BrokerError::Address(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urls_of_the_contract_are_understood() {
        for url in [
            "redis://localhost",
            "rediss://user:secret@example.org:6380/2",
            "valkey://localhost:6379",
            "redis+sentinel://a:26379,b,[::1]:26380/1?master=main",
            "rediss+sentinel://user:p%40ss@a:26379?master=main&sentinel_password=x",
        ] {
            if let Err(error) = RedisServer::parse(url) {
                panic!("{url}: {error}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        for (url, word) in [
            ("localhost:6379", "scheme"),
            ("http://localhost", "http"),
            ("redis+sentinel://a:26379", "master"),
            ("rediss://localhost#insecure", "SSL_CERT_FILE"),
            ("redis://localhost/x", "database"),
        ] {
            match RedisServer::parse(url) {
                Err(BrokerError::Address(reason)) => {
                    assert!(reason.to_lowercase().contains(&word.to_lowercase()), "{reason}");
                }
                _ => panic!("{url} is taken"),
            }
        }
    }
}
