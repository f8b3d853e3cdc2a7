//! Which addresses webhooks may go to: none that is private, loopback or otherwise not of the public
//! network, unless `WEBHOOK_ALLOW` names it.
//!
//! A name is resolved once for each try, and the connection is made to the addresses that were
//! checked: a name that leads elsewhere the second time leads nowhere.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, LazyLock},
};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use runtime::config::AllowedHost;

/// What is not the public network: IANA's special-purpose registries, and multicast.
const RESERVED: [&str; 33] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "::ffff:0:0:0/96",
    "::/96",
];

static RESERVED_NETWORKS: LazyLock<Vec<IpNet>> =
    LazyLock::new(|| RESERVED.iter().filter_map(|network| network.parse().ok()).collect());

/// Every address that a name leads to is one that webhooks may not go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("leads to a private or loopback address; WEBHOOK_ALLOW can name it")]
pub struct AddressRefused;

/// Decides where webhooks may go.
#[derive(Clone, Debug)]
pub struct AddressPolicy {
    allowed: Arc<[AllowedHost]>,
}

impl AddressPolicy {
    /// Makes a policy with these exceptions.
    pub fn new(allowed: &[AllowedHost]) -> Self {
        Self { allowed: allowed.into() }
    }

    /// Whether webhooks may go to an address.
    pub fn allows(&self, address: IpAddr) -> bool {
        let real = real(address);
        let is_named = |allowed: &AllowedHost| match allowed {
            AllowedHost::Network(network) => network.contains(&real) || network.contains(&address),
            AllowedHost::Name(_) => false,
        };
        self.allowed.iter().any(is_named)
            || !RESERVED_NETWORKS.iter().any(|network| network.contains(&real))
    }

    /// Whether a host is allowed by its name, wherever that leads.
    fn allows_name(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        let is_named = |allowed: &AllowedHost| match allowed {
            AllowedHost::Name(allowed) => allowed.eq_ignore_ascii_case(name),
            AllowedHost::Network(_) => false,
        };
        self.allowed.iter().any(is_named)
    }

    fn checked(
        &self,
        name: &str,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, AddressRefused> {
        if self.allows_name(name) {
            return Ok(addresses.collect());
        }
        let allowed: Vec<_> = addresses.filter(|address| self.allows(address.ip())).collect();
        if allowed.is_empty() { Err(AddressRefused) } else { Ok(allowed) }
    }
}

/// Returns the address of the fourth version that one of the sixth stands for, else the address.
fn real(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let four = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match six.segments() {
        // Mapped, translated (RFC 6052) and 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            four(high, low)
        }
        [0x2002, high, low, ..] => four(high, low),
        _ => address,
    }
}

/// Resolves names to the addresses among theirs that webhooks may go to.
pub struct CheckedResolver {
    policy: AddressPolicy,
    inner: Arc<dyn Resolve>,
}

impl CheckedResolver {
    /// Checks what another resolver finds.
    pub fn new(policy: AddressPolicy, inner: Arc<dyn Resolve>) -> Self {
        Self { policy, inner }
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, host) = (self.policy.clone(), name.as_str().to_owned());
        let found = self.inner.resolve(name);
        Box::pin(async move {
            let checked = policy.checked(&host, found.await?)?;
            Ok(Box::new(checked.into_iter()) as Addrs)
        })
    }
}

/// Resolves names as the system does.
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allowed: &[AllowedHost]) -> AddressPolicy {
        AddressPolicy::new(allowed)
    }

    #[test]
    fn only_the_public_network_is_allowed() {
        assert_eq!(RESERVED_NETWORKS.len(), RESERVED.len(), "each is a network");
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001:db8::1",
            "::ffff:0:7f00:1",
        ] {
            assert!(!policy(&[]).allows(address.parse().unwrap()), "{address}");
        }
        for address in
            ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
        {
            assert!(policy(&[]).allows(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn exceptions_are_networks_and_names() {
        let allowed = [
            AllowedHost::Network("10.1.0.0/16".parse().unwrap()),
            AllowedHost::Name("hooks.internal".into()),
        ];
        let policy = policy(&allowed);
        assert!(policy.allows("10.1.9.9".parse().unwrap()));
        assert!(policy.allows("::ffff:10.1.9.9".parse().unwrap()));
        assert!(!policy.allows("10.2.0.1".parse().unwrap()));
        let private =
            || ["10.2.0.1:80", "1.1.1.1:80"].map(|text| text.parse().unwrap()).into_iter();
        assert_eq!(policy.checked("Hooks.Internal.", private()).unwrap().len(), 2);
        let public: Vec<SocketAddr> = policy.checked("x.hooks.internal", private()).unwrap();
        assert_eq!(public, ["1.1.1.1:80".parse().unwrap()]);
        assert_eq!(policy.checked("x", private().take(1)), Err(AddressRefused));
    }
}
