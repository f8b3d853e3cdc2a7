//! Whose address a request came from: the peer's, or the one that a trusted proxy speaks for.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{Extensions, HeaderMap, request::Parts};
use ipnet::{IpNet, Ipv4Net};

/// Where proxies write for whom they ask, one after the other.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address: from the peer backwards through `X-Forwarded-For`, as far as the proxies
/// are trusted. What a proxy that nobody trusts wrote says nothing.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut client = peer.to_canonical();
    for line in headers.get_all(FORWARDED_FOR).iter().rev() {
        for hop in line.to_str().unwrap_or_default().rsplit(',') {
            if !is_trusted(&client) {
                return client;
            }
            let Some(before) = parse(hop.trim()) else { return client };
            client = before;
        }
    }
    client
}

/// The address of a client, as far as limits are concerned; without one nothing is counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientAddress(pub Option<IpAddr>);

impl ClientAddress {
    /// Returns the number under which its half uploads are counted; 0 on this machine, where a proxy
    /// speaks for all.
    pub fn upload_group(self) -> u32 {
        let Some(address) = self.0.filter(|address| !address.is_loopback()) else { return 0 };
        let mut hasher = DefaultHasher::new();
        match address {
            IpAddr::V4(address) => address.hash(&mut hasher),
            // A home or a server has 2⁶⁴ of them.
            IpAddr::V6(address) => (address.to_bits() >> 64).hash(&mut hasher),
        }
        let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
        u32::from_le_bytes([a, b, c, d]).max(1)
    }
}

impl ClientAddress {
    /// Returns the address of whoever sent a request, and whether a proxy that nobody trusts spoke
    /// for others.
    pub fn of(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> (Self, bool) {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let client = peer.map(|peer| client(peer, headers, trusted));
        (Self(client), client.is_some() && client == peer && is_forwarded(headers))
    }
}

/// Handlers find the address that the request was admitted by.
impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_default())
    }
}

/// The networks whose connections are not counted: this machine's own, and those of trusted
/// proxies, which speak for many.
pub fn spared(trusted: &[IpNet]) -> Vec<IpNet> {
    let here = [
        IpNet::from(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];
    here.into_iter().chain(trusted.iter().copied()).collect()
}

/// Whether a request claims to come from another address.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED_FOR)
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

/// The part of an address that one client cannot change at will: of IPv6 the first 64 bits.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(peer: &str, lines: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_speak_for_others() {
        let proxies = ["10.0.0.0/8", "::1/128"];
        assert_eq!(client_of("192.0.2.1", &["198.51.100.7"], &proxies), "192.0.2.1");
        assert_eq!(client_of("10.0.0.1", &["198.51.100.7"], &proxies), "198.51.100.7");
        assert_eq!(client_of("::ffff:10.0.0.1", &["198.51.100.7"], &proxies), "198.51.100.7");
        assert_eq!(client_of("10.0.0.1", &[], &proxies), "10.0.0.1");
        assert_eq!(client_of("10.0.0.1", &["198.51.100.7"], &[]), "10.0.0.1");
    }

    #[test]
    fn a_client_that_writes_the_header_itself_hides_nothing() {
        let proxies = ["10.0.0.0/8"];
        let lines = ["1.1.1.1, 203.0.113.5", "198.51.100.7, 10.0.0.2"];
        assert_eq!(client_of("10.0.0.1", &lines, &proxies), "198.51.100.7");
        assert_eq!(client_of("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"], &proxies), "10.0.0.2");
    }

    #[test]
    fn proxies_write_addresses_in_several_ways() {
        let proxies = ["10.0.0.0/8"];
        for (written, address) in [
            ("198.51.100.7:4711", "198.51.100.7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            (" ::ffff:198.51.100.7 ", "198.51.100.7"),
        ] {
            assert_eq!(client_of("10.0.0.1", &[written], &proxies), address);
        }
    }

    #[test]
    fn the_far_half_of_an_ipv6_address_does_not_make_another_client() {
        let of = |address: &str| subscriber(address.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("198.51.100.7"), "198.51.100.7");
        assert_eq!(of("::ffff:198.51.100.7"), "198.51.100.7");
    }
}
