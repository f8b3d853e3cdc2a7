//! Which origins may read answers (contract, "Where the pages meet").

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use runtime::config::{Config, WebOrigin};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE, OPTIONS");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Content-Type, Authorization, Upgrade, X-API-Key, X-Requested-With, Last-Event-ID, \
     traceparent, tracestate",
);

/// Adds the headers of an allowed origin, and answers preflight requests.
pub async fn cors(State(config): State<Arc<Config>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // Seed 003's pages send credentials; seed 000's internal replies bear no such header.
    let credentials = path.starts_with("/api/v1/ws/");
    let internal = path.contains("/internal/");
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut response =
        if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    if !internal || preflight {
        allow(&config, response.headers_mut(), origin.as_ref(), credentials);
    }
    response
}

fn allow(
    config: &Config,
    headers: &mut HeaderMap,
    origin: Option<&HeaderValue>,
    credentials: bool,
) {
    let allowed = &config.access.allowed_origins;
    let parsed = || origin.and_then(|origin| WebOrigin::parse(origin.to_str().ok()?));
    let value = match origin {
        _ if allowed.is_any && !credentials => HeaderValue::from_static("*"),
        Some(origin) if allowed.is_any || parsed().is_some_and(|o| allowed.allow(&o)) => {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
            origin.clone()
        }
        _ => return,
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    if credentials {
        let yes = HeaderValue::from_static("true");
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
}
