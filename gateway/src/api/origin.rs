//! Which web pages may open sockets and streams.

use http::{HeaderMap, HeaderValue, header};
use runtime::config::Config;

/// Whether a browser of this origin may come: the same origin, or one that the settings allow.
pub fn origin_allowed(config: &Config, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok()) else {
        return true;
    };
    let allowed = &config.access.allowed_origins;
    if allowed.iter().any(|pattern| pattern == "*" || pattern.eq_ignore_ascii_case(origin)) {
        return true;
    }
    same_origin(headers)
}

/// Whether a request comes from a page of ours, or from no page at all.
pub fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or(""));
    let Some(origin) = text(header::ORIGIN) else { return true };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some() && authority == text(header::HOST)
}
