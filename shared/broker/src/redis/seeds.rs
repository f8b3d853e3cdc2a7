//! Where a cluster is entered: `redis+cluster://[user[:password]@]host:port,host:port`.

use redis::ConnectionInfo;

use super::server::{settings, wrong};
use crate::BrokerError;

/// The port of an address that names none.
const PORT: u16 = 6379;

/// Addresses that a cluster is entered by, and how to connect to each of its servers.
pub(super) struct Seeds {
    /// Scheme and credentials of every address.
    before: String,
    /// The addresses of the URL.
    pub(super) entrances: Vec<(String, ConnectionInfo)>,
}

impl Seeds {
    /// Reads the URL of a cluster; none when it is that of something else.
    ///
    /// # Errors
    /// [`BrokerError::Address`].
    pub(super) fn parse(url: &str) -> Result<Option<Self>, BrokerError> {
        let Some((scheme, rest)) = url.split_once("://") else { return Ok(None) };
        let Some(scheme) = scheme.strip_suffix("+cluster") else { return Ok(None) };
        if !["redis", "rediss", "valkey", "valkeys"].contains(&scheme) {
            return Err(wrong(&format!("{scheme:?} is no scheme of a cluster")));
        }
        let authority = rest.trim_end_matches('/');
        if authority.contains(['/', '?', '#']) && !authority.contains('@') {
            return Err(wrong("a cluster has no databases and its URL no parameters"));
        }
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
            None => (String::new(), authority),
        };
        let mut seeds = Self { before: format!("{scheme}://{credentials}"), entrances: Vec::new() };
        for host in hosts.split(',') {
            if host.is_empty() {
                return Err(wrong("a cluster's URL names a host: HOST:PORT,HOST:PORT"));
            }
            let named = host.rsplit(']').next().unwrap_or(host).contains(':');
            let address = if named { host.to_owned() } else { format!("{host}:{PORT}") };
            let info = seeds.info(&address)?;
            seeds.entrances.push((address, info));
        }
        Ok(Some(seeds))
    }

    /// How to connect to one of its servers.
    ///
    /// # Errors
    /// [`BrokerError::Address`] when `address` is no `HOST:PORT`.
    pub(super) fn info(&self, address: &str) -> Result<ConnectionInfo, BrokerError> {
        let info = settings(&format!("{}{address}", self.before))?;
        match info.redis_settings().db() {
            0 => Ok(info),
            _ => Err(wrong("a cluster has no databases")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_entered_by_several_addresses_with_the_same_credentials() {
        let url = "rediss+cluster://user:p%40ss@a:7000,b,[::1]:7001/";
        let seeds = Seeds::parse(url).unwrap().unwrap();
        let addresses: Vec<_> = seeds.entrances.iter().map(|(address, _)| &**address).collect();
        assert_eq!(addresses, ["a:7000", "b:6379", "[::1]:7001"]);
        for (_, info) in &seeds.entrances {
            assert_eq!(info.redis_settings().password(), Some("p@ss"));
            assert!(matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }));
        }
    }

    #[test]
    fn what_is_wrong_with_the_url_of_a_cluster_is_said() {
        for (url, word) in [
            ("redis+cluster://a:1/2", "databases"),
            ("redis+cluster://a:1,b:2?x=y", "parameters"),
            ("redis+cluster://", "host"),
            ("http+cluster://a:1", "scheme"),
        ] {
            match Seeds::parse(url) {
                Err(BrokerError::Address(reason)) => {
                    assert!(reason.to_lowercase().contains(word), "{url}: {reason}");
                }
                _ => panic!("{url} is taken"),
            }
        }
        assert!(Seeds::parse("redis://a:1").unwrap().is_none());
    }
}
