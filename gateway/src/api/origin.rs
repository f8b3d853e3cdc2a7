//! Which web pages may come, and under which names this machine may be called.
//!
//! Development is open to everybody on this machine, and a browser on it runs pages of others: so
//! only pages of this machine may ask for anything, by a name that is this machine's.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use runtime::config::{Config, WebOrigin, is_local_host};

use super::problem::Problem;

/// Whether a browser of this origin may come: the same origin, or one that the settings allow.
pub fn origin_allowed(config: &Config, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let allowed = &config.access.allowed_origins;
    let origin = origin.to_str().ok().and_then(WebOrigin::parse);
    allowed.is_any
        || origin.is_some_and(|origin| allowed.allow(&origin) || is_own(&origin, headers))
}

/// Whether a request comes from a page of ours, or from no page at all.
pub fn same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(WebOrigin::parse);
    origin.is_some_and(|origin| is_own(&origin, headers))
}

/// Whether we were called by a name of this machine, or by an address: a name could be made to mean
/// us by whoever owns it.
pub fn is_called_here(headers: &HeaderMap) -> bool {
    text(headers, header::HOST).is_none_or(|host| {
        let address = host.rsplit_once(':').map_or(host, |(address, _)| address);
        let address = address.trim_matches(['[', ']']);
        is_local_host(host) || address.parse::<std::net::IpAddr>().is_ok()
    })
}

/// Keeps out of a development server whoever calls it by a foreign name, and what a foreign page
/// would have it do.
pub async fn guard(State(config): State<Arc<Config>>, request: Request, next: Next) -> Response {
    if config.is_local() {
        let headers = request.headers();
        if !authority(request.uri(), headers).is_none_or(is_local_host) {
            return forbidden("this name is not this machine's: ALLOW_INSECURE lets any name in");
        }
        if !request.method().is_safe() && !origin_allowed(&config, headers) {
            return forbidden("this origin is not allowed: see ALLOWED_ORIGINS");
        }
    }
    next.run(request).await
}

fn forbidden(detail: &str) -> Response {
    Problem::new(StatusCode::FORBIDDEN, detail).into_response()
}

/// By which name the client called us.
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    uri.authority().map(http::uri::Authority::as_str).or_else(|| text(headers, header::HOST))
}

/// What is no text is a name of nobody.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Whether a page is served by us. Its scheme is believed: a proxy may have ended TLS.
fn is_own(origin: &WebOrigin, headers: &HeaderMap) -> bool {
    let host = text(headers, header::HOST);
    host.and_then(|host| WebOrigin::of(origin.scheme(), host)).as_ref() == Some(origin)
}
