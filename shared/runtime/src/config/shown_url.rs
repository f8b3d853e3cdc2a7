//! URLs as they may be shown: rebuilt from what was understood of them, without secrets.

/// What may be said of a URL: scheme, hosts and path. Everything that could be a secret is left out:
/// user information, query, fragment; none when the text is no URL.
pub(super) fn shown(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
        return None;
    }
    if scheme == "sqlite" {
        let file = rest.split(['?', '#']).next().unwrap_or_default();
        return Some(format!("{scheme}://{file}"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    // A password with a slash, a question mark or an at sign that is not encoded: what stands behind
    // the last at sign is no path, and nobody can say where the password ends.
    if tail.contains('@') && !authority.contains('@') {
        return None;
    }
    let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
    let is_plain = |user: &str| !user.contains(['@', '/']);
    if !user.is_none_or(is_plain) || !hosts.split(',').all(is_host) {
        return None;
    }
    let path = tail.split(['?', '#']).next().unwrap_or_default();
    let masked = if user.is_some() { "********@" } else { "" };
    (!path.contains('@')).then(|| format!("{scheme}://{masked}{hosts}{path}"))
}

/// `HOST[:PORT]`.
fn is_host(text: &str) -> bool {
    let (host, port) = match (text.rfind(']'), text.rfind(':')) {
        (Some(end), Some(colon)) if colon < end => (text, None),
        (_, Some(colon)) => (&text[..colon], Some(&text[colon + 1..])),
        (_, None) => (text, None),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._%[]:".contains(&b);
    host.bytes().all(plain)
        && (host.starts_with('[') || !host.contains(':'))
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_be_a_secret_is_shown() {
        for (url, seen) in [
            ("redis://:pass@h:1/0?x=secret", "redis://********@h:1/0"),
            ("redis+sentinel://a:1,b:2/?master=m&sentinel_password=p", "redis+sentinel://a:1,b:2/"),
            ("postgres://u:p@h,i:5433/db?password=q", "postgres://********@h,i:5433/db"),
            ("redis://token@[::1]:6379", "redis://********@[::1]:6379"),
            ("https://id.example/keys?key=k#f", "https://id.example/keys"),
            ("sqlite://fanfare.db", "sqlite://fanfare.db"),
        ] {
            assert_eq!(shown(url).as_deref(), Some(seen), "{url}");
        }
    }

    #[test]
    fn a_password_that_breaks_its_url_is_not_shown_either() {
        for url in [
            "redis://:p/ss+w0rd==@host",
            "postgres://u:p/ss@h",
            "redis://:p?ss@h",
            "redis://:p#s@h",
            "redis://:p@ss@h",
            "redis://:pa:ss",
            "nonsense",
            "redis://h:port",
        ] {
            assert_eq!(shown(url), None, "{url}");
        }
    }
}
