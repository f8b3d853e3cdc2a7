//! Origins of web pages, in the one form in which all doors compare them (RFC 6454 §6.1).

use std::net::Ipv4Addr;

/// Names under which a container finds the machine that it runs on.
const CONTAINER_HOSTS: [&str; 2] = ["host.docker.internal", "host.containers.internal"];

/// Scheme, host and port of a page: lower case, the port of the scheme spelled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl WebOrigin {
    /// Reads `SCHEME://HOST[:PORT]`, a slash at the end allowed; none when it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let letters = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        if scheme.is_empty() || !scheme.bytes().all(letters) {
            return None;
        }
        Self::of(scheme, rest.strip_suffix('/').unwrap_or(rest))
    }

    /// The origin of a page that was served as this scheme and `HOST[:PORT]`.
    pub fn of(scheme: &str, authority: &str) -> Option<Self> {
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = split_port(authority)?;
        let usual = match scheme.as_str() {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            _ => None,
        };
        Some(Self { scheme, host: host.to_ascii_lowercase(), port: port.or(usual) })
    }

    /// Returns the scheme, in lower case.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether the page is of this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }
}

/// Whether a `Host` header names this machine, as it is called here or in a container on it.
pub fn is_local_host(authority: &str) -> bool {
    split_port(authority).is_some_and(|(host, _)| {
        let host = host.to_ascii_lowercase();
        is_loopback_host(&host) || CONTAINER_HOSTS.contains(&host.as_str())
    })
}

fn is_loopback_host(host: &str) -> bool {
    let is_loopback = |ip: Ipv4Addr| ip.is_loopback();
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || host.parse().is_ok_and(is_loopback)
}

/// Host and port; none when there is more than these.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = if authority.starts_with('[') { authority.find(']')? + 1 } else { 0 };
    let (host, port) = match authority[end..].find(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(end + colon);
            (host, Some(port[1..].parse().ok()?))
        }
        None => (authority, None),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~[]:".contains(&b);
    (!host.is_empty() && host.bytes().all(plain) && host.len() >= end).then_some((host, port))
}

/// The origins whose pages may come, beside those of our own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    /// Whether every origin may (`*`).
    pub is_any: bool,
    /// Whether those of this machine may, on any port.
    pub is_loopback: bool,
    /// Those that the settings name.
    pub exact: Vec<WebOrigin>,
}

impl AllowedOrigins {
    /// Whether pages of an origin may come.
    pub fn allow(&self, origin: &WebOrigin) -> bool {
        self.is_any || (self.is_loopback && origin.is_loopback()) || self.exact.contains(origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_a_slash_and_usual_ports_make_no_other_origin() {
        let origin = WebOrigin::parse("https://app.example").unwrap();
        for same in ["HTTPS://App.Example", "https://app.example/", "https://app.example:443"] {
            assert_eq!(WebOrigin::parse(same).unwrap(), origin, "{same}");
        }
        for other in ["http://app.example", "https://app.example:444", "https://app.example.evil"] {
            assert_ne!(WebOrigin::parse(other).unwrap(), origin, "{other}");
        }
        assert_eq!(WebOrigin::of("https", "app.example:443").unwrap(), origin);
    }

    #[test]
    fn what_is_no_origin_is_none() {
        for wrong in [
            "app.example",
            "null",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "https://a:x",
            "https://a:70000",
            "https://[::1",
            "://a",
            "https://*.example",
            "",
        ] {
            assert_eq!(WebOrigin::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn this_machine_has_several_names_and_no_stranger_has_one() {
        for local in ["localhost", "a.localhost:3", "127.9.9.9:80", "[::1]:8080", "LOCALHOST"] {
            assert!(is_local_host(local), "{local}");
        }
        for foreign in ["evil.example", "localhost.evil.example", "127.evil.example", "10.0.0.1"] {
            assert!(!is_local_host(foreign), "{foreign}");
        }
        assert!(is_local_host("host.docker.internal:8080"));
        assert!(!WebOrigin::parse("http://host.docker.internal").unwrap().is_loopback());
    }
}
